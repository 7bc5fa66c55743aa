"""Fixtures every test may ask for."""

import pytest

from scenes import scene


@pytest.fixture(scope="session")
def clean():
    return scene()
