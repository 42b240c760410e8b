"""The English text of Russian words, so that an encoder that reads English can be asked about them.

Words are found in any inflected form (see `inflection`). A word or phrase that is not known, or that may mean
two things, has no answer: a map of the wrong word would be worse than none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from dermaxai.concepts.inflection import PhraseBook, same_word, words_of
from dermaxai.concepts.tree import ConceptNode, Kind, bare, read_tree
from dermaxai.statements import TERMS

JOINING: Mapping[str, str] = {
    "с": "with",
    "со": "with",
    "без": "without",
    "и": "and",
    "или": "or",
    "на": "on",
    "в": "in",
}
"""Function words that hold a phrase together; alone they ask for no place in the photo."""
FUNCTION_WORDS = frozenset(JOINING) | {"для", "его", "ее", "их", "это", "а", "по", "к", "у", "от", "из"}
MEANINGLESS_IN_FRONT = frozenset({"с", "со", "и", "или", "на", "в", "для", "его", "ее", "их", "это"})
"""May be left away at the beginning of a phrase; 'без' may not."""

ADJECTIVES: Mapping[str, str] = {
    "средний": "medium-sized",
    "чёткий": "clear",
    "нечёткий": "unclear",
    "возможный": "possible",
    "вероятный": "probable",
    "сосудистый": "vascular",
    "меланоцитарный": "melanocytic",
    "базальноклеточный": "basal cell",
    "плоскоклеточный": "squamous cell",
    "внутриэпителиальный": "intraepithelial",
    "актинический": "actinic",
    "себорейный": "seborrheic",
    "доброкачественный": "benign",
    "злокачественный": "malignant",
    "воспалительный": "inflammatory",
    "кожный": "skin",
    "тёмный": "dark",
    "светлый": "light",
    "бледный": "pale",
    "яркий": "bright",
    "рубцовый": "scar",
    "гнойный": "purulent",
    "отёчный": "swollen",
    "эритематозный": "erythematous",
    "атрофический": "atrophic",
    "геморрагический": "hemorrhagic",
    "видно": "visible",
}
"""Of captions and diagnoses, beside those of `TERMS` and of the tree."""
NOUNS: Mapping[str, str] = {
    "образование": "lesion",
    "очаг": "lesion",
    "граница": "border",
    "край": "border",
    "очертания": "outline",
    "цвет": "colour",
    "диагноз": "diagnosis",
    "рассмотрение": "consideration",
    "кожа": "skin",
    "рак": "cancer",
    "кератоз": "keratosis",
    "карцинома": "carcinoma",
    "невус": "nevus",
    "родинка": "mole",
    "поверхность": "surface",
    "участок": "area",
    "зона": "area",
    "центр": "centre",
    "линия": "line",
    "сосуд": "vessel",
}
"""Nouns of captions and diagnoses."""
ADJECTIVE_KINDS: tuple[Kind, ...] = ("colour", "shape", "finding")
ADJECTIVE = re.compile(r"[\w-]{3,}(ый|ий|ой)")


def english_of(text: str) -> str | None:
    """The English text of a Russian word or phrase as captions write it; None where there is no sure answer.

    None too for function words alone, for English, and for a word with several meanings.

    >>> english_of("неровной"), english_of("с тёмно-коричневой границей"), english_of("без")
    ('irregular', 'dark brown border', None)
    """
    words = words_of(text)
    if not re.search("[а-я]", " ".join(words)):
        return None
    if (whole := _known(words)) is not None:
        return whole
    while words and words[0] in MEANINGLESS_IN_FRONT:
        words = words[1:]
    return _joined(words)


def _joined(words: Sequence[str]) -> str | None:
    """The parts between joining words, each translated; None where one of them is empty or not known."""
    said: list[str] = []
    part: list[str] = []
    for word in words:
        if word not in JOINING:
            part.append(word)
            continue
        if part or said:
            said.append(_described(part) or "")
        said.append(JOINING[word])
        part = []
    said.append(_described(part) or "")
    return " ".join(said) if all(said) else None


def _described(words: Sequence[str]) -> str | None:
    """A caption's phrase, a concept, or adjectives before one of them."""
    if not words:
        return None
    return _known(words) or _after_adjective(words, _described)


def _known(words: Sequence[str]) -> str | None:
    """A concept's name, before adjectives with a noun, before a concept's synonym.

    So 'красный цвет' is 'red', while 'неровный край' says more than its concept, 'irregular'.
    """
    concepts = read_tree().matches(" ".join(words), "ru")
    named = [node for node in concepts if _same_phrase(words, words_of(bare(node.names["ru"])))]
    return (
        _only(_captions().find(" ".join(words)))
        or _only([bare(node.names["en"]) for node in named])
        or _captioned(words)
        or _only([bare(node.names["en"]) for node in concepts])
    )


def _same_phrase(first: Sequence[str], second: Sequence[str]) -> bool:
    return len(first) == len(second) and all(map(same_word, first, second))


def _captioned(words: Sequence[str]) -> str | None:
    """What captions say, or adjectives before it."""
    if not words:
        return None
    return _only(_captions().find(" ".join(words))) or _after_adjective(words, _captioned)


def _after_adjective(words: Sequence[str], of_rest: Callable[[Sequence[str]], str | None]) -> str | None:
    """Russian and English put adjectives in the same order, so that these may be translated one by one."""
    adjective = _only(_adjectives().find(words[0]))
    rest = of_rest(words[1:])
    return f"{adjective} {rest}" if adjective and rest else None


def _only(found: Sequence[str]) -> str | None:
    return found[0] if len(set(found)) == 1 else None


@functools.cache
def _captions() -> PhraseBook[str]:
    """The closed set of words and phrases that captions are made of."""
    terms = [(names["ru"], names["en"]) for slot in TERMS.values() for names in slot.values()]
    return PhraseBook([*terms, *ADJECTIVES.items(), *NOUNS.items()])


@functools.cache
def _adjectives() -> PhraseBook[str]:
    """Single words that may stand before a noun."""
    slots = [names for slot, terms in TERMS.items() if slot != "diagnosis" for names in terms.values()]
    told = {**{names["ru"]: names["en"] for names in slots}, **ADJECTIVES}
    known = PhraseBook([(word, word) for word in told])
    of_tree = {word: bare(node.names["en"]) for node, word in _adjectives_of_tree() if not known.find(word)}
    return PhraseBook([*told.items(), *of_tree.items()])


def _adjectives_of_tree() -> Iterator[tuple[ConceptNode, str]]:
    """Those of nodes whose own name is an adjective, so that their English name is one too."""
    for node in read_tree().atoms(ADJECTIVE_KINDS):
        own = bare(node.names["ru"]).removesuffix(" цвет")
        if ADJECTIVE.fullmatch(own):
            yield from ((node, text) for text in (own, *node.synonyms["ru"]) if ADJECTIVE.fullmatch(text))
