"""Names that lead to no other place than they say."""

from __future__ import annotations

import re
import secrets

from dermaxai.errors import NotFound, StoreError

CASE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


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
