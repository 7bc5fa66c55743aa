"""One photograph from file to file: the same work in this process, in a worker and on another machine."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from conservator.errors import OutputError
from conservator.folders.outcome import Outcome, Status
from conservator.folders.results import Targets, check_new, check_still, facts_of, files_of, said_of
from conservator.staging import Staging


@dataclass(frozen=True)
class Job:
    """A photograph to restore and where its results go.

    home       folder that results never leave
    room       folder for unfinished files
    call       keyword arguments of `restore`
    quality    of JPEG, WebP and AVIF
    overwrite  whether results that exist may be replaced
    """

    source: Path
    targets: Targets
    home: Path
    room: Path
    call: Mapping[str, Any] = field(default_factory=dict)
    quality: int = 95
    overwrite: bool = False


@dataclass(frozen=True)
class Made:
    """What a treatment gave, before anything is written.

    sha256   of the file that was read
    files    bytes by place, the picture last
    """

    sha256: str
    files: Mapping[Path, bytes]
    outcome: Outcome


def perform(job: Job) -> Outcome:
    """Read, restore and write one photograph; whatever goes wrong is the outcome."""
    begun = time.perf_counter()
    try:
        outcome = deliver(job, make(job, read(job)))
    except Exception as error:
        outcome = Outcome.failed(error)
    return replace(outcome, seconds=time.perf_counter() - begun)


def read(job: Job) -> bytes:
    """The photograph's bytes; raises InputError, and OutputError when its results could not be put in place."""
    from conservator.photo import read_photo

    for file in job.targets.files:
        if not file.parent.resolve().is_relative_to(job.home.resolve()):
            raise OutputError(f"a link leads {file} out of {job.home}", "a place inside", "remove the link")
    if not job.overwrite:
        _remove_ours(job)
        check_new(job.targets)
    return read_photo(job.source)


def make(job: Job, data: bytes) -> Made:
    """Restore the photograph with these bytes; reads and writes no file."""
    from conservator.photo import open_photo
    from conservator.treatment import restore

    treatment = restore(open_photo(data, origin=job.source), **job.call)
    status = Status.UNCHANGED if treatment.unchanged else Status.DONE
    said = f"{said_of(treatment)} → {job.targets.picture}"
    files = files_of(treatment, job.targets, quality=job.quality)
    return Made(treatment.original.sha256, files, Outcome(status, said, facts_of(treatment, job.targets)))


def deliver(job: Job, made: Made) -> Outcome:
    """Put the files in place, all of them or none; raises InputError when the photograph changed, OutputError."""
    check_still(job.source, made.sha256)
    with Staging(job.room) as staging:
        # First in, first moved.
        staging.add_text(_note(job), "\n".join(hashlib.sha256(data).hexdigest() for data in made.files.values()))
        for file, data in made.files.items():
            staging.add_bytes(file, data)
        if not job.overwrite:
            check_new(job.targets)  # somebody else may have been here since the photograph was read
    digest = hashlib.sha256(made.files[job.targets.files[0]]).hexdigest()
    return replace(made.outcome, facts={**made.outcome.facts, "input_sha256": made.sha256, "output_sha256": digest})


def _note(job: Job) -> Path:
    """Digests of what is about to be put in place, for whoever takes over from a worker that dies meanwhile."""
    place = hashlib.sha256(os.fsencode(job.targets.files[0])).hexdigest()
    return job.room / f"{place}.placed"


def _remove_ours(job: Job) -> None:
    """Make way for a second try: what a worker put in place and did not live to report goes, nothing else."""
    try:
        ours = _note(job).read_text().split()
    except FileNotFoundError:
        return
    for file in job.targets.files:
        if file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() in ours:
            file.unlink()
