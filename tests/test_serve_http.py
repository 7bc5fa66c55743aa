"""The HTTP API as a client sees it: a real server on loopback, a real client."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

from conservator.benchmarks.loopback import Loopback
from serving import encoded, png, slow, until

LIMITS = ("--max-queue", 1, "--max-megapixels", 4, "--max-megabytes", 12)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with Loopback(tmp_path_factory.mktemp("data"), *LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Loopback) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=120.0) as one:
        yield one


def submitted(client: httpx2.Client, photo: bytes, mask: bytes | None = None, **form: object) -> str:
    files = {"photo": ("street.png", photo)} | ({"mask": ("mask.png", mask)} if mask is not None else {})
    until(lambda: 'state="queued"} 0' in client.get("/metrics").text, "room in the queue")
    answer = client.post("/v1/jobs", files=files, data={name: str(value) for name, value in form.items()})
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    return str(answer.json()["id"])


def ended(client: httpx2.Client, id: str) -> dict[str, object]:
    until(lambda: client.get(f"/v1/jobs/{id}").json()["state"] not in ("queued", "running"), "the end of the job")
    return dict(client.get(f"/v1/jobs/{id}").json())


def sent(client: httpx2.Client, id: str, last: int | None = None) -> list[tuple[int | None, str, dict[str, object]]]:
    """Events as a browser's EventSource reads them: (id, event, data)."""
    headers = {"Last-Event-ID": str(last)} if last is not None else {}
    found = []
    with client.stream("GET", f"/v1/jobs/{id}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for block in "".join(answer.iter_text()).split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" in fields:
                number = int(fields["id"]) if "id" in fields else None
                found.append((number, fields["event"], json.loads(fields["data"])))
    return found


def test_from_a_photograph_to_result_record_and_report(client: httpx2.Client) -> None:
    id = submitted(client, png(), report=True, instruction="remove the noise", prefer="denoise")
    done = ended(client, id)
    assert done["state"] == "done" and done["error"] is None
    assert [step["tool"] for step in done["facts"]["steps"]] == ["denoise"]  # type: ignore[index]
    result = client.get(f"/v1/jobs/{id}/result")
    assert result.headers["content-type"] == "image/png"
    assert result.headers["content-disposition"] == 'attachment; filename="restored.png"'
    assert Image.open(io.BytesIO(result.content)).size == (104, 72)
    record = client.get(f"/v1/jobs/{id}/record").json()
    assert record["call"]["instruction"] == "remove the noise" and record["input"]["path"] is None
    report = client.get(f"/v1/jobs/{id}/report")
    assert report.text.startswith("<!doctype html>")
    assert "sandbox" in report.headers["content-security-policy"]


def test_bytes_alone_are_the_same_job_as_a_form(client: httpx2.Client) -> None:
    photo, key = png(seed=4), {"Idempotency-Key": "bytes-or-form"}
    until(lambda: 'state="queued"} 0' in client.get("/metrics").text, "room in the queue")
    sent = client.post("/v1/photos", content=photo, params={"strength": 0.5, "prefer": "denoise"}, headers=key)
    assert sent.status_code == 202 and sent.headers["location"] == f"/v1/jobs/{sent.json()['id']}", sent.text
    form = {"strength": "0.5", "prefer": "denoise"}
    again = client.post("/v1/jobs", files={"photo": photo}, data=form, headers=key)
    assert again.status_code == 200 and again.json()["id"] == sent.json()["id"]
    assert ended(client, sent.json()["id"])["state"] == "done"
    for body, query, status in ((b"", {}, 415), (photo, {"strength": 3}, 422), (photo, {"photo": "x"}, 422)):
        assert client.post("/v1/photos", content=body, params=query).status_code == status


def test_black_parts_of_a_mask_come_back_to_the_byte(client: httpx2.Client) -> None:
    photo = png(seed=5)
    mask = np.zeros((72, 104), np.uint8)
    mask[:, 80:] = 255
    id = submitted(client, photo, encoded(mask))
    assert ended(client, id)["facts"]["unchanged"] is False  # type: ignore[index]
    before = np.asarray(Image.open(io.BytesIO(photo)))
    after = np.asarray(Image.open(io.BytesIO(client.get(f"/v1/jobs/{id}/result").content)))
    assert (before[:, :80] == after[:, :80]).all() and (before[:, 80:] != after[:, 80:]).any()


def test_events_stream_to_the_end_and_resume_where_they_broke_off(client: httpx2.Client) -> None:
    id = submitted(client, png(seed=6))
    told = [event for event in sent(client, id) if event[0] is not None]
    assert [number for number, _, _ in told] == list(range(1, len(told) + 1))
    assert told[-1][1] == "done" and "diagnosed" in [kind for _, kind, _ in told]
    assert [event for event in sent(client, id, last=3) if event[0] is not None] == told[3:]
    assert sent(client, id, last=len(told)) == []


def test_the_same_key_gives_the_same_job(client: httpx2.Client) -> None:
    def post(photo: bytes) -> httpx2.Response:
        return client.post("/v1/jobs", files={"photo": photo}, headers={"Idempotency-Key": "a-key"})

    first, second, other = post(png(seed=7)), post(png(seed=7)), post(png(seed=8))
    assert (first.status_code, second.status_code, other.status_code) == (202, 200, 409)
    assert first.json()["id"] == second.json()["id"]
    assert ended(client, first.json()["id"])["attempt"] == 1


def test_a_full_queue_says_when_to_come_again_and_cancelling_makes_room(client: httpx2.Client) -> None:
    photo = slow()
    first = submitted(client, photo)
    until(lambda: client.get(f"/v1/jobs/{first}").json()["state"] == "running", "the beginning")
    assert client.get(f"/v1/jobs/{first}/result").status_code == 409
    second = submitted(client, photo)
    refused = client.post("/v1/jobs", files={"photo": photo})
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"] == "QueueFull"
    for id in (first, second):
        assert client.post(f"/v1/jobs/{id}/cancel").json()["state"] == "cancelled"
    assert "conservator_rejected_total 1" in client.get("/metrics").text
    assert sent(client, first)[-1][1] == "cancelled"
    assert ended(client, submitted(client, png()))["state"] == "done"


def test_a_deleted_job_is_gone(client: httpx2.Client) -> None:
    id = submitted(client, png(seed=9))
    ended(client, id)
    assert client.delete(f"/v1/jobs/{id}").status_code == 204
    for path in ("", "/result", "/record", "/report", "/events"):
        assert client.get(f"/v1/jobs/{id}{path}").status_code == 404
    assert client.delete(f"/v1/jobs/{id}").status_code == 404


def test_a_diagnosis_is_answered_at_once_and_nothing_is_kept(client: httpx2.Client, server: Loopback) -> None:
    before = [line for line in client.get("/metrics").text.splitlines() if line.startswith("conservator_jobs{")]
    found = client.post("/v1/diagnose", files={"photo": png()}).json()
    assert found["size"] == [72, 104] and found["degradations"]["noise"]["share_of_frame"] > 0.3
    damaged = client.post("/v1/diagnose", files={"photo": png()[:-200]})
    assert damaged.status_code == 422 and damaged.json()["error"] == "InputError"
    after = [line for line in client.get("/metrics").text.splitlines() if line.startswith("conservator_jobs{")]
    assert after == before


def test_the_tools_are_listed_with_their_cards(client: httpx2.Client) -> None:
    every = client.get("/v1/tools").json()
    noise = client.get("/v1/tools", params={"treating": "noise"}).json()
    assert {tool["name"] for tool in noise} < {tool["name"] for tool in every}
    assert all("noise" in tool["treats"] for tool in noise)
    wrong = client.get("/v1/tools", params={"treating": "boredom"})
    assert wrong.status_code == 422 and "boredom" in wrong.json()["got"]


@pytest.mark.parametrize(
    ("photo", "form", "status", "says"),
    [
        (b"GIF89a", {}, 415, "a GIF file"),
        (b"", {}, 415, "an empty file"),
        (encoded(np.zeros((2100, 2000), np.uint8)), {}, 413, "2000×2100 pixels"),
        (png() + b"\0" * 13_000_000, {}, 413, "MB"),
        (png() + b"\0" * 30_000_000, {}, 413, "too long"),
        (png(), {"strength": "3"}, 422, "strength"),
        (png(), {"strenght": "1"}, 422, "strenght"),
        (png(), {"policy": "luck"}, 422, "luck"),
        (png(), {"instruction": "make it pop"}, 422, "make it pop"),
        (png(), {"tool": "joint", "instruction": "remove the noise"}, 422, "instruction with a tool"),
        (png(), {"tool": "joint", "settings": '{"nonsense": 1}'}, 422, "nonsense"),
        (png(), {"settings": '{"mix": 1}'}, 422, "settings without a tool"),
    ],
)
def test_what_cannot_be_done_is_refused_with_got_wanted_and_fix(
    client: httpx2.Client, photo: bytes, form: dict[str, str], status: int, says: str
) -> None:
    answer = client.post("/v1/jobs", files={"photo": ("x", photo)}, data=form)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert says in told["got"] and told["wanted"] and told["status"] == status


def test_paths_and_addresses_are_no_photographs(client: httpx2.Client, tmp_path: Path) -> None:
    file = tmp_path / "secret.png"
    file.write_bytes(png())
    for given in (str(file), file.as_uri(), "http://127.0.0.1:1/x.png"):
        answer = client.post("/v1/jobs", data={"photo": given})
        assert answer.status_code == 422
    for id in ("..%2f..%2fetc%2fpasswd", "....", "A" * 32):
        assert client.get(f"/v1/jobs/{id}/result").status_code in (404, 422)


def test_the_description_asks_for_a_token_only_where_one_is_needed(client: httpx2.Client) -> None:
    described = client.get("/openapi.json").json()
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    assert len(operations) == 13 and not any("security" in operation for operation in operations)
    assert described["components"]["schemas"]["Problem"]["required"]


def test_every_answer_carries_security_headers(client: httpx2.Client) -> None:
    for path in ("/health", "/v1/tools", "/nowhere", "/metrics"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "server" not in headers


def test_metrics_are_in_the_format_of_prometheus(client: httpx2.Client) -> None:
    client.get(f"/v1/jobs/{'0' * 32}")
    page = client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    line = re.compile(r'# (HELP|TYPE) .+|conservator_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? \d+(\.\d+)?')
    assert all(line.fullmatch(text) for text in page.text.splitlines())
    assert 'conservator_requests_total{method="GET",route="/v1/jobs/{id}",status="404"}' in page.text


def test_logs_are_json_without_ids_or_pictures(client: httpx2.Client, server: Loopback) -> None:
    id = submitted(client, png(seed=10))
    ended(client, id)
    client.get(f"/v1/jobs/{id}/result")
    until(lambda: any(line.get("route", "").endswith("/result") for line in server.log), "the line in the log")
    assert all(line.startswith("{") for line in server.said)
    assert not any(id in line for line in server.said)
    last = [line for line in server.log if line["event"] == "request"][-1]
    assert {"time", "level", "method", "route", "status", "seconds", "client"} <= last.keys()
