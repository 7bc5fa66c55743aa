"""The closed form behind haze and exposure: given true parameters it undoes the damage."""

import numpy as np
import pytest

from conservator.degradations import INDEX, NAMES
from conservator.synthesis.sensor import expose
from conservator.synthesis.weather import haze
from conservator.tools.tone import inverted


def severity_of(kind, shape, value=1.0):
    severity = np.zeros((len(NAMES), *shape), np.float32)
    severity[INDEX[kind]] = value
    return severity


def parameters(shape, veil=0.0, airlight=0.0, gain=0.0, lift=0.0, gamma=0.0):
    maps = [veil, airlight, airlight, airlight, gain, lift, gamma]
    return np.stack([np.broadcast_to(np.float32(m), shape) for m in maps])


def test_a_known_veil_comes_off(clean):
    shape = clean.shape[:2]
    transmission = np.linspace(0.3, 0.9, shape[1], dtype=np.float32)[None, :].repeat(shape[0], axis=0)
    veiled = haze(clean, transmission, np.full(3, 0.85, np.float32))
    found = inverted(veiled, severity_of("haze", shape), parameters(shape, 1 - transmission, 0.85))
    assert np.abs(found - clean).max() < 2e-2


@pytest.mark.parametrize(
    ("model", "amount", "undo"),
    [
        ("gamma", 2.0, {"gamma": -1.0}),
        ("compress", 0.5, {"gain": 1.0}),
        ("shift", -0.15, {"lift": 0.15}),
        ("ev", -1.1, {"gain": 0.5}),
    ],
)
def test_a_known_exposure_is_undone(clean, model, amount, undo):
    shape = clean.shape[:2]
    bright = np.clip(clean, 0.2, 0.95)  # nothing may have been clipped on the way
    dark = expose(bright, model, amount)
    found = inverted(dark, severity_of("low_light", shape), parameters(shape, **undo))
    assert np.abs(found - bright).max() < 2e-2


def test_no_severity_is_no_change_and_little_severity_fades_in(clean):
    shape = clean.shape[:2]
    strong = parameters(shape, gain=1.0)
    assert np.array_equal(inverted(clean, severity_of("low_light", shape, 0.0), strong), clean)
    little, much = (inverted(clean, severity_of("low_light", shape, s), strong) for s in (0.05, 0.5))
    assert np.abs(little - clean).mean() < 0.5 * np.abs(much - clean).mean()


def test_extreme_parameters_stay_finite():
    image = np.array([[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]], np.float32)
    for value in (-20.0, 20.0):
        maps = parameters((1, 2), veil=5.0, airlight=value, gain=value, lift=value, gamma=value / 5)
        assert np.isfinite(inverted(image, severity_of("haze", (1, 2)), maps)).all()


def test_what_is_burnt_out_stays_nearly_white_beside_what_is_toned_down():
    pale = np.float32([[[0.8, 0.7, 0.6], [0.95, 0.94, 0.93], [1.0, 1.0, 1.0], [1.0, 0.2, 0.2]]])
    found = inverted(pale, severity_of("over_exposure", (1, 4)), parameters((1, 4), gain=-1.0))[0]
    assert np.allclose(found[0], pale[0, 0] / 2, atol=1e-3), "what still has colour comes back in full"
    assert np.all((found[1] > 0.7) & (found[1] < pale[0, 1] - 0.1)), "what is nearly white only in part"
    assert np.allclose(found[2], 0.9, atol=1e-3), "white is spared most"
    assert np.allclose(found[3], pale[0, 3] / 2, atol=1e-3), "a red at the end of its scale is not burnt out"
