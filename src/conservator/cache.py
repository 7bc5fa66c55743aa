"""Content-addressed store of intermediate results: the same step on the same pixels is never computed twice."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from conservator.errors import OutputError
from conservator.pixels.types import Samples


class Cache:
    """Samples by key, in memory up to `max_bytes` (least recently used go first) or as files in a folder.

    folder      keep results there, across runs; None keeps them in memory
    max_bytes   bound of the memory kept; larger results are not kept at all
    """

    def __init__(self, folder: str | Path | None = None, max_bytes: int = 256 << 20) -> None:
        self.folder = Path(folder) if folder is not None else None
        self.max_bytes = max_bytes
        self._kept: OrderedDict[str, Samples] = OrderedDict()
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, key: str) -> Samples | None:
        """The stored samples, or None; a damaged file counts as absent."""
        if self.folder is not None:
            path = self.folder / f"{key}.npy"
            try:
                found = np.asarray(np.load(path, allow_pickle=False), np.uint16)
                path.touch()  # used now: see `prune`
                return found
            except (OSError, ValueError, EOFError):
                return None
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: str, samples: Samples) -> None:
        """Store samples under a key; a file appears whole or not at all."""
        if self.folder is None:
            self._keep(key, samples)
            return
        stored(self.folder / f"{key}.npy", lambda file: np.save(file, samples))

    def _keep(self, key: str, samples: Samples) -> None:
        if samples.nbytes > self.max_bytes:
            return
        self._kept[key] = samples
        while sum(s.nbytes for s in self._kept.values()) > self.max_bytes:
            self._kept.popitem(last=False)


def stored(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Have a file written that appears whole or not at all; OutputError, without its path, when it cannot be."""
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            got = f"intermediate results cannot be kept ({error.strerror})"
            raise OutputError(got, "a folder with room", "make room, or choose another") from error
        raise


def prune(folder: Path, max_bytes: int, before: float) -> None:
    """Delete the files under a folder that were last used before a time, then the least recently used ones beyond
    `max_bytes`. Files that are read meanwhile may be among them; for their readers they are absent.
    """
    files = []
    for path in folder.rglob("*"):
        with suppress(OSError):  # somebody else was faster
            facts = path.stat()
            files += [(facts.st_mtime, facts.st_size, path)] if path.is_file() else []
    taken = 0
    for used, size, path in sorted(files, reverse=True):
        taken += size
        if used < before or taken > max_bytes:
            path.unlink(missing_ok=True)


def key_of(*parts: Any) -> str:
    """SHA-256 over arrays, bytes and JSON values, in order."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(str((part.shape, part.dtype.str)).encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(json.dumps(part, sort_keys=True, default=str).encode())
    return digest.hexdigest()
