"""The page: a thin layer of gradio over a `Desk`, one for every browser tab."""

from __future__ import annotations

from importlib import resources
from typing import Any

import gradio as gr

from conservator.policies import POLICIES
from conservator.serve.jobs import Jobs
from conservator.serve.studio import show
from conservator.serve.studio.acts import CANVAS, Acts, Parts
from conservator.serve.studio.brush import PROTECT, TREAT
from conservator.serve.studio.desks import Desks
from conservator.serve.studio.look import THEME
from conservator.serve.studio.plan import plan_list
from conservator.serve.studio.scraps import Scraps
from conservator.tools.added import available

_FILES = resources.files("conservator.serve.studio")

APPEARANCE: dict[str, Any] = {
    "theme": THEME,
    "css": _FILES.joinpath("page.css").read_text("utf-8"),
    "js": _FILES.joinpath("page.js").read_text("utf-8"),
}

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
_NEWEST: dict[str, Any] = _QUIET | {"trigger_mode": "multiple"}

_KEY = """() => {
    const digits = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), b => b.toString(16).padStart(2, "0"));
    return sessionStorage.conservator ??= digits().join("");
}"""
"""What a tab is known by: it survives loading the page again, and ends with the tab."""


def page(jobs: Jobs, scraps: Scraps) -> gr.Blocks:
    """The page over these jobs, to be mounted; what gradio is to keep in files is in the folder of the scraps."""
    made: dict[str, Any] = {}
    desks = Desks(jobs, scraps)
    with gr.Blocks(title="Conservator Studio", analytics_enabled=False) as blocks:
        made["desk"] = gr.State(None, delete_callback=desks.leave)
        key = gr.Textbox(visible=False)
        made["revision"] = gr.State(0)
        gr.HTML(show.heading())
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                restore = _wishes(made)
            with gr.Column(scale=5, min_width=320):
                _pictures(made)
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                rerun, add = _plan(made)
            with gr.Column(scale=1, min_width=320):
                unmask = _where(made)
            with gr.Column(scale=1, min_width=320):
                undo, redo = _history(made)
        parts = Parts(**made)
        acts = Acts(jobs, desks, parts, scraps)
        blocks.load(acts.begin, key, parts.all, js=_KEY, **_QUIET)
        _wire(acts, parts, restore, rerun, add, unmask, undo, redo)
    return blocks.queue(api_open=False, default_concurrency_limit=None)


def _wishes(made: dict[str, Any]) -> gr.Button:
    made["photo"] = gr.File(label="Photograph", height=150, elem_id="photo")
    made["instruction"] = gr.Textbox(
        label="Instruction", lines=2, max_length=500, placeholder="remove the rain, keep the grain",
        elem_id="instruction",
    )  # fmt: skip
    made["policy"] = gr.Dropdown(
        list(POLICIES), value="spatial", label="Who makes the plan", filterable=False, elem_id="policy"
    )
    made["strength"] = gr.Slider(0, 2, 1, step=0.05, label="Overall strength", buttons=[])
    with gr.Row(elem_classes="actions"):
        restore = gr.Button("Restore", variant="primary", min_width=120, elem_id="restore")
        made["cancel"] = gr.Button("Cancel", interactive=False, min_width=80, elem_id="cancel")
    made["status"] = gr.HTML(show.message("Choose a photograph to begin."), elem_id="status")
    made["progress"] = gr.HTML(elem_id="progress")
    return restore


def _pictures(made: dict[str, Any]) -> None:
    with gr.Tab("Compare"):
        made["compare"] = gr.HTML(show.empty("Your photograph appears here."), elem_id="compare")
    with gr.Tab("Regions"):
        made["regions"] = gr.HTML(show.empty("What is found in it, and where, appears here."), elem_id="regions")
    with gr.Tab("Severity"):
        made["maps"] = gr.HTML(show.empty("A map of each kind of damage appears here."), elem_id="maps")


def _plan(made: dict[str, Any]) -> tuple[gr.Button, gr.Button]:
    gr.HTML(show.title("Plan"))
    made["note"] = gr.HTML(elem_id="note", render=False)
    plan_list(made["desk"], made["revision"], made["note"])
    made["note"].render()
    rerun = gr.Button("Run this plan", elem_id="rerun")
    tools = [(f"{tool.name}: {tool.card.summary}", tool.name) for tool in available() if tool.card.scale == 1]
    made["tool"] = gr.Dropdown(tools, label="A tool to add", elem_id="tool")
    return rerun, gr.Button("Add this tool", size="sm", elem_id="add")


def _where(made: dict[str, Any]) -> gr.Button:
    gr.HTML(show.title("Where"))
    gr.HTML(show.legend(TREAT, PROTECT))
    made["target"] = gr.Dropdown(
        [("Every step", show.EVERY)], value=show.EVERY, label="The mask is for", filterable=False, elem_id="target"
    )
    made["mask_note"] = gr.HTML(elem_id="mask-note")
    made["brush"] = gr.ImageEditor(
        label="Paint", type="numpy", format="png", sources=[], transforms=[], layers=False, height=480,
        brush=gr.Brush(colors=[TREAT, PROTECT], default_color=TREAT, color_mode="fixed"),
        canvas_size=(CANVAS, CANVAS * 3 // 4), buttons=[], elem_id="brush",
    )  # fmt: skip
    made["mask"] = gr.File(label="Or a mask file: white is treated", height=150, elem_id="mask")
    return gr.Button("No mask", size="sm", elem_id="unmask")


def _history(made: dict[str, Any]) -> tuple[gr.Button, gr.Button]:
    gr.HTML(show.title("History"))
    with gr.Row(elem_classes="actions"):
        undo, redo = (gr.Button(name, min_width=80, elem_id=name.lower()) for name in ("Undo", "Redo"))
    made["versions"] = gr.Radio([], label="Versions; running from an earlier one makes a branch", elem_id="versions")
    gr.HTML(show.title("Download"))
    made["downloads"] = gr.HTML(show.quiet("Restore a photograph first."), elem_id="downloads")
    return undo, redo


def _wire(
    acts: Acts, p: Parts, restore: Any, rerun: Any, add: Any, unmask: Any, undo: Any, redo: Any
) -> None:
    p.photo.upload(acts.open, [p.desk, p.photo], p.all, **_NEWEST)
    wishes = [p.desk, p.policy, p.strength, p.instruction, p.brush]
    restore.click(acts.restore, wishes, p.all, **_NEWEST)
    rerun.click(acts.rerun, wishes, p.all, **_NEWEST)
    p.cancel.click(acts.cancel, p.desk, p.all, **_NEWEST)
    undo.click(acts.undo, p.desk, p.all, **_NEWEST)
    redo.click(acts.redo, p.desk, p.all, **_NEWEST)
    p.versions.input(acts.go, [p.desk, p.versions], p.all, **_NEWEST)
    add.click(acts.add, [p.desk, p.tool], p.all, **_QUIET)
    p.mask.upload(acts.mask, [p.desk, p.mask], p.all, **_QUIET)
    p.target.input(acts.aim, [p.desk, p.target, p.brush], p.all, **_NEWEST)
    p.revision.change(acts.redrawn, p.desk, p.all, **_QUIET)
    unmask.click(acts.unmask, p.desk, p.all, **_QUIET)
