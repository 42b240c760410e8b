"""What is asked about every photo of an evaluation of explanations, and everything its numbers depend on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal, get_args

from dermaxai.errors import NotSupported, SettingError
from dermaxai.evaluate.known_concepts import ConceptSet
from dermaxai.explain.base import AbstractMethod
from dermaxai.measure.maps import BASELINES, MAP_METRICS
from dermaxai.measure.maps.base import AbstractMapMetric, Protocol
from dermaxai.provenance import captioner_name, device_name, library_versions
from dermaxai.questions import find_method

if TYPE_CHECKING:
    from dermaxai.pipeline import Model

Question = Literal["word", "query", "concept"]
QUESTIONS: tuple[Question, ...] = get_args(Question)
Texts = Literal["diagnosis", "lesion"]
LESION_TEXT = "a lesion"
"""True of every photo of a lesion, and read as words by every text tower at hand, so that an outline answers
it; it tells one photo from another as little as any text can."""
FORMAT = "1"
"""Of the documents; raised when their content changes."""


@dataclass(frozen=True, slots=True)
class ExplanationPlan:
    """Methods, questions and metrics."""

    methods: tuple[str, ...]
    """'name' or 'name:variant', as contestants are called."""
    metrics: tuple[str, ...]
    """Of `MAP_METRICS`."""
    questions: tuple[Question, ...] = ("word",)
    """'word': why each word of the English caption that owes something to the photo; 'query': where the photo
    matches `texts`; 'concept': where it shows what is known to be true of it."""
    protocol: Protocol = field(default_factory=Protocol)
    baselines: tuple[str, ...] = ("random", "centre", "edges")
    """Of `BASELINES`."""
    texts: Texts | tuple[str, ...] = "diagnosis"
    """'diagnosis': the photo's own, in the encoder's prompts; 'lesion': `LESION_TEXT`; else as typed."""
    most_words: int = 0
    """Of a caption, those that owe most to the photo; 0: all that owe it something."""
    measured_masks: bool = False
    """Whether this program outlines dermoscopic photos that nobody did."""

    def __post_init__(self) -> None:
        if not self.methods or not self.questions or not self.metrics:
            raise SettingError("A plan names at least one method, one question and one metric.")
        for one in self.metrics:
            MAP_METRICS[one]
        for one in self.baselines:
            BASELINES[one]
        unknown = [one for one in self.questions if one not in QUESTIONS]
        if unknown or self.most_words < 0:
            raise SettingError(
                f"Questions are {', '.join(QUESTIONS)} and words 0 or more; not {unknown or self.most_words}."
            )
        if isinstance(self.texts, str) and self.texts not in get_args(Texts):
            raise SettingError(f"Texts are 'diagnosis', 'lesion' or a tuple of texts, not '{self.texts}'.")


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """A method under the name that tables show."""

    name: str
    method: AbstractMethod
    is_baseline: bool = False


def contestants_of(plan: ExplanationPlan) -> list[Contestant]:
    """Methods in the order of the plan, then baselines. Raises: UnknownName."""
    made = [Contestant(name, find_method(name)) for name in dict.fromkeys(plan.methods)]
    for name in dict.fromkeys(plan.baselines):
        kind: type[AbstractMethod] = BASELINES.load(name)
        method = kind.of_variant(next(iter(kind.variants)))
        made.append(Contestant(method.name, method, is_baseline=True))
    return made


def metrics_of(plan: ExplanationPlan) -> dict[str, AbstractMapMetric]:
    """The metrics by name, in the order of the plan."""
    return {name: MAP_METRICS.load(name)() for name in dict.fromkeys(plan.metrics)}


def check_plan(model: Model, plan: ExplanationPlan) -> None:
    """What can be known before a photo is read. Raises: UnknownName, NotSupported."""
    contestants = contestants_of(plan)
    if "word" in plan.questions and model.captioner is None:
        raise NotSupported(
            f"There is no captioner for '{model.encoder.card.name}', so no word can be explained.",
            hint="Ask 'query' or 'concept', or give a captioner.",
        )
    if set(plan.questions) != {"word"} and not model.encoder.has_text:
        raise NotSupported(
            f"'{model.encoder.card.name}' has no text tower to ask for a text.", hint="Ask 'word' only."
        )
    for one in contestants:
        if not any(_kinds(question, plan) & one.method.answers for question in plan.questions):
            raise NotSupported(
                f"'{one.name}' answers {', '.join(sorted(one.method.answers))}, none of what is asked: "
                f"{', '.join(plan.questions)}.",
                hint="Leave it out, or ask another kind of question.",
            )


def _kinds(question: Question, plan: ExplanationPlan) -> set[str]:
    """Kinds of targets that a question is put as."""
    return {"diagnosis"} if question == "query" and plan.texts == "diagnosis" else {question}


def settings_of(model: Model, plan: ExplanationPlan, asked: ConceptSet) -> dict[str, str]:
    """Everything that a number depends on but the photos, in words; the key of records."""
    encoder, captioner = model.encoder, model.captioner
    texts = plan.texts if isinstance(plan.texts, str) else "; ".join(plan.texts)
    protocol = ", ".join(f"{name} {value}" for name, value in asdict(plan.protocol).items())
    told: dict[str, Any] = {
        "kind": "explanations",
        "format": FORMAT,
        "encoder": encoder.card.name,
        "encoder sha256": encoder.sha256,
        "captioner": captioner_name(captioner),
        "captioner sha256": captioner.sha256 if captioner else "",
        "methods": "; ".join(f"{one.name} ({one.method.variant})" for one in contestants_of(plan)),
        "metrics": ", ".join(plan.metrics),
        "questions": ", ".join(plan.questions),
        "texts": texts if "query" in plan.questions else "",
        "concepts": ", ".join(asked.names) if "concept" in plan.questions else "",
        "words": str(plan.most_words or "all that owe something to the photo"),
        "outlines": "experts', else measured" if plan.measured_masks else "experts'",
        "protocol": protocol,
        "caption": f"en, {model.settings.beams} beams",
        "device": device_name(encoder.device),
        "dtype": str(encoder.dtype).removeprefix("torch."),
        "seed": str(model.settings.seed),
        "dermaxai": version("dermaxai"),
        "versions": ", ".join(f"{name} {number}" for name, number in library_versions().items()),
    }
    return {name: value for name, value in told.items() if value}
