"""Masks in and out: every format there and back, what is refused, and several of them as one."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import conservator
from blobs import blobs, iou
from conservator.errors import InputError, OutputError, UsageError
from conservator.masks import combined, encode_masks, read_mask, read_masks, rle, svg
from conservator.masks.coco import dataset, segmentation
from conservator.masks.fill import crossing, fill
from conservator.masks.trace import trace

SIZE = (40, 60)
SQUARE = [10, 5, 30, 5, 30, 25, 10, 25]
REST = [[30, 5], [30, 25], [10, 25]]
KNOT = [10, 5, 30, 25, 30, 5, 10, 25]


def square(top=5, bottom=25, left=10, right=30):
    mask = np.zeros(SIZE, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


masks = st.builds(
    blobs,
    st.integers(1, 70),
    st.integers(1, 70),
    seed=st.integers(0, 10_000),
    smooth=st.sampled_from([0.0, 1.0, 3.0]),
    share=st.sampled_from([0.05, 0.4, 0.7]),
)


@settings(max_examples=60, deadline=None)
@given(masks)
def test_every_format_gives_the_mask_back(mask):
    named = {"it": mask.astype(np.float32)}
    styles = [(".json", "rle"), (".json", "counts"), (".json", "polygons"), (".svg", "rle"), (".geojson", "rle")]
    for suffix, style in styles:
        again = read_mask(encode_masks(named, suffix, style=style), mask.shape) > 0.5
        assert iou(again, mask) == 1.0, (suffix, style)
    assert np.array_equal(read_mask(encode_masks(named, ".png"), mask.shape), named["it"])


@settings(max_examples=30, deadline=None)
@given(masks, st.integers(4, 60))
def test_fewer_points_keep_within_the_budget_and_cross_nothing(mask, points):
    parts = trace(mask, points)
    rings = [ring for part in parts for ring in part.rings]
    assert rings and sum(map(len, rings)) <= points
    assert all(crossing(ring) is None for ring in rings if len(ring) > 3)
    read_mask({"segmentation": [ring.ravel().tolist() for ring in rings if len(ring) > 2]}, mask.shape)


@settings(max_examples=30, deadline=None)
@given(masks, st.integers(4, 60))
def test_files_keep_within_the_budget_and_are_read_back(mask, points):
    named = {"it": mask.astype(np.float32)}
    exact = iou(fill([part.rings for part in trace(mask, points)], mask.shape), mask)
    for suffix, style in ((".json", "polygons"), (".svg", "rle"), (".geojson", "rle")):
        data = encode_masks(named, suffix, style=style, points=points)
        again = read_mask(data, mask.shape) > 0.5
        if suffix == ".json":
            assert sum(map(len, json.loads(data)["annotations"][0]["segmentation"])) <= 2 * points
        else:
            assert abs(iou(again, mask) - exact) < 0.02, suffix


def test_a_ring_has_its_hole_in_cocos_polygons_too():
    y, x = np.mgrid[:200, :240]
    ring = ((y - 100) ** 2 + (x - 120) ** 2 < 90**2) & ((y - 90) ** 2 + (x - 110) ** 2 > 40**2)
    data = encode_masks({"it": ring.astype(np.float32)}, ".json", style="polygons", points=60)
    (polygon,) = json.loads(data)["annotations"][0]["segmentation"]
    assert len(polygon) <= 120 and iou(read_mask(data, ring.shape) > 0.5, ring) > 0.97
    for suffix, style in ((".png", "rle"), (".json", "rle"), (".json", "counts")):
        with pytest.raises(UsageError, match="60 points"):
            encode_masks({"it": ring.astype(np.float32)}, suffix, style=style, points=60)


@pytest.mark.parametrize("suffix", [".json", ".svg", ".geojson"])
def test_what_is_nowhere_half_inside_has_no_outline(suffix):
    faint, half = np.full(SIZE, 0.4, np.float32), np.full(SIZE, 0.5, np.float32)
    with pytest.raises(OutputError, match="faint, nowhere more than 40% inside"):
        encode_masks({"faint": faint}, suffix)
    both = encode_masks({"faint": faint, "half": half}, suffix)
    assert read_mask(both, SIZE).all() and b"faint" not in both
    assert np.abs(read_mask(encode_masks({"faint": faint}, ".png"), SIZE) - 0.4).max() < 1e-4
    with pytest.raises(OutputError, match="nowhere"):
        encode_masks({"none": faint * 0}, ".png")


def test_a_soft_picture_stays_soft(tmp_path):
    soft = np.random.default_rng(0).random(SIZE).astype(np.float32)
    (tmp_path / "soft.png").write_bytes(encode_masks({"sky": soft}, ".png"))
    assert np.abs(read_mask(tmp_path / "soft.png", SIZE) - soft).max() <= 0.5 / 65535
    with pytest.raises(OutputError, match="one"):
        encode_masks({"a": soft, "b": soft}, ".png")
    with pytest.raises(OutputError, match="webp"):
        encode_masks({"a": soft}, ".webp")


def test_a_pixel_is_inside_when_its_centre_is():
    """The obvious way: the even-odd rule, asked of every centre."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        ring = rng.random((7, 2)) * (25, 20)
        slow = [[inside(x + 0.5, y + 0.5, ring) for x in range(25)] for y in range(20)]
        assert np.array_equal(fill([[ring]], (20, 25)), slow)


def inside(x, y, ring):
    odd = False
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if (y0 <= y) != (y1 <= y) and x >= x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            odd = not odd
    return odd


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=12))
def test_counts_survive_cocos_string(counts):
    assert rle.from_string(rle.to_string(counts), "it") == counts


def test_the_string_is_pycocotools_own():
    mask = np.zeros((9, 10), np.bool_)
    mask[2:6, 3:8] = True
    assert rle.encode(mask)["counts"] == "m0450000000`0"  # what pycocotools 2.0 writes
    assert rle.encode(mask, compressed=False)["counts"] == [29, 4, 5, 4, 5, 4, 5, 4, 5, 4, 21]


@pytest.mark.parametrize(
    "given",
    [
        {"segmentation": [SQUARE]},
        {"segmentation": SQUARE},
        {"segmentation": segmentation(square())},
        segmentation(square(), "counts"),
        dataset({"a": square(right=20), "b": square(left=20)}, "x.jpg"),
        {"type": "Polygon", "coordinates": [[[10, 5], *REST, [10, 5]]]},
        {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": [[[[10, 5], *REST]]]}},
        b"M10 5h20v20h-20z",
        b"<svg viewBox='0 0 60 40'><path d='M10,5 30,5 30,25 10,25Z'/></svg>",
        square(),
        square() * np.uint8(255),
        square() * 1.0,
        Image.fromarray(square() * np.uint8(255)),
    ],
)
def test_all_that_may_be_a_mask(given):
    assert np.array_equal(read_mask(given, SIZE), square())


def test_holes_and_fill_rules():
    ring, hole = [[10, 5], *REST], [[15, 10], [25, 10], [25, 20], [15, 20]]
    found = read_mask({"type": "Polygon", "coordinates": [ring, hole]}, SIZE)
    assert np.array_equal(found > 0, square() & ~square(10, 20, 15, 25))
    data = "M10 5h20v20h-20zM15 10h10v10h-10z"
    assert svg.read(data, SIZE, "it").sum() == 400
    odd = f"<svg><path style='fill-rule:evenodd' d='{data}'/></svg>"
    assert svg.read(odd, SIZE, "it").sum() == 300


def test_curves_and_arcs_are_as_large_as_they_should_be():
    disc = svg.read("M 10 50 A 40 40 0 1 1 90 50 A 40 40 0 1 1 10 50 Z", (100, 100), "it")
    assert disc.sum() == pytest.approx(np.pi * 1600, rel=0.005) and disc[50, 50] and not disc[5, 5]
    half = svg.read("M10 50a40 40 0 0 1 80 0z", (100, 100), "it")
    assert half.sum() == pytest.approx(np.pi * 800, rel=0.005) and half[30, 50] and not half[70, 50]
    curved = svg.read("M10 50C10 27.9 27.9 10 50 10S90 27.9 90 50z", (100, 100), "it")
    assert iou(curved, half) > 0.99
    parabola = svg.read("M10 50Q30 0 50 50T90 50Z", (100, 100), "it")
    assert parabola.sum() == pytest.approx(2 * 40 * 25 * 2 / 3, rel=0.01)


PATH = "<path d='M10 5h20v20h-20z'/>"
DRAWS = {
    "<rect width='4' height='4'/>": "<rect>",
    "<g><polygon points='0,0 1,0 1,1'/></g>": "<polygon>",
    "<circle r='4'/>": "<circle>",
    "<use href='#a' x='9'/>": "<use>",
    f"<svg x='9'>{PATH}</svg>": "<svg>",
    f"<g style='transform: translate(9px)'>{PATH}</g>": "transforms",
    f"<g style='translate: 9px'>{PATH}</g>": "transforms",
    f"<g style='fill:red; display:none'>{PATH}</g>": "display",
    f"<g display='none'>{PATH}</g>": "display",
    f"<g visibility='hidden'>{PATH}</g>": "visibility",
    f"<g clip-path='url(#a)'>{PATH}</g>": "clip-path",
    **{f"<{tag}>{PATH}</{tag}>": f"<{tag}>" for tag in ("defs", "clipPath", "mask", "pattern", "symbol", "switch")},
    "<style>path {display: none}</style>": "<style>",
    "<image href='a.png'/>": "<image>",
    "<text>sky</text>": "<text>",
}


def test_what_shows_nowhere_is_no_obstacle_and_groups_pass_on_their_fill_rule():
    data = "M10 5h20v20h-20zM15 10h10v10h-10z"
    notes = "<metadata><a/></metadata><title>the</title><defs/><n:view xmlns:n='http://n'/><!-- none -->"
    head = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 60 40'>"
    ring = svg.read(f"{head}{notes}<g fill-rule='evenodd'><path d='{data}'><desc>a</desc></path></g></svg>", SIZE, "it")
    assert ring.sum() == 300
    filled = f"{head}<g fill-rule='evenodd'><path d='{data}' style='fill-rule: nonzero; opacity: 1'/></g></svg>"
    assert svg.read(filled, SIZE, "it").sum() == 400


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (np.ones((10, 10), np.bool_), UsageError, "10×10"),
        (segmentation(np.ones((10, 10), np.bool_)), UsageError, "resize the mask"),
        ({"size": [10**7, 10**7], "counts": [10**14]}, UsageError, "resize the mask"),
        ({"size": [40, 60], "counts": [10**14]}, InputError, "encode it anew"),
        ({"size": [40, 60], "counts": [-1, 2401]}, InputError, "whole numbers"),
        ({"size": [40, 60], "counts": "o" * 200}, InputError, "string"),
        ({"size": [40, 60], "counts": "\x01"}, InputError, "string"),
        ({"size": "big", "counts": [1]}, InputError, "height, width"),
        ({"segmentation": [KNOT]}, InputError, "crosses itself"),
        ({"type": "Polygon", "coordinates": [np.reshape(KNOT, (4, 2)).tolist()]}, InputError, "crosses itself"),
        ({"segmentation": [[10, 5, 30, float("nan"), 30, 25]]}, InputError, "NaN"),
        ({"segmentation": [[10, 5, 30, 5]]}, InputError, "2 points"),
        ({"segmentation": [["a", "b"]]}, InputError, "numbers"),
        ({"segmentation": [[100, 50, 300, 50, 300, 250]]}, UsageError, "60×40"),
        ({"annotations": [], "images": [{"id": 1, "width": 6, "height": 4}]}, UsageError, "6×4"),
        ({"annotations": [], "images": [{"id": 1}, {"id": 2}]}, InputError, "2 pictures"),
        ({"annotations": []}, InputError, "empty"),
        ({"what": 1}, InputError, "no mask"),
        ({"type": "Point", "coordinates": [1, 2]}, InputError, "no mask"),
        ({"type": "Feature", "geometry": {"type": "Point"}}, InputError, "Point"),
        ({"type": "FeatureCollection"}, InputError, "features"),
        (np.zeros(SIZE, np.uint8), InputError, "empty"),
        (square() * np.uint8(1), InputError, "multiply it by 255"),
        (np.full(SIZE, np.nan), InputError, "NaN"),
        (square() * 255.0, InputError, "0, 1"),
        (b"{broken", InputError, "JSON"),
        (b"[" * 100_000, InputError, "JSON"),
        (b"<svg>", InputError, "SVG"),
        (b"<svg viewBox='0 0 6 4'><path d='M0 0h1v1z'/></svg>", UsageError, "6×4"),
        (b"<svg><rect width='4'/></svg>", InputError, "path"),
        (b"<svg><g transform='scale(2)'><path d='M0 0h1v1z'/></g></svg>", InputError, "flatten"),
        (b"<!DOCTYPE s [<!ENTITY a 'b'>]><svg/>", InputError, "entities"),
        *((f"<svg>{PATH}{more}</svg>".encode(), InputError, says) for more, says in DRAWS.items()),
        (f"<g>{PATH}</g>".encode(), InputError, "<g>"),
        (b"M 10 5 h", InputError, "empty"),
        (b"M 10 5 L 3", InputError, "left"),
        (b"M 10 5 % 3", InputError, "commands"),
    ],
)  # fmt: skip
def test_what_is_no_mask_is_refused(given, error, says):
    with pytest.raises(error, match=says):
        read_mask(given, SIZE)


def test_a_data_set_of_many_pictures_is_asked_for_this_one():
    data = dataset({"a": square()}, "a.jpg")
    data["images"].append({"id": 2, "file_name": "b.jpg", "width": 60, "height": 40})
    data["annotations"].append({"image_id": 2, "segmentation": [[0, 0, 5, 0, 5, 5, 0, 5]]})
    assert read_mask(data, SIZE, photo="b.jpg").sum() == 25
    with pytest.raises(InputError, match=r"c\.jpg"):
        read_mask(data, SIZE, photo="c.jpg")


def test_several_masks_make_one():
    treat = read_masks([square(), (square(0, 40, 0, 60), 0.25)], SIZE)
    protect = read_masks((square(0, 10), 0.5), SIZE)
    weight = combined(treat, protect)
    assert weight[0, 0] == 0.25 and weight[20, 20] == 1.0 and weight[7, 20] == 0.5 and weight.dtype == np.float32
    assert combined([], read_masks(square(), SIZE))[6, 11] == 0.0
    assert combined([], []) is None
    with pytest.raises(UsageError, match="strength"):
        read_masks((square(), 1.5), SIZE)


NOISY = np.random.default_rng(0).normal(128, 45, (75, 101, 3)).clip(0, 255)


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "alpha"])
def test_what_a_mask_protects_stays_identical_to_the_byte(kind, tmp_path):
    photo = NOISY.astype(np.uint8) if kind != "16 bits" else (NOISY * 257).astype(np.uint16)
    if kind == "alpha":
        photo = np.dstack([photo, np.arange(75 * 101, dtype=np.uint8).reshape(75, 101, 1)])
    shape = blobs(75, 101, seed=4)
    file = tmp_path / "shape.json"
    file.write_bytes(encode_masks({"it": shape.astype(np.float32)}, ".json"))
    for arguments, spared in (({"protect": file}, shape), ({"mask": file}, ~shape)):
        treated = conservator.restore(photo, instruction="remove the noise", **arguments)
        same = (treated.photo.samples == treated.original.samples).all(axis=2)
        assert same[spared].all() and not same[~spared].all()
        again = conservator.replay(treated.record, photo)
        assert np.array_equal(again.photo.samples, treated.photo.samples)
        if treated.original.alpha is not None:
            assert np.array_equal(treated.photo.alpha, treated.original.alpha)


def test_a_record_keeps_every_mask_and_its_strength(tmp_path):
    photo = NOISY.astype(np.uint8)
    (tmp_path / "top.svg").write_text("M0 0h101v30h-101z")
    masks = [(tmp_path / "top.svg", 0.5), blobs(75, 101, seed=1)]
    first = conservator.restore(photo, mask=masks, instruction="remove the noise")
    call = json.loads(first.record.to_json())["call"]
    assert [entry["strength"] for entry in call["mask"]] == [0.5, 1.0] and call["protect"] is None
    assert [bool(entry["path"]) for entry in call["mask"]] == [True, False]
    with pytest.raises(UsageError, match="pass mask="):
        conservator.replay(first.record, photo)
    again = conservator.replay(first.record, photo, [masks[0][0], masks[1]])
    assert np.array_equal(again.photo.samples, first.photo.samples)
    with pytest.raises(InputError, match="pass the same mask"):
        conservator.replay(first.record, photo, [masks[1], masks[1]])
