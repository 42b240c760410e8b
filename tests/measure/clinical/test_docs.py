"""The page of clinical metrics names every number there is, and no other."""

import re
from pathlib import Path

from dermaxai.measure.clinical import CLINICAL_METRICS
from dermaxai.statements.clinical import ClinicalFacts
from tests.measure.clinical.facts import stated

PAGE = Path(__file__).parents[3] / "docs" / "clinical_metrics.md"


def test_every_number_has_its_row():
    known = ClinicalFacts(
        "large",
        "symmetric",
        "regular",
        colours=("red",),
        diagnosis="melanoma",
        present=("ulcer",),
        site="back",
    )
    nevus = ClinicalFacts(diagnosis="melanocytic_nevus")
    rows = [
        stated("A large lesion. An ulcer.", ["No ulcer."], known, (0.5, 0.5)),
        stated("Melanoma.", ["A crust."], nevus),
    ]
    told = {one.scale.name for name in CLINICAL_METRICS for one in CLINICAL_METRICS.load(name)(rows)}
    tables = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = {name for line in tables for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert named - {"overconfidence_border", "overconfidence_symmetry"} == told
