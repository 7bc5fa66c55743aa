"""A process that carries out one job after the other: it can be killed at any moment, and nothing else falls with it.

python -m conservator.serve.worker     reads orders as lines of JSON, and tells events and outcomes as lines of JSON
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conservator.errors import ConservatorError, InputError, ModelMissing, UsageError
from conservator.files import write_atomically
from conservator.record import finite
from conservator.serve.refusals import keeping

if TYPE_CHECKING:
    from conservator.perception import Perceiver
    from conservator.photo import Photo
    from conservator.report.canvas import Bytes
    from conservator.treatment import Treatment

Event = dict[str, Any]
Tell = Callable[[Event], None]

_PREVIEW = 1024  # pixels of its long side

_PAUSE = 0.25
"""Seconds between two reports on tiles, which come by the thousand."""


def carry_out(job: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Run the public call of a job and write what came out into the folder of the attempt; returns the facts.

    job  the fields of an `Order`, with the paths `photo`, `out`, and `mask`, `cache` and `memory` or null, those of
         `places` by name, and `max_pixels`
    """
    import conservator

    photo = conservator.open_photo(Path(job["photo"]).read_bytes(), max_pixels=job["max_pixels"])
    out = Path(job["out"])
    if job["call"] == "diagnose":
        diagnosis = conservator.diagnose(photo, perceiver=_perceiver(job))
        _keep(out / "diagnosis.json", json.dumps(finite(diagnosis.to_dict()), ensure_ascii=False).encode())
        if job["preview"]:
            from conservator.report.overlay import overlay

            _preview(overlay(photo.samples, diagnosis.regions, _PREVIEW), photo, out)
        if job["cache"]:
            from conservator.serve.views import of_look

            _keep_all(of_look(photo, diagnosis), out)
        return {}
    options = dict(job["options"])
    container, quality, report = (options.pop(name) for name in ("container", "quality", "report"))
    if job["mask"] is not None:
        options["mask"] = _drawn(job["mask"], job)
    if job["call"] == "treat":
        settings = options.pop("settings")
        treatment = conservator.treat(photo, job["tool"], on_event=tell, **options, **settings)
    else:
        treatment = conservator.restore(photo, on_event=tell, **options | _as_planned(job))
    if job["preview"]:
        from conservator.report.canvas import bounded

        _preview(bounded(treatment.photo.samples, _PREVIEW), treatment.photo, out)
    if job["cache"]:
        from conservator.serve.views import of_treatment

        _keep_all(of_treatment(treatment), out)
    return _write(treatment, out, container, quality, report)


def _as_planned(job: dict[str, Any]) -> dict[str, Any]:
    """What `restore` is told beyond the options: steps, experience, and where to find what was computed."""
    places = {name: _drawn(path, job) for name, path in job["places"].items()}
    told: dict[str, Any] = {"memory": job["memory"], "places": places}
    if job["plan"] is not None:
        from conservator.plan import Step
        from conservator.policies.scripted import ScriptedPolicy
        from conservator.tools.registry import TOOLS

        steps = [Step.from_dict(step) for step in job["plan"]]
        added = list(dict.fromkeys(step.tool for step in steps if step.tool not in TOOLS))
        told |= {"policy": ScriptedPolicy(steps), "prefer": added}
    if job["cache"] is not None:
        told |= {"cache": job["cache"], "perceiver": _perceiver(job)}
    return told


def _drawn(path: str, job: dict[str, Any]) -> Photo:
    """A mask, as bounded as the photograph."""
    from conservator.photo import open_photo

    return open_photo(Path(path).read_bytes(), max_pixels=job["max_pixels"])


def _perceiver(job: dict[str, Any]) -> Perceiver:
    from conservator.perception import observe
    from conservator.perception.remembering import Remembering

    return Remembering(job["cache"]) if job["cache"] else observe


def _preview(picture: Bytes, photo: Photo, out: Path) -> None:
    from PIL import Image

    from conservator.report.encode import preview_profile

    coded = BytesIO()
    Image.fromarray(picture).save(coded, "JPEG", quality=88, icc_profile=preview_profile(photo))
    _keep(out / "preview.jpeg", coded.getvalue())


def _keep(path: Path, data: bytes) -> None:
    with keeping():
        write_atomically(path, data)


def _keep_all(files: Iterable[tuple[str, bytes]], out: Path) -> None:
    for name, data in files:
        _keep(out / name, data)


def _write(treatment: Treatment, out: Path, container: str, quality: int, report: bool) -> dict[str, Any]:
    from conservator.photo import encode
    from conservator.pixels.codecs import WRITERS
    from conservator.report import render

    own = treatment.original.container
    chosen = container if container != "auto" else own if own in WRITERS else "png"
    picture = encode(treatment.photo, chosen, quality=quality)
    _keep(out / f"result.{chosen}", picture)
    _keep(out / "record.json", treatment.record.to_json().encode())
    if report:
        _keep(out / "report.html", render(treatment).encode())
    data = treatment.record.data
    return {
        "container": chosen,
        "size": list(treatment.photo.size),
        "bytes": len(picture),
        "unchanged": treatment.unchanged,
        "report": report,
        "found": data["diagnosis"]["degradations"],
        "left": data["after"]["degradations"],
        "steps": data["plan"],
        "cannot_treat": data["cannot_treat"],
    }


class Sparing:
    """Passes events on, those about tiles at most every quarter of a second."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._last = tell, 0.0

    def __call__(self, event: Event) -> None:
        """Pass one on, or not."""
        if event["seq"] < 0:
            now = time.monotonic()
            if event["done"] < event["total"] and now - self._last < _PAUSE:
                return
            self._last = now
        self._tell(event)


def outcome(job: dict[str, Any], tell: Tell) -> Event:
    """What became of a job, for the server: facts, or an error that names itself."""
    try:
        return {"done": carry_out(job, Sparing(tell))}
    except ModelMissing:
        told = {"type": "ModelMissing", "got": "a network that is not installed", "wanted": "its file on the server"}
        return {"failed": told | {"fix": "tell who runs the server"}, "traceback": traceback.format_exc()}
    except ConservatorError as error:
        theirs = isinstance(error, InputError | UsageError)
        return {"failed": error.to_dict()} | ({} if theirs else {"traceback": traceback.format_exc()})
    except MemoryError:
        told = {"type": "MemoryError", "got": "the photograph needs more memory than there is"}
        return {"failed": told | {"wanted": "a smaller one", "fix": "shrink it, or pass a smaller tile"}}
    except Exception as error:
        told = {"type": "InternalError", "got": f"a bug in Conservator ({type(error).__name__})"}
        return {"failed": told | {"wanted": "", "fix": "report it"}, "traceback": traceback.format_exc()}


def main() -> None:
    """Work until standard input ends, which it does at once when the server dies."""
    for ending in (signal.SIGINT, signal.SIGTERM):  # meant for the server, which decides what becomes of the job
        signal.signal(ending, signal.SIG_IGN)
    # Whatever a library prints must not pass for an outcome.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(event: Event) -> None:
        channel.write(json.dumps(event, ensure_ascii=True) + "\n")
        channel.flush()

    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    _warm_up()
    while True:
        tell(outcome(json.loads(orders.get()), lambda event: tell({"event": event})))


def _listen(orders: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)


def _warm_up() -> None:
    """Load while idle what every job needs."""
    import conservator.report.html
    import conservator.tools.registry  # noqa: F401


if __name__ == "__main__":
    main()
