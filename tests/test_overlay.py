import dataclasses
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from dermaxai.errors import DataError, SettingError, ShapeError, UsageError
from dermaxai.figures import save_figures, save_map, save_png, save_svg, save_words
from dermaxai.geometry import Placement, place_center_crop, place_squash
from dermaxai.overlay import (
    Account,
    account_for,
    colour_table,
    covered,
    draw_layer,
    draw_overlay,
    is_signed,
    summarise,
    upsample,
)
from dermaxai.types import HeatMap, SkinImage, Target
from tests.sample_case import draw_photo, make_case

PLACES = {
    "square": place_squash(224, 224),
    "squash": place_squash(150, 310),
    "crop wide": place_center_crop(120, 200),
    "crop tall": place_center_crop(201, 120),
    "rim of SigLIP": place_squash(300, 400, used=378 / 384),
    "padded": Placement(100, 200, -50.0, 0.0, 200.0, 200.0),
}


def make_map(values, place, **changes) -> HeatMap:
    heat = HeatMap(
        np.asarray(values, np.float32), "test", Target("word", "border", 0), place, "cosine", "last block"
    )
    return dataclasses.replace(heat, **changes)


def grey(place: Placement) -> SkinImage:
    return SkinImage(np.full((place.height, place.width, 3), 128, np.uint8), "0" * 64)


def one_hot(place: Placement, cell: tuple[int, int], grid=(14, 14), value=1.0) -> HeatMap:
    values = np.zeros(grid, np.float32)
    values[cell] = value
    return make_map(values, place)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("cell", [(6, 7), (5, 0), (8, 13), (4, 11)])
def test_a_hot_cell_lands_on_its_photo_pixels(place, cell):
    heat = one_hot(place, cell)
    drawn = np.where(covered(heat), upsample(heat), 0)
    top, left, bottom, right = place.cell(*cell, (14, 14))
    y, x = (top + bottom) / 2, (left + right) / 2
    brightest = np.unravel_index(drawn.argmax(), drawn.shape)
    assert abs(brightest[0] + 0.5 - y) <= (bottom - top) / 2 + 0.5
    assert abs(brightest[1] + 0.5 - x) <= (right - left) / 2 + 0.5
    seen = heat.placement.locate(float(brightest[0] + 0.5), float(brightest[1] + 0.5), (14, 14))
    assert seen == cell
    far = np.hypot(
        *np.meshgrid(np.arange(place.height) + 0.5 - y, np.arange(place.width) + 0.5 - x, indexing="ij")
    )
    assert not drawn[far > 2 * max(bottom - top, right - left)].any()


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_the_photo_is_untouched_outside_and_where_nothing_is_said(place):
    image, heat = grey(place), one_hot(place, (6, 7))
    drawn = draw_overlay(image, heat)
    changed = (drawn != image.pixels).any(axis=-1)
    assert changed.any()
    assert not (changed & ~covered(heat)).any()
    assert not (changed & (upsample(heat) == 0)).any()


def test_crop_covers_exactly_the_square():
    heat = make_map(np.ones((4, 4)), place_center_crop(120, 200))
    layer = draw_layer(grey(heat.placement), heat)
    assert (layer[:, 40:160, 3] > 0).all()
    assert not layer[:, :40, 3].any()
    assert not layer[:, 160:, 3].any()


def test_bilinear_between_centres_and_flat_to_the_edge():
    heat = make_map([[0, 1], [0, 1]], place_squash(8, 8))
    assert np.allclose(upsample(heat)[3], [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])


def test_alpha_grows_with_the_value():
    heat = make_map(np.linspace(0, 1, 40)[None, :], place_squash(40, 400))
    alpha = draw_layer(grey(heat.placement), heat)[20, :, 3].astype(int)
    assert alpha[0] == 0
    assert (np.diff(alpha) >= 0).all()
    assert alpha[-1] == round(0.55 * 255)


def test_signed_maps_are_red_for_and_blue_against():
    heat = make_map([[-1, 0, 1]], place_squash(30, 90))
    assert is_signed(heat)
    drawn = draw_overlay(grey(heat.placement), heat, opacity=1)[15].astype(int)
    assert drawn[5, 2] > drawn[5, 0] + 60
    assert drawn[85, 0] > drawn[85, 2] + 60
    assert (np.abs(drawn[45] - 128) < 12).all()


def test_rounding_below_zero_is_no_sign():
    assert not is_signed(make_map([[-1e-9, 1]], place_squash(8, 8)))
    assert is_signed(make_map([[-0.1, 1]], place_squash(8, 8)))


def test_zero_map_is_hatched_not_coloured():
    heat = make_map(np.zeros((14, 14)), place_center_crop(300, 400))
    layer = draw_layer(grey(heat.placement), heat)
    lines = layer[..., 3] > 0
    assert 0.05 < lines[:, 50:350].mean() < 0.4
    assert not lines[:, :50].any()
    assert (layer[lines][:, :3] == (245, 245, 242)).all()


def test_a_given_range_makes_two_maps_comparable():
    weak, strong = (one_hot(place_squash(100, 100), (1, 1), (3, 3), value) for value in (0.1, 1.0))
    image = grey(weak.placement)
    assert np.array_equal(draw_overlay(image, weak), draw_overlay(image, strong))
    pale = draw_layer(image, weak, value_range=(0, 1))
    assert pale[..., 3].max() < draw_layer(image, strong, value_range=(0, 1))[..., 3].max() / 3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers(bad):
    heat = make_map([[0, bad]], place_squash(8, 8))
    with pytest.raises(DataError, match="not finite"):
        draw_overlay(grey(heat.placement), heat)


def test_map_of_another_photo():
    with pytest.raises(ShapeError, match="8 x 8"):
        draw_overlay(draw_photo(), make_map([[1]], place_squash(8, 8)))


def test_settings_out_of_range():
    heat = make_map([[1]], place_squash(8, 8))
    with pytest.raises(SettingError, match="Opacity"):
        draw_overlay(grey(heat.placement), heat, opacity=1.5)
    with pytest.raises(SettingError, match="low to high"):
        draw_overlay(grey(heat.placement), heat, value_range=(1, 1))


def test_colour_tables_are_those_of_matplotlib_and_symmetric():
    import matplotlib as mpl

    expected = np.rint(mpl.colormaps["viridis"](np.arange(256))[:, :3] * 255)
    assert np.array_equal(colour_table("viridis"), expected)
    blue, red = colour_table("diverging")[0], colour_table("diverging")[-1]
    assert blue[2] > blue[0]
    assert red[0] > red[2]


@pytest.mark.parametrize(
    ("cell", "region"),
    [((0, 0), "upper_left"), ((0, 7), "upper"), ((7, 7), "middle"), ((7, 13), "right"), ((13, 7), "lower")],
)
def test_summary_names_the_place(cell, region):
    summary = summarise(one_hot(place_squash(100, 300), cell))
    assert (summary.region, summary.share) == (region, 1.0)
    assert summary.area == pytest.approx(20 / 196)


def test_summary_of_even_and_of_negative_maps():
    even = summarise(make_map(np.ones((10, 10)), place_squash(50, 50)))
    assert even.share == pytest.approx(0.1)
    assert summarise(make_map(-np.ones((10, 10)), place_squash(50, 50))).region == ""


def test_svg_carries_word_method_scalar_and_numbers(tmp_path):
    case = make_case()
    path = save_svg(case, case.map("border", "evidence"), tmp_path / "border.svg")
    texts = " ".join(ElementTree.parse(path).getroot().itertext())
    for part in ("“border”", "Word evidence", "word log-probability", "0.104", "not a medical device"):
        assert part in texts


def test_figures_are_the_same_twice_and_leave_matplotlib_as_it_was(tmp_path):
    import matplotlib as mpl

    before, case = dict(mpl.rcParams), make_case()
    for suffix in (".png", ".svg"):
        one = save_map(case, case.maps[1], tmp_path / f"one{suffix}", language="ru")
        two = save_map(case, case.maps[1], tmp_path / f"two{suffix}", language="ru")
        assert one.read_bytes() == two.read_bytes()
    assert dict(mpl.rcParams) == before


def test_zero_map_says_so_in_the_figure(tmp_path):
    case = make_case()
    path = save_svg(case, case.map("large", "evidence"), tmp_path / "large.svg")
    assert "No evidence" in path.read_text("utf-8")
    assert (
        save_png(case, case.map("large", "evidence"), tmp_path / "large").read_bytes().startswith(b"\x89PNG")
    )


def test_sheet_of_words(tmp_path):
    case = make_case()
    text = save_words(case, tmp_path / "words.svg", language="ru").read_text("utf-8")
    for word in case.caption.words:
        assert f">{word.text}<" in text
    assert text.count(">его даёт и среднее фото<") == 3
    assert text.count("объясняет мало") == 0


def test_a_sheet_takes_no_contrast_for_a_reason(tmp_path):
    case = make_case()
    heat = case.map("border", "grad_eclip")
    contrast = dataclasses.replace(
        heat, values=heat.values * 100, target=dataclasses.replace(heat.target, against="edge")
    )
    both = dataclasses.replace(case, maps=(*case.maps, contrast))
    sheets = [save_words(one, tmp_path / "words.svg").read_bytes() for one in (case, both)]
    assert sheets[0] == sheets[1]


def test_words_said_in_spite_of_the_image_are_told_apart(tmp_path):
    case = make_case()
    evidence = tuple(dataclasses.replace(one, nats=-2.0, from_image=False) for one in case.evidence[:1])
    case = dataclasses.replace(case, evidence=(*evidence, *case.evidence[1:]))
    text = save_words(case, tmp_path / "words.svg").read_text("utf-8")
    assert text.count(">in spite of the image<") == 1
    assert text.count(">average photo says it too<") == 2


def test_figures_speak_russian(tmp_path):
    case = make_case()
    path = save_svg(case, case.map("border", "evidence"), tmp_path / "border.svg", language="ru")
    text = path.read_text("utf-8")
    parts = ">логарифм вероятности слова<", "ключи и значения Q-Former", "На карту приходится", "Осторожно"
    for part in parts:
        assert part in text
    assert "log-probability" not in text


def test_a_figure_of_a_case_by_word_query_or_whole(tmp_path):
    case = make_case()
    one = case.figure(tmp_path / "border.svg", "Border", "evidence").read_text("utf-8")
    assert "Word evidence" in one
    assert "The map accounts for" in one
    first = case.figure(tmp_path / "first.svg", "border").read_text("utf-8")
    assert "Grad-ECLIP" in first
    assert "accounts for" not in first
    sheet = case.figure(tmp_path / "words.svg", method="evidence").read_text("utf-8")
    assert all(f">{word.text}<" in sheet for word in case.caption.words)
    assert "accounts for little" in sheet
    assert case.figure(tmp_path / "words.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="no map of 'any method' for 'nothing'"):
        case.figure(tmp_path / "x.png", "nothing")
    with pytest.raises(UsageError, match="'rollout' has no maps of words"):
        case.figure(tmp_path / "x.png", method="rollout")


def test_every_figure_of_a_case(tmp_path):
    case = make_case()
    broken = dataclasses.replace(case.maps[0], values=np.full((14, 14), np.nan, np.float32))
    few = dataclasses.replace(case, maps=(broken, *case.maps[1:3], case.maps[-1]))
    files = save_figures(few, tmp_path / "figures", suffix=".svg")
    assert [file.name for file in files] == [
        "words-grad_eclip.svg",
        "001-grad_eclip-asymmetric.svg",
        "002-grad_eclip-dark.svg",
        "003-grad_eclip-script-pigment-b-network-b.svg",
    ]
    assert sorted(files) == sorted((tmp_path / "figures").iterdir())
    assert save_figures(dataclasses.replace(case, maps=()), tmp_path / "none") == []
    with pytest.raises(UsageError, match=r"\.svg"):
        save_figures(case, tmp_path, suffix=".bmp")


def test_a_map_accounts_for_a_part_of_its_words_evidence():
    case = make_case()
    heat = case.map("border", "evidence")
    account = account_for(case, heat)
    assert account.told == pytest.approx(float(heat.values.sum()), rel=1e-5)
    assert account.nats == case.evidence[heat.target.word].nats
    assert account.doubt == "little"
    contrast = dataclasses.replace(heat.target, against="edge")
    for other in (
        case.map("border", "grad_eclip"),
        dataclasses.replace(heat, target=contrast),
        dataclasses.replace(heat, scalar="word logit"),
        case.maps[-1],
    ):
        assert account_for(case, other) is None
    assert account_for(dataclasses.replace(case, evidence=()), heat) is None


@pytest.mark.parametrize(
    ("told", "nats", "doubt"),
    [
        (0.5, 1.0, ""),
        (3.0, 1.0, ""),
        (0.2, 1.0, ""),
        (0.19, 1.0, "little"),
        (-0.1, 1.0, "little"),
        (-0.5, 1.0, "wrong"),
        (0.5, -1.0, "wrong"),
        (-0.5, -1.0, ""),
        (0.0, 0.0, ""),
    ],
)
def test_doubt_about_a_map(told, nats, doubt):
    assert Account(told, nats).doubt == doubt


def test_unknown_ending(tmp_path):
    with pytest.raises(UsageError, match=r"\.svg"):
        save_words(make_case(), tmp_path / "words.bmp")
