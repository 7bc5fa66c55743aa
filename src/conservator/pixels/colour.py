"""Colour spaces of files: which profiles are kept, and how the others become sRGB.

A picture with an RGB (or, when it is grey, a GRAY) profile keeps its sample values and its profile: what is not
treated then comes back to the byte, and Display P3 or Adobe RGB look as before. The networks see those values as if
they were sRGB, which costs them nothing measurable and costs the picture nothing at all. CMYK and Lab have other
channels, so they are converted to sRGB (relative colorimetric, black point compensated) and lose their profile.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeAlias

from conservator.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

Conversion: TypeAlias = "Callable[[Image.Image], Image.Image]"


def profile_space(icc: bytes) -> str:
    """Colour space an ICC profile describes: "RGB", "GRAY", "CMYK", "Lab"…; "" when it is no profile (ICC.1 §7.2)."""
    if len(icc) < 128 or icc[36:40] != b"acsp":
        return ""
    return icc[16:20].decode("latin-1").strip()


def kept_profile(icc: bytes | None, gray: bool) -> bytes | None:
    """The profile if it describes these channels, else None: a profile for other channels cannot be applied."""
    if not icc or profile_space(icc) not in (("RGB", "GRAY") if gray else ("RGB",)):
        return None
    return icc


def to_srgb(mode: str, icc: bytes | None) -> Conversion:
    """Conversion of Pillow images of a mode ("RGB", "L", "CMYK", "LAB") and profile to sRGB mode "RGB".

    CMYK without a profile is converted by the plain formula, which is what browsers do. InputError when the profile
    is for other channels or cannot be used.
    """
    if icc is None and mode == "CMYK":
        return lambda image: image.convert("RGB")
    from PIL import ImageCms

    transform = _transform(mode, icc)

    def convert(image: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None  # None only when it works in place
        return converted

    return convert


def _transform(mode: str, icc: bytes | None) -> Any:
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(BytesIO(icc)) if icc else ImageCms.createProfile("LAB")
        return ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        raise InputError(
            f"an ICC profile that cannot be applied to {mode} ({error})",
            f"a profile for {mode}",
            "convert the picture to sRGB in the program it came from",
        ) from error
