"""The API does what its description says, whatever is sent: examined by schemathesis.

CONSERVATOR_EXAMPLES=1000 python -m pytest tests/test_serve_openapi.py     looks for longer
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2

from conservator.benchmarks.loopback import Loopback
from serving import png, until

TOKEN = "correct-horse-battery-staple"
EXAMPLES = int(os.environ.get("CONSERVATOR_EXAMPLES", "100"))
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


def test_requests_made_from_the_description_are_answered_as_it_says(tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with (
        Loopback(tmp_path / "data", "--max-megabytes", 1, environment={"CONSERVATOR_TOKEN": TOKEN}) as server,
        httpx2.Client(base_url=server.url, headers=headers, timeout=120.0) as client,
    ):
        id = client.post("/v1/jobs", files={"photo": png()}, data={"report": "true"}).json()["id"]
        until(lambda: client.get(f"/v1/jobs/{id}").json()["state"] == "done", "the end of the job")
        (tmp_path / "schemathesis.toml").write_text(f'{CONFIGURATION.read_text()}\n[parameters]\n"path.id" = "{id}"\n')
        done = examined(tmp_path, server.url, headers)
    assert done.returncode == 0, done.stdout[-6000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None and int(tested[1]) == 13
    assert not [line for line in server.log if line["level"] == "error"]


def examined(folder: Path, url: str, headers: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run", "--no-color"]
    command += ["--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing", "--continue-on-failure"]
    command += ["--generation-database", "none", "--request-timeout", "120", "--seed", "1"]
    command += [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
    return subprocess.run([*command, f"{url}/openapi.json"], cwd=folder, capture_output=True, text=True, timeout=3000)
