"""A batch on a real Ray cluster of two nodes on this machine, of which workers and a node are lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import conservator
from batches import Here, Listener, album, results, rows
from conservator.errors import ModelMissing, ToolFailed, UsageError
from conservator.folders import ray_actors
from conservator.folders.batch import Folder
from conservator.folders.executor import LIVES, Queue
from conservator.folders.outcome import Outcome
from conservator.folders.ray_actors import RayActors
from serving import command, processes, until

try:
    import ray
    from ray.cluster_utils import Cluster
except ImportError:
    pytest.skip("needs Ray: pip install 'conservator[cluster]'", allow_module_level=True)

PHOTOGRAPHS = 8


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return album(tmp_path_factory.mktemp("ray") / "in", PHOTOGRAPHS)


@pytest.fixture(scope="module")
def wanted(source: Path) -> dict[str, bytes]:
    """What a batch in one process gives."""
    conservator.batch(source, source.parent / "alone", executor=Here())
    return results(source.parent / "alone")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # a busy machine would hardly ever give them a turn
        patch.setenv("PYTHONPATH", str(Path(conservator.__file__).parents[1]))
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes.spare = nodes.add_node(num_cpus=1)
        ray.init(address=nodes.address, log_to_driver=False, logging_level="error")
        try:
            yield nodes
        finally:
            ray.shutdown()
            nodes.shutdown()


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:1", "ray://127.0.0.1:1", "localhost", "nowhere.invalid:6379"])
def test_a_cluster_that_is_not_there_is_named_before_ray_looks_for_it(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Ray itself looks for minutes, also for a cluster that ended and whose address it remembers."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setattr(ray, "init", None)
    with pytest.raises(UsageError, match=f"no Ray cluster at {address}"):
        conservator.batch(source, tmp_path / "out", executor=RayActors(address))


def test_a_killed_worker_and_a_lost_node_lose_nothing(
    source: Path, wanted: dict[str, bytes], tmp_path: Path, cluster: Any
) -> None:
    listener, happened = Listener(), []

    def tell(path: Path, outcome: Outcome) -> None:
        assert path.name not in listener.outcomes, "restored twice"
        listener(path, outcome)
        begun = [row for row in rows(tmp_path / "out").values() if row["state"] == "running"]
        assert len(begun) <= ray_actors.AHEAD * 2, "more is read than two actors can hold"
        if len(listener.outcomes) == 1:
            happened.append("worker")
            os.kill(next(iter(worker_processes())), signal.SIGKILL)
        if len(listener.outcomes) == 3:
            happened.append("node")
            cluster.remove_node(cluster.spare, allow_graceful=False)

    conservator.batch(source, tmp_path / "out", executor=RayActors(), on_photo=tell)
    assert happened == ["worker", "node"]
    assert listener.statuses == dict.fromkeys((f"p{number}.png" for number in range(PHOTOGRAPHS)), "done")
    assert results(tmp_path / "out") == wanted
    assert {row["state"] for row in rows(tmp_path / "out").values()} == {"done"}
    assert ray.is_initialized(), "a cluster that was there before is left running"


def test_only_the_photograph_that_an_actor_died_on_is_charged(tmp_path: Path) -> None:
    """The bookkeeping alone: which of two photographs is first known to be lost is up to Ray."""
    folder = Folder(tmp_path, tmp_path / "out", "auto", 95, False, {})
    first, waiting = (folder.job(f"p{number}.png", overwrite=False) for number in range(2))

    def dead(reference: str) -> None:
        raise ray.exceptions.RayActorError

    queue, actors = Queue([]), RayActors(workers=1)
    actors._ray = SimpleNamespace(get=dead, kill=lambda actor: None, exceptions=ray.exceptions)
    for _ in range(LIVES - 1):
        actors._loads, actors._running = {"actor": 2}, {"1": ("actor", first), "2": ("actor", waiting)}
        assert list(actors._collect("2", queue)) == []
        assert (queue.next(), queue.next(), queue.next()) == (first, waiting, None)
        assert not actors._running and not actors._loads
    outcome = queue.lost(first, "again")
    assert outcome is not None and outcome.code == ToolFailed.exit_code
    assert queue.lost(waiting, "for the first time") is None


def worker_processes() -> list[int]:
    """Processes that run our actors, not those of another cluster; Ray names them after what they run."""
    return [pid for pid, of in processes() if command(pid).startswith(b"ray::Actor") and descends(of)]


def descends(pid: int) -> bool:
    """Whether a process is this one, or comes from it."""
    parents = dict(processes())
    while pid in parents and pid != os.getpid():
        pid = parents[pid]
    return pid == os.getpid()


def test_actors_share_a_gpu_and_run_on_the_device_that_was_asked_for(
    source: Path, wanted: dict[str, bytes], tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray counts GPUs without looking at them: a node that says it has one is enough to see who gets what."""
    node = cluster.add_node(num_cpus=2, num_gpus=1)
    free: list[float] = []

    def tell(path: Path, outcome: Outcome) -> None:
        free.append(ray.available_resources().get("GPU", 0.0))

    try:
        until(lambda: ray.cluster_resources().get("GPU") == 1, "a node with a GPU")
        actors = RayActors(gpus=0.5)
        conservator.batch(source, tmp_path / "out", executor=actors, on_photo=tell)
        assert results(tmp_path / "out") == wanted
        assert min(free) == 0.0, "two actors of half a GPU leave nothing of it"
        monkeypatch.setenv("CONSERVATOR_DEVICE", "cuda")
        listener = Listener()
        conservator.batch(source, tmp_path / "cuda", executor=RayActors(workers=1, gpus=0.5), on_photo=listener)
        assert {"device cuda" in outcome.reason for outcome in listener.outcomes.values()} == {True}
    finally:
        cluster.remove_node(node)


@pytest.mark.parametrize("gpus", [-1, 1.5])
def test_shares_that_cannot_be_are_refused(gpus: float) -> None:
    with pytest.raises(UsageError, match="gpus"):
        RayActors(gpus=gpus)


def test_an_actor_that_would_restore_differently_is_refused(
    source: Path, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = ray_actors.Actor.build()
    monkeypatch.setattr(ray_actors.Actor, "build", staticmethod(lambda: build | {"restorer": "another"}))
    with pytest.raises(UsageError, match="restorer"):
        conservator.batch(source, tmp_path / "out", executor=RayActors())


def test_without_ray_the_extra_is_named(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ModelMissing, match=r"conservator\[cluster\]"):
        conservator.batch(source, tmp_path / "out", executor=RayActors())
