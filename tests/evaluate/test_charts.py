import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from dermaxai.evaluate.charts import SUFFIXES, draw_figures
from dermaxai.evaluate.items import Curve
from dermaxai.evaluate.summary import summarise
from tests.evaluate.made import make_evaluation

CURVE = Curve(
    "Reliability",
    "en",
    "stated probability",
    "share that is true",
    {"demo": ((0.1, 0.2), (0.9, 0.8)), "nothing": ()},
    diagonal=True,
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    evaluation = dataclasses.replace(make_evaluation(40), curves=(CURVE,))
    folder = tmp_path_factory.mktemp("figures")
    return draw_figures(summarise([evaluation], ["sex"]), [evaluation], folder)


def test_every_figure_in_every_form(drawn):
    stems = sorted({path.stem for path in drawn})
    assert stems == [
        "explanations-en-reliability",
        "explanations-word",
        "explanations-word-by-sex",
        "explanations-word-wins",
    ]
    assert len(drawn) == len(set(drawn)) == len(stems) * len(SUFFIXES)
    assert all(path.stat().st_size > 1000 for path in drawn)


def test_text_is_text_and_nothing_tells_the_time(drawn):
    for path in drawn:
        data = path.read_bytes()
        assert not re.search(rb"20\d\d-\d\d-\d\d|CreationDate|<dc:date>", data)
        if path.suffix == ".pdf":
            assert b"/Type3" not in data
            assert b"/FontFile2" in data
        if path.suffix == ".svg" and path.stem == "explanations-word":
            text = data.decode()
            for word in ("grad_eclip", "random map", "Deletion", "lower is better", "n = 40"):
                assert word in text
            assert "http://" not in re.sub(
                r'xmlns(:\w+)?="[^"]*"|<!DOCTYPE[^>]*>|<rdf.*?</rdf:RDF>', "", text, flags=re.S
            )


def test_nothing_is_cut_off(drawn):
    """The outermost pixels of every picture are paper."""
    for path in drawn:
        if path.suffix == ".png":
            pixels = np.asarray(Image.open(path).convert("L"))
            rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
            assert (rim == 255).all(), path.name
            assert (pixels < 128).any()


def test_series_are_told_apart_without_colour(drawn):
    """Markers differ between contestants, so that a grey print can be read."""
    from dermaxai.evaluate import panels

    assert len(set(panels.MARKERS)) == len(panels.MARKERS) == len(set(panels.COLOURS))


def test_many_contestants_are_split(tmp_path):
    names = tuple(f"a rather long name of a method, number {n}" for n in range(9))
    whole = make_evaluation(31, names)
    deletion = tuple(column for column in whole.columns if column.scale.name == "deletion")
    evaluation = dataclasses.replace(whole, columns=deletion)
    drawn = draw_figures(summarise([evaluation], ["sex"]), [evaluation], tmp_path)
    stems = {path.stem for path in drawn}
    assert {"explanations-word-by-sex-contestants-1", "explanations-word-by-sex-contestants-2"} <= stems
    for path in drawn:
        if path.suffix == ".png":
            pixels = np.asarray(Image.open(path).convert("L"))
            assert (pixels[:, 0] == 255).all()
            assert (pixels[:, -1] == 255).all(), path.name


def test_one_contestant_has_nobody_to_beat(tmp_path):
    evaluation = make_evaluation(31, ("grad_cam",))
    drawn = draw_figures(summarise([evaluation]), [evaluation], tmp_path)
    assert {path.name for path in drawn} == {f"explanations-word{suffix}" for suffix in SUFFIXES}


def test_the_style_ends_with_the_figures(tmp_path):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    evaluation = make_evaluation(8, ("grad_cam",))
    draw_figures(summarise([evaluation]), [evaluation], tmp_path)
    assert dict(mpl.rcParams) == before


def test_matplotlib_waits(heavy_after):
    assert "matplotlib" not in heavy_after("import dermaxai.evaluate.charts")
