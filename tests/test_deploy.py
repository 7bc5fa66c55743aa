"""The systemd unit and the container file: what they start exists, and works where they lock it in."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import httpx2
import pytest
from typer.main import get_command

from conservator.benchmarks.loopback import Loopback
from conservator.cli import app
from serving import png, until

DEPLOY = Path(__file__).parent.parent / "deploy"
UNIT = (DEPLOY / "conservator.service").read_text("utf-8")
CONTAINER = (DEPLOY / "Containerfile").read_text("utf-8")
TOKEN = "correct-horse-battery-staple"

LOCKED = f"""set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/state /mnt/credentials /mnt/tmp
echo {TOKEN} > /mnt/credentials/token
mount -o remount,ro,bind /
umask 0077
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
"""
"""A root that is read-only, one place to write, no capabilities: ProtectSystem=strict, StateDirectory, PrivateTmp,
CapabilityBoundingSet and NoNewPrivileges by hand, in a mount namespace that nobody else sees."""


def entry(name: str) -> str:
    """A setting of the unit's service."""
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(UNIT)
    return unit["Service"][name]


def options(words: Sequence[str]) -> None:
    """Fail unless these are options of `conservator serve`."""
    serve = get_command(app).commands["serve"]  # type: ignore[attr-defined]
    known = {option for parameter in serve.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    program, *_ = shlex.split(entry("ExecStart"))
    (tmp_path / "conservator.service").write_text(UNIT.replace(program, shutil.which("true") or ""))
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "conservator.service"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_server_and_its_page_work_where_the_unit_locks_them_in() -> None:
    program, serve, *words = shlex.split(entry("ExecStart"))
    assert (Path(program).name, serve) == ("conservator", "serve")
    assert words == ["--data-dir", "${STATE_DIRECTORY}", "--token-file", "${CREDENTIALS_DIRECTORY}/token"]
    options(words)
    under = ["unshare", "--mount", "sh", "-c", LOCKED, "sh"]
    tried = [*under, "sh", "-c", "! touch /etc/x /root/x 2>&-"]
    if os.geteuid() or not shutil.which("setpriv") or subprocess.run(tried, capture_output=True).returncode:
        pytest.skip("needs root and mount namespaces")
    home = entry("Environment").replace("%S/conservator", "/mnt/state")
    name, _, place = home.partition("=")
    where = {name: place, "TMPDIR": "/mnt/tmp", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/"}
    folder, token = Path("/mnt/state"), "/mnt/credentials/token"
    page = find_spec("gradio") is not None
    with Loopback(folder, "--token-file", token, environment=where, under=under, studio=page) as server:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx2.Client(base_url=server.url, headers=headers, timeout=120.0) as client:
            id = client.post("/v1/jobs", files={"photo": png()}).json()["id"]
            until(lambda: client.get(f"/v1/jobs/{id}").json()["state"] not in ("queued", "running"), "the end")
            assert client.get(f"/v1/jobs/{id}").json()["error"] is None
            assert client.get(f"/v1/jobs/{id}/result").content.startswith(b"\x89PNG")
        shown = httpx2.get(f"{server.url}/studio/", auth=("anybody", TOKEN), timeout=120.0)
        assert shown.status_code == (200 if page else 404)
        assert server.terminate() == 0
    assert not Path("/mnt/state").exists()


def test_the_container_file_copies_what_there_is_and_starts_what_exists() -> None:
    root = DEPLOY.parent
    for copied in re.findall(r"^COPY (.+) \S+$", CONTAINER, re.MULTILINE):
        assert all((root / name).exists() for name in copied.split())
    (started,) = re.findall(r"^ENTRYPOINT \[(.+)\]$", CONTAINER, re.MULTILINE)
    program, serve, *words = [word.strip(' "') for word in started.split(",")]
    assert (program, serve) == ("conservator", "serve")
    options(words)
    assert re.findall(r"/source\[(\w+)\]", CONTAINER) == ["studio"]
    assert "\nstudio = [\"conservator[server]\"" in (root / "pyproject.toml").read_text("utf-8")
    assert int(re.findall(r"python:3\.(\d+)", CONTAINER)[0]) >= 11
