"""The command as a process: pipes, terminals, signals."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import begun, photograph

COMMAND = [sys.executable, "-m", "conservator"]


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_a_pipe_carries_the_picture_and_nothing_else(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    done = run("restore", "-", "--ext", "webp", input=photo.read_bytes())
    assert done.returncode == 0, done.stderr
    picture = Image.open(io.BytesIO(done.stdout))
    assert (picture.format, picture.size) == ("WEBP", (104, 72))
    assert b"standard input" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["street.png"]


def test_a_pipe_hands_an_unchanged_photograph_back_to_the_byte(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.jpg")
    assert run("restore", "-", "--strength", "0", input=photo.read_bytes()).stdout == photo.read_bytes()


@pytest.mark.parametrize(("data", "says"), [(b"", b"nothing on standard input"), (b"no picture", b"unknown format")])
def test_a_pipe_without_a_picture_is_an_input_error(data: bytes, says: bytes) -> None:
    done = run("restore", "-", input=data)
    assert (done.returncode, done.stdout) == (3, b"")
    assert says in done.stderr


def test_a_reader_that_went_away_costs_one_line(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, "restore", str(photo), "-o", "-", "--quiet"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert done.returncode == 4
    assert done.stderr.count(b"\n") == 1


def test_ctrl_c_ends_with_130_and_leaves_no_half_file(tmp_path: Path) -> None:
    large = np.random.default_rng(0).integers(0, 255, (1600, 2400, 3), np.uint8)
    for name in ("a.png", "b.png"):
        Image.fromarray(large).save(tmp_path / name, compress_level=0)
    process = begun([*COMMAND, "restore", str(tmp_path)])
    assert process.stderr is not None
    said = process.stderr.readline() + process.stderr.readline()  # the name, then "opened": the work has begun
    assert b"opened" in said
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(60) == 130
    assert b"interrupted" in rest and b"Traceback" not in rest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_a_terminal_gets_bars_and_a_pipe_on_stdout_gets_clean_lines(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    terminal, stderr = pty.openpty()
    done = subprocess.run(
        [*COMMAND, "restore", str(photo), "--json"],
        stdout=subprocess.PIPE, stderr=stderr, check=True, env=os.environ | {"TERM": "xterm"},
    )  # fmt: skip
    os.close(stderr)
    shown = os.read(terminal, 2**16)
    os.close(terminal)
    assert b"\x1b[" in shown and b"street.png" in shown
    assert done.stdout.startswith(b"{") and b"\x1b" not in done.stdout and done.stdout.count(b"\n") == 1


def test_a_picture_is_not_poured_onto_a_terminal(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png")
    terminal, stdout = pty.openpty()
    done = subprocess.run(
        [*COMMAND, "restore", str(photo), "-o", "-"], stdout=stdout, stderr=subprocess.PIPE, check=False
    )
    os.close(stdout)
    os.close(terminal)
    assert done.returncode == 4
    assert b"terminal" in done.stderr


def test_the_version_is_printed() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, b"conservator 0.1.0\n")


def test_no_command_shows_the_help() -> None:
    assert b"restore" in run().stdout + run().stderr
