"""Damage in plain words and physical units, long for pages and short for labels inside pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from conservator.degradations import BY_NAME, NAMES

_TITLES = MappingProxyType({"jpeg": "JPEG compression", "over_exposure": "Over-exposure"})

_AMOUNTS = MappingProxyType(
    {
        "noise": "σ {:.0f} of 255",
        "jpeg": "quality {:.0f}",
        "motion_blur": "{:.1f} px long",
        "defocus_blur": "{:.1f} px radius",
        "low_resolution": "shrunk {:.1f}×",
        "rain": "+{:.0f} levels of 255",
        "haze": "{:.0%} veiled",
        "low_light": "{:.1f} EV lost",
        "over_exposure": "{:.1f} EV too much",
    }
)

# Pillow's built-in font has little beyond ASCII: no σ, no ×, no minus sign.
_LABELS = MappingProxyType(
    {
        "noise": "noise {:.0f}",
        "jpeg": "JPEG q{:.0f}",
        "motion_blur": "motion {:.0f} px",
        "defocus_blur": "defocus {:.1f} px",
        "low_resolution": "shrunk {:.1f}x",
        "rain": "rain +{:.0f}",
        "haze": "haze {:.0%}",
        "low_light": "dark -{:.1f} EV",
        "over_exposure": "bright +{:.1f} EV",
    }
)


def title(name: str) -> str:
    """A degradation's name for people: "motion_blur" is "Motion blur"."""
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def amount(name: str, severity: float) -> str:
    """The physical value of a severity in [0, 1] with its unit: "σ 12 of 255"."""
    kind = BY_NAME[name]
    value = float(kind.value(severity))
    return _AMOUNTS[name].format(value) if name in _AMOUNTS else f"{value:.3g} {kind.unit}"


def label(name: str, severity: float) -> str:
    """Name and physical value as short as a label inside a picture must be: "noise 12"."""
    value = float(BY_NAME[name].value(severity))
    return _LABELS[name].format(value) if name in _LABELS else f"{title(name).lower()} {value:.2g}"


def worst_first(severities: Mapping[str, float]) -> list[str]:
    """Names of degradations, the most severe first; equal ones in the order of `degradations.NAMES`."""
    return sorted(severities, key=lambda name: (-severities[name], NAMES.index(name)))


def listed(items: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"; "" for nothing."""
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def lower(name: str) -> str:
    """`title` inside a sentence: "JPEG compression", but "haze"."""
    words = title(name)
    return words if words[:2].isupper() else words[0].lower() + words[1:]
