"""What may happen to a batch: kills, dying workers, full and read-only disks, files that change. Nothing is lost."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import conservator
from batches import Here, Listener, album, results, rows
from command_line import begun, photograph
from conservator.benchmarks import kills
from conservator.errors import InputError, OutputError, ToolFailed
from conservator.folders.batch import Folder
from conservator.folders.executor import LIVES, Queue
from conservator.folders.outcome import Outcome
from conservator.folders.processes import Processes
from conservator.folders.work import deliver, make, perform, read

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and limits of POSIX")

COMMAND = [sys.executable, "-m", "conservator", "batch"]


def test_killed_at_random_moments_nothing_is_half_lost_or_done_twice() -> None:
    found = kills.run(photos=6, kills=2, workers=2, seed=1)
    (sums,) = found.summary["kills"]
    assert sums["kills"] == sums["working"] == len(found.rows) == 2, "kills of what has not begun prove nothing"
    assert all(row["done"] < 6 and row["at_work"] for row in found.rows)
    assert (sums["half"], sums["lost"], sums["doubled"]) == (0, 0, 0)
    assert sums["identical batches"] >= 1


def test_a_worker_that_is_killed_costs_a_retry(tmp_path: Path) -> None:
    source = album(tmp_path / "in", 4)
    listener, killed = Listener(), []

    def tell(path: Path, outcome: Outcome) -> None:
        listener(path, outcome)
        if not killed:
            killed.extend(child.pid for child in multiprocessing.active_children())
            for process in killed:
                os.kill(process, signal.SIGKILL)

    conservator.batch(source, tmp_path / "out", executor=Processes(2, threads=2), on_photo=tell)
    assert killed
    assert set(listener.statuses.values()) == {"done"} and len(listener.statuses) == 4
    conservator.batch(source, tmp_path / "alone", executor=Here())
    assert results(tmp_path / "out") == results(tmp_path / "alone")
    assert not multiprocessing.active_children()


def test_a_photograph_that_kills_every_worker_is_given_up(tmp_path: Path) -> None:
    job = Folder(tmp_path, tmp_path / "out", "auto", 95, False, {}).job("a.png", overwrite=False)
    queue = Queue([job])
    for _ in range(LIVES - 1):
        again = queue.next()
        assert again is not None and queue.lost(again, "SIGKILL") is None
    again = queue.next()
    assert again == job, "a retry may replace no more than the first try"
    outcome = queue.lost(again, "SIGKILL")
    assert outcome is not None and outcome.code == ToolFailed.exit_code
    assert "SIGKILL" in outcome.reason and "--workers" in outcome.reason
    assert queue.next() is None


def test_a_retry_replaces_what_the_dead_worker_wrote_and_nothing_else(tmp_path: Path) -> None:
    source, output = album(tmp_path / "in", 1), tmp_path / "out"
    output.mkdir()
    job = Folder(source, output, "auto", 95, True, {"strength": 0.0}).job("0/p0.png", overwrite=False)
    made = make(job, read(job))
    deliver(job, made)  # by a worker that dies before it can say so
    queue = Queue([job])
    first = queue.next()
    assert first is not None and queue.lost(first, "SIGKILL") is None
    again = queue.next()
    assert again is not None and perform(again).status == "unchanged"
    picture, record = output / "0/p0.png", output / "0/p0.png.record.json"
    picture.write_bytes(b"mine")
    assert perform(again).code == OutputError.exit_code
    assert picture.read_bytes() == b"mine"
    record.unlink(missing_ok=True)
    with pytest.raises(OutputError, match="exists"):
        deliver(job, made)  # the file appeared while the photograph was treated
    assert results(output) == {"0/p0.png": b"mine"}


def test_workers_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    source = album(tmp_path / "in", 40)
    process = subprocess.Popen(
        [*COMMAND, str(source), str(tmp_path / "out"), "--workers", "2"], stderr=subprocess.PIPE, start_new_session=True
    )
    assert process.stderr is not None
    process.stderr.readline()  # the first photograph is done: the workers work
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        os.killpg(process.pid, signal.SIGKILL)
        pytest.skip("this system does not list children")
    workers = [int(child) for child in children.read_text().split()]
    process.kill()
    process.wait()
    assert workers
    deadline = time.monotonic() + 60
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "a worker outlives the batch"
        time.sleep(0.05)
    assert {row["state"] for row in rows(tmp_path / "out").values()} == {"done", "running", "pending"}


def alive(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(tmp_path: Path) -> None:
    source = album(tmp_path / "in", 6)
    process = begun([*COMMAND, str(source), str(tmp_path / "out"), "--workers", "1"])
    assert process.stderr is not None
    process.stderr.readline()
    os.killpg(process.pid, signal.SIGINT)
    said = process.stderr.read()
    assert process.wait(60) == 130
    assert b"interrupted" in said and b"Traceback" not in said
    assert not list((tmp_path / "out").rglob(".conservator-*"))
    listener = Listener()
    conservator.batch(source, tmp_path / "out", executor=Here(), on_photo=listener)
    assert set(listener.statuses.values()) == {"done", "skipped"}
    assert len(results(tmp_path / "out")) == 6


def test_a_file_that_grows_is_restored_once_it_is_whole_and_watching_goes_on(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    whole = photograph(tmp_path / "later.png", seed=7).read_bytes()
    photograph(source / "a.png")
    process = begun([*COMMAND, str(source), str(output), "--watch", "--every", "0.5", "--workers", "1"])
    assert process.stderr is not None
    assert b"a.png" in process.stderr.readline()
    for part in range(4):
        with (source / "b.png").open("ab") as file:
            file.write(whole[len(whole) * part // 4 : len(whole) * (part + 1) // 4])
        time.sleep(0.2)
    while b"b.png" not in process.stderr.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    process.stderr.read()
    assert process.wait(60) == 130
    found = rows(output)
    assert {name: (row["state"], row["tries"]) for name, row in found.items()} == {
        "a.png": ("done", 1),
        "b.png": ("done", 1),
    }


def test_a_full_disk_is_named_and_costs_only_what_does_not_fit(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    photograph(source / "small.png")
    photograph(source / "large.png", size=(400, 520))
    limited = f'ulimit -f 150; exec "$@" {source} {output} --workers 1 --strength 0'
    done = subprocess.run(["bash", "-c", limited, "bash", *COMMAND], capture_output=True, text=True)
    assert done.returncode == OutputError.exit_code, done.stderr
    assert "large.png cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert results(output).keys() == {"small.png"}
    listener = Listener()
    conservator.batch(source, output, executor=Here(), on_photo=listener, retry_failed=True, strength=0.0)
    assert listener.statuses == {"small.png": "skipped", "large.png": "unchanged"}


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("may not mount")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_without_any_room_ends_the_batch_with_the_reason(tmp_path: Path) -> None:
    source, output = album(tmp_path / "in", 2), tmp_path / "out"
    with mounted(output, "size=64k"):
        (output / "filler").write_bytes(b"x" * 48 * 1024)
        with pytest.raises(OutputError, match=r"manifest\.sqlite.*0\.0 MB free"):
            conservator.batch(source, output, executor=Here())


def test_a_read_only_output_folder_is_named(tmp_path: Path) -> None:
    source, output = album(tmp_path / "in", 1), tmp_path / "out"
    with mounted(output, "ro"), pytest.raises(OutputError, match="Read-only"):
        conservator.batch(source, output, executor=Here())


def test_what_may_not_be_read_or_written_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    source, output = album(tmp_path / "in"), tmp_path / "out"
    photograph(source / "closed/p9.png")
    photograph(source / "listed/p8.png")
    (output / "1").mkdir(parents=True)
    modes = {output / "1": 0o555, source / "closed": 0o000, source / "listed": 0o444, source / "0/p2.png": 0o000}
    for place, mode in modes.items():
        place.chmod(mode)
    try:
        command = [*_mortal(), *COMMAND, str(source), str(output), "--workers", "1"]
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        (source / "closed").chmod(0o755)
        (source / "listed").chmod(0o755)
    assert done.returncode == OutputError.exit_code, done.stderr
    assert "Traceback" not in done.stderr
    for name, said in (("p2", "read"), ("p8", "read"), ("p1", "written")):
        assert f"{name}.png cannot be {said}" in done.stderr
    assert "closed: Permission denied" in done.stderr
    assert results(output).keys() == {"0/p0.png"}


def _mortal() -> list[str]:
    """What to put before a command so that permissions hold for it, even when root runs the tests."""
    if os.geteuid():
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may read and write everything")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.mark.parametrize("change", ["other bytes", "gone"])
def test_a_photograph_that_changes_while_it_is_treated_gives_no_result(tmp_path: Path, change: str) -> None:
    source = album(tmp_path / "in", 1) / "0/p0.png"
    job = Folder(tmp_path / "in", tmp_path / "out", "auto", 95, True, {}).job("0/p0.png", overwrite=False)
    (tmp_path / "out").mkdir()
    made = make(job, read(job))
    times = source.stat()
    data = source.read_bytes()
    source.unlink()
    if change == "other bytes":
        source.write_bytes(bytes(reversed(data)))
        os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))  # same size, same time: only the hash tells
    with pytest.raises(InputError, match=r"p0\.png (changed|went away) while"):
        deliver(job, made)
    assert results(tmp_path / "out") == {}
