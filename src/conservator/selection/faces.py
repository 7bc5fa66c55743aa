"""Faces: by the frontal cascade that ships with scikit-image, or by a YuNet file (OpenCV's face detector) when given.

The cascade (local binary patterns, Liao et al., ICB 2007) sees upright faces that look at the camera. Whoever needs
more sets CONSERVATOR_FACES to the path of a `face_detection_yunet_*.onnx`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from conservator.errors import InputError, ModelMissing
from conservator.pixels.reduce import thumbnail
from conservator.pixels.types import Mask
from conservator.selection.scene import Scene, ramp

VARIABLE = "CONSERVATOR_FACES"
LONGEST = 480  # pixels of the long side of what the detectors see
SMALLEST = 24  # pixels of a face's side there
VOTES = 4  # overlapping detections that make a face of the cascade's
SKIN = 0.25  # share of skin colours in a face of the cascade's, where the picture has colour
SEEN = 0.6  # score from which YuNet's faces count
Face = tuple[float, float, float, float, float]
"""Left, top, width, height as shares of the frame's sides, and confidence."""


def faces(scene: Scene) -> tuple[Mask, float]:
    """Ellipses around the faces found, (h, w), and the confidence of the surest."""
    file = os.environ.get(VARIABLE)
    found = list(_yunet(scene, Path(file)) if file else _cascade(scene))
    mask = np.zeros(scene.size, np.float32)
    for face in found:
        mask = np.maximum(mask, _ellipse(face, scene.size))
    return mask, max((face[4] for face in found), default=0.0)


def _cascade(scene: Scene) -> Iterator[Face]:
    import cv2

    small = np.rint(thumbnail(scene.samples, LONGEST) * np.float32(255)).astype(np.uint8)
    height, width = small.shape[:2]
    if min(height, width) < SMALLEST:
        return
    grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    boxes = _detector().detect_multi_scale(
        grey, scale_factor=1.2, step_ratio=1.5, min_size=(SMALLEST, SMALLEST), max_size=(height, width),
        min_neighbor_number=VOTES,
    )  # fmt: skip
    for box in boxes:
        face = box["c"] / width, box["r"] / height, box["width"] / width, box["height"] / height
        if _is_skin(scene, face):
            yield *face, 0.6


def _is_skin(scene: Scene, face: tuple[float, float, float, float]) -> bool:
    """Whether a place has skin's colours; true in pictures without colour."""
    from conservator.selection.tones import skin

    if np.hypot(scene.lab[..., 1], scene.lab[..., 2]).mean() < 3:
        return True
    return float(skin(scene)[0][_ellipse((*face, 1.0), scene.size) > 0.5].mean()) >= SKIN


@cache
def _detector() -> Any:
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())  # type: ignore[no-untyped-call]


def _yunet(scene: Scene, file: Path) -> Iterator[Face]:
    import cv2

    if not file.is_file():
        raise ModelMissing(f"{VARIABLE}={file}: no such file", "a YuNet ONNX file", "correct the path, or unset it")
    small = np.rint(thumbnail(scene.samples, LONGEST) * np.float32(255)).astype(np.uint8)
    height, width = small.shape[:2]
    try:
        detector = cv2.FaceDetectorYN.create(str(file), "", (width, height), SEEN)
        _, rows = detector.detect(np.ascontiguousarray(small[..., ::-1]))
    except cv2.error as error:
        raise InputError(f"{file} cannot be run ({error.err})", "OpenCV's YuNet", "download it again") from error
    for row in rows if rows is not None else ():
        left, top, wide, high, score = (float(row[i]) for i in (0, 1, 2, 3, -1))
        yield left / width, top / height, wide / width, high / height, min(score, 1.0)


def _ellipse(face: Face, size: tuple[int, int]) -> Mask:
    """A soft ellipse that holds the head: detectors' boxes end at brow and chin."""
    left, top, wide, high, _ = face
    y, x = ((np.arange(n, dtype=np.float32) + np.float32(0.5)) / n for n in size)
    across, down = (x - left - wide / 2) / (0.62 * wide), (y - top - 0.47 * high) / (0.8 * high)
    return ramp(np.hypot(across, down[:, None]), 1.1, 0.9)
