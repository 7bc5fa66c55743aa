"""Jobs: accepted once, done once, cancelled at once, kept and forgotten; with real workers."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import conservator
from conservator.errors import InputError, OutputError, UsageError
from conservator.photo import encode
from conservator.serve import store
from conservator.serve.jobs import ENDED, Job, Jobs, State
from conservator.serve.limits import Limits
from conservator.serve.orders import Order, RestoreOptions, TreatOptions
from conservator.serve.refusals import (
    KeyReused,
    NoRoom,
    NoSuchJob,
    NotReady,
    QueueFull,
    Stopping,
    TooLarge,
    UnknownFormat,
)
from serving import alive, encoded, png, slow, until, workers

WHOLE = Order.restore(RestoreOptions())

Open = Callable[..., Jobs]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Makes Jobs with some limits, all on one folder, and closes them afterwards."""
    made: list[Jobs] = []

    def make(**limits: float) -> Jobs:
        made.append(Jobs(tmp_path / "data", Limits(**limits)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for jobs in made:
        if not jobs.stopping:
            jobs.close()


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    shared = Jobs(tmp_path_factory.mktemp("data"), Limits(max_pixels=4_000_000, max_bytes=12_000_000))
    yield shared
    shared.close()


@pytest.fixture
def worker(jobs: Jobs) -> Callable[[], int]:
    """Gives the process id of the worker of what the test opens."""
    shared = workers(os.getpid())
    return lambda: (workers(os.getpid()) - shared).pop()


def ended(jobs: Jobs, id: str) -> Job:
    until(lambda: jobs.get(id).state in ENDED, "the end of the job")
    return jobs.get(id)


def running(jobs: Jobs, id: str) -> None:
    until(lambda: any(event["type"] == "opened" for _, event in jobs.events(id)), "the beginning of the work")


def test_a_job_makes_what_the_call_makes(jobs: Jobs) -> None:
    photo = png()
    job, new = jobs.submit(Order.restore(RestoreOptions(report=True)), photo)
    done = ended(jobs, job.id)
    assert new and done.state is State.DONE and done.attempt == 1
    assert done.facts is not None and done.facts["container"] == "png" and done.facts["steps"]
    record = conservator.Record.load(jobs.file(job.id, "record"))
    assert encode(conservator.replay(record, photo).photo, "png") == jobs.file(job.id, "result").read_bytes()
    assert b"<html" in jobs.file(job.id, "report").read_bytes()
    assert record.data["input"]["path"] is None


def test_events_are_numbered_without_gaps_and_end_with_the_state(jobs: Jobs) -> None:
    job, _ = jobs.submit(WHOLE, png(seed=1))
    ended(jobs, job.id)
    told = jobs.events(job.id)
    assert [number for number, _ in told] == list(range(1, len(told) + 1))
    kinds = [event["type"] for _, event in told]
    assert kinds[:3] == ["queued", "running", "opened"] and kinds[-1] == "done"
    assert jobs.events(job.id, after=len(told) - 1) == told[-1:]


def test_a_tool_alone_and_a_look_alone(jobs: Jobs) -> None:
    treat, _ = jobs.submit(Order.treat("joint", TreatOptions(strength=0.5, container="webp")), png())
    look, _ = jobs.submit(Order.diagnose(preview=True), png())
    facts = ended(jobs, treat.id).facts
    assert facts is not None and facts["container"] == "webp"
    assert [step["tool"] for step in facts["steps"]] == ["joint"]
    assert ended(jobs, look.id).state is State.DONE
    assert b'"noise"' in jobs.file(look.id, "diagnosis").read_bytes()
    assert jobs.file(look.id, "preview").read_bytes().startswith(b"\xff\xd8")
    with pytest.raises(NotReady, match="has made no report"):
        jobs.file(treat.id, "report")


def test_a_key_stands_for_one_job_until_that_is_deleted(jobs: Jobs) -> None:
    first, new = jobs.submit(WHOLE, png(seed=2), key="once")
    same, again = jobs.submit(WHOLE, png(seed=2), key="once")
    assert (new, again, same.id) == (True, False, first.id)
    for order, photo in ((WHOLE, png(seed=3)), (Order.diagnose(), png(seed=2))):
        with pytest.raises(KeyReused):
            jobs.submit(order, photo, key="once")
    jobs.delete(first.id)
    other, new = jobs.submit(WHOLE, png(seed=3), key="once")
    assert new and other.id != first.id


@pytest.mark.parametrize(
    ("photo", "mask", "error", "says"),
    [
        (png()[:-200], None, "InputError", "stops in the middle"),
        (png(), encoded(np.zeros((9, 9), np.uint8)), "UsageError", "mask is 9×9"),
    ],
    ids=["damaged", "mask of another size"],
)
def test_what_only_opening_tells_fails_the_job_with_its_own_error(
    jobs: Jobs, photo: bytes, mask: bytes | None, error: str, says: str
) -> None:
    job, _ = jobs.submit(WHOLE, photo, mask)
    failed = ended(jobs, job.id)
    assert failed.state is State.FAILED and failed.error is not None
    assert failed.error["type"] == error and says in failed.error["got"], failed.error
    with pytest.raises(NotReady, match="the job is failed"):
        jobs.file(job.id, "result")


def test_files_that_are_too_large_or_no_pictures_are_refused_before_they_are_decoded(jobs: Jobs) -> None:
    bomb = encoded(np.zeros((2100, 2000), np.uint8))
    assert len(bomb) < 20_000
    with pytest.raises(TooLarge, match="2000×2100 pixels"):
        jobs.submit(WHOLE, bomb)
    with pytest.raises(TooLarge, match="a mask"):
        jobs.submit(WHOLE, png(), bomb)
    with pytest.raises(TooLarge, match=r"13\.0 MB"):
        jobs.submit(WHOLE, png() + b"\0" * 13_000_000)
    with pytest.raises(UnknownFormat, match="SVG"):
        jobs.submit(WHOLE, b"<svg xmlns='http://www.w3.org/2000/svg'/>")


def test_a_job_nobody_knows(jobs: Jobs) -> None:
    for call in (jobs.get, jobs.cancel, jobs.delete, jobs.events, lambda id: jobs.file(id, "result")):
        with pytest.raises(NoSuchJob):
            call("0" * 32)


def test_a_full_queue_turns_away_and_a_running_job_stops_when_cancelled(
    opened: Open, worker: Callable[[], int]
) -> None:
    jobs = opened(max_queue=1)
    first, _ = jobs.submit(WHOLE, slow())
    running(jobs, first.id)
    pid = worker()
    second, _ = jobs.submit(WHOLE, png())
    with pytest.raises(QueueFull) as full:
        jobs.submit(WHOLE, png(seed=1))
    assert full.value.retry_after >= 1 and jobs.rejected == 1
    assert jobs.cancel(first.id).state is State.CANCELLED
    until(lambda: not alive(pid), "the end of the worker")
    assert ended(jobs, second.id).state is State.DONE
    assert jobs.get(first.id).state is State.CANCELLED and jobs.deaths == 0
    assert jobs.cancel(second.id).state is State.DONE


def test_a_cancelled_job_that_waited_never_begins_and_a_deleted_one_leaves_nothing(
    opened: Open, tmp_path: Path
) -> None:
    jobs = opened()
    first, _ = jobs.submit(WHOLE, slow())
    waiting, _ = jobs.submit(WHOLE, png())
    running(jobs, first.id)
    assert jobs.cancel(waiting.id).attempt == 0
    jobs.delete(first.id)
    jobs.delete(waiting.id)
    until(lambda: not list((tmp_path / "data/jobs").iterdir()), "an empty folder")
    assert sum(jobs.counts().values()) == 0


def test_a_worker_that_dies_costs_one_attempt_and_not_the_job(opened: Open, worker: Callable[[], int]) -> None:
    jobs = opened()
    job, _ = jobs.submit(WHOLE, slow())
    running(jobs, job.id)
    os.kill(worker(), signal.SIGSEGV)
    until(lambda: jobs.get(job.id).attempt == 2, "a second attempt")
    assert jobs.get(job.id).faults == 1 and jobs.deaths == 1
    assert {"type": "queued", "reason": "its worker died"} in [event for _, event in jobs.events(job.id)]
    small, _ = jobs.submit(WHOLE, png())
    jobs.cancel(job.id)
    assert ended(jobs, small.id).state is State.DONE


def test_a_job_that_kills_its_workers_is_given_up(opened: Open, worker: Callable[[], int]) -> None:
    jobs = opened(attempts=1)
    job, _ = jobs.submit(WHOLE, slow())
    running(jobs, job.id)
    os.kill(worker(), signal.SIGKILL)
    failed = ended(jobs, job.id)
    assert failed.state is State.FAILED and failed.error is not None and failed.error["type"] == "WorkerDied"


def test_a_job_that_takes_too_long_is_stopped(opened: Open) -> None:
    jobs = opened(max_seconds=0.05)
    job, _ = jobs.submit(WHOLE, slow())
    failed = ended(jobs, job.id)
    assert failed.error is not None and failed.error["type"] == "BudgetExceeded"
    assert failed.error["wanted"] == "at most 0.05 s"


def test_ended_jobs_go_when_they_are_old_or_large(opened: Open, tmp_path: Path) -> None:
    jobs = opened(keep_bytes=1, keep_seconds=3600)
    made = [jobs.submit(Order.diagnose(), png(seed=seed))[0].id for seed in range(2)]
    last, _ = jobs.submit(WHOLE, slow())
    running(jobs, last.id)
    jobs.expire()
    assert jobs.counts() == {State.RUNNING: 1} | {state: 0 for state in State if state is not State.RUNNING}
    with pytest.raises(NoSuchJob):
        jobs.get(made[0])
    assert [entry.name for entry in (tmp_path / "data/jobs").iterdir()] == [last.id]


def test_expiry_goes_on_after_a_full_disk(
    opened: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("conservator.serve.jobs._SWEEP", 0.2)
    jobs = opened(keep_seconds=3)
    job, _ = jobs.submit(Order.diagnose(), png())
    ended(jobs, job.id)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
    try:
        until(lambda: "expired jobs could not be removed" in caplog.text, "a look that failed")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    until(lambda: not sum(jobs.counts().values()), "a later look")


def test_a_job_without_room_for_its_results_is_put_off_and_no_worker_is_killed(
    opened: Open, worker: Callable[[], int], tmp_path: Path
) -> None:
    jobs = opened()
    pid = worker()
    jobs.submit(Order.diagnose(), png())
    job, _ = jobs.submit(WHOLE, png())
    (tmp_path / "data/jobs" / job.id / "attempt-1").write_bytes(b"in the way")
    done = ended(jobs, job.id)
    assert done.state is State.DONE and (done.attempt, done.faults, jobs.deaths) == (2, 0, 0)
    assert {"type": "queued", "reason": "the server cannot keep files"} in [event for _, event in jobs.events(job.id)]
    assert worker() == pid


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "file" / "data", Path("/proc/conservator")):
        with pytest.raises(OutputError, match=f"folder {place}"):
            Jobs(place)


def test_a_clock_that_jumps_costs_no_result(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = opened(keep_seconds=3600)
    before, _ = jobs.submit(Order.diagnose(), png())
    ended(jobs, before.id)
    real = time.time
    for jump in (86_400.0, -86_400.0):
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        after, _ = jobs.submit(Order.diagnose(), png(seed=1))
        done = ended(jobs, after.id)
        jobs.expire()
        assert jobs.get(before.id).state is State.DONE, "nobody has waited an hour"
        assert before.created <= done.created <= (done.started or 0) <= (done.ended or 0) < before.created + 3000


@pytest.mark.parametrize("years", [10, -10])
def test_a_server_that_starts_with_a_wrong_clock_keeps_what_there_is(
    opened: Open, monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    jobs = opened(keep_seconds=3600)
    job, _ = jobs.submit(Order.diagnose(), png())
    ended(jobs, job.id)
    jobs.close()
    with monkeypatch.context() as wrong:
        wrong.setattr("conservator.serve.store._BEGAN", store._BEGAN + years * 365 * 86_400)
        jobs = opened(keep_seconds=3600)
        jobs.expire()
        assert jobs.file(job.id, "diagnosis").exists()
        odd, _ = jobs.submit(Order.diagnose(), png(seed=1))
        assert abs(ended(jobs, odd.id).created - job.created) > 9 * 365 * 86_400
        jobs.close()
    jobs = opened(keep_seconds=3600)
    jobs.expire()
    assert jobs.file(job.id, "diagnosis").exists() and jobs.file(odd.id, "diagnosis").exists()
    jobs.close()
    jobs = opened(keep_seconds=0.01)
    time.sleep(0.02)
    jobs.expire()
    assert not sum(jobs.counts().values()), "they expire all the same"


def test_what_has_just_ended_is_not_as_old_as_the_time_between_two_looks(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = opened(keep_seconds=3600)
    job, _ = jobs.submit(Order.diagnose(), png())
    jobs.cancel(job.id)
    for kept in (True, False):
        monkeypatch.setattr(jobs, "_looked", time.monotonic() - 7200)
        jobs.expire()
        assert (sum(jobs.counts().values()) == 1) is kept


def test_a_folder_of_the_release_before_is_taken_over(opened: Open, tmp_path: Path) -> None:
    job, _ = (jobs := opened()).submit(Order.diagnose(), png())
    ended(jobs, job.id)
    jobs.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "data/jobs.sqlite3")) as book:
        book.executescript("ALTER TABLE jobs DROP COLUMN age; PRAGMA user_version = 1;")
    jobs = opened()
    jobs.expire()
    assert jobs.file(job.id, "diagnosis").exists()


def test_policies_that_search_share_the_servers_experience(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "data", memory=tmp_path / "known.db")
    try:
        searching = Order.restore(RestoreOptions(policy="agenticir"))
        for order, known in ((searching, 0), (searching, 1), (WHOLE, None)):
            job, _ = jobs.submit(order, png())
            assert ended(jobs, job.id).state is State.DONE
            memory = conservator.Record.load(jobs.file(job.id, "record")).data["memory"]
            assert (memory is None) == (known is None)
            if memory is not None:
                assert (memory["recalled"]["match"] == "none") == (known == 0), memory
    finally:
        jobs.close()
    with conservator.Memory(tmp_path / "known.db") as memory:
        assert len(memory) == 1
    (tmp_path / "other.db").write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match=r"other\.db"):
        Jobs(tmp_path / "data", memory=tmp_path / "other.db")


def test_a_folder_serves_one_server_and_then_the_next(opened: Open, tmp_path: Path) -> None:
    jobs = opened()
    with pytest.raises(UsageError, match="no other server"):
        Jobs(tmp_path / "data")
    job, _ = jobs.submit(WHOLE, png())
    slow_one, _ = jobs.submit(WHOLE, slow())
    running(jobs, slow_one.id)
    (tmp_path / "data/jobs/stray").mkdir()
    assert jobs.close()[State.QUEUED] == 1
    with pytest.raises(Stopping):
        jobs.submit(WHOLE, png(seed=1))
    after = opened()
    assert after.get(job.id).state is State.DONE and after.file(job.id, "result").exists()
    assert not (tmp_path / "data/jobs/stray").exists()
    running(after, slow_one.id)
    assert (after.get(slow_one.id).attempt, after.get(slow_one.id).faults) == (2, 0)


def test_a_full_disk_is_said_without_saying_where_and_breaks_nothing(opened: Open, worker: Callable[[], int]) -> None:
    jobs = opened()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(NoRoom) as refused:
            jobs.submit(WHOLE, slow())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    resource.prlimit(worker(), resource.RLIMIT_FSIZE, (5_000, hard))
    job, _ = jobs.submit(WHOLE, png())
    failed = ended(jobs, job.id)
    assert failed.error == refused.value.to_dict() and "/" not in str(refused.value)
    resource.prlimit(worker(), resource.RLIMIT_FSIZE, (soft, hard))
    again, _ = jobs.submit(WHOLE, png())
    assert ended(jobs, again.id).state is State.DONE
