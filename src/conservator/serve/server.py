"""One process that listens: the HTTP API, MCP and the Studio beside it, behind one guard."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from conservator import __version__
from conservator.errors import UsageError
from conservator.serve import logs
from conservator.serve.connections import patient
from conservator.serve.guard import LOOPBACK, PAGE, Access, Guard, Watcher
from conservator.serve.http import application
from conservator.serve.jobs import Jobs
from conservator.serve.limits import TOKEN_VARIABLE, Limits
from conservator.serve.metrics import Metrics
from conservator.serve.transports import PATH, mount

_LEAST_TOKEN = 16
_FORM = 2**20  # bytes of a body that are neither photograph nor mask


@dataclass(frozen=True)
class Place:
    """Where the server listens and keeps its jobs.

    port     0 takes any free one
    folder   see `Jobs`
    grace    seconds that running jobs get to end when the server is told to
    memory   see `Jobs`
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    grace: float = 10.0
    memory: Path | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in LOOPBACK


def token_from(file: Path | None) -> str | None:
    """The token in a file, else in CONSERVATOR_TOKEN, else None; UsageError when it would keep nobody out."""
    try:
        found = file.read_text("utf-8").strip() if file is not None else os.environ.get(TOKEN_VARIABLE)
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read ({error})", "a file with a token", "check the path") from error
    if found is not None and (len(found) < _LEAST_TOKEN or not found.isascii() or not found.isprintable()):
        fix = "python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one"
        raise UsageError(f"a token of {len(found)} characters", f"at least {_LEAST_TOKEN}, plain ASCII", fix)
    return found


def guarded(jobs: Jobs, access: Access, *, studio: bool = False) -> ASGIApp:
    """The whole application, for any ASGI server that runs its lifespan.

    studio   with the web page, which needs the extra `studio` and takes seconds to load
    """
    metrics = Metrics()
    app = application(jobs, metrics, secured=access.token is not None)
    longest = 2 * jobs.limits.max_bytes + _FORM
    coded = longest * 4 // 3 + _FORM  # MCP carries pictures as base64
    manager = mount(app, jobs, coded)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with manager.run():
            yield

    app.router.lifespan_context = lifespan
    inner: ASGIApp = app
    if studio:
        from conservator.serve.studio.mount import Doors
        from conservator.serve.studio.mount import mount as mount_studio

        mount_studio(app, jobs)
        inner = Doors(app)
    return Watcher(
        Guard(inner, access, lambda path: coded if path == PATH else longest, jobs.limits.patience), metrics
    )


def serve(place: Place, limits: Limits, *, studio: bool = False) -> None:
    """Listen until SIGTERM or SIGINT; then end running jobs within `grace`, or leave them to the next server."""
    logs.configure()
    # For the moments before and after uvicorn listens to signals: it raises the one that ended it once more.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, _leave)
    listener = _listen(place)
    jobs = Jobs(place.folder, limits, place.memory)
    try:
        host, port = place.host, listener.getsockname()[1]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        logs.say("listening", url=url, version=__version__, token=place.token is not None,
                 page=f"{url}{PAGE}" if studio else None)  # fmt: skip
        config = uvicorn.Config(
            guarded(jobs, Access(place.token, place.loopback), studio=studio), log_config=None, access_log=False,
            server_header=False, timeout_graceful_shutdown=max(1, round(place.grace)),
            http=patient(limits.patience),  # type: ignore[arg-type]  # it calls whatever it is given
        )  # fmt: skip
        _Server(config, jobs).run(sockets=[listener])
    finally:
        logs.say("ended", **jobs.close(place.grace))


def _leave(*_: object) -> None:
    raise SystemExit(0)


class _Server(uvicorn.Server):
    """Tells the jobs of a signal at once: streams about them end, and the connections with them."""

    def __init__(self, config: uvicorn.Config, jobs: Jobs) -> None:
        super().__init__(config)
        self._jobs = jobs

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal arrived."""
        self._jobs.stop()
        super().handle_exit(sig, frame)


def _listen(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((place.host, place.port))
        listener.listen(2048)  # from now on clients wait instead of being turned away
    except OSError as error:
        listener.close()
        raise UsageError(f"{place.host}:{place.port}: {error.strerror}", "a free port", "choose another") from error
    return listener
