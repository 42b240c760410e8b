"""What a caption of any dataset may state, in the unified vocabulary, and the sentences that state it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from dermaxai import vocabulary
from dermaxai.statements import OUTLINE_SLOTS, TERMS, Facts, Source, wordings_of
from dermaxai.statements.templates import MODALITIES, TEMPLATES, Kind
from dermaxai.statements.words import (
    FINDINGS,
    PARTS,
    SILENT,
    SITES,
    Part,
    is_group,
    join_and,
    spoken_diagnoses,
    years,
)
from dermaxai.types import Language

Modality = Literal["dermoscopic", "clinical"]
Sex = Literal["female", "male"]
Wordings = tuple[tuple[str, ...], Source]
"""All wordings of one sentence, the plainest first, and the source of its facts."""

DIAGNOSES: Mapping[str, str] = {
    "akiec": "actinic_keratosis_or_intraepithelial_carcinoma_akiec",
    "bcc": "basal_cell_carcinoma",
    "bkl": "benign_keratosis",
    "df": "dermatofibroma",
    "mel": "melanoma",
    "nv": "melanocytic_nevus",
    "vasc": "vascular_lesion",
}
"""The diagnoses of `Facts`, codes of HAM10000, and their ids in the vocabulary."""
_PLACES = {name: place for place, name in enumerate(FINDINGS)}


@dataclass(frozen=True, slots=True)
class ClinicalFacts:
    """What a caption may state; None, False or () where a fact is unknown.

    Findings are kept in the order of the vocabulary, other diagnoses before groups of diagnoses.
    """

    size: str | None = None
    symmetry: str | None = None
    border: str | None = None
    unclear: bool = False
    """Measured, and no outline found that could be trusted; only where none is stated."""
    colours: tuple[str, ...] = ()
    """Measured, largest first; keys of `TERMS['colour']`."""
    diagnosis: str | None = None
    """Id of the vocabulary, also of a group of diagnoses."""
    other_diagnoses: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    """Ids of findings."""
    absent: tuple[str, ...] = ()
    """Ids of findings that were looked for and not seen."""
    site: str | None = None
    modality: Modality | None = None
    age: int | None = None
    """Years."""
    sex: Sex | None = None

    def __post_init__(self) -> None:
        """Put lists in order. Raises: UnknownName for a finding or diagnosis of no vocabulary."""
        if len(self.present) + len(self.absent) > 1:
            object.__setattr__(self, "present", in_order(self.present))
            object.__setattr__(self, "absent", in_order(self.absent))
        if len(self.other_diagnoses) > 1:
            apart = sorted(self.other_diagnoses, key=lambda name: is_group(vocabulary.diagnosis(name)))
            object.__setattr__(self, "other_diagnoses", tuple(apart))

    @property
    def says_nothing(self) -> bool:
        """Whether no caption can be made of it."""
        return not wordings_of_clinical(self, "en")


def in_order(findings: Iterable[str]) -> tuple[str, ...]:
    """Findings in the order of the vocabulary, none twice. Raises: UnknownName."""
    return tuple(
        sorted(dict.fromkeys(vocabulary.finding(name).id for name in findings), key=_PLACES.__getitem__)
    )


def clinical_facts(facts: Facts) -> ClinicalFacts:
    """The facts of a caption of the embedded model, which states an unclear outline as such."""
    return ClinicalFacts(
        facts.size,
        facts.symmetry,
        facts.border,
        unclear=not (facts.size or facts.symmetry or facts.border),
        colours=facts.colours,
        diagnosis=DIAGNOSES[facts.diagnosis] if facts.diagnosis else None,
    )


def wordings_of_clinical(facts: ClinicalFacts, language: Language) -> list[Wordings]:
    """For each sentence of a caption all its wordings, the plainest first, and the source of its facts.

    Where a fact of the embedded model is stated, the sentence is one of its captions.
    Raises: UnknownName for an id of no vocabulary.
    """
    sentences: list[Wordings] = []
    if facts.modality:
        sentences.append((_modality(facts.modality, language), "metadata"))
    if facts.size or facts.symmetry or facts.border or facts.unclear:
        sentences.append((_outline(facts.size, facts.symmetry, facts.border, language), "measurement"))
    if facts.colours:
        sentences.append((_colours(facts.colours, language), "measurement"))
    if facts.present:
        sentences += [(one, "findings") for one in _findings(facts.present, language, seen=True)]
    if facts.absent:
        sentences += [(one, "findings") for one in _findings(facts.absent, language, seen=False)]
    if facts.site:
        sentences.append((_site(facts.site, language), "metadata"))
    if facts.age is not None or facts.sex:
        sentences.append((_person(facts.age, facts.sex, language), "metadata"))
    if facts.diagnosis and facts.diagnosis not in SILENT:
        sentences.append((_diagnosis(facts.diagnosis, language), "label"))
    if facts.other_diagnoses:
        sentences += [(one, "label") for one in _others(facts.other_diagnoses, language)]
    return sentences


def _fill(kind: Kind, language: Language, text: str) -> tuple[str, ...]:
    """All wordings of a kind of sentence with a capital at the beginning."""
    filled = (wording.format(x=text) for wording in TEMPLATES[language][kind])
    return tuple(one[:1].upper() + one[1:] for one in filled)


@cache
def _modality(modality: str, language: Language) -> tuple[str, ...]:
    return _fill("modality", language, MODALITIES[modality][language])


@cache
def _outline(
    size: str | None, symmetry: str | None, border: str | None, language: Language
) -> tuple[str, ...]:
    """One fact or two of an outline are said in the sentence of all three, shortened."""
    known = (size, symmetry, border)
    if all(known) or not any(known):
        return tuple(wordings_of(Facts(*known), language)[0][0])
    words = [TERMS[slot][value][language] for slot, value in zip(OUTLINE_SLOTS, known, strict=True) if value]
    edge = words.pop() if border else ""
    if language == "ru":
        said = " ".join([*words, "образование", *([f"с {edge} границей"] if edge else [])])
        return (f"{said[:1].upper()}{said[1:]}.", f"Видно {said}.")
    said = " ".join([*words, "lesion", *([f"with {with_article(edge)} border"] if edge else [])])
    return (f"{with_article(said).capitalize()}.", f"It is {with_article(said)}.")


def with_article(text: str) -> str:
    """An English noun with its indefinite article.

    >>> with_article("irregular border"), with_article("80-year-old patient")
    ('an irregular border', 'an 80-year-old patient')
    """
    eight = text.startswith("8") or text.split("-")[0] in ("11", "18")
    return f"{'an' if text[:1].lower() in 'aeiou' or eight else 'a'} {text}"


@lru_cache(4096)
def _colours(colours: tuple[str, ...], language: Language) -> tuple[str, ...]:
    return tuple(wordings_of(Facts(colours=colours), language)[1][0])


@cache
def _site(site: str, language: Language) -> tuple[str, ...]:
    name = vocabulary.site(site).name[language]
    return (*_fill("site", language, SITES[site][language]), *_fill("site name", language, name))


@lru_cache(8192)
def _findings(findings: tuple[str, ...], language: Language, *, seen: bool) -> tuple[tuple[str, ...], ...]:
    """A sentence for each part of speech that the findings need."""
    groups: dict[Part, list[str]] = {part: [] for part in PARTS}
    for name in findings:
        groups[FINDINGS[vocabulary.finding(name).id].part].append(name)
    say = _seen if seen else _not_seen
    return tuple(say(part, names, language) for part, names in groups.items() if names)


def _seen(part: Part, findings: Sequence[str], language: Language) -> tuple[str, ...]:
    names = [FINDINGS[name].name[language] for name in findings]
    return _fill(part, language, join_and(names, "and" if language == "en" else "и"))


_ABSENT: Mapping[Part, Kind] = {
    "sign": "no sign",
    "look": "no look",
    "distribution": "no distribution",
    "hue": "no hue",
    "beside": "no beside",
}


def _not_seen(part: Part, findings: Sequence[str], language: Language) -> tuple[str, ...]:
    """'No ulcer or crust.'; Russian nouns in the genitive, adjectives each with its own 'не'."""
    words = [FINDINGS[name] for name in findings]
    if language == "en":
        said = join_and([one.name["en"] for one in words], "or")
    elif part in ("look", "distribution"):
        said = " и не ".join(one.name["ru"] for one in words)
    else:
        genitives = [one.genitive for one in words]
        said = ", ".join(f"ни {one}" for one in genitives) if len(words) > 1 else genitives[0]
    return _fill(_ABSENT[part], language, said)


@lru_cache(1024)
def _person(age: int | None, sex: Sex | None, language: Language) -> tuple[str, ...]:
    if language == "ru":
        gender = {"female": "Пациент женского пола", "male": "Пациент мужского пола"}.get(sex or "", "")
        old = "" if age is None else f"возраст {years(age)}"
        said = ", ".join(filter(None, [gender, old]))
        return (f"{said[:1].upper()}{said[1:]}.",)
    if age is None:
        return (f"The patient is {sex}.", f"A {sex} patient.")
    old = f"{age} year{'' if age == 1 else 's'} old"
    patient = with_article(" ".join(filter(None, [f"{age}-year-old", sex, "patient"])))
    return (f"The patient is {f'{sex}, ' if sex else ''}{old}.", f"{patient.capitalize()}.")


@cache
def _diagnosis(diagnosis: str, language: Language) -> tuple[str, ...]:
    """As one possible diagnosis, or as what it is: a group of them."""
    group = is_group(vocabulary.diagnosis(diagnosis))
    name = spoken_diagnoses(language, groups=group)[diagnosis]
    if group:
        return _fill("group", language, name)
    plain = wordings_of(Facts(diagnosis="mel"), language)[-1][0]
    return tuple(wording.replace(TERMS["diagnosis"]["mel"][language], name) for wording in plain)


@lru_cache(8192)
def _others(diagnoses: tuple[str, ...], language: Language) -> tuple[tuple[str, ...], ...]:
    """Names may hold commas, so semicolons stand between them."""
    known = [vocabulary.diagnosis(name) for name in diagnoses if name not in SILENT]
    kinds: tuple[tuple[bool, Kind, Kind], ...] = (
        (False, "other", "others"),
        (True, "other group", "other groups"),
    )
    said = []
    for groups, one, more in kinds:
        spoken = spoken_diagnoses(language, groups=groups)
        names = [spoken[each.id] for each in known if is_group(each) is groups]
        said += [_fill(one if len(names) == 1 else more, language, "; ".join(names))] if names else []
    return tuple(said)
