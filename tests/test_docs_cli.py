"""Every command in docs/cli.md runs as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from command_line import photograph
from conservator.cli.app import app
from onnx_files import blur

PAGE = (Path(__file__).parent.parent / "docs/cli.md").read_text("utf-8")


def sections() -> dict[str, list[str]]:
    """Commands of each section that has any, in order."""
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    titled = dict(zip(["start", *parts[1::2]], parts[0::2], strict=True))
    found = {title: re.findall(r"^\$ (.+)$", text, re.MULTILINE) for title, text in titled.items()}
    return {title: commands for title, commands in found.items() if commands}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONSERVATOR_HOME", str(tmp_path / ".home"))
    blur(tmp_path / "denoiser.onnx")
    photograph(tmp_path / "street.jpg", seed=1)
    photograph(tmp_path / "scans/a.png", seed=2)
    photograph(tmp_path / "scans/1998/b.png", seed=3)
    Image.new("L", (104, 72), 255).save(tmp_path / "sky.png")
    return tmp_path


def shell(commands: list[str], folder: Path, tools: Path) -> None:
    """Run the lines in bash, stopping at the first that fails."""
    script = tools / "conservator"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m conservator "$@"\n')
    script.chmod(0o755)
    environment = os.environ | {"PATH": f"{script.parent}:{os.environ['PATH']}"}
    lines = "\n".join(["set -euxo pipefail", *commands])
    done = subprocess.run(["bash", "-c", lines], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("title", sections())
def test_the_examples_of_a_section_run(title: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    commands = sections()[title]
    if title == "replay":
        commands = ["conservator restore street.jpg", *commands]
    shell(commands, folder, tmp_path_factory.mktemp("tools") / "bin")
    assert not list(folder.rglob(".conservator-*"))


def test_every_command_has_a_section_and_an_example() -> None:
    named = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert named <= sections().keys()


def test_every_option_that_the_page_names_exists() -> None:
    from typer.main import get_command

    commands = list(get_command(app).commands.values())  # type: ignore[attr-defined]
    commands += [below for command in commands for below in getattr(command, "commands", {}).values()]
    known = {option for command in commands for parameter in command.params for option in parameter.opts}
    known |= {"--version", "--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= known


@pytest.mark.parametrize("name", ["checkpoints", "batch"])
def test_the_examples_of_a_page_run(name: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    page = (Path(__file__).parent.parent / f"docs/{name}.md").read_text("utf-8")
    shell(re.findall(r"^\$ (.+)$", page, re.MULTILINE), folder, tmp_path_factory.mktemp("tools") / "bin")
    for code in re.findall(r"^```python\n(.+?)^```", page, re.MULTILINE | re.DOTALL):
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
