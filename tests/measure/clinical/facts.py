"""Facts drawn at random, and captions that state them."""

from hypothesis import strategies as st

from dermaxai import vocabulary
from dermaxai.measure.clinical.stated import Stated
from dermaxai.statements import TERMS
from dermaxai.statements.clinical import ClinicalFacts, wordings_of_clinical
from dermaxai.statements.reading import Reading, read_clinical
from dermaxai.statements.scope import Mention
from dermaxai.statements.words import FINDINGS, SILENT, SITES

LANGUAGES = ("en", "ru")
SAYABLE = [name for name in vocabulary.diagnoses() if name not in SILENT]
FEW_FINDINGS = ("ulcer", "crust", "papule", "scale")
FEW_DIAGNOSES = (
    "melanoma",
    "melanoma_in_situ",
    "nodular_melanoma",
    "melanocytic_nevus",
    "blue_nevus",
    "basal_cell_carcinoma",
    "actinic_keratosis_or_intraepithelial_carcinoma_akiec",
    "melanocytic",
)
OUTLINE = ("size", "symmetry", "border")


def some(names, most):
    return st.lists(st.sampled_from(list(names)), max_size=most, unique=True).map(tuple)


def maybe(names):
    return st.sampled_from([None, *names])


@st.composite
def facts(draw, findings=tuple(FINDINGS), diagnoses=tuple(SAYABLE)):
    """As a caption may state them; a finding is not both seen and absent."""
    outline = [draw(maybe(TERMS[slot])) for slot in OUTLINE]
    present, diagnosis = draw(some(findings, 4)), draw(maybe(diagnoses))
    return ClinicalFacts(
        *outline,
        unclear=draw(st.booleans()) and not any(outline),
        colours=draw(some(TERMS["colour"], 2)),
        diagnosis=diagnosis,
        other_diagnoses=tuple(name for name in draw(some(diagnoses, 2)) if name != diagnosis),
        present=present,
        absent=tuple(name for name in draw(some(findings, 3)) if name not in present),
        site=draw(maybe(SITES)),
        modality=draw(maybe(("dermoscopic", "clinical"))),
        age=draw(st.one_of(st.none(), st.integers(0, 120))),
        sex=draw(maybe(("female", "male"))),
    )


FEW = facts(FEW_FINDINGS, FEW_DIAGNOSES)
"""Facts that often meet."""


def say(told, language="en", number=0):
    return " ".join(options[number % len(options)] for options, _ in wordings_of_clinical(told, language))


def gold(told, language="en", number=0):
    """A caption that says exactly what is known, beside itself as reference."""
    reading = read_clinical(say(told, language, number), language)
    return Stated("photo", reading, (reading,), told, language)


def stated(text, references=(), known=None, confidences=()):
    return Stated(
        "photo",
        read_clinical(text, "en"),
        tuple(read_clinical(one, "en") for one in references),
        known or ClinicalFacts(),
        "en",
        tuple(confidences),
    )


def findings(**polarities):
    """A reading that names findings: `findings(ulcer='negated')`."""
    return Reading(
        tuple(
            Mention("finding", name, polarity, place, place + 1)
            for place, (name, polarity) in enumerate(polarities.items())
        )
    )


def values(scored):
    """Each number over all rows, by name."""
    from dermaxai.measure.estimates import evaluate_all

    return {one.scale.name: evaluate_all(one.parts, one.statistic) for one in scored}
