"""Phrases to masks: the words on computed scenes whose parts are known, and how they combine."""

import numpy as np
import pytest
from skimage import data

import conservator
from blobs import iou
from conservator.degradations import CELL, INDEX, NAMES
from conservator.diagnosis import Diagnosis
from conservator.errors import InputError, ModelMissing, UsageError
from conservator.photo import open_photo
from conservator.selection import Found, MaskSource, Prompt, Selector, select
from conservator.selection.geometry import beside
from conservator.selection.vocabulary import VOCABULARY, WORDS
from conservator.synthesis.weather import smooth_field
from conservator.wishes import place
from conservator.wishes.lexicon import PARTS
from onnx_files import yunet
from scenes import scene

SIZE = (165, 243)  # no multiple of a cell


def diagnosed(size, **where):
    """A diagnosis with damage of severity 0.5 where masks (H, W) say."""
    grid = tuple(-(-side // CELL) for side in size)
    maps = np.zeros((len(NAMES), *grid), np.float32)
    for kind, mask in where.items():
        maps[INDEX[kind]] = 0.5 * mask[::CELL, ::CELL]
    return Diagnosis(size, maps, maps, maps * 0, np.sign(maps), np.full((*grid, 3), 0.5, np.float32))


def selected(picture, phrase, **where):
    return select(picture, phrase, diagnosis=diagnosed(picture.shape[:2], **where))


def outdoors(kind, seed=0):
    """A sky over a ridge with rough ground, and the mask of the sky."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / np.array(SIZE)[:, None, None]
    high, low = {
        "blue": ((0.25, 0.45, 0.85), (0.75, 0.85, 0.95)),
        "overcast": ((0.72, 0.74, 0.77), (0.86, 0.87, 0.88)),
        "evening": ((0.55, 0.5, 0.62), (0.98, 0.75, 0.5)),
    }[kind]
    picture = np.asarray(high) * (1 - y[..., None]) + np.asarray(low) * y[..., None]
    if kind == "blue":
        cover = np.clip(3 * smooth_field(SIZE, rng, 5) - 1.6, 0, 1)[..., None]
        picture = picture * (1 - cover) + 0.96 * cover
    above = y < 0.55 + 0.08 * np.sin(9 * x) + 0.03 * np.sin(31 * x)
    ground = np.array([0.25, 0.33, 0.15]) * (0.6 + 0.8 * rng.random((*SIZE, 1)))
    return np.where(above[..., None], picture, ground).clip(0, 1).astype(np.float32), above


@pytest.mark.parametrize("kind", ["blue", "overcast", "evening"])
def test_the_sky_is_what_lies_above_the_ridge(kind):
    picture, above = outdoors(kind)
    found = selected(picture, "the sky")
    assert iou(found.mask > 0.5, above) > 0.95 and found.confidence > 0.4 and not found.missing
    turned = selected(np.ascontiguousarray(picture[::-1]), "the sky")
    assert turned.area < 0.02 or turned.confidence < found.confidence, "what lies below is no sky"


@pytest.mark.parametrize("seed", range(3))
def test_no_sky_is_found_where_texture_reaches_the_top(seed):
    picture = scene(*SIZE, seed)
    picture[:60] = np.random.default_rng(seed).permutation(picture[:60])[:, ::-1] * 0.7
    picture[:60] += 0.3 * np.random.default_rng(seed).random((60, SIZE[1], 1), np.float32)
    found = selected(picture, "sky")
    assert found.missing == ("sky",) and not found.mask.any() and found.confidence == 0


@pytest.mark.parametrize(("word", "gain", "lift"), [("shadows", 0.15, 0.0), ("highlights", 0.1, 0.88)])
def test_tones_are_found_where_they_are(word, gain, lift):
    part = np.zeros(SIZE, np.bool_)
    part[40:120, 30:150] = True
    picture = (0.4 + 0.2 * scene(*SIZE, 1)).astype(np.float32)
    picture[part] = picture[part] * gain + lift
    found = selected(picture, f"the {word}")
    assert iou(found.mask > 0.5, part) > 0.93 and found.confidence == 1.0
    half = selected(picture, f"{word} on the left")
    assert iou(half.mask > 0.5, part & (np.arange(SIZE[1]) < SIZE[1] / 2)) > 0.9


def test_places_are_halves_and_the_middle():
    picture = scene(*SIZE)
    masks = {name: selected(picture, name).mask for name in ("left", "right", "top", "bottom", "centre", "edges")}
    for one, other in (("left", "right"), ("top", "bottom")):
        assert np.allclose(masks[one] + masks[other], 1, atol=0.05) and abs(masks[one].mean() - 0.5) < 0.01
    assert masks["left"][:, :100].all() and not masks["left"][:, 140:].any()
    assert masks["centre"].mean() == pytest.approx(0.25, abs=0.03) and masks["centre"][82, 120] == 1
    corner = selected(picture, "the upper left corner").mask
    assert corner[5, 5] == 1 and corner.mean() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("word", "kind"),
    [("noisy", "noise"), ("compressed", "jpeg"), ("hazy", "haze"), ("rainy", "rain"), ("blurry", "defocus_blur"),
     ("blurry", "motion_blur"), ("overexposed", "over_exposure"), ("噪点多的", "noise"), ("模糊的", "defocus_blur")],
)  # fmt: skip
def test_damage_is_where_the_diagnosis_has_it(word, kind):
    where = np.zeros(SIZE, np.bool_)
    where[:80, 80:] = True
    picture = np.full((*SIZE, 3), 0.5, np.float32)
    found = selected(picture, f"the {word} parts" if word.isascii() else f"{word}地方", **{kind: where})
    assert iou(found.mask > 0.5, where) > 0.9 and found.confidence == 1.0
    nothing = selected(picture, word)
    assert not nothing.mask.any() and nothing.missing


def test_dark_means_less_light_in_the_picture_and_darker_in_a_part():
    picture, above = outdoors("overcast")
    x = np.arange(SIZE[1])
    picture *= np.clip((x - 80) / 80, 0, 1)[:, None] * 0.25 + 0.75
    assert iou(selected(picture, "the dark part of the sky").mask > 0.5, above & (x < 120)) > 0.85
    assert iou(selected(picture, "the bright part of the sky").mask > 0.5, above & (x > 120)) > 0.85
    lacking = np.zeros(SIZE, np.bool_)
    lacking[:, 120:] = True
    assert selected(np.full((*SIZE, 3), 0.6, np.float32), "dark", low_light=lacking).mask[:, 140:].all()


def test_compositions():
    picture, above = outdoors("blue")
    assert iou(selected(picture, "everything but the sky").mask > 0.5, ~above) > 0.95
    assert iou(selected(picture, "除了天空").mask > 0.5, ~above) > 0.95
    left = np.broadcast_to(np.arange(SIZE[1]) < SIZE[1] / 2, SIZE)
    assert iou(selected(picture, "the left half of the sky").mask > 0.5, above & left) > 0.93
    assert iou(selected(picture, "天空的左边").mask > 0.5, above & left) > 0.93
    assert iou(selected(picture, "the sky and the left").mask > 0.5, above | left) > 0.95
    assert iou(selected(picture, "everything except the sky and the left").mask > 0.5, ~above & ~left) > 0.9
    assert selected(picture, "below the sky").mask[150].mean() > 0.95


def test_beside():
    thing = np.zeros((60, 90), np.float32)
    thing[20:30, 40:50] = 1
    assert beside(thing, "left of")[25, :40].all() and not beside(thing, "left of")[:, 40:].any()
    assert beside(thing, "right of")[25, 50:].all() and not beside(thing, "right of")[25, :50].any()
    assert beside(thing, "above")[:20, 45].all() and not beside(thing, "above")[31:].any()
    assert beside(thing, "below")[30:, 45].all() and not beside(thing, "below")[:30].any()
    around = beside(thing, "around")
    assert around[18, 45] == 1 and not around[25, 45] and not around[0, 0] and not beside(thing * 0, "around").any()


def test_the_foreground_is_the_sharp_thing_in_the_middle():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (y - 90) ** 2 + (x - 120) ** 2 < 45**2
    behind = np.stack([0.3 + 0.2 * smooth_field(SIZE, rng, 3) for _ in range(3)], axis=-1)
    rough = np.array([0.8, 0.3, 0.2]) * (0.6 + 0.4 * rng.random((*SIZE, 1)))
    picture = np.where(disc[..., None], rough, behind).astype(np.float32)
    found = selected(picture, "the foreground")
    assert iou(found.mask > 0.5, disc) > 0.8 and found.confidence <= 0.6
    assert np.allclose(found.mask + selected(picture, "背景").mask, 1, atol=0.2)


def test_faces_are_found_by_what_ships(monkeypatch):
    monkeypatch.delenv("CONSERVATOR_FACES", raising=False)
    picture = data.astronaut()[:256, 64:384]
    found = selected(picture, "人脸")
    head = np.zeros(picture.shape[:2], np.bool_)
    head[65:170, 113:200] = True  # by eye
    assert found.mask[80:150, 130:185].min() == 1.0 and iou(found.mask > 0.5, head) > 0.6
    assert selected(picture, "around the faces").mask[60:190, 90:220].max() > 0.5
    assert selected(scene(*SIZE), "faces").missing == ("faces",)
    assert iou(selected(picture, "skin").mask > 0.5, head) > 0.2


def test_a_face_detector_of_ones_own_is_asked_instead(monkeypatch, tmp_path):
    monkeypatch.setenv("CONSERVATOR_FACES", str(yunet(tmp_path / "yunet.onnx", (96, 128), 5, 7, 32, 40)))
    found = selected(scene(96, 128), "faces")
    box = np.zeros((96, 128), np.bool_)
    box[24:64, 44:76] = True
    assert found.mask[box].mean() > 0.9 and iou(found.mask > 0.5, box) > 0.5 and found.confidence == 1.0


def test_a_face_detector_of_ones_own_must_exist_and_be_one(monkeypatch, tmp_path):
    monkeypatch.setenv("CONSERVATOR_FACES", str(tmp_path / "absent.onnx"))
    with pytest.raises(ModelMissing, match=r"absent\.onnx"):
        selected(scene(*SIZE), "faces")
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    monkeypatch.setenv("CONSERVATOR_FACES", str(tmp_path / "broken.onnx"))
    with pytest.raises(InputError, match="cannot be run"):
        selected(scene(*SIZE), "faces")


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (13, 5), (2100, 31)])
def test_every_word_takes_any_size(size, monkeypatch):
    monkeypatch.delenv("CONSERVATOR_FACES", raising=False)
    samples = open_photo(np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)).samples
    selector = Selector(samples, diagnosed(size))
    for word in (*WORDS, "dark sky", "around skin"):
        mask = selector.select(word).mask
        assert mask.shape == size and mask.dtype == np.float32 and 0 <= mask.min() <= mask.max() <= 1


@pytest.mark.parametrize(
    ("phrase", "reads"),
    [
        ("shadows left", "shadows in left"),
        ("the dark part of the sky", "dark in sky"),
        ("everything but the faces", "everything except faces"),
        ("all but the sky and the faces", "everything except (sky and faces)"),
        ("the sky except the left half", "sky except (left)"),
        ("the sky, the faces", "sky and faces"),
        ("the shadows left of the faces", "shadows in left of faces"),
        ("the whole picture", "everything"),
        ("(sky and faces) on the left", "(sky and faces) in left"),
        ("人脸周围", "around faces"),
        ("天空以外", "everything except sky"),
        ("除了天空和人脸以外的地方", "everything except (sky and faces)"),
        ("左上角的暗部", "left in top in shadows"),
        ("左边的天空和右边的人脸", "left in sky and right in faces"),
    ],
)
def test_phrases_are_read_and_read_back(phrase, reads):
    assert str(place(phrase)) == reads
    assert place(reads) == place(phrase)


@pytest.mark.parametrize("phrase", ["the door", "", "of the", "left of the door", "sky except", "(sky", "门", "noise"])
def test_places_that_nobody_knows_are_refused_by_name(phrase):
    with pytest.raises(UsageError, match="cannot"):
        select(np.zeros((8, 8), np.uint8), phrase)


def test_other_sources_answer_for_the_same_words():
    class Upper:
        name, weights = "upper", {}

        def knows(self, prompt):
            return prompt.word == "sky"

        def find(self, scene, prompt):
            mask = np.zeros((4, 6), np.float32)
            mask[:2] = 1
            return (Found(mask, 0.9),)

    assert isinstance(VOCABULARY, MaskSource) and isinstance(Upper(), MaskSource)
    assert not VOCABULARY.knows(Prompt("sky", points=((1, 2, True),))) and not VOCABULARY.knows(Prompt())
    picture = scene(*SIZE)
    found = select(picture, "sky", diagnosis=diagnosed(SIZE), sources=[Upper(), VOCABULARY])
    assert found.confidence == 0.9 and found.area == pytest.approx(0.5, abs=0.02)
    with pytest.raises(UsageError, match="mask source knows"):
        select(picture, "faces", diagnosis=diagnosed(SIZE), sources=[Upper()])


def test_every_part_of_the_language_has_a_word_that_finds_it():
    assert set(WORDS) == set(PARTS)


def test_a_selection_says_what_ails_it_and_serves_as_a_mask():
    picture, above = outdoors("blue")
    where = diagnosed(SIZE, noise=above)
    found = conservator.select(picture, "the sky", diagnosis=where)
    assert set(found.region(where).severities) == {"noise"} and found.region(where).source == "text"
    assert found.to_dict().keys() == {"phrase", "area", "confidence", "missing"}
    grainy = (picture + np.random.default_rng(0).normal(0, 0.15, picture.shape)).clip(0, 1)
    treated = conservator.restore(grainy, mask=found.mask, instruction="remove the noise")
    same = (treated.photo.samples == treated.original.samples).all(axis=2)
    assert same[found.mask == 0].all() and not same[found.mask == 1].all()
