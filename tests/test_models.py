"""Networks: found by name, refused when altered, run within bounds, and never trusted to return numbers."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import get_available_providers

from conservator.errors import ModelMissing, ToolFailed, UsageError
from conservator.models import catalogue, devices, runtime
from conservator.models.catalogue import MODELS, Catalogue, ModelCard, model_path
from conservator.models.runtime import run, set_threads, thread_limit

IMAGE = np.linspace(0, 1, 3 * 6 * 5, dtype=np.float32).reshape(1, 3, 6, 5)


def network(path: Path, operator: str = "Mul", constant: float = 2.0) -> Path:
    """An ONNX file with image (1, 3, h, w) in and `operator`(image, constant) and its mean out."""
    weights = [numpy_helper.from_array(np.array(constant, np.float32), "constant")]
    nodes = [
        helper.make_node(operator, ["image", "constant"], ["changed"]),
        helper.make_node("ReduceMean", ["changed"], ["mean"], keepdims=0),
    ]
    image, changed = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "h", "w"]) for name in ("image", "changed")
    )
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, [])
    graph = helper.make_graph(nodes, "g", [image], [changed, mean], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def card(folder: Path, name: str = "double", **changes: Any) -> dict[str, Any]:
    """A network and its card in `folder`; `changes` to the card's keys, None leaves one out."""
    file = network(folder / f"{name}.onnx")
    data = {
        "name": name,
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "parameters": 1,
        "licence": "Apache-2.0",
        "recipe": "training/double.py",
        "data": "none",
        "inputs": {"image": "float32 (1, 3, H, W)"},
        "outputs": {"changed": "twice the image", "mean": "its mean"},
        "calibration": {"threshold": 0.5},
        "a_key_of_the_future": 1,
    }
    data = {key: value for key, value in (data | changes).items() if value is not None}
    (folder / f"{name}.json").write_text(json.dumps(data))
    return data


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder that stands in for the shipped one."""
    monkeypatch.setattr(catalogue, "MODELS", Catalogue(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def no_bound(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv(runtime.THREADS_VARIABLE, raising=False)
    set_threads(None)
    yield
    set_threads(None)


def test_every_shipped_network_is_what_its_card_says() -> None:
    for name in MODELS:
        assert hashlib.sha256(model_path(name).read_bytes()).hexdigest() == MODELS[name].sha256
        assert MODELS[name].name == name
        assert MODELS[name].licence


def test_a_network_runs_by_name_and_gives_its_outputs_in_order(shipped: Path) -> None:
    card(shipped)
    changed, mean = run("double", {"image": IMAGE})
    np.testing.assert_array_equal(changed, 2 * IMAGE)
    assert mean == pytest.approx(2 * IMAGE.mean())


def test_a_network_runs_by_path_without_a_card(tmp_path: Path) -> None:
    np.testing.assert_array_equal(run(network(tmp_path / "own.onnx"), {"image": IMAGE})[0], 2 * IMAGE)


def test_the_card_tells_what_the_network_is(shipped: Path) -> None:
    card(shipped, kinds=["noise", "jpeg"])
    read = catalogue.MODELS["double"]
    assert (read.parameters, read.kinds, read.calibration) == (1, ("noise", "jpeg"), {"threshold": 0.5})
    assert read.macs_per_pixel is None
    assert "double" in catalogue.MODELS and "triple" not in catalogue.MODELS


def test_an_unknown_name_lists_the_known_ones(shipped: Path) -> None:
    card(shipped)
    with pytest.raises(ModelMissing, match="no model 'triple'; wanted one of: double"):
        run("triple", {"image": IMAGE})


def test_altered_weights_are_refused(shipped: Path) -> None:
    card(shipped)
    network(shipped / "double.onnx", constant=3.0)
    with pytest.raises(ModelMissing, match=r"SHA-256.*reinstall"):
        run("double", {"image": IMAGE})


def test_absent_weights_are_named_with_the_fix(shipped: Path) -> None:
    card(shipped)
    (shipped / "double.onnx").unlink()
    with pytest.raises(ModelMissing, match=r"double\.onnx: No such file.*reinstall"):
        model_path("double")
    with pytest.raises(ModelMissing, match="no file"):
        run(shipped / "double.onnx", {"image": IMAGE})


def test_weights_are_hashed_once_per_process(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card(shipped)
    model_path("double")
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("hashed again"))
    assert model_path("double") == shipped / "double.onnx"


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"sha256": None, "licence": None}, "lacks sha256, licence"), ({"file": "../double.onnx"}, "beside the card")],
)
def test_a_bad_card_is_refused(shipped: Path, changes: dict[str, Any], message: str) -> None:
    card(shipped, **changes)
    with pytest.raises(ModelMissing, match=message):
        run("double", {"image": IMAGE})


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_card_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ModelMissing, match="model card"):
        ModelCard.read(tmp_path / "x.json")


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(ModelMissing, match=r"broken\.onnx cannot be loaded"):
        run(tmp_path / "broken.onnx", {"image": IMAGE})


def test_without_onnx_runtime_the_reader_learns_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelMissing, match="pip install onnxruntime"):
        run(network(tmp_path / "own.onnx"), {"image": IMAGE})


@pytest.mark.parametrize(
    "inputs",
    [
        {"image": IMAGE[0]},
        {"image": IMAGE[:, :2]},
        {"image": IMAGE.astype(np.float64)},
        {"picture": IMAGE},
        {"image": IMAGE, "more": IMAGE},
        {},
    ],
)
def test_inputs_the_network_does_not_take_say_what_it_takes(tmp_path: Path, inputs: dict[str, Any]) -> None:
    with pytest.raises(ToolFailed, match=r"own\.onnx.*wanted image tensor\(float\)"):
        run(network(tmp_path / "own.onnx"), inputs)


@pytest.mark.parametrize(("operator", "constant"), [("Div", 0.0), ("Mul", np.nan)])
def test_nan_and_infinity_never_leave_a_network(tmp_path: Path, operator: str, constant: float) -> None:
    with pytest.raises(ToolFailed, match=r"own\.onnx: changed holds NaN or infinity"):
        run(network(tmp_path / "own.onnx", operator, constant), {"image": IMAGE})


def test_threads_come_from_the_call_then_set_threads_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_cores", lambda: 8)
    assert thread_limit() == 8
    monkeypatch.setenv(runtime.THREADS_VARIABLE, "3")
    assert thread_limit() == 3
    set_threads(2)
    assert thread_limit() == 2
    set_threads(100)
    assert thread_limit() == 8
    set_threads(None)
    assert thread_limit() == 3


@pytest.mark.parametrize("wish", ["0", "-1", "many", ""])
def test_a_wrong_number_of_threads_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setenv(runtime.THREADS_VARIABLE, wish)
    with pytest.raises(UsageError, match="CONSERVATOR_THREADS"):
        thread_limit()


def test_no_threads_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="threads=0"):
        set_threads(0)
    with pytest.raises(UsageError, match="threads=0"):
        run(network(tmp_path / "own.onnx"), {"image": IMAGE}, threads=0)


def test_many_threads_load_a_network_once_and_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Path] = []
    load = runtime._load

    def counted(path: Path, threads: int, device: str) -> Any:
        loads.append(path)
        return load(path, threads, device)

    monkeypatch.setattr(runtime, "_load", counted)
    path = network(tmp_path / "own.onnx")
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda i: run(path, {"image": IMAGE + i}, threads=1)[0], range(32)))
    assert len(loads) == 1
    for i, result in enumerate(results):
        np.testing.assert_array_equal(result, 2 * (IMAGE + i))


def _run_in_child(path: Path, queue: Any) -> None:
    queue.put(float(run(path, {"image": IMAGE})[1]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_worker_runs_networks_its_parent_has_run(tmp_path: Path) -> None:
    path = network(tmp_path / "own.onnx")
    expected = float(run(path, {"image": IMAGE})[1])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_run_in_child, args=(path, queue))
    child.start()
    try:
        assert queue.get(timeout=60) == expected
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()


def test_a_device_that_is_not_there_is_an_error_and_never_the_processor_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = network(tmp_path / "own.onnx")
    absent = next(name for name in ("directml", "coreml") if devices.PROVIDERS[name] not in get_available_providers())
    monkeypatch.setenv(devices.VARIABLE, absent)
    with pytest.raises(ModelMissing, match=rf"device {absent}.*--device cpu"):
        run(path, {"image": IMAGE})
    monkeypatch.setenv(devices.VARIABLE, "abacus")
    with pytest.raises(UsageError, match=r"abacus.*cuda.*openvino"):
        run(path, {"image": IMAGE})


def test_openvino_that_is_not_installed_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(devices.VARIABLE, "openvino")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelMissing, match=r"pip install conservator\[openvino\]"):
        run(network(tmp_path / "own.onnx"), {"image": IMAGE})


def test_openvino_answers_as_the_processor_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino", reason="needs conservator[openvino]")
    path, rng = network(tmp_path / "own.onnx"), np.random.default_rng(0)
    image = {"image": rng.random((1, 3, 64, 96), np.float32)}
    severity = {"severity": rng.random((1, 3, 64, 96), np.float32)}
    calls = ((path, {"image": IMAGE}), ("perceiver_local", image), ("restorer", image | severity))
    expected = [run(model, inputs) for model, inputs in calls]
    ports = runtime.ports(path)
    monkeypatch.setenv(devices.VARIABLE, "openvino")
    for (model, inputs), outputs in zip(calls, expected, strict=True):
        for ours, theirs in zip(run(model, inputs), outputs, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert [[port.type for port in each] for each in runtime.ports(path)] == [
        [port.type for port in each] for each in ports
    ]
    with pytest.raises(ToolFailed, match=r"own\.onnx.*wanted image tensor\(float\)"):
        run(path, {"image": IMAGE.astype(np.float64)})


SILENCING = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "GITHUB_ACTIONS", "TF_BUILD")


def test_onnx_runtime_neither_reports_nor_keeps_a_name_for_this_machine(tmp_path: Path) -> None:
    """Its own builds do both unless they are told; they are silent on servers of CI by themselves, so we hide that."""
    file = network(tmp_path / "network.onnx")
    tidy = {name: value for name, value in os.environ.items() if name not in SILENCING}
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        tidy[name] = str(home)
    script = "import sys, pathlib, conservator.models.runtime as r; print(r.ports(pathlib.Path(sys.argv[1])))"
    done = subprocess.run([sys.executable, "-c", script, file], env=tidy, capture_output=True, text=True, check=True)
    assert "tensor(float)" in done.stdout
    assert list(home.rglob("*")) == []
