"""The commands beside restore: diagnose, treat, tools, synth, bench."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from command_line import contents, photograph, run
from conservator.cli.treat import parse_settings
from conservator.degradations import NAMES
from conservator.errors import UsageError
from conservator.masks import read_mask
from conservator.report.phrases import phrase
from conservator.synthesis import Damage, apply
from conservator.tools.registry import TOOLS


def test_diagnose_prints_tables_and_changes_nothing(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png", noise=40)
    result = run("diagnose", photo)
    assert result.exit_code == 0, result.stderr
    assert "104×72" in result.stdout and "noise" in result.stdout and "region" in result.stdout
    assert contents(tmp_path).keys() == {"street.png"}


def test_diagnose_gives_json_lines(tmp_path: Path) -> None:
    photograph(tmp_path / "a.png", noise=40)
    (tmp_path / "b.png").write_bytes(b"")
    result = run("diagnose", tmp_path, "--json")
    good, bad = (json.loads(line) for line in result.stdout.splitlines())
    assert good["size"] == [72, 104] and "noise" in good["degradations"]
    assert bad["status"] == "failed" and result.exit_code == 3


def test_diagnose_draws_the_regions_and_spares_the_photograph(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png", noise=40)
    overlay = tmp_path / "overlay.png"
    assert run("diagnose", photo, "--overlay", overlay).exit_code == 0
    assert Image.open(overlay).format == "PNG"
    assert run("diagnose", photo, "--overlay", overlay).exit_code == 4
    assert run("diagnose", photo, "--overlay", photo, "--overwrite").exit_code == 4
    assert run("diagnose", photo, "--overlay", overlay, "--overwrite").exit_code == 0
    assert run("diagnose", photo, "--overlay", "-").exit_code == 2


@pytest.mark.parametrize("suffix", ["json", "geojson", "svg"])
def test_diagnose_writes_the_regions_as_masks_that_restore_reads(tmp_path: Path, suffix: str) -> None:
    photo = photograph(tmp_path / "street.png", noise=40)
    masks = tmp_path / f"masks.{suffix}"
    assert run("diagnose", photo, "--masks", masks).exit_code == 0
    assert run("diagnose", photo, "--masks", masks).exit_code == 4
    assert run("diagnose", photo, "--masks", photo, "--overwrite").exit_code == 4
    assert read_mask(masks, (72, 104), photo="street.png").all(), "the regions cover the frame"
    done = run("restore", photo, "--protect", f"{masks}:0.5", "--mask", masks, "-o", tmp_path / "out.png")
    assert done.exit_code == 0, done.stderr
    assert run("restore", photo, "--mask", masks, "-o", tmp_path / "b.png", "--record", masks).exit_code == 4


def test_masks_have_the_style_and_the_points_that_are_asked_for(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png", noise=40)

    def written(name: str, *options: str) -> Path:
        done = run("diagnose", photo, "--select", "left", "--masks", tmp_path / name, *options)
        assert done.exit_code == 0, done.stderr
        assert read_mask(tmp_path / name, (72, 104), photo="street.png")[:, :45].all()
        return tmp_path / name

    def outline(file: Path) -> Any:
        return json.loads(file.read_text())["annotations"][0]["segmentation"]

    assert isinstance(outline(written("a.json"))["counts"], str)
    assert isinstance(outline(written("b.json", "--mask-style", "counts"))["counts"], list)
    assert isinstance(outline(written("c.json", "--mask-style", "polygons")), list)
    assert len(outline(written("d.json", "--mask-points", "4"))[0]) <= 8
    written("e.svg", "--mask-points", "4")
    written("f.geojson", "--mask-points", "4")
    for name, *wrong in (
        ("g.png", "--mask-points", "8"), ("g.svg", "--mask-style", "counts"), ("g.json", "--mask-style", "dots"),
        ("g.json", "--mask-style", "counts", "--mask-points", "8"), ("g.json", "--mask-points", "3"),
    ):  # fmt: skip
        assert run("diagnose", photo, "--masks", tmp_path / name, *wrong).exit_code == 2, wrong
    assert run("diagnose", photo, "--mask-points", "8").exit_code == 2
    empty = run("diagnose", photo, "--select", "faces", "--masks", tmp_path / "g.json")
    assert empty.exit_code == 4 and "faces" in empty.stderr and not (tmp_path / "g.json").exists()


def test_masks_of_a_folder_go_into_a_folder(tmp_path: Path) -> None:
    photograph(tmp_path / "scans/a.png", seed=1)
    photograph(tmp_path / "scans/1998/b.png", seed=2)
    assert run("diagnose", tmp_path / "scans", "--masks", tmp_path / "masks").exit_code == 0
    assert contents(tmp_path / "masks").keys() == {"a.png.masks.json", "1998/b.png.masks.json"}
    assert run("diagnose", tmp_path / "scans", "--masks", tmp_path / "masks.json").exit_code == 2
    assert run("diagnose", tmp_path / "scans/a.png", "--masks", "-").exit_code == 2


def test_diagnose_finds_the_part_that_a_phrase_names(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png", noise=40)
    overlay, mask = tmp_path / "overlay.png", tmp_path / "mask.png"
    done = run("diagnose", photo, "--select", "右边", "--overlay", overlay, "--masks", mask)
    assert done.exit_code == 0, done.stderr
    assert "right: 50% of the frame, confidence 1.00" in done.stdout
    drawn = read_mask(mask, (72, 104))
    assert drawn[:, 60:].all() and not drawn[:, :45].any() and Image.open(overlay).format == "PNG"
    facts = json.loads(run("diagnose", photo, "--select", "hazy faces", "--json").stdout)
    assert facts["selection"]["missing"] == ["hazy", "faces"] and facts["selection"]["area"] == 0
    refused = run("diagnose", photo, "--select", "the door", "--overlay", tmp_path / "none.png")
    assert refused.exit_code == 2 and "door" in refused.stderr and not (tmp_path / "none.png").exists()


def test_restore_says_how_it_understood_each_clause(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png", noise=40)
    done = run("restore", photo, "-i", "remove the noise strongly, don't touch the left half")
    assert done.exit_code == 0, done.stderr
    assert "understood “remove the noise strongly”: treats noise × 1.5" in done.stderr
    assert "understood “don't touch the left half”: leaves everything in: left (left: 50%" in done.stderr
    refused = run("restore", photo, "-i", "remove the noise, change the background", "--overwrite")
    assert refused.exit_code == 2 and "change the background" in refused.stderr


def test_treat_applies_one_tool(tmp_path: Path) -> None:
    photo = photograph(tmp_path / "street.png", noise=40)
    tool = next(iter(TOOLS.treating("noise"))).name
    result = run("treat", tool, photo)
    assert result.exit_code == 0, result.stderr
    record = json.loads((tmp_path / "street.treated.record.json").read_text("utf-8"))
    assert [step["tool"] for step in record["plan"]] == [tool]
    treated = np.asarray(Image.open(tmp_path / "street.treated.png"))
    assert (treated != np.asarray(Image.open(photo))).any()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["no_such_tool"], "no tool"), (["{tool}", "--set", "colour"], "NAME=VALUE"), (["{tool}", "--set", "x=1"], "'x'")],
)
def test_treat_refuses_what_it_does_not_know_before_any_work(tmp_path: Path, arguments: list[str], says: str) -> None:
    photo = photograph(tmp_path / "street.png")
    name, *settings = (argument.format(tool=TOOLS.names[0]) for argument in arguments)
    result = run("treat", name, photo, *settings)
    assert result.exit_code == 2
    assert says in result.stderr
    assert contents(tmp_path).keys() == {"street.png"}


def test_settings_are_json_or_words() -> None:
    parsed = parse_settings(["a=0.5", "b=true", "c=soft", "d=x=y"])
    assert parsed == {"a": 0.5, "b": True, "c": "soft", "d": "x=y"}
    with pytest.raises(UsageError):
        parse_settings(["1a=2"])


def test_tools_lists_every_tool() -> None:
    shown = run("tools")
    assert shown.exit_code == 0
    assert all(name in shown.stdout for name in TOOLS.names)
    cards = json.loads(run("tools", "--json").stdout)
    assert [card["name"] for card in cards] == list(TOOLS.names)
    assert all(card["licence"] and card["summary"] for card in cards)
    noisy = json.loads(run("tools", "--treating", "noise", "--json").stdout)
    assert noisy and all("noise" in card["treats"] for card in noisy)
    assert run("tools", "--treating", "boredom").exit_code == 2


def test_synth_writes_pairs_with_their_truth(tmp_path: Path) -> None:
    photograph(tmp_path / "clean/x/a.png", noise=0)
    out = tmp_path / "out"
    result = run("synth", tmp_path / "clean", "-o", out, "--seed", 3)
    assert result.exit_code == 0, result.stderr
    recipe = json.loads((out / "recipes/x/a.json").read_text("utf-8"))
    truth = np.load(out / recipe["truth"])
    assert list(truth["names"]) == list(NAMES)
    clean, degraded = (np.asarray(Image.open(out / recipe[kind])) for kind in ("clean", "degraded"))
    assert (clean != degraded).any()
    kinds = {damage["kind"] for damage in recipe["damages"]}
    assert {file.name for file in (out / "truth/x").glob("*.png")} == {f"a.{kind}.png" for kind in kinds}
    damages = [
        Damage(d["kind"], d["parameters"], d["seed"], None if d["region"] is None else truth["regions"][d["region"]])
        for d in recipe["damages"]
    ]
    again, severity = apply(clean.astype(np.float32) / np.float32(255), damages)
    assert (np.rint(again * 255) == degraded).all()
    assert np.array_equal(severity, truth["severity"])


def test_synth_depends_on_seed_and_name_alone(tmp_path: Path) -> None:
    photograph(tmp_path / "one/a.png", noise=0)
    photograph(tmp_path / "two/a.png", noise=0)
    photograph(tmp_path / "two/0.png", noise=0, seed=4)
    for folder, seed in (("one", 1), ("two", 1)):
        assert run("synth", tmp_path / folder, "-o", tmp_path / f"{folder}-out", "--seed", seed).exit_code == 0
    same = [(tmp_path / f"{folder}-out/degraded/a.png").read_bytes() for folder in ("one", "two")]
    assert same[0] == same[1]
    assert run("synth", tmp_path / "one", "-o", tmp_path / "other", "--seed", 2).exit_code == 0
    assert (tmp_path / "other/degraded/a.png").read_bytes() != same[0]


def test_synth_inflicts_a_named_combination_and_clears_outdated_truth(tmp_path: Path) -> None:
    photo, out = photograph(tmp_path / "a.png", noise=0), tmp_path / "out"
    assert run("synth", photo, "-o", out, "--combination", "noise+low_light").exit_code == 0
    skipped = run("synth", photo, "-o", out, "--combination", "haze+rain", "--json")
    assert json.loads(skipped.stdout)["status"] == "skipped"
    done = run("synth", photo, "-o", out, "--combination", "haze+rain", "--overwrite", "--json")
    assert [damage["kind"] for damage in json.loads(done.stdout)["damages"]] == ["rain", "haze"]
    assert {file.name for file in (out / "truth").glob("*.png")} == {"a.rain.png", "a.haze.png"}


@pytest.mark.parametrize("arguments", [["--combination", "rain+boredom"], ["--kind", "boredom"]])
def test_synth_names_what_it_knows(tmp_path: Path, arguments: list[str]) -> None:
    result = run("synth", photograph(tmp_path / "a.png"), "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2
    assert "rain" in result.stderr
    assert not (tmp_path / "out").exists()


def test_bench_passes_everything_on() -> None:
    shown = run("bench", "--help")
    assert shown.exit_code == 0, shown.output
    assert "spatialbench" in shown.stdout
    assert run("bench", "no-such-benchmark").exit_code == 2


def test_every_event_of_a_run_has_its_words() -> None:
    facts = {"tool": "joint", "gain": 0.5, "error": "bang", "reason": "why", "degradation": "low_light"}
    assert phrase({"type": "taken_back", **facts}) == "joint: taken back, why"
    assert phrase({"type": "step_failed", **facts}) == "joint: failed, the photo is unchanged: bang"
    assert phrase({"type": "cannot_treat", **facts}) == "low light: left alone, why"
    assert phrase({"type": "kept", **facts}) == "joint: kept, 50% of the damage gone"
    assert phrase({"type": "diagnosed", "degradations": {}}) == "found: nothing to treat"
    assert phrase({"type": "tile"}) is None
