"""Runs ONNX networks: bounded threads, bounded memory, checked outputs. `devices` says where."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conservator.errors import ModelMissing, ToolFailed, UsageError
from conservator.models import catalogue
from conservator.models.devices import Network, device, open_network

THREADS_VARIABLE = "CONSERVATOR_THREADS"
"""Environment variable that bounds the threads of a network when `set_threads` was not called."""

# Offline is a promise: since 1.29 ONNX Runtime reports to its makers from all systems, unless told before it loads.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_chosen: int | None = None
_lock = threading.Lock()
_sessions: dict[tuple[Path, int, str], Network] = {}
_inherited: list[dict[tuple[Path, int, str], Network]] = []


def run(
    model: str | Path,
    inputs: Mapping[str, NDArray[Any]],
    *,
    outputs: Sequence[str] | None = None,
    threads: int | None = None,
) -> tuple[NDArray[Any], ...]:
    """Outputs of a network, in the order of its file or as named.

    model    name in the catalogue, or the path of any ONNX file
    inputs   array by input name, in the shape and type the network declares
    outputs  names of those wanted, all when omitted; the network computes all of them anyway
    threads  most threads to use, never more than there are cores; `thread_limit()` when omitted

    Safe to call from several threads at a time, which changes nothing. With another number of `threads` sums are added
    up in another order: floats then differ in the last bit.
    Raises ModelMissing when the network, ONNX Runtime or the device is absent, ToolFailed when the network rejects its
    inputs or returns NaN or infinity, UsageError when `threads` is not positive or CONSERVATOR_DEVICE names no device.
    """
    session = _session(model, thread_limit() if threads is None else _bounded(threads, "threads"))
    try:
        found = tuple(session.run(outputs, dict(inputs), _run_options()))
    except Exception as error:  # ONNX Runtime's own exceptions share no base class but this
        raise ToolFailed(f"model {_name(model)} on {_described(inputs)}: {_line(error)}", _declared(session)) from error
    for name, output in zip(outputs or [port.name for port in session.get_outputs()], found, strict=True):
        if np.issubdtype(output.dtype, np.floating) and not np.isfinite(output).all():
            raise ToolFailed(f"model {_name(model)}: {name} holds NaN or infinity", "finite numbers")
    return found


def probabilities(logits: NDArray[Any]) -> NDArray[Any]:
    """What a network's logits mean, in [0, 1]."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))))


class Port(NamedTuple):
    """An input or output of a network as its file declares it: an axis is a number, a name or None when it is free."""

    name: str
    type: str
    shape: tuple[int | str | None, ...]


def ports(model: str | Path) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """Inputs and outputs that a network declares; ModelMissing when it or ONNX Runtime is absent."""
    session = _session(model, thread_limit())
    inputs, outputs = (
        tuple(Port(entry.name, entry.type, tuple(entry.shape)) for entry in entries)
        for entries in (session.get_inputs(), session.get_outputs())
    )
    return inputs, outputs


def listed(entries: tuple[Port, ...]) -> str:
    """Inputs or outputs for a message."""
    return ", ".join(f"{entry.name} {entry.type} {list(entry.shape)}" for entry in entries) or "nothing"


def forget(model: Path) -> None:
    """Have the next call read the file anew."""
    with _lock:
        for key in [key for key in _sessions if key[0] == model.resolve()]:
            del _sessions[key]


def set_threads(threads: int | None) -> None:
    """Bound the threads of every later call of this process; None returns to the environment's or the default."""
    global _chosen
    _chosen = None if threads is None else _bounded(threads, "threads")


def bound_threads(threads: int | None) -> None:
    """Bound the threads of this process for good, and of those it starts; None leaves every core."""
    if threads is None:
        return
    import cv2

    # `restore` forgets set_threads when it is called without a number, but never the environment.
    os.environ[THREADS_VARIABLE] = str(threads)
    cv2.setNumThreads(threads)


def thread_limit() -> int:
    """Threads a network may use: `set_threads`, else CONSERVATOR_THREADS, else the cores this process may run on."""
    if _chosen is not None:
        return _chosen
    wish = os.environ.get(THREADS_VARIABLE)
    if wish is None:
        return _cores()
    try:
        return _bounded(int(wish), THREADS_VARIABLE)
    except ValueError as error:
        raise UsageError(f"{THREADS_VARIABLE}={wish}", "a whole number ≥ 1", "change or unset it") from error


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _bounded(threads: int, name: str) -> int:
    if threads < 1:
        raise UsageError(f"{name}={threads}", "a whole number ≥ 1", "use 1 for the least")
    return min(threads, _cores())


def _session(model: str | Path, threads: int) -> Network:
    path = model.resolve() if isinstance(model, Path) else catalogue.model_path(model)
    key = (path, threads, device())
    session = _sessions.get(key)
    if session is not None:
        return session
    with _lock:
        if key not in _sessions:
            _sessions[key] = _load(*key)
        return _sessions[key]


def _load(path: Path, threads: int, where: str) -> Network:
    runtime = _runtime()
    if not path.is_file():
        raise ModelMissing(f"no file {path}", "an ONNX file", "check the path")
    try:
        return open_network(path, runtime, _options(runtime, threads), where, threads)
    except ModelMissing:
        raise
    except Exception as error:
        raise ModelMissing(f"{path} cannot be loaded: {_line(error)}", "an ONNX file", "download it again") from error


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelMissing(f"ONNX Runtime: {error}", "onnxruntime ≥ 1.31", "pip install onnxruntime") from error
    return onnxruntime


def _options(runtime: Any, threads: int) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 4  # what goes wrong is raised, not printed
    # Idle threads that spin would slow down whatever else runs, the next tile's upsampling first of all.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A memory pattern is kept for every input shape ever seen, and tiles at the frame's borders have many.
    options.enable_mem_pattern = False
    return options


def _run_options() -> Any:
    """The arena is a third faster than plain allocation, but keeps its peak for ever unless told to shrink."""
    options = _runtime().RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _name(model: str | Path) -> str:
    return model.name if isinstance(model, Path) else model


def _declared(session: Network) -> str:
    return ", ".join(f"{entry.name} {entry.type} {entry.shape}" for entry in session.get_inputs())


def _described(inputs: Mapping[str, NDArray[Any]]) -> str:
    return ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in inputs.items())


def _after_fork() -> None:
    """Threads do not survive a fork: the child opens its own sessions, and keeps the parent's from being destroyed,
    which would wait for threads that are not there."""
    global _lock, _sessions
    _inherited.append(_sessions)
    _sessions, _lock = {}, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
