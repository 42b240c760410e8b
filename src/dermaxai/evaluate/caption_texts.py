"""What a reader needs to see why a caption is scored as it is: the texts of one photo side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dermaxai import vocabulary
from dermaxai.evaluate.caption_columns import Condition, Contestant
from dermaxai.evaluate.groups import name_group
from dermaxai.statements.clinical import ClinicalFacts
from dermaxai.statements.reading import read_clinical

REFERENCES = {"written captions": "written reference", "composed captions": "composed reference"}
"""How pages call the references of a kind; 'facts' has none."""
NOTHING = "nothing"


def texts_of(
    judged: Iterable[tuple[Condition, Sequence[Contestant]]],
) -> dict[str, tuple[tuple[str, str], ...]]:
    """Per photo: each caption, the references it is judged against, and what is known and what was read.

    Baselines come with the condition they are of, where a photo has more than one in a language.
    """
    found: dict[str, dict[tuple[str, str], None]] = {}
    contest = list(judged)
    kinds = Counter((one.language, item.id) for one, _ in contest for item in one.items)
    for condition, contestants in contest:
        for item in condition.items:
            rows = found.setdefault(item.id, {("known", describe_facts(condition.known[item.id])): None})
            several = kinds[condition.language, item.id] > 1
            rows |= dict.fromkeys(_rows(item.id, condition, contestants, several=several))
    return {item: tuple(rows) for item, rows in found.items()}


def _rows(
    item: str, condition: Condition, contestants: Sequence[Contestant], *, several: bool
) -> Iterator[tuple[str, str]]:
    language = condition.language
    own = [one for one in contestants if not one.is_baseline and item in one.texts]
    for one in own:
        text = one.texts[item]
        yield f"{one.name}, {language}", text or "(empty)"
        yield f"read in it, {language}", describe_facts(read_clinical(text, language).facts)
    references = condition.references[item]
    for number, text in enumerate(references, 1):
        which = f" {number}" if len(references) > 1 else ""
        yield f"{REFERENCES[condition.kind]}{which}, {language}", text
    kind = f", {condition.kind}" if several else ""
    for one in contestants:
        if one.is_baseline and item in one.texts:
            yield f"{one.name}{kind}, {language}", one.texts[item] or "(empty)"


def describe_facts(facts: ClinicalFacts) -> str:
    """Facts in English words, as pages show them.

    >>> describe_facts(ClinicalFacts(diagnosis="melanoma", colours=("brown", "black"), site="back"))
    'diagnosis: melanoma; colours: brown, black; site: back'
    """
    told: Mapping[str, str | None] = {
        "diagnosis": _diagnosis(facts.diagnosis),
        "other diagnoses": ", ".join(map(_diagnosis, facts.other_diagnoses)),
        "shows": ", ".join(vocabulary.finding(one).name["en"] for one in facts.present),
        "does not show": ", ".join(vocabulary.finding(one).name["en"] for one in facts.absent),
        "size": facts.size,
        "symmetry": facts.symmetry,
        "border": facts.border,
        "outline": "unclear" if facts.unclear else "",
        "colours": ", ".join(facts.colours),
        "site": name_group("site", facts.site or ""),
        "kind of photo": facts.modality,
        "age": None if facts.age is None else str(facts.age),
        "sex": facts.sex,
    }
    return "; ".join(f"{name}: {value.replace('_', ' ')}" for name, value in told.items() if value) or NOTHING


def _diagnosis(name: str | None) -> str:
    return vocabulary.diagnosis(name).name["en"] if name else ""
