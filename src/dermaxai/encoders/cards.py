"""One card per checkpoint: where its weights are, how it sees a photo, what may be done with it."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

from dermaxai.errors import SettingError
from dermaxai.registry import check_name

Adapter = Literal["openclip", "panderm", "hf"]
Activation = Literal["gelu", "quick_gelu", "gelu_tanh", "unknown"]
Interpolation = Literal["bicubic", "bilinear"]
ResizeMode = Literal["shortest", "squash"]

KINDS: Mapping[str, tuple[str, ...]] = {
    "openclip": ("clip", "custom_text", "timm", "unimed"),
    "panderm": ("panderm_clip", "panderm_vision"),
    "hf": ("siglip", "siglip2", "clip"),
}
"""Which `kind` each adapter knows."""


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """Everything that must be known about a checkpoint before its weights are opened."""

    name: str
    """What the user types."""
    title: str
    """What a reader sees."""
    adapter: Adapter
    """The module of this package that builds the towers."""
    kind: str
    """Layout within the adapter, one of `KINDS[adapter]`."""
    repo_id: str
    """At the Hugging Face hub; empty: embedded in the package, or fetched by hand (see `notes`)."""
    revision: str
    """40 hex digits; empty where none is known: resolved at the first download and kept from then on."""
    weights: str
    """Preferred file name in the repository or folder."""
    alternatives: tuple[str, ...]
    """Other file names, best first."""
    sha256: str
    """Of `weights`, 64 hex digits; empty where unknown."""
    megabytes: int
    """Size of `weights` in units of 10^6 bytes, 0 where unknown; for messages only."""
    activation: Activation
    """Of the vision tower's MLP."""
    image_size: int
    """Side of the square the tower sees, pixels."""
    patch_size: int
    """Side of a patch, pixels; 0: only the folder's configuration knows."""
    width: int
    """Of a patch token; 0: only the folder's configuration knows."""
    embed: int
    """Length of the pooled embedding; 0: only the folder's configuration knows."""
    mean: tuple[float, float, float]
    """Subtracted from RGB in 0..1."""
    std: tuple[float, float, float]
    """Divides RGB after `mean`."""
    interpolation: Interpolation
    """For resizing the photo."""
    resize_mode: ResizeMode
    """'shortest': short side to `resize_to`, then centre crop; 'squash': both sides to `image_size`."""
    resize_to: int
    """Pixels."""
    config: Mapping[str, object]
    """Geometry where the folder has no configuration: open_clip's `model_cfg` (adapters openclip, panderm)
    or transformers' `config.json` without `text_config` (hf). Empty: must come from the folder."""
    text_config: Mapping[str, object]
    """transformers configuration of the text tower (BERT, CLIP, SigLIP), so that no hub look-up is needed."""
    tokenizer_repo: str
    """Hub id of the tokenizer where the checkpoint's folder holds none; empty: none needed."""
    tokenizer_revision: str
    """Like `revision`."""
    dropped_config_keys: tuple[str, ...]
    """Keys of the hub's vision and text configuration that the library does not know and may be ignored."""
    dropped_weight_keys: tuple[str, ...]
    """Tensors that may be ignored, named as after `renamed_prefixes`."""
    renamed_prefixes: Mapping[str, str]
    """Prefix in the file -> prefix in the module."""
    templates: tuple[str, ...]
    """Prompts with one `{}` for zero-shot questions; empty without a text tower."""
    licence: str
    """Of the weights."""
    gated: bool
    """Whether the hub may ask to accept terms and to log in."""
    has_text: bool
    """Whether there is a text tower."""
    citation: str
    """Paper or model card."""
    published: Mapping[str, object]
    """Results as the authors print them, accuracy or AUROC in 0..1."""
    notes: tuple[str, ...]
    """What is not verified, what to know, where to fetch by hand."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches; (0, 0) where `patch_size` is not known."""
        side = self.image_size // self.patch_size if self.patch_size else 0
        return side, side

    @property
    def page(self) -> str:
        """Address of the hub page, where terms are accepted; empty without one."""
        return f"https://huggingface.co/{self.repo_id}" if self.repo_id else ""


def card_names() -> list[str]:
    """Names of all built-in cards, sorted, `demo` first."""
    found = [entry.name[:-5] for entry in _folder().iterdir() if entry.name.endswith(".toml")]
    return sorted(found, key=lambda name: (name != "demo", name))


def read_card(name_or_path: str | Path) -> EncoderCard:
    """The card of a built-in encoder by its name or hub id, or of a TOML file of the same form.

    A commit, branch or tag of the hub's repository may follow after `@`, instead of the card's own revision.
    Raises: UnknownName; SettingError with all faults of the card at once.

    >>> read_card("make").repo_id, read_card("xieji-x/MAKE").name
    ('xieji-x/MAKE', 'make')
    """
    if isinstance(name_or_path, Path) or name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        return _checked(_parsed(path), path)
    asked, _, revision = name_or_path.partition("@")
    name = short_name(asked)
    check_name("encoder", name, card_names())
    return _at(_built_in(name), revision)


def short_name(name: str) -> str:
    """The name of the built-in card whose hub id this is; any other text unchanged.

    >>> short_name("redlessone/DermLIP_ViT-B-16"), short_name("demo")
    ('dermlip-vit-b16', 'demo')
    """
    if not is_hub_id(name):
        return name
    fits = (known for known in card_names() if _built_in(known).repo_id.casefold() == name.casefold())
    return next(fits, name)


def is_hub_id(name: str) -> bool:
    """Whether a text has the form of a hub id, `owner/name` or `owner/name@revision`.

    >>> is_hub_id("xieji-x/MAKE@main"), is_hub_id("make"), is_hub_id("./folder")
    (True, False, False)
    """
    return bool(re.fullmatch(r"\w[\w.-]*/\w[\w.-]*(@\w[\w./-]*)?", name)) and not name.endswith(".toml")


def _built_in(name: str) -> EncoderCard:
    path = _folder() / f"{name}.toml"
    return _checked(_parsed(path), path)


def _at(card: EncoderCard, revision: str) -> EncoderCard:
    """The card at another revision, whose file has another hash. Raises: SettingError."""
    if revision in ("", card.revision):
        return card
    if not card.repo_id:
        raise SettingError(f"'{card.name}' is not at the hub, so there is no revision '{revision}' of it.")
    return dataclasses.replace(card, revision=revision, sha256="")


def _folder() -> Path:
    return Path(str(files("dermaxai"))) / "cards" / "encoders"


def _parsed(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"The encoder card {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"The encoder card {path} is not TOML: {error}.") from error


def _checked(values: dict[str, object], path: Path) -> EncoderCard:
    """Raises: SettingError with every fault found, not only the first."""
    faults = list(_faults_of_fields(values)) or list(_faults_between_fields(values))
    if faults:
        listed = "".join(f"\n  - {fault}" for fault in faults)
        raise SettingError(f"The encoder card {path.name} has {len(faults)} fault(s):{listed}")
    tuples = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return EncoderCard(**tuples)  # type: ignore[arg-type]  # checked above


def _faults_of_fields(values: Mapping[str, object]) -> Iterator[str]:
    fields = {field.name: str(field.type) for field in dataclasses.fields(EncoderCard)}
    for name in values.keys() - fields.keys():
        yield f"'{name}' is no field of a card"
    for name, kind in fields.items():
        wanted, fits = _FORMS[kind]
        if name not in values:
            yield f"'{name}' is missing; expected {wanted}"
        elif not fits(values[name]):
            yield f"'{name}' is {values[name]!r}; expected {wanted}"


def _faults_between_fields(values: Mapping[str, object]) -> Iterator[str]:
    card = EncoderCard(**values)  # type: ignore[arg-type]  # every field has its type by now
    if card.kind not in KINDS[card.adapter]:
        yield f"'kind' is '{card.kind}'; adapter '{card.adapter}' knows {', '.join(KINDS[card.adapter])}"
    for name in ("revision", "tokenizer_revision"):
        if not re.fullmatch(r"([0-9a-f]{40})?", str(values[name])):
            yield f"'{name}' is '{values[name]}'; expected 40 hex digits, or empty where unknown"
    for name in ("repo_id", "tokenizer_repo"):
        if not re.fullmatch(r"([\w.-]+/[\w.-]+)?", str(values[name])):
            yield f"'{name}' is '{values[name]}'; expected 'owner/name', or empty"
    if not re.fullmatch(r"([0-9a-f]{64})?", card.sha256):
        yield f"'sha256' is '{card.sha256}'; expected 64 hex digits, or empty where unknown"
    if min(card.std) <= 0:
        yield f"'std' is {list(card.std)}; expected three numbers above 0"
    yield from _faults_of_geometry(card)
    if card.has_text != bool(card.templates):
        yield f"'has_text' is {card.has_text}, but there are {len(card.templates)} 'templates'"
    if any(template.count("{}") != 1 for template in card.templates):
        yield "each of 'templates' must hold {} once"


def _faults_of_geometry(card: EncoderCard) -> Iterator[str]:
    if card.image_size < 1 or card.image_size < card.patch_size:
        yield f"'image_size' is {card.image_size}; expected a positive size of at least one patch"
    squashed = card.resize_mode == "squash"
    if card.resize_to < card.image_size or (squashed and card.resize_to != card.image_size):
        yield f"'resize_to' is {card.resize_to}; expected {card.image_size}, or more for 'shortest'"
    if min(card.patch_size, card.width, card.embed, card.megabytes) < 0:
        yield "'patch_size', 'width', 'embed' and 'megabytes' must not be negative"


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _is_colour(value: object) -> bool:
    numbers = isinstance(value, list) and all(type(entry) in (int, float) for entry in value)
    return isinstance(value, list) and numbers and len(value) == 3


def _is_text_table(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(entry, str) for entry in value.values())


def _choice(literal: object) -> tuple[str, Callable[[object], bool]]:
    words = get_args(literal)
    return f"one of {', '.join(words)}", lambda value: value in words


_FORMS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "str": ("a text", lambda value: isinstance(value, str)),
    "int": ("a whole number", lambda value: type(value) is int),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "tuple[str, ...]": ("a list of texts", _is_texts),
    "tuple[float, float, float]": ("three numbers", _is_colour),
    "Mapping[str, object]": ("a table", lambda value: isinstance(value, dict)),
    "Mapping[str, str]": ("a table of texts", _is_text_table),
    "Adapter": _choice(Adapter),
    "Activation": _choice(Activation),
    "Interpolation": _choice(Interpolation),
    "ResizeMode": _choice(ResizeMode),
}
"""Annotation of a field -> what is expected in words, and the test."""


def table() -> str:
    """All built-in cards as Markdown: a table, then their notes; `docs/encoders.md` ends with it."""
    cards = [read_card(name) for name in card_names()]
    heads = ("name", "hub id", "revision", "licence", "gated", "grid", "width", "text", "activation")
    lines = [_row(heads), _row(["---"] * len(heads)), *(_row(_cells(card)) for card in cards)]
    for card in cards:
        lines += ["", f"**{card.name}** ({card.title}). {card.citation}.", ""]
        lines += [f"- {note}" for note in card.notes]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(card: EncoderCard) -> list[str]:
    place = "embedded" if card.name == "demo" else "by hand, see notes"
    known = bool(card.patch_size)
    return [
        f"`{card.name}`",
        f"[{card.repo_id}]({card.page})" if card.repo_id else place,
        f"`{card.revision[:12]}`" if card.revision else ("first download" if card.repo_id else "–"),
        card.licence,
        "yes" if card.gated else "no",
        f"{card.grid[0]} × {card.grid[1]}" if known else "from the folder",
        str(card.width) if known else "from the folder",
        "yes" if card.has_text else "no",
        "to be checked" if card.activation == "unknown" else card.activation,
    ]
