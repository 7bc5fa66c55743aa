"""The desks of all tabs: one that is loaded again finds its own, and what nobody looks at any more is cleared."""

from __future__ import annotations

import re
import secrets
import threading

from conservator.serve.jobs import Jobs
from conservator.serve.studio.desk import Desk
from conservator.serve.studio.scraps import Scraps

_KEY = re.compile(r"[0-9a-f]{32}")


class Desks:
    """Desks by a key that their tab alone knows. Safe to use from several threads."""

    def __init__(self, jobs: Jobs, scraps: Scraps) -> None:
        self._jobs, self._scraps, self._lock = jobs, scraps, threading.Lock()
        self._desks: dict[str, Desk] = {}
        self._visits: dict[Desk, int] = {}

    def enter(self, key: str) -> Desk:
        """The desk of a key of 32 hexadecimal digits; a new one for a new key, and for one that is none."""
        with self._lock:
            known = key if _KEY.fullmatch(key or "") else secrets.token_hex(16)
            desk = self._desks.setdefault(known, Desk(self._jobs))
            self._visits[desk] = self._visits.get(desk, 0) + 1
            return desk

    def leave(self, desk: Desk | None) -> None:
        """A visit has ended; with the last one the desk goes, and all that was made on it. None was never there."""
        if desk is None:
            return
        with self._lock:
            self._visits[desk] -= 1
            last = not self._visits[desk]
            if last:
                del self._visits[desk]
                self._desks = {key: one for key, one in self._desks.items() if one is not desk}
        if last:
            desk.close()
            self._scraps.drop(desk)
