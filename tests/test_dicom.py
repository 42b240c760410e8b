"""DICOM photographs: colour by what is stored, patient fields by name, clear words about the rest."""

import contextlib
import hashlib
import io
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dermaxai.errors import ImageError, ImageTooLarge, ImageUnreadable, MissingExtra
from dermaxai.images import Limits, read_image

pydicom = pytest.importorskip("pydicom", reason="needs the extra [dicom]")

from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.uid import (  # noqa: E402
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    generate_uid,
)

SECRET = "Ivanova^Maria"
DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"


def skin(height=40, width=60) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    lesion = (rows - 20) ** 2 + (columns - 30) ** 2 < 120
    light = (rows + columns)[..., None] // 4
    return (np.where(lesion[..., None], (90, 50, 40), (205, 160, 150)) + light).astype(np.uint8)


PIXELS = skin()


def to_ybr(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).convert("YCbCr"))


def make_dicom(data: bytes, *, syntax=ExplicitVRLittleEndian, **fields) -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = DERMOSCOPIC
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["dermaxai"])
    dataset.Rows, dataset.Columns = PIXELS.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    for keyword, value in fields.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = data
    dataset["PixelData"].VR = "OB"
    if syntax == JPEGBaseline8Bit:
        dataset["PixelData"].is_undefined_length = True
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def jpeg(pixels: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=97, subsampling=0, **options)
    return buffer.getvalue()


def difference(left, right) -> int:
    return int(np.abs(np.asarray(left, int) - np.asarray(right, int)).max())


def test_storage_classes_are_those_of_the_standard():
    from pydicom import uid

    from dermaxai.dicom import STORAGES

    assert uid.DermoscopicPhotographyImageStorage == DERMOSCOPIC
    assert uid.VLPhotographicImageStorage == VL_PHOTOGRAPHIC
    assert set(STORAGES) == {DERMOSCOPIC, VL_PHOTOGRAPHIC}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("storage", [DERMOSCOPIC, VL_PHOTOGRAPHIC])
def test_uncompressed_rgb(syntax, storage):
    data = make_dicom(PIXELS.tobytes(), syntax=syntax, SOPClassUID=storage)
    image = read_image(data)
    assert np.array_equal(image.pixels, PIXELS)
    assert image.format == "DICOM"
    assert image.sha256 == hashlib.sha256(data).hexdigest()
    assert image.notes == ()


def test_content_decides_not_the_name(tmp_path):
    path = tmp_path / "снимок.jpg"
    path.write_bytes(make_dicom(PIXELS.tobytes()))
    image = read_image(path)
    assert image.format == "DICOM"
    assert image.notes == ("named as JPEG, is DICOM",)


def test_planar_layout():
    data = make_dicom(PIXELS.transpose(2, 0, 1).tobytes(), PlanarConfiguration=1)
    assert np.array_equal(read_image(data).pixels, PIXELS)


def test_ybr_full():
    image = read_image(make_dicom(to_ybr(PIXELS).tobytes(), PhotometricInterpretation="YBR_FULL"))
    assert difference(image.pixels, PIXELS) <= 2


def test_ybr_422_with_two_values_per_pixel():
    ybr = to_ybr(PIXELS)
    chroma = ybr[:, ::2, 1:]
    stored = np.stack([ybr[:, ::2, 0], ybr[:, 1::2, 0], chroma[..., 0], chroma[..., 1]], axis=2)
    image = read_image(make_dicom(stored.tobytes(), PhotometricInterpretation="YBR_FULL_422"))
    assert np.median(np.abs(image.pixels.astype(int) - PIXELS)) <= 2
    assert image.notes == ()


def test_declared_422_but_three_ybr_values_per_pixel():
    image = read_image(make_dicom(to_ybr(PIXELS).tobytes(), PhotometricInterpretation="YBR_FULL_422"))
    assert difference(image.pixels, PIXELS) <= 2
    assert image.notes == ("declared YBR_FULL_422, holds three values per pixel",)


@pytest.mark.parametrize("declared", ["YBR_FULL_422", "YBR_FULL"])
def test_declared_ybr_but_values_are_rgb(declared):
    image = read_image(make_dicom(PIXELS.tobytes(), PhotometricInterpretation=declared))
    assert np.array_equal(image.pixels, PIXELS)
    assert f"declared {declared}, values are RGB" in image.notes


@pytest.mark.parametrize("declared", ["YBR_FULL_422", "YBR_FULL", "RGB"])
def test_jpeg_baseline(declared):
    data = make_dicom(
        encapsulate([jpeg(PIXELS)]), syntax=JPEGBaseline8Bit, PhotometricInterpretation=declared
    )
    assert difference(read_image(data).pixels, PIXELS) <= 12


def without_marker(data: bytes) -> bytes:
    """The JPEG without its JFIF segment, so that nothing in it tells the colour."""
    assert data[2:4] == b"\xff\xe0"
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


def test_unmarked_jpeg_declared_rgb_is_judged_by_its_values():
    stored_rgb = io.BytesIO()
    Image.merge("YCbCr", Image.fromarray(PIXELS).split()).save(stored_rgb, "JPEG", quality=97, subsampling=0)
    honest = make_dicom(encapsulate([without_marker(stored_rgb.getvalue())]), syntax=JPEGBaseline8Bit)
    assert difference(read_image(honest).pixels, PIXELS) <= 12
    wrong = make_dicom(encapsulate([without_marker(jpeg(PIXELS))]), syntax=JPEGBaseline8Bit)
    image = read_image(wrong)
    assert difference(image.pixels, PIXELS) <= 12
    assert image.notes == ("declared RGB, values are YBR",)


@pytest.mark.parametrize(("declared", "sign"), [("MONOCHROME2", 1), ("MONOCHROME1", -1)])
def test_grey(declared, sign):
    grey = PIXELS[..., 0]
    image = read_image(make_dicom(grey.tobytes(), SamplesPerPixel=1, PhotometricInterpretation=declared))
    expected = grey if sign > 0 else 255 - grey
    assert np.array_equal(image.pixels, np.repeat(expected[..., None], 3, axis=2))


def test_deep_values_are_scaled():
    deep = PIXELS[..., 0].astype("<u2") * 16
    fields = {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 12,
    }
    image = read_image(make_dicom(deep.tobytes(), **fields))
    assert difference(image.pixels[..., 0], PIXELS[..., 0]) <= 1
    assert image.notes == ("12 bit scaled to 8",)


def test_several_frames():
    image = read_image(make_dicom(PIXELS.tobytes() + bytes(PIXELS.nbytes), NumberOfFrames=2))
    assert np.array_equal(image.pixels, PIXELS)
    assert image.notes == ("only the first frame of 2 is used",)
    data = make_dicom(
        encapsulate([jpeg(PIXELS), jpeg(PIXELS // 2)]), syntax=JPEGBaseline8Bit, NumberOfFrames=2
    )
    assert difference(read_image(data).pixels, PIXELS) <= 12


def test_patient_fields_are_listed_by_name_only():
    staff = Dataset()
    staff.PersonName = SECRET
    data = make_dicom(
        PIXELS.tobytes(),
        PatientName=SECRET,
        PatientID="4711",
        PatientBirthDate="19610412",
        InstitutionName=SECRET,
        AccessionNumber="A-99",
        ReferringPhysicianName="",
        OriginalAttributesSequence=[staff],
    )
    image = read_image(data)
    expected = {
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "InstitutionName",
        "AccessionNumber",
        "SOPInstanceUID",
    }
    assert expected <= set(image.removed)
    assert "ReferringPhysicianName" not in image.removed
    assert "Rows" not in image.removed
    for value in (SECRET, "4711", "19610412", "A-99"):
        assert value not in repr((image.removed, image.notes))


def test_private_fields_are_mentioned():
    dataset = pydicom.dcmread(io.BytesIO(make_dicom(PIXELS.tobytes())))
    dataset.private_block(0x0011, "maker", create=True).add_new(1, "LO", SECRET)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    assert "private fields" in read_image(buffer.getvalue()).removed


def test_recognisable_features_and_optics_are_notes():
    data = make_dicom(
        PIXELS.tobytes(),
        RecognizableVisualFeatures="YES",
        BurnedInAnnotation="YES",
        LightSourcePolarization="YES",
        ContactMethod="CONTACT",
        OpticalMagnificationFactor="10",
    )
    notes = read_image(data).notes
    assert "the file says that a person may be recognised in the picture" in notes
    assert "the file says that text is burnt into the picture" in notes
    assert {"light polarisation: YES", "contact: CONTACT", "magnification: 10"} <= set(notes)
    calm = make_dicom(PIXELS.tobytes(), RecognizableVisualFeatures="NO", BurnedInAnnotation="NO")
    assert read_image(calm).notes == ()


def test_another_storage_class_is_a_note():
    data = make_dicom(PIXELS.tobytes(), SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    assert read_image(data).notes == ("not stored as a dermoscopic or VL photograph",)


def test_other_compressions_name_the_plugin():
    real = make_dicom(encapsulate([b"\xff\x4f" + bytes(8)]), syntax=JPEG2000Lossless)
    with pytest.raises(ImageUnreadable, match=r"JPEG 2000.*pip install pylibjpeg pylibjpeg-openjpeg"):
        read_image(real)


def test_deflated_is_refused_before_it_is_unpacked():
    data = make_dicom(bytes(PIXELS.nbytes), syntax=DeflatedExplicitVRLittleEndian)
    with pytest.raises(ImageUnreadable, match="Deflated"):
        read_image(data)


def test_limits_are_checked_before_decoding():
    with pytest.raises(ImageTooLarge, match="60 x 40 pixels"):
        read_image(make_dicom(PIXELS.tobytes()), limits=Limits(max_pixels=1000))
    with pytest.raises(ImageTooLarge, match="60000 x 60000"):
        read_image(make_dicom(PIXELS.tobytes(), Rows=60000, Columns=60000))
    hidden = make_dicom(encapsulate([jpeg(skin(400, 600))]), syntax=JPEGBaseline8Bit)
    with pytest.raises(ImageTooLarge, match="600 x 400"):
        read_image(hidden, limits=Limits(max_pixels=10_000))
    with pytest.raises(ImageUnreadable, match="needs 16"):
        read_image(make_dicom(PIXELS.tobytes(), Rows=8))


def test_no_picture_and_too_few_pixels():
    dataset = pydicom.dcmread(io.BytesIO(make_dicom(PIXELS.tobytes())))
    del dataset.PixelData
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    with pytest.raises(ImageUnreadable, match="without a picture"):
        read_image(buffer.getvalue())
    with pytest.raises(ImageUnreadable, match="damaged"):
        read_image(make_dicom(PIXELS.tobytes()[:1000]))


@pytest.mark.parametrize("declared", ["PALETTE COLOR", "CMYK", "XYZ"])
def test_other_colours_are_refused_by_name(declared):
    with pytest.raises(ImageUnreadable, match=declared):
        read_image(make_dicom(PIXELS.tobytes(), PhotometricInterpretation=declared))


def test_without_pydicom_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingExtra, match=r'pip install "dermaxai\[dicom\]"'):
        read_image(bytes(128) + b"DICM" + bytes(100))


def test_a_limit_above_that_of_pillow_is_kept(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    monkeypatch.setattr("dermaxai.images.PILLOW_LIMIT", 1000)
    data = make_dicom(encapsulate([jpeg(PIXELS)]), syntax=JPEGBaseline8Bit)
    assert read_image(data, limits=Limits(max_pixels=2400)).pixels.shape == PIXELS.shape
    small = make_dicom(encapsulate([jpeg(PIXELS)]), syntax=JPEGBaseline8Bit, Rows=20, Columns=20)
    with pytest.raises(ImageTooLarge, match="more than 1,000 pixels; at most 900 are read"):
        read_image(small, limits=Limits(max_pixels=900))
    assert Image.MAX_IMAGE_PIXELS == 500


SAMPLES = [
    make_dicom(PIXELS.tobytes(), PatientName=SECRET),
    make_dicom(encapsulate([jpeg(PIXELS)]), syntax=JPEGBaseline8Bit, PatientName=SECRET),
]


def try_read(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with contextlib.suppress(ImageError):
            assert read_image(data, limits=Limits(max_pixels=1_000_000)).pixels.dtype == np.uint8


@settings(max_examples=80)
@given(st.sampled_from(SAMPLES), st.floats(0, 1))
def test_truncation_raises_only_image_errors(data, share):
    try_read(data[: int(len(data) * share)])


@settings(max_examples=150)
@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.floats(0, 0.3), st.integers(0, 255)), min_size=1, max_size=5),
)
def test_flipped_bytes_raise_only_image_errors(data, changes):
    broken = bytearray(data)
    for place, value in changes:
        broken[min(132 + int(place * len(broken)), len(broken) - 1)] = value
    try_read(bytes(broken))


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_random_bytes_behind_the_magic(data):
    with pytest.raises(ImageError):
        read_image(bytes(128) + b"DICM" + data)
