"""conservator serve: the Studio, the HTTP API and MCP, on this machine unless told otherwise."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from conservator.cli import options

DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of the jobs, for one server at a time. Default: `server` in the user's data folder."),
]
Workers = Annotated[int, typer.Option(min=1, max=256, help="Photographs at a time, each in a process of its own.")]
MaxMegabytes = Annotated[
    float, typer.Option(min=0.001, help="Largest file that is taken.", rich_help_panel=options.LIMITS)
]
MaxMegapixels = Annotated[
    float, typer.Option(min=0.001, help="Largest photograph that is taken.", rich_help_panel=options.LIMITS)
]
MaxSeconds = Annotated[
    float, typer.Option(min=0.1, help="A job that runs longer is stopped for good.", rich_help_panel=options.LIMITS)
]


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; this machine's own is for it alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 8000,
    studio: Annotated[bool, typer.Option(help="The web page, where the extra `studio` is installed.")] = True,
    workers: Workers = 1,
    data_dir: DataDir = None,
    memory: options.Memory = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with the token that clients must present. Default: the variable CONSERVATOR_TOKEN."),
    ] = None,
    max_queue: Annotated[
        int, typer.Option(min=0, help="Jobs that may wait; more are refused.", rich_help_panel=options.LIMITS)
    ] = 32,
    max_megabytes: MaxMegabytes = 100.0,
    max_megapixels: MaxMegapixels = 100.0,
    max_seconds: MaxSeconds = 900.0,
    keep_hours: Annotated[
        float, typer.Option(min=0.001, help="Finished jobs go after this long.", rich_help_panel=options.LIMITS)
    ] = 24.0,
    keep_megabytes: Annotated[
        float,
        typer.Option(min=1, help="Of all finished jobs together; the oldest go.", rich_help_panel=options.LIMITS),
    ] = 10_000.0,
    patience: Annotated[
        float,
        typer.Option(min=0.1, help="Seconds a client may be silent while it is waited for.",
                     rich_help_panel=options.LIMITS),
    ] = 30.0,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds that running jobs get to end.", rich_help_panel=options.LIMITS)
    ] = 10.0,
) -> None:
    """Serve the Studio at /studio/, the HTTP API at /v1 and MCP at /mcp, until SIGTERM or Ctrl-C."""
    need_server()
    studio = studio and _has_studio()
    from conservator.serve.limits import Limits
    from conservator.serve.server import Place, serve, token_from

    limits = Limits(
        workers, max_queue, round(max_megabytes * 1e6), round(max_megapixels * 1e6), max_seconds,
        keep_hours * 3600, round(keep_megabytes * 1e6), patience=patience,
    )  # fmt: skip
    place = Place(data_dir or default_folder(), host, port, token_from(token_file), grace, memory)
    if not place.loopback and place.token is None:
        print(f"conservator: {host} can be reached by others, and no token keeps them out; pass --token-file",
              file=sys.stderr)  # fmt: skip
    os.umask(0o077)  # other people's photographs are nobody else's business
    serve(place, limits, studio=studio)


def _has_studio() -> bool:
    """Whether the extra `studio` is installed; says what to do when it is not."""
    from importlib.util import find_spec

    found = find_spec("gradio") is not None
    if not found:
        print("conservator: no web page, only the API; pip install 'conservator[studio]' brings it", file=sys.stderr)
    return found


def need_server() -> None:
    """ModelMissing unless the extra `server` is installed."""
    from importlib.util import find_spec

    from conservator.errors import ModelMissing

    missing = [name for name in ("fastapi", "uvicorn", "python_multipart", "mcp") if find_spec(name) is None]
    if missing:
        raise ModelMissing(", ".join(missing), "the extra `server`", "pip install 'conservator[server]'")


def default_folder() -> Path:
    """Where a server keeps its jobs when nobody says."""
    from conservator.tools.added import home

    return home() / "server"
