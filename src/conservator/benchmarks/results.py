"""One report format for every benchmark: a JSON file that says what was measured, how, and on what."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from conservator.benchmarks.machine import command_line, commit, machine
from conservator.errors import InputError, UsageError
from conservator.files import make_folder, write_atomically

SCHEMA = 1
"""Version of the result's layout."""

RESULTS = Path("benchmarks/results")
"""Where results go, from the root of the repository."""

Row: TypeAlias = dict[str, Any]
Summary: TypeAlias = Mapping[str, Sequence[Row]]
"""Tables by title; the rows of a table share their keys, which `heading` turns into column names."""

_DECIMALS = {
    "db": 2,
    "percent": 1,
    "seconds": 2,
    "ratio": 1,
    "mb": 0,
    "megapixels": 1,
    "calls": 1,
    "ahead": 1,
    "levels": 2,
    "ssim": 4,
    "degrees": 1,
}
_UNITS = {"db": "dB", "percent": "%", "seconds": "s", "mb": "MB", "megapixels": "MP", "degrees": "°"}


@dataclass(frozen=True)
class Findings:
    """What a benchmark found.

    title     of the benchmark, for people
    summary   tables of figures
    rows      every single measurement, JSON objects
    settings  what else it depends on, JSON values
    """

    title: str
    summary: Summary
    rows: Sequence[Row]
    settings: Mapping[str, Any]


def write_result(
    name: str,
    found: Findings,
    *,
    seed: int | None,
    path: Path | None = None,
    command: str | None = None,
) -> Path:
    """Write a result as JSON, whole or not at all, with everything needed to repeat it.

    name     identifier: lower-case letters, digits, "_" and "-"
    seed     of the random numbers; None when there were none
    path     of the file; RESULTS/NAME.json when omitted; an earlier one is replaced
    command  as typed; that of this process when omitted

    Not a number and infinity become null. Raises UsageError for the name, OutputError when it cannot be written.
    """
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise UsageError(f"a result named {name!r}", "lower-case letters, digits, _ and -")
    target = path or RESULTS / f"{name}.json"
    head = {
        "schema": SCHEMA,
        "name": name,
        "title": found.title,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command or command_line(),
        "commit": commit(),
        "seed": seed,
        "settings": found.settings,
        "machine": machine(),
        "summary": found.summary,
    }
    make_folder(target.parent)
    write_atomically(target, _text(head, found.rows).encode(), overwrite=True)
    return target


def load_result(path: Path) -> dict[str, Any]:
    """A result file as a dict; InputError when it is not one or of another schema."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"result {path}: {error}", "a benchmark's JSON file", "run the benchmark again") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA or "summary" not in data:
        raise InputError(f"{path} has no schema {SCHEMA}", "a benchmark's JSON file", "run the benchmark again")
    return data


def table(result: Mapping[str, Any]) -> str:
    """Markdown: the tables of a result, and below them what was run."""
    parts = [f"**{title}**\n\n{_grid(rows)}" for title, rows in result["summary"].items() if rows]
    return "\n\n".join([*parts, _provenance(result)]) + "\n"


def heading(key: str) -> str:
    """Column name of a key: "gain_db" is "gain (dB)"."""
    words, _, unit = key.rpartition("_")
    if unit in _UNITS and words:
        return f"{words.replace('_', ' ')} ({_UNITS[unit]})"
    return key.replace("_", " ")


def _grid(rows: Sequence[Mapping[str, Any]]) -> str:
    keys = list(rows[0])
    numeric = [not any(isinstance(row[key], str) for row in rows) for key in keys]
    lines = [[heading(key) for key in keys], ["---:" if right else "---" for right in numeric]]
    lines += [[_cell(key, row[key]) for key in keys] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(key: str, value: Any) -> str:
    if value is None:
        return "–"
    if not isinstance(value, float):
        return str(value).replace("|", "\\|")
    decimals = _DECIMALS.get(key.rpartition("_")[2], 3)
    return f"{value:.{decimals}f}".replace("-", "−")


def _provenance(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    where = f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores"
    facts = [f"`{result['command']}`", where, result["date"][:10]]
    if result["commit"]:
        mark = " with changes" if result["commit"].endswith("+") else ""
        facts.append(f"commit {result['commit'][:10].rstrip('+')}{mark}")
    return f"<sub>{' · '.join(facts)}</sub>"


def _text(head: Mapping[str, Any], rows: Iterable[Row]) -> str:
    """JSON with one measurement a line, so that two runs can be compared line by line."""
    top = json.dumps(_plain(head), indent=1, ensure_ascii=False, allow_nan=False)
    lines = (json.dumps(_plain(row), ensure_ascii=False, allow_nan=False) for row in rows)
    return f'{top[:-2]},\n "rows": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"


def _plain(value: Any) -> Any:
    """The same as JSON knows it: no numpy scalars, no paths, six digits, and null for what is no number."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
