"""What the Studio lets in and out: the token, no files but those of jobs, nothing that makes the server fetch."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from conservator.benchmarks.loopback import Loopback
from serving import png, until

pytest.importorskip("gradio", reason="the extra `studio` is not installed")

TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    environment = {"CONSERVATOR_TOKEN": TOKEN}
    with Loopback(tmp_path_factory.mktemp("data"), environment=environment, studio=True) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Loopback) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, auth=("anybody", TOKEN), timeout=120) as opened:
        yield opened


def test_a_browser_is_asked_for_the_token_and_only_for_the_page(server: Loopback) -> None:
    for path in ("/", "/studio/", "/studio/config", f"/studio/jobs/{'0' * 32}/result"):
        asked = httpx2.get(f"{server.url}{path}")
        assert asked.status_code == 401 and asked.headers["www-authenticate"].startswith("Basic "), path
    wrong = [("me", TOKEN[:-1]), (TOKEN, ""), ("", "")]
    assert {httpx2.get(f"{server.url}/studio/", auth=pair).status_code for pair in wrong} == {401}
    for strange in ("Basic", "Basic !!!", f"Basic {base64.b64encode(TOKEN.encode()).decode()}"):
        assert httpx2.get(f"{server.url}/studio/", headers={"Authorization": strange}).status_code == 401
    assert httpx2.get(f"{server.url}/v1/tools", auth=("me", TOKEN)).status_code == 401
    assert httpx2.get(f"{server.url}/v1/tools", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_page_may_load_nothing_from_elsewhere(client: httpx2.Client) -> None:
    assert client.get("/").headers["location"] == "/studio/"
    page = client.get("/studio/")
    assert page.status_code == 200 and "Conservator Studio" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "http" not in policy and "*" not in policy
    fonts = client.get("/studio/theme.css").text
    assert "googleapis" not in fonts and "@import" not in fonts


@pytest.mark.parametrize(
    "path",
    ["file=/etc/passwd", "file=http://127.0.0.1:1/x", "file=HTTPS://127.0.0.1/x", "proxy=http://127.0.0.1:1/",
     "openapi.json", "vibe-code", "runs", "run/predict", "deep_link", "file=../../etc/passwd"],
)  # fmt: skip
def test_ways_in_that_the_page_does_not_need_are_shut(client: httpx2.Client, path: str) -> None:
    assert client.get(f"/studio/gradio_api/{path}").status_code in (403, 404)


def file(path: str) -> dict[str, object]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.png"}


def asked(client: httpx2.Client, path: str) -> httpx2.Response:
    """Choose a file on the page by its path, instead of uploading one."""
    config = client.get("/studio/config").json()
    opened = next(one for one in config["dependencies"] if one["targets"][0][1] == "upload")
    body = {"data": [None, file(path)], "fn_index": opened["id"], "session_hash": "abc"}
    return client.post("/studio/gradio_api/queue/join", json=body)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/a.png", "HTTPS://example.org/a.png", "file:///etc/passwd"])
def test_the_server_fetches_no_address(client: httpx2.Client, address: str) -> None:
    assert asked(client, address).status_code == 422


def test_a_file_that_was_not_uploaded_is_not_read(client: httpx2.Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png())
    assert asked(client, str(secret)).status_code == 200
    with client.stream("GET", "/studio/gradio_api/queue/data", params={"session_hash": "abc"}) as told:
        said = next(line for line in told.iter_lines() if "process_completed" in line)
    assert '"success":false' in said.replace(" ", "")


def test_files_of_jobs_are_reached_by_their_ids_and_nothing_else_is(client: httpx2.Client) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    files = {"photo": png(), "mask": png()}
    id = client.post("/v1/jobs", files=files, data={"report": "true"}, headers=bearer, auth=None).json()["id"]
    until(lambda: client.get(f"/v1/jobs/{id}", headers=bearer, auth=None).json()["state"] == "done", "the end")
    kinds = {"result": "image/png", "record": "application/json", "report": "text/html", "mask": "application/octet"}
    for name, kind in kinds.items():
        found = client.get(f"/studio/jobs/{id}/{name}")
        assert found.status_code == 200 and found.headers["content-type"].startswith(kind), name
    assert "sandbox" in client.get(f"/studio/jobs/{id}/report").headers["content-security-policy"]
    assert client.get(f"/studio/jobs/{id}/after").status_code == 409
    for path in (f"{id}/..%2f..%2fphoto", f"{id}/photo", f"{'0' * 32}/result", f"{id}/*"):
        assert client.get(f"/studio/jobs/{path}").status_code in (404, 409, 422), path


def test_without_gradio_the_api_is_served_and_the_way_to_the_page_is_told(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['gradio'] = None; import importlib.util as u; f = u.find_spec\n"
    hidden += "u.find_spec = lambda n, *a: None if n == 'gradio' else f(n, *a)\n"
    command = hidden + "from conservator.cli import main; main()"
    words = [sys.executable, "-c", command, "serve", "--port", "0", "--data-dir", str(tmp_path)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first, second = process.stderr.readline(), process.stderr.readline()
        process.kill()
    assert "pip install 'conservator[studio]'" in first and '"page": null' in second


def test_an_open_page_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    with Loopback(tmp_path, "--grace", 600, studio=True) as server:
        beats = f"{server.url}/studio/gradio_api/heartbeat/abc"
        with httpx2.stream("GET", beats, timeout=120) as page:
            assert "ALIVE" in next(page.iter_lines())
            assert server.terminate() == 0
