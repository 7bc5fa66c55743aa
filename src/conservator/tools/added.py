"""Tools that users add: a list in their data folder of networks in files of their own.

The list holds a card per tool, the place of its file and the file's hash. The file stays where it is and is opened when
the tool runs. Shipped tools stay the specialists of every plan; an added tool works when it is asked for by name. Only
enlarging is different: whoever adds a network for that wants it used where its scale is asked for.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from conservator.degradations import BY_NAME, NAMES
from conservator.errors import InputError, OutputError, UsageError
from conservator.files import write_atomically
from conservator.models.foreign.loading import digest, load
from conservator.models.foreign.network import Network
from conservator.tools.card import Tool
from conservator.tools.foreign import Foreign, card_of
from conservator.tools.registry import TOOLS, Registry

HOME_VARIABLE = "CONSERVATOR_HOME"
"""Environment variable that names the folder of the user's own data."""

SCHEMA = 1
"""Version of the list's layout."""


def add_tool(path: str | Path, *, treats: Iterable[str] | None = None, name: str | None = None) -> Tool:
    """Make a tool of a network in a file, and keep it for later runs; the file stays where it is.

    path    .onnx; or .pth, .pt or .safetensors of an architecture that spandrel knows, with the extra `torch`
    treats  degradations it is for; found from the architecture where that has a single purpose
    name    what to call it; the file's name by default

    The network runs on test pictures: that it can, and how far it looks. Its licence and whether it invents are not in
    the file, so the card says "unknown" and "generative".

    Raises ModelMissing when the file is absent, damaged or holds more than weights, or when PyTorch and spandrel are
    needed and absent; UsageError when the network cannot be used, says not what it treats, or the name is taken;
    ToolFailed when it breaks or returns NaN.
    """
    file = Path(path).expanduser().absolute()
    kinds = _kinds(treats)
    called = name or _name_of(file)
    _check_name(called)
    sha256 = digest(file)
    network = load(file, sha256)
    entry = Foreign(card_of(called, kinds or _published(file, network), file, network), file, sha256)
    _write([*_entries(), entry])
    return entry.tool


def remove_tool(name: str) -> None:
    """Forget an added tool; its file is not touched. UsageError when no added tool has that name."""
    entries = _entries()
    left = [entry for entry in entries if entry.card.name != name]
    if len(left) == len(entries):
        shipped = "that one ships with Conservator" if name in TOOLS else ""
        names = ", ".join(entry.card.name for entry in entries) or "none"
        raise UsageError(f"no added tool {name!r}", f"one of: {names}", shipped)
    _write(left)


def available() -> Registry:
    """Shipped tools and then added ones. No file of a network is opened. Raises InputError for a damaged list."""
    return TOOLS.add(*(entry.tool for entry in _entries()))


def find(name: str) -> Tool:
    """A shipped or added tool by name; UsageError when there is none, InputError for a damaged list."""
    return TOOLS.get(name) if name in TOOLS else available().get(name)


def preferring(names: str | Iterable[str], scale: int = 1) -> Registry:
    """The shipped tools, led by the ones named, which may be added ones: they get what they treat to themselves.

    scale  how many times the photo is to be enlarged; behind the named ones, added networks for that come first, the
           latest before the others

    UsageError when there is no such tool, or one that is named enlarges otherwise.
    """
    leading = {name: find(name) for name in ([names] if isinstance(names, str) else names)}
    for tool in leading.values():
        if tool.card.scale > 1 and scale not in tool.scales:
            asked = f"scale={scale} was asked for" if scale > 1 else "nobody asked for a larger photo"
            scales = " or ".join(f"scale={one}" for one in tool.scales)
            raise UsageError(f"{tool.name} enlarges and {asked}", scales, "pass it, or prefer another tool")
    if scale > 1:
        added = (entry.tool for entry in reversed(_entries()))
        able = (tool for tool in added if "low_resolution" in tool.card.treats and scale in tool.scales)
        leading |= {tool.name: tool for tool in able if tool.card.scale > 1 and tool.name not in leading}
    return TOOLS.led_by(leading.values()) if leading else TOOLS


def home() -> Path:
    """Folder of the user's own data: CONSERVATOR_HOME, else the place the system has for such data."""
    if chosen := os.environ.get(HOME_VARIABLE):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "conservator"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/conservator"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "conservator"


def _list() -> Path:
    return home() / "tools.json"


def _entries() -> list[Foreign]:
    place = _list()
    try:
        data = json.loads(place.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']!r}")
        return [Foreign.from_dict(one) for one in data["tools"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        got = f"{place} cannot be read ({type(error).__name__}: {error})"
        raise InputError(got, f"a list of added tools, schema {SCHEMA}", "delete it and add the tools again") from error


def _write(entries: list[Foreign]) -> None:
    place = _list()
    data = {"schema": SCHEMA, "tools": [entry.to_dict() for entry in entries]}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{place.parent}: {error.strerror}", "a folder", f"set {HOME_VARIABLE}") from error
    write_atomically(place, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode(), overwrite=True)


def _kinds(treats: Iterable[str] | None) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys([treats] if isinstance(treats, str) else treats or ()))
    unknown = [kind for kind in kinds if kind not in BY_NAME]
    if unknown:
        raise UsageError(f"no degradation {', '.join(unknown)}", f"of: {', '.join(NAMES)}")
    return kinds


def _published(file: Path, network: Network) -> tuple[str, ...]:
    if not network.kinds:
        got = f"{file.name} is {network.title}, which does not say what it treats"
        raise UsageError(got, f"--treats with some of {', '.join(NAMES)}", "say it, as in --treats noise")
    return network.kinds


def _name_of(file: Path) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_")
    return plain if plain[:1].isalpha() else f"net_{plain}"


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"the name {name!r}", "lower-case letters, digits and underscores", "pass --name")
    if name in TOOLS or name in {entry.card.name for entry in _entries()}:
        raise UsageError(
            f"a tool named {name} exists", "a new name", f"pass --name, or `conservator tools remove {name}`"
        )
