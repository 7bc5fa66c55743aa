"""Things by any name: Grounding DINO of transformers, tiny and with random weights, and a grounder of known effect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blobs import iou
from command_line import photograph, run
from conservator.errors import ModelMissing, ToolFailed, UsageError
from conservator.models.foreign.grounding_torch import Grounder
from conservator.photo import open_photo
from conservator.selection import VOCABULARY, Prompt, select, source_named
from conservator.selection.grounding import Grounded
from conservator.selection.scene import Scene
from conservator.wishes import place
from sam_files import colour_pair
from scenes import scene
from test_selection import SIZE, diagnosed

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "door", "red", "hat", "the"]
DOOR = np.zeros(SIZE, np.bool_)
DOOR[60:140, 150:190] = True


def street() -> np.ndarray:
    """A red door in a grey wall."""
    rng = np.random.default_rng(0)
    picture = np.full((*SIZE, 3), 0.55) + 0.02 * rng.standard_normal((*SIZE, 1))
    picture[DOOR] = (0.8, 0.1, 0.1)
    return picture.clip(0, 1).astype(np.float32)


def knows_doors(boxes: Any = ((0.6, 0.34, 0.8, 0.87),), scores: Any = (0.8,)) -> Grounder:
    def find(pixels: np.ndarray, words: str) -> tuple[np.ndarray, np.ndarray]:
        assert pixels.dtype == np.float32 and min(pixels.shape[:2]) <= 80 and max(pixels.shape[:2]) <= 120
        none = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        return (np.array(boxes, np.float32), np.array(scores, np.float32)) if words == "door" else none

    return Grounder("doors", (80, 120), find, {"model.safetensors": "0" * 64})


def selected(phrase: str | Prompt, source: Grounded) -> Any:
    return select(street(), phrase, diagnosis=diagnosed(SIZE), sources=[VOCABULARY, source])


def test_an_object_and_then_its_context() -> None:
    source = Grounded("dino:doors", knows_doors())
    found = selected("the door", source)
    assert iou(found.mask > 0.5, DOOR) > 0.9 and found.confidence == pytest.approx(0.8) and found.phrase == "door"
    beside = selected("left of the door", source)
    assert beside.mask[100, :140].min() > 0.9 and beside.mask[:, 160:].mean() < 0.02 and not beside.mask[20].any()
    around = selected("around the door", source).mask
    assert around[100, 145] > 0.9 and around[100, 170] < 0.1 and around[100, 20] < 0.1
    half = selected("the top of the door", source).mask
    assert iou(half > 0.5, DOOR & (np.arange(SIZE[0]) < SIZE[0] / 2)[:, None]) > 0.8
    assert iou(selected("everything but the door", source).mask > 0.5, ~DOOR) > 0.95
    assert selected("a giraffe", source).missing == ("giraffe",)


def test_a_box_that_does_not_suit_the_words_is_nothing() -> None:
    assert selected("door", Grounded("dino:doors", knows_doors(scores=(0.2,)))).missing == ("door",)
    empty = Grounded("dino:doors", knows_doors(boxes=((0.5, 0.5, 0.5, 0.9),)))
    assert selected("door", empty).missing == ("door",)


def test_several_are_one_mask_and_each_counts_once() -> None:
    twice = ((0.6, 0.34, 0.8, 0.87), (0.61, 0.34, 0.8, 0.86), (0.1, 0.1, 0.3, 0.3))
    found = selected("door", Grounded("dino:doors", knows_doors(boxes=twice, scores=(0.5, 0.9, 0.2))))
    assert iou(found.mask > 0.5, DOOR) > 0.9 and found.confidence == pytest.approx(0.9)


def test_a_network_of_sams_kind_draws_the_outline(tmp_path: Path) -> None:
    colour_pair(tmp_path / "sam")
    outliner = source_named(f"sam:{tmp_path / 'sam'}")
    source = Grounded("dino:doors+sam", knows_doors(), outliner)
    found = selected("door", source)
    pictured = Scene(open_photo(street()).samples, diagnosed(SIZE))
    inside = outliner.find(pictured, Prompt(box=(145.8, 56.1, 194.4, 143.55)))
    assert found.mask.shape == SIZE and inside and iou(found.mask > 0.5, inside[0].mask > 0.5) > 0.9
    assert set(source.weights) == {"model.safetensors", *outliner.weights}
    assert source.knows(Prompt()) and not Grounded("dino:doors", knows_doors()).knows(Prompt())


def test_names_are_parts_only_where_somebody_knows_them() -> None:
    known = {"red car", "door", "门"}.__contains__
    assert str(place("the shadows left of the red car", known)) == "shadows in left of red car"
    assert str(place("门上方", known)) == "above 门"
    for phrase in ("the red boat", "the door of the boat"):
        with pytest.raises(UsageError, match="boat"):
            place(phrase, known)
    with pytest.raises(UsageError, match="'door'"):
        place("the door")


torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'conservator[torch]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'conservator[torch]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Grounding DINO of random weights that knows ten words, as transformers saves it."""
    from conservator.models.foreign.pytorch import declare_torchvision_operators

    declare_torchvision_operators()
    from transformers import BertTokenizerFast, GroundingDinoConfig, GroundingDinoForObjectDetection

    home = tmp_path_factory.mktemp("dino")
    torch.manual_seed(0)
    (home / "vocab.txt").write_text("\n".join(WORDS))
    swin = {"model_type": "swin", "image_size": 64, "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1],
            "window_size": 2, "out_features": ["stage2", "stage3", "stage4"]}  # fmt: skip
    bert = {"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "vocab_size": len(WORDS), "max_position_embeddings": 64}  # fmt: skip
    config = GroundingDinoConfig(
        backbone_config=swin, text_config=bert, d_model=32, encoder_layers=1, decoder_layers=2, num_queries=12,
        encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2, decoder_attention_heads=2, max_text_len=64,
    )  # fmt: skip
    GroundingDinoForObjectDetection(config).eval().save_pretrained(home)
    BertTokenizerFast(str(home / "vocab.txt")).save_pretrained(home)
    size = {"shortest_edge": 64, "longest_edge": 128}
    (home / "preprocessor_config.json").write_text(json.dumps({"size": size}))
    return home


def test_a_folder_is_read_and_run_whole(folder: Path, tmp_path: Path) -> None:
    source = source_named(f"dino:{folder}")
    assert isinstance(source, Grounded) and source.network.sides == (64, 128) and source.knows(Prompt("red door"))
    assert list(source.weights) == ["model.safetensors"] and len(source.weights["model.safetensors"]) == 64
    boxes, scores = source.network.find(np.full((64, 90, 3), 0.5, np.float32), "red door")
    assert boxes.shape == (12, 4) and scores.shape == (12,) and (boxes >= 0).all() and (boxes <= 1).all()
    # Random weights are sure of nothing: whatever they say counts here.
    lax = Grounded("dino:test", source.network, least=0.0)
    found = select(scene(*SIZE), "left of the red hat", diagnosis=diagnosed(SIZE), sources=[VOCABULARY, lax])
    again = select(scene(*SIZE), "left of the red hat", diagnosis=diagnosed(SIZE), sources=[VOCABULARY, lax])
    assert found.mask.shape == SIZE and np.array_equal(found.mask, again.mask) and found.phrase == "left of red hat"
    assert source_named(f"dino:{folder}").network is source.network, "loaded once"  # type: ignore[attr-defined]


def test_diagnose_takes_a_name_of_ones_own(folder: Path, tmp_path: Path) -> None:
    photograph(tmp_path / "street.jpg", seed=1)
    arguments = ("--regions", f"dino:{folder}", "--select", "left of the red door", "--json")
    done = run("diagnose", tmp_path / "street.jpg", *arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["selection"]["phrase"] == "left of red door"
    refused = run("restore", tmp_path / "street.jpg", "--regions", f"dino:{folder}")
    assert refused.exit_code != 0 and "a source that finds things by itself" in refused.output


def test_a_folder_that_is_no_such_network_says_so(folder: Path, tmp_path: Path) -> None:
    import shutil

    with pytest.raises(ModelMissing, match=r"config\.json"):
        source_named(f"dino:{tmp_path}")
    shutil.copytree(folder, tmp_path / "mute")
    for file in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "mute" / file).unlink(missing_ok=True)
    with pytest.raises(ModelMissing, match="tokenizer"):
        source_named(f"dino:{tmp_path / 'mute'}")
    shutil.copytree(folder, tmp_path / "cut")
    weights = tmp_path / "cut/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelMissing, match="cannot be loaded"):
        source_named(f"dino:{tmp_path / 'cut'}")


def test_nan_is_an_error_and_no_box(folder: Path) -> None:
    with pytest.raises(ToolFailed, match="NaN"):
        source_named(f"dino:{folder}").network.find(np.full((64, 90, 3), np.nan, np.float32), "door")  # type: ignore[attr-defined]
