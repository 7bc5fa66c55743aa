"""SAM and SAM 2 of transformers, tiny and with random weights: from a folder, and exported to ONNX, the same masks."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench_pictures import picture
from conservator.benchmarks.stability import run
from conservator.errors import ModelMissing, UsageError
from conservator.models.foreign.pytorch import declare_torchvision_operators
from conservator.photo import open_photo
from conservator.selection import Prompt, select, source_named
from conservator.selection.sam import Sam
from conservator.selection.scene import Scene
from scenes import scene
from test_selection import diagnosed

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'conservator[torch]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'conservator[torch]'")

SIZE, SIDE = (90, 121), 128
PROMPTS = {"hidden_size": 32, "image_size": SIDE, "patch_size": 16}
DECODER = {"hidden_size": 32, "mlp_dim": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
           "iou_head_hidden_dim": 16}  # fmt: skip
SAM = {"hidden_size": 16, "output_channels": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": SIDE,
       "window_size": 4, "global_attn_indexes": [0], "num_pos_feats": 16, "mlp_dim": 16}  # fmt: skip
HIERA = {"model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1, "image_size": [SIDE, SIDE],
         "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
         "num_attention_heads_per_stage": [1] * 4, "window_size_per_stage": [4] * 4, "global_attention_blocks": [3],
         "window_positional_embedding_background_size": [4, 4]}  # fmt: skip
SAM2 = {"backbone_config": HIERA, "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[32, 32], [16, 16], [8, 8]]}  # fmt: skip


class Encoder(torch.nn.Module):  # type: ignore[misc,name-defined]
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Any) -> Any:
        made = self.model.get_image_embeddings(pixel_values)
        return tuple(made) if isinstance(made, list) else made


class Nested(torch.nn.Module):  # type: ignore[misc,name-defined]
    """The decoder as Hugging Face exports it: prompts nested in a batch of pictures."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, *given: Any) -> Any:
        *features, points, labels = given
        seen = list(features) if len(features) > 1 else features[0]
        found = self.model(image_embeddings=seen, input_points=points, input_labels=labels)
        return found.pred_masks, found.iou_scores


class Official(torch.nn.Module):  # type: ignore[misc,name-defined]
    """The decoder as Segment Anything exports it: one prompt, a mask to start from, the photograph's size."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Any, points: Any, labels: Any, mask: Any, has_mask: Any, size: Any) -> Any:
        # The exporter's caller adds the point that means nothing; here the model does, so it is taken off again.
        asked = {"input_points": points[None, :, :-1], "input_labels": labels[None, :, :-1]}
        found = self.model(image_embeddings=features, **asked)
        low = found.pred_masks[0] + 0 * has_mask * mask
        masks = torch.nn.functional.interpolate(low, scale_factor=2) + 0 * size.sum()
        return masks, found.iou_scores[0], low


def export(module: Any, given: tuple[Any, ...], path: Path, names: tuple[list[str], list[str]], free: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, given, str(path), input_names=names[0], output_names=names[1], dynamic_axes=free,
                          dynamo=False, opset_version=17)  # fmt: skip


def as_hugging_face_exports(model: Any, folder: Path) -> Any:
    """Encoder and decoder in a folder; what the encoder makes of a black picture."""
    folder.mkdir()
    picture = torch.zeros(1, 3, SIDE, SIDE)
    seen = model.get_image_embeddings(picture)
    features = seen if isinstance(seen, list) else [seen]
    names = [f"image_embeddings.{i}" for i in range(len(features))] if len(features) > 1 else ["image_embeddings"]
    export(Encoder(model), (picture,), folder / "vision_encoder.onnx", (["pixel_values"], names), {})
    axes = {"input_points": {1: "prompts", 2: "n"}, "input_labels": {1: "prompts", 2: "n"}}
    asked = torch.ones(1, 2, 1, 2), torch.ones(1, 2, 1, dtype=torch.long)
    ports = [*names, "input_points", "input_labels"], ["pred_masks", "iou_scores"]
    export(Nested(model), (*features, *asked), folder / "decoder.onnx", ports, axes)
    return seen


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders: sam, sam2 (transformers), sam_onnx, sam2_onnx (as Hugging Face exports them), official."""
    declare_torchvision_operators()
    from transformers import Sam2Config, Sam2Model, SamConfig, SamModel

    home = tmp_path_factory.mktemp("sam")
    torch.manual_seed(0)
    configs = SamConfig(vision_config=SAM, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER), Sam2Config(
        vision_config=SAM2, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER
    )
    for name, model in (("sam", SamModel(configs[0])), ("sam2", Sam2Model(configs[1]))):
        model.eval().save_pretrained(home / name)
        seen = as_hugging_face_exports(model, home / f"{name}_onnx")
        if name == "sam":
            (home / "official").mkdir()
            shutil.copy(home / "sam_onnx/vision_encoder.onnx", home / "official/encoder.onnx")
            inputs = ["image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input"]
            inputs.append("orig_im_size")
            sample = (seen, torch.ones(1, 2, 2), torch.ones(1, 2), torch.zeros(1, 1, 32, 32), torch.zeros(1))
            sample += (torch.ones(2),)
            free = {"point_coords": {1: "n"}, "point_labels": {1: "n"}}
            outputs = ["masks", "iou_predictions", "low_res_masks"]
            export(Official(model), sample, home / "official/decoder.onnx", (inputs, outputs), free)
    return home


def pictured() -> Scene:
    return Scene(open_photo(scene(*SIZE)).samples, diagnosed(SIZE))


@pytest.mark.parametrize(("folder", "other"), [("sam", "sam_onnx"), ("sam", "official"), ("sam2", "sam2_onnx")])
def test_a_folder_and_its_exports_give_the_same_masks(folder: str, other: str, made: Path) -> None:
    one, two = source_named(f"sam:{made / folder}"), source_named(f"sam:{made / other}")
    for points in (((60.0, 30.0, True),), ((60.0, 30.0, True), (10.0, 80.0, False))):
        left, right = (source.find(pictured(), Prompt(points=points)) for source in (one, two))
        assert 1 <= len(left) == len(right) <= 3
        for a, b in zip(left, right, strict=True):
            assert np.abs(a.mask - b.mask).max() < 1e-3 and abs(a.confidence - b.confidence) < 1e-4
        assert left[0].mask.shape == SIZE and np.ptp(left[0].mask) > 0


@pytest.mark.parametrize("folder", ["sam", "sam2", "sam_onnx", "sam2_onnx", "official"])
def test_everything_runs_whole_and_is_the_same_again(folder: str, made: Path) -> None:
    network = source_named(f"sam:{made / folder}").network  # type: ignore[attr-defined]
    # Random weights are sure of nothing: whatever they say counts here.
    lax = Sam("sam:test", network, grid=4, quality=-10.0, stability=0.0)
    found = lax.find(pictured(), Prompt())
    again = Sam("sam:test", network, grid=4, quality=-10.0, stability=0.0).find(pictured(), Prompt())
    assert found and all(np.array_equal(a.mask, b.mask) for a, b in zip(found, again, strict=True))
    assert all(one.mask.shape == SIZE and 0 <= one.confidence <= 1 for one in found)


@pytest.mark.parametrize("folder", ["sam_onnx", "sam2_onnx", "official"])
def test_an_export_is_measured_on_damaged_photographs_with_and_without_cleaning(
    folder: str, made: Path, tmp_path: Path
) -> None:
    Image.fromarray(picture(2)[: SIZE[0], : SIZE[1]]).save(tmp_path / "a.png")
    network = source_named(f"sam:{made / folder}").network  # type: ignore[attr-defined]
    lax = Sam("sam:test", network, grid=2, quality=-10.0, stability=0.0)
    found = run([tmp_path / "a.png"], outliner=lax, damage=("noise",))
    asked = {row["region"]: row for row in found.summary["regions"]}
    for how in ("sam, everything", "sam, at a point"):
        assert asked[how]["masks"] >= 1
        assert 0 < asked[how]["iou_damaged"] <= 1 and 0 < asked[how]["iou_cleaned_first"] <= 1
    assert found.settings["source"] == {"name": "sam:test", "weights": dict(network.weights)}


@pytest.mark.parametrize("folder", ["sam", "sam2"])
def test_a_box_is_a_prompt(folder: str, made: Path) -> None:
    source = source_named(f"sam:{made / folder}")
    boxed, both = (
        source.find(pictured(), Prompt(points=points, box=(20, 10, 90, 70))) for points in ((), ((50.0, 40.0, True),))
    )
    assert boxed and both and not np.array_equal(boxed[0].mask, both[0].mask)


def test_edgetam_is_read_from_a_folder_and_from_its_export(tmp_path: Path) -> None:
    """Its backbone is timm's; this is the smallest of that kind."""
    declare_torchvision_operators()
    pytest.importorskip("timm", reason="timm is not installed: pip install 'conservator[torch]'")
    from transformers import EdgeTamConfig, EdgeTamModel

    timm = {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]}
    repvit = {"model_type": "timm_wrapper", "architecture": "repvit_m0_9", "model_args": timm, "num_classes": 2}
    vision = SAM2 | {"model_type": "edgetam_vision_model", "backbone_config": repvit}
    vision["backbone_channel_list"] = [384, 192, 96, 48]
    torch.manual_seed(0)
    configured = EdgeTamConfig(vision_config=vision, prompt_encoder_config=PROMPTS, mask_decoder_config=DECODER)
    model = EdgeTamModel(configured).eval()
    for weights in (*model.mask_decoder.parameters(), *model.prompt_encoder.parameters()):
        torch.nn.init.normal_(weights, std=0.3)  # as they come all masks are grey
    model.save_pretrained(tmp_path / "folder")
    as_hugging_face_exports(model, tmp_path / "onnx")
    one, two = (source_named(f"sam:{tmp_path / name}") for name in ("folder", "onnx"))
    shown = Prompt(points=((60.0, 30.0, True), (10.0, 80.0, False)))
    left, right = one.find(pictured(), shown), two.find(pictured(), shown)
    assert 1 <= len(left) == len(right) <= 3 and np.ptp(left[0].mask) > 0.01
    for a, b in zip(left, right, strict=True):
        assert np.abs(a.mask - b.mask).max() < 1e-3 and abs(a.confidence - b.confidence) < 1e-4


def test_a_box_is_refused_by_an_export_that_has_no_input_for_it(made: Path) -> None:
    with pytest.raises(UsageError, match="box"):
        source_named(f"sam:{made / 'sam_onnx'}").find(pictured(), Prompt(box=(20, 10, 90, 70)))
    official = source_named(f"sam:{made / 'official'}")
    assert official.network.title == "encoder.onnx and decoder.onnx"  # type: ignore[attr-defined]


def test_select_takes_a_folder(made: Path) -> None:
    shown = Prompt(points=((60.0, 30.0, True),))
    found = select(scene(*SIZE), shown, diagnosis=diagnosed(SIZE), sources=[source_named(f"sam:{made / 'sam2'}")])
    assert found.mask.shape == SIZE and found.phrase == "at 60,30"


def test_a_folder_that_is_damaged_says_so(made: Path, tmp_path: Path) -> None:
    for name in ("truncated", "pickled", "other"):
        shutil.copytree(made / "sam", tmp_path / name)
    weights = tmp_path / "truncated/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelMissing, match="truncated cannot be loaded"):
        source_named(f"sam:{tmp_path / 'truncated'}")
    (tmp_path / "pickled/model.safetensors").rename(tmp_path / "pickled/pytorch_model.bin")
    with pytest.raises(ModelMissing, match=r"no \.safetensors"):
        source_named(f"sam:{tmp_path / 'pickled'}")
    config = json.loads((tmp_path / "other/config.json").read_text())
    (tmp_path / "other/config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    with pytest.raises(UsageError, match="other"):
        source_named(f"sam:{tmp_path / 'other'}")
    from safetensors.torch import load_file, save_file

    save_file(dict(list(load_file(made / "sam/model.safetensors").items())[1:]), tmp_path / "other/model.safetensors")
    (tmp_path / "other/config.json").write_text(json.dumps(config))
    with pytest.raises(ModelMissing, match="lacks weights"):
        source_named(f"sam:{tmp_path / 'other'}")
