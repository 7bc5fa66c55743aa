"""Helpers of the tests of the server: small photographs, slow ones, and processes looked at from outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from scenes import scene

PATIENCE = 240.0  # seconds; busy machines are slow, and nothing here depends on how slow


def png(height: int = 72, width: int = 104, seed: int = 0, level: int = 6) -> bytes:
    """A photograph whose right half is noisy, as the bytes of a PNG file."""
    clean = scene(height, width, seed) * 255
    grain = np.random.default_rng(seed).normal(0, 30, clean.shape)
    grain[:, : width // 2] = 0
    return encoded(np.clip(np.rint(clean + grain), 0, 255).astype(np.uint8), compress_level=level)


def encoded(picture: np.ndarray, container: str = "PNG", **options: object) -> bytes:
    out = BytesIO()
    Image.fromarray(picture).save(out, container, **options)
    return out.getvalue()


def slow(times: int = 1) -> bytes:
    """A photograph that takes a worker many seconds, or as many times as long."""
    size = (1500 * times, 2400, 3)
    return encoded(np.random.default_rng(0).integers(0, 255, size, np.uint8), compress_level=0)


def until(found: Callable[[], object], what: str) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < end, f"{what} never happened"
        time.sleep(0.02)


def workers(parent: int) -> set[int]:
    """Process ids of the workers of a server."""
    return {pid for pid, of in processes() if of == parent and b"conservator.serve.worker" in command(pid)}


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but not yet collected does not."""
    return any(found == pid for found, _ in processes())


def processes() -> Iterator[tuple[int, int]]:
    """(id, its parent's) of all that run."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                yield int(entry.name), int(parent)


def command(pid: int) -> bytes:
    """What a process was started with; nothing when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
