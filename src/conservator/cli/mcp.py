"""conservator mcp: the tools for a client that starts this command itself."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from conservator.cli import options
from conservator.cli.serve import MaxMegabytes, MaxMegapixels, MaxSeconds, Workers, need_server


def mcp(
    workers: Workers = 1,
    max_megabytes: MaxMegabytes = 100.0,
    max_megapixels: MaxMegapixels = 100.0,
    max_seconds: MaxSeconds = 900.0,
    memory: options.Memory = None,
) -> None:
    """Speak MCP on standard input and output; results last as long as the client does."""
    need_server()
    from conservator.serve import logs
    from conservator.serve.jobs import Jobs
    from conservator.serve.limits import Limits
    from conservator.serve.mcp import server

    logs.configure()
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the folder goes with us
    limits = Limits(workers, 32, round(max_megabytes * 1e6), round(max_megapixels * 1e6), max_seconds)
    with tempfile.TemporaryDirectory(prefix="conservator-mcp-") as folder:
        jobs = Jobs(Path(folder), limits, memory)
        try:
            server(jobs).run("stdio")
        finally:
            jobs.close()
