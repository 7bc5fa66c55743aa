"""Helpers of the tests of the command line: small photographs, commands run in this process, folders compared."""

from __future__ import annotations

import hashlib
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from typer.testing import CliRunner, Result

from conftest import scene
from conservator.cli import app


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def begun(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """A command in a session of its own that hears Ctrl-C, even where the tests themselves run in the background."""
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options,
    )  # fmt: skip


def photograph(path: Path, noise: float = 30.0, seed: int = 0, size: tuple[int, int] = (72, 104)) -> Path:
    """A small photograph whose right half is noisy."""
    clean = scene(*size, seed) * 255
    grain = np.random.default_rng(seed).normal(0, noise, clean.shape)
    grain[:, : size[1] // 2] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(np.rint(clean + grain), 0, 255).astype(np.uint8)).save(path)
    return path


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
