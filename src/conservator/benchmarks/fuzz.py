"""Broken input by the ten thousand: is every case answered, by a result or a named error, soon and in little memory?"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from conservator.benchmarks.measuring import OnRow
from conservator.benchmarks.peak import peak_megabytes
from conservator.benchmarks.results import Findings, Row
from conservator.benchmarks.valid import pictures

TITLE = "Broken input"

CASES: Mapping[str, int] = MappingProxyType(
    {"photographs": 62_000, "masks": 28_000, "records": 4_000, "plans": 8_000, "bodies": 600}
)
"""How many of each kind are tried unless told otherwise."""

PATIENCE = 60.0
"""Seconds after which a case hangs: busy machines are slow, and the slowest case is told."""

SETTING_UP = 10 * PATIENCE
"""Seconds that a process may take before its first case: it loads networks, or starts a server."""

MOST_MEMORY = 2000.0
"""MB that no process may pass: pictures of the cases have at most a megapixel."""

CHILD = ("-m", "conservator.benchmarks.broken")
"""What Python is to run in each process."""

_MOST = 100  # failures of one kind of input after which there is enough to mend


def run(
    cases: Mapping[str, int] = CASES,
    *,
    seed: int = 0,
    seconds: float = math.inf,
    together: int = 1,
    on_row: OnRow | None = None,
) -> Findings:
    """Try so many cases of each kind of input, see `broken.TARGETS`, each kind in a process that may die of it.

    seconds   after which no kind begins another case
    together  kinds at a time
    """
    trials = [Trial(target, count, seed, seconds) for target, count in cases.items()]

    def tried(trial: Trial) -> list[Row]:
        failures = trial.run()
        if on_row is not None:
            on_row({"task": f"{trial.target}: {trial.cases} cases, {len(failures)} failures"})
        return failures

    with ThreadPoolExecutor(together) as pool:
        rows = [row for failures in pool.map(tried, trials) for row in failures]
    bounds = {"patience_seconds": PATIENCE, "most_memory_mb": MOST_MEMORY}
    asked = {"cases": dict(cases), "seconds": seconds, "together": together}
    settings = {**asked, "photographs": sorted(pictures()), **bounds}
    return Findings(TITLE, {"cases": [trial.summary for trial in trials]}, rows, settings)


@dataclass
class Trial:
    """The cases of one kind of input.

    ends       of cases: "taken", "refused", "carried out", and "refused at work"
    failures   what they did instead
    """

    target: str
    count: int
    seed: int
    seconds: float = math.inf
    ends: Counter[str] = field(default_factory=Counter)
    failures: list[Row] = field(default_factory=list)
    _seconds: float = 0.0
    _slowest: float = 0.0
    _peak: float = 0.0

    def run(self) -> list[Row]:
        """Try them all, in a new process behind one that died; returns the failures."""
        begun, first = time.perf_counter(), 0
        while first < self.count and len(self.failures) < _MOST and self._seconds < self.seconds:
            first = self._tried(first)
            self._seconds = time.perf_counter() - begun
        return self.failures

    @property
    def cases(self) -> int:
        """How many were tried."""
        return self.ends.total() + len(self.failures)

    @property
    def summary(self) -> Row:
        """A row of the table."""
        how = Counter(row["how"] for row in self.failures)
        return {
            "input": self.target,
            "cases": self.cases,
            "taken": self.ends["taken"] + self.ends["carried out"],
            "refused": self.ends["refused"] + self.ends["refused at work"],
            "at work": self.ends["carried out"] + self.ends["refused at work"],
            "unforeseen errors": how["error"],
            "crashes": how["crash"],
            "hangs": how["hang"],
            "out of bounds": how["memory"],
            "whole_seconds": self._seconds,
            "slowest_seconds": self._slowest,
            "peak_mb": self._peak,
        }

    def _tried(self, first: int) -> int:
        """Try cases in one process until it ends or dies; the case to go on with."""
        child = _Child(self.target, self.seed, first, self.count, self.seconds - self._seconds)
        case: int | None = None
        for told in child.lines():
            if "begun" in told:
                case, begun = told["begun"], time.perf_counter()
                continue
            self._slowest = max(self._slowest, time.perf_counter() - begun)
            if "end" in told:
                self.ends[told["end"]] += 1
            else:
                self._note(case, "error", told["failed"])
            case = None
        self._peak = max(self._peak, child.peak)
        if child.end:
            self._note(case, child.how, child.end)
        return self.count if case is None else case + 1

    def _note(self, case: int | None, how: str, said: str) -> None:
        self.failures.append({"input": self.target, "case": case, "how": how, "said": said})


class _Child:
    """A process that tries cases, and a thread that ends it when it hangs or takes too much memory.

    how, end   "crash", "hang" or "memory" and what is known of it; "" when all went well
    peak       MB of the process, or of the largest one that it started
    """

    def __init__(self, target: str, seed: int, first: int, last: int, seconds: float) -> None:
        words = [target, str(seed), str(first), str(last), str(seconds)]
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-W", "ignore", *CHILD, *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.how, self.end, self.peak = "crash", "", 0.0
        self._heard, self._patience = time.monotonic(), SETTING_UP
        self._complaints: list[str] = []

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it tells, until it ends."""
        helpers = [threading.Thread(target=one, daemon=True) for one in (self._watch, self._listen)]
        for helper in helpers:
            helper.start()
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._heard, self._patience = time.monotonic(), PATIENCE
            yield json.loads(line)
        code = self._process.wait()
        for helper in helpers:
            helper.join()
        if code and not self.end:
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            self.end = f"{name}\n{''.join(self._complaints[-30:])}"

    def _watch(self) -> None:
        while self._process.poll() is None:
            self.peak = max(self.peak, *(peak_megabytes(one) for one in _family(self._process.pid)))
            if time.monotonic() - self._heard > self._patience:
                self._stop("hang", f"no answer in {self._patience:g} s")
            elif self.peak > MOST_MEMORY:
                self._stop("memory", f"{self.peak:.0f} MB")
            time.sleep(0.1)

    def _stop(self, how: str, end: str) -> None:
        self.how, self.end = how, end
        os.killpg(self._process.pid, signal.SIGKILL)

    def _listen(self) -> None:
        assert self._process.stderr is not None
        self._complaints += self._process.stderr


def _family(process: int) -> Iterator[int]:
    """A process and those it started; itself alone where the system does not list children."""
    yield process
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))
