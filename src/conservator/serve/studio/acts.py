"""What happens when somebody does something on the page; every act answers with what changes there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr
import numpy as np
from PIL import Image

from conservator.errors import ConservatorError
from conservator.files import make_folder, write_atomically
from conservator.serve.follow import follow
from conservator.serve.jobs import Jobs
from conservator.serve.studio import show
from conservator.serve.studio.brush import alike, mask_of, picture_of
from conservator.serve.studio.desk import Desk, Run
from conservator.serve.studio.desks import Desks
from conservator.serve.studio.draft import Draft
from conservator.serve.studio.plan import redrawn
from conservator.serve.studio.scraps import Scraps

Updates: TypeAlias = dict[Any, Any]
"""What becomes of parts of the page."""

CANVAS = 800
"""Pixels of the long side of the picture that is painted on."""


@dataclass(eq=False)
class Parts:
    """The components of the page that acts read or change."""

    desk: Any
    revision: Any
    photo: Any
    policy: Any
    strength: Any
    instruction: Any
    brush: Any
    mask: Any
    target: Any
    mask_note: Any
    status: Any
    progress: Any
    compare: Any
    regions: Any
    maps: Any
    note: Any
    tool: Any
    versions: Any
    downloads: Any
    cancel: Any

    @property
    def all(self) -> list[Any]:
        """Each of them."""
        return [getattr(self, field.name) for field in fields(self)]


class Acts:
    """The acts on one page's parts; each tab's desk comes as their first argument."""

    def __init__(self, jobs: Jobs, desks: Desks, parts: Parts, scraps: Scraps) -> None:
        self.jobs, self.desks, self.parts, self.scraps = jobs, desks, parts, scraps

    async def begin(self, key: str) -> AsyncIterator[Updates]:
        """A tab is opened, or loaded again: then everything is as it was, and what ran meanwhile goes on."""
        p, desk = self.parts, self.desks.enter(key)
        yield {p.desk: desk, p.revision: redrawn(), p.mask_note: show.mask_note(desk)}
        try:
            if desk.history is not None:
                yield self._shown(desk) | self._canvas(desk)
        except ConservatorError as error:  # the server has forgotten the files meanwhile
            yield {p.status: show.problem(error)}
        if (run := desk.running) is not None:
            async for updates in self._run(desk, lambda: run, show.message("At work …")):
                yield updates

    async def open(self, desk: Desk, path: str | None) -> AsyncIterator[Updates]:
        """A photograph is chosen."""
        if path is None:
            return
        self.scraps.hold(desk, "photo", Path(path))
        said = show.message("Looking at the photograph …")
        async for updates in self._run(desk, lambda: desk.open(Path(path).read_bytes(), path), said):
            yield updates

    async def restore(self, desk: Desk, *wishes: Any) -> AsyncIterator[Updates]:
        """The policy is to make a plan and carry it out."""
        async for updates in self._carry_out(desk, True, *wishes):
            yield updates

    async def rerun(self, desk: Desk, *wishes: Any) -> AsyncIterator[Updates]:
        """The plan as edited is to be carried out."""
        async for updates in self._carry_out(desk, False, *wishes):
            yield updates

    def cancel(self, desk: Desk) -> Updates:
        """Whatever runs is to stop."""
        p = self.parts
        said = "Stopped. What was finished before is kept." if desk.cancel() else "Nothing was running."
        return {p.status: show.message(said), p.progress: "", p.cancel: gr.update(interactive=False)}

    def undo(self, desk: Desk) -> Updates:
        """Back."""
        return self._looked_at(desk, desk.undo)

    def redo(self, desk: Desk) -> Updates:
        """Forward."""
        return self._looked_at(desk, desk.redo)

    def go(self, desk: Desk, number: int) -> Updates:
        """To another version."""
        return self._looked_at(desk, lambda: desk.go(number))

    def add(self, desk: Desk, tool: str) -> Updates:
        """A tool at the end of the plan."""
        return self._edited(desk, lambda draft: draft.added(tool)) | {self.parts.revision: redrawn()}

    def aim(self, desk: Desk, key: int, painted: Any) -> Updates:
        """The mask is to be for another step, or for every step; what was painted stays with the last one."""
        target = None if key == show.EVERY else key
        if target == desk.target:  # lists tell of a choice twice
            return self._same()
        try:
            self._paint(desk, painted)
            desk.target = target
            return self._canvas(desk) | {self.parts.mask_note: show.mask_note(desk), self.parts.note: show.edits(desk)}
        except ConservatorError as error:
            return {self.parts.status: show.problem(error)}

    def redrawn(self, desk: Desk) -> Updates:
        """Lines of the plan came, went or were kept to other places: the mask that is shown may be gone with one."""
        p, draft = self.parts, desk.draft
        desk.target = None if draft.index(desk.target) is None else desk.target
        told = {
            p.target: gr.update(choices=show.targets(desk), value=show.EVERY if desk.target is None else desk.target),
            p.mask_note: show.mask_note(desk),
        }
        mask, strokes = draft.painted(desk.target)
        try:
            return told | (self._canvas(desk) if desk.painted != (mask if strokes is not None else None) else {})
        except ConservatorError as error:
            return told | {p.status: show.problem(error)}

    def mask(self, desk: Desk, path: str | None) -> Updates:
        """A mask is uploaded."""

        def masked(draft: Draft) -> Draft:
            data = Path(path or "").read_bytes()
            self.jobs.limits.check(data, "a mask")
            return draft.masked(data, key=desk.target)

        if path is None:
            return self._same()
        self.scraps.hold(desk, "mask", Path(path))
        return self._edited(desk, masked) | {self.parts.revision: redrawn()}

    def unmask(self, desk: Desk) -> Updates:
        """No mask any more, neither painted nor uploaded."""
        cleared = self._edited(desk, lambda draft: draft.masked(None, key=desk.target))
        cleared[self.parts.revision] = redrawn()
        try:
            return cleared | self._canvas(desk)
        except ConservatorError as error:
            return cleared | {self.parts.status: show.problem(error)}

    async def _carry_out(
        self, desk: Desk, anew: bool, policy: str, strength: float, instruction: str, painted: Any
    ) -> AsyncIterator[Updates]:
        def begin() -> Run:
            desk.draft = replace(desk.draft, policy=policy, strength=strength, instruction=instruction or "")
            self._paint(desk, painted)
            return desk.run(anew=anew)

        async for updates in self._run(desk, begin, show.message("At work …")):
            yield updates

    def _paint(self, desk: Desk, painted: Any) -> None:
        """Make a mask of the strokes, if they are new."""
        layers = [np.asarray(layer, np.uint8) for layer in (painted or {}).get("layers") or () if layer is not None]
        strokes = [layer for layer in layers if layer.ndim == 3 and layer.shape[2] == 4 and layer[..., 3].any()]
        if desk.history is not None and strokes:
            height, width = desk.found["size"]
            mask = mask_of(strokes, (height, width))
            if not any(alike(mask, known) for known in (desk.painted, desk.wiped)):
                desk.painted, desk.draft = mask, desk.draft.masked(mask, picture_of(strokes), desk.target)

    async def _run(self, desk: Desk, begin: Callable[[], Run], said: str) -> AsyncIterator[Updates]:
        """Follow a run from its beginning to what came of it; a superseded one no longer changes anything."""
        p = self.parts
        try:
            run = await asyncio.to_thread(begin)
            yield {p.status: said, p.progress: "", p.cancel: gr.update(interactive=True)}
            async for _ in follow(self.jobs, run.job, pause=1.0):
                if not desk.is_latest(run):
                    break
                yield {p.progress: show.progress(await asyncio.to_thread(desk.told, run), self.jobs.progress(run.job))}
            if await asyncio.to_thread(desk.settle, run) is None:
                yield self._same()
            else:
                yield self._shown(desk) | (self._canvas(desk) if run.opens is not None else {})
        except ConservatorError as error:
            yield {p.status: show.problem(error), p.progress: "", p.cancel: gr.update(interactive=False)}

    def _looked_at(self, desk: Desk, look: Callable[[], Any]) -> Updates:
        shown = desk.draft.painted(desk.target)
        try:
            look()
            return self._shown(desk) | (self._canvas(desk) if desk.draft.painted() != shown else {})
        except ConservatorError as error:
            return {self.parts.status: show.problem(error)}

    def _edited(self, desk: Desk, edit: Callable[[Draft], Draft]) -> Updates:
        p = self.parts
        try:
            desk.draft = edit(desk.draft)
        except ConservatorError as error:
            return {p.status: show.problem(error)}
        return {p.note: show.edits(desk), p.mask_note: show.mask_note(desk)}

    def _same(self) -> Updates:
        """Nothing is new; an answer without any part would be an error to gradio."""
        return {self.parts.status: gr.skip()}

    def _shown(self, desk: Desk) -> Updates:
        """The whole page as the desk is now."""
        p, now, draft = self.parts, desk.current, desk.draft
        return {
            p.status: show.outcome(desk), p.progress: "", p.cancel: gr.update(interactive=False),
            p.compare: show.compare(desk), p.regions: show.regions(desk), p.maps: show.maps(desk),
            p.policy: draft.policy, p.strength: draft.strength, p.instruction: draft.instruction,
            p.mask_note: show.mask_note(desk), p.note: show.edits(desk), p.revision: redrawn(),
            p.versions: gr.update(choices=show.choices(desk), value=now.number), p.downloads: show.downloads(desk),
        }  # fmt: skip

    def _canvas(self, desk: Desk) -> Updates:
        """No mask file, and a picture to paint on with the strokes of the draft, which are not new."""
        mask, strokes = desk.draft.painted(desk.target)
        shown = None if strokes is None else mask
        if shown != desk.painted:
            desk.painted, desk.wiped = shown, desk.painted
        if desk.history is None:
            return {self.parts.mask: None}
        paper = self._paper(desk, desk.history.versions[0].job)
        layers = [] if strokes is None else [paper.with_name(f"{sha256(strokes).hexdigest()}.png")]
        for layer in layers:
            write_atomically(layer, strokes or b"")
        self.scraps.hold(desk, "mask", None)
        canvas = {"background": str(paper), "layers": [str(layer) for layer in layers], "composite": None}
        return {self.parts.mask: None, self.parts.brush: canvas}

    def _paper(self, desk: Desk, job: str) -> Path:
        """The file of the picture to paint on, small, of the photograph that a job looked at."""
        file, small = self.scraps.folder / job / "photograph.png", BytesIO()
        self.scraps.hold(desk, "paper", file)
        if not file.exists():
            with Image.open(self.jobs.file(job, "before")) as picture:
                picture.thumbnail((CANVAS, CANVAS))
                picture.convert("RGB").save(small, "PNG")
            make_folder(file.parent)
            write_atomically(file, small.getvalue())
        return file
