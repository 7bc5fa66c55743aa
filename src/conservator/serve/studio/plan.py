"""The plan as a list that can be edited: each step on or off, stronger or weaker, earlier or later."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import gradio as gr

from conservator.errors import ConservatorError
from conservator.report.story import Attempt
from conservator.serve.studio import show
from conservator.serve.studio.desk import Desk
from conservator.serve.studio.draft import Draft, Line
from conservator.tools.added import find
from conservator.tools.signature import Option

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}

Edit = Callable[..., Draft]

redrawn: Callable[[], int] = count(1).__next__
"""A new revision of the list. All come from this one count: the page does not notice a number that it has already."""


def plan_list(desk: gr.State, revision: gr.State, note: gr.HTML) -> None:
    """One row for each step of the draft, drawn anew whenever `revision` changes.

    note   is told what was edited and not yet run
    """

    @gr.render(  # type: ignore[untyped-decorator]
        inputs=[desk], triggers=[revision.change], show_progress="hidden"
    )
    def lines(desk_now: Desk | None) -> None:
        """Draw the rows."""
        if desk_now is None or not desk_now.draft.lines:
            gr.HTML(show.quiet("No steps yet. Restore makes a plan, or add a tool below."))
            return
        drawn = desk_now.draft.lines
        pool = list(desk_now.current.attempts) if desk_now.history is not None else []
        for index, line in enumerate(drawn):
            about, places = show.about(_told_of(line, pool), line.step.treats), show.places(desk_now, line)
            _row(index, line, about, places, len(drawn), desk, revision, note)


def edited(desk: Desk, edit: Edit, *arguments: Any) -> str:
    """Edit the draft; what the note says then. An edit of a plan that has changed meanwhile is told, not made."""
    try:
        desk.draft = edit(desk.draft, *arguments)
    except ConservatorError as error:
        return show.problem(error)
    return show.edits(desk)


def _row(
    index: int, line: Line, about: str, places: list[tuple[str, str]], of: int,
    desk: gr.State, revision: gr.State, note: gr.HTML,
) -> None:  # fmt: skip
    step, number = line.step, index + 1
    with gr.Group(elem_classes="step"):
        on = gr.Checkbox(line.on, label=f"{number}. {step.tool}", info=about, interactive=True)
        strength = gr.Slider(
            0, 2, step.strength, step=0.05, label=f"Strength of step {number}", buttons=[], interactive=True
        )
        options = [_option(option, step.options.get(name, option.default)) for name, option in _options(step.tool)]
        where = gr.Dropdown(
            places, value=show.placed(line), label=f"Where step {number} works", filterable=False, interactive=True,
            elem_id=f"step-{line.key}-where",
        )  # fmt: skip
        with gr.Row(elem_classes="moves"):
            earlier = gr.Button("↑ Earlier", size="sm", interactive=index > 0, elem_id=f"step-{line.key}-earlier")
            later = gr.Button("↓ Later", size="sm", interactive=number < of, elem_id=f"step-{line.key}-later")
            gone = gr.Button("✕ Remove", size="sm", elem_id=f"step-{line.key}-gone")
    edits: list[tuple[Any, Edit]] = [(on, Draft.switched), (strength, Draft.strengthened)]
    edits += [(box, _given(name)) for box, (name, _) in zip(options, _options(step.tool), strict=True)]
    for box, edit in edits:
        box.input(
            lambda now, value, edit=edit: edited(now, edit, index, value), [desk, box], note,
            trigger_mode="always_last", **_QUIET,
        )  # fmt: skip
    where.input(lambda now, place: _kept(now, index, place), [desk, where], [note, revision], **_QUIET)
    for button, change in ((earlier, _by(index, -1)), (later, _by(index, 1)), (gone, _without(index))):
        button.click(
            lambda now, change=change: (edited(now, change), redrawn()), [desk], [note, revision], **_QUIET
        )


def _options(tool: str) -> list[tuple[str, Option]]:
    """Of a tool, by name; none of one that is gone."""
    try:
        return list(find(tool).options.items())
    except ConservatorError:
        return []


def _option(option: Option, value: Any) -> Any:
    """What an option is set with."""
    label = option.name.replace("_", " ")
    if option.type is bool:
        return gr.Checkbox(value, label=label, interactive=True)
    if option.choices:
        return gr.Dropdown(list(option.choices), value=value, label=label, interactive=True)
    if option.type is str:
        return gr.Textbox(value, label=label, interactive=True)
    return gr.Number(value, label=label, precision=0 if option.type is int else None, interactive=True)


def _given(option: str) -> Edit:
    return lambda draft, index, value: draft.given(index, option, value)


def _kept(desk: Desk, index: int, place: str) -> tuple[Any, Any]:
    """What becomes of note and list. A list of places tells of its choice whenever the Tab key passes it, too."""
    before, said = desk.draft, edited(desk, _kept_to(desk, place), index)
    return said, gr.skip() if desk.draft is before else redrawn()


def _kept_to(desk: Desk, place: str) -> Edit:
    """To one of the `show.places`; a step that has one of its own keeps it."""

    def kept(draft: Draft, index: int) -> Draft:
        if place == show.placed(draft.lines[index]):
            return draft
        return draft.placed(index, desk.region(place) if place else None)

    return kept


def _by(index: int, by: int) -> Edit:
    return lambda draft: draft.moved(index, by)


def _without(index: int) -> Edit:
    return lambda draft: draft.removed(index)


def _told_of(line: Line, pool: list[Attempt]) -> Attempt | None:
    """What became of a line's step; each attempt is told of once."""
    step = (line.step.tool, line.step.treats, line.step.regions, line.step.strength)
    found = next((attempt for attempt in pool if line.on and attempt.step == step), None)
    if found is not None:
        pool.remove(found)
    return found
