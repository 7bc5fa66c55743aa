"""Every command in docs/cli.md runs as written."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from command_line import photograph
from conservator.cli.app import app
from conservator.policies import POLICIES
from conservator.policies.qagent import qagent
from llm_server import serving, steps, text
from onnx_files import blur
from sam_files import colour_pair

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
    colour_pair(tmp_path / "mobile_sam")
    photograph(tmp_path / "street.jpg", seed=1)
    photograph(tmp_path / "mine.jpg", seed=4)
    photograph(tmp_path / "scans/a.png", seed=2)
    photograph(tmp_path / "scans/1998/b.png", seed=3)
    Image.new("L", (104, 72), 255).save(tmp_path / "sky.png")
    scratches = Image.new("L", (104, 72), 0)
    scratches.paste(255, (10, 20, 80, 23))
    scratches.save(tmp_path / "scratches.png")
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


def test_every_benchmark_that_a_page_names_exists() -> None:
    from conservator.benchmarks.commands import app as bench

    pages = "".join(page.read_text("utf-8") for page in DOCS.glob("*.md"))
    named = set(re.findall(r"conservator bench ([a-z][a-z-]+)", pages))
    known = {(c.name or c.callback.__name__).replace("_", "-") for c in bench.registered_commands if c.callback}
    assert {"throughput", "spatialbench"} <= named <= known


def told(request: dict[str, Any]) -> dict[str, Any]:
    """A model that plans one step, and reads of rain in every instruction."""
    asked = request["messages"][-1]["content"]
    if asked.startswith("{"):
        return text(steps({"tool": "joint", "treats": ["noise"]}))
    rain = {"action": "treat", "kinds": ["rain"], "amount": 1, "where": None, "said": asked}
    return text(json.dumps({"wishes": [rain], "cannot": []}))


DOCS = Path(__file__).parent.parent / "docs"

PAGES = ["checkpoints", "policies", "quality", "words", "batch", "memory", "tutorial", "troubleshooting"]


@pytest.mark.parametrize("name", PAGES)
def test_the_examples_of_other_pages_run(name: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    page = (Path(__file__).parent.parent / f"docs/{name}.md").read_text("utf-8")
    with serving(told) as model:
        runs(page.replace("http://localhost:11434/v1", model.url), folder, tmp_path_factory)
        assert bool(model.asked) == (name == "policies")


def test_every_link_of_a_page_leads_somewhere() -> None:
    for page in [DOCS.parent / "README.md", *DOCS.glob("*.md")]:
        text = page.read_text("utf-8")
        for place, part in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", text):
            target = page.parent / place if place else page
            assert target.exists(), f"{page.name}: {place}"
            if part:
                assert part in titles(target.read_text("utf-8")), f"{page.name}: {place}#{part}"


def titles(text: str) -> set[str]:
    """Headings as links name them."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def runs(page: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    shell(re.findall(r"^\$ (.+)$", page, re.MULTILINE), folder, tmp_path_factory.mktemp("tools") / "bin")
    for code in re.findall(r"^```python\n(.+?)^```", page, re.MULTILINE | re.DOTALL):
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


POLICIES_PAGE = (Path(__file__).parent.parent / "docs/policies.md").read_text("utf-8")


def test_the_calculation_for_many_photographs_adds_up() -> None:
    page = (DOCS / "batch.md").read_text("utf-8")
    measured = json.loads((DOCS.parent / "benchmarks/results/speed.json").read_text("utf-8"))["summary"]
    (stages,) = (rows for title, rows in measured.items() if title.startswith("12 MP"))
    whole = next(row["seconds"] for row in stages if row["stage"] == "whole")
    told = float(re.findall(r"so, of one core, at most \| ([\d.]+) s", page)[0])
    assert told == pytest.approx(2 * whole, abs=0.1)
    megabytes = sum(map(float, re.findall(r"([\d.]+) \+ ([\d.]+) MB", page)[0]))
    line = r"^\| 10(.) \| ([\d.,]+) core (\w+) \| ([\d.,]+) \| (\d+) \| ([\d.]+) (\w)B \|$"
    rows = re.findall(line, page, re.MULTILINE)
    assert len(rows) == 3
    for power, time, unit, cores, drivers, moved, prefix in rows:
        seconds = 10 ** "⁰¹²³⁴⁵⁶⁷⁸⁹".index(power) * told
        assert number(time) == pytest.approx(seconds / {"hours": 3600, "years": 365.25 * 86400}[unit], rel=0.05)
        assert number(cores) == pytest.approx(seconds / (30 * 86400), rel=0.05)
        assert int(drivers) == -(-seconds // (30 * 86400 * 400))
        assert float(moved) == pytest.approx(seconds / told * megabytes / {"T": 1e6, "P": 1e9}[prefix], rel=0.05)


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_the_policy_that_is_read_line_by_line_is_the_one_that_runs() -> None:
    read = "".join(re.findall(r"^```py\n(.+?)^```", POLICIES_PAGE, re.MULTILINE | re.DOTALL))
    head, _, body = inspect.getsource(qagent).partition('"""')
    assert read == head.rstrip(" ") + body.partition('"""\n')[2]


def test_the_table_of_policies_is_complete() -> None:
    assert re.findall(r"^\| `(\w+)` \|", POLICIES_PAGE, re.MULTILINE)[-len(POLICIES) :] == list(POLICIES)


SERVER = (Path(__file__).parent.parent / "docs/server.md").read_text("utf-8")


def test_the_examples_of_the_page_on_the_server_run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Servers are started as the page says, but on a free port; all else is run as written."""
    from conservator.benchmarks.loopback import Loopback

    commands = re.findall(r"^\$ (.+)$", SERVER, re.MULTILINE)
    with Loopback(folder / "data") as server:
        lines = [command for command in commands if not command.startswith("conservator serve")]
        lines = [re.sub(r"^curl ", "curl --fail-with-body ", line) for line in lines if "joinz" not in line]
        address = "http://127.0.0.1:8000"
        shell([line.replace(address, server.url) for line in lines], folder, tmp_path_factory.mktemp("tools") / "bin")
        assert Image.open(folder / "street.restored.jpg").size == (104, 72)
        (code,) = re.findall(r"^```python\n(.+?)^```", SERVER, re.MULTILINE | re.DOTALL)
        code = code.replace(address, server.url)
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (folder / "restored.jpg").stat().st_size > 0


STUDIO = (Path(__file__).parent.parent / "docs/studio.md").read_text("utf-8")


@pytest.mark.parametrize("page", [SERVER, STUDIO], ids=["server", "studio"])
def test_the_pages_on_the_server_name_options_that_exist(page: str) -> None:
    from typer.main import get_command

    serve = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    known = {option for parameter in serve.params for option in (*parameter.opts, *parameter.secondary_opts)}
    lines = [line for line in page.splitlines() if "conservator serve" in line or line.count("`--")]
    assert {option for line in lines for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)} <= known
