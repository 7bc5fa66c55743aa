"""Underwater light and colour casts: known physics is undone, nothing else is touched, nobody applies them unasked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench_pictures import nothing_found
from conservator.benchmarks.controls import told
from conservator.degradations import BY_NAME, INDEX, NAMES, TOLD
from conservator.diagnosis import Diagnosis
from conservator.pixels.light import as_bright, cast_degrees, from_light, to_light
from conservator.pixels.types import Pixels, Samples
from conservator.plan import Step
from conservator.policies.scripted import ScriptedPolicy
from conservator.quality.reference import psnr
from conservator.synthesis import Damage, degrade
from conservator.synthesis.colours import light_at
from conservator.tools import underwater as water_tool
from conservator.tools import white_balance as balance_tool
from conservator.tools.registry import TOOLS
from conservator.treatment import Treatment, restore

COLOURS = ("underwater", "white_balance")


def asked(photo: Any, tool: str, **options: Any) -> Treatment:
    """What `treat` does, with nothing found anywhere."""
    script = ScriptedPolicy([Step(tool, TOOLS.get(tool).card.treats)])
    return restore(photo, policy=script, perceiver=nothing_found, **options)


def in_full(kind: str, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    severity = np.zeros((len(NAMES), *shape), np.float32)
    severity[INDEX[kind]] = 1.0
    return severity


def eight(pixels: Pixels) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.rint(pixels * 255).astype(np.uint8)


def test_light_and_encoding_are_inverse() -> None:
    pixels = np.linspace(0, 1, 3 * 257, dtype=np.float32).reshape(1, 257, 3)
    assert np.abs(from_light(to_light(pixels)) - pixels).max() < 1e-5
    assert to_light(np.float32([0.5]))[0] == pytest.approx(0.21404, abs=1e-4)


def test_angles_are_those_of_the_field() -> None:
    assert cast_degrees([2, 2, 2]) == pytest.approx(0, abs=1e-5)
    assert cast_degrees([0, 0, 1]) == pytest.approx(54.7356, abs=1e-3)
    assert cast_degrees(light_at(12.0, 0.3)) == pytest.approx(12.0, abs=1e-4)
    assert cast_degrees(np.zeros(3)) == pytest.approx(90.0)


@pytest.mark.parametrize("name", COLOURS)
def test_the_automatic_policy_never_reaches_for_it(clean: Pixels, name: str) -> None:
    kinds = [kind.name for kind in TOLD]
    assert set(TOOLS.get(name).card.treats) <= set(kinds)
    for kind, parameters in (("underwater", {"metres": 8.0}), ("colour_cast", {"degrees": 20.0, "hue": 0.5})):
        treatment = restore(eight(degrade(clean, [Damage(kind, parameters)]).degraded), perceiver=nothing_found)
        assert treatment.unchanged and not treatment.record.data["plan"]


@pytest.mark.parametrize("name", COLOURS)
def test_the_whole_frame_is_treated_and_a_mask_and_strength_are_honoured(clean: Pixels, name: str) -> None:
    kind, parameters = {
        "underwater": ("underwater", {"metres": 8.0}),
        "white_balance": ("colour_cast", {"degrees": 20.0, "hue": 3.0}),
    }[name]
    before = eight(degrade(clean, [Damage(kind, parameters, 1)]).degraded)
    full, half, none = (asked(before, name, strength=s).pixels for s in (1.0, 0.5, 0.0))
    start = before.astype(np.float32) / 255
    assert np.abs(full - start).mean() > 0.02
    assert np.abs(half - (start + full) / 2).max() < 1e-3
    assert np.array_equal(eight(none), before)
    mask = np.zeros(before.shape[:2], np.uint8)
    mask[:, :64] = 255
    masked = eight(asked(before, name, mask=mask).pixels)
    assert np.array_equal(masked[:, 64:], before[:, 64:])
    assert not np.array_equal(masked[:, :64], before[:, :64])


@pytest.mark.parametrize("name", COLOURS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 9), (33, 17), (300, 520)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures_of_any_size_survive(name: str, shape: tuple[int, int], value: int) -> None:
    after = asked(np.full((*shape, 3), value, np.uint8), name).pixels
    assert after.shape == (*shape, 3) and np.isfinite(after).all()
    assert np.abs(after - value / 255).max() < 0.02, "grey has no cast and has lost no red"


@pytest.mark.parametrize("name", COLOURS)
def test_tiles_do_not_show(clean: Pixels, name: str) -> None:
    before = eight(degrade(clean, [Damage("underwater", {"metres": 8.0}, 1)]).degraded)
    assert np.array_equal(asked(before, name, tile=64).photo.samples, asked(before, name).photo.samples)


# underwater


def test_inverted_water_is_the_scene() -> None:
    scene = np.random.default_rng(0).uniform(0.2, 0.8, (24, 24, 3)).astype(np.float32)
    through = np.float32([0.4, 0.8, 0.9])
    veil = np.float32([0.02, 0.25, 0.3]) * (1 - through)
    seen = from_light(to_light(scene) * through + veil)
    maps = np.broadcast_to(np.concatenate([veil, 1 / through])[:, None, None], (6, 24, 24))
    found = water_tool.underwater.treat(seen, in_full("underwater", (24, 24)), maps)
    bounded = scene[..., 0] > scene[..., 1:].max(axis=2)  # red above the others is held back on purpose
    assert np.abs(found - scene)[~bounded].max() < 2e-3
    assert (found[bounded] <= scene[bounded] + 2e-3).all()


def test_photographs_come_out_of_the_water_closer_to_the_truth(clean: Pixels) -> None:
    for seed in range(4):
        sample = degrade(clean, [Damage("underwater", {"metres": 8.0}, seed)])
        after = asked(eight(sample.degraded), "underwater").pixels
        assert psnr(after, sample.clean) > psnr(sample.degraded, sample.clean) + 0.5


def test_the_veil_is_never_brighter_than_what_is_seen(clean: Pixels) -> None:
    sample = degrade(clean, [Damage("underwater", {"metres": 10.0}, 2)])
    maps = water_tool.survey(sample.degraded, in_full("underwater", clean.shape[:2]))
    veil, gain = maps[:3].transpose(1, 2, 0), maps[3:]
    assert maps.shape == (6, *clean.shape[:2]) and (veil >= 0).all() and (gain > 0).all()
    dark = to_light(sample.degraded)[..., 1:]
    assert (veil[..., 1:] > dark).mean() < 0.02


# white balance


@pytest.mark.parametrize("hue", [0.0, 2.0, 4.0])
def test_a_cast_over_a_balanced_scene_is_taken_away(hue: float) -> None:
    grey = np.random.default_rng(1).uniform(0.1, 0.8, (96, 128, 1)).astype(np.float32)
    scene = np.clip(grey + np.random.default_rng(2).normal(0, 0.05, (96, 128, 3)), 0, 0.85).astype(np.float32)
    sample = degrade(scene, [Damage("colour_cast", {"degrees": 20.0, "hue": hue})])
    after = asked(eight(sample.degraded), "white_balance").pixels
    left = cast_degrees(
        (to_light(after) * to_light(sample.clean)).sum((0, 1)) / (to_light(sample.clean) ** 2).sum((0, 1))
    )
    assert left < 7.0
    assert psnr(after, sample.clean) > psnr(sample.degraded, sample.clean) + 5


def test_what_has_no_cast_hardly_gets_one() -> None:
    grey = np.random.default_rng(1).uniform(0.1, 0.8, (96, 128, 1)).astype(np.float32).repeat(3, axis=2)
    assert np.abs(asked(eight(grey), "white_balance").pixels - eight(grey) / 255).max() < 2 / 255


def test_blown_out_white_stays_white() -> None:
    scene = np.random.default_rng(1).uniform(0.1, 0.8, (64, 64, 3)).astype(np.float32)
    cast = from_light(to_light(scene) * as_bright([1.0, 0.6, 0.3]))
    cast[:16, :16] = 1.0
    after = asked(eight(cast), "white_balance").pixels
    assert (after[:16, :16] == 1.0).all()
    assert np.abs(after[32:] - cast[32:]).mean() > 0.05


def test_the_light_is_read_where_the_tool_is_to_work() -> None:
    rng = np.random.default_rng(3)
    scene = rng.uniform(0.1, 0.8, (64, 96, 1)).astype(np.float32).repeat(3, axis=2)
    scene[:, 48:] = from_light(to_light(scene[:, 48:]) * as_bright([1.0, 0.5, 0.25]))
    severity = in_full("colour_cast", (64, 96))
    severity[:, :, :48] = 0
    assert cast_degrees(1 / balance_tool.survey(scene, severity)[:, 0, 0]) > 10
    assert cast_degrees(1 / balance_tool.survey(scene, severity[..., ::-1])[:, 0, 0]) < 1


def test_a_step_may_be_told_by_a_perceiver_that_knows() -> None:
    """Full strength is the session's doing, whatever a diagnosis says of a kind that nothing perceives."""
    samples_seen: list[Diagnosis] = []

    def perceive(samples: Samples) -> Diagnosis:
        cells = tuple(-(-side // 8) for side in samples.shape[:2])
        truth = np.full((len(NAMES), *cells), BY_NAME["colour_cast"].threshold, np.float32)
        samples_seen.append(told(truth, ("colour_cast",))(samples))
        return samples_seen[-1]

    rng = np.random.default_rng(3)
    scene = rng.uniform(0.1, 0.8, (64, 96, 1)).astype(np.float32).repeat(3, axis=2)
    photo = eight(from_light(to_light(scene) * as_bright([1.0, 0.5, 0.25])))
    script = ScriptedPolicy([Step("white_balance", ("colour_cast",))])
    known = restore(photo, policy=script, perceiver=perceive)
    assert samples_seen and np.array_equal(known.photo.samples, asked(photo, "white_balance").photo.samples)
