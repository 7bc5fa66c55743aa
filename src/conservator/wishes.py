"""What the user asks for in words, reduced to what to treat, what to keep and how strongly. No model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from conservator.degradations import PERCEIVED
from conservator.errors import UsageError

WORDS: dict[str, tuple[str, ...]] = {
    "noise": ("noise", "noisy", "grain", "speckle", "噪点", "噪声", "颗粒"),
    "jpeg": ("jpeg", "compression", "blocks", "blocking", "artifacts", "artefacts", "压缩"),
    "rain": ("rain", "raindrops", "streaks", "雨"),
    "haze": ("haze", "hazy", "fog", "mist", "smog", "雾", "霾"),
    "low_light": ("low light", "low_light", "dark", "darkness", "underexposed", "brighten", "shadows", "暗", "提亮"),
    "over_exposure": ("over-exposure", "over exposure", "over_exposure", "overexposed", "highlights", "过曝"),
    "motion_blur": ("motion blur", "motion_blur", "camera shake", "运动模糊"),
    "defocus_blur": ("defocus", "defocus_blur", "out of focus", "blur", "失焦", "模糊"),
    "low_resolution": ("low resolution", "low_resolution", "pixelated", "upscale", "sharpen"),
}
_KEEP = ("keep", "leave", "preserve", "don't", "do not", "dont", "without", "no", "not", "保留", "不要")
_GENTLE = ("a little", "slightly", "gently", "a bit", "lightly", "轻微", "一点")
_FILLER = frozenset(
    re.findall(
        r"\S+",
        """
        please the a an and only just of in on from this that it its photo picture image remove fix reduce clean clear
        treat repair correct restore not denoise dehaze derain deblur all any some my to touch up make less out get rid
        keep leave preserve don't do not dont without no little slightly gently bit lightly is are as
        """,
    )
)
_VERBS = {"denoise": "noise", "dehaze": "haze", "derain": "rain", "deblur": "defocus_blur"}


@dataclass(frozen=True)
class Wishes:
    """What an instruction means.

    only     kinds to treat; None is whatever ails the photo
    keep     kinds to leave as they are
    gentle   kinds to treat at half strength
    """

    only: frozenset[str] | None = None
    keep: frozenset[str] = frozenset()
    gentle: frozenset[str] = frozenset()

    def strength(self, kind: str) -> float:
        """0, 0.5 or 1 for a degradation."""
        if kind in self.keep or (self.only is not None and kind not in self.only):
            return 0.0
        return 0.5 if kind in self.gentle else 1.0


def parse(instruction: str | None) -> Wishes:
    """Read "remove the rain, keep the grain"; UsageError names every part that is not understood."""
    if not instruction or not instruction.strip():
        return Wishes()
    wanted: set[str] = set()
    keep: set[str] = set()
    gentle: set[str] = set()
    unknown: list[str] = []
    for clause in re.split(r"[,;.，；。]|\bbut\b|\band (?=keep|leave|don't|do not|preserve)", instruction.lower()):
        kinds = _kinds(clause)
        if clause.strip() and (not kinds or _leftover(clause)):
            unknown.append(clause.strip())
        (keep if _says(clause, _KEEP) else wanted).update(kinds)
        if _says(clause, _GENTLE):
            gentle.update(kinds)
    if unknown:
        raise UsageError(
            f"cannot: {'; '.join(unknown)}", f"words for {', '.join(PERCEIVED)}", "rephrase or leave it out"
        )
    return Wishes(frozenset(wanted) if wanted else None, frozenset(keep), frozenset(gentle))


def _says(clause: str, words: Iterable[str]) -> bool:
    """Whole words in languages that separate them ("grain" is not "rain"), substrings in Chinese."""
    return any(re.search(rf"\b{re.escape(w)}\b", clause) if w.isascii() else w in clause for w in words)


def _kinds(clause: str) -> set[str]:
    found = {kind for kind, words in WORDS.items() if _says(clause, words)}
    found |= {kind for verb, kind in _VERBS.items() if _says(clause, [verb])}
    return found - {"defocus_blur"} if "motion_blur" in found and "focus" not in clause else found


def _leftover(clause: str) -> list[str]:
    """Words that neither name damage nor fill the sentence: a wish we must not guess at."""
    for words in WORDS.values():
        for word in sorted(words, key=len, reverse=True):
            clause = re.sub(rf"\b{re.escape(word)}\b" if word.isascii() else word, " ", clause)
    return [word for word in re.findall(r"[a-z'_]+", clause) if word not in _FILLER]
