"""Restores one file and prints, as JSON, the seconds and megabytes it took: run in a process of its own by `speed`.

python -m conservator.benchmarks.peak photo.jpg restored.jpg
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path


def peak_megabytes(process: int | None = None) -> float:
    """Largest resident memory so far of this process, or on Linux of another one, in MB of 10⁶ bytes; 0 if it ended."""
    try:
        # A process started by another inherits that one's peak in getrusage; the kernel's own mark starts afresh.
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process or 'self'}/status").read_text(encoding="ascii"))
    except OSError:
        found = None
    if found is not None:
        return int(found[1]) * 1024 / 1e6
    if process is not None:
        return 0.0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main(source: str, target: str) -> None:
    """Restore a file into another and print what it took."""
    import conservator

    begun = time.perf_counter()
    treatment = conservator.restore(source)
    treatment.save(target)
    seconds = time.perf_counter() - begun
    tools = [step["tool"] for step in treatment.record.data["plan"]]
    print(json.dumps({"seconds": seconds, "peak_mb": peak_megabytes(), "tools": tools}))


if __name__ == "__main__":
    main(*sys.argv[1:])
