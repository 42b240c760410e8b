"""The batch of rivals against the same question asked one piece at a time, without any cache."""

import math

import pytest
import torch

import dermaxai
from dermaxai.captioner import load_t5
from dermaxai.captioner.alternatives import LEAST, LONGEST, LOOKED_AT, MOST, find_alternatives
from dermaxai.captioner.config import LanguagePrompt
from dermaxai.captioner.decoder import T5Base
from dermaxai.captioner.words import decode, words_of
from dermaxai.phantom import draw_phantom, sample_plans
from tests.captioner import tiny

PROMPTS = {"en": LanguagePrompt(encoder_prompt="large lesion"), "ru": LanguagePrompt(encoder_prompt="очаг")}
PHOTO = tiny.encoded(3)


def next_piece(captioner, photo, ids, language):
    """Log-probabilities behind some pieces, by a whole teacher-forced pass."""
    with torch.inference_mode():
        rows = torch.tensor([[*ids, captioner.prompts.end]])
        logits = captioner.logits(photo.patches[None], rows, language)[0, len(ids)]
    values = logits.float().log_softmax(-1)
    values[captioner.prompts.forbidden()] = -torch.inf
    return values


def finish(captioner, photo, caption, index, piece):
    """Text and log-probability of the word that begins with `piece` in the place of word `index`; or None."""
    word, tokenizer = caption.words[index], captioner.tokenizer
    place = word.tokens[0]
    before, said = list(caption.token_ids[:place]), [piece]
    values = [float(next_piece(captioner, photo, before, caption.language)[piece])]
    for _ in range(LONGEST):
        best = next_piece(captioner, photo, [*before, *said], caption.language).max(-1)
        said.append(int(best.indices))
        values.append(float(best.values))
        text = decode([*before, *said], tokenizer)
        words = words_of(text, [*before, *said], tokenizer, [0.0] * len(before) + values)
        found = next((one for one in words if one.start == word.start), None)
        ended = said[-1] == captioner.prompts.end
        if found and (
            ended or text[found.stop :].strip("-‐‑'’.,\ufffd" if found.text[-1].isdigit() else "-‐‑'’\ufffd")
        ):
            return found.text, found.logprob
        if ended:
            return None
    return None


def asked_one_by_one(captioner, photo, caption, most, least):
    rows = []
    for index, word in enumerate(caption.words):
        before = list(caption.token_ids[: word.tokens[0]])
        values = next_piece(captioner, photo, before, caption.language)
        taken = 0
        for piece in values.argsort(descending=True)[:LOOKED_AT].tolist():
            own = piece in (caption.token_ids[word.tokens[0]], captioner.prompts.end)
            text = decode([*before, piece], captioner.tokenizer)
            head = caption.text[: word.start]
            starts = text == head.rstrip() != head or (
                text.startswith(head)
                and (text[len(head) :][:1].isalnum() or text[len(head) :][:1] == "\ufffd")
            )
            if own or not starts or not values[piece] >= max(least, -1e9) or taken == most:
                continue
            taken += 1
            found = finish(captioner, photo, caption, index, piece)
            if found and found[1] >= least and found[0].casefold() != word.text.casefold():
                rows.append((index, *found))
    best = {}
    for index, text, value in rows:
        best[index, text] = max(value, best.get((index, text), -math.inf))
    ranked = sorted(best.items(), key=lambda pair: (pair[0][0], -pair[1], pair[0][1]))
    return [(index, text, value) for (index, text), value in ranked]


def assert_same(captioner, photo, caption, most=MOST, least=-math.inf):
    found = find_alternatives(captioner, photo, caption, most, least)
    wanted = asked_one_by_one(captioner, photo, caption, most, least)
    assert sorted((one.word, one.text) for one in found) == sorted(row[:2] for row in wanted)
    values = {row[:2]: row[2] for row in wanted}
    for one in found:
        assert one.logprob == pytest.approx(values[one.word, one.text], abs=1e-3)
    return found


@pytest.mark.parametrize(("language", "text"), [("en", tiny.ENGLISH[0]), ("ru", tiny.RUSSIAN[0])])
@pytest.mark.parametrize("prompts", [None, PROMPTS], ids=["prefix", "prompt"])
def test_as_one_by_one(language, text, prompts):
    made = tiny.captioner(**({"languages": prompts, "skip_encoder": False} if prompts else {}))
    caption = made.score(PHOTO, text, language)
    assert assert_same(made, PHOTO, caption)


@pytest.mark.parametrize("kind", ["t5", "mt5"])
def test_pieces_of_sentencepiece(tmp_path, kind):
    tiny.write_t5(tmp_path, kind)
    made = tiny.captioner(base=load_t5(tmp_path), languages={"en": LanguagePrompt(), "ru": LanguagePrompt()})
    for language, text in (("en", tiny.ENGLISH[1]), ("ru", tiny.RUSSIAN[1])):
        assert assert_same(made, PHOTO, made.score(PHOTO, text, language))


def test_pieces_that_are_half_a_letter():
    base = tiny.demo_base()
    bytewise = T5Base(base.model, tiny.byte_tokenizer(), "tiny")
    table = tiny.t5_table(vocabulary=len(tiny.byte_tokenizer()))
    import transformers

    model = tiny.build_t5(transformers.AutoConfig.for_model(**table), tiny.t5_state(table))
    made = tiny.captioner(
        base=T5Base(model, bytewise.tokenizer, "tiny"),
        languages={"en": LanguagePrompt(), "ru": LanguagePrompt()},
    )
    assert_same(made, PHOTO, made.score(PHOTO, tiny.RUSSIAN[2], "ru"))
    assert assert_same(made, PHOTO, made.score(PHOTO, tiny.ENGLISH[2], "en"))


@pytest.fixture(scope="module")
def demo():
    return dermaxai.load("demo")


@pytest.fixture(scope="module")
def lesion():
    return draw_phantom(sample_plans(1, seed=31)[0], seed=0).image


@pytest.mark.parametrize("language", ["en", "ru"])
def test_of_the_embedded_model(demo, lesion, language):
    (encoded,) = demo.encoder.encode([lesion])
    (caption,) = demo.captioner.describe([encoded], language)
    found = assert_same(demo.captioner, encoded, caption, least=LEAST)
    for index, word in enumerate(caption.words):
        rivals = [one for one in found if one.word == index]
        assert [one.logprob for one in rivals] == sorted((one.logprob for one in rivals), reverse=True)
        assert len({one.text for one in rivals} | {word.text}) == len(rivals) + 1 <= MOST + 1
        assert all(LEAST <= one.logprob < 0 for one in rivals)
        told = sum(math.exp(value) for value in [word.logprob, *(one.logprob for one in rivals)])
        assert told <= 1 + 1e-4


def test_what_the_case_says_of_them(demo, lesion):
    english, russian = demo.explain(lesion), demo.explain(lesion, lang="ru")
    sides = {english.caption.words[one.word].text: one.text for one in reversed(english.alternatives)}
    assert {sides.get("symmetric"), sides.get("asymmetric")} & {"symmetric", "asymmetric"}
    whole = {one.text for one in russian.alternatives}
    assert any("-коричневый" in text for text in whole)
    again = demo.explain(lesion)
    assert again.alternatives == english.alternatives


def test_words_of_a_composed_language_have_none(demo, lesion):
    made = tiny.captioner(languages={"en": LanguagePrompt("<en>")}, tables={"templates": ["ru"]})
    (caption,) = made.describe(PHOTO, "ru")
    assert caption.words
    assert find_alternatives(made, PHOTO, caption) == ()
