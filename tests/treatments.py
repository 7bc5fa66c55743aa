"""Helpers of the tests of reports: treatments with known damage, and pages as a browser reads them."""

import re
from html.parser import HTMLParser

import numpy as np

from conservator.degradations import CELL, INDEX, NAMES
from conservator.diagnosis import Diagnosis
from conservator.photo import Photo
from conservator.record import Ledger, Record
from conservator.regions import Region
from conservator.treatment import Treatment


def frame(height=96, width=128, seed=0):
    """Random 8-bit samples (H, W, 3): as hard to compress as a picture can be."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint16) * 257


def cells(height, width):
    return -(-height // CELL), -(-width // CELL)


def diagnosed(size, severities, regions=()):
    """A diagnosis with severities in the left half of the frame."""
    maps = np.zeros((len(NAMES), *cells(*size)), np.float32)
    for name, severity in severities.items():
        maps[INDEX[name], :, : maps.shape[2] // 2] = severity
    return Diagnosis(size, maps, maps, maps, maps, np.full((*maps.shape[1:], 3), 0.5, np.float32), tuple(regions))


def half(size, left=True):
    mask = np.zeros(cells(*size), np.float32)
    columns = mask.shape[1] // 2
    mask[:, slice(None, columns) if left else slice(columns, None)] = 1.0
    return mask


def events_of(*steps):
    ledger = Ledger()
    for step, *later in steps:
        ledger.add("step_started", **step.to_dict())
        for kind, facts in later:
            ledger.add(kind, tool=step.tool, **facts)
    ledger.add("stopped", reason="nothing left to treat", calls=len(steps))
    return ledger.events


DONE = ("step_done", {"before": 0.4, "after": 0.1, "gain": 0.75, "guard_ok": True, "guard_reasons": []})
KEPT = ("kept", {"gain": 0.75})


def treated(
    before=None,
    after=None,
    *,
    source=None,
    severities=None,
    regions=None,
    events=None,
    plan=(),
    call=None,
    cannot=(),
    **photo,
):
    """A treatment as `restore` returns it."""
    before = frame() if before is None else before
    original = Photo(before, source=source, **photo)
    result = original if after is None else original.with_samples(after)
    severities = {"noise": 0.5, "haze": 0.3} if severities is None else severities
    size = original.size
    if regions is None:
        regions = [Region("r1", half(size), "perceiver", severities), Region("r2", half(size, False))]
    diagnosis = diagnosed(size, severities, regions)
    data = {
        "schema": 1,
        "versions": {"python": "3.11", "conservator": "0.1.0"},
        "input": {"path": str(source), "sha256": original.sha256, "size": list(size), "container": "array", "depth": 8},
        "output": {"sha256": "0" * 64, "unchanged": after is None},
        "call": {"policy": "spatial", "strength": 1.0, "instruction": None, "mask": False} | (call or {}),
        "seed": 0,
        "models": {"perceiver_local": "1" * 64},
        "diagnosis": diagnosis.to_dict(),
        "after": diagnosis.to_dict(),
        "events": events or [],
        "plan": [step.to_dict() for step in plan],
        "cannot_treat": list(cannot),
        "timings": {"tools": 1.25, "perceive": 0.5},
        "budget": {"calls": 1, "seconds": 2.0, "max_calls": 9, "max_seconds": None},
    }
    return Treatment(original, result, diagnosis, diagnosed(size, {}, regions), Record(data))


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the text a reader reads."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.shown, self._inside = [], [], []
        self.feed(text)
        self.text = re.sub(r"\s+", " ", " ".join(self.shown))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside.append(tag)

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self._inside):
            self.shown.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
