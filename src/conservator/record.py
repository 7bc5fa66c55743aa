"""The ledger of a run as it happens, and the record that is left of it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, TextIO

from conservator.errors import InputError, OutputError

SCHEMA = 1
"""Version of the record's layout; raised when a reader of the old one would misread the new one."""

Event = dict[str, Any]
Listener = Callable[[Event], None]


def finite(value: Any) -> Any:
    """JSON values with None for every number that is NaN or infinite."""
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON's")


class Ledger:
    """Every event in order, failed ones too; written to JSONL the moment it happens.

    path       JSONL file to append to, or None
    listener   called with each event, for progress
    """

    def __init__(self, path: str | Path | None = None, listener: Listener | None = None) -> None:
        self.events: list[Event] = []
        self.seconds: dict[str, float] = {}
        self._begun = time.perf_counter()
        self._listener = listener
        self._file: TextIO | None = None
        if path is not None:
            try:
                self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 — closed by close()
            except OSError as error:
                raise OutputError(f"ledger {path}: {error.strerror}", "a writable file", "choose another") from error

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._begun

    def add(self, kind: str, **facts: Any) -> Event:
        """Append an event; `facts` must be JSON values, and where they hold NaN or infinity the event holds None."""
        event = {"seq": len(self.events), "at": round(self.elapsed, 4), "type": kind, **finite(facts)}
        self.events.append(event)
        self._tell(event)
        return event

    def progress(self, kind: str, **facts: Any) -> None:
        """Tell the listener without leaving a trace: tiles come by the thousand and prove nothing."""
        if self._listener is not None:
            self._listener({"seq": -1, "at": round(self.elapsed, 4), "type": kind, **finite(facts)})

    def timed(self, stage: str) -> _Stopwatch:
        """Context manager that adds its duration to `seconds[stage]`."""
        return _Stopwatch(self, stage)

    def close(self) -> None:
        """Close the JSONL file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _tell(self, event: Event) -> None:
        if self._file is not None:
            self._file.write(json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n")
            self._file.flush()
        if self._listener is not None:
            self._listener(event)


class _Stopwatch:
    def __init__(self, ledger: Ledger, stage: str) -> None:
        self._ledger, self._stage = ledger, stage

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        seconds = self._ledger.seconds
        seconds[self._stage] = seconds.get(self._stage, 0.0) + time.perf_counter() - self._begun


_PARTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "input": {"path": str | None, "sha256": str},
        "output": {"sha256": str},
        "call": {
            "strength": int | float, "instruction": str | None, "tile": int, "scale": int, "prefer": list | None,
            "regions": str | None, "threads": int | None, "mask": list | dict | None, "protect": list | dict | None,
            "places": dict | None,
        },
    }
)  # fmt: skip
"""What `replay` reads of a record, and the types it has; the plan is read by `Step.from_dict`."""

_MASK = MappingProxyType({"path": str | None, "sha256": str, "strength": int | float})


@dataclass(frozen=True, eq=False)
class Record:
    """What was done to a photo, complete enough to do it again.

    data   JSON object: schema, versions, input, output, call, seed, models, diagnosis, after, memory, events,
           plan (the steps that were kept), cannot_treat, timings, budget
    """

    data: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """A copy of the JSON object."""
        return dict(self.data)

    def to_json(self) -> str:
        """Indented JSON text. JSON knows neither NaN nor infinity: such a number is null in it."""
        return json.dumps(finite(self.data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def load(cls, source: str | Path) -> Record:
        """Read a record file; InputError when it is not one."""
        try:
            data = json.loads(Path(source).read_text(encoding="utf-8"), parse_constant=_refuse)
        except OSError as error:
            raise InputError(f"record {source}: {error.strerror}", "a readable file", "check the path") from error
        except ValueError as error:
            raise InputError(f"record {source} is not JSON ({error})", "a treatment record") from error
        return cls.from_dict(data, str(source))

    @classmethod
    def from_dict(cls, data: Any, name: str = "record") -> Record:
        """Check and wrap a parsed record; InputError when it is not one or of another schema."""
        if not isinstance(data, dict) or "schema" not in data:
            raise InputError(f"{name} has no schema", "a treatment record", "use the file that restore wrote")
        if data["schema"] != SCHEMA:
            raise InputError(f"{name} has schema {data['schema']!r}", f"schema {SCHEMA}", "use a matching release")
        missing = {*_PARTS, "plan"} - data.keys()
        if missing:
            raise InputError(f"{name} lacks {sorted(missing)}", "a complete record", "use the file that restore wrote")
        call = _dict(data["call"])
        places = _dict(call.get("places"))
        masks = [mask for one in (call.get("mask"), call.get("protect"), *places.values()) for mask in _listed(one)]
        wrong = [f"{part}.{key}" for part, types in _PARTS.items() for key in _wrong(data[part], types)]
        wrong += [f"mask.{key}" for mask in masks for key in _wrong(mask, _MASK)]
        wrong += [f"places.{name}" for name, one in places.items() if not isinstance(one, list) or not one]
        wrong += ["call.prefer"] * any(not isinstance(name, str) for name in _listed(call.get("prefer")))
        if wrong or not isinstance(data["plan"], list):
            got = f"{name} has something else for {', '.join(wrong) or 'plan'}"
            raise InputError(got, "a complete record", "use the file that restore wrote")
        return cls(data)


def _wrong(part: Any, types: Mapping[str, Any]) -> list[str]:
    """Names of the entries that are not what they should be; one that may be None may be absent."""
    if not isinstance(part, dict):
        return ["*"]
    return [key for key, wanted in types.items() if not isinstance(part.get(key), wanted)]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
