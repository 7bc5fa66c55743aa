"""Sizes from headers, without decoding."""

from __future__ import annotations

import numpy as np
import pytest

from conservator.photo import encode, open_photo
from conservator.pixels.codecs import WRITERS, measure

PICTURE = open_photo(np.random.default_rng(0).integers(0, 255, (24, 40, 3), np.uint8))


@pytest.mark.parametrize("container", WRITERS)
def test_every_container_that_can_be_written_tells_its_size(container: str) -> None:
    assert measure(encode(PICTURE, container)) == (24, 40)


def test_the_pixels_need_not_be_there() -> None:
    assert measure(encode(PICTURE, "png")[:60]) == (24, 40)


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"FUJIFILMCCD-RAW "])
def test_what_has_no_readable_header_has_no_size(data: bytes) -> None:
    assert measure(data) is None
