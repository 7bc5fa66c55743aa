"""What a result depends on besides its seed: command, commit, processor, packages, networks."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("conservator", "numpy", "scipy", "scikit-image", "opencv-python-headless", "Pillow", "onnxruntime")


def machine() -> dict[str, Any]:
    """Processor, cores, load, versions and the SHA-256 of every shipped network; JSON values."""
    from conservator.models.catalogue import MODELS
    from conservator.models.runtime import thread_limit

    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": thread_limit(),
        # Whatever else was running slows the seconds down; the reader has to know.
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "models": {name: MODELS[name].sha256 for name in MODELS},
    }


def processor() -> str:
    """The processor's name as it calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def commit() -> str | None:
    """Commit of the source tree, "+" appended when tracked files differ from it; None outside a checkout."""
    here = Path(__file__)
    # An environment installed inside somebody else's repository must not pass for ours.
    if _git("ls-files", "--error-unmatch", here.name) is None:
        return None
    found = _git("rev-parse", "HEAD")
    return f"{found}+" if found and _git("status", "--porcelain", "--untracked-files=no") else found


def command_line(arguments: Sequence[str] | None = None) -> str:
    """The command as it can be typed again; absolute paths become relative to the current folder."""
    name, *rest = sys.argv if arguments is None else arguments
    program = Path(name).name
    if program == "__main__.py":
        program = f"python -m {Path(name).parent.name}"
    return " ".join([program, *(shlex.quote(_relative(argument)) for argument in rest)])


def _relative(argument: str) -> str:
    if not os.path.isabs(argument):
        return argument
    try:
        return os.path.relpath(argument)
    except ValueError:  # another drive
        return argument


def _version(package: str) -> str | None:
    if package == "conservator":  # a source tree on the path need not be installed
        from conservator import __version__

        return __version__
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
