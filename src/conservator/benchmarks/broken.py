"""Broken input of every kind that Conservator reads, each case made from its number alone.

python -m conservator.benchmarks.broken TARGET SEED FIRST LAST SECONDS

tries cases FIRST … LAST - 1 in this process, or as many as there is time for, and tells each, before and after, as a
line of JSON.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from conservator.benchmarks.accidents import scrambled, twisted
from conservator.benchmarks.bodies import LIMITS, RefusedAtWork, Sender, broken
from conservator.benchmarks.load import picture
from conservator.benchmarks.valid import SIDE, pictures
from conservator.errors import ConservatorError

Case: TypeAlias = Callable[[random.Random], object]
"""Makes one broken input and gives it to what reads it; raises ConservatorError when that refuses it. True says that it
was not only read but carried out."""

MOST_PIXELS = 10**6
"""A header that was changed may promise many more."""

_CARRIED_OUT = 0.02
"""Share of the records, of those that can be read, that are replayed: networks take a thousand times as long."""

@contextmanager
def _photographs() -> Iterator[Case]:
    from conservator.photo import open_photo

    files = list(pictures().values())

    def case(chance: random.Random) -> None:
        open_photo(scrambled(chance.choice(files), chance), max_pixels=MOST_PIXELS)

    yield case


@contextmanager
def _masks() -> Iterator[Case]:
    from conservator.masks import encode_masks, read_mask

    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[5:20, 8:28], mask[9:14, 12:20] = 1, 0
    kinds = [(".json", "rle"), (".json", "counts"), (".json", "polygons"), (".geojson", "rle")]
    data = [json.loads(encode_masks({"it": mask}, suffix, style=style)) for suffix, style in kinds]  # type: ignore[arg-type]
    files = [json.dumps(one).encode() for one in data] + [encode_masks({"it": mask}, kind) for kind in (".svg", ".png")]
    files += [b"M10 5h20v20h-20z", b"<svg viewBox='0 0 60 40'><path d='M10,5 C30,5 30,25 10,25 A5 5 0 1 1 9 9'/></svg>"]

    def case(chance: random.Random) -> None:
        if chance.random() < 0.5:
            read_mask(twisted(chance.choice(data), chance), mask.shape)
        else:
            read_mask(scrambled(chance.choice(files), chance), mask.shape)

    yield case


@contextmanager
def _records() -> Iterator[Case]:
    import conservator

    photo, mask = picture(SIDE, 0), np.ones((SIDE, SIDE), np.float32)
    good = conservator.restore(photo, mask=mask, places={"it": mask}).record.to_dict()
    slim = {name: good[name] for name in ("schema", "input", "output", "call", "plan")}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "record.json"

        def case(chance: random.Random) -> bool:
            """Read a damaged record, and replay one in some: whether it was replayed.

            Raises InputError or UsageError where reading refuses it, RefusedAtWork where replaying does.
            """
            # What is read of a record is the slim part; in the whole one most accidents happen where nobody looks.
            twist = chance.random() < 0.7
            text = json.dumps(twisted(slim if chance.random() < 0.9 else good, chance) if twist else slim).encode()
            file.write_bytes(text if twist else scrambled(text, chance))
            record = conservator.Record.load(file)
            if chance.random() >= _CARRIED_OUT:
                return False
            try:
                conservator.replay(record, photo, mask, places={"it": mask})
            except ConservatorError as error:
                raise RefusedAtWork(error.got, error.wanted, error.fix) from error
            return True

        yield case


@contextmanager
def _plans() -> Iterator[Case]:
    from conservator.agents.planner import checked, read
    from conservator.photo import open_photo
    from conservator.plan import Step
    from conservator.session import Session

    session = Session(open_photo(picture(2 * SIDE, 0)))
    step = {"tool": "joint", "treats": ["noise"], "regions": ["r1"], "strength": 0.5, "reason": "it is noisy"}
    plan, whole = {"steps": [step, step | {"regions": ["whole"]}]}, Step("joint", ("noise",), ("r1",)).to_dict()
    texts = [f"Here it is:\n```json\n{json.dumps(plan)}\n```", "tool: joint\ntreats: noise\nregions: r1\nstrength: 0.5"]

    def case(chance: random.Random) -> None:
        """Read and check a damaged plan; UsageError or ToolFailed, by name, where it is refused."""
        if chance.random() < 0.5:
            said = json.dumps(twisted(plan, chance))
        else:
            said = scrambled(chance.choice(texts).encode(), chance).decode(errors="replace")
        steps = [Step.from_dict(twisted(whole, chance))] if chance.random() < 0.3 else checked(read(said), session)
        for one in steps:
            session.tool(one).checked(one.options)
            session.plan_maps(one)

    yield case


@contextmanager
def _bodies() -> Iterator[Case]:
    from conservator.benchmarks.loopback import Loopback

    with tempfile.TemporaryDirectory() as folder, Loopback(Path(folder), *LIMITS) as server:
        sender = Sender(server.url)

        yield lambda chance: sender.send(broken(chance))
        told = [line for line in server.log if line["level"] in ("error", "critical")]
        if server.process.poll() is not None or told:
            raise RuntimeError(f"the server died or complained: {told[:3]}")


TARGETS: Mapping[str, Callable[[], AbstractContextManager[Case]]] = MappingProxyType(
    {"photographs": _photographs, "masks": _masks, "records": _records, "plans": _plans, "bodies": _bodies}
)


def main(target: str, seed: str, first: str, last: str, seconds: str = "inf") -> None:
    """Try cases in turn."""
    end = time.monotonic() + float(seconds)
    with TARGETS[target]() as case:
        for number in range(int(first), int(last)):
            if time.monotonic() > end:
                return
            print(f'{{"begun": {number}}}', flush=True)
            print(json.dumps(_tried(case, random.Random(f"{seed} {target} {number}"))), flush=True)


def _tried(case: Case, chance: random.Random) -> dict[str, str]:
    try:
        return {"end": "carried out" if case(chance) else "taken"}
    except ConservatorError as error:
        end = "refused at work" if isinstance(error, RefusedAtWork) else "refused"
        return {"end": end} if error.got else {"failed": f"an error that says nothing: {error!r}"}
    except Exception:
        return {"failed": "".join(traceback.format_exc(limit=-4))}


if __name__ == "__main__":
    main(*sys.argv[1:])
