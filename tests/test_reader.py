"""Instructions read by a language model: the same schema and checks as the grammar's, which steps in where it fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conservator
from command_line import contents, photograph, run
from conservator.agents.reader import SCHEMA, LanguageReader
from conservator.errors import UsageError
from conservator.record import Ledger
from conservator.wishes import Wishes, parse
from llm_server import KEY, Server, call, serving, text

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
    "kind": told(RAIN | {"kinds": ["ugliness"]}, SKY),
    "action": told(RAIN | {"action": "delete"}, SKY),
    "amount": told(RAIN | {"amount": 9}, SKY),
    "place": told(RAIN | {"where": "my uncle"}, SKY),
    "made up": told(RAIN | {"said": "remove the noise"}, SKY),
    "made up refusal": told(RAIN, SKY, cannot=("paint it blue",)),
    "another field": told(RAIN | {"path": "/etc/passwd"}, SKY),
    "nothing": told(),
    "passed over": told(RAIN),
    "another kind than it is called": told(RAIN | {"kinds": ["noise"]}, SKY),
    "contradiction": told(RAIN, RAIN | {"action": "keep"}, SKY),
    "prose": "Sure, rain removed!",
    "cut short": told(RAIN)[:-9],
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_does_not_hold_is_sent_back_once_and_then_the_grammar_reads(wrong: str) -> None:
    with serving(text(wrong), text(told(RAIN, SKY))) as server:
        reading = LanguageReader(server.endpoint())(SAID)
    assert reading.by == "language model" and len(server.asked) == 2 and len(reading.asked["refused"]) == 1
    with serving(text(wrong)) as server:
        reading = LanguageReader(server.endpoint())("remove the rain")
    assert reading.by == "grammar" and reading.wishes == parse("remove the rain") and reading.asked["error"]


def read_as(action: str, said: str, *kinds: str, where: str | None = None, amount: float = 1) -> dict[str, Any]:
    return {"action": action, "kinds": list(kinds), "amount": amount, "where": where, "said": said}


NO_FACES, NO_GRAIN = "don't touch the faces", "keep the grain"
DERAIN = read_as("treat", "remove the rain", "rain")
TURNED = {
    "inverted": (f"remove the rain, {NO_FACES}", DERAIN, read_as("treat", NO_FACES, "rain", where="faces")),
    "of fewer kinds": (f"remove the rain, {NO_FACES}", DERAIN, read_as("keep", NO_FACES, "noise", where="faces")),
    "elsewhere": (f"remove the rain, {NO_FACES}", DERAIN, read_as("keep", NO_FACES, where="sky")),
    "in a smaller place": (f"remove the rain, {NO_FACES}", DERAIN,
                           read_as("keep", NO_FACES, where="the left part of the faces")),
    "but for a part": ("don't touch the faces and the sky", read_as("keep", "don't touch the faces and the sky",
                                                                   where="the sky")),
    "swallowed by its neighbour": (f"remove the rain, {NO_GRAIN}", DERAIN | {"said": f"remove the rain, {NO_GRAIN}"}),
    "grain taken for noise": (f"remove the rain, {NO_GRAIN}", DERAIN, read_as("treat", NO_GRAIN, "noise")),
    "as a limit": (NO_GRAIN, read_as("limit", NO_GRAIN, "noise", amount=0.5)),
    "a limit as a wish": ("don't denoise too much", read_as("treat", "don't denoise too much", "noise")),
    "a limit that is none": ("don't denoise too much", read_as("limit", "don't denoise too much", "noise", amount=1.5)),
    "Chinese": ("不要动人脸，去雨", read_as("treat", "不要动人脸", where="faces"), read_as("treat", "去雨", "rain")),
    "in other words": ("remove the rain, don't zap the sky's noise", DERAIN,
                       read_as("treat", "don't zap the sky's noise", "noise", where="sky")),
    "in other words, cut": ("don't zap the sky's noise", read_as("keep", "don't", "rain"),
                            read_as("treat", "zap the sky's noise", "noise", where="sky")),
    "a wish as a prohibition": ("remove the rain, zap the sky's fuzz", DERAIN | {"action": "keep"},
                                read_as("treat", "zap the sky's fuzz", "noise", where="sky")),
    "a wish all over": ("remove the rain in the sky", read_as("treat", "remove the rain in the sky", "rain")),
    "more than was asked for": ("remove the rain", DERAIN | {"kinds": ["rain", "noise"]}),
    "a contradiction passed over": ("remove the noise, keep the noise", read_as("treat", "remove the noise", "noise"),
                                    read_as("keep", "keep the noise", "rain")),
}  # fmt: skip


@pytest.mark.parametrize("said, wishes", [(said, wishes) for said, *wishes in TURNED.values()], ids=TURNED)
def test_a_prohibition_is_neither_lost_nor_turned_round(said: str, wishes: list[dict[str, Any]]) -> None:
    with serving(text(told(*wishes))) as server:
        reply = LanguageReader(server.endpoint()).ask(said)
    assert reply.value is None and len(server.asked) == 2, "it was sent back once"
    assert len(reply.refused) == 2 and reply.error


def test_where_a_prohibition_is_lost_twice_the_grammar_reads_and_the_record_says_so() -> None:
    said = f"remove the rain, {NO_FACES}"
    lost = text(told(DERAIN, read_as("treat", NO_FACES, "rain", where="faces")))
    with serving(lost, text(told(DERAIN, read_as("keep", NO_FACES, where="faces")))) as server:
        repaired = LanguageReader(server.endpoint())(said)
    assert repaired.by == "language model" and "is lost" in json.dumps(server.asked[1]["messages"])
    with serving(lost) as server:
        reading = LanguageReader(server.endpoint())(said)
    assert reading.by == "grammar" and reading.wishes == parse(said)
    ledger = Ledger()
    reading.tell(ledger)
    asked, fell = ledger.events
    assert "is lost" in asked["refused"][0]["why"] and fell["type"] == "fell_back" and fell["to"] == "grammar"


HOLDS = {
    "the same": (f"remove the rain, {NO_FACES}", DERAIN, read_as("keep", NO_FACES, where="faces")),
    "a wider prohibition": (f"remove the rain, {NO_FACES}", DERAIN, read_as("keep", NO_FACES, where="faces and skin")),
    "by its parts": ("don't touch the faces and the sky", read_as("keep", "don't touch the faces", where="faces"),
                     read_as("keep", "and the sky", where="sky")),
    "one of two kinds of blur": ("sharpen the faces", read_as("treat", "sharpen the faces", "defocus_blur",
                                                              where="faces")),
    "another amount": ("denoise a little", read_as("treat", "denoise a little", "noise", amount=0.3)),
    "other words": ("don't zap the sky's noise", read_as("keep", "don't zap the sky's noise", "noise", where="sky")),
    "what was left open": ("no fuzz, remove the rain", read_as("treat", "no fuzz", "noise"), DERAIN),
    "not left": ("don't leave any fuzz", read_as("treat", "don't leave any fuzz", "noise")),
}  # fmt: skip


@pytest.mark.parametrize("said, wishes", [(said, wishes) for said, *wishes in HOLDS.values()], ids=HOLDS)
def test_a_reading_that_agrees_is_taken(said: str, wishes: list[dict[str, Any]]) -> None:
    with serving(text(told(*wishes))) as server:
        reply = LanguageReader(server.endpoint()).ask(said)
    assert reply.value is not None and not reply.refused, reply.refused


def test_what_cannot_be_done_is_named_as_the_grammar_does() -> None:
    with serving(text(told(RAIN, cannot=("the sky stays",)))) as server, pytest.raises(UsageError) as raised:
        LanguageReader(server.endpoint())(SAID)
    assert "cannot: the sky stays" in str(raised.value)
    with serving((500, "{}")) as server, pytest.raises(UsageError, match="raindrops"):
        LanguageReader(server.endpoint())(SAID)


def test_a_reading_is_an_instruction_and_is_replayed_without_a_server() -> None:
    noisy = np.random.default_rng(0).normal(128, 30, (72, 80, 3)).clip(0, 255).astype(np.uint8)
    left = {"action": "keep", "kinds": ["noise"], "amount": 1, "where": "left", "said": "not the left"}
    with serving(text(told(RAIN | {"kinds": ["noise"], "said": "noise off"}, left))) as server:
        reading = LanguageReader(server.endpoint())("noise off, not the left")
    treatment = conservator.restore(noisy, instruction=reading.wishes)
    kept = np.s_[:, :30]
    assert np.array_equal(treatment.photo.samples[kept], treatment.original.samples[kept]) and not treatment.unchanged
    assert treatment.record.data["call"]["wishes"] == reading.wishes.to_dict()
    again = conservator.replay(treatment.record, noisy)
    assert np.array_equal(again.photo.samples, treatment.photo.samples)


# the command line

FUZZ = {"action": "treat", "kinds": ["noise"], "amount": 1, "where": None, "said": "get that sensor fuzz off"}


def asked_for(said: str, photo: Path, *more: object) -> Any:
    return run("restore", photo, "--overwrite", "--reader", "llm", "--instruction", said, *more)


def events(record: Path, kind: str) -> list[dict[str, Any]]:
    return [event for event in json.loads(record.read_text())["events"] if event["type"] == kind]


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], None]:
    """Names a server as the user does."""

    def name(server: Server) -> None:
        for variable, value in (("URL", server.url), ("MODEL", "tiny"), ("KEY", KEY), ("PRICES", "1,1")):
            monkeypatch.setenv(f"CONSERVATOR_LLM_{variable}", value)

    return name


def test_restore_asks_a_model_once_and_replays_without_it(named: Callable[[Server], None], tmp_path: Path) -> None:
    photos = [photograph(tmp_path / f"{name}.png", seed=seed) for seed, name in enumerate(("a", "b"))]
    record = tmp_path / "a.restored.record.json"
    with serving(text(told(FUZZ))) as server:
        named(server)
        done = asked_for(FUZZ["said"], photos[0], photos[1])
    assert done.exit_code == 0, done.output
    assert len(server.asked) == 1 and "reads the instruction" in done.output and "treats noise" in done.output
    call, (event,) = json.loads(record.read_text())["call"], events(record, "asked")
    assert call["instruction"] == FUZZ["said"] and call["wishes"]["wishes"][0]["kinds"] == ["noise"]
    assert (event["role"], event["by"], event["tokens_in"]) == ("reader", "language model", 1000) and event["cost"] > 0
    assert not events(record, "fell_back") and KEY not in record.read_text()
    again = run("replay", record)
    assert again.exit_code == 0 and len(server.asked) == 1, again.output
    assert (tmp_path / "a.replayed.png").read_bytes() == (tmp_path / "a.restored.png").read_bytes()


def test_restore_goes_on_with_the_grammar_and_says_so(named: Callable[[Server], None], tmp_path: Path) -> None:
    photo, record = photograph(tmp_path / "a.png"), tmp_path / "a.restored.record.json"
    with serving((500, "{}")) as server:
        named(server)
        done = asked_for("remove the noise", photo)
        unknown = asked_for(FUZZ["said"], photo)
    assert done.exit_code == 0 and "the grammar reads the instruction" in done.output, done.output
    assert events(record, "fell_back")[0]["to"] == events(record, "asked")[0]["by"] == "grammar"
    assert unknown.exit_code == 2 and "cannot" in unknown.output and "language model gave no answer" in unknown.output


def test_restore_names_what_a_model_cannot_do_and_who_is_to_be_asked(
    named: Callable[[Server], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = photograph(tmp_path / "a.png")
    before = contents(tmp_path)
    with serving(text(told(cannot=("another background",)))) as server:
        named(server)
        refused = asked_for("another background", photo)
    assert refused.exit_code == 2 and "cannot: another background" in refused.output
    monkeypatch.delenv("CONSERVATOR_LLM_URL")
    unnamed, wrong = asked_for("remove the noise", photo), run("restore", photo, "--reader", "oracle")
    assert unnamed.exit_code == 2 and "CONSERVATOR_LLM_URL" in unnamed.output
    assert wrong.exit_code == 2 and "grammar or llm" in wrong.output
    assert contents(tmp_path) == before


def test_the_schema_is_that_of_wishes() -> None:
    wish = SCHEMA["properties"]["wishes"]["items"]
    (made,) = parse("remove the rain").wishes
    assert set(wish["required"]) == set(made.to_dict())
    assert Wishes.from_dict({"wishes": [RAIN]}).wishes[0].kinds == ("rain",)
