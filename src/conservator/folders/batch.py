"""A folder of photographs, restored by many workers into a folder like it; resumed after whatever stopped it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from conservator.degradations import NAMES
from conservator.diagnosis import Diagnosis
from conservator.errors import InputError, UsageError
from conservator.folders.executor import Executor
from conservator.folders.manifest import Entry, Manifest, Signature, Treated, key
from conservator.folders.outcome import Outcome, Status
from conservator.folders.pictures import PICTURES, pictures_below
from conservator.folders.processes import Processes
from conservator.folders.results import AUTO, CONTAINERS, LOSSLESS, Targets
from conservator.folders.work import Job
from conservator.memory import Memory, opened
from conservator.treatment import restore

KEPT = ".conservator"
"""Folder inside the output folder for the manifest and unfinished files; hidden, so that no search finds it."""

UNFINISHED = "unfinished"

OPTIONS = frozenset(
    {
        "policy", "scale", "strength", "instruction", "prefer", "regions", "max_calls", "max_seconds", "tile", "seed",
        "cache", "memory",
    }
)  # fmt: skip
"""Options of `restore` that make sense for many photographs."""

OnPhoto = Callable[[Path, Outcome], None]
OnScan = Callable[[int], None]


def batch(
    source: str | Path,
    output: str | Path,
    *,
    executor: Executor | None = None,
    ext: str = AUTO,
    quality: int = 95,
    records: bool = False,
    overwrite: bool = False,
    retry_failed: bool = False,
    watch: float | None = None,
    on_scan: OnScan | None = None,
    on_photo: OnPhoto | None = None,
    **options: Any,
) -> list[Treated]:
    """Restore every photograph below a folder into the same tree below another; returns what was done, by tools.

    A photograph that is done is not done again unless its file changed or its result is gone. One that failed is
    reported again and left alone. One that was at work when the batch was killed is restored again: its result is the
    same to the byte, unless `max_seconds` or a memory decided it. The account of all this is
    output/.conservator/manifest.sqlite.

    executor      `Processes()` or `RayActors(...)`; a pool of processes by default
    ext           "auto" keeps each photograph's format; a name in another format gets the extension added, and so does
                  one that looks like the outcome of that, as "a.heic.png" does
    quality       of JPEG, WebP and AVIF
    records       also write NAME.record.json beside each result
    overwrite     do everything anew and replace results that exist; photographs never are
    retry_failed  try again what failed
    watch         after that look for new and changed photographs every so many seconds, and never return; a file is
                  taken once it has stayed the same from one look to the next
    on_scan       called with the number of photographs about to be restored, when they are known
    on_photo      called with each photograph's path and outcome: SKIPPED for one that was done before
    options       of `restore`, those in OPTIONS; a memory as the path of its file, which workers share

    Raises UsageError when the call is wrong, contradicts the one that the output folder was begun with, or another
    batch is at work there; InputError when there is no photograph; OutputError when the manifest cannot be written.
    What goes wrong with one photograph is its outcome and stops nothing.

    Start it from a script under `if __name__ == "__main__":`, as everything that starts processes.
    """
    if watch is not None and watch <= 0:
        raise UsageError(f"watch={watch}", "seconds > 0")
    folder = Folder(Path(source), Path(output), ext, quality, records, options)
    folder.check()
    kept = folder.output / KEPT
    with Manifest(kept, folder.settings, overwrite=overwrite) as manifest, _swept(kept / UNFINISHED):
        with executor or Processes() as workers:
            listeners = on_scan or (lambda todo: None), on_photo or (lambda path, outcome: None)
            run = _Run(folder, manifest, workers, overwrite, retry_failed, *listeners)
            run.once() if watch is None else run.for_ever(watch)
        return manifest.treated()


@contextmanager
def _swept(unfinished: Path) -> Iterator[None]:
    """Nothing unfinished is there before, not even of a batch that was killed, nor afterwards."""
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@dataclass(frozen=True)
class Folder:
    """Which photographs there are, and where their results go; see `batch`."""

    source: Path
    output: Path
    ext: str
    quality: int
    records: bool
    options: Mapping[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """What results depend on, JSON values: the manifest remembers them."""
        usual = {name: signature(restore).parameters[name].default for name in OPTIONS - {"cache", "memory"}}
        call = {name: self.options.get(name, default) for name, default in usual.items()}
        if self.options.get("memory") is not None:
            call["memory"] = str(Path(self.options["memory"]).resolve())
        own = {"input": str(self.source.resolve()), "ext": self.ext, "quality": self.quality, "records": self.records}
        return call | own

    def check(self) -> None:
        """Raise UsageError or InputError for a call that is wrong for every photograph, before anything is written."""
        if not self.source.is_dir():
            raise InputError(f"{self.source} is no folder", "a folder of photographs", "check the path")
        if self.source.resolve().is_relative_to(self.output.resolve()):
            raise UsageError(f"{self.source} inside {self.output}", "results apart from photographs", "change OUT")
        if self.ext != AUTO and f".{self.ext}" not in CONTAINERS:
            raise UsageError(f"ext {self.ext!r}", f"auto, {', '.join(sorted(e[1:] for e in CONTAINERS))}")
        if unknown := sorted(self.options.keys() - OPTIONS):
            raise UsageError(f"options {', '.join(unknown)}", f"some of {', '.join(sorted(OPTIONS))}")
        _try_call(self.options)

    def photographs(self, on_error: Callable[[InputError], None]) -> dict[str, Signature]:
        """Every photograph below the input folder by its path there, sorted, the output folder left out."""
        here, there = self.source.resolve(), self.output.resolve()
        found = {}
        for path in sorted(pictures_below(self.source, on_error)):
            name = path.relative_to(self.source)
            if (here / name).is_relative_to(there):
                continue
            try:
                status = path.stat()
            except OSError:  # gone since it was listed
                continue
            found[name.as_posix()] = Signature(status.st_size, status.st_mtime_ns)
        return found

    def targets(self, name: str) -> Targets:
        """Where the results of a photograph go. No two share a place, whichever come later."""
        path = Path(name)
        full = self._full(path.name)
        picture = self.output / path.with_name(full)
        return Targets(picture, picture.with_name(f"{full}.record.json") if self.records else None)

    def _full(self, name: str) -> str:
        """A result's name: the photograph's own, or that and an extension where it has another format or its name is
        the one that "a.jpg" gets when it becomes "a.jpg.png". Regardless of case, for some file systems are."""
        path = Path(name)
        ending = path.suffix if self.ext == AUTO else f".{self.ext}"
        if ending.lower() not in CONTAINERS:
            ending = LOSSLESS
        taken = PICTURES.fullmatch(Path(path.stem).suffix) and self._full(path.stem).lower() == name.lower()
        return name + ending if taken or ending != path.suffix else name

    def job(self, name: str, *, overwrite: bool) -> Job:
        """The work on a photograph."""
        room = self.output / KEPT / UNFINISHED
        targets = self.targets(name)
        return Job(self.source / name, targets, self.output, room, self.options, self.quality, overwrite)


def _try_call(options: Mapping[str, Any]) -> None:
    """The call on a clean picture: what it refuses there, it would refuse for every photograph."""
    maps = np.zeros((len(NAMES), 1, 1), np.float32)
    clean = Diagnosis((8, 8), maps, maps, maps, maps, np.zeros((1, 1, 3), np.float32))
    memory = options.get("memory")
    if not isinstance(memory, str | Path | None):
        raise UsageError(f"a memory that is a {type(memory).__name__}", "the path of a file, which workers share")
    alike = {**options, "cache": None, "memory": None if memory is None else Memory()}
    restore(np.zeros((8, 8, 3), np.uint8), perceiver=lambda samples: clean, **alike)
    with opened(memory):  # an error here is one for every photograph
        pass


@dataclass
class _Run:
    """One call of `batch`."""

    folder: Folder
    manifest: Manifest
    workers: Executor
    overwrite: bool
    retry_failed: bool
    on_scan: OnScan
    on_photo: OnPhoto
    _settled: dict[str, Signature | None] = field(default_factory=dict)

    def once(self) -> None:
        """Restore what there is."""
        found = self.folder.photographs(self._unreadable)
        if not found:
            raise InputError(f"no picture in {self.folder.source}", "a folder with photographs", "check the path")
        self._restore(found)

    def for_ever(self, every: float) -> None:
        """Restore what there is and what comes, as soon as it has not changed for so many seconds."""
        before: dict[str, Signature] = {}
        while True:
            found = self.folder.photographs(self._unreadable)
            stable = {name: now for name, now in found.items() if before.get(name) == now}
            if new := {name: now for name, now in stable.items() if self._settled.get(name) != now}:
                self._restore(new)
            before = found
            time.sleep(every)

    def _restore(self, found: Mapping[str, Signature]) -> None:
        entries = self.manifest.entries()
        known = {name: entries[key(name)] for name in found if key(name) in entries}
        todo = [name for name, now in found.items() if self._needed(name, now, known.get(name))]
        self.manifest.expect({name: found[name] for name in todo}, ours=self.overwrite)
        self.on_scan(len(todo))
        for name in sorted(found.keys() - set(todo)):
            self._settle(name, found[name], self._earlier(name, known[name]))
        if not todo:
            return
        names = {self.folder.source / name: name for name in todo}
        ours = {name for name in todo if self.overwrite or (name in known and known[name].ours)}
        for job, outcome in self.workers.map(self._claimed(todo, ours)):
            name = names[job.source]
            self.manifest.finish(name, job.targets.files[0].relative_to(self.folder.output).as_posix(), outcome)
            self._settle(name, found[name], outcome)

    def _needed(self, name: str, now: Signature, entry: Entry | None) -> bool:
        if entry is None or entry.signature != now or entry.state in ("pending", "running"):
            return True
        if entry.state == "failed":
            return self.retry_failed
        return not self.folder.targets(name).files[0].exists()

    def _claimed(self, todo: Iterable[str], ours: set[str]) -> Iterator[Job]:
        for name in todo:
            job = self.folder.job(name, overwrite=name in ours)
            self.manifest.claim(name, ours=job.overwrite or not any(file.exists() for file in job.targets.files))
            yield job

    def _earlier(self, name: str, entry: Entry) -> Outcome:
        if entry.state == "failed":
            error = {"type": "earlier", "message": entry.reason}
            return Outcome(Status.FAILED, "failed earlier", {"error": error}, entry.code, earlier=True)
        output = str(self.folder.targets(name).files[0])
        return Outcome(Status.SKIPPED, "done earlier", {"output": output}, earlier=True)

    def _unreadable(self, error: InputError) -> None:
        if str(error) not in self._settled:
            self._settled[str(error)] = None
            self.on_photo(self.folder.source, Outcome.failed(error))

    def _settle(self, name: str, now: Signature, outcome: Outcome) -> None:
        self._settled[name] = now
        self.on_photo(self.folder.source / name, outcome)
