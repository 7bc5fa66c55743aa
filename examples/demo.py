"""Damage a photograph differently in different places, restore it, and see what became of it.

    python examples/demo.py [FOLDER]

The photograph comes with scikit-image; nothing is downloaded. FOLDER (demo/ by default) then holds input.png,
output.png, side-by-side.png, report.html and record.json.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

import conservator
from conservator.report import compare, write_report
from conservator.synthesis import Sample, degrade, draw_spatial

KINDS = ("noise", "jpeg", "rain", "haze")
SEED = 5


def damaged() -> Sample:
    """Eileen Collins (NASA, public domain), a different mixture of damage in each region, one region clean."""
    clean = data.astronaut().astype(np.float32) / 255
    damages, regions = draw_spatial(clean, np.random.default_rng(SEED), KINDS, preset=True)
    return degrade(clean, damages, regions)


def tell(event: dict[str, Any]) -> None:
    """Print the events that decide something."""
    match event:
        case {"type": "diagnosed", "degradations": found}:
            for name, facts in found.items():
                share, value = facts["share_of_frame"], facts["typical_value"]
                print(f"  found {name} in {share:.0%} of the frame, typically {value:.3g} ({facts['unit']})")
        case {"type": "kept", "tool": tool, "gain": gain}:
            print(f"  kept {tool}: {gain:.0%} of that damage is gone")
        case {"type": "taken_back" | "step_failed", "tool": tool}:
            print(f"  gave up {tool}: {event.get('reason') or event['error']}")
        case {"type": "cannot_treat", "degradation": name, "reason": reason}:
            print(f"  left {name} alone: {reason}")


def main(folder: Path) -> None:
    """Make the pictures and the page."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = damaged()
    Image.fromarray(np.rint(sample.degraded * 255).astype(np.uint8)).save(folder / "input.png")
    print("inflicted:", ", ".join(sorted({damage.kind for damage in sample.damages})))
    treatment = conservator.restore(folder / "input.png", on_event=tell)
    treatment.save(folder / "output.png", overwrite=True)
    Image.fromarray(compare(treatment)).save(folder / "side-by-side.png")
    write_report(treatment, folder / "report.html", overwrite=True)
    (folder / "record.json").write_text(treatment.record.to_json(), "utf-8")
    before, after = (
        peak_signal_noise_ratio(sample.clean, picture, data_range=1) for picture in (sample.degraded, treatment.pixels)
    )
    same = (treatment.photo.samples == treatment.original.samples).all(axis=2)[sample.untouched == 1]
    print(f"PSNR: {before:.2f} dB before, {after:.2f} dB after")
    print(f"undamaged pixels that are the same to the bit: {same.mean():.1%}")
    print(f"see {folder}/side-by-side.png and {folder}/report.html")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
