"""The tools' benchmark: peers do what their names say, and what is known comes out as known."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench_pictures import clean_pictures, nothing_found, picture
from conservator.benchmarks import deblurring, peers, toolbench
from conservator.benchmarks.controls import told
from conservator.benchmarks.measuring import decibel
from conservator.benchmarks.photos import photographs, to_bytes, to_unit
from conservator.benchmarks.results import load_result, table, write_result
from conservator.benchmarks.toolbench import (
    AS_ONE,
    AT_ONCE,
    BLIND,
    INPUT,
    TASKS,
    TOLD,
    Case,
    Contestant,
    Task,
    our_tools,
    run,
)
from conservator.errors import InputError
from conservator.photo import open_photo, save
from conservator.synthesis import Damage, degrade
from conservator.synthesis.weather import haze
from conservator.tools.registry import TOOLS
from conservator.treatment import restore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return clean_pictures(tmp_path / "clean", 2)


@pytest.fixture
def water(tmp_path: Path) -> Path:
    for side, level in (("degraded", 0.6), ("reference", 1.0)):
        (tmp_path / "water" / side).mkdir(parents=True)
        for seed in range(2):
            save(
                open_photo(to_bytes(to_unit(picture(seed)) * np.float32(level))),
                tmp_path / "water" / side / f"{seed}.png",
            )
    return tmp_path / "water"


def rivals(task: Task) -> Mapping[str, Contestant]:
    """Tools whose worth is known: the truth, and a photograph thrown away."""
    return {BLIND: lambda case: 255 - case.before, TOLD: lambda case: case.truth}


def steady(rows: Any) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]


QUICK = (toolbench.noise(25), toolbench.cast(0), toolbench.cast(20))


@pytest.mark.skipif(
    importlib.util.find_spec("bm3d") is None, reason="bm3d is not installed: its licence is for research"
)
def test_bm3d_competes_where_it_is_installed() -> None:
    clean = np.full((48, 48, 3), 128, np.uint8)
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 20, clean.shape), 0, 255).astype(np.uint8)
    assert np.abs(toolbench.noise(20).peers["BM3D"](noisy) - 128.0).mean() < 2
    assert "BM3D" in toolbench.noise(20).peers


def test_known_tools_get_the_marks_they_deserve(folder: Path, water: Path, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    photos = photographs(folder)
    found = run(photos, underwater=water, seed=1, tasks=QUICK, ours=rivals, on_row=seen.append)
    assert len(seen) == len(found.rows) == 2 * (3 + len(QUICK[0].peers) + 5 + 5 + 5)
    lines = {row["method"]: row for row in found.summary["denoise"]}
    assert lines[INPUT]["gain_db"] == 0.0 and lines[INPUT]["per_megapixel_seconds"] is None
    assert lines[TOLD]["worse_percent"] == 0.0 and lines[TOLD]["beats_it_percent"] == 100.0
    assert lines[BLIND]["worse_percent"] == 100.0 and lines[BLIND]["over_best_classical_db"] < 0
    assert 0.0 in [row["over_best_classical_db"] for name, row in lines.items() if name not in (TOLD, BLIND)]
    assert [row["task"] for row in found.summary["white_balance"]] == ["cast of 20°"] * 5
    angles = {(row["task"], row["method"]): row for row in found.summary["white_balance: angular error"]}
    assert angles["cast of 20°", INPUT]["before_degrees"] == pytest.approx(20, abs=1.0)
    assert angles["cast of 20°", TOLD]["mean_degrees"] < 0.01
    assert angles["cast of 0°", BLIND]["worse_percent"] == 100.0
    assert {row["method"] for row in found.summary["underwater"]} >= {INPUT, "grey world"}
    again = run(photos, underwater=water, seed=1, tasks=QUICK, ours=rivals)
    assert steady(again.rows) == steady(found.rows)
    first = run(photos[:1], seed=1, tasks=QUICK[:1], ours=rivals)
    assert steady(first.rows) == [
        row for row in steady(found.rows) if row["photo"] == "0.png" and row["tool"] == "denoise"
    ]
    text = table(load_result(write_result("tools", found, seed=1, path=tmp_path / "t.json", command="cmd")))
    assert "**white_balance: angular error**" in text and "| before (°) |" in text


def test_every_task_has_a_tool_that_treats_its_damage(clean: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    for task in TASKS:
        tool = TOOLS.get(task.tool)
        assert task.peers
        if task.draw is None:
            assert task.scale in tool.scales and tool.card.scale > 1
            continue
        (damage,) = task.draw(np.random.default_rng(0))
        assert tool.card.treats == (damage.kind,)
    assert len({task.name for task in TASKS}) == len(TASKS)


def test_enlarging_is_measured_as_papers_measure_it(folder: Path) -> None:
    found = run(photographs(folder), tasks=[toolbench.enlarging(3)], ours=lambda task: {TOLD: lambda case: case.truth})
    rows = [row for row in found.rows if row["photo"] == "0.png"]
    assert [row["method"] for row in rows] == [INPUT, TOLD, "bicubic (Pillow)", "Lanczos (Pillow)"]
    truth = to_unit(picture(0))
    truth = truth[: truth.shape[0] // 3 * 3, : truth.shape[1] // 3 * 3]
    size = truth.shape[1] // 3, truth.shape[0] // 3
    small = Image.fromarray(to_bytes(truth)).resize(size, Image.Resampling.BICUBIC)
    bicubic = to_unit(np.asarray(small.resize(truth.shape[1::-1], Image.Resampling.BICUBIC)))
    error = ((bicubic - truth) * 255)[3:-3, 3:-3].astype(np.float64) @ [0.256789, 0.504129, 0.097906]
    assert rows[2]["luma_db"] == pytest.approx(10 * np.log10(255**2 / np.square(error).mean()), abs=1e-3)
    assert rows[1]["luma_db"] == rows[1]["psnr_db"] == 100 and rows[0]["gain_db"] == 0
    assert [row["method"] for row in found.summary["super_resolution: luma"]] == [row["method"] for row in rows]


def test_our_enlarger_is_given_the_small_photograph(folder: Path) -> None:
    found = run(photographs(folder, 1), tasks=[toolbench.enlarging(2)])
    rows = {row["method"]: row for row in found.rows}
    assert list(rows) == [INPUT, BLIND, "bicubic (Pillow)", "Lanczos (Pillow)"], "nobody can be told more"
    assert abs(rows[BLIND]["psnr_db"] - rows["bicubic (Pillow)"]["psnr_db"]) < 2, "in the right place"


def test_our_tools_are_told_what_can_be_told() -> None:
    assert set(our_tools(toolbench.cast(10))) == {BLIND}
    assert set(our_tools(Task("haze", "dehaze", None))) == {BLIND, TOLD}


def test_the_joint_network_stands_in_for_the_specialist_of_one_damage() -> None:
    sample = degrade(to_unit(picture()), [Damage("noise", {"sigma": 25.0}), Damage("jpeg", {"quality": 20})])
    case = Case("x", to_bytes(sample.degraded), to_bytes(sample.clean), sample.truth)
    tools = our_tools(toolbench.noise(25), told(sample.truth))
    assert set(tools) == {BLIND, TOLD, AS_ONE, AT_ONCE}
    alone, together = tools[AS_ONE](case), tools[AT_ONCE](case)
    assert min(decibel(picture, case.truth) for picture in (alone, together)) > decibel(case.before, case.truth) + 1
    assert not np.array_equal(alone, together), "compression was found too, and only one of them was asked about it"


def test_blind_is_what_treat_does_when_nothing_is_found() -> None:
    sample = degrade(to_unit(picture()), [Damage("colour_cast", {"degrees": 20.0, "hue": 1.0})])
    case = Case("x", to_bytes(sample.degraded), to_bytes(sample.clean), sample.truth)
    unnoticed = our_tools(toolbench.noise(25), nothing_found)[BLIND](case)
    assert np.array_equal(unnoticed, case.before)
    balanced = our_tools(toolbench.cast(20), nothing_found)[BLIND](case)
    assert decibel(balanced, case.truth) > decibel(case.before, case.truth)


def test_water_without_partner_is_refused(folder: Path, water: Path) -> None:
    (water / "reference" / "1.png").unlink()
    with pytest.raises(InputError, match="degraded/ only"):
        run(photographs(folder), underwater=water, tasks=(), ours=rivals)


# peers


@pytest.mark.parametrize("make", [peers.nlmeans, peers.total_variation, peers.bilateral])
def test_peers_for_noise_remove_noise(make: Any) -> None:
    clean = to_bytes(np.linspace(0.2, 0.8, 96 * 96 * 3, dtype=np.float32).reshape(96, 96, 3))
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 20, clean.shape), 0, 255).astype(np.uint8)
    assert decibel(make(20)(noisy), clean) > decibel(noisy, clean) + 4


def test_the_dark_channel_sees_through_a_veil() -> None:
    clean = to_unit(picture(size=(128, 160))) * np.float32(0.9)
    clean[48::8] = 0.0  # something dark everywhere, which is what the prior asks for
    clean[:40] = 0.9  # and a sky, where it finds the airlight
    veiled = to_bytes(haze(clean, np.full(clean.shape[:2], 0.5, np.float32), np.full(3, 0.9, np.float32)))
    assert decibel(peers.dark_channel(veiled), to_bytes(clean)) > decibel(veiled, to_bytes(clean)) + 3


def test_the_guided_filter_keeps_edges_of_its_guide() -> None:
    guide = np.zeros((64, 64), np.float32)
    guide[:, 32:] = 1.0
    rough = np.asarray(guide + np.random.default_rng(0).normal(0, 0.1, guide.shape), np.float32)
    smooth = peers.guided(guide, rough, 8, 1e-4)
    assert np.abs(smooth - guide).mean() < 0.2 * np.abs(rough - guide).mean()
    assert smooth[:, 31].mean() < 0.1 and smooth[:, 32].mean() > 0.9


def test_rain_peers_remove_thin_upright_streaks() -> None:
    rainy = np.full((40, 40, 3), 80, np.uint8)
    rainy[:, 4::8] = 200
    assert (peers.opening(rainy) == 80).all() and (peers.median(rainy) == 80).all()


@pytest.mark.parametrize("peer", [peers.grey_world, peers.white_patch])
def test_colour_peers_balance_what_is_grey(peer: peers.Peer) -> None:
    grey = np.random.default_rng(0).integers(20, 200, (32, 32, 1)).repeat(3, axis=2).astype(np.uint8)
    tinted = to_bytes(to_unit(grey) * np.float32([1.0, 0.8, 0.6]))
    balanced = peer(tinted).astype(int)
    assert np.abs(balanced - balanced.mean(axis=2, keepdims=True)).max() <= 2


@pytest.mark.parametrize("peer", [*toolbench.TASKS[0].peers.values(), peers.unsharp, peers.dark_channel, peers.median])
def test_peers_leave_their_input_alone(peer: peers.Peer) -> None:
    before = picture()
    copy = before.copy()
    assert peer(before).shape == before.shape and peer(before).dtype == np.uint8
    assert np.array_equal(before, copy)


def test_a_treatment_of_nothing_is_the_input() -> None:
    assert restore(picture(), perceiver=nothing_found).unchanged


def test_a_peer_that_is_told_the_kernel_undoes_it() -> None:
    damages = [Damage("motion_blur", {"path": "one_sided", "radius": 10, "extent": 3.0, "angle": 0.4})]
    kernel = deblurring.point_spread(damages)
    assert kernel.sum() == pytest.approx(1) and kernel.min() >= 0 and len(kernel) % 2 == 1
    clean = to_unit(picture())
    image = to_bytes(degrade(clean, damages).degraded)
    for deblurrer in deblurring.DEBLURRERS.values():
        assert decibel(deblurrer(image, kernel), to_bytes(clean)) > decibel(image, to_bytes(clean)) + 1
        assert decibel(deblurrer(image, kernel[::-1, ::-1]), to_bytes(clean)) < decibel(image, to_bytes(clean)) + 1
