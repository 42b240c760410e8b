"""SkinCaRe: SkinCAP, and SkinCoT, 3,041 DermNet photos with a text each that argues for the diagnosis.

`SkinCAP/` as its publisher ships it, and `SkinCoT/images/<class>/<photo>.jpg` with
`SkinCoT/EN/<class>/<photo>.jpg.txt`; either half alone is read too. SkinCoT's texts were generated with the
label known and then reviewed by dermatologists: rationales, not independent evidence.
Source: arXiv 2405.18004. CUHK-Shenzhen use agreement; the photos are DermNet's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from dermaxai.data.readers import skincap
from dermaxai.data.readers.dermnet import series
from dermaxai.data.reading import PHOTO_SUFFIXES, DatasetFolder
from dermaxai.data.samples import Sample
from dermaxai.errors import DataError

LICENCE = "CUHK-Shenzhen use agreement (the hub card says CC BY-NC-SA 4.0)"
_FIELD = "SkinCoT/EN"


def read(folder: DatasetFolder) -> Iterator[Sample]:
    """SkinCAP's rows, then SkinCoT's photos by class and name.

    Raises: DataError where neither half is there, or SkinCAP's table lacks a column.
    """
    captioned, argued = _find(folder, "SkinCAP"), _find(folder, "SkinCoT")
    if captioned is None and argued is None:
        raise DataError(
            f"'{folder.root}' holds neither SkinCAP nor SkinCoT.", hint="See `dermaxai data how skincare`."
        )
    if captioned is not None:
        for sample in skincap.read(_inner(folder, captioned)):
            yield replace(sample, id=f"skincare/{sample.id}", dataset="skincare", licence=LICENCE)
    if argued is not None:
        yield from _read_argued(folder, argued)


def _find(folder: DatasetFolder, name: str) -> Path | None:
    return next(
        (path for path in (folder.root / name, *folder.root.glob(f"*/{name}")) if path.is_dir()), None
    )


def _inner(folder: DatasetFolder, root: Path) -> DatasetFolder:
    """A folder of its own that tells its faults to `folder`."""
    inner = DatasetFolder(root, keep_unknown=folder.keep_unknown)
    inner.faults = folder.faults
    return inner


def _read_argued(folder: DatasetFolder, root: Path) -> Iterator[Sample]:
    photos = {path.relative_to(root / "images").as_posix(): path for path in _photos_in(root / "images")}
    texts = {
        path.relative_to(root / "EN").with_suffix("").as_posix() for path in (root / "EN").rglob("*.txt")
    }
    for name in sorted(photos.keys() | texts):
        try:
            sample = _read_photo(folder, root, name)
        except ValueError as error:
            folder.report("broken row", f"SkinCoT/images/{name}", f"{error}.")
            continue
        if sample is not None:
            yield replace(sample, path=photos.get(name))


def _photos_in(images: Path) -> list[Path]:
    return [path for path in images.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES]


def _read_photo(folder: DatasetFolder, root: Path, name: str) -> Sample | None:
    place, class_name = f"SkinCoT/images/{name}", name.partition("/")[0]
    caption = skincap.read_caption(_read_text(root / "EN" / f"{name}.txt"), _FIELD)
    label = folder.label("dermnet", "folder", class_name, place)
    if label is None and not folder.keep_unknown:
        return None
    return Sample(
        id=f"skincare/skincot/{name}",
        dataset="skincare",
        path=None,
        place=place,
        licence=LICENCE,
        captions=(caption,),
        diagnosis=label.diagnosis if label else None,
        label=class_name,
        modality="clinical",
        groups=(f"dermnet/series/{series(PurePath(name).stem)}",),
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ValueError(f"the photo has no text {_FIELD}/{path.parent.name}/{path.name}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is not UTF-8") from None
