"""Captions cut into words exactly as the COCO caption evaluation does, without Java.

That evaluation runs Stanford's Penn Treebank tokenizer on the text, makes small letters, and drops
punctuation. Its scores depend on the cut: brackets stay as words ('-lrb-'), "can't" is two words, and
'light-brown' is one. Words are found as there, in the longest piece that any pattern takes.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from dermaxai.types import Language

LETTER = r"[^\W\d_\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209f\u2150-\u218f]"
ASCII = r"[A-Za-z0-9]"
ABBREVIATIONS = (
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri "
    "inc co cos corp ltd plc dept assn univ intl bros esq jr sr mr mrs ms dr drs prof profs sen rep gov lt "
    "col gen maj sgt capt cpl pvt rev hon st ste ave mt ft bldg blvd rd sq vs etc al seq ph cf est ext pres "
    "adm det brig supt ala calif conn fla ga ind kan ky md mich minn mo mont neb nev okla tenn va vt wis wyo"
)
"""Keep their full stop wherever they stand."""
BEFORE_NUMBERS = "no nos prop art pp op fig figs ca"
"""Keep their full stop before a number."""
BEGINNINGS = (
    "A About According Additionally After An As At But Earlier He Her Here However If In It Last Many More "
    "Now Once One Other Our She Since So Some Such That The Their Then There These They This We What When "
    "While Yet You"
)
"""Words that begin a sentence: a letter and full stop before them are the end of another."""
SPOKEN = "can(?=not)|gon(?=na)|got(?=ta)|wan(?=na)|lem(?=me)|gim(?=me)|'t(?=is)|'t(?=was)"
"""What spoken forms are cut behind; the rest has to end there."""

_FOLDED = str.maketrans(
    {
        **dict.fromkeys("’‘ʼ‛\x92´", "'"),
        **dict.fromkeys("“”„‟«»", '"'),
        **dict.fromkeys("\u2010\u2011", "-"),
        **dict.fromkeys("–—\x96\x97", " -- "),
        "‚": " ",
        "\u00ad": None,
        "…": " ... ",
    }
)
_SPELT = {
    "(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-",
    "€": "$", "£": "#", "¢": "cents", "½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3",
}  # fmt: skip
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&nbsp;": " "}
_DROPPED = re.compile(r"""\.+|[,:;?!'"`]|''|``|-+""")
_NUMBER = r"(?:\d*(?:[.:,]\d+)+|\d+)"
_SLASHED = rf"{ASCII}+(?:-[A-Za-z]+){{0,2}}"
_PATTERNS = [
    re.compile(pattern)
    for pattern in (
        r"((?:https?://|www\.)[^\s<>\"]*[^\s<>\".,;:!?()\[\]'])",
        r"([\w.+-]+@[\w-]+(?:\.[\w-]+)+)",
        r"((?:[a-z0-9-]+\.)+(?:com|org|net|edu|gov)/[^\s<>\".,;:!?]+)",
        r"([@#][A-Za-z_]\w*)",
        r"(</?[A-Za-z][^<>\s]*>)",
        rf"((?i:[a-z]*[a-mo-z]))n't(?!{LETTER})",
        rf"((?i:n't|'(?:[smd]|re|ve|ll)))(?!{LETTER}|\d)",
        rf"((?i:o'clock|ma'am|c'mon|'em|'cause|d'ye|'n'|y'(?=all)|'[2-9]0s))(?!{LETTER}{{4}})",
        rf"((?:[DdOoLl]')?(?:{LETTER}|\d)+(?:[-_](?:[DdOoLl]')?(?:{LETTER}|\d)+)*)",
        rf"({LETTER}(?:{LETTER}|\d)*(?:[.!?]{LETTER}(?:{LETTER}|\d)*)*)",
        rf"({LETTER}+[aeiouyAEIOUY]'[aeiouA-Z]{LETTER}*)",
        rf"({ASCII}[A-Za-z0-9.,]*(?:-{ASCII}+)+)",
        rf"({_SLASHED}(?:/{_SLASHED}){{1,2}})",
        r"([A-Z]+(?:[+&][A-Z]+)+)",
        r"(\d{1,2}[-/]\d{1,2}[-/]\d{2,4}|\d{1,4}/\d{1,4})",
        rf"([-+]?{_NUMBER})",
        r"([A-Za-z](?:\.[A-Za-z])+\.)",
        rf"((?i:{'|'.join(ABBREVIATIONS.split())})\.)(?!{LETTER})",
        r"(\.+|-+|[?!]+|'+|`+|\*+|#+|_+|.)",
    )
]
_BEFORE_NUMBERS = re.compile(rf"(?i:{'|'.join(BEFORE_NUMBERS.split())})\.")
_LETTER_AND_STOP = re.compile(rf"[A-Za-z]\.(?!{LETTER})")
_BEGINNINGS = frozenset(BEGINNINGS.split())
_SPOKEN = re.compile(rf"((?i:{SPOKEN}))(?i:not|na|ta|me|is|was)(?!{LETTER}|\d|-)")


def tokenize(text: str, language: Language = "en") -> list[str]:
    """The words of a caption, small letters, punctuation dropped.

    In Russian 'ё' is 'е', as print mostly has it. Source: PTBTokenizer of Stanford CoreNLP 3.4.1 with
    `-lowerCase`, and the list of punctuation of pycocoevalcap 1.2.

    >>> " ".join(tokenize("It can't be the patient's 0.5-cm mole (dark/brown), e.g. on the back."))
    "it ca n't be the patient 's 0.5-cm mole -lrb- dark/brown -rrb- e.g. on the back"
    >>> tokenize("Тёмно-коричневый очаг: 6,5 мм.", "ru")
    ['темно-коричневый', 'очаг', '6,5', 'мм']
    """
    if "&" in text:
        for entity, sign in _ENTITIES.items():
            text = text.replace(entity, sign)
    pieces = unicodedata.normalize("NFC", text).translate(_FOLDED).split()
    words: list[str] = []
    for place, piece in enumerate(pieces):
        follows = pieces[place + 1] if piece.endswith(".") and place + 1 < len(pieces) else ""
        words.extend(_cut(piece, "A" if follows in _BEGINNINGS else "1" if follows[:1].isdigit() else ""))
    return [word.replace("ё", "е") for word in words] if language == "ru" else words


def sentences_of(text: str) -> list[str]:
    """The sentences of a caption, marks included; an abbreviation ends none.

    >>> sentences_of("A red plaque, e.g. psoriasis. size: 3.5 cm! On the leg")
    ['A red plaque, e.g. psoriasis.', 'size: 3.5 cm!', 'On the leg']
    """
    found: list[list[str]] = [[]]
    for piece in text.split():
        found[-1].append(piece)
        bare = piece.rstrip("\"'’”»)]")
        if bare.endswith(("!", "?", ".", "…")) and not "".join(_cut(bare, "A")[-1:]).endswith("."):
            found.append([])
    return [" ".join(sentence) for sentence in found if sentence]


@lru_cache(maxsize=1 << 16)
def words_of(text: str, language: Language = "en") -> tuple[str, ...]:
    """`tokenize`, each text once: several metrics read the same captions."""
    return tuple(tokenize(text, language))


@lru_cache(maxsize=1 << 16)
def _cut(piece: str, behind: str) -> tuple[str, ...]:
    """The words of what stands between two spaces; `behind`: 'A' a sentence begins there, '1' a number."""
    words, place = [], 0
    while place < len(piece):
        word, place = _longest(piece, place, behind)
        spelt = _SPELT.get(word, word)
        if not _DROPPED.fullmatch(spelt):
            words.append(spelt.lower())
    return tuple(words)


def _longest(piece: str, start: int, behind: str) -> tuple[str, int]:
    """The longest token that starts at a place, the first pattern winning among equals, and its end."""
    best, length, stop = "", 0, start
    for pattern in _PATTERNS:
        found = pattern.match(piece, start)
        if found and found.end() - start > length:
            best, length, stop = found[1], found.end() - start, found.end(1)
    spoken = _SPOKEN.match(piece, start)
    if spoken and spoken.end() - start >= length:
        best, stop = spoken[1], spoken.end(1)
    return _with_full_stop(piece, start, behind) or (best, stop)


def _with_full_stop(piece: str, start: int, behind: str) -> tuple[str, int] | None:
    """A letter, or an abbreviation of numbers, that keeps the full stop because of what follows."""
    found = _LETTER_AND_STOP.match(piece, start)
    if found and (found.end() < len(piece) or behind != "A"):
        return found[0], found.end()
    found = _BEFORE_NUMBERS.fullmatch(piece, start)
    return (found[0], found.end()) if found and behind == "1" else None
