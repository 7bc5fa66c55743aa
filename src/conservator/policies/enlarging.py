"""The last step, whatever the policy: the photograph as it is by then, made larger."""

from __future__ import annotations

from dataclasses import dataclass, replace

from conservator.errors import UsageError
from conservator.photo import MAX_PIXELS, Photo
from conservator.plan import Step
from conservator.session import Session
from conservator.tools.card import Tool


def enlarging(tool: Tool, scale: int) -> Step:
    """The step that enlarges so many times; UsageError when the tool cannot."""
    if scale == 1 or scale not in tool.scales:
        raise UsageError(f"{tool.name} ×{scale}", " or ".join(f"×{one}" for one in tool.scales), "use another tool")
    options = {"scale": scale} if len(tool.scales) > 1 else {}
    return Step(tool.name, tool.card.treats, options=options, reason=f"×{scale} asked for")


def check_size(photo: Photo, scale: int) -> None:
    """UsageError when the photo would come out larger than any that can be opened again."""
    height, width = (scale * side for side in photo.size)
    if height * width > MAX_PIXELS:
        got = f"{width}×{height} pixels ({height * width / 1e6:.0f} MP) asked for with scale={scale}"
        raise UsageError(got, f"at most {MAX_PIXELS / 1e6:g} MP", "pass a smaller scale")


@dataclass(frozen=True)
class Enlarge:
    """A policy of one step that cannot be left out: whoever asked for a size gets it.

    Where the tool fails, or the budget allows no further call, the photograph is enlarged by interpolation alone; the
    plan then says so with a strength of 0, which no network takes part in.
    """

    step: Step

    def __call__(self, session: Session) -> None:
        """Enlarge."""
        why = session.exhausted
        if why is None:
            outcome = session.apply(self.step)
            if outcome.failed is None:
                session.keep(outcome)
                return
            why = f"{self.step.tool} failed"
        session.keep(session.apply(replace(self.step, strength=0.0, reason=f"interpolation alone: {why}")))
