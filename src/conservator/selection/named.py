"""Mask sources by name: the kind, a colon, and where its network lies."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from conservator.errors import ModelMissing, UsageError
from conservator.models.foreign.grounding_torch import Grounder
from conservator.selection.grounding import Grounded
from conservator.selection.sam import Sam
from conservator.selection.source import MaskSource


def source_named(name: str) -> MaskSource:
    """A mask source: "sam:FOLDER", "sam:ENCODER.onnx,DECODER.onnx", "sam:FASTSAM.onnx", or "dino:FOLDER[+sam:…]".

    A folder holds the two .onnx files, or config.json and .safetensors as transformers writes them. "dino" finds things
    by any word, and the source behind the plus draws their outlines.
    Raises UsageError for another kind, and when the files are no such network; ModelMissing when one is absent or
    damaged, or when PyTorch or transformers are needed and absent.
    """
    kind, _, place = name.partition(":")
    if kind == "dino" and place:
        return _grounded(place)
    if kind != "sam" or not place:
        raise UsageError(f"a mask source {name!r}", "sam:FOLDER or sam:ENCODER.onnx,DECODER.onnx; or dino:FOLDER")
    paths = [Path(part).resolve() for part in ([place] if Path(place).exists() else place.split(","))]
    folder = paths[0]
    whole = (folder / "config.json").is_file() and (any(folder.glob("*.safetensors")) or not any(folder.glob("*.onnx")))
    files = tuple(sorted(folder.iterdir())) if whole else _files(paths)
    stamps = tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.exists())
    # Records keep the name: a relative path would mean something else elsewhere.
    return _opened(f"sam:{','.join(map(str, paths))}", folder if whole else None, files, stamps)


def _grounded(place: str) -> MaskSource:
    given, plus, other = place.partition("+")
    folder = Path(given).resolve()
    if not (folder / "config.json").is_file():
        raise ModelMissing(f"no config.json in {folder}", "Grounding DINO as transformers saves it", "correct the path")
    outliner = source_named(other) if plus else None
    name = f"dino:{folder}{f'+{outliner.name}' if outliner else ''}"
    stamps = tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in sorted(folder.iterdir()))
    return Grounded(name, _grounder(folder, stamps), outliner)


@lru_cache(maxsize=1)
def _grounder(folder: Path, _stamps: tuple[tuple[int, int], ...]) -> Grounder:
    from conservator.models.foreign import grounding_torch

    return grounding_torch.read(folder)


@lru_cache(maxsize=1)
def _opened(name: str, folder: Path | None, files: tuple[Path, ...], _stamps: tuple[tuple[int, int], ...]) -> Sam:
    """Kept for the next photograph: networks take seconds to load."""
    if folder is not None:
        from conservator.models.foreign import sam_torch

        return Sam(name, sam_torch.read(folder))
    from conservator.models.foreign import fastsam_onnx, sam_onnx

    return Sam(name, sam_onnx.read(*files) if len(files) == 2 else fastsam_onnx.read(*files))


def _files(paths: list[Path]) -> tuple[Path, ...]:
    """The one or two .onnx files that are named, or lie in the folder that is."""
    if len(paths) == 2 or paths[0].is_file():
        return tuple(paths[:2])
    if len(paths) > 2 or not paths[0].is_dir():
        fix = "name the folder that holds both, or ENCODER.onnx,DECODER.onnx"
        raise ModelMissing(f"no folder or file {paths[0]}", "an encoder and a decoder", fix)
    files = tuple(sorted(paths[0].glob("*.onnx")))
    if len(files) not in (1, 2):
        fix = "name the two: sam:ENCODER.onnx,DECODER.onnx"
        raise UsageError(f"{len(files)} .onnx files in {paths[0]}", "an encoder and a decoder", fix)
    return files
