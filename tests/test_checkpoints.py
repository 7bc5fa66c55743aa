"""PyTorch checkpoints: public architectures with random weights run by `treat`, and no file is ever executed."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import conservator
from conservator.errors import ModelMissing, ToolFailed, UsageError
from conservator.models.foreign import pytorch
from conservator.models.foreign.loading import load, unload
from conservator.models.runtime import set_threads
from conservator.tools.card import Tool
from scenes import scene

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'conservator[torch]'")
if importlib.util.find_spec("spandrel") is None or importlib.util.find_spec("torchvision") is None:
    pytest.skip("spandrel is not installed: pip install 'conservator[torch]'", allow_module_level=True)

UNET = {"nc": [8, 8, 16, 16], "nb": 2}
SWIN = {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2], "mlp_ratio": 2, "window_size": 8, "upsampler": ""}
TINY: dict[str, dict[str, Any]] = {
    "SwinIR": SWIN,
    "Restormer": {"dim": 8, "num_blocks": [1, 1, 1, 1], "num_refinement_blocks": 1},
    "Uformer": {"embed_dim": 8, "depths": [1] * 9, "num_heads": [1, 2, 2, 2, 2, 2, 2, 2, 2]},
    "FFTformer": {"dim": 8, "num_blocks": [1, 1, 1], "num_refinement_blocks": 1},
    "NAFNet": {"width": 8, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]},
    "DRUNet": {"in_nc": 4, "out_nc": 3} | UNET,
    "DnCNN": {"in_nc": 3, "out_nc": 3, "nc": 8, "nb": 4, "mode": "DnCNN"},
    "SCUNet": {"config": [1] * 7, "dim": 64},
    "FBCNN": {"nc": [8, 8, 16, 512], "nb": 2},
    "ESRGAN": {"num_filters": 8, "num_blocks": 1, "scale": 1},
    "Compact": {"num_feat": 8, "num_conv": 2, "upscale": 1},
    "RestoreFormer": {"ch": 32, "z_channels": 32, "embed_dim": 32, "n_embed": 16, "num_res_blocks": 1,
                      "ch_mult": (1, 1, 1, 1, 1, 1)},
}  # fmt: skip
"""About the smallest networks that spandrel takes for each architecture."""

EXTRA = "spandrel_extra_arches"
WITHOUT_EXTRA = pytest.mark.skipif(
    importlib.util.find_spec(EXTRA) is None,
    reason="Restormer's architecture is in spandrel-extra-arches, which is not installed",
)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CONSERVATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CONSERVATOR_THREADS", "1")
    set_threads(None)
    yield
    unload()  # some weigh hundreds of megabytes


def module(architecture: str, **shape: Any) -> Any:
    """A network with random weights."""
    pytorch.library()
    package = EXTRA if architecture == "Restormer" else "spandrel"
    torch.manual_seed(0)
    return getattr(importlib.import_module(f"{package}.architectures.{architecture}"), architecture)(**shape)


def saved(path: Path, architecture: str, **shape: Any) -> Path:
    weights = module(architecture, **(shape or TINY.get(architecture, {}))).state_dict()
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({name: value.contiguous().clone() for name, value in weights.items()}, path)
    else:
        torch.save(weights, path)
    return path


def photo(height: int = 72, width: int = 104) -> np.ndarray:
    """Noisy in its right half."""
    clean = scene(height, width) * 255
    grain = np.random.default_rng(0).normal(0, 30, clean.shape)
    grain[:, : width // 2] = 0
    return np.clip(np.rint(clean + grain), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "architecture", [pytest.param(a, marks=WITHOUT_EXTRA if a == "Restormer" else ()) for a in TINY]
)
def test_a_checkpoint_of_every_public_architecture_treats_a_photo(tmp_path: Path, architecture: str) -> None:
    check_treats(conservator.add_tool(saved(tmp_path / f"{architecture}.pth", architecture), treats="noise"))


def check_treats(made: Tool) -> None:
    """The noisy half changes, the clean one keeps its samples, and the record names the weights."""
    result = conservator.treat(photo(), made.name)
    failures = [event for event in result.record.data["events"] if event["type"] == "step_failed"]
    assert not failures
    same = (result.photo.samples == result.original.samples).all(axis=2)
    assert same[:, :32].all() and not same[:, 64:].all()
    assert result.record.data["models"][made.name] == made.weights[made.name]


def test_cards_say_what_the_descriptor_says(tmp_path: Path) -> None:
    unet = conservator.add_tool(saved(tmp_path / "drunet.pth", "DRUNet")).card
    assert (unet.treats, unet.multiple_of, unet.scale, unet.licence) == (("noise",), 8, 1, "unknown")
    assert unet.halo >= 8 and "DRUNet" in unet.source and str(tmp_path) in unet.source
    assert conservator.add_tool(saved(tmp_path / "fbcnn.pth", "FBCNN")).card.treats == ("jpeg",)
    swin = conservator.add_tool(saved(tmp_path / "swin.pth", "SwinIR"), treats=["jpeg", "noise"]).card
    assert (swin.tiles, swin.treats, swin.stage) == ("discouraged", ("jpeg", "noise"), "compression")
    with pytest.raises(UsageError, match=r"SwinIR.*does not say what it treats"):
        conservator.add_tool(tmp_path / "swin.pth", name="again")


@pytest.mark.parametrize("architecture", ["ESRGAN", "Compact"])
def test_networks_that_enlarge_load_and_run(tmp_path: Path, architecture: str) -> None:
    shape = TINY[architecture] | ({"scale": 4} if architecture == "ESRGAN" else {"upscale": 4})
    made = conservator.add_tool(saved(tmp_path / "large.pth", architecture, **shape))
    assert (made.card.scale, made.card.treats) == (4, ("low_resolution",))
    network = load(tmp_path / "large.pth", made.weights["large"])
    assert network.run(np.zeros((3, 20, 28), np.float32)).shape == (3, 80, 112)
    before = conservator.open_photo(photo())
    height, width = before.size
    assert conservator.treat(before, "large").photo.size == (4 * height, 4 * width)


@pytest.mark.parametrize("ending", ["pth", "pt", "safetensors"])
def test_the_container_does_not_matter(tmp_path: Path, ending: str) -> None:
    made = conservator.add_tool(saved(tmp_path / f"net.{ending}", "Compact"), treats="noise")
    network = load(tmp_path / f"net.{ending}", made.weights["net"])
    image = np.random.default_rng(0).random((3, 17, 23), np.float32)
    with torch.inference_mode():
        wanted = module("Compact", **TINY["Compact"]).eval()(torch.from_numpy(image)[None])[0].clamp(0, 1).numpy()
    assert np.allclose(network.run(image), wanted, atol=1e-6)


def test_half_precision_and_wrapped_weights_run_in_single_precision(tmp_path: Path) -> None:
    torch.save({"params_ema": module("Compact", **TINY["Compact"]).half().state_dict()}, tmp_path / "half.pth")
    made = conservator.add_tool(tmp_path / "half.pth", treats="noise")
    assert load(tmp_path / "half.pth", made.weights["half"]).run(np.zeros((3, 16, 16), np.float32)).dtype == np.float32


def test_grey_networks_run_and_four_channels_are_refused(tmp_path: Path) -> None:
    grey = conservator.add_tool(saved(tmp_path / "grey.pth", "DRUNet", in_nc=2, out_nc=1, **UNET))
    result = conservator.treat(photo(), grey.name)
    assert not result.unchanged
    four = saved(tmp_path / "four.pth", "Compact", num_in_ch=4, num_out_ch=4, num_feat=8, num_conv=2, upscale=1)
    with pytest.raises(UsageError, match=r"four.pth takes 4 channels.*grey.*RGB"):
        conservator.add_tool(four, treats="noise")


def test_gfpgan_treats_a_face_of_its_size_and_refuses_to_see_one_in_pieces(tmp_path: Path) -> None:
    made = conservator.add_tool(saved(tmp_path / "face.pth", "GFPGAN"), treats="noise")
    assert (made.card.side, made.card.tiles, made.card.kind) == (512, "forbidden", "generative")
    check_treats(made)
    result = conservator.treat(photo(160, 528), "face")
    failed = [event for event in result.record.data["events"] if event["type"] == "step_failed"]
    assert "photo of 528×160; wanted at most 512×512" in failed[0]["error"] and result.unchanged


class Malice:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_that_hides_a_program_is_refused_and_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    weights = module("Compact", **TINY["Compact"]).state_dict()
    torch.save(weights | {"extra": Malice(trace)}, tmp_path / "zipped.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Malice(trace)))
    torch.save(Malice(trace), tmp_path / "legacy.pt", _use_new_zipfile_serialization=False)
    for name in ("zipped.pth", "plain.pth", "legacy.pt"):
        with pytest.raises(ModelMissing, match=rf"{name} cannot be loaded: .*weights and nothing else"):
            conservator.add_tool(tmp_path / name, treats="noise")
    assert not trace.exists()
    pickle.loads((tmp_path / "plain.pth").read_bytes())
    assert trace.exists(), "the trap must work for the test to mean something"


def test_a_compiled_program_is_no_checkpoint(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Conv2d(3, 3, 1)).save(str(tmp_path / "script.pt"))
    with pytest.raises(ModelMissing, match=r"script.pt cannot be loaded"):
        conservator.add_tool(tmp_path / "script.pt", treats="noise")


def test_damaged_checkpoints_are_refused(tmp_path: Path) -> None:
    for ending in ("pth", "safetensors"):
        whole = saved(tmp_path / f"whole.{ending}", "Compact").read_bytes()
        for name, data in (("cut", whole[: len(whole) // 2]), ("empty", b""), ("text", b"not weights")):
            (tmp_path / f"{name}.{ending}").write_bytes(data)
            with pytest.raises(ModelMissing, match=rf"{name}.{ending} cannot be loaded"):
                conservator.add_tool(tmp_path / f"{name}.{ending}", treats="noise")
    with zipfile.ZipFile(tmp_path / "zip.pth", "w") as archive:
        archive.writestr("a.txt", "not weights")
    with pytest.raises(ModelMissing, match=r"zip.pth cannot be loaded"):
        conservator.add_tool(tmp_path / "zip.pth", treats="noise")


def test_weights_of_no_known_network_are_refused(tmp_path: Path) -> None:
    torch.save({"my.weight": torch.zeros(3, 3)}, tmp_path / "strange.pth")
    with pytest.raises(UsageError, match=r"architecture of strange.pth is unknown.*export it to ONNX"):
        conservator.add_tool(tmp_path / "strange.pth", treats="noise")
    torch.save([1, 2, 3], tmp_path / "list.pth")
    weights = module("Compact", **TINY["Compact"]).state_dict()
    torch.save(weights | {"body.2.weight": torch.zeros(5, 5)}, tmp_path / "misfit.pth")
    for name in ("list", "misfit"):
        with pytest.raises(ModelMissing, match=rf"{name}.pth cannot be loaded: its weights fit no architecture"):
            conservator.add_tool(tmp_path / f"{name}.pth", treats="noise")


def test_a_network_with_broken_weights_is_refused(tmp_path: Path) -> None:
    weights = module("Compact", **TINY["Compact"]).state_dict()
    torch.save({name: torch.full_like(value, float("nan")) for name, value in weights.items()}, tmp_path / "nan.pth")
    with pytest.raises(ToolFailed, match=r"Compact.*returned NaN"):
        conservator.add_tool(tmp_path / "nan.pth", treats="noise")
    saved(tmp_path / "narrow.pth", "SCUNet", config=[1] * 7, dim=32)
    with pytest.raises(ToolFailed, match=r"SCUNet on \(3, "):
        conservator.add_tool(tmp_path / "narrow.pth", treats="noise")


def test_a_network_that_paints_over_a_mask_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "lama.pth", "LaMa", in_nc=4, out_nc=3)
    with pytest.raises(UsageError, match=r"lama.pth is LaMa.*inpainting"):
        conservator.add_tool(tmp_path / "lama.pth", treats="noise")
