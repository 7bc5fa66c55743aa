"""Where results go: names, folders, and what must never be written over."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from conservator.cli.sources import STREAM, Source
from conservator.errors import OutputError, UsageError
from conservator.folders.results import AUTO, CONTAINERS, LOSSLESS, Targets

SUFFIXES = (".restored", ".treated", ".replayed")
"""What the commands put into the names of their results, unless told otherwise."""


@dataclass(frozen=True)
class Layout:
    """What the command line says about results.

    output   a file, a folder, "-" or None for "beside the photograph"
    suffix   put between name and extension
    ext      "auto" keeps the photograph's extension
    record   None writes the record beside the result; a file for one photograph, a folder for several
    records  False writes none
    report   also write an HTML page
    compare  also write a before/after picture
    """

    output: str | None = None
    suffix: str = ".restored"
    ext: str = AUTO
    record: Path | None = None
    records: bool = True
    report: bool = False
    compare: bool = False


def plan_targets(sources: Sequence[Source], layout: Layout) -> list[Targets]:
    """Where the results of each source go, in the order of the sources; nothing is touched.

    Two photographs whose results would share a name, such as a.jpg and a.png, keep their extension in it.
    Raises UsageError when the layout contradicts itself or two results would still be the same file.
    """
    extension = _extension(layout)
    if layout.output == STREAM or (layout.output is None and sources[0].path is None):
        return [_streamed(sources, layout)]
    if not _is_folder(sources, layout):
        return [_single(sources[0], layout, Path(str(layout.output)))]
    homes = [_home(source, layout) for source in sources]
    stems = [(home / _path(source).stem) for source, home in zip(sources, homes, strict=True)]
    shared = {stem for stem, count in Counter(str(stem).casefold() for stem in stems).items() if count > 1}
    planned = []
    for source, home, stem in zip(sources, homes, stems, strict=True):
        path = _path(source)
        base = path.name if str(stem).casefold() in shared else path.stem
        ending = extension or (path.suffix if path.suffix.lower() in CONTAINERS else LOSSLESS)
        planned.append(_named(home / f"{base}{layout.suffix}", ending, layout, _record_home(source, sources, layout)))
    _check_distinct(sources, planned)
    return planned


class Originals:
    """Everything that is read, by whatever name or link one may reach it."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._known = {identity for path in paths for identity in _identities(path)}

    def check(self, targets: Targets) -> None:
        """OutputError when a result would be written over something that is read."""
        for file in targets.files:
            if self._known.intersection(_identities(file)):
                raise OutputError(
                    f"the result would replace {file}",
                    "another file: what is read is never written over",
                    "change -o, --suffix or --ext",
                )


def _identities(path: Path) -> Iterator[object]:
    yield os.path.realpath(path)
    with contextlib.suppress(OSError, ValueError):
        status = path.stat()
        yield status.st_dev, status.st_ino


def is_result(file: Path, root: Path, layout: Layout) -> bool:
    """True for a file that an earlier run wrote: its name bears a suffix, or it lies in an output folder below root.

    root   the folder that was searched
    """
    if any(f"{suffix}." in file.name for suffix in {layout.suffix, *SUFFIXES} - {""}):
        return True
    if layout.output in (None, STREAM):
        return False
    output, searched = Path(str(layout.output)).resolve(), root.resolve()
    return output != searched and output.is_relative_to(searched) and file.resolve().is_relative_to(output)


def _extension(layout: Layout) -> str:
    """The extension asked for, "" for the photograph's own."""
    if layout.ext == AUTO:
        return ""
    extension = "." + layout.ext.lower().lstrip(".")
    if extension not in CONTAINERS:
        raise UsageError(f"--ext {layout.ext}", f"auto, {_writable()}")
    return extension


def _writable() -> str:
    return ", ".join(sorted(extension[1:] for extension in CONTAINERS))


def _path(source: Source) -> Path:
    if source.path is None:
        raise UsageError("a folder for standard input", "a file or -", "pass -o NAME.png, or -o - for standard output")
    return source.path


def _is_folder(sources: Sequence[Source], layout: Layout) -> bool:
    """Whether results go into folders (their own or the one given) under names made from the photographs'."""
    if layout.output is None:
        return True
    path = Path(layout.output)
    several = len(sources) > 1 or sources[0].found
    if path.is_dir() or layout.output.endswith(("/", "\\")):
        return True
    if several and (path.is_file() or path.suffix.lower() in CONTAINERS):
        raise UsageError(f"-o {layout.output} for several photographs", "a folder", f"pass -o {path.with_suffix('')}/")
    return several


def _home(source: Source, layout: Layout) -> Path:
    return _path(source).parent if layout.output is None else Path(layout.output) / source.folder


def _record_home(source: Source, sources: Sequence[Source], layout: Layout) -> Path | None:
    """Folder of the record when one was given for several photographs, else None."""
    if layout.record is None or not (len(sources) > 1 or sources[0].found or layout.record.is_dir()):
        return None
    return layout.record / source.folder


def _streamed(sources: Sequence[Source], layout: Layout) -> Targets:
    if len(sources) > 1 or sources[0].found:
        raise UsageError("several photographs for standard output", "one", "pass a folder with -o")
    if layout.report or layout.compare:
        raise UsageError("--report or --compare with standard output", "a file to put them beside", "pass -o NAME.png")
    return Targets(None, layout.record if layout.records else None)


def _single(source: Source, layout: Layout, output: Path) -> Targets:
    extension = _extension(layout)
    if output.suffix.lower() not in CONTAINERS:
        raise UsageError(f"-o {output}", f"a name ending in {_writable()}", "end it in / if it is a folder")
    if extension and CONTAINERS[extension] != CONTAINERS[output.suffix.lower()]:
        raise UsageError(f"-o {output} with --ext {layout.ext}", "one format", "leave out --ext")
    return _named(output.with_suffix(""), output.suffix, layout, None)


def _named(stem: Path, extension: str, layout: Layout, record_home: Path | None) -> Targets:
    def beside(ending: str) -> Path:
        return stem.with_name(stem.name + ending)

    record = None
    if layout.records:
        name = beside(".record.json")
        record = record_home / name.name if record_home is not None else layout.record or name
    return Targets(
        beside(extension),
        record,
        beside(".html") if layout.report else None,
        beside(".compare.png") if layout.compare else None,
    )


def _check_distinct(sources: Sequence[Source], planned: Sequence[Targets]) -> None:
    owners: dict[str, Source] = {}
    for source, targets in zip(sources, planned, strict=True):
        for file in targets.files:
            key = str(file.absolute()).casefold()
            if key in owners:
                raise UsageError(
                    f"{owners[key].label} and {source.label} would both become {file}", "one result each",
                    "name the folder that holds both (its tree is mirrored), or run the command once for each",
                )  # fmt: skip
            owners[key] = source
