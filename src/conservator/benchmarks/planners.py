"""A language model as planner and as reader: how often its answers hold, what they cost, and what they add.

Photographs suffer two kinds of damage in different regions, and the model plans on what the embedded perceiver finds.
Instructions are read and compared with what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from conservator.agents.endpoint import Endpoint
from conservator.agents.language import LanguagePlanner
from conservator.agents.reader import GRAMMAR, MODEL, LanguageReader
from conservator.benchmarks.figures import mean, percent
from conservator.benchmarks.measuring import OnRow, decibel, result_of
from conservator.benchmarks.photos import read, to_bytes, to_unit
from conservator.benchmarks.results import Findings, Row
from conservator.errors import UsageError
from conservator.policies.llm import llm
from conservator.synthesis import degrade, draw_spatial
from conservator.treatment import Treatment, restore
from conservator.wishes import Wishes, parse

TITLE = "A language model plans and reads"

READ = (
    ("remove the rain, keep the grain", "remove the rain, keep the grain"),
    ("denoise it, but leave the sky alone", "denoise it, but leave the sky alone"),
    ("brighten the foreground a little", "brighten the foreground a little"),
    ("get those raindrops off", "remove the rain"),
    ("it is way too murky, clear up the fog", "remove the haze"),
    ("looks like it was saved as a terrible jpeg, sort that out", "remove the compression"),
    ("the left part is grainy, smooth it out there", "remove the noise on the left"),
    ("put my uncle on the beach", None),
    ("make the background a sunset", None),
)
"""What is said, and what it means in the grammar's words; None cannot be done. Of the first three the grammar knows the
words, of the others it does not."""


def run(
    photos: Sequence[Path], endpoint: Endpoint, *, seed: int = 0, model: Any = None, on_row: OnRow | None = None
) -> Findings:
    """Plan for every photograph and read every instruction; `model` stands in for the endpoint's."""
    rows: list[Row] = []
    for row in chain(_read(endpoint, model), _planned(photos, endpoint, seed, model)):
        rows.append(row)
        if on_row is not None:
            on_row(row)
    tables = {"plans": [_plans(rows)], "instructions": _readings(rows), "readings": [_answers(rows)]}
    return Findings(TITLE, tables, rows, {"photos": len(photos), "model": endpoint.model, "calls": endpoint.calls})


def _planned(photos: Sequence[Path], endpoint: Endpoint, seed: int, model: Any) -> Iterator[Row]:
    for index, path in enumerate(photos):
        clean = to_unit(read(path))
        sample = degrade(clean, *draw_spatial(clean, np.random.default_rng((seed, index))))
        before, truth = to_bytes(sample.degraded), to_bytes(sample.clean)
        told = restore(before, policy=partial(llm, planner=LanguagePlanner(endpoint, model)))
        alone = restore(before)
        was = decibel(before, truth)
        asked = [event for event in told.record.data["events"] if event["type"] == "asked"]
        fell_back = any(event["type"] == "fell_back" for event in told.record.data["events"])
        yield {
            "photo": path.name, "policy": "llm", "asked": len(asked), "fell_back": fell_back,
            "held_at_once": bool(asked) and all(not event["refused"] and event["error"] is None for event in asked),
            "gain_db": decibel(result_of(told), truth) - was, "spatial_db": decibel(result_of(alone), truth) - was,
            "kept": _kept(told), "refused": [why for event in asked for why in event["refused"]],
            "errors": [event["error"] for event in asked if event["error"]],
            "tokens": [sum(event[f"tokens_{way}"] for event in asked) for way in ("in", "out")],
            "seconds": sum(event["seconds"] for event in asked),
        }  # fmt: skip


def _kept(treatment: Treatment) -> list[str]:
    return [step["tool"] for step in treatment.record.data["plan"]]


def _read(endpoint: Endpoint, model: Any) -> Iterator[Row]:
    reader = LanguageReader(endpoint, model)
    for said, means in READ:
        reply, refusal = reader.ask(said), None
        try:
            understood = reader.reading(said, reply).wishes
        except UsageError as error:  # by the model, or by the grammar where that stepped in
            understood, refusal = None, str(error)
        wanted, alone = None if means is None else parse(means), _grammar(said)
        yield {
            "said": said, "by": GRAMMAR if reply.value is None else MODEL, "refusal": refusal,
            "refused": reply.refused, "error": reply.error, "tokens": list(reply.tokens), "seconds": reply.seconds,
            "wishes": None if understood is None else understood.to_dict()["wishes"],
            "right": _same(understood, wanted), "wrong": understood is not None and not _same(understood, wanted),
            "grammar": _same(alone, wanted), "grammar_wrong": alone is not None and not _same(alone, wanted),
        }  # fmt: skip


def _grammar(said: str) -> Wishes | None:
    try:
        return parse(said)
    except UsageError:
        return None


def _same(one: Wishes | None, other: Wishes | None) -> bool:
    """Whether both ask for the same, in whatever words and order."""
    return _asks(one) == _asks(other)


def _asks(wishes: Wishes | None) -> set[tuple[Any, ...]] | None:
    if wishes is None:
        return None
    return {(wish.action, frozenset(wish.kinds), wish.amount, wish.where) for wish in wishes.wishes}


def _plans(rows: Sequence[Row]) -> Row:
    plans = [row for row in rows if "photo" in row]
    asked = [row for row in plans if row["asked"]]
    return {
        "photos": len(plans), "asked_for": len(asked),
        "held_at_once_percent": percent([row["held_at_once"] for row in asked]),
        "held_percent": percent([not row["fell_back"] for row in asked]),
        "gain_db": mean([row["gain_db"] for row in asked]),
        "spatial_alone_db": mean([row["spatial_db"] for row in asked]),
        "tokens_in": round(mean([row["tokens"][0] for row in asked]) or 0),
        "tokens_out": round(mean([row["tokens"][1] for row in asked]) or 0),
        "mean_seconds": mean([row["seconds"] for row in asked]),
    }  # fmt: skip


def _readings(rows: Sequence[Row]) -> list[Row]:
    read_ = [row for row in rows if "said" in row]
    model = {
        "reader": "language model, or grammar where it fails", "instructions": len(read_),
        "right_percent": percent([row["right"] for row in read_]),
        "misunderstood_percent": percent([row["wrong"] for row in read_]),
        "grammar_stepped_in_percent": percent([row["by"] == GRAMMAR for row in read_]),
    }  # fmt: skip
    grammar = {
        "reader": "grammar", "instructions": len(read_), "right_percent": percent([row["grammar"] for row in read_]),
        "misunderstood_percent": percent([row["grammar_wrong"] for row in read_]), "grammar_stepped_in_percent": None,
    }  # fmt: skip
    return [model, grammar]


def _answers(rows: Sequence[Row]) -> Row:
    read_ = [row for row in rows if "said" in row]
    return {
        "instructions": len(read_),
        "held_at_once_percent": percent([not row["refused"] and row["error"] is None for row in read_]),
        "held_percent": percent([row["by"] == MODEL for row in read_]),
        "tokens_in": round(mean([row["tokens"][0] for row in read_]) or 0),
        "tokens_out": round(mean([row["tokens"][1] for row in read_]) or 0),
        "mean_seconds": mean([row["seconds"] for row in read_]),
    }
