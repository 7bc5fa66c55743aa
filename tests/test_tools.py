"""Tools: a mistake in a signature or a card shows at import; registries are values."""

from __future__ import annotations

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from conservator.degradations import DEGRADATIONS, Stage
from conservator.errors import ToolDefinitionError, UsageError
from conservator.pixels.types import Maps, Pixels
from conservator.tools.card import Kind, Tiles, Tool, tool
from conservator.tools.registry import TOOLS, Registry, tools_in
from conservator.tools.testing import FakeTool

NOISE_TOOL: dict[str, Any] = {"treats": ("noise",), "source": "none", "summary": "nothing"}


def define(function: Callable[..., Pixels], **card: Any) -> Tool:
    return tool(**NOISE_TOOL | card)(function)


def plain(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:
    """Leaves everything as it is.

    And says so at length.
    """
    return pixels


def test_name_summary_and_stage_come_from_the_function_and_what_it_treats() -> None:
    made = tool(treats=["noise", "motion_blur"], source="none", halo=24, multiple_of=8, models=["net"])(plain)
    assert (made.name, made.card.summary) == ("plain", "Leaves everything as it is.")
    assert (made.card.treats, made.card.stage) == (("noise", "motion_blur"), Stage.IMAGING)
    assert (made.card.halo, made.card.multiple_of, made.card.models) == (24, 8, ("net",))
    assert (made.card.tiles, made.card.kind, made.card.scale) == (Tiles.FREE, Kind.REGRESSIVE, 1)


def test_a_tool_across_stages_must_say_where_it_belongs() -> None:
    with pytest.raises(ToolDefinitionError, match=r"compression and imaging.*pass stage="):
        define(plain, treats=("noise", "jpeg"))
    assert define(plain, treats=("noise", "jpeg"), stage=Stage.COMPRESSION).card.stage is Stage.COMPRESSION


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"treats": ()}, "treats"),
        ({"treats": ("noize",)}, "treats.*noize.*noise"),
        ({"treats": ("noise", "noise")}, "each once"),
        ({"name": "De-Noise"}, "name"),
        ({"halo": -1}, "halo=-1.*≥ 0"),
        ({"halo": 1.5}, "halo=1.5"),
        ({"multiple_of": 0}, "multiple_of=0"),
        ({"scale": 0}, "scale=0"),
        ({"side": 20, "halo": 5}, "side=20.*at least 24"),
        ({"source": " "}, "source is empty"),
        ({"licence": ""}, "licence is empty"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(card: dict[str, Any], message: str) -> None:
    with pytest.raises(ToolDefinitionError, match=message):
        define(plain, **card)


def untyped(pixels, severity: Maps, survey: Maps) -> Pixels:  # type: ignore[no-untyped-def]
    return np.asarray(pixels)


def swapped(severity: Maps, pixels: Pixels, survey: Maps) -> Pixels:
    return pixels


def short(pixels: Pixels, severity: Maps) -> Pixels:
    return pixels


def wrong_type(pixels: int, severity: Maps, survey: Maps) -> Pixels:
    raise NotImplementedError


def no_return(pixels: Pixels, severity: Maps, survey: Maps):  # type: ignore[no-untyped-def]
    return pixels


def positional_option(pixels: Pixels, severity: Maps, survey: Maps, grain: float = 0.0) -> Pixels:
    return pixels


def untyped_option(pixels: Pixels, severity: Maps, survey: Maps, *, grain=0.0) -> Pixels:  # type: ignore[no-untyped-def]
    return pixels


def required_option(pixels: Pixels, severity: Maps, survey: Maps, *, grain: float) -> Pixels:
    return pixels


def mistyped_default(pixels: Pixels, severity: Maps, survey: Maps, *, grain: float = 0) -> Pixels:
    return pixels


def array_option(pixels: Pixels, severity: Maps, survey: Maps, *, kernel: Pixels | None = None) -> Pixels:
    return pixels


def anything(pixels: Pixels, severity: Maps, survey: Maps, **options: float) -> Pixels:
    return pixels


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (untyped, "untyped: 'pixels' has no type"),
        (swapped, "swapped: parameter 1 is not 'pixels'"),
        (short, "short: parameter 3 is not 'survey'"),
        (wrong_type, "wrong_type: 'pixels' is a <class 'int'>"),
        (no_return, "no_return: 'return' has no type"),
        (positional_option, "'grain' is not keyword-only"),
        (untyped_option, "untyped_option: 'grain' has no type"),
        (required_option, "'grain' has no default"),
        (mistyped_default, "'grain' has no default of its own type"),
        (array_option, "'kernel' is a .*wanted bool, int, float, str"),
        (anything, "'options' is not keyword-only"),
    ],
)
def test_a_function_that_breaks_the_contract_is_refused_at_import(
    function: Callable[..., Pixels], message: str
) -> None:
    with pytest.raises(ToolDefinitionError, match=message):
        define(function)


def good_survey(thumbnail: Pixels, severity: Maps) -> Maps:
    return severity


def bad_survey(thumbnail: Pixels) -> Maps:
    return thumbnail


def greedy_survey(thumbnail: Pixels, severity: Maps, more: int = 0) -> Maps:
    return severity


def test_a_survey_is_checked_too() -> None:
    assert define(plain, survey=good_survey).survey is good_survey
    with pytest.raises(ToolDefinitionError, match="plain: survey: parameter 2 is not 'severity'"):
        define(plain, survey=bad_survey)
    with pytest.raises(ToolDefinitionError, match="'more' is one too many"):
        define(plain, survey=greedy_survey)


def grainy(
    pixels: Pixels,
    severity: Maps,
    survey: Maps,
    *,
    grain: float = 0.0,
    passes: int = 1,
    fast: bool = False,
    mode: Literal["soft", "hard"] = "soft",
) -> Pixels:
    return pixels


def test_options_are_checked_before_anything_runs() -> None:
    made = define(grainy)
    assert list(made.options) == ["grain", "passes", "fast", "mode"]
    assert made.checked({"grain": 1, "mode": "hard"}) == {"grain": 1.0, "mode": "hard"}
    assert type(made.checked({"grain": 1})["grain"]) is float


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grane": 0.5}, "grainy has no option 'grane'.*did you mean grain"),
        ({"grain": "much"}, "grain='much'; wanted a finite float"),
        ({"grain": float("nan")}, "grain=nan"),
        ({"passes": True}, "passes=True; wanted a finite int"),
        ({"passes": 1.5}, "passes=1.5"),
        ({"mode": "loud"}, "mode='loud'; wanted one of 'soft', 'hard'"),
    ],
)
def test_a_wrong_option_names_what_would_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        define(grainy).checked(options)


@pytest.fixture
def registry() -> Registry:
    return Registry(
        [
            FakeTool("denoise"),
            FakeTool("sr_small", treats=("low_resolution",)),
            FakeTool("sr_large", treats=("low_resolution",)),
            FakeTool("joint", treats=("noise", "jpeg")),
        ]
    )


def test_leaving_tools_out_gives_another_set(registry: Registry) -> None:
    assert registry.without("sr_*", "joint").names == ("denoise",)
    assert registry.without().names == registry.names == ("denoise", "sr_small", "sr_large", "joint")
    assert registry.without("nothing_*").names == registry.names


def test_a_misspelt_exclusion_is_an_error_not_a_silent_inclusion(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"no tool 'denoize'.*did you mean denoise"):
        registry.without("denoize")


def test_tools_are_chosen_by_what_they_treat(registry: Registry) -> None:
    assert registry.treating("noise").names == ("denoise", "joint")
    assert registry.treating({"jpeg", "low_resolution"}).names == ("sr_small", "sr_large", "joint")
    assert len(registry.treating(())) == 0
    with pytest.raises(UsageError, match="no degradation noize"):
        registry.treating("noize")


def test_adding_is_all_or_nothing(registry: Registry) -> None:
    more = registry.add(FakeTool("derain"), FakeTool("dehaze"))
    assert more.names == (*registry.names, "derain", "dehaze")
    with pytest.raises(ToolDefinitionError, match="two tools named 'joint'"):
        more.add(FakeTool("deblur"), FakeTool("joint"))
    assert "deblur" not in more and "derain" not in registry


def test_a_tool_is_found_by_name(registry: Registry) -> None:
    assert registry.get("joint").name == "joint" and "joint" in registry
    assert [entry.name for entry in registry] == list(registry.names)
    assert repr(registry.without("sr_*")) == "Registry(denoise, joint)"
    with pytest.raises(UsageError, match=r"no tool 'jiont'; wanted one of: denoise.*did you mean joint"):
        registry.get("jiont")


def test_a_module_gives_the_tools_it_defines_and_not_those_it_imports() -> None:
    module = types.ModuleType("somewhere")
    source = (
        "from conservator.pixels.types import Maps, Pixels\n"
        "from conservator.tools.card import tool\n"
        "@tool(treats=('noise',), source='none')\n"
        "def first(pixels: Pixels, severity: Maps, survey: Maps) -> Pixels:\n"
        "    'Does nothing.'\n"
        "    return pixels\n"
    )
    exec(compile(source, "somewhere.py", "exec"), vars(module))
    vars(module)["borrowed"] = define(plain)
    assert [entry.name for entry in tools_in(module)] == ["first"]


def test_every_shipped_tool_stands_in_a_file_of_its_own_and_treats_known_damage() -> None:
    for entry in TOOLS:
        file = Path(entry.treat.__code__.co_filename)
        assert file.stem == entry.name
        assert set(entry.card.treats) <= {d.name for d in DEGRADATIONS}
        assert "fake" not in entry.name


def test_a_tool_is_a_function_for_language_models() -> None:
    """What its schema allows is what the tool takes; a server's constrained decoding needs nothing else."""
    import json

    from conservator.tools.functions import function

    made = {one.name: function(one) for one in TOOLS}
    assert json.loads(json.dumps(made)) == made and len(made) == len(list(TOOLS))
    for one in TOOLS:
        assert set(made[one.name]) == {"type", "function"} and made[one.name]["function"]["description"]
        schema = made[one.name]["function"]["parameters"]
        given = {name: entry["default"] for name, entry in schema["properties"].items() if name in one.options}
        assert one.checked(given) == given and schema["additionalProperties"] is False
        assert schema["properties"]["treats"]["items"]["enum"] == list(one.card.treats)
        assert set(schema["properties"]) == {"treats", "strength", *one.options}
    scale = made["super_resolution"]["function"]["parameters"]["properties"]["scale"]
    assert scale == {"type": "integer", "default": scale["default"], "enum": [2, 3, 4]}
