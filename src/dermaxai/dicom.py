"""Reads DICOM photographs of the skin: decodes first, then decides on the colour."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dermaxai import bombs, colour
from dermaxai.errors import ImageError, ImageTooLarge, ImageUnreadable, MissingExtra
from dermaxai.types import SkinImage

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from pydicom import Dataset

    from dermaxai.images import Limits

STORAGES = {
    "1.2.840.10008.5.1.4.1.1.77.1.7": "Dermoscopic Photography",
    "1.2.840.10008.5.1.4.1.1.77.1.4": "VL Photographic",
}
"""SOP classes that hold skin photographs; others are read with a note."""

PLAIN_SYNTAXES = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"})
"""Uncompressed; the deflated one is not among them, since it may unpack to any size."""

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
PLUGINS = {
    "1.2.840.10008.1.2.4.51": "pylibjpeg pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.57": "pylibjpeg pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.70": "pylibjpeg pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.80": "pylibjpeg pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.81": "pylibjpeg pylibjpeg-libjpeg",
    "1.2.840.10008.1.2.4.90": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.5": "pylibjpeg pylibjpeg-rle",
}
"""What a user needs to convert each compressed transfer syntax."""

IDENTITY_GROUPS = (0x0010, 0x0012, 0x0032, 0x0038, 0x0040)
"""Patient, trial, study request, visit, procedure."""

IDENTITY_KEYWORDS = frozenset(
    {
        "AccessionNumber",
        "AcquisitionDate",
        "AcquisitionDateTime",
        "AcquisitionTime",
        "ContentDate",
        "ContentTime",
        "DeviceSerialNumber",
        "DeviceUID",
        "FrameOfReferenceUID",
        "ImageComments",
        "InstanceCreationDate",
        "InstanceCreationTime",
        "InstitutionAddress",
        "InstitutionName",
        "InstitutionalDepartmentName",
        "OperatorsName",
        "PerformingPhysicianName",
        "PhysiciansOfRecord",
        "ReferringPhysicianName",
        "SOPInstanceUID",
        "SeriesDate",
        "SeriesDescription",
        "SeriesInstanceUID",
        "SeriesTime",
        "StationName",
        "StudyDate",
        "StudyDescription",
        "StudyID",
        "StudyInstanceUID",
        "StudyTime",
    }
)

TECHNICAL = {
    "light polarisation": "LightSourcePolarization",
    "contact": "ContactMethod",
    "immersion": "ImmersionMedia",
    "magnification": "OpticalMagnificationFactor",
}
"""Facts about the optics, kept as notes; module Dermoscopic Image, PS3.3 C.8.12.13."""

MOST_CLIPPED = 0.2
"""Share of pixels that leave 0 to 255 when true YBR values are turned into RGB; more, and they were RGB."""


def read_dicom(data: bytes, *, limits: Limits, name: str = "the given bytes") -> SkinImage:
    """The first frame of a DICOM photograph: uncompressed or JPEG baseline, colour or grey.

    Pixels are decoded before the declared colour is believed, since files exist whose declaration is wrong.
    Raises: MissingExtra without pydicom, ImageTooLarge, ImageUnreadable, which names the plugin for other
    compressions.
    Source: OHIF/Viewers#2934 (ISIC 2020 files declare YBR_FULL_422 and hold three values per pixel).
    """
    _need_pydicom()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(data, limits, name)
    except (ImageError, MissingExtra):
        raise
    except MemoryError:
        raise ImageTooLarge(f"'{name}' does not fit into memory.", hint="Export it smaller.") from None
    except Exception as error:  # Damaged files raise almost anything; the text may quote patient data.
        raise ImageUnreadable(
            f"'{name}' is a damaged DICOM file ({type(error).__name__}).", hint="Export it again."
        ) from None


def _need_pydicom() -> None:
    try:
        import pydicom  # noqa: F401 - asked for only here
    except ImportError:
        raise MissingExtra(
            "DICOM files need the optional package pydicom.", hint='Install it: pip install "dermaxai[dicom]"'
        ) from None


def _read(data: bytes, limits: Limits, name: str) -> SkinImage:
    from pydicom import dcmread

    syntax = _read_syntax(data)
    _check_syntax(syntax, name)
    dataset = dcmread(BytesIO(data))
    if "PixelData" not in dataset:
        raise ImageUnreadable(f"'{name}' is a DICOM file without a picture.", hint="Export the photo itself.")
    limits.check_size(int(dataset.Columns), int(dataset.Rows), name)
    notes = list(_notes(dataset))
    pixels = (
        _decode_jpeg(dataset, limits, (name, notes))
        if syntax == JPEG_BASELINE
        else _decode_plain(dataset, notes)
    )
    pixels = colour.apply_profile(Image.fromarray(pixels), dataset.get("ICCProfile"), notes)
    sha256 = hashlib.sha256(data).hexdigest()
    return SkinImage(pixels, sha256, "DICOM", _removed(dataset), tuple(notes))


def _read_syntax(data: bytes) -> str:
    """Of the file's first group alone: parsing the rest would unpack a deflated file to any size."""
    from pydicom.filereader import read_dataset

    head = BytesIO(data)
    head.seek(132)
    group = read_dataset(head, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    return str(group.get("TransferSyntaxUID", ""))


def _check_syntax(syntax: str, name: str) -> None:
    if syntax in PLAIN_SYNTAXES or syntax == JPEG_BASELINE:
        return
    from pydicom.uid import UID

    plugin = PLUGINS.get(syntax)
    hint = "Export it uncompressed or as JPEG baseline."
    if plugin:
        hint = (
            "Export it uncompressed or as JPEG baseline, or convert it with pydicom after: "
            f"pip install {plugin}."
        )
    raise ImageUnreadable(f"'{name}' is stored as '{UID(syntax).name}', which is not read here.", hint=hint)


def _notes(dataset: Dataset) -> Iterator[str]:
    storage = str(dataset.get("SOPClassUID", ""))
    if storage not in STORAGES:
        yield "not stored as a dermoscopic or VL photograph"
    if int(dataset.get("NumberOfFrames", 1) or 1) > 1:
        yield f"only the first frame of {int(dataset.NumberOfFrames)} is used"
    if dataset.get("RecognizableVisualFeatures") == "YES":
        yield "the file says that a person may be recognised in the picture"
    if dataset.get("BurnedInAnnotation") == "YES":
        yield "the file says that text is burnt into the picture"
    for label, keyword in TECHNICAL.items():
        value = dataset.get(keyword)
        if value not in (None, ""):
            yield f"{label}: {str(value)[:40]}"


def _removed(dataset: Dataset) -> tuple[str, ...]:
    found = set()
    for element in dataset.iterall():
        if element.tag.is_private:
            found.add("private fields")
        elif (
            element.tag.group in IDENTITY_GROUPS or element.keyword in IDENTITY_KEYWORDS or element.VR == "PN"
        ) and not element.is_empty:
            found.add(element.keyword or f"tag {element.tag}")
    return tuple(sorted(found))


def _decode_jpeg(
    dataset: Dataset, limits: Limits, about: tuple[str, list[str]]
) -> UInt8[np.ndarray, "height width 3"]:
    """Without a marker in the JPEG that tells the colour, its stored values are judged themselves."""
    from pydicom.encaps import generate_frames

    name, notes = about
    frame = next(
        generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1) or 1))
    )
    with limits.speak_for_pillow(name), Image.open(BytesIO(frame), formats=("JPEG",)) as picture:
        limits.check_size(picture.width, picture.height, name)
        bombs.check_jpeg(frame, picture.width * picture.height, name)
        declared = str(dataset.PhotometricInterpretation)
        marked = "jfif" in picture.info or "adobe" in picture.info
        if picture.mode != "RGB" or marked or not declared.startswith("RGB"):
            return np.asarray(picture.convert("RGB"))
        picture.draft("YCbCr", None)
        values = np.asarray(picture)
    if _clipped_share(values) > MOST_CLIPPED:
        return values
    notes.append("declared RGB, values are YBR")
    return _ybr_to_rgb(values)


def _decode_plain(dataset: Dataset, notes: list[str]) -> UInt8[np.ndarray, "height width 3"]:
    rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel", 1))
    if int(dataset.get("PixelRepresentation", 0)):
        raise ImageUnreadable(
            "Signed pixel values came; photographs have unsigned ones.", hint="Export it again."
        )
    values = _stored_values(dataset)
    cells = rows * columns
    frames = max(1, int(dataset.get("NumberOfFrames", 1) or 1))
    declared = str(dataset.PhotometricInterpretation)
    if samples == 1:
        return _grey(values[:cells].reshape(rows, columns), dataset, notes)
    if samples != 3:
        raise ImageUnreadable(
            f"{samples} values per pixel came; 1 or 3 are expected.", hint="Export it again."
        )
    values = _to_eight_bits(values, dataset, notes)
    if declared == "YBR_FULL_422" and values.size < cells * 3 * frames:
        return _ybr_to_rgb(_widen_chroma(values[: cells * 2], rows, columns))
    planar = bool(int(dataset.get("PlanarConfiguration", 0)))
    values = values[: cells * 3]
    pixels = (
        values.reshape(3, rows, columns).transpose(1, 2, 0) if planar else values.reshape(rows, columns, 3)
    )
    return _settle_colour(np.ascontiguousarray(pixels), declared, notes)


def _stored_values(dataset: Dataset) -> Any:  # noqa: ANN401 - 8 or 16 bit
    kind = {8: "u1", 16: "u2"}.get(int(dataset.BitsAllocated))
    if kind is None:
        raise ImageUnreadable(f"{dataset.BitsAllocated} bits per value came; 8 or 16 are expected.")
    order = "<" if dataset.original_encoding[1] else ">"
    return np.frombuffer(
        dataset.PixelData[: len(dataset.PixelData) // int(kind[1]) * int(kind[1])], order + kind
    )


def _to_eight_bits(values: Any, dataset: Dataset, notes: list[str]) -> Any:  # noqa: ANN401 - any shape
    bits = int(dataset.get("BitsStored", dataset.BitsAllocated))
    if bits == 8:
        return values.astype(np.uint8)
    notes.append(f"{bits} bit scaled to 8")
    return np.rint(np.minimum(values / np.float32(2**bits - 1), 1) * 255).astype(np.uint8)


def _grey(values: Any, dataset: Dataset, notes: list[str]) -> UInt8[np.ndarray, "height width 3"]:  # noqa: ANN401
    declared = str(dataset.PhotometricInterpretation)
    if declared not in ("MONOCHROME1", "MONOCHROME2"):
        raise ImageUnreadable(f"Colours stored as '{declared}' are not read.", hint="Export it as RGB.")
    grey = _to_eight_bits(values, dataset, notes)
    grey = 255 - grey if declared == "MONOCHROME1" else grey
    return np.repeat(grey[..., None], 3, axis=2)


def _widen_chroma(values: Any, rows: int, columns: int) -> UInt8[np.ndarray, "height width 3"]:  # noqa: ANN401
    """Pairs of pixels stored as Y Y Cb Cr share their chroma."""
    pairs = values.reshape(-1, 4)
    luma = pairs[:, :2].reshape(rows, columns)
    blue, red = (np.repeat(pairs[:, index], 2).reshape(rows, columns) for index in (2, 3))
    return np.stack([luma, blue, red], axis=2)


def _settle_colour(
    values: UInt8[np.ndarray, "height width 3"], declared: str, notes: list[str]
) -> UInt8[np.ndarray, "height width 3"]:
    """RGB or YBR: as declared, unless the values contradict the declaration."""
    if not declared.startswith(("RGB", "YBR_FULL")):
        raise ImageUnreadable(f"Colours stored as '{declared}' are not read.", hint="Export it as RGB.")
    if declared == "RGB":
        return values
    if declared == "YBR_FULL_422":
        notes.append("declared YBR_FULL_422, holds three values per pixel")
    if _clipped_share(values) > MOST_CLIPPED:
        notes.append(f"declared {declared}, values are RGB")
        return values
    return _ybr_to_rgb(values)


def _clipped_share(values: UInt8[np.ndarray, "height width 3"]) -> float:
    """Share of pixels that leave the range of RGB if the values are taken as YBR."""
    exact = _ybr_exact(values)
    return float(((exact < -2) | (exact > 257)).any(axis=2).mean())


def _ybr_exact(values: UInt8[np.ndarray, "height width 3"]) -> Any:  # noqa: ANN401 - float32 beyond 0 to 255
    """Source: PS3.3 C.7.6.3.1.2 (full range, ITU-R BT.601 weights)."""
    luma, blue, red = (values[..., index].astype(np.float32) for index in range(3))
    blue, red = blue - 128, red - 128
    return np.stack(
        [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], axis=2
    )


def _ybr_to_rgb(values: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    return np.asarray(np.clip(np.rint(_ybr_exact(values)), 0, 255), np.uint8)
