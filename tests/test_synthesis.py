"""Synthesis: damage has the strength it claims, lies where its mask says, and repeats by seed."""

import numpy as np
import pytest

from conservator.degradations import BY_NAME, CELL, INDEX, NAMES, PERCEIVED, TOLD
from conservator.errors import UsageError
from conservator.pixels.light import LUMINANCE, cast_degrees, to_light
from conservator.synthesis import COMBINATIONS, Damage, degrade, draw_global, draw_preset, draw_spatial, optics, sensor
from conservator.synthesis.masks import partition


@pytest.mark.parametrize("kind", PERCEIVED)
def test_every_kind_harms_and_says_how_much(clean, kind):
    sample = degrade(clean, draw_global(np.random.default_rng(3), [kind]))
    assert np.abs(sample.degraded - clean).mean() > 0.002
    assert sample.truth[INDEX[kind]].mean() > 0.05
    others = np.delete(sample.truth, INDEX[kind], axis=0)
    assert not others.any()


@pytest.mark.parametrize("kind", PERCEIVED)
def test_the_same_seed_gives_the_same_bytes(clean, kind):
    first, second = (degrade(clean, draw_global(np.random.default_rng(5), [kind])) for _ in range(2))
    assert np.array_equal(first.degraded, second.degraded)
    assert np.array_equal(first.truth, second.truth)


@pytest.mark.parametrize("seed", range(12))
def test_spatial_damage_leaves_one_region_clean_to_the_byte(clean, seed):
    rng = np.random.default_rng(seed)
    damages, regions = draw_spatial(clean, rng)
    sample = degrade(clean, damages, regions)
    untouched = sample.untouched == 1
    assert untouched.mean() > 0.05
    assert np.array_equal(sample.degraded[untouched], sample.clean[untouched])
    assert not np.array_equal(sample.degraded, sample.clean)


@pytest.mark.parametrize("seed", range(12))
def test_regions_share_the_frame(clean, seed):
    masks = partition(clean, np.random.default_rng(seed), 3)
    assert np.allclose(sum(masks), 1.0, atol=1e-5)
    assert all(mask.min() >= 0 and mask.max() <= 1 for mask in masks)


def test_truth_lies_where_the_mask_is(clean):
    mask = np.zeros(clean.shape[:2], np.float32)
    mask[:, 112:] = 1.0
    sample = degrade(clean, [Damage("noise", {"sigma": 25.0}, 1, mask)])
    noise = sample.truth[INDEX["noise"]]
    assert not noise[:, : 112 // CELL].any()
    assert BY_NAME["noise"].value(noise[:, 112 // CELL :]).mean() == pytest.approx(25.0, rel=0.02)


def test_noise_has_the_deviation_it_claims():
    grey = np.full((256, 256, 3), 0.5, np.float32)
    for parameters in ({}, {"shot": 1.0}, {"grain": 0.7}, {"grey": 1.0}, {"luma": 0.4}):
        damaged, severity = Damage("noise", {"sigma": 20.0, **parameters}, 2).inflict(grey)
        assert (damaged - grey).std() * 255 == pytest.approx(float(BY_NAME["noise"].value(severity).mean()), rel=0.05)


def test_blur_kernels_have_the_extent_they_claim():
    for extent in (4.0, 9.0, 21.0):
        assert optics.extent_of(optics.line(extent, 0.7)) == pytest.approx(extent, abs=0.6)
        assert optics.extent_of(optics.curve(extent, np.random.default_rng(0))) >= 0.6 * extent
    for kernel in (optics.disc(3.0), optics.disc(4.0, 6), optics.one_sided(15, 5.0, 1.0)):
        assert kernel.sum() == pytest.approx(1.0, abs=1e-5)


def test_a_storm_has_faint_drops_and_bright_ones_and_says_how_much_light_they_add():
    black = np.zeros((256, 256, 3), np.float32)
    parameters = {"length": 20.0, "angle": 0.2, "width": 1.5, "density": 0.01, "model": "add", "brightness": 0.8}
    shares = {}
    for storm in (False, True):
        damaged, severity = Damage("rain", {**parameters, "storm": storm}, 3).inflict(black)
        assert BY_NAME["rain"].value(severity).mean() == pytest.approx(damaged.mean() * 255, rel=0.25)
        light = damaged[damaged > 0.02]
        shares[storm] = float((light < 0.25 * light.max()).mean())
    assert shares[True] > 2 * shares[False]


def test_kinds_that_nothing_perceives_are_inflicted_only_by_name(clean):
    told = [kind.name for kind in TOLD]
    assert draw_global(np.random.default_rng(0), told) == []
    for seed in range(20):
        asked, plain = (draw_spatial(clean, np.random.default_rng(seed), kinds) for kinds in (NAMES, PERCEIVED))
        assert [(d.kind, d.parameters, d.seed) for d in asked[0]] == [(d.kind, d.parameters, d.seed) for d in plain[0]]


def test_a_cast_has_the_angle_it_claims():
    grey = np.full((16, 16, 3), 0.4, np.float32)
    for degrees in (0.0, 5.0, 20.0):
        damaged, severity = Damage("colour_cast", {"degrees": degrees, "hue": 1.0}).inflict(grey)
        assert cast_degrees(to_light(damaged).mean(axis=(0, 1))) == pytest.approx(degrees, abs=0.05)
        assert BY_NAME["colour_cast"].value(severity).mean() == pytest.approx(degrees)
        assert (to_light(damaged) @ LUMINANCE).mean() == pytest.approx(
            float(to_light(grey[0, 0]) @ LUMINANCE), rel=1e-3
        )


def test_water_takes_red_first_and_adds_its_own_light():
    white = np.ones((64, 64, 3), np.float32)
    damaged, severity = Damage("underwater", {"metres": 6.0}, 3).inflict(white)
    red, green, blue = damaged.mean(axis=(0, 1))
    assert red < green < blue < 1
    assert 0 < severity.mean() <= BY_NAME["underwater"].severity(6.0)
    black = Damage("underwater", {"metres": 6.0}, 3).inflict(0 * white)[0]
    assert black[..., 2].mean() > 0.1, "water shines by itself"


def test_exposure_is_measured_in_stops():
    grey = np.full((64, 64, 3), 0.4, np.float32)
    darker = sensor.expose(grey, "ev", -2.0)
    assert sensor.stops_between(grey, darker).mean() == pytest.approx(2.0, abs=0.25)


def test_skipping_kinds_gives_the_rest_of_the_damage(clean):
    sample = degrade(clean, draw_global(np.random.default_rng(1), ["haze", "noise"]))
    veiled = sample.without(["noise"])
    assert np.abs(veiled - sample.clean).mean() > 0.02
    assert np.array_equal(sample.without(["noise", "haze"]), sample.clean)


def test_the_preset_is_the_published_sixteen_combinations(clean):
    assert [len(group) for group in COMBINATIONS.values()] == [8, 4, 4]
    for group in COMBINATIONS.values():
        for kinds in group:
            sample = degrade(clean, draw_preset(np.random.default_rng(0), kinds))
            assert tuple(d.kind for d in sample.damages) == kinds
            assert np.isfinite(sample.degraded).all()
    with pytest.raises(UsageError, match="snow"):
        draw_preset(np.random.default_rng(0), ["snow"])


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 9), (33, 17)])
def test_tiny_photographs_can_be_degraded(shape):
    image = np.full((*shape, 3), 0.5, np.float32)
    for kind in PERCEIVED:
        sample = degrade(image, draw_global(np.random.default_rng(0), [kind]))
        assert sample.degraded.shape == image.shape
        assert np.isfinite(sample.degraded).all()
