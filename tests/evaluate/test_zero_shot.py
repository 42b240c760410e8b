import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from dermaxai import vocabulary
from dermaxai.data.samples import Sample
from dermaxai.encoders.cards import card_names
from dermaxai.errors import SettingError
from dermaxai.evaluate.class_names import class_names, published_classes
from dermaxai.evaluate.classification import Classified
from dermaxai.evaluate.embeddings import Embedded, embed_items
from dermaxai.evaluate.gathering import gather
from dermaxai.evaluate.items import Item
from dermaxai.evaluate.zero_shot import (
    MAJORITY,
    classify,
    left_out,
    prompts_of,
    rare_classes,
    zero_shot_columns,
)
from dermaxai.measure.estimates import evaluate_all
from tests.evaluate.small_set import draw_items

HAM = Path(os.environ.get("DERMAXAI_DATA", Path(__file__).parents[2].parent / "shared/data")) / "ham10000"
IDS = Path(__file__).parents[2] / "recipes" / "ham10000_test_ids.txt"


def item(number, diagnosis, dataset="ham10000"):
    sample = Sample(f"{dataset}/{number}", dataset, None, "", diagnosis=diagnosis)
    return Item(sample.id, Path("none"), f"{number:064d}", sample)


@pytest.fixture(scope="module")
def embedded(model, tmp_path_factory):
    return embed_items(model.encoder, draw_items(tmp_path_factory.mktemp("set"), 6))


def test_published_names_are_diagnoses_of_their_dataset():
    for dataset in ("ham10000", "pad_ufes_20"):
        mapped = {one.diagnosis for table in vocabulary.labels(dataset).values() for one in table.values()}
        assert set(published_classes(dataset)) == mapped
        for spelling in ("derm1m",) if dataset == "pad_ufes_20" else ("derm1m", "demo"):
            assert set(class_names(dataset, "make", [], spelling).diagnoses) == mapped


def test_authors_decide_by_encoder_and_dataset():
    some = [item(0, "psoriasis", "elsewhere"), item(1, "melanoma", "elsewhere"), item(2, None, "elsewhere")]
    assert class_names("ham10000", "make", []).names["melanocytic_nevus"] == "nevus"
    assert class_names("ham10000", "demo", []).names["melanocytic_nevus"] == "melanocytic nevus"
    assert class_names("pad_ufes_20", "demo", []).names["melanocytic_nevus"] == "nevus"
    assert class_names("elsewhere", "make", some).diagnoses == ("melanoma", "psoriasis")
    with pytest.raises(SettingError, match="not for 'elsewhere'"):
        class_names("elsewhere", "make", some, "derm1m")
    with pytest.raises(SettingError, match="spelled as"):
        class_names("ham10000", "make", [], "mine")


def test_cards_hold_the_prompts_of_their_authors():
    from dermaxai.encoders.cards import read_card

    for name in ("dermlip-vit-b16", "dermlip-panderm-base", "make"):
        prompts = read_card(name).templates
        assert len(prompts) == 8
        assert prompts[0] == "This is a skin image of {}"
    assert all(read_card(name).templates for name in card_names() if read_card(name).has_text)


def slow_scores(encoder, image, names, templates):
    """One text after the other, as CLIP's paper says."""
    found = []
    for name in names:
        texts = torch.stack([encoder.encode_text([template.format(name)])[0] for template in templates])
        mean = (texts / texts.norm(dim=1, keepdim=True)).mean(0)
        found.append(float(mean / mean.norm() @ torch.from_numpy(image)))
    return found


def test_scores_are_cosines_with_averaged_prompts(model, embedded):
    names = class_names("ham10000", "demo", [])
    templates = ("dermoscopy of {}", "a dark {} of the skin", "{}")
    found = classify(model.encoder, embedded, names, templates)
    expected = [
        slow_scores(model.encoder, image, names.names.values(), templates) for image in embedded.values
    ]
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)
    assert [found.classes[one] for one in found.labels] == [one.sample.diagnosis for one in embedded.items]


def test_photos_that_are_of_no_class_are_left_out_and_told(model, embedded):
    items = list(embedded.items)
    items[0] = dataclasses.replace(items[0], sample=dataclasses.replace(items[0].sample, diagnosis=None))
    items[1] = dataclasses.replace(items[1], sample=dataclasses.replace(items[1].sample, diagnosis="acne"))
    changed = Embedded(tuple(items), embedded.values)
    names = class_names("ham10000", "demo", [])
    assert classify(model.encoder, changed, names).rows == tuple(one.id for one in items[2:])
    told = left_out(changed, names).sentences("set")
    assert told == [
        "set: 1 photos without a diagnosis are left out.",
        "set: 1 photos of other diagnoses than the classes are left out.",
    ]


def test_the_majority_stands_beside(model, embedded):
    found = classify(model.encoder, embedded, class_names("ham10000", "demo", []))
    columns = [one for one in zero_shot_columns("tiny", "set", found) if one.contestant == MAJORITY]
    value = {one.scale.name: evaluate_all(one.parts, one.statistic) for one in columns}
    assert all(one.is_baseline for one in columns)
    assert value == pytest.approx({"accuracy": 1 / 3, "balanced_accuracy": 1 / 3, "auroc": 0.5})


def test_the_prompts_are_the_cards(model):
    assert prompts_of(model.encoder) == (model.encoder.card.templates or ("{}",))


@pytest.mark.shared
@pytest.mark.skipif(not HAM.is_dir(), reason="needs the HAM10000 photos beside the repository")
def test_a_share_of_the_embedded_models_figures(tmp_path):
    """The same answers as the figures of the model card are made of, on every 25th test photo."""
    from dermaxai.embedded.clip import MEAN, STD
    from dermaxai.embedded.lesions import DIAGNOSES
    from dermaxai.images import read_image
    from dermaxai.pipeline import load
    from dermaxai.statements import TERMS

    encoder = load("demo").encoder
    short = tmp_path / "ids.txt"
    short.write_text("\n".join(IDS.read_text().split()[::25]))
    items = gather([f"ham10000={HAM}"], ids=short)
    names = class_names("ham10000", "demo", [])
    found = classify(encoder, embed_items(encoder, items), names)
    texts = torch.stack(
        [encoder.encode_text([f"dermoscopy of {TERMS['diagnosis'][one]['en']}"])[0] for one in DIAGNOSES]
    )
    photos = np.stack([read_image(one.path).pixels for one in items])
    pixels = (torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
    answers = (encoder.forward(pixels).pooled @ texts.T).argmax(1)
    ours = [list(names.names.values())[one] for one in found.scores.argmax(1)]
    assert ours == [TERMS["diagnosis"][DIAGNOSES[one]]["en"] for one in answers.tolist()]


def test_classes_of_few_photos_are_told():
    labels = np.array([0] * 10 + [1] * 3)
    rows = tuple(str(row) for row in range(13))
    found = Classified(rows, np.zeros((13, 2)), labels, ("melanoma", "basal_cell_carcinoma"))
    (told,) = rare_classes("d, zero-shot", found)
    assert told.endswith(": basal cell carcinoma 3.")
    assert "melanoma" not in told
    many = Classified(rows[:10], np.zeros((10, 1)), labels[:10], ("melanoma",))
    assert rare_classes("d, zero-shot", many) == []
