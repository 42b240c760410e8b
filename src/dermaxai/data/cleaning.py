"""Clean captions that somebody wrote: repair their encoding, part them into sentences, leave out the answer.

Nothing is rewritten: every word that stays is the author's, and what is left out is handed back.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from html.entities import html5

from dermaxai.vocabulary import diagnoses, findings

SENTINELS = (
    "No age information",
    "No gender information",
    "No symptom information",
    "No body location information",
    "No visual concepts",
    "No definitive diagnosis",
)
"""What Derm1M writes where it knows nothing; no part of a caption."""


def clean(text: str) -> str:
    r"""The text without damage of encoding, markup, invisible characters, runs of space and sentinels.

    Curly quotes, dashes and accents stay. Mojibake is repaired only where its bytes are whole UTF-8 and give
    a character that such texts hold.

    >>> clean("a\u200b  6Ã—4 mm patch&nbsp;&ndash; the patientâ€™s cheek")
    'a 6×4 mm patch – the patient’s cheek'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", _mend(text))
    text = _MARKUP.sub(" ", _unescape(text))
    text = " ".join(text.split())
    if not text.isprintable():
        text = " ".join(_visible(text).split())
    folded = text.casefold()
    if any(sentinel in folded for sentinel in _FOLDED):
        text = _SENTINEL.sub(r"\1", text).strip()
    return text


_MARKUP = re.compile(r"</?(?:br|p|b|i|u|em|strong|sub|sup|span|div)\s*/?>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_SENTINEL = re.compile(rf"(^|[.!?;]\s+)(?:{'|'.join(SENTINELS)})(?:[.;]\s*|$)", re.IGNORECASE)
_FOLDED = tuple(sentinel.casefold() for sentinel in SENTINELS)
_INVISIBLE = ("Cc", "Cf", "Co", "Cn", "Cs")
_REPAIRS = 3
"""Texts are seen damaged twice; a third round only ever finds nothing."""


def _unescape(text: str) -> str:
    """Entities with their semicolon only: 'R&D' and 'AT&T' are none."""
    for _ in range(_REPAIRS):
        if "&" not in text:
            break
        text = _ENTITY.sub(_character, text)
    return text


def _character(entity: re.Match[str]) -> str:
    """An unknown name stays as it is; the library would take the known beginning of it."""
    is_known = entity[0][1] == "#" or entity[0][1:] in html5
    return html.unescape(entity[0]) if is_known else entity[0]


def _visible(text: str) -> str:
    """Without controls, zero-width and direction marks, soft hyphens, private and unassigned characters."""
    for char in set(text):
        if not char.isspace() and unicodedata.category(char) in _INVISIBLE:
            text = text.replace(char, "")
    return text


def _mend(text: str) -> str:
    for _ in range(_REPAIRS):
        mended = _DAMAGED.sub(_mended, text)
        if mended == text:
            break
        text = mended
    return text


def _byte(char: str) -> int | None:
    """The byte that Windows-1252 (or Latin-1, where that has a gap) shows as `char`."""
    if ord(char) < 0x100:
        return ord(char)
    try:
        return char.encode("cp1252")[0]
    except UnicodeEncodeError:
        return None


_SHOWN = "".join(
    sorted(
        {chr(value) for value in range(0x80, 0xC0)} | set(bytes(range(0x80, 0xC0)).decode("cp1252", "ignore"))
    )
)
"""How the bytes 80 to BF, which continue a UTF-8 character, look in Windows-1252 and in Latin-1."""
_NEXT = f"[{re.escape(_SHOWN)}]"
_DAMAGED = re.compile(f"[\u00c2-\u00df]{_NEXT}|[\u00e0-\u00ef]{_NEXT}{{2}}|[\u00f0-\u00f4]{_NEXT}{{3}}")
_EXPECTED = re.compile(
    "[\u00a0-\u017f\u0370-\u045f\u2010-\u203a\u2070-\u209f\u20a0-\u20bf\u2100-\u22ff\u25a0-\u26ff"
    "\u3000-\u303f\u4e00-\u9fff\uff00-\uffef\ufeff\u200b-\u200f\U0001f300-\U0001faff]"
)
"""Latin, Greek and Cyrillic letters, punctuation, signs, Chinese, pictographs."""


def _mended(found: re.Match[str]) -> str:
    values = [_byte(char) for char in found[0]]
    try:
        char = bytes(value for value in values if value is not None).decode("utf-8")
    except UnicodeDecodeError:
        return found[0]
    return char if _EXPECTED.fullmatch(char) else found[0]


def sentences_of(text: str) -> tuple[str, ...]:
    """The sentences of a cleaned text in English, Russian or Chinese; joined by spaces they are the text.

    Decimals, abbreviations, initials and numbers of a list end none.

    >>> sentences_of("A plaque of 1.5 cm, e.g. on the elbow. Dr. Li saw it.")
    ('A plaque of 1.5 cm, e.g. on the elbow.', 'Dr. Li saw it.')
    """
    ends = [end for end in _STOP.finditer(text) if _ends_sentence(text, end)]
    starts = [0, *(end.end() for end in ends)]
    parts = [text[start:stop].strip() for start, stop in zip(starts, [*starts[1:], len(text)], strict=True)]
    return tuple(part for part in parts if part)


_STOP = re.compile(r"[.!?…。！？]+[\"'”’»)\]」』）]*")
_FORGOTTEN_SPACE = re.compile(r"[a-zа-яё]{2}[.!?][A-ZА-ЯЁ][a-zа-яё]")
_NEVER_LAST = {
    "dr", "mr", "mrs", "ms", "prof", "st", "fig", "figs", "no", "vs", "eg", "ie", "approx", "cf", "ca", "al",
    "resp", "dept", "sp", "spp", "var", "subsp", "т", "рис", "напр", "табл", "ср", "проф", "акад",
}  # fmt: skip
"""Abbreviations that something always follows."""
_DOTTED = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
"""'e.g', 'U.S', 'т.е'."""


def _ends_sentence(text: str, stop: re.Match[str]) -> bool:
    if stop[0][0] in "。！？":
        return True
    if not text[stop.end() : stop.end() + 1].strip():
        return stop[0][0] in "!?" or _is_last(text, stop)
    return stop.start() > 1 and _FORGOTTEN_SPACE.match(text, stop.start() - 2) is not None


def _is_last(text: str, stop: re.Match[str]) -> bool:
    """Whether the word before a full stop is the last of its sentence."""
    after = text[stop.end() :].lstrip().lstrip("\"'“‘«([")
    if not after:
        return True
    words = text[max(0, stop.start() - 60) : stop.start()].split()
    word = words[-1].lstrip("\"'“‘«([") if words else ""
    if word.casefold() in _NEVER_LAST or _DOTTED.fullmatch(word):
        return False
    if word.isdigit() and _is_first(text, stop, word):
        return False
    if len(word) == 1 and word.isupper():
        return after[0].isupper() and len(words) > 1 and words[-2][-1:].islower()
    return not after[0].islower() or _is_lower_case(text)


def _is_first(text: str, stop: re.Match[str], word: str) -> bool:
    """The word begins a sentence, as the number of a list does; that of 'Fig. 2' does not."""
    before = text[max(0, stop.start() - 60) : stop.start() - len(word)].rstrip()
    if not before or before[-1] not in ".!?:;。！？":
        return not before
    return before.rstrip(".").rpartition(" ")[2].casefold() not in _NEVER_LAST


def _is_lower_case(text: str) -> bool:
    """A text that begins in lower case writes all its sentences so."""
    return text.lstrip()[:1].islower()


def drop_diagnosis(
    sentences: Sequence[str], *, trailing_only: bool = True
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sentences kept, and those dropped because they state a diagnosis, a differential or management.

    `trailing_only` drops the end of a caption: from its last sentences backwards until one that describes
    and states none of this; remarks in between ("It is contagious.") go with it. Otherwise every such
    sentence is dropped, wherever it stands. Nothing may be left.

    >>> drop_diagnosis(["Red scaly plaques on the elbow.", "Consider psoriasis."])
    (('Red scaly plaques on the elbow.',), ('Consider psoriasis.',))
    """
    if not trailing_only:
        stating = [states_diagnosis(sentence) for sentence in sentences]
        pairs = list(zip(sentences, stating, strict=True))
        return tuple(each for each, states in pairs if not states), tuple(
            each for each, states in pairs if states
        )
    cut = len(sentences)
    for place in reversed(range(len(sentences))):
        if states_diagnosis(sentences[place]):
            cut = place
        elif _DESCRIBES.search(sentences[place]):
            break
    return tuple(sentences[:cut]), tuple(sentences[cut:])


def states_diagnosis(sentence: str) -> bool:
    """Whether it names a diagnosis of the vocabulary, or speaks of diagnosis, differential or management.

    Names are English, and Russian in the nominative; signs that are also diagnoses ('scar') do not count.
    """
    return bool(_CUES.search(sentence)) or any(name in _diagnosis_names() for name in _runs(sentence))


_CUES = re.compile(
    r"\b(?:diagnos\w*|differential\w*|(?:consistent|compatible) with|suggest\w*|indicative of"
    r"|consider(?:ed|ing|ations?)?|suspect\w*|suspicious (?:for|of)|likely|possib\w+|probab\w+"
    r"|(?:may|might|could) be (?:an?|due|caused|associated)|rul(?:e|ed|ing) out|raises? (?:the )?concern\w*"
    r"|treat(?:ed|ing|ments?|able)?|therap\w*|recommend\w*|advis\w+|advice|biops\w+|histo(?:patho)?log\w*"
    r"|patholog\w*|follow-?up|consult\w*|prescri\w*|medications?|drugs?|surgery|surgical(?:ly)? \w*cis\w*"
    r"|excis\w*|antibiotics?|antifungals?|(?:cortico)?steroids?|prognos\w*|diseases?|disorders?|syndromes?"
    r"|further (?:exam|test|evaluat|investigat)\w*)\b"
    r"|диагно|дифференц|подозр|вероятн|возможн|предполож|характерн\w+ для|лечени|терапи|рекоменд"
    r"|биопси|гистолог|консультац|назнач|заболевани|болезн|синдром"
    r"|诊断|鉴别|考虑|疑似|怀疑|提示|可能|建议|治疗|活检|病理|随访|进一步检查|综合征|病(?![变灶])|癌|瘤|炎",
    re.IGNORECASE,
)
_DESCRIBES = re.compile(
    r"\b(?:lesions?|skin|image|photo\w*|picture|surface|borders?|margins?|edges?|colou?r\w*|shap\w+|sizes?"
    r"|diameter|locat\w+|visible|seen|shows?|areas?|papul\w+|plaques?|patch\w*|macul\w+|nodul\w+|vesic\w+"
    r"|pustul\w+|bulla\w*|scal\w+|crust\w*|ulcer\w*|erosi\w+|erythema\w*|red\w*|brown\w*|black\w*|white\w*"
    r"|purpl\w+|pigment\w*|c?mm|cm)\b"
    r"|кож|очаг|пятн|бляш|папул|узел|узл|корк|чешу|красн|коричнев|фото|снимк|изображ|поверхн"
    r"|皮|斑|疹|红|褐|色|图|病变|病灶|部",
    re.IGNORECASE,
)
_NO_NAMES = {
    "subcutaneous", "unknown", "unk", "0", "miscellaneous", "benign-other", "hypersensitivity", "flushing",
    "hyperpigmentation", "hypopigmentation", "telangiectases", "ulcers", "cysts", "mel", "nev", "ack", "df",
    "ak", "nv",
}  # fmt: skip
"""Labels that are plain words or signs in a sentence, and codes that nobody writes in one."""
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.casefold().replace("’", "'")))


@cache
def _diagnosis_names() -> frozenset[tuple[str, ...]]:
    """Names and aliases as words, singular and plural; no signs, no categories."""
    signs = {finding.name["en"].casefold() for finding in findings().values()} | _NO_NAMES
    names = {
        name.casefold()
        for each in diagnoses().values()
        if each.malignancy != "category"
        for name in (each.name["en"], each.name["ru"], *each.aliases)
    }
    return frozenset(_words(form) for name in names - signs for form in _forms(name)) - {()}


def _forms(name: str) -> Iterator[str]:
    yield from (name, f"{name}s")
    for ending, plural in (("us", "i"), ("is", "es"), ("a", "ata"), ("y", "ies")):
        if name.endswith(ending):
            yield name.removesuffix(ending) + plural


@cache
def _longest_name() -> int:
    return max(map(len, _diagnosis_names()))


def _runs(sentence: str) -> Iterator[tuple[str, ...]]:
    """Every run of words that is short enough to be a name."""
    words = _words(sentence)
    for start in range(len(words)):
        for stop in range(start + 1, min(len(words), start + _longest_name()) + 1):
            yield words[start:stop]
