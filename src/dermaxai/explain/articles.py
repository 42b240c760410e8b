"""English 'a' and 'an' follow the sound of the next word, so their choice is a part of that word's choice.

Left to itself, 'an' would take all the evidence of 'irregular': once it is said, no 'regular' can follow.
"""

from __future__ import annotations

from dermaxai.types import Caption

ARTICLES = frozenset({"a", "an"})
VOWELS = frozenset("aeiou")


def is_article(caption: Caption, index: int) -> bool:
    """Whether a word is an English article with a word directly after it."""
    words = caption.words
    return (
        caption.language == "en"
        and words[index].text.casefold() in ARTICLES
        and index + 1 < len(words)
        and caption.text[words[index].stop : words[index + 1].start].isspace()
    )


def first_of(caption: Caption, index: int) -> int:
    """Index of the word with which the choice of word `index` begins: its article, or itself."""
    return index - 1 if index > 0 and is_article(caption, index - 1) else index


def decided_tokens(caption: Caption, index: int) -> tuple[int, ...]:
    """Positions of the tokens whose choice is the choice of a word; none for an article."""
    if is_article(caption, index):
        return ()
    return tuple(
        place for word in range(first_of(caption, index), index + 1) for place in caption.words[word].tokens
    )


def with_article(caption: Caption, index: int, against: str) -> str:
    """A rival word as it would be said in the place of word `index`.

    The article is the one its first letter asks for.
    """
    if first_of(caption, index) == index or not any(map(str.isalnum, against)):
        return against
    article = "an" if against[:1].lower() in VOWELS else "a"
    capital = caption.words[first_of(caption, index)].text[:1].isupper()
    return f"{article.capitalize() if capital else article} {against}"
