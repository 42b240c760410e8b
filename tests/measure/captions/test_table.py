"""What holds for every caption metric."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from dermaxai.encoders import load_encoder
from dermaxai.measure.captions import CAPTION_METRICS
from dermaxai.measure.captions.cider import Frequencies
from dermaxai.measure.captions.written import Tools, Written
from dermaxai.measure.estimates import estimate
from tests.encoders.tiny import open_clip_folder
from tests.measure.captions.drawing import captions, corpus
from tests.measure.captions.tiny_bert import write_bert

KINDS = {
    "several": [
        Written("1", "A large dark lesion. Melanoma.", ("A dark lesion.", "Melanoma, large.")),
        Written("2", "", ("A small mole.",)),
        Written("3", "Naïve «quotes» – 3.5 мм ½ 🙂", ("Köbner's 3.5 mm",)),
        Written("4", "A small mole.", ("A small mole.",)),
    ],
    "one": [Written("1", "A dark mole.", ("A dark lesion.",))],
    "one empty": [Written("1", "", ("A dark lesion.",))],
    "marks": [Written("1", "?!. ...", ("(;)", "-"))],
    "russian": [
        Written("1", "Тёмно-коричневый очаг.", ("Темный очаг с ровными границами.",), "ru"),
        Written("2", "Невус.", ("Меланома?", "Родинка."), "ru"),
    ],
    "long": [Written("1", "dark mole " * 200, ("a dark mole " * 150,))],
    "none": [],
}


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tools")
    open_clip_folder(folder / "encoder")
    encoder = load_encoder(folder / "encoder", offline=True)
    Frequencies.of([["a dark mole"], ["a lesion"]]).save(folder / "frequencies.json")
    width = encoder.encode_text(["mole"]).shape[1]

    def make(count):
        images = torch.nn.functional.normalize(torch.ones(count, width), dim=-1)
        return Tools(encoder, images, bert, folder / "frequencies.json")

    bert = write_bert(folder / "bert")
    return make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CAPTION_METRICS)
def test_every_metric_answers_whatever_is_written(name, kind, tools):
    written = KINDS[kind]
    scored = CAPTION_METRICS.load(name)(written, tools(len(written)))
    assert scored or not written
    for one in scored:
        assert len(one.parts) == len(written)
        assert one.parts.dtype == np.float64
        assert np.isfinite(one.parts).all()
        found = estimate(one.parts, one.statistic)
        for value in (found.value, found.low, found.high):
            assert math.isnan(value) or one.scale.low - 1e-9 <= value <= one.scale.high + 1e-9
        if kind in ("several", "one"):
            assert not math.isnan(found.value)


def test_names_are_unique_and_scales_say_what_they_are(tools):
    written = KINDS["several"]
    scales = [
        one.scale
        for name in CAPTION_METRICS
        for one in CAPTION_METRICS.load(name)(written, tools(len(written)))
    ]
    names = [scale.name for scale in scales]
    assert len(set(names)) == len(names) == 21
    assert len({scale.title for scale in scales}) == len(scales)
    assert all(scale.unit and scale.low < scale.high for scale in scales)
    own = ("length", "unique_captions", "clip_captions_cut", "clip_references_cut")
    assert all(scale.source for scale in scales if scale.name not in own)


@pytest.mark.parametrize("name", CAPTION_METRICS)
def test_the_order_of_captions_does_not_matter(name, tools):
    written = KINDS["several"]
    metric = CAPTION_METRICS.load(name)
    ahead, back = (corpus(metric, some, tools(len(written))) for some in (written, written[::-1]))
    assert ahead == pytest.approx(back, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", CAPTION_METRICS)
def test_twice_the_same_numbers(name, tools):
    written = KINDS["several"]
    first, second = (CAPTION_METRICS.load(name)(written, tools(len(written))) for _ in range(2))
    assert all(np.array_equal(one.parts, other.parts) for one, other in zip(first, second, strict=True))


@settings(max_examples=30)
@given(captions)
def test_metrics_of_words_need_no_model_and_stay_in_their_range(written):
    for name in ("bleu", "rouge_l", "meteor", "cider_d", "length", "distinct"):
        for one in CAPTION_METRICS.load(name)(written, Tools()):
            value = corpus(lambda *_, one=one: [one], written)[0]
            assert math.isnan(value) or one.scale.low <= value <= one.scale.high + 1e-9


def test_reading_the_table_imports_nothing(heavy_after):
    code = "import dermaxai.measure.captions as room; list(room.CAPTION_METRICS)"
    assert not set(heavy_after(code)) & {"torch", "transformers", "open_clip"}


def test_metrics_of_words_load_no_model(heavy_after):
    code = (
        "from dermaxai.measure.captions import CAPTION_METRICS as table\n"
        "from dermaxai.measure.captions.written import Tools, Written\n"
        "[table.load(name)([Written('1', 'a mole', ('a mole',))], Tools()) for name in table]"
    )
    assert not set(heavy_after(code)) & {"torch", "transformers", "open_clip"}
