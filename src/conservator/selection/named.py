"""Mask sources by name: the kind, a colon, and where its network lies."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from conservator.errors import ModelMissing, UsageError
from conservator.selection.sam import Sam
from conservator.selection.source import MaskSource


def source_named(name: str) -> MaskSource:
    """A mask source: "sam:FOLDER", "sam:ENCODER.onnx,DECODER.onnx", or "sam:FASTSAM.onnx".

    A folder holds the two .onnx files, or config.json and .safetensors as transformers writes them.
    Raises UsageError for another kind, and when the files are no such network; ModelMissing when one is absent or
    damaged, or when PyTorch or transformers are needed and absent.
    """
    kind, _, place = name.partition(":")
    if kind != "sam" or not place:
        raise UsageError(f"a mask source {name!r}", "sam:FOLDER or sam:ENCODER.onnx,DECODER.onnx", "correct it")
    paths = [Path(part).resolve() for part in ([place] if Path(place).exists() else place.split(","))]
    folder = paths[0]
    whole = (folder / "config.json").is_file() and (any(folder.glob("*.safetensors")) or not any(folder.glob("*.onnx")))
    files = tuple(sorted(folder.iterdir())) if whole else _files(paths)
    stamps = tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.exists())
    # Records keep the name: a relative path would mean something else elsewhere.
    return _opened(f"sam:{','.join(map(str, paths))}", folder if whole else None, files, stamps)


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
