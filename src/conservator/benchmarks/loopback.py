"""A server of our own in a process of its own, on this machine only: to be measured, and to be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from conservator.errors import ToolFailed


class Loopback:
    """`conservator serve` on 127.0.0.1, without the web page unless told so; use as a context manager.

    folder        of its jobs; a second server on the same folder takes up where the first one was
    options       further words of the command line
    environment   further variables
    under         a command that is given the server's to carry out, such as `nice`
    """

    def __init__(
        self,
        folder: Path,
        *options: object,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        studio: bool = False,
        under: Sequence[object] = (),
    ) -> None:
        import conservator

        page = "--studio" if studio else "--no-studio"
        command = [sys.executable, "-m", "conservator", "serve", page, "--port", port, "--data-dir", folder, *options]
        path = os.pathsep.join([str(Path(conservator.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        self.said: list[str] = []
        self._ready = threading.Event()
        self.url = ""
        self.process = subprocess.Popen(
            [str(word) for word in (*under, *command)], stderr=subprocess.PIPE, text=True, encoding="utf-8",
            env=os.environ | {"PYTHONPATH": path} | dict(environment or {}),
        )  # fmt: skip
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Loopback:
        """Wait until it listens; ToolFailed with its last words when it does not."""
        self._ready.wait(300)
        if not self.url:
            self.kill()
            raise ToolFailed(f"the server did not start: {' '.join(self.said[-3:])}", "a server that listens")
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def log(self) -> list[dict[str, Any]]:
        """Lines of JSON that it wrote so far."""
        return [json.loads(line) for line in self.said if line.startswith("{")]

    def kill(self) -> None:
        """End it without a warning."""
        self.process.kill()
        self._end()

    def terminate(self) -> int:
        """Ask it to end; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self._end()

    def _end(self) -> int:
        code = self.process.wait(60)
        self._listener.join(10)
        return code

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.strip())
            if '"event": "Application startup complete."' in line:
                self._ready.set()
            elif '"event": "listening"' in line:
                self.url = json.loads(line)["url"]
        self._ready.set()
