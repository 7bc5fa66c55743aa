"""Perception with the shipped networks: sees what is there, where it is, and nothing on a clean picture."""

import numpy as np
import pytest
from landscape import landscape

from conservator import diagnose
from conservator.degradations import BY_NAME, INDEX, NAMES, PERCEIVED
from conservator.perception import Gate, local, observe
from conservator.perception.gate import EVERYWHERE
from conservator.pixels.types import to_samples
from conservator.synthesis import Damage, degrade

LEFT_ONLY = np.zeros((256, 320), np.float32)
LEFT_ONLY[:, :160] = 1.0


@pytest.fixture(scope="module")
def photo():
    return landscape(256, 320)


@pytest.mark.parametrize(
    ("kind", "parameters", "value", "tolerance"),
    [("noise", {"sigma": 30.0}, 30.0, 8.0), ("jpeg", {"quality": 12}, 12.0, 10.0)],
)
def test_damage_is_found_where_it_is_and_measured_in_its_unit(photo, kind, parameters, value, tolerance):
    sample = degrade(photo, [Damage(kind, parameters, 1, LEFT_ONLY)])
    diagnosis = observe(to_samples(sample.degraded, 8))
    cells = diagnosis.cells(kind)
    assert (cells[:, :19] > 0).mean() > 0.9
    assert (cells[:, 22:] > 0).mean() < 0.05
    found = np.median(BY_NAME[kind].value(cells[:, :19][cells[:, :19] > 0]))
    assert found == pytest.approx(value, abs=tolerance)
    assert any(kind in region.severities for region in diagnosis.regions)
    assert any(region.clean for region in diagnosis.regions)


def test_maps_cover_every_pixel_of_any_size():
    for height, width in [(1, 1), (1, 500), (7, 9), (65, 130), (8, 4000)]:
        samples = to_samples(np.full((height, width, 3), 0.5, np.float32), 8)
        diagnosis = observe(samples)
        assert diagnosis.maps.shape == (len(NAMES), -(-height // 8), -(-width // 8))
        assert diagnosis.severity["noise"].shape == (height, width)
        assert np.isfinite(diagnosis.raw).all()


def test_large_frames_are_sampled_and_agree_with_a_full_look(photo, monkeypatch):
    noisy = degrade(np.tile(photo, (3, 3, 1)), [Damage("noise", {"sigma": 25.0}, 2)])
    samples = to_samples(noisy.degraded, 8)
    everywhere = local.read(samples)
    monkeypatch.setattr(local, "LOOK", 200_000)
    sampled = local.read(samples)
    severity = slice(6, 7)  # the first kind, noise
    assert sampled.shape == everywhere.shape
    assert np.abs(sampled[severity] - everywhere[severity]).mean() < 0.05


@pytest.mark.parametrize("kind", EVERYWHERE)
def test_what_is_half_sure_everywhere_is_the_whole_frames(kind):
    gate, severity = Gate.calibrated(), np.full((30, 40), 0.4, np.float32)
    half_sure = np.full((30, 40), EVERYWHERE[kind][0], np.float32)
    assert gate.decide(kind, half_sure, severity).all()
    half_sure[:, :4] = 0.05  # a clean strip: now it is in places, and nowhere sure
    assert not gate.decide(kind, half_sure, severity).any()


def test_noise_is_treated_when_faint_only_all_over_the_frame():
    gate, faint = Gate.calibrated(), np.full((30, 40), 0.22, np.float32)
    assert gate.decide("noise", np.full((30, 40), 0.6, np.float32), faint).all()
    in_places = np.tile(np.float32([0.99, 0.99, 0.99, 0.05]), (30, 10))
    assert not gate.decide("noise", in_places, faint).any()


def test_a_veil_is_believed_where_much_of_the_frame_is_sure():
    gate, severity = Gate.calibrated(), np.full((30, 40), 0.5, np.float32)
    presence = np.full((30, 40), 0.5, np.float32)
    presence[:5, :5] = 0.97  # 2 % of the frame
    assert not gate.decide("haze", presence, severity).any()
    presence[:10, :10] = 0.97  # 8 %
    found = gate.decide("haze", presence, severity)
    assert found[:10, :10].all() and not found[10:].any(), "it ends where it is believed no more"
    presence[presence < 0.9] = 0.8
    assert gate.decide("haze", presence, severity).all(), "three quarters believe in it: it is the whole frame's"
    presence[:, 25:] = 0.3
    fading = gate.decide("haze", presence, severity)
    assert 0 < fading[20, 5] < fading[5, 5] and not fading[:, 25:].any(), "half believed, half treated"


def test_the_gate_needs_a_sure_patch_and_spreads_from_it():
    gate = Gate({"noise": 0.9}, {"noise": 0.5})
    presence = np.zeros((20, 30), np.float32)
    severity = np.full((20, 30), 0.5, np.float32)
    presence[2:6, 2:6] = 0.95
    presence[2:6, 6:10] = 0.6  # joined to the sure patch
    presence[12:16, 20:24] = 0.6  # on its own
    presence[18, 0] = 0.99  # a speck
    decided = gate.decide("noise", presence, severity)
    assert (decided[2:6, 2:10] == 0.5).all()
    assert decided.sum() == pytest.approx(0.5 * 32)


def test_a_photo_of_one_colour_is_clean():
    assert diagnose(np.full((200, 200, 3), 128, np.uint8)).clean


def test_deviation_is_positive_and_presence_a_probability(photo):
    diagnosis = observe(to_samples(photo, 8))
    assert (diagnosis.deviation[[INDEX[kind] for kind in PERCEIVED]] > 0).all()
    assert diagnosis.presence.min() >= 0
    assert diagnosis.presence.max() <= 1
