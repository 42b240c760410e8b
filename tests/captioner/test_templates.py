"""Russian of a decoder that writes English: its facts again, word for word with the English tokens."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

import dermaxai
from dermaxai.captioner.config import LanguagePrompt
from dermaxai.captioner.templates import NOTHING_READ, composed_languages, retell, written_in
from dermaxai.cases import load_case
from dermaxai.errors import NotSupported, SettingError
from dermaxai.loading import demo_folder
from dermaxai.phantom import draw_phantom, sample_plans
from dermaxai.statements.reading import read_clinical
from dermaxai.types import Caption, Word
from tests.captioner import tiny

ENGLISH_ONLY = {"languages": {"en": LanguagePrompt("<en>")}, "tables": {"templates": ["ru"]}}


def caption(text: str) -> Caption:
    """A caption whose every word is one token, number i with log-probability -i."""
    words, start = [], 0
    for index, piece in enumerate(text.split()):
        start = text.index(piece, start)
        bare = piece.strip(".,:;")
        words.append(Word(bare, start, start + len(bare), (index,), -float(index)))
        start += len(piece)
    return Caption(
        text, "en", tuple(words), tuple(range(len(words))), tuple(-float(i) for i in range(len(words)))
    )


@pytest.fixture(scope="module")
def english_only():
    return tiny.captioner(**ENGLISH_ONLY)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The embedded model as if its decoder had never learned Russian."""
    place = tmp_path_factory.mktemp("english") / "demo"
    shutil.copytree(demo_folder(), place)
    path = place / "captioner" / "captioner.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    del table["config"]["languages"]["ru"]
    table["config"]["tables"]["templates"] = ["ru"]
    path.write_text(json.dumps(table), encoding="utf-8")
    return dermaxai.load(place, device="cpu")


@pytest.fixture(scope="module")
def photo():
    return draw_phantom(next(iter(sample_plans(1, seed=31))), seed=0).image


def test_facts_are_retold_with_the_tokens_that_state_them():
    english = caption("An irregular border of a small lesion. No ulcer, possibly basal cell carcinoma.")
    russian = retell(english, "ru")
    assert russian.text == (
        "Мелкое образование с неровной границей. Нет язвы. Возможный диагноз: базальноклеточный рак кожи."
    )
    own = {word.text: word.tokens for word in russian.words}
    assert own == {
        "Мелкое": (4, 5),
        "образование": (),
        "с": (),
        "неровной": (0, 1),
        "границей": (),
        "Нет": (),
        "язвы": (8,),
        "Возможный": (),
        "диагноз": (),
        "базальноклеточный": (10, 11, 12),
        "рак": (10, 11, 12),
        "кожи": (10, 11, 12),
    }
    assert russian.words[russian.find("рак")].logprob == -33.0
    assert all(word.logprob == 0.0 for word in russian.words if not word.tokens)
    assert all(russian.text[word.start : word.stop] == word.text for word in russian.words)
    assert (russian.token_ids, russian.token_logprobs) == (english.token_ids, english.token_logprobs)


def test_nothing_readable_is_said_so():
    russian = retell(caption("A small dog on the sofa."), "ru")
    assert russian.text == NOTHING_READ["ru"]
    assert not any(word.tokens for word in russian.words)
    assert russian.token_ids == tuple(range(6))


def test_a_captioner_describes_and_scores_in_a_language_it_cannot_write(english_only):
    photos = [tiny.encoded(seed) for seed in range(2)]
    assert english_only.languages == ("en", "ru")
    english, russian = (english_only.describe(photos, language, beams=2) for language in ("en", "ru"))
    for one, other in zip(english, russian, strict=True):
        assert other == retell(one, "ru")
        again = english_only.score(photos[0], other.token_ids, "ru")
        assert again.token_logprobs == english_only.score(photos[0], one.token_ids, "en").token_logprobs
        assert again.language == "ru"
    ids = torch.tensor([english[0].token_ids])
    patches = photos[0].patches[None]
    assert torch.equal(english_only.logits(patches, ids, "ru"), english_only.logits(patches, ids, "en"))


def test_what_a_composed_language_cannot(english_only):
    with pytest.raises(NotSupported, match="own language"):
        english_only.score(tiny.encoded(), "меланома", "ru")
    with pytest.raises(NotSupported, match="'ru'"):
        english_only.loss(tiny.patches(1), ["очаг"], ["ru"])
    with pytest.raises(NotSupported, match="'ru'"):
        tiny.captioner(languages={"en": LanguagePrompt("<en>")}).describe(tiny.encoded(), "ru")


def test_a_language_that_is_written_is_not_composed():
    made = tiny.captioner(tables={"templates": ["ru"]})
    assert composed_languages(made.config) == ()
    assert made.languages == ("en", "ru")
    assert written_in(made.config, "ru") == "ru"


@pytest.mark.parametrize("named", [["de"], "ru", {"ru": 1}])
def test_tables_that_cannot_work(named):
    with pytest.raises(SettingError, match="templates"):
        tiny.captioner(languages={"en": LanguagePrompt("<en>")}, tables={"templates": named})


def test_only_english_can_be_retold():
    with pytest.raises(SettingError, match="English"):
        tiny.captioner(languages={"ru": LanguagePrompt("<ru>")}, tables={"templates": ["en"]})


def test_russian_maps_are_those_of_the_english_words(demo, photo, tmp_path):
    russian, english = (demo.explain(photo, ["evidence"], lang=language) for language in ("ru", "en"))
    assert russian.captions[1] == english.caption
    assert read_clinical(russian.caption.text, "ru").facts == read_clinical(english.caption.text, "en").facts
    size = russian.caption.words[0]
    theirs = english.caption.words[1]
    assert size.tokens == (*english.caption.words[0].tokens, *theirs.tokens)
    assert russian.evidence[0].nats == pytest.approx(english.evidence[1].nats, abs=1e-4)
    own, other = russian.map(size.text, "evidence"), english.map(theirs.text, "evidence")
    assert own.values == pytest.approx(other.values, abs=1e-4)
    assert not any(
        russian.evidence[i].from_image for i, word in enumerate(russian.caption.words) if not word.tokens
    )
    again = load_case(russian.save(tmp_path / "case"))
    assert again.caption == russian.caption
    assert russian.report(tmp_path / "report.html").stat().st_size > 1000


def test_a_template_s_own_word_has_an_empty_map(demo, photo):
    case = demo.describe(photo, "ru")[0]
    case = demo.ask(case, "образование", kind="word")
    assert not case.maps[0].values.any()


@pytest.mark.parametrize("rival", ["красное", "red"])
def test_rivals_of_composed_words_are_refused(demo, photo, rival):
    case = demo.describe(photo, "ru")[0]
    with pytest.raises(NotSupported, match="composed here"):
        demo.contrast(case, case.caption.words[1].text, rival)
