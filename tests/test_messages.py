import json
import re
import subprocess
import sys
from importlib import resources

import pytest

from dermaxai.errors import DermaXAIError
from dermaxai.i18n import LANGUAGES
from dermaxai.messages import (
    DEEPEST,
    LONGEST,
    SENTENCES,
    places,
    said,
    said_lists,
    templates,
    translated,
    with_said,
)
from tests.said_in_code import every_text, said_phrases, said_texts, unread

OTHERS = [language for language in LANGUAGES if language != "en"]
NOT_SAID = {"{}{}.", "{}.", "{}: {}.", "{}: {}", "private fields", "training mode"}
"""Sentences of other programs only, and words of functions that another one has the name of."""
COMPOSED = {
    "Deletion and Insertion",
    "'the folder of cases'",
    "{}: a text of one line without control characters is expected.",
    "{}: a token or a pseudonym is expected, and not both.",
    "{}: {} unknown: {}.",
}
OF_LIBRARIES = {
    "image file is truncated",
    "image file is truncated ({} bytes not processed)",
    "broken data stream when reading image file",
    "cannot load this image",
    "unrecognized data stream contents when reading image file",
    "Truncated File Read",
    "{}: field required.",
    "{}: string should have at most {} characters.",
    "{}: string should have at least {} character.",
    "{}: string should have at least {} characters.",
    "{}: input should be a valid integer, unable to parse string as an integer.",
    "{}: input should be greater than or equal to {}.",
    "{}: input should be less than or equal to {}.",
}
"""What Pillow says of a damaged photo, and Pydantic of a request that is not as described."""
READ_ELSEWHERE = {
    ("api/decoding.py", "error.message"),
    ("api/decoding.py", "error.hint"),
    ("api/errors.py", "message"),
    ("api/errors.py", "hint"),
    ("api/limits.py", "message"),
    ("api/trail.py", "one.message"),
    ("jobs/queue.py", "error.message"),
    ("jobs/queue.py", "error.hint"),
    ("jobs/supervisor.py", "message"),
}
"""Errors that are handed on; what they say is found where they are made."""
OF_FILES = {
    ("encoders/hub.py", "wanted.hint"),
    ("encoders/weights.py", "' '.join(card.notes[:1])"),
    ("settings.py", "f'{len(lines)} setting(s) cannot be used: ' + '; '.join(lines) + '.'"),
}
"""Words of a card, or of the library that checks settings: they stay English."""


def table(language):
    file = resources.files("dermaxai").joinpath(f"locale/{language}/messages.json")
    return json.loads(file.read_text("utf-8"))


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_that_a_reader_may_see_is_translated(language):
    known = table(language)
    said_here = [*said_texts(), *said_phrases()]
    assert len(said_here) > 500
    lacking = sorted({one for one in said_here if one[2] not in known and one[2] not in NOT_SAID})
    assert not lacking, f"locale/{language}/messages.json lacks: {lacking}"


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_translated_that_nobody_says(language):
    stale = set(table(language)) - every_text() - COMPOSED - OF_LIBRARIES
    assert not stale


def test_messages_are_written_down_where_they_can_be_found():
    assert set(unread()) == READ_ELSEWHERE | OF_FILES


@pytest.mark.parametrize("language", OTHERS)
def test_both_languages_have_the_same_places(language):
    for english, other in table(language).items():
        wanted = list(range(english.count("{}")))
        assert sorted({number for number, _ in places(other)}) == wanted, english
        numbered = re.findall(r"\{(\d?)", re.sub(r"\{\W", "", other))
        assert len({bool(number) for number in numbered}) <= 1, f"numbers for all places or none: {other}"


def test_russian_is_russian():
    for english, russian in table("ru").items():
        assert re.search("[а-яё]", russian), english
        assert english.endswith(".") == russian.endswith(".") or "pip install" in russian + english, english


def test_every_sentence_finds_itself_among_all():
    """With values that are unlike any sentence, the sentence that made a text is the one that is found."""
    for template in templates("ru"):
        values = [f"§{number}" for number in range(len(template.between) - 1)]
        text = "".join(part + value for part, value in zip(template.between, [*values, ""], strict=True))
        if "said}" in template.other:
            assert translated(text, "ru") is None
        else:
            told = translated(text, "ru")
            assert told is not None, text
            assert all(value in told for value in values), text


@pytest.mark.parametrize(
    ("english", "russian"),
    [
        ("'a {b}.jpg' is empty (0 bytes).", "«a {b}.jpg» пуст (0 байт)."),
        ("The file is empty (0 bytes).", "Файл пуст (0 байт)."),
        ("The file is a folder, not a photo.", "Файл — папка, а не фото."),
        (
            "'x.jpg' has 61.2 MB; at most 50.0 MB are read.",
            "«x.jpg» занимает 61,2 МБ; читается не больше 50,0 МБ.",
        ),
        (
            "'x.png' has more than 10,000 chunks, too much work to read.",
            "«x.png» не прочитан: в нём больше 10\N{NO-BREAK SPACE}000 блоков, это слишком много работы.",
        ),
        (
            "The file is damaged or cut off: image file is truncated (7 bytes not processed).",
            "Файл повреждён или обрезан: файл обрывается (не прочитано байт: 7).",
        ),
        (
            "The file is damaged or cut off: cannot load this image.",
            "Файл повреждён или обрезан: изображение не читается.",
        ),
        (
            "'convis' was left out: 'convis' does not look into the text.",
            "Метод «ConVis» не использован. Метод «ConVis» не заглядывает в текст.",
        ),
        (
            "'rollout' tells nothing of the text: 'rollout' on 'demo': the published form knows no words of "
            "a caption.",
            "О тексте метод «Attention rollout» ничего не говорит. Метод «Attention rollout» с энкодером "
            "«demo»: опубликованная форма не знает слов описания.",
        ),
        (
            "No explanation method is called 'grad_clip'. Did you mean 'grad_eclip'? Known: evidence.",
            "Нет такого имени (метод объяснения): «grad_clip». Возможно, «grad_eclip»? Известны: evidence.",
        ),
        (
            "There is no case 'a1'. The list of cases shows what there is.",
            "Случая «a1» нет. Что есть, показано в списке случаев.",
        ),
    ],
)
def test_a_message_in_russian(english, russian):
    assert translated(english, "ru") == russian
    assert translated(english, "en") == english


@pytest.mark.parametrize(
    "text",
    [
        "Nobody has ever said this.",
        "'convis' was left out: for a reason that nobody knows.",
        "Send less. Nobody has ever said this.",
        "Send less. " * (LONGEST // 10),
        "a is empty. " * (SENTENCES + 1) + "!",
        "'a': " * (LONGEST // 5),
        "'a' on 'b': " * (DEEPEST + 1) + "Send less.",
    ],
)
def test_what_is_not_known_stays_as_it_is(text):
    assert translated(text, "ru") is None


def test_a_value_is_no_message():
    """Somebody may call a photo as this program talks."""
    assert translated("'Send less.' is empty (0 bytes).", "ru") == "«Send less.» пуст (0 байт)."


def test_the_parts_of_an_error():
    error = DermaXAIError("There is no job 7.", hint="Nobody has ever said this.")
    fault = {"error": "NotFound", "message": error.message, "hint": error.hint}
    assert with_said(fault) == {**fault, "said": {"ru": {"message": "Задания 7 нет."}}}
    assert with_said(None) is None
    assert said(message="Nobody has ever said this.") == {}


def test_lists_of_messages():
    known, unknown = "There is no job 7.", "Nobody has ever said this."
    assert said_lists(a=[unknown, known], b=[unknown]) == {"ru": {"a": [None, "Задания 7 нет."]}}
    assert said_lists(a=[unknown]) == said_lists(a=[]) == {}


def test_no_torch():
    check = (
        "import sys, dermaxai.messages as m; m.translated('Send less.', 'ru'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
