"""A language the decoder cannot write: facts are read from the English caption and said in templates.

A captioner whose config says `tables = {"templates": ["ru"]}` describes in Russian this way. Nothing is
translated: what the English caption states in the words of the vocabulary is stated again, the rest is left
out. Each Russian word that states a fact has the tokens of the English words that state it, so its
probability, evidence and maps are theirs; the other words have no tokens and owe nothing to the photo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast, get_args

from dermaxai.captioner.config import CaptionerConfig
from dermaxai.captioner.words import word_spans
from dermaxai.errors import SettingError
from dermaxai.statements.clinical import wordings_of_clinical
from dermaxai.statements.reading import Mention, read_clinical
from dermaxai.types import Caption, Language, Word

if TYPE_CHECKING:
    from dermaxai.statements.lexicon import FactSlot

TEMPLATES = "templates"
"""Key in `CaptionerConfig.tables`: languages composed from the facts of the English caption."""
SOURCE: Language = "en"
NOTHING_READ: Mapping[Language, str] = {
    "ru": "В английском описании не найдено признаков, которые можно передать по-русски."
}
_ARTICLES = frozenset({"a", "an"})
_Fact = tuple["FactSlot", str, bool]


def composed_languages(config: CaptionerConfig) -> tuple[Language, ...]:
    """The languages that are composed, not written. Raises: SettingError."""
    named = config.tables.get(TEMPLATES, ())
    known: tuple[Language, ...] = get_args(Language)
    found = tuple(one for one in known if one in named and one not in config.languages)
    if not isinstance(named, list | tuple) or set(named) - set(known):
        raise SettingError(f"tables.{TEMPLATES}: a list of {', '.join(known)} is expected, not {named!r}.")
    if found and SOURCE not in config.languages:
        raise SettingError(f"tables.{TEMPLATES}: only a captioner that writes English can be retold.")
    return found


def written_in(config: CaptionerConfig, language: str) -> Language:
    """The language that the decoder writes where `language` is asked for; unknown ones stay as they are."""
    if TEMPLATES in config.tables and language in composed_languages(config):
        return SOURCE
    return cast(Language, language)


def retell(caption: Caption, language: Language) -> Caption:
    """The facts of an English caption in the plainest sentences of another language.

    Token ids and their log-probabilities stay those of the English caption. Where it states nothing that can
    be read, the text says so, and no word has tokens.
    """
    read = read_clinical(caption.text, SOURCE)
    sentences = [options[0] for options, _ in wordings_of_clinical(read.facts, language)]
    text = " ".join(sentences) or NOTHING_READ[language]
    said = read_clinical(text, language).mentions if sentences else ()
    tokens = {_fact(one): _tokens(caption, one) for one in reversed(read.mentions)}
    words = [_word(text, span, said, tokens, caption.token_logprobs) for span in word_spans(text)]
    return Caption(text, language, tuple(words), caption.token_ids, caption.token_logprobs)


def _word(
    text: str,
    span: tuple[int, int],
    said: Sequence[Mention],
    tokens: Mapping[_Fact, tuple[int, ...]],
    logprobs: Sequence[float],
) -> Word:
    start, stop = span
    stated = next((one for one in said if one.start < stop and start < one.stop), None)
    own = tokens.get(_fact(stated), ()) if stated else ()
    return Word(text[start:stop], start, stop, own, float(sum(logprobs[place] for place in own)))


def _fact(mention: Mention) -> _Fact:
    """What two languages say alike; the order of diagnoses differs, and how sure they are."""
    slot: FactSlot = "diagnosis" if mention.slot == "other diagnosis" else mention.slot
    return slot, mention.value, mention.polarity == "negated"


def _tokens(caption: Caption, mention: Mention) -> tuple[int, ...]:
    """Of the words that state a fact, with the article whose form they decide."""
    stating = [
        index
        for index, word in enumerate(caption.words)
        if word.start < mention.stop and mention.start < word.stop
    ]
    if stating and stating[0] and caption.words[stating[0] - 1].text.casefold() in _ARTICLES:
        stating.insert(0, stating[0] - 1)
    return tuple(place for index in stating for place in caption.words[index].tokens)
