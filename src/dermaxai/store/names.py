"""Names that lead to no other place than they say."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import unicodedata

from dermaxai.errors import NotFound, StoreError

CASE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
DRAWN = re.compile("(?=.*[a-f])[0-9a-f]{8,64}")
"""Names that a program draws or computes: they say nothing. Without a letter it may be somebody's number."""
JOINTS = ("Pd", "Pc", "Zs")
"""Unicode categories of what stands between the parts of a pseudonym: hyphens, underscores, spaces."""
MINUS = "\u2212"
"""A minus sign is no hyphen to Unicode, but to whoever types it."""


def new_case_id() -> str:
    """12 hex digits, drawn."""
    return secrets.token_hex(6)


def check_case_id(case_id: str) -> str:
    """The id as it is. Raises: NotFound for what can be the id of no case."""
    if not CASE_ID.fullmatch(case_id):
        raise NotFound("There is no case of that name.", hint="The list of cases shows what there is.")
    return case_id


def check_folder_name(name: str) -> str:
    """The name of a folder directly below another, visible. Raises: StoreError."""
    if not name or name.startswith(".") or any(sign in name for sign in "/\\\0:"):
        raise StoreError(
            "The database names a place outside the folder of cases.",
            hint="It was changed by another program; put a backup in its place.",
        )
    return name


def mark_of(name: str) -> str:
    """Eight digits by which a log may name a case or a folder, which may bear the name of a person.

    >>> mark_of("7f3a91c2d4e5"), mark_of("Ivanova")
    ('7f3a91c2', '5f767df1')
    """
    drawn = DRAWN.fullmatch(name) is not None
    return (name if drawn else hashlib.sha256(os.fsencode(name)).hexdigest())[:8]


def fold_pseudonym(name: str) -> str:
    """What all spellings of a pseudonym have in common, by which two of them are the same reader.

    Case, width and form of letters are ignored, and so is which hyphen, underscore or space stands between
    two parts, but not that one does: '1-11' and '11-1' are two readers. Another rule needs a migration.

    >>> fold_pseudonym("Reader\u20111") == fold_pseudonym("\uff32eader_1") == "reader-1"
    True
    """
    letters = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    joined = "".join("-" if _is_joint(sign) else sign for sign in letters.replace("ё", "е"))
    return re.sub("-+", "-", joined)


def _is_joint(sign: str) -> bool:
    return sign == MINUS or unicodedata.category(sign) in JOINTS
