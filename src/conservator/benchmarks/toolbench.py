"""Every tool beside the classical ones that a user has, on the same photographs in one run.

Each tool treats photographs that have its own kind of damage and no other, twice: as `treat` does, with the severity
that is perceived, and told the true severity, so that what perception owes can be told from what the tool owes.

Enlarging follows the protocol of its literature: photographs cut to multiples of the scale, shrunk by bicubic
interpolation that does not alias, rounded to 8 bits; PSNR over RGB, and over luma without a border of `scale` pixels.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from conservator.benchmarks import peers
from conservator.benchmarks.brackets import clahe, gamma
from conservator.benchmarks.deblurring import DEBLURRERS, Deblurrer, point_spread
from conservator.benchmarks.measuring import BEST, OnRow, compared, result_of
from conservator.benchmarks.noise_pairs import pairs
from conservator.benchmarks.peers import Peer
from conservator.benchmarks.photos import Bytes, read, to_bytes, to_unit
from conservator.benchmarks.results import Findings, Row
from conservator.degradations import BY_NAME, Sight
from conservator.pixels.light import cast_degrees, to_light
from conservator.pixels.types import Maps
from conservator.synthesis import Damage, degrade, draw_preset

if TYPE_CHECKING:
    from conservator.perception import Perceiver
    from conservator.policies import Policy
    from conservator.treatment import Treatment

TITLE = "Tools beside what people use"
INPUT, BLIND, TOLD = "input", "conservator", "conservator, true maps"
AS_ONE, AT_ONCE = "joint network, this damage", "joint network, all it finds"
OURS = (BLIND, TOLD, AS_ONE, AT_ONCE)
LUMA = np.array([65.481, 128.553, 24.966])
"""8-bit luma of sRGB in [0, 1], less 16: MATLAB's rgb2ycbcr, which papers on enlarging use."""

Draw: TypeAlias = Callable[[np.random.Generator], Sequence[Damage]]


@dataclass(frozen=True, eq=False)
class Case:
    """A damaged photograph and its truth.

    before    as large as the truth
    severity  float32 (D, h, w), None where nobody knows it
    small     what everybody is given where the task is to enlarge; `before` is then the same, zoomed
    damages   what was inflicted, where that is known
    """

    photo: str
    before: Bytes
    truth: Bytes
    severity: Maps | None = None
    small: Bytes | None = None
    damages: Sequence[Damage] = ()

    @property
    def given(self) -> Bytes:
        """What everybody is given."""
        return self.before if self.small is None else self.small


Contestant: TypeAlias = Callable[[Case], Bytes]


@dataclass(frozen=True)
class Task:
    """One kind and strength of damage, the tool for it, and the tool's classical peers.

    draw        damages of a clean photograph; None where the photographs came damaged, or small
    scale       how many times a small photograph is to be enlarged
    deblurrers  peers that are told the kernel
    """

    name: str
    tool: str
    draw: Draw | None
    peers: Mapping[str, Peer] = field(default_factory=dict)
    scale: int = 1
    deblurrers: Mapping[str, Deblurrer] = field(default_factory=dict)


def noise(sigma: float) -> Task:
    """White Gaussian noise, rounded and clipped to 8 bits."""
    classics = {
        "NLMeans (OpenCV)": peers.nlmeans(sigma),
        "total variation": peers.total_variation(sigma),
        "bilateral": peers.bilateral(sigma),
    }
    if importlib.util.find_spec("bm3d"):
        classics["BM3D"] = peers.bm3d(sigma)
    return Task(f"noise, σ {sigma:g}", "denoise", _given("noise", sigma=sigma), classics)


def jpeg(quality: int) -> Task:
    """One compression, chroma halved. Without a deblocker most people leave it as it is: the input is a peer."""
    classics = {"bilateral": peers.bilateral(10), "total variation": peers.total_variation(10)}
    return Task(f"JPEG, quality {quality}", "dejpeg", _given("jpeg", quality=quality), classics)


def blur(name: str, tool: str, draw: Draw) -> Task:
    """Blur over the frame. What people have that need not be told the kernel is an unsharp mask."""
    return Task(name, tool, draw, {"unsharp mask": peers.unsharp_finely}, deblurrers=DEBLURRERS)


def movement(path: str) -> Draw:
    """A straight or curved path of 5 to 20 px."""

    def draw(rng: np.random.Generator) -> list[Damage]:
        extent, angle = float(np.exp(rng.uniform(np.log(5), np.log(20)))), float(rng.uniform(0, np.pi))
        return [Damage("motion_blur", {"path": path, "extent": extent, "angle": angle}, int(rng.integers(2**31)))]

    return draw


def cast(degrees: float) -> Task:
    """A light so far from grey, in a direction drawn at random."""

    def draw(rng: np.random.Generator) -> list[Damage]:
        return [Damage("colour_cast", {"degrees": degrees, "hue": float(rng.uniform(0, 2 * np.pi))})]

    classics = {"grey world": peers.grey_world, "white patch": peers.white_patch}
    return Task(f"cast of {degrees:g}°", "white_balance", draw, classics)


def enlarging(scale: int) -> Task:
    """A photograph at a `scale`-th of its sides."""
    classics = {
        "bicubic (Pillow)": peers.resized(scale, Resampling.BICUBIC),
        "Lanczos (Pillow)": peers.resized(scale, Resampling.LANCZOS),
    }
    return Task(f"enlarging ×{scale}", "super_resolution", None, classics, scale)


def _given(kind: str, **parameters: float) -> Draw:
    return lambda rng: [Damage(kind, parameters, int(rng.integers(2**31)))]


def _preset(kind: str) -> Draw:
    return lambda rng: draw_preset(rng, [kind])


EXPOSURE: Mapping[str, Peer] = {"gamma 2.2": gamma, "CLAHE": clahe}
TASKS = (
    *(noise(sigma) for sigma in (15, 25, 50)),
    *(jpeg(quality) for quality in (10, 20, 40)),
    Task("rain", "derain", _preset("rain"), {"median": peers.median, "opening": peers.opening}),
    Task(
        "haze", "dehaze", _preset("haze"),
        {"dark-channel prior": peers.dark_channel, "CLAHE": clahe, "unsharp mask, wide": peers.unsharp},
    ),
    Task("low light", "low_light", _preset("low_light"), EXPOSURE),
    Task("over-exposure", "over_exposure", _preset("over_exposure"), EXPOSURE),
    blur("motion, AgenticIR's", "motion_deblur", _preset("motion_blur")),
    blur("motion, straight", "motion_deblur", movement("line")),
    blur("motion, curved", "motion_deblur", movement("curve")),
    blur("out of focus", "defocus_deblur", _preset("defocus_blur")),
    *(cast(degrees) for degrees in (0, 5, 10, 20)),
    Task("scratches", "scratches", _preset("scratches"), {"median": peers.median, "top hats + Telea": peers.top_hats}),
    *(enlarging(scale) for scale in (2, 3, 4)),
)  # fmt: skip
UNDERWATER = Task("under water", "underwater", None, {"grey world": peers.grey_world, "CLAHE": clahe})


def run(
    photos: Sequence[Path],
    *,
    underwater: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
    tasks: Sequence[Task] = TASKS,
    ours: Callable[[Task], Mapping[str, Contestant]] | None = None,
    on_row: OnRow | None = None,
) -> Findings:
    """Damage every clean photograph for every task and have everybody treat it.

    photos      clean photographs
    underwater  folder with degraded/ and reference/ of photographs taken under water; none when omitted
    limit       most pairs of these
    ours        our contestants for a task; `our_tools` when omitted
    """
    from conservator.benchmarks.toolsummary import summary

    rows: list[Row] = []
    work = [(task, list(_small(task, photos) if task.scale > 1 else _damaged(task, photos, seed))) for task in tasks]
    if underwater is not None:
        work.append((UNDERWATER, list(_pairs(underwater, limit))))
    for task, cases in work:
        for row in _contest(task, cases, (ours or our_tools)(task)):
            rows.append({"tool": task.tool, "task": task.name, **row})
            if on_row is not None:
                on_row(rows[-1])
    settings = {"photos": len(photos), "underwater_pairs": 0 if underwater is None else len(work[-1][1])}
    return Findings(TITLE, summary(rows, seed), rows, settings)


def our_tools(task: Task, perceiver: Perceiver | None = None) -> dict[str, Contestant]:
    """The task's tool as `treat` applies it, and told the true severity where a perceiver would estimate it.

    Beside it the tool that knows several kinds of damage, asked about this one and about all: what a specialist is for.
    """
    from conservator.benchmarks.controls import told
    from conservator.perception import looking_for
    from conservator.plan import Step
    from conservator.policies.enlarging import Enlarge
    from conservator.policies.enlarging import enlarging as enlarge_step
    from conservator.policies.scripted import ScriptedPolicy
    from conservator.tools.registry import TOOLS
    from conservator.treatment import restore

    kinds, several = TOOLS.get(task.tool).card.treats, TOOLS.get("joint").card.treats

    def blind(policy: Policy) -> Contestant:
        return lambda case: treated(case, policy, perceiver or looking_for(kinds))

    def treated(case: Case, policy: Policy, look: Perceiver) -> Bytes:
        treatment: Treatment = restore(case.given, policy=policy, scale=task.scale, perceiver=look)
        return result_of(treatment)

    def knowing(case: Case) -> Bytes:
        assert case.severity is not None
        return treated(case, once(task.tool, kinds), told(case.severity))

    def once(tool: str, treats: tuple[str, ...]) -> Policy:
        return ScriptedPolicy([Step(tool, treats, reason="benchmark")])

    if task.scale > 1:
        return {BLIND: blind(Enlarge(enlarge_step(TOOLS.get(task.tool), task.scale)))}
    found = {BLIND: blind(once(task.tool, kinds))}
    if any(BY_NAME[kind].sight is not Sight.TOLD for kind in kinds):
        found[TOLD] = knowing
    if set(kinds) < set(several):
        found |= {AS_ONE: blind(once("joint", kinds)), AT_ONCE: blind(once("joint", several))}
    return found


def _damaged(task: Task, photos: Sequence[Path], seed: int) -> Iterator[Case]:
    assert task.draw is not None
    for index, path in enumerate(photos):
        # Seed and photograph alone: strengths of one damage share their noise, and a limit changes nothing.
        damages = task.draw(np.random.default_rng((seed, index)))
        sample = degrade(to_unit(read(path)), damages)
        yield Case(path.name, to_bytes(sample.degraded), to_bytes(sample.clean), sample.truth, damages=damages)


def _small(task: Task, photos: Sequence[Path]) -> Iterator[Case]:
    for path in photos:
        picture = read(path)
        height, width = (side // task.scale for side in picture.shape[:2])
        truth = picture[: height * task.scale, : width * task.scale]
        small = np.asarray(Image.fromarray(truth).resize((width, height), Resampling.BICUBIC), np.uint8)
        yield Case(path.name, peers.repeated(small, task.scale), truth, small=small)


def _pairs(folder: Path, limit: int | None) -> Iterator[Case]:
    for reference, degraded in pairs(folder, limit, ("reference", "degraded")):
        yield Case(degraded.name, read(degraded), read(reference))


def _contest(task: Task, cases: Sequence[Case], ours: Mapping[str, Contestant]) -> Iterator[Row]:
    """Rows of every case and contestant; each contestant runs once before it is timed, for networks must be loaded."""
    classics = {name: _of_picture(peer) for name, peer in task.peers.items()}
    classics |= {name: _told_kernel(deblurrer) for name, deblurrer in task.deblurrers.items()}
    everybody: dict[str, Contestant] = {INPUT: lambda case: case.before, **ours, **classics}
    for contestant in everybody.values():
        contestant(cases[0])
    for case in cases:
        for name, contestant in everybody.items():
            begun = time.perf_counter()
            after = contestant(case)
            seconds = time.perf_counter() - begun
            row = {"photo": case.photo, "method": name, **compared(case.before, after, case.truth)}
            if task.tool == "white_balance":
                row |= {f"angle{when}_degrees": _cast_of(picture, case.truth)
                        for when, picture in (("_before", case.before), ("", after))}  # fmt: skip
            if task.scale > 1:
                row |= {f"luma_{name}": _luma_db(picture, case.truth, task.scale)
                        for name, picture in (("before_db", case.before), ("db", after))}  # fmt: skip
            yield row | {"per_megapixel_seconds": seconds * 1e6 / after[..., 0].size}


def _of_picture(peer: Peer) -> Contestant:
    return lambda case: peer(case.given)


def _told_kernel(deblurrer: Deblurrer) -> Contestant:
    return lambda case: deblurrer(case.given, point_spread(case.damages))


def _luma_db(picture: Bytes, truth: Bytes, border: int) -> float:
    """PSNR of BT.601 luma in its range of 16 to 235, unrounded, without a border of so many pixels."""
    inside = np.s_[border:-border, border:-border]
    error = (to_unit(picture[inside]) - to_unit(truth[inside])).astype(np.float64) @ LUMA
    return min(BEST, float(-10 * np.log10(max(np.square(error / 255).mean(), 1e-12))))


def _cast_of(picture: Bytes, truth: Bytes) -> float:
    """Angle in degrees between grey and the light that makes the truth look like a picture, clipped pixels left out."""
    seen = ((picture > 4) & (picture < 251) & (truth > 4) & (truth < 251)).all(axis=2)
    shown, true = (to_light(to_unit(p[seen])).astype(np.float64) for p in (picture, truth))
    return cast_degrees((shown * true).sum(axis=0) / np.maximum(np.square(true).sum(axis=0), 1e-12))
