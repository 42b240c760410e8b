"""From a photo to a case: encode once, describe, explain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, final

from dermaxai.answers import Answers, add_answers, answer_all, ask_one, find_concepts, glance
from dermaxai.describing import check_outside, other_words, write_captions
from dermaxai.errors import DermaXAIError, NotSupported
from dermaxai.explain.base import Explained
from dermaxai.explain.legible import check_legible
from dermaxai.images import Limits, read_image
from dermaxai.loading import DEMO, Parts, load_parts
from dermaxai.measure.case_scores import QUICK, check_case, measure_case, with_checks
from dermaxai.measure.maps.base import Protocol
from dermaxai.measure.sanity import Check, Tell
from dermaxai.progress import stage
from dermaxai.provenance import (
    check_maker,
    chosen_settings,
    kept_warnings,
    question_words,
    record_maker,
    repeat_command,
    repeatable,
    with_command,
)
from dermaxai.questions import (
    ALL,
    QUERY_METHOD,
    WORD_METHOD,
    checked_text,
    chosen_methods,
    concept_finder,
    default_method,
    find_method,
    in_readable_question,
    in_readable_words,
    measure_words,
    named,
    plan_phrase,
    plan_question,
    plan_questions,
    texts_asked,
)
from dermaxai.scores import JUDGED, replace_scores
from dermaxai.settings import Settings, read_settings
from dermaxai.sharpness import check_blur
from dermaxai.types import Caption, Case, Encoded, Language, SkinImage, Target, TargetKind

if TYPE_CHECKING:
    from typing import Unpack

    from dermaxai.captioner.model import Captioner
    from dermaxai.settings import Choices

Photo = SkinImage | Path | str | bytes
"""A photo, the path of one, or the bytes of a file."""
CAPTION = "caption"
"""What is told of a case that has its captions and nothing else."""
Watch = Callable[[str, Case], None]
"""Told what has come to a case, and the case as far as it is made."""


def load(
    name: str | Path = "demo",
    *,
    source: str | Path | None = None,
    captioner: str | Path | None = None,
    settings: Settings | None = None,
    **changes: Unpack[Choices],
) -> Model:
    """A model by the name of its encoder's card, or by a folder; 'demo' is embedded in the package.

    `source`: folder or file of the encoder's weights, instead of the hub. `captioner`: folder of a captioner
    trained on this encoder; 'demo' and a folder with `encoder/` and `captioner/` inside bring their own.
    Without one the model answers similarity questions only. `changes`: any field of `Settings`, such as
    `device="cpu"`, `dtype="bfloat16"`, `offline=True`.

    Raises: UnknownName, SettingError, WeightsError, NotSupported.
    """
    chosen = settings.model_dump() if settings is not None else {}
    given = {field: value for field, value in changes.items() if value is not None}
    decided = read_settings(**{**chosen, **given})
    named_parts = {"model": "" if name == DEMO else name, "source": source, "captioner": captioner}
    origin = {option: str(value) for option, value in named_parts.items() if value}
    return Model(load_parts(name, source, captioner, decided), decided, origin)


@final
class Model:
    """A frozen encoder, and the captioner that reads it where there is one.

    A photo is encoded once; the latest one is remembered for later questions.
    """

    def __init__(self, parts: Parts, settings: Settings, origin: Mapping[str, str] | None = None) -> None:
        """`origin`: options of the command line that name the parts, for the command that repeats a case."""
        self.encoder = parts.encoder
        self.captioner = parts.captioner
        self.device = parts.device
        self.settings = settings
        self.origin = dict(origin or {})
        self._latest: tuple[SkinImage, Encoded] | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        """In which it can describe; empty without a captioner."""
        return self.captioner.languages if self.captioner else ()

    def read(self, photo: Photo) -> SkinImage:
        """A photo within the limits of the settings. Raises: ImageError."""
        if isinstance(photo, SkinImage):
            return photo
        chosen = self.settings
        return read_image(photo, limits=Limits(chosen.max_bytes, chosen.max_pixels, chosen.min_side))

    def check_language(self, lang: Language) -> Captioner:
        """The captioner, if it writes `lang`. Raises: NotSupported."""
        if self.captioner is None:
            raise NotSupported(
                f"There is no captioner for the encoder '{self.encoder.card.name}'.",
                hint="Give the folder of one that was trained on it (captioner=..., --captioner).",
            )
        if lang not in self.languages:
            raise NotSupported(f"This captioner writes {', '.join(self.languages)}, not '{lang}'.")
        return self.captioner

    def describe(self, images: Photo | Sequence[Photo], lang: Language = "en") -> list[Case]:
        """A case with one caption and no maps for each photo, in order.

        Raises: ImageError; NotSupported without a captioner, or in a language it does not write.
        """
        self.check_language(lang)
        photos = [images] if isinstance(images, Photo) else list(images)
        size = self.settings.batch
        batches = (photos[start : start + size] for start in range(0, len(photos), size))
        return [case for batch in batches for case in self._describe(batch, lang)]

    def explain(
        self,
        image: Photo,
        methods: str | Sequence[str] = (WORD_METHOD,),
        lang: Language = "en",
        queries: str | Sequence[str] = (),
        *,
        measure: bool = False,
        tell: Watch | None = None,
    ) -> Case:
        """Captions in every language, the one in `lang` with its words' maps, and the maps of `queries`.

        Words that owe nothing to the image get no map. A method that compares image and text is asked about
        each word as a text of its own; `queries` go to those methods, by default to Grad-ECLIP. One method
        or query may be given as a plain string. The method 'all' stands for every one that this model can
        answer with; what is left out is told in the case's warnings. `measure`: also say which maps are
        better than random ones, by the protocol `QUICK`.

        `tell` hears of the case as it grows: 'caption', then each method by its name. What was shown is not
        lost then: a method that fails is left out with a warning.

        Raises: ImageError, UnknownName, UsageError; NotSupported for a method that this model cannot answer.
        """
        names = named(methods)
        chosen_methods(names)
        texts = named([checked_text(text) for text in named(queries)])
        if self.captioner is not None or not texts:
            self.check_language(lang)
        photo = self.read(image)
        with self._making() as noted:
            texts = [in_readable_words(text) for text in texts]
            check_legible(self.encoder, texts if self.encoder.has_text else [])
            with stage(CAPTION):
                case = self._captioned(photo, lang, names, texts)
            if tell is not None:
                tell(CAPTION, case)
            answers = self._answer(case, names, texts, tell)
        case = replace(case, warnings=(*case.warnings, *noted), **add_answers(case, answers))
        return self.measure(case, protocol=QUICK) if measure else case

    def extend(self, case: Case, methods: str | Sequence[str], tell: Watch | None = None) -> Case:
        """The case with the maps of more methods, asked about its words and about earlier queries.

        Maps that are there stay as they are, unless the same method is asked again. `tell` as in `explain`.
        Raises: UnknownName, UsageError; NotSupported for a method that this model cannot answer.
        """
        names = named(methods)
        chosen_methods(names)
        with self._making() as noted:
            answers = self._answer(case, names, texts_asked(case), tell)
        command = self._command(["extend", "CASE"], {"method": names})
        return with_command(case, command, noted, self.encoder, **add_answers(case, answers))

    def query(self, case: Case, text: str, method: str = QUERY_METHOD) -> Case:
        """The case with one more map: where the photo matches `text`. Raises: UsageError, NotSupported."""
        return self._ask(case, Target("query", checked_text(text)), method)

    def contrast(self, case: Case, word: str, against: str, method: str = WORD_METHOD) -> Case:
        """The case with one more, signed map: why `word` of the caption rather than `against`.

        `word` may be several words that follow each other, such as 'dark brown'.
        Raises: UsageError where the caption has no such word or it is `against` itself, NotSupported.
        """
        return self._ask(case, plan_phrase(case.caption, word, against), method)

    def ask(
        self,
        case: Case,
        text: str,
        *,
        kind: TargetKind = "query",
        against: str | None = None,
        method: str | None = None,
    ) -> Case:
        """The case with one more map: any kind of question, rather than `against` where that is given.

        Concepts and diagnoses are put into the encoder's prompt templates, a query is taken as typed. Words
        and phrases are the caption's; for kind 'caption' the text is the caption itself, whatever is given.
        By default words are explained by 'evidence', the others by 'grad_eclip'.
        Raises: UsageError, NotSupported.
        """
        target = plan_question(case.caption, text, kind, against)
        return self._ask(case, target, method or default_method(kind))

    def concepts(self, case: Case, method: str = "splice", penalty: float | None = None) -> Case:
        """The case with the clinical concepts that stand for its image, and a map for each of the first.

        `penalty`: weight of the l1 norm, more leaves fewer concepts; by default the method's own.
        Raises: NotSupported for a method that finds none, SettingError.
        """
        finder = concept_finder(method, penalty)
        with self._making() as noted:
            new = find_concepts(finder, self._explained(case.caption), self._encode(case.image))
        command = self._command(["concepts", "CASE"], {"penalty": "" if penalty is None else str(penalty)})
        return with_command(case, command, noted, self.encoder, **add_answers(case, new))

    def measure(
        self,
        case: Case,
        metrics: str | Sequence[str] = JUDGED,
        protocol: Protocol | None = None,
        tell: Tell | None = None,
    ) -> Case:
        """The case with scores of its maps, each beside what random maps get; earlier ones are replaced.

        `metrics`: names of `measure.maps.MAP_METRICS`. One that is not defined for a map is left out, and
        the case's warnings say so. The seed is that of the settings unless `protocol` has its own. `tell`: as
        `measure_case` tells. Raises: UnknownName, NotSupported for a case of another encoder.
        """
        check_maker(case, self.encoder)
        asked = named(metrics), protocol or Protocol(seed=self.settings.seed), tell
        with self._making() as noted:
            found = measure_case(self._explained(case.caption), self._encode(case.image), case, *asked)
        command = self._command(["measure", "CASE"], found.options)
        scores = replace_scores(case.scores, found.scores)
        return with_command(case, command, [*noted, *found.notes], self.encoder, scores=scores)

    def sanity(self, case: Case, methods: str | Sequence[str] = (), tell: Tell | None = None) -> list[Check]:
        """As `measure.case_scores.check_case`. Raises: UsageError, NotSupported for another encoder."""
        check_maker(case, self.encoder)
        asked = named(methods), self.settings.seed, tell
        with self._making():
            return check_case(self._explained(case.caption), self._encode(case.image), case, *asked)

    def keep_checks(self, case: Case, checks: Sequence[Check], methods: str | Sequence[str] = ()) -> Case:
        """The case with what `sanity` found for `methods`, among its scores and in its command."""
        command = self._command(["sanity", "CASE"], {"method": named(methods)})
        return with_command(with_checks(case, checks), command, [], self.encoder)

    # ---- inside -----------------------------------------------------------------------------

    def _captioned(
        self, photo: SkinImage, lang: Language, names: Sequence[str], texts: Sequence[str]
    ) -> Case:
        """The case without maps; `names` and `texts` are what it is asked next."""
        encoded = self._encode(photo)
        captions = write_captions(self.captioner, encoded, lang, self.settings.beams)
        (outside,) = check_outside(self.captioner, [encoded], [photo])
        command = self._command(["explain", "PHOTO"], {"method": names, "lang": lang, "query": texts})
        asked = {"lang": lang, "methods": ", ".join(names)}
        silent = f"There is no captioner for '{self.encoder.card.name}': similarity questions only."
        return Case(
            photo,
            captions,
            record_maker(self.encoder, self.captioner, self.settings, asked=asked, command=command),
            evidence=measure_words(self._explained(captions[0]), encoded),
            outside=outside,
            warnings=() if self.captioner else (silent,),
            alternatives=other_words(self.captioner, encoded, captions[0]),
            blur=check_blur(photo),
        )

    def _answer(self, case: Case, names: Sequence[str], texts: Sequence[str], tell: Watch | None) -> Answers:
        """What the methods say of the case's words and of `texts`."""
        plan = plan_questions(chosen_methods(names), case.caption, case.evidence, texts)
        skip = DermaXAIError if tell else NotSupported if ALL in names else ()
        answers = Answers()
        model = self._explained(case.caption)
        for name, answers in answer_all(model, self._encode(case.image), plan, skip):
            if tell is not None:
                tell(name, glance(case, answers))
        return answers

    def _ask(self, case: Case, target: Target, method: str) -> Case:
        """Add the map of `target` in the place of an older one."""
        asker = find_method(method)
        with self._making() as noted:
            target = in_readable_question(target)
            new = ask_one(asker, self._explained(case.caption), self._encode(case.image), target)
        command = self._command(question_words(target), {"method": method})
        return with_command(case, command, noted, self.encoder, **add_answers(case, new))

    def _describe(self, batch: Sequence[Photo], lang: Language) -> list[Case]:
        captioner = self.check_language(lang)
        photos = [self.read(photo) for photo in batch]
        with self._making() as noted:
            encoded = self.encoder.encode(photos)
            captions = captioner.describe(encoded, lang, beams=self.settings.beams)
            outside = check_outside(captioner, encoded, photos)
        asked = {"lang": lang}
        command = self._command(["describe", "PHOTO"], asked)
        made_by = record_maker(self.encoder, captioner, self.settings, asked=asked, command=command)
        return [
            Case(photo, (caption,), made_by, outside=strange, warnings=tuple(noted), blur=check_blur(photo))
            for photo, caption, strange in zip(photos, captions, outside, strict=True)
        ]

    def _encode(self, photo: SkinImage) -> Encoded:
        latest = self._latest
        if latest is None or latest[0] is not photo:
            latest = self._latest = photo, self.encoder.encode([photo])[0]
        return latest[1]

    def _explained(self, caption: Caption) -> Explained:
        return Explained(self.encoder, self.captioner, caption if self.captioner else None)

    def _command(self, words: Sequence[str], options: Mapping[str, str | Sequence[str]]) -> str:
        """The command line that asks the same of the same model."""
        return repeat_command(words, {**options, **self.origin}, chosen_settings(self.settings))

    @contextmanager
    def _making(self) -> Iterator[list[str]]:
        """Repeatable conditions; gives the list that holds the warnings afterwards."""
        with kept_warnings() as noted, repeatable(self.settings):
            yield noted
