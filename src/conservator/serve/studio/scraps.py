"""Copies that gradio makes on disk of pictures that are uploaded and shown: in a folder of ours, and not for long."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from conservator.files import make_folder

_LOOSE = 600.0
"""Seconds after which goes what no tab holds: an upload that broke off, strokes that have been read."""


class Scraps:
    """Folders of files, each there as long as some tab shows it. Safe to use from several threads.

    Use it as a context manager: the folder is empty when that begins, whatever a killed server left, and gone after it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._held: dict[tuple[object, str], Path] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Scraps:
        shutil.rmtree(self.folder, ignore_errors=True)
        make_folder(self.folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def hold(self, tab: object, part: str, file: Path | None) -> None:
        """A part of a tab's page shows this file now, or none: its folder stays, and that of the last one goes."""
        with self._lock:
            last = self._held.pop((tab, part), None)
            if file is not None:
                self._held[tab, part] = self._place(file)
            self._remove([last] if last is not None else [])

    def drop(self, tab: object) -> None:
        """A tab shows nothing any more."""
        with self._lock:
            self._remove([self._held.pop(key) for key in tuple(self._held) if key[0] is tab])

    def sweep(self, older: float = _LOOSE) -> None:
        """Remove what nobody holds and was not written to for so many seconds."""
        with self._lock:
            since = time.time() - older
            self._remove([place for place in self.folder.iterdir() if _latest(place) < since])

    def _place(self, file: Path) -> Path:
        """What lies directly in the folder and contains a file; ValueError when that is elsewhere."""
        return self.folder / file.absolute().relative_to(self.folder).parts[0]

    def _remove(self, places: Iterable[Path]) -> None:
        held = set(self._held.values())
        for place in places:
            if place not in held:
                if place.is_dir():
                    shutil.rmtree(place, ignore_errors=True)
                else:
                    place.unlink(missing_ok=True)


def _latest(place: Path) -> float:
    """When something in a folder, or a file, was last written to; 0 when it is gone meanwhile."""
    try:
        return max(path.stat().st_mtime for path in (place, *place.glob("*")))
    except FileNotFoundError:
        return 0.0
