"""Every study of the repository can be read, and names what there is."""

from pathlib import Path

import pytest

from dermaxai.explain import METHODS
from dermaxai.study.recipe import read_study

HOME = Path(__file__).parents[2] / "recipes"
STUDIES = sorted(path for path in HOME.rglob("*.toml") if "[study]" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_it_is_read_and_its_head_tells_how_it_is_started(path):
    study = read_study(path)
    assert study.study.name == path.stem
    head = path.read_text(encoding="utf-8").split("[study]")[0]
    assert f"dermaxai study {path.relative_to(HOME.parent).as_posix()}" in head


def test_the_claims_of_the_brief_are_tested_as_they_stand():
    study = read_study(HOME / "brief_ranking.toml")
    rankings = {claim.name: claim.ranking for claim in study.claim}
    assert rankings == {
        "pixel_methods": ("xgrad_cam", "grad_cam_plusplus", "grad_cam", "score_cam"),
        "concept_methods": ("splice", "convis"),
    }
    for claim in study.claim:
        plans = [section for title, section in study.plans("explanations") if title in claim.plans]
        assert (
            {name for plan in plans for name in plan.options["methods"]} == set(claim.ranking) <= set(METHODS)
        )
        assert not claim.conditions
        measured = {name for plan in plans for name in plan.options["metrics"]}
        assert claim.metrics == () or set(claim.metrics) == measured | {"concept_auroc"}
    asked = {name for _, section in study.plans("explanations") for name in section.options["questions"]}
    assert asked == {"word", "query", "concept"}
