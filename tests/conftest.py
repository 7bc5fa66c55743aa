"""Fixtures every test may ask for."""

import pytest

from scenes import scene


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory):
    """Tools that the user of this machine has added are none of the tests' business."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONSERVATOR_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def clean():
    return scene()
