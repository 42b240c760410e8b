"""A case as a folder, read back exactly.

```
case.json      every word and number, sorted keys, with the sha256 of the two files below
maps.npz       raw map values, one array per map, in the order of `Case.maps`
image.png      the pixels, lossless: what is read back
image.jpg      the same picture for people and mail programs; never read back
timings.json   seconds per map: the only file that differs between two runs
```

The same case gives the same bytes in every file but `timings.json`. Nothing in a folder is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import os
import shutil
import types
import typing
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import uuid4

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image

from dermaxai.errors import DataError, ShapeError, UsageError
from dermaxai.types import Case, HeatMap, SkinImage

FORMAT = 1
"""Raised when a folder written before can no longer be read."""

JPEG_QUALITY = 92
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PNG_END = b"IEND\xaeB`\x82"
_APART = ("image", "maps")
_LATER = ("alternatives", "blur")
"""Fields that the first folders of this format lack; left out where they are empty, so that those folders are
written again byte for byte."""
_ARRAYS = {"np": np, "Float32": Float32, "UInt8": UInt8}
_Noun = TypeVar("_Noun")


def save_case(case: Case, folder: Path | str) -> Path:
    """Write `case` as a folder in one step: a reader sees the old folder or the new one, never half of it.

    An earlier case in the same place is replaced; any other folder that is not empty is left alone.

    Raises: UsageError if `folder` holds something else; ShapeError if a map is not a table of real numbers.
    """
    target = Path(folder)
    check_place(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{uuid4().hex[:8]}")
    fresh.mkdir()
    try:
        for name, content in _files(case).items():
            (fresh / name).write_bytes(content)
        _swap(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return target


def find_place(home: Path | str, sha256: str) -> Path:
    """The folder below `home` for the case of a photo: 8 digits of its sha256, more where they are taken.

    An earlier case of the same photo is found again; one of another photo with the same digits is left alone.
    """
    places = [Path(home) / sha256[:digits] for digits in (8, 16, 32)]
    return next((place for place in places if _photo_of(place) in ("", sha256)), Path(home) / sha256)


def _photo_of(folder: Path) -> str:
    """The sha256 of the photo whose case lies in `folder`; '' where none can be read."""
    try:
        image = _read_json(folder, "case.json").get("image")
    except DataError:
        return ""
    return str(image.get("sha256", "")) if isinstance(image, dict) else ""


def load_case(folder: Path | str, *, photo: bool = True) -> Case:
    """Read a folder that `save_case` wrote; every value, pixel and map cell is the one saved.

    Without `photo` only its size is read, and the pixels are black: for lists of many cases.

    Raises: DataError if a file is missing, damaged, from a newer format, or not what `case.json` describes.
    """
    home = Path(folder)
    document = _read_document(home)
    for name, wanted in document["files"].items():
        if not photo and name == "image.png":
            continue
        if hashlib.sha256(_read(home, name)).hexdigest() != wanted:
            raise _damaged(home, name, "its sha256 differs from the one in case.json")
    pixels = _read_pixels(home) if photo else _read_size(home)
    arrays = _read_maps(home, len(document["maps"]))
    seconds = _read_seconds(home, len(arrays))
    try:
        image = _build(SkinImage, {**document["image"], "pixels": pixels}, given=("pixels",))
        maps = tuple(
            _build(HeatMap, {**row, "values": values, "seconds": spent}, given=("values",))
            for row, values, spent in zip(document["maps"], arrays, seconds, strict=True)
        )
        return _build(Case, {**document["case"], "image": image, "maps": maps}, given=_APART)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _damaged(home, "case.json", str(error)) from error


def _files(case: Case) -> dict[str, bytes]:
    """Name and content of every file of a case."""
    contents = {
        "image.png": _picture(case.image, "PNG"),
        "maps.npz": _pack(heat.values for heat in case.maps),
    }
    document = {
        "format": FORMAT,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        "image": _plain(case.image, leave=("pixels",)),
        "maps": [_plain(heat, leave=("values", "seconds")) for heat in case.maps],
        "case": _plain(case, leave=(*_APART, *(name for name in _LATER if not getattr(case, name)))),
    }
    contents["image.jpg"] = _picture(case.image, "JPEG")
    contents["timings.json"] = _json({"seconds": [_plain(heat.seconds) for heat in case.maps]})
    contents["case.json"] = _json(document)
    return contents


def _json(document: Mapping[str, object]) -> bytes:
    """Readable, sorted, strictly JSON."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)
    return f"{text}\n".encode()


def _plain(value: Any, leave: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - any noun or field
    """Nouns as dictionaries, tuples as lists; infinities and NaN as text, which JSON has no numbers for."""
    if dataclasses.is_dataclass(value):
        names = (entry.name for entry in dataclasses.fields(value) if entry.name not in leave)
        return {name: _plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return value if not isinstance(value, float) or np.isfinite(value) else str(value)


def _picture(image: SkinImage, kind: str) -> bytes:
    """The pixels as a file without metadata."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {"quality": JPEG_QUALITY, "subsampling": 0} if kind == "JPEG" else {}
    Image.fromarray(np.ascontiguousarray(image.pixels)).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def _pack(arrays: Iterable[Float[np.ndarray, "rows columns"]]) -> bytes:
    """An npz file without the clock time that `numpy.savez` writes into it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, values in enumerate(arrays):
            if values.ndim != 2 or values.dtype.kind != "f":
                raise ShapeError(
                    f"Map {index} is {values.dtype}, shape {values.shape}; expected float32 (rows, columns)"
                )
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(values), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{index:04d}.npy", _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, member.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def check_place(target: Path) -> None:
    """Raise UsageError unless `target` is free, empty, or an earlier case, replaced from outside."""
    if target.name in ("", ".."):
        raise UsageError(
            f"'{target}' cannot be replaced from inside.", hint="Go one folder up and give the folder's name."
        )
    if target.is_dir():
        if (target / "case.json").is_file() or not any(target.iterdir()):
            return
    elif not target.exists():
        return
    raise UsageError(f"'{target}' exists and is not a case folder.", hint="Name another folder.")


def _swap(fresh: Path, target: Path) -> None:
    """Put `fresh` in the place of `target`."""
    if not target.exists():
        os.replace(fresh, target)
        return
    old = fresh.with_name(f"{fresh.name}.old")
    os.replace(target, old)
    os.replace(fresh, target)
    shutil.rmtree(old)


def _damaged(home: Path, name: str, why: str) -> DataError:
    return DataError(f"'{home / name}' is damaged: {why}.", hint="Make the case again from its photo.")


def _read(home: Path, name: str) -> bytes:
    try:
        return (home / name).read_bytes()
    except OSError as error:
        raise DataError(
            f"'{home}' is not a complete case folder: {name} cannot be read ({error.strerror}).",
            hint="A case folder holds case.json, maps.npz and image.png.",
        ) from error


def _read_json(home: Path, name: str) -> dict[str, Any]:
    content = _read(home, name)
    try:
        document = json.loads(content)
    except ValueError as error:
        raise _damaged(home, name, f"not JSON ({error})") from error
    if not isinstance(document, dict):
        raise _damaged(home, name, f"expected an object, found {type(document).__name__}")
    return document


def _read_document(home: Path) -> dict[str, Any]:
    """case.json with its outer structure checked."""
    document = _read_json(home, "case.json")
    if document.get("format") != FORMAT:
        raise DataError(
            f"'{home}' has case format {document.get('format')!r}; this version reads {FORMAT}.",
            hint="Use the version of DermaXAI that wrote it (case.json, made_by).",
        )
    expected = {"files": dict, "image": dict, "maps": list, "case": dict}
    for key, kind in expected.items():
        if not isinstance(document.get(key), kind):
            raise _damaged(home, "case.json", f"'{key}' should be a {kind.__name__}")
    if set(document["files"]) != {"image.png", "maps.npz"}:
        raise _damaged(home, "case.json", "'files' should name image.png and maps.npz")
    return document


def _read_pixels(home: Path) -> UInt8[np.ndarray, "height width 3"]:
    try:
        with Image.open(io.BytesIO(_read(home, "image.png")), formats=("PNG",)) as picture:
            return np.array(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _damaged(home, "image.png", str(error)) from error


def _read_size(home: Path) -> UInt8[np.ndarray, "height width 3"]:
    """Black pixels as many as the photo has, which take no memory; its file has to be whole at both ends."""
    try:
        with (home / "image.png").open("rb") as file:
            with Image.open(file, formats=("PNG",)) as picture:
                width, height = picture.size
            file.seek(-len(_PNG_END), os.SEEK_END)
            if file.read() != _PNG_END:
                raise _damaged(home, "image.png", "it is cut off")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _damaged(home, "image.png", str(error)) from error
    return np.broadcast_to(np.zeros(3, np.uint8), (height, width, 3))


def _read_maps(home: Path, count: int) -> list[Float[np.ndarray, "rows columns"]]:
    try:
        with np.load(io.BytesIO(_read(home, "maps.npz")), allow_pickle=False) as archive:
            arrays = [archive[f"{index:04d}"] for index in range(count)]
            extra = len(archive.files) - count
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(home, "maps.npz", str(error)) from error
    if extra or any(values.ndim != 2 or values.dtype.kind != "f" for values in arrays):
        raise _damaged(home, "maps.npz", f"expected {count} tables of real numbers")
    return arrays


def _read_seconds(home: Path, count: int) -> list[float]:
    """Timings are a by-product: zero for all where the file is absent."""
    if not (home / "timings.json").exists():
        return [0.0] * count
    seconds = _read_json(home, "timings.json").get("seconds")
    if not isinstance(seconds, list) or len(seconds) != count:
        raise _damaged(home, "timings.json", f"expected the seconds of {count} maps")
    return [float(value) for value in seconds]


def _build(noun: type[_Noun], row: Mapping[str, Any], given: tuple[str, ...] = ()) -> _Noun:
    """The dataclass `noun` from plain values, checked against its annotations; `given` fields as they are.

    Raises: TypeError naming the field; KeyError for a field that `noun` does not know.
    """
    if not isinstance(row, Mapping):
        raise TypeError(f"expected the fields of {noun.__name__}, found {row!r}")
    if unknown := sorted(set(row) - {entry.name for entry in dataclasses.fields(cast(Any, noun))}):
        raise KeyError(f"{noun.__name__} has no field {', '.join(unknown)}")
    hints = _hints_of(cast(Any, noun))
    values = {
        name: value if name in given else _typed(value, hints[name], f"{noun.__name__}.{name}")
        for name, value in row.items()
    }
    return noun(**values)


@functools.cache
def _hints_of(noun: type) -> dict[str, Any]:
    """The annotations of a noun; evaluated once, since a case holds hundreds of some nouns."""
    return typing.get_type_hints(noun, localns=_ARRAYS)


def _typed(value: Any, hint: Any, where: str) -> Any:  # noqa: ANN401 - follows the annotation
    """`value` as `hint` says."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return None if value is None else _typed(value, inner[0], where)
    if origin is typing.Literal and value in inner:
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_typed(entry, inner[0], where) for entry in value)
    if origin is dict and isinstance(value, dict):
        return {key: _typed(entry, inner[1], where) for key, entry in value.items()}
    if dataclasses.is_dataclass(hint):
        return _build(cast(type, hint), value)
    if hint is float and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise TypeError(f"{where} should be {hint}, found {value!r}")
