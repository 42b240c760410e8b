"""A case as one HTML file that opens from disk, asks for nothing, and is the live viewer inside."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from PIL import Image

from dermaxai.i18n import LANGUAGES, Catalogue, blurred_text, catalogue, keys_of
from dermaxai.messages import for_reader
from dermaxai.overlay import pack_colours
from dermaxai.packing import as_json, pack, pack_maps, squeeze_markup, squeeze_script, squeeze_style
from dermaxai.scores import SANITY
from dermaxai.types import Case, HeatMap, Language, Provenance, Score, SkinImage
from dermaxai.viewer import case_to_page

LONGEST_SIDE = 1600
"""Photo pixels in the report; larger photos are shown smaller, maps and values stay those of the original."""
PHOTO_QUALITY = 88
MODULES = (
    "painting.js", "telling.js", "holding.js", "cursor.js", "trust.js", "panels.js", "words.js", "keys.js",
    "methods.js", "viewer.js", "paper.js", "told.js", "opening.js",
)  # fmt: skip
"""In the order of their imports, each import on one line."""
LOADER = "unpacking.js"
PACKED = "/* Of what scripts make"
"""Where the part of style.css begins that travels packed: who runs no script, sees nothing that it is for."""
EXACT = ("sha256", "encoder", "captioner", "command", "settings", "versions")
"""Rows of 'How made' that are read sign by sign."""
THEN = "\n"
"""Between commands: a shell takes one after the other, also after a sanity check that failed."""
LIMITS = ("map", "grid", "methods", "caption", "skin")
REMOVALS = ("tokens", "blur", "mean", "noisy linear")
NAMES = ("method.", "metric.", "scalar.", "layer.", "setting.", "note.", "check.", "removal.")
"""Beginnings of keys that name something which a case may hold or not."""


ELSEWHERE = (
    "caption.other", "figure.against", "notice.caption", "report.old", "report.silent", "scores.interval",
    "scores.limit", "scores.map", "scores.metric", "scores.n", "scores.random", "scores.value", "words",
)  # fmt: skip
"""Strings of figures, of the terminal, and of those who run no script."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a value in the table 'How made'; with a key the page can say it in every language."""

    text: str
    key: str = ""
    values: str = ""
    """JSON of what fills the places of the string `key`."""


Readings = Sequence[Mapping[str, Any]]
"""What readers said of the case, as `reading.telling.readings_of` gives it."""


def write_report(case: Case, path: Path | str, *, language: Language = "en", readings: Readings = ()) -> Path:
    """Write the report of `case`; `language` is that of the interface on opening, both are inside.

    The file replaces an earlier one in one step. The same case gives the same file.

    Raises: NotSupported for another language.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    try:
        fresh.write_bytes(render_report(case, language=language, readings=readings).encode())
        os.replace(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)
    return target


def render_report(case: Case, *, language: Language = "en", readings: Readings = ()) -> str:
    """The report as text; arguments as `write_report`. Raises: NotSupported for another language."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    texts = catalogue(language)
    at_once, mark, later = _asset("style.css").partition(PACKED)
    style, packed = squeeze_style(at_once), squeeze_style(mark + later)
    loader, script = squeeze_script(_asset(LOADER)), _script()
    templates = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared = {"t": texts.text, "number": texts.number, "language": language, "limits": LIMITS}
    # The viewer says its strings itself, in the language it opens in.
    viewer = squeeze_markup(templates.get_template("viewer.html.j2").render(shared, t=lambda key: ""))
    told, cells = _parts(case, readings)
    text = templates.get_template("report.html.j2").render(
        shared,
        case=case,
        blurred=blurred_text(case.blur, texts),
        warnings=for_reader(case.warnings, language),
        notices=_in_all_languages("notice"),
        silent=_in_all_languages("report.silent"),
        old=_in_all_languages("report.old"),
        style=Markup(style),
        loader=Markup(loader),
        policy=_policy((style, packed), (loader, script)),
        photo=_photo(case.image),
        packed=Markup(pack([packed, script, viewer, *told], cells)),
        made=[(key, value) for key, value in made_rows(case, texts) if key != "maps"],
        exact=EXACT,
    )
    return squeeze_markup(text)


def _in_all_languages(key: str) -> list[tuple[Language, str]]:
    return [(known, catalogue(known).text(key)) for known in LANGUAGES]


def _asset(name: str) -> str:
    return resources.files("dermaxai").joinpath(f"web/{name}").read_text("utf-8").strip()


def _script() -> str:
    """The page's modules as one: the imports between them, and the exports, fall away."""
    lines = "\n".join(_asset(name) for name in MODULES).splitlines()
    return squeeze_script(
        "\n".join(line.removeprefix("export ") for line in lines if not line.startswith("import "))
    )


def _policy(styles: Iterable[str], scripts: Iterable[str]) -> str:
    """Nothing may load but these styles, these scripts and pictures inside the file."""

    def allow(texts: Iterable[str]) -> str:
        digests = (hashlib.sha256(text.encode()).digest() for text in texts)
        return " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)

    return (
        f"default-src 'none'; img-src data:; style-src {allow(styles)}; "
        f"script-src {allow(scripts)}; base-uri 'none'; form-action 'none'"
    )


def _parts(case: Case, readings: Readings) -> tuple[list[str], list[str]]:
    """What viewer.js mounts, as JSON: strings, case, what is left; and the two halves of the maps' cells."""
    page, *cells = pack_maps(case_to_page(case))
    told = _texts(case), page | {"made": made_json(case)}
    rest = {"colours": pack_colours(), "readings": [dict(entry) for entry in readings]}
    return [as_json(one) for one in (*told, rest)], cells


def _texts(case: Case) -> dict[str, list[Any]]:
    """The strings of every language beside their keys; of names those that the case holds."""
    held = {f"metric.{score.metric}" for score in case.scores}
    held |= {f"setting.{name}" for name in case.made_by.settings}
    held |= {key for score in case.scores for key in _keys_of(score)}
    for heat in case.maps:
        held |= {f"{kind}.{name}" for kind, name in _names_of(heat)}
    known = [key for key in keys_of("case") if key not in ELSEWHERE]
    keys = [key for key in known if key in held or not key.startswith(NAMES)]
    return {"keys": keys} | {known: [catalogue(known).entries[key] for key in keys] for known in LANGUAGES}


def _keys_of(score: Score) -> list[str]:
    """What the page says of a score beside its name."""
    if score.metric.startswith(SANITY):
        return [f"check.{score.metric.removeprefix(SANITY)}{end}" for end in ("", ".fails")]
    return [
        f"trust.{score.metric}",
        *(f"removal.{name}" for name in REMOVALS if f"={name}," in score.protocol),
    ]


def _names_of(heat: HeatMap) -> list[tuple[str, str]]:
    """What the page names of a map: kinds and names of the catalogue."""
    return [("method", heat.method), ("note", heat.method), ("scalar", heat.scalar), ("layer", heat.layer)]


def _photo(image: SkinImage) -> str:
    """The photo as a data address."""
    picture = Image.fromarray(np.ascontiguousarray(image.pixels))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=PHOTO_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def made_rows(case: Case, texts: Catalogue) -> list[tuple[str, list[Piece]]]:
    """Key and value of the table 'How made'; empty values are left out."""
    made, image = case.made_by, case.image
    height, width = image.pixels.shape[:2]
    rows: dict[str, str | list[Piece]] = {
        "photo": f"{width} × {height} {image.format}".strip(),
        "sha256": image.sha256,
        "removed": ", ".join(image.removed),
        "notes": "; ".join(text for text, _ in for_reader(image.notes, texts.language)),
        "encoder": f"{made.encoder}  {made.encoder_sha256}".strip(),
        "captioner": f"{made.captioner}  {made.captioner_sha256}".strip(),
        "maps": _kinds(case, texts),
        "outside": [_rule(case.outside.rule, texts)] if case.outside and case.outside.rule else [],
        "settings": _settings(made.settings, texts),
        "seed": str(made.seed),
        "device": made.device,
        "dermaxai": made.dermaxai,
        "versions": "\n".join(f"{key} = {value}" for key, value in sorted(made.versions.items())),
        "licence": made.licence,
        "command": THEN.join(commands_of(made)),
    }
    return [
        (key, [Piece(value)] if isinstance(value, str) else value) for key, value in rows.items() if value
    ]


def commands_of(made: Provenance) -> list[str]:
    """The commands that make a case again, one after another."""
    return [one for one in re.split(r" && (?=(?:\w+=\S* )*dermaxai )", made.command) if one]


def made_json(case: Case) -> list[list[Any]]:
    """The table 'How made' as JSON, which a live viewer says in its own language.

    A row: key, pieces [text, key of a string or '', JSON of its values or ''], whether it is exact.
    """
    rows = made_rows(case, catalogue("en"))
    return [[key, [[one.text, one.key, one.values] for one in pieces], key in EXACT] for key, pieces in rows]


def _named(kind: str, name: str, texts: Catalogue) -> Piece:
    """A name that the catalogue may know, as `Catalogue.name`."""
    key = f"{kind}.{name}"
    return Piece(texts.name(kind, name), key if key in texts.entries else "")


def _kinds(case: Case, texts: Catalogue) -> list[Piece]:
    """A line per kind of map: method, variant, scalar, and layer unless it is made of other maps."""
    kinds = dict.fromkeys(
        (heat.method, heat.variant, heat.scalar, "" if heat.layer.startswith("maps of ") else heat.layer)
        for heat in case.maps
    )
    lines = [
        [
            _named("method", method, texts),
            Piece(variant),
            _named("scalar", scalar, texts),
            _named("layer", layer, texts),
        ]
        for method, variant, scalar, layer in kinds
    ]
    return _joined((_joined((one for one in line if one.text), " · ") for line in lines), "\n")


def _settings(settings: dict[str, str], texts: Catalogue) -> list[Piece]:
    pairs = ([_named("setting", key, texts), Piece(f" = {value}")] for key, value in sorted(settings.items()))
    return _joined(pairs, "\n")


def _joined(parts: Iterable[Piece | list[Piece]], between: str) -> list[Piece]:
    """All pieces in one list, with `between` between the parts."""
    joined: list[Piece] = []
    for part in parts:
        joined += [Piece(between)] if joined else []
        joined += part if isinstance(part, list) else [part]
    return joined


def _rule(rule: str, texts: Catalogue) -> Piece:
    """The rule for unknown photos, in the page's language where it is the measured one."""
    values = catalogue("en").values_in("outside.rule", rule)
    if values is None:
        return Piece(rule)
    told = {name: _in_signs(value, texts) for name, value in values.items()}
    return Piece(texts.text("outside.rule", **told), "outside.rule", json.dumps(values, sort_keys=True))


def _in_signs(value: str, texts: Catalogue) -> str:
    """A number of a message as the catalogue's language writes it; anything else as it is."""
    found = re.fullmatch(r"(\d+(?:\.(\d+))?)(%?)", value)
    if not found:
        return value
    number, digits = float(found[1]), len(found[2] or "")
    return texts.percent(number / 100, digits) if found[3] else texts.number(number, digits)
