"""Instructions read by a language model: the same schema and checks as the grammar's, which steps in where it fails."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import conservator
from conservator.agents.reader import SCHEMA, LanguageReader
from conservator.errors import UsageError
from conservator.wishes import Wishes, parse
from llm_server import call, serving, text

pytest.importorskip("pydantic_ai", reason="pydantic-ai is not installed: pip install 'conservator[agents]'")

SAID = "get those raindrops off, but the sky stays"
RAIN = {"action": "treat", "kinds": ["rain"], "amount": 1, "where": None, "said": "get those raindrops off"}
SKY = {"action": "keep", "kinds": [], "amount": 1, "where": "the sky", "said": "the sky stays"}


def told(*wishes: dict[str, Any], cannot: tuple[str, ...] = ()) -> str:
    return json.dumps({"wishes": list(wishes), "cannot": list(cannot)})


@pytest.mark.parametrize("form", [text, call], ids=["text", "tool call"])
def test_what_the_grammar_does_not_know_a_model_may(form: Any) -> None:
    with pytest.raises(UsageError, match="cannot"):
        parse(SAID)
    with serving(form(told(RAIN, SKY))) as server:
        reading = LanguageReader(server.endpoint(prices=(1.0, 1.0)))(SAID)
    assert reading.by == "language model" and reading.wishes.only == {"rain"}
    assert [wish.where for wish in reading.wishes.wishes] == [None, "sky"]
    assert reading.asked["tokens_in"] == 1000 and reading.asked["cost"] == pytest.approx(1050 / 1e6)
    assert server.asked[0]["messages"][-1]["content"] == SAID


WRONG = {
    "kind": told(RAIN | {"kinds": ["ugliness"]}),
    "action": told(RAIN | {"action": "delete"}),
    "amount": told(RAIN | {"amount": 9}),
    "place": told(RAIN | {"where": "my uncle"}),
    "made up": told(RAIN | {"said": "remove the noise"}),
    "made up refusal": told(RAIN, cannot=("paint it blue",)),
    "another field": told(RAIN | {"path": "/etc/passwd"}),
    "nothing": told(),
    "contradiction": told(RAIN, RAIN | {"action": "keep"}),
    "prose": "Sure, rain removed!",
    "cut short": told(RAIN)[:-9],
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_does_not_hold_is_sent_back_once_and_then_the_grammar_reads(wrong: str) -> None:
    with serving(text(wrong), text(told(RAIN))) as server:
        reading = LanguageReader(server.endpoint())(SAID)
    assert reading.by == "language model" and len(server.asked) == 2 and len(reading.asked["refused"]) == 1
    with serving(text(wrong)) as server:
        reading = LanguageReader(server.endpoint())("remove the rain")
    assert reading.by == "grammar" and reading.wishes == parse("remove the rain") and reading.asked["error"]


def test_what_cannot_be_done_is_named_as_the_grammar_does() -> None:
    with serving(text(told(RAIN, cannot=("the sky stays",)))) as server, pytest.raises(UsageError) as raised:
        LanguageReader(server.endpoint())(SAID)
    assert "cannot: the sky stays" in str(raised.value)
    with serving((500, "{}")) as server, pytest.raises(UsageError, match="raindrops"):
        LanguageReader(server.endpoint())(SAID)


def test_a_reading_is_an_instruction_and_is_replayed_without_a_server() -> None:
    noisy = np.random.default_rng(0).normal(128, 30, (72, 80, 3)).clip(0, 255).astype(np.uint8)
    left = {"action": "keep", "kinds": ["noise"], "amount": 1, "where": "left", "said": "the left"}
    with serving(text(told(RAIN | {"kinds": ["noise"], "said": "noise"}, left))) as server:
        reading = LanguageReader(server.endpoint())("noise off, not the left")
    treatment = conservator.restore(noisy, instruction=reading.wishes)
    kept = np.s_[:, :30]
    assert np.array_equal(treatment.photo.samples[kept], treatment.original.samples[kept]) and not treatment.unchanged
    assert treatment.record.data["call"]["wishes"] == reading.wishes.to_dict()
    again = conservator.replay(treatment.record, noisy)
    assert np.array_equal(again.photo.samples, treatment.photo.samples)


def test_the_schema_is_that_of_wishes() -> None:
    wish = SCHEMA["properties"]["wishes"]["items"]
    (made,) = parse("remove the rain").wishes
    assert set(wish["required"]) == set(made.to_dict())
    assert Wishes.from_dict({"wishes": [RAIN]}).wishes[0].kinds == ("rain",)
