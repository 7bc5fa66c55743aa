"""The public call: a photo in, a treatment out. Every shell makes this call and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from conservator.agents.reader import Reading
from conservator.cache import Cache
from conservator.diagnosis import Diagnosis
from conservator.errors import InputError, UsageError
from conservator.masks import Drawings, Masks, recorded_masks
from conservator.memory import Memory, opened
from conservator.models.runtime import set_threads, thread_limit
from conservator.perception import Perceiver, looking_for, observe
from conservator.perception.file import by_file
from conservator.photo import Photo, Source, open_photo, save
from conservator.pixels.types import Pixels
from conservator.plan import Step
from conservator.policies import LEARNING, Policy, policy_named
from conservator.policies.enlarging import Enlarge, check_size, enlarging
from conservator.policies.scripted import ScriptedPolicy
from conservator.record import Ledger, Listener, Record
from conservator.recording import record_of
from conservator.selection import MaskSource, Outlined, outlined
from conservator.session import Session
from conservator.terms import Budget, Limits
from conservator.tools.added import find, preferring
from conservator.tools.registry import TOOLS
from conservator.wishes import Wishes, parse


@dataclass(frozen=True, eq=False)
class Treatment:
    """What came out.

    original   the photo as it came in
    photo      the photo after treatment
    diagnosis  what was wrong before
    after      what is left, seen before the photo was enlarged
    record     everything that was done
    """

    original: Photo
    photo: Photo
    diagnosis: Diagnosis
    after: Diagnosis
    record: Record

    @property
    def pixels(self) -> Pixels:
        """float32 (H, W, 3), sRGB-encoded RGB in [0, 1]."""
        return self.photo.pixels

    @property
    def unchanged(self) -> bool:
        """True when not a single sample differs from the original."""
        return self.photo.samples is self.original.samples

    def save(self, path: str | Path, *, overwrite: bool = False, quality: int = 95) -> Path:
        """Write the photo atomically; the container follows the extension.

        EXIF, XMP, ICC profile, alpha and bit depth survive where the container holds them. An unchanged photo in its
        own container is handed back byte for byte. Raises OutputError when the path exists (without `overwrite`),
        names the input, or cannot be written.
        """
        protect = [self.original.source] if self.original.source is not None else []
        return save(self.photo, Path(path), overwrite=overwrite, quality=quality, protect=protect)


def restore(
    photo: Source,
    *,
    policy: str | Policy = "spatial",
    scale: int = 1,
    strength: float = 1.0,
    instruction: str | Wishes | Reading | None = None,
    mask: Masks | None = None,
    protect: Masks | None = None,
    places: Mapping[str, Masks] | None = None,
    prefer: str | Sequence[str] = (),
    regions: str | MaskSource | None = None,
    max_calls: int | None = None,
    max_seconds: float | None = None,
    tile: int | None = None,
    threads: int | None = None,
    seed: int = 0,
    ledger: str | Path | None = None,
    cache: str | Path | None = None,
    memory: Memory | str | Path | None = None,
    on_event: Listener | None = None,
    perceiver: Perceiver = observe,
) -> Treatment:
    """Restore a photograph region by region.

    photo        path, bytes, stream, PIL image, array or Photo
    policy       name of a policy, or a callable on a Session
    scale        enlarge so many times along a side, last of all and once: 2, 3 or 4, or what an added network makes
    strength     multiplies what the diagnosis asks for, in [0, 2]; 0 changes nothing, and enlarges by interpolation
    instruction  plain words: "remove the rain, keep the grain"; or what somebody else read in them, such as
                 `agents.reader`
    mask         what is treated: a picture, array, COCO, GeoJSON or SVG, or several with strengths, see `MaskLike`
    protect      what is left alone, likewise; where a mask is 1 (white), pixels stay identical to the byte, or are
                 interpolated where the photo is enlarged
    places       masks by names that the steps of a plan may have as their `regions`: such a step keeps to them, to the
                 pixel
    prefer       names of tools that get what they treat to themselves, added ones too (see `add_tool`)
    regions      who draws the regions: "sam:PATH" (see `selection.source_named`) or a mask source; None: the perceiver
    max_calls    most tool calls
    max_seconds  no step starts later than this
    tile         side of the tiles in px (512): less memory when smaller, same result
    ledger       JSONL file that receives events as they happen
    cache        folder for intermediate results; in memory by default
    memory       experience to use and to add to, for policies that search: a `Memory`, or the file of one
    on_event     called with every event
    perceiver    what diagnoses samples; the shipped networks by default

    Raises InputError, UsageError, ModelMissing.
    """
    if not 0.0 <= strength <= 2.0:
        raise UsageError(f"strength={strength}", "a number in [0, 2]")
    chosen, (wishes, said) = _chosen(policy, memory), _understood(instruction)
    tools = preferring(prefer, scale)
    last = Enlarge(enlarging(tools.enlarging(scale), scale)) if scale != 1 else None
    set_threads(threads)
    look = outlined(regions, perceiver)
    with opened(memory) as known, closing(Ledger(ledger, on_event)) as book:
        if isinstance(instruction, Reading):
            instruction.tell(book)
        with book.timed("decode"):
            original = open_photo(photo)
            check_size(original, scale)
            drawn = Drawings.read(original, mask, protect, places)
            limits = Limits(strength, wishes, drawn.weight, tile or 512, drawn.weights())
        session = Session(
            original, tools=tools, limits=limits, budget=Budget(max_calls, max_seconds), ledger=book,
            cache=Cache(cache) if cache is not None else None, perceiver=look, memory=known,
        )  # fmt: skip
        chosen(session)
        if last is not None and session.scale == 1:
            last(session)
        call = {
            "policy": policy if isinstance(policy, str) else "scripted",
            "strength": strength, "max_calls": max_calls, "max_seconds": max_seconds, "tile": limits.tile,
            "scale": scale, "prefer": [prefer] if isinstance(prefer, str) else list(prefer) or None, **said,
            "threads": thread_limit(), "regions": look.source.name if isinstance(look, Outlined) else None,
        }  # fmt: skip
        return _treatment(session, call | drawn.to_dict(), seed)


def diagnose(
    photo: Source,
    *,
    regions: str | MaskSource | None = None,
    threads: int | None = None,
    perceiver: Perceiver = observe,
) -> Diagnosis:
    """What is wrong with a photograph and where; see `Diagnosis`, and `restore` for `regions` and `perceiver`.

    Raises InputError, ModelMissing, UsageError.
    """
    set_threads(threads)
    original = open_photo(photo)
    return by_file(outlined(regions, perceiver)(original.samples), original.jpeg_quality)


def treat(
    photo: Source,
    tool: str,
    *,
    strength: float | None = None,
    scale: int | None = None,
    mask: Masks | None = None,
    protect: Masks | None = None,
    tile: int | None = None,
    threads: int | None = None,
    on_event: Listener | None = None,
    **options: Any,
) -> Treatment:
    """Apply one tool, shipped or added, where its damage is found; `strength` multiplies the estimated severity.

    For haze and wrong exposure nobody looks, and the diagnosis does not tell them, where the tool treats neither.

    scale  enlarge so many times, with the tool itself where it enlarges, which then need not be told

    Raises UsageError when there is no such tool or it does not take an option.
    """
    chosen = find(tool)
    policy: Policy
    if chosen.card.scale > 1:
        scale = chosen.card.scale if scale is None else scale
        step = enlarging(chosen, scale)
        policy = Enlarge(replace(step, options={**chosen.checked(options), **step.options}))
    else:
        policy = ScriptedPolicy([Step(tool, chosen.card.treats, options=options, reason="asked for")])
    return restore(
        photo, policy=policy, scale=1 if scale is None else scale, strength=1.0 if strength is None else strength,
        mask=mask, protect=protect, prefer=() if tool in TOOLS else tool, tile=tile, threads=threads, on_event=on_event,
        perceiver=looking_for(chosen.card.treats),
    )  # fmt: skip


def replay(
    record: Record | str | Path,
    photo: Source | None = None,
    mask: Masks | None = None,
    protect: Masks | None = None,
    places: Mapping[str, Masks] | None = None,
) -> Treatment:
    """Carry out a record's plan again and check that the same samples come out.

    photo    the input, when it is no longer where the record says
    mask     likewise the masks, for a run that had any; their strengths are those of the record
    protect  likewise
    places   likewise, by name

    Raises InputError when photo or mask is not the recorded one, UsageError when the result differs.
    """
    record = record if isinstance(record, Record) else Record.load(record)
    data = record.data
    call = data["call"]
    original = _recorded_photo(photo, data["input"])
    drawn, protected = (
        recorded_masks(what, given, call.get(what) or (), original.size, photo=original.file_name)
        for what, given in (("mask", mask), ("protect", protect))
    )
    named = {
        name: recorded_masks(f"places[{name!r}]", (places or {}).get(name), known, original.size)
        for name, known in (call.get("places") or {}).items()
    }
    steps = [Step.from_dict(s) for s in data["plan"]]
    treatment = restore(original, policy=ScriptedPolicy(steps), strength=call["strength"],
                        instruction=_instruction(call), tile=call["tile"], scale=call["scale"],
                        mask=drawn, protect=protected, places=named, prefer=call.get("prefer") or (),
                        regions=call.get("regions"), threads=call.get("threads"))  # fmt: skip
    found, wanted = treatment.record.data["output"]["sha256"], data["output"]["sha256"]
    if found != wanted:
        fix = "use the versions and models that the record names"
        if (threads := call.get("threads") or 0) > thread_limit():  # sums come in another order
            fix = f"use a machine with {threads} cores, and {fix[4:]}"
        raise UsageError(f"replay gave {found[:12]}…", f"{wanted[:12]}…", fix)
    return treatment


def _chosen(policy: str | Policy, memory: Memory | str | Path | None) -> Policy:
    chosen = policy_named(policy) if isinstance(policy, str) else policy
    if memory is not None and isinstance(policy, str) and policy not in LEARNING:
        raise UsageError(f"a memory for policy {policy!r}", f"one that searches: {', '.join(LEARNING)}", "name one")
    return chosen


def _understood(instruction: str | Wishes | Reading | None) -> tuple[Wishes, dict[str, Any]]:
    """What is asked for, and what the record keeps of it: the words, and what others than the grammar read in them."""
    if isinstance(instruction, Reading):
        return instruction.wishes, {"instruction": instruction.said, "wishes": instruction.wishes.to_dict()}
    if isinstance(instruction, Wishes):
        return instruction, {"instruction": None, "wishes": instruction.to_dict()}
    return parse(instruction), {"instruction": instruction, "wishes": None}


def _instruction(call: Mapping[str, Any]) -> str | Wishes | None:
    read = call.get("wishes")
    return call["instruction"] if read is None else Wishes.from_dict(read)


def _recorded_photo(given: Source | None, known: Mapping[str, Any]) -> Photo:
    """The photo a record speaks of, from where it says or as given, checked by its hash."""
    source = given if given is not None else known.get("path")
    if source is None:
        raise UsageError("the record names no file for the photo", "the one it was made with", "pass photo=")
    photo = open_photo(source)
    if photo.sha256 != known["sha256"]:
        raise InputError(f"photo {photo.sha256[:12]}…", f"{known['sha256'][:12]}…", "pass the same file")
    return photo


def _treatment(session: Session, call: dict[str, Any], seed: int) -> Treatment:
    original = session.photo
    changed = session.samples is not original.samples and not np.array_equal(session.samples, original.samples)
    photo = original.with_samples(session.samples) if changed else original
    return Treatment(original, photo, session.first, session.diagnosis, record_of(session, photo, call, seed))
