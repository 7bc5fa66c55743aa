"""Where the seconds go, how much memory it takes, and how long an import lasts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from conservator.benchmarks.mosaic import mosaic
from conservator.benchmarks.photos import Bytes, read
from conservator.benchmarks.results import Findings, Row
from conservator.errors import ToolFailed

if TYPE_CHECKING:
    from conservator.policies import Policy
    from conservator.session import Session
    from conservator.tools.registry import Registry
    from conservator.treatment import Treatment

TITLE = "Speed and memory"
MEGAPIXELS = 12.0
SIZES = (1.0, 12.0, 100.0)
SMALL, SMALLS = 1.0, 7
"""Megapixels of the photographs whose median counts, each with other damage, and how many there are."""

QUALITY = 97
"""Of the JPEG files that are restored: as a camera writes them, and above what anybody would treat."""

OVERHEAD = ("perceive", "plan and guard", "composite")
"""Stages that are ours and no network of a tool: their share must stay small."""

IMPORTS = 7


class Stopwatch:
    """Seconds spent inside functions.

    seconds   so far
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def timing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its duration added up."""

        @wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            begun = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - begun

        return timed

    def tools(self, tools: Registry) -> Registry:
        """The same tools, their own functions timed: what the engine does around them is not in it."""
        from conservator.tools.card import Tool
        from conservator.tools.registry import Registry

        return Registry(
            Tool(each.card, self.timing(each.treat), each.survey and self.timing(each.survey), each.options)
            for each in tools
        )


class TimedPolicy:
    """A policy that finds out how long tools and planning take by themselves.

    tools      seconds inside the tools' own functions
    planning   seconds of the policy that are neither looking, guarding nor applying
    """

    def __init__(self, policy: Policy) -> None:
        self._policy, self._watch = policy, Stopwatch()
        self.planning = 0.0

    @property
    def tools(self) -> float:
        return self._watch.seconds

    def __call__(self, session: Session) -> None:
        """Run the policy."""
        session.tools = self._watch.tools(session.tools)
        begun, before = time.perf_counter(), sum(session.ledger.seconds.values())
        self._policy(session)
        inside = sum(session.ledger.seconds.values()) - before
        self.planning = time.perf_counter() - begun - inside


def stages(file: bytes, policy: Policy | None = None, **options: Any) -> tuple[dict[str, float], list[str]]:
    """Seconds per stage of restoring a JPEG file and encoding it again, and the tools whose work was kept.

    The stages add up to the whole.

    policy    the shipped one when omitted
    options   of `restore`
    """
    from conservator.photo import encode
    from conservator.policies.spatial import spatial
    from conservator.treatment import restore

    timed = TimedPolicy(policy or spatial)
    begun = time.perf_counter()
    treatment: Treatment = restore(file, policy=timed, **options)
    between = time.perf_counter()
    # Even when nothing was kept: handing back the file's own bytes would pass for a fast encoder.
    encode(replace(treatment.photo, encoded=None), "jpeg", quality=QUALITY)
    ended = time.perf_counter()
    found = treatment.record.data["timings"]
    split = {
        "decode": found["decode"],
        "perceive": found["perceive"],
        "plan and guard": timed.planning + found.get("guard", 0.0),
        "tools": timed.tools,
        "composite": found.get("tools", 0.0) - timed.tools,
        "encode": ended - between,
    }
    kept = [step["tool"] for step in treatment.record.data["plan"]]
    return split | {"record": max(0.0, ended - begun - sum(split.values()))}, kept


def run(
    photo: Path,
    *,
    megapixels: float = MEGAPIXELS,
    sizes: Sequence[float] = SIZES,
    repeat: int = 3,
    seed: int = 0,
) -> Findings:
    """Time the stages on a mosaic of the photograph, then memory and import time in processes of their own.

    sizes    megapixels of the photographs whose peak memory is measured
    repeat   runs of which the fastest counts, after one that loads the networks
    """
    tile = read(photo)
    stages(jpeg_mosaic(tile, 1.0, seed))
    file = jpeg_mosaic(tile, megapixels, seed)
    runs = [stages(file) for _ in range(repeat)]
    fastest, kept = min(runs, key=lambda found: sum(found[0].values()))
    small = [stages(jpeg_mosaic(tile, SMALL, seed + i)) for i in range(SMALLS)]
    with tempfile.TemporaryDirectory() as folder:
        memory = [peak(jpeg_mosaic(tile, size, seed), size, Path(folder)) for size in sizes]
    tables = {
        f"{megapixels:g} MP, stage by stage; kept: {', '.join(kept) or 'nothing'}": stage_rows(fastest, megapixels),
        f"{SMALL:g} MP, the median of differently damaged photographs": [small_row(small)],
        "peak memory of one process, file to file": memory,
        "import": [import_row()],
    }
    rows = [{"run": i, "stage_seconds": found, "kept": kept} for i, (found, kept) in enumerate(runs)]
    return Findings(TITLE, tables, rows, {"megapixels": megapixels, "sizes": list(sizes), "repeat": repeat})


def jpeg_mosaic(tile: Bytes, megapixels: float, seed: int) -> bytes:
    """A mosaic as the bytes of a JPEG file."""
    from conservator.photo import encode, open_photo

    return encode(open_photo(mosaic(tile, megapixels, seed=seed)), "jpeg", quality=QUALITY)


def stage_rows(found: dict[str, float], megapixels: float) -> list[Row]:
    """Seconds, seconds per megapixel and share of every stage, of the overhead and of the whole."""
    whole = sum(found.values())
    parts = [*found.items(), ("+".join(OVERHEAD), sum(found[stage] for stage in OVERHEAD)), ("whole", whole)]
    return [
        {
            "stage": stage,
            "seconds": seconds,
            "per_megapixel_seconds": seconds / megapixels,
            "share_percent": 100.0 * seconds / whole,
        }
        for stage, seconds in parts
    ]


def small_row(found: Sequence[tuple[dict[str, float], list[str]]]) -> Row:
    """Median seconds of several photographs and of the overhead in them, and how often each tool was kept."""
    whole = [sum(split.values()) for split, _ in found]
    overhead = [sum(split[stage] for stage in OVERHEAD) / all_ for (split, _), all_ in zip(found, whole, strict=True)]
    kept = Counter(tool for _, tools in found for tool in tools)
    return {
        "photos": len(found),
        "seconds": median(whole),
        "slowest_seconds": max(whole),
        "overhead_percent": 100.0 * median(overhead),
        "kept": ", ".join(f"{tool} {count}" for tool, count in kept.most_common()) or "nothing",
    }


def peak(file: bytes, megapixels: float, folder: Path) -> Row:
    """Seconds and peak memory of restoring a file into another in a new process; ToolFailed when that fails."""
    source, target = folder / "photo.jpg", folder / "restored.jpg"
    source.write_bytes(file)
    target.unlink(missing_ok=True)
    found = json.loads(python_output("-m", "conservator.benchmarks.peak", str(source), str(target)))
    return {
        "photo_megapixels": megapixels,
        "peak_mb": found["peak_mb"],
        "seconds": found["seconds"],
        "per_megapixel_seconds": found["seconds"] / megapixels,
        "tools": ", ".join(found["tools"]) or "none",
    }


def import_row(times: int = IMPORTS) -> Row:
    """Seconds that `import conservator` adds to starting Python, the fastest of several."""
    bare, full = (min(_seconds(code) for _ in range(times)) for code in ("pass", "import conservator"))
    return {
        "python_seconds": bare,
        "with_import_seconds": full,
        "import_seconds": full - bare,
        "to_python_ratio": full / bare,
    }


def _seconds(code: str) -> float:
    begun = time.perf_counter()
    python_output("-c", code)
    return time.perf_counter() - begun


def python_output(*arguments: str) -> str:
    """What a new Python process with this package on its path prints; ToolFailed with its last words when it fails."""
    import conservator

    package = str(Path(conservator.__file__).parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, *arguments], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    if done.returncode:
        raise ToolFailed(f"python {' '.join(arguments[:2])}: {done.stderr.strip()[-400:]}", "a run that ends well")
    return done.stdout
