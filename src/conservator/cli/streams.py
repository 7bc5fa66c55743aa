"""Pictures through standard input and output."""

from __future__ import annotations

import os
import sys

from conservator.errors import InputError, OutputError


def read_stdin() -> bytes:
    """All of standard input; InputError when nobody pipes a picture in."""
    if sys.stdin.isatty():
        raise InputError("a terminal on standard input", "a picture", "pipe one in: conservator restore - < photo.jpg")
    data = sys.stdin.buffer.read()
    if not data:
        raise InputError("nothing on standard input", "a picture", "check the command before the pipe")
    return data


def write_stdout(data: bytes) -> None:
    """Bytes to standard output; OutputError when that is a terminal or is closed."""
    if sys.stdout.isatty():
        raise OutputError("a terminal on standard output", "a file or a pipe", "append > photo.png, or pass -o")
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        _forget_stdout()
        raise OutputError(f"standard output: {error.strerror}", "a reader", "check what reads it") from error


def _forget_stdout() -> None:
    """Keep Python from flushing what is left into the broken pipe when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
