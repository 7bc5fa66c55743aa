"""The vocabulary: units and severities are each other's inverse, and harm is ordered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conservator.degradations import BY_NAME, DEGRADATIONS, FRAME, INDEX, LOCAL, NAMES, PERCEIVED, TOLD


@pytest.mark.parametrize("name", NAMES)
def test_absent_is_zero_and_worst_is_one(name):
    degradation = BY_NAME[name]
    assert degradation.severity(degradation.none) == 0.0
    assert degradation.severity(degradation.worst) == 1.0
    assert 0.0 < degradation.threshold < 0.6


@given(st.sampled_from(DEGRADATIONS), st.floats(0.01, 1.0))
def test_value_and_severity_are_inverse(degradation, severity):
    assert degradation.severity(degradation.value(severity)) == pytest.approx(severity, abs=2e-3)


@given(st.sampled_from(DEGRADATIONS), st.floats(0, 1), st.floats(0, 1))
def test_worse_values_are_more_severe(degradation, a, b):
    low, high = sorted((a, b))
    worse = degradation.none + np.array([low, high]) * (degradation.worst - degradation.none)
    first, second = degradation.severity(worse)
    assert first <= second + 1e-6


def test_values_beyond_the_range_saturate():
    assert BY_NAME["noise"].severity(500.0) == 1.0
    assert BY_NAME["jpeg"].severity(1.0) == 1.0
    assert BY_NAME["haze"].severity(-1.0) == 0.0


def test_every_kind_is_seen_or_told_and_has_one_channel():
    assert [d.name for d in (*LOCAL, *FRAME)] == list(PERCEIVED), "the channels that networks were trained on moved"
    assert list(NAMES) == [d.name for d in (*LOCAL, *FRAME, *TOLD)]
    assert [INDEX[n] for n in NAMES] == list(range(len(DEGRADATIONS)))
