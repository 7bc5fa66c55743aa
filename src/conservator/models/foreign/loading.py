"""Opens a network from a user's file: by its ending, and only when the file is still the one that was added."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from conservator.errors import ModelMissing, UsageError
from conservator.models.foreign import onnxfile, pytorch
from conservator.models.foreign.network import Network

READERS: dict[str, Callable[[Path], Network]] = {
    ".onnx": onnxfile.read,
    ".pth": pytorch.read,
    ".pt": pytorch.read,
    ".safetensors": pytorch.read,
}

_KEPT = 2  # networks in memory: some weigh hundreds of megabytes


def digest(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; ModelMissing when it cannot be read, UsageError for an unknown ending."""
    if path.suffix.lower() not in READERS:
        raise UsageError(f"a network in {path.name}", f"a file ending in {', '.join(READERS)}", "convert it")
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        fix = "put it back, or correct the path; `conservator tools remove` takes a tool away"
        raise ModelMissing(f"weights {path}: {error.strerror}", "a readable file", fix) from error


def load(path: Path, sha256: str) -> Network:
    """The network in a file, kept in memory for later calls.

    Raises ModelMissing when the file is gone, has another hash or is damaged, or when PyTorch and spandrel are needed
    and absent; UsageError when the network is of a kind that cannot be run here.
    """
    try:
        state = path.stat()
    except OSError:
        digest(path)  # says what is wrong with it
        raise
    return _loaded(path, sha256, state.st_mtime_ns, state.st_size)


def unload() -> None:
    """Let go of the networks in memory; the next call reads its file again."""
    _loaded.cache_clear()


@lru_cache(maxsize=_KEPT)
def _loaded(path: Path, sha256: str, _changed: int, _size: int) -> Network:
    found = digest(path)
    if found != sha256:
        fix = "put the old file back, or remove the tool and add it again"
        raise ModelMissing(f"weights {path} have SHA-256 {found[:12]}…", f"{sha256[:12]}… as when it was added", fix)
    return READERS[path.suffix.lower()](path)
