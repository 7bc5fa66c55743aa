"""Pictures of treatments: overlays, heat maps, comparisons and contact sheets."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from conservator.degradations import CELL, NAMES
from conservator.errors import UsageError
from conservator.photo import Photo
from conservator.regions import Region
from conservator.report.colours import RAMP
from conservator.report.pictures import compare, contact_sheet, heatmap, overlay, side_by_side


def frame(height, width, level=0):
    """Samples (H, W, 3) of one 8-bit level."""
    return np.full((height, width, 3), level * 257, np.uint16)


def half(size, left=True):
    mask = np.zeros([-(-side // CELL) for side in size], np.float32)
    columns = mask.shape[1] // 2
    mask[:, slice(None, columns) if left else slice(columns, None)] = 1.0
    return mask


def treated(before, after):
    return SimpleNamespace(original=Photo(before), photo=Photo(after))


def luminance(colour):
    """Relative luminance of WCAG 2.2 of an 8-bit colour."""
    shares = np.asarray(colour) / 255.0
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


# ---- overlay --------------------------------------------------------------------------------------------------------


def test_a_region_is_tinted_and_a_clean_one_keeps_its_pixels():
    photo = np.full((800, 1200, 3), 128 * 257, np.uint16)
    regions = (Region("r1", half((800, 1200)), severities={"noise": 0.5}), Region("r2", half((800, 1200), False)))
    picture = overlay(photo, regions).astype(int)
    assert picture.shape == (800, 1200, 3)
    assert abs(picture[40:200, 40:200] - 128).max() > 10
    assert (picture[40:200, 900:1150] == 128).all()
    assert abs(picture[:, 590:610] - 128).max() > 60  # the outline between them
    assert abs(picture[300:500, 200:400] - 128).max() > 100  # a label inside the first
    assert abs(picture[300:500, 800:1000] - 128).max() > 100  # and the second


def test_a_read_only_picture_without_damage_can_be_drawn_on():
    photo = np.zeros((400, 500, 3), np.uint8)
    photo.flags.writeable = False
    drawn = overlay(photo, (Region("r1", half((400, 500))),))
    assert drawn.any()
    assert not photo.any()


@pytest.mark.parametrize(
    ("size", "shown"), [((3000, 4000), (1200, 1600)), ((60, 80), (480, 640)), ((700, 900), (700, 900))]
)
def test_overlays_are_bounded_and_large_enough_to_read(size, shown):
    photo = np.zeros((*size, 3), np.uint16)
    assert overlay(photo, (Region("r1", half(size), severities={"haze": 0.2}),)).shape == (*shown, 3)


def test_labels_do_not_cover_each_other():
    mask = np.ones((100, 150), np.float32)
    photo = np.full((800, 1200, 3), 128, np.uint8)
    regions = [Region(f"r{i}", mask, severities={"noise": 0.5, "haze": 0.2, "rain": 0.1}) for i in range(6)]
    one = plates(overlay(photo, regions[:1]))
    assert plates(overlay(photo, regions)) > 5.5 * one > 0


def plates(picture):
    """Pixels as dark as the plates of labels."""
    return int((picture[20:-20, 20:-20].max(axis=2) < 60).sum())


@pytest.mark.parametrize("name", ["région ∅ 地域 🙂", "", "x" * 500, "two\nlines"])
def test_any_region_name_can_be_drawn_even_in_a_tiny_photo(name):
    empty, everywhere = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    regions = (
        Region(name, everywhere, severities=dict.fromkeys(NAMES, 1.0)),
        Region(name, empty, severities={"rain": 1}),
    )
    assert overlay(np.zeros((9, 17, 3), np.float32), regions).dtype == np.uint8


def test_pictures_of_every_type_look_the_same():
    levels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    pictures = (levels, levels.astype(np.uint16) * 257, (levels / 255).astype(np.float32))
    first, *others = (contact_sheet([("", picture)], 100) for picture in pictures)
    assert all((other == first).all() for other in others)


@pytest.mark.parametrize("bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(UsageError):
        overlay(bad, ())


# ---- heat maps ------------------------------------------------------------------------------------------------------


def test_more_severe_is_lighter_also_in_grey_print():
    lightness = [luminance(colour) for colour in RAMP]
    assert all(a < b for a, b in pairwise(lightness))
    assert lightness[0] < 0.001 and lightness[-1] > 0.9


def test_the_colour_map_is_inferno():
    import cv2

    inferno = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    assert np.abs(inferno.astype(int) - RAMP).max() <= 9  # of 255: nothing the eye can tell


def test_a_heat_map_has_its_own_grid_or_the_photos():
    severity = np.array([[0.0, 1.0], [2.0, np.nan]], np.float32)
    assert (heatmap(severity) == RAMP[[[0, 255], [255, 0]]]).all()
    assert heatmap(severity, np.zeros((40, 60, 3), np.uint8)).shape == (40, 60, 3)
    assert heatmap(np.zeros((2000, 100), np.float32)).shape == (1600, 80, 3)
    with pytest.raises(UsageError):
        heatmap(np.zeros((9, 4, 4), np.float32))


# ---- comparisons and sheets -----------------------------------------------------------------------------------------


def test_compare_shows_before_left_and_after_right():
    picture = compare(treated(frame(50, 70, 40), frame(50, 70, 200)))
    assert picture.shape == (50, 144, 3)
    assert (picture[:, :70] == 40).all() and (picture[:, -70:] == 200).all()
    assert picture[:, 70:74].max() == 255


@pytest.mark.parametrize("size", [(3000, 1000), (500, 4000), (1600, 1600)])
def test_comparisons_are_bounded(size):
    picture = side_by_side(np.zeros((*size, 3), np.uint8), np.zeros((*size, 3), np.uint8))
    assert 1590 <= max(picture.shape) <= 1600


def test_compare_brings_an_enlarged_photo_to_one_size():
    assert compare(treated(frame(20, 30), frame(40, 60))).shape == (40, 124, 3)


def test_a_contact_sheet_holds_every_picture_under_its_title():
    rows = [(f"photo {level}", np.full((30, 60, 3), level, np.uint8)) for level in range(100, 160, 10)]
    sheet = contact_sheet(rows, 400, columns=4)
    assert sheet.shape[1] == 400
    for level in range(100, 160, 10):
        assert (sheet == level).all(axis=2).sum() >= 30 * 60
    assert sheet[:24].max() > 200  # titles are written


def test_a_contact_sheet_survives_any_title():
    sheet = contact_sheet(
        [("long " * 80, frame(10, 10)), ("名前\n\0\ud800", frame(10, 2000)), ("", frame(2000, 10))], 300, 2
    )
    assert sheet.shape[1] == 300 and sheet.shape[0] < 400


@pytest.mark.parametrize(("count", "columns"), [(0, 1), (1, 0), (1, 99)])
def test_an_impossible_sheet_is_refused(count, columns):
    with pytest.raises(UsageError):
        contact_sheet([("a", frame(4, 4))] * count, 400, columns)
