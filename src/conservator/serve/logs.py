"""Logs as lines of JSON on standard error: what happened when, never what a picture shows."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any


class JsonLines(logging.Formatter):
    """A record as one line; what is passed as `extra={"facts": {...}}` becomes fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        facts: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False, default=str)


def configure(level: int = logging.INFO) -> None:
    """Send everything that this process logs to standard error, libraries' warnings included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("conservator", "uvicorn"):
        logging.getLogger(name).setLevel(level)


def say(event: str, **facts: Any) -> None:
    """Log an event with facts about it."""
    logging.getLogger("conservator.serve").info(event, extra={"facts": facts})
