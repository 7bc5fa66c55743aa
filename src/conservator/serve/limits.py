"""What a server takes, keeps and spends."""

from __future__ import annotations

from dataclasses import dataclass

from conservator.errors import InputError, UsageError
from conservator.models.runtime import thread_limit
from conservator.pixels.codecs import measure
from conservator.pixels.codecs.sniff import container_of
from conservator.serve.refusals import TooLarge, UnknownFormat

TOKEN_VARIABLE = "CONSERVATOR_TOKEN"
"""Environment variable with the token that clients must present; a command line is for everyone to read."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one server.

    workers       jobs at a time, each in a process of its own
    max_queue     jobs that may wait
    max_bytes     of a photograph's file, and of a mask's
    max_pixels    H·W of a photograph, before and after it is enlarged
    max_seconds   a job that runs longer is stopped for good
    keep_seconds  finished jobs go after this long, in which a server ran
    keep_bytes    of all finished jobs together; the oldest go first
    cache_bytes   of intermediate results; those not used for longest go first
    patience      seconds that a client may be silent in the middle of a request, or before it sends one
    attempts      times that a job may bring its worker or the server down before it is given up
    """

    workers: int = 1
    max_queue: int = 32
    max_bytes: int = 100_000_000
    max_pixels: int = 100_000_000
    max_seconds: float = 900.0
    keep_seconds: float = 24 * 3600.0
    keep_bytes: int = 10_000_000_000
    attempts: int = 3
    cache_bytes: int = 4_000_000_000
    patience: float = 30.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0 and name != "max_queue":
                raise UsageError(f"{name}={value}", "a number above 0")

    def check(self, data: bytes, what: str, scale: int = 1) -> None:
        """TooLarge or UnknownFormat for a file that would be refused anyway; only its header is looked at.

        scale  how many times it is to be enlarged along a side
        """
        if len(data) > self.max_bytes:
            raise TooLarge(f"{what} of {len(data) / 1e6:.1f} MB", f"at most {self.max_bytes / 1e6:g} MB", "shrink it")
        try:
            container_of(data)
        except InputError as error:
            raise UnknownFormat(f"{what}: {error.got}", error.wanted, error.fix) from error
        size = measure(data)
        if size is not None and size[0] * size[1] * scale**2 > self.max_pixels:
            got = f"{what} of {size[1]}×{size[0]} pixels" + (f" enlarged {scale} times" if scale > 1 else "")
            raise TooLarge(got, f"at most {self.max_pixels / 1e6:g} megapixels", "shrink it")

    def threads(self) -> int:
        """Threads of each worker: all of them together use what one process may."""
        return max(1, thread_limit() // self.workers)
