"""The Studio's model, without a browser: drafts, versions, runs that supersede each other, with real workers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import conservator
from conservator.errors import InputError, UsageError
from conservator.perception.remembering import Remembering
from conservator.photo import encode
from conservator.plan import Step
from conservator.serve.jobs import ENDED, Jobs, State
from conservator.serve.limits import Limits
from conservator.serve.orders import Order, RestoreOptions
from conservator.serve.refusals import NoSuchJob, QueueFull, UnknownFormat
from conservator.serve.studio.brush import PROTECT, TREAT, alike, mask_of, picture_of
from conservator.serve.studio.desk import Desk, Run
from conservator.serve.studio.desks import Desks
from conservator.serve.studio.draft import OWN, Draft, Line, Place
from conservator.serve.studio.history import Version
from conservator.serve.studio.scraps import Scraps
from conservator.serve.studio.show import choices
from conservator.serve.worker import carry_out
from serving import encoded, png, slow, until

PLAN = Draft(lines=tuple(Line(Step(tool, ("noise",))) for tool in ("denoise", "dejpeg", "derain")))


def tools(draft: Draft) -> list[str]:
    return [step.tool for step in draft.steps]


# drafts


def test_every_edit_of_a_plan_gives_a_new_draft_and_says_what_it_was() -> None:
    edits = {
        "dejpeg switched off": PLAN.switched(1, False),
        "derain at 0.5": PLAN.strengthened(2, 0.5),
        "steps in another order": PLAN.moved(2, -1),
        "denoise removed": PLAN.removed(0),
        "joint added": PLAN.added("joint"),
        "denoise with keep_grain 0.5": PLAN.given(0, "keep_grain", 0.5),
        "dejpeg only in r2": PLAN.placed(1, Place("r2", b"a mask")),
        "dejpeg in its own mask": PLAN.placed(1, Place(OWN, b"a mask")),
    }
    assert {said: draft.changes(PLAN) for said, draft in edits.items()} == {said: [said] for said in edits}
    assert tools(PLAN) == ["denoise", "dejpeg", "derain"] and PLAN.changes(PLAN) == []
    assert tools(PLAN.switched(1, False)) == ["denoise", "derain"]
    assert tools(PLAN.moved(2, -1)) == ["denoise", "derain", "dejpeg"]
    assert PLAN.moved(0, -1) == PLAN.moved(2, 1) == PLAN


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda: PLAN.switched(3, False), "step 4 of 3"),
        (lambda: PLAN.removed(-1), "step 0 of 3"),
        (lambda: PLAN.strengthened(0, 2.5), "a strength of 2.5"),
        (lambda: PLAN.added("joinz"), "did you mean joint"),
        (lambda: PLAN.given(0, "keep_grain", "much"), "keep_grain='much'"),
        (lambda: PLAN.given(0, "keep_grian", 1.0), "did you mean keep_grain"),
    ],
)
def test_an_edit_that_cannot_be_is_said(edit: Callable[[], Draft], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        edit()


def test_a_mask_is_for_the_whole_plan_or_for_the_line_it_was_drawn_for() -> None:
    plan = Draft().planned(line.step for line in PLAN.lines).masked(b"all")
    own = plan.masked(b"own", b"strokes", 2)
    assert (plan.painted(), own.painted(), own.painted(2)) == ((b"all", None), (b"all", None), (b"own", b"strokes"))
    moved = own.moved(2, -2)
    assert moved.index(2) == 0 and moved.painted(2) == own.painted(2)
    (name,) = moved.places
    assert [step.regions for step in moved.steps] == [(name,), ("whole",), ("whole",)]
    assert moved.switched(0, False).places == moved.masked(None, key=2).places == moved.removed(0).places == {}
    assert moved.masked(None, key=2).moved(0, 2) == plan


def test_a_plan_has_an_end() -> None:
    full = Draft().planned([Step("joint", ("noise",))] * 32)
    with pytest.raises(UsageError, match="more than 32"):
        full.added("joint")


# strokes


def strokes(height: int, width: int, colour: str, part: tuple[slice, slice]) -> np.ndarray:
    layer = np.zeros((height, width, 4), np.uint8)
    layer[part] = (*bytes.fromhex(colour[1:]), 255)
    return layer


def white(mask: bytes | None) -> np.ndarray:
    assert mask is not None
    return np.asarray(Image.open(BytesIO(mask)))


def test_blue_strokes_are_treated_and_orange_ones_left_alone() -> None:
    left, top = np.s_[:, :20], np.s_[:10, :]
    treat, protect = strokes(30, 40, TREAT, left), strokes(30, 40, PROTECT, top)
    assert mask_of([], (60, 80)) is None and mask_of([np.zeros((30, 40, 4), np.uint8)], (60, 80)) is None
    only = white(mask_of([treat], (60, 80)))
    assert only.shape == (60, 80) and (only[:, :38] == 255).all() and (only[:, 42:] == 0).all()
    kept = white(mask_of([protect], (60, 80)))
    assert (kept[:18] == 0).all() and (kept[22:] == 255).all()
    both = white(mask_of([treat, protect], (60, 80)))
    assert (both[:18] == 0).all() and (both[22:, :38] == 255).all() and (both[:, 42:] == 0).all()


# what is computed


class Counted:
    """Runs orders in this process, and counts tool runs and looks."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import conservator.perception.remembering as remembering
        import conservator.session as session

        self.folder, self.made = folder, 0
        self.tools: list[str] = []
        self.looks = 0
        apply, observe = session.engine.apply, conservator.perception.observe

        def counted(tool: Any, *arguments: Any, **options: Any) -> Any:
            self.tools.append(tool.name)
            return apply(tool, *arguments, **options)

        def looked(samples: Any) -> Any:
            self.looks += 1
            return observe(samples)

        monkeypatch.setattr(session.engine, "apply", counted)
        monkeypatch.setattr(remembering.Remembering.__init__, "__defaults__", (looked,))
        (folder / "photo").write_bytes(png())

    def run(self, order: Order) -> tuple[list[str], int, dict[str, Any]]:
        """(tools that ran, looks that were taken, facts)"""
        self.tools, self.looks, self.made = [], 0, self.made + 1
        out = self.folder / str(self.made)
        out.mkdir()
        job = order.model_dump() | {"photo": str(self.folder / "photo"), "mask": None, "places": {}, "out": str(out)}
        job |= {"cache": str(self.folder / "cache"), "memory": None, "max_pixels": 10**6}
        facts = carry_out(job, lambda event: None)
        return self.tools, self.looks, facts

    def result(self) -> bytes:
        return next((self.folder / str(self.made)).glob("result.*")).read_bytes()


def test_only_what_follows_an_edit_is_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(tmp_path, monkeypatch)
    assert counted.run(Order.diagnose(cache="c"))[:2] == ([], 1)

    def planned(draft: Draft) -> Order:
        return Order.restore(RestoreOptions(), plan=draft.steps, cache="c")

    ran, looks, facts = counted.run(Order.restore(RestoreOptions(), cache="c"))
    first = counted.result()
    assert ran == ["denoise"] and looks == 1  # the photograph itself had been looked at
    plan = Draft().planned(Step.from_dict(step) for step in facts["steps"])
    plan = plan.added("white_balance").added("underwater")
    assert counted.run(planned(plan))[:2] == (["white_balance", "underwater"], 2)
    assert counted.run(planned(plan))[:2] == ([], 0)
    assert counted.run(planned(plan.strengthened(1, 0.5)))[:2] == (["white_balance", "underwater"], 2)
    assert counted.run(planned(plan.switched(2, False)))[:2] == ([], 0)
    assert counted.run(planned(plan.switched(1, False).switched(2, False)))[:2] == ([], 0)
    assert counted.result() == first
    assert counted.run(planned(plan.switched(0, False)))[:2] == (["white_balance", "underwater"], 2)


def test_a_look_is_kept_whole_and_a_damaged_one_taken_again(tmp_path: Path) -> None:
    samples = conservator.open_photo(png()).samples
    seen = [Remembering(tmp_path)(samples) for _ in range(2)]
    for one in seen:
        assert one.to_dict() == seen[0].to_dict() and one.regions
        for name in ("maps", "raw", "deviation", "presence", "guide"):
            assert np.array_equal(getattr(one, name), getattr(seen[0], name))
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:1000])
    assert Remembering(tmp_path)(samples).to_dict() == seen[0].to_dict()


# the desk


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    shared = Jobs(tmp_path_factory.mktemp("data"), Limits(max_pixels=4_000_000, max_bytes=12_000_000))
    yield shared
    shared.close()


@pytest.fixture
def desk(jobs: Jobs) -> Iterator[Desk]:
    made = Desk(jobs)
    yield made
    made.close()


def test_a_run_goes_on_when_there_is_no_room_for_the_one_after_it(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, Limits(max_queue=1))
    try:
        desk = Desk(jobs)
        first = desk.open(slow(), "slow.png")
        until(lambda: jobs.get(first.job).state is State.RUNNING, "the beginning of the run")
        jobs.submit(Order.restore(RestoreOptions()), png())
        with pytest.raises(QueueFull):
            desk.open(png(), "other.png")
        assert desk.is_latest(first) and jobs.get(first.job).state is State.RUNNING
    finally:
        jobs.close()


def settled(desk: Desk, run: Run) -> Version | None:
    until(lambda: desk.jobs.get(run.job).state in ENDED, "the end of the run")
    return desk.settle(run)


def made(desk: Desk, run: Run) -> Version:
    version = settled(desk, run)
    assert version is not None
    return version


def test_edits_undo_and_branches(desk: Desk) -> None:
    photo = png(seed=5)
    assert made(desk, desk.open(photo, "street.png")).number == 0
    assert desk.found["degradations"].keys() == {"noise"} and desk.result("regions").stat().st_size
    first = made(desk, desk.run(anew=True))
    assert tools(desk.draft) == ["denoise"] and first.title == "plan by spatial"
    assert (len(first.kept), first.reused) == (1, 0)

    desk.draft = desk.draft.added("joint")
    assert desk.edited == ["joint added"]
    second = made(desk, desk.run(anew=False))
    assert (second.parent, len(second.kept), second.reused) == (first, 2, 1)
    record = conservator.Record.load(desk.result("record"))
    assert encode(conservator.replay(record, photo).photo, "png") == desk.result("result").read_bytes()

    desk.draft = desk.draft.strengthened(1, 0.25)
    assert desk.undo() is second and desk.edited == []  # what was not run goes first
    assert desk.undo() is first and tools(desk.draft) == ["denoise"]
    desk.draft = desk.draft.switched(0, False)
    branch = made(desk, desk.run(anew=False))
    assert branch.parent is first and branch.facts["unchanged"] and branch.title == "denoise switched off"
    assert desk.history is not None and [v.number for v in desk.history.tree()] == [0, 1, 2, 3]
    assert choices(desk)[1:] == [
        ("1 · plan by spatial", 1), ("2 · joint added", 2), ("3 · denoise switched off (from version 1)", 3)
    ]  # fmt: skip
    assert desk.undo() is first and desk.redo() is branch and desk.go(2) is second
    assert [line.on for line in desk.go(3).draft.lines] == [False]
    desk.go(0)
    for impossible in (desk.undo, lambda: desk.go(9)):
        with pytest.raises(UsageError):
            impossible()


def test_the_newest_edit_wins(desk: Desk) -> None:
    made(desk, desk.open(slow(), "slow.png"))
    older = desk.run(anew=True)
    until(lambda: desk.told(older), "the first step")
    desk.draft = Draft(strength=0.0)
    newer = desk.run(anew=True)
    assert desk.jobs.get(older.job).state is State.CANCELLED and not desk.is_latest(older)
    assert desk.settle(older) is None
    version = made(desk, newer)
    assert version.draft.strength == 0.0 and version.facts["unchanged"]
    again = desk.run(anew=True)
    assert desk.cancel() and not desk.cancel()
    assert settled(desk, again) is None and desk.current is version


def test_a_photograph_that_cannot_be_opened_leaves_the_last_one_on_the_desk(desk: Desk) -> None:
    with pytest.raises(UsageError, match="no photograph"):
        desk.run(anew=True)
    first = made(desk, desk.open(png(seed=6), "/home/me/good.png"))
    with pytest.raises(UnknownFormat):
        desk.open(b"not a picture", "bad.txt")
    damaged = desk.open(png(seed=7)[:-200], "bad.png")
    with pytest.raises(InputError, match="stops in the middle"):
        settled(desk, damaged)
    assert desk.current is first and desk.name == "good.png"
    assert made(desk, desk.run(anew=True)).parent is first


def test_a_mask_keeps_what_it_keeps_and_one_of_another_size_is_an_error(desk: Desk) -> None:
    made(desk, desk.open(png(seed=8), "street.png"))
    mask = np.zeros((72, 104), np.uint8)
    mask[:36] = 255
    desk.draft = Draft(mask=encoded(mask))
    made(desk, desk.run(anew=True))
    before, after = (np.asarray(Image.open(file)) for file in (BytesIO(png(seed=8)), desk.result("result")))
    assert (before[36:] == after[36:]).all() and (before[:36] != after[:36]).any()
    desk.draft = Draft(mask=encoded(np.full((9, 9), 255, np.uint8)))
    with pytest.raises(UsageError, match="mask is 9×9"):
        settled(desk, desk.run(anew=True))


def test_one_step_is_sent_to_one_region_and_another_to_a_mask(desk: Desk) -> None:
    photo = png(seed=8)
    made(desk, desk.open(photo, "street.png"))
    noisy = next(region["id"] for region in desk.found["regions"] if region["severities"])
    made(desk, desk.run(anew=True))
    assert tools(desk.draft) == ["denoise"]
    top = np.zeros((72, 104), np.uint8)
    top[:36] = 255
    desk.draft = desk.draft.masked(encoded(top), key=desk.draft.lines[0].key)
    assert desk.edited == ["denoise in its own mask"]
    masked = made(desk, desk.run(anew=False))
    before, after = (np.asarray(Image.open(file)) for file in (BytesIO(photo), desk.result("result")))
    assert (before[36:] == after[36:]).all() and (before[:36] != after[:36]).any() and masked.reused == 0

    desk.draft = desk.draft.added("joint").placed(1, desk.region(noisy))
    second = made(desk, desk.run(anew=False))
    assert (len(second.kept), second.reused) == (2, 1)
    inside = white(second.draft.lines[1].place.mask)  # type: ignore[union-attr]
    changed = (np.asarray(Image.open(desk.result("result"))) != after).any(axis=2)
    assert inside.shape == (72, 104) and changed.any() and not changed[inside == 0].any()
    record = conservator.Record.load(desk.result("record"))
    places = second.draft.places
    assert encode(conservator.replay(record, photo, places=places).photo, "png") == desk.result("result").read_bytes()
    for name, mask in places.items():
        assert desk.jobs.mask(second.job, f"place-{name}").read_bytes() == mask  # type: ignore[union-attr]
    assert desk.undo() is masked
    assert made(desk, desk.run(anew=False)).reused == 1


def test_an_empty_plan_and_an_unknown_policy_are_said(desk: Desk) -> None:
    made(desk, desk.open(png(seed=9), "street.png"))
    with pytest.raises(UsageError, match="an empty plan"):
        desk.run(anew=False)
    desk.draft = Draft(policy="magic")
    with pytest.raises(UsageError, match="magic"):
        desk.run(anew=True)


def test_a_tab_finds_its_desk_again_until_its_last_visit_ends(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    scraps, key = Scraps(tmp_path / "page"), "0" * 31
    desks = Desks(jobs, scraps)
    try:
        desk = desks.enter(f"{key}1")
        assert desks.enter(f"{key}1") is desk
        others = [desks.enter(odd) for odd in (f"{key}2", "", "", "../../etc")]
        assert len({id(one) for one in (desk, *others)}) == 5
        opened, copy = desk.open(png(), "a.png"), scrap(scraps, "upload/a.png")
        scraps.hold(desk, "photo", copy)
        desks.leave(desk)
        assert desks.enter(f"{key}1") is desk and jobs.get(opened.job) and copy.exists()
        desks.leave(desk)
        desks.leave(desk)
        assert not copy.exists()
        with pytest.raises(NoSuchJob):
            jobs.get(opened.job)
        assert desks.enter(f"{key}1") is not desk
    finally:
        jobs.close()


def scrap(scraps: Scraps, name: str) -> Path:
    file = scraps.folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(png())
    return file


def test_copies_of_pictures_go_with_the_last_tab_that_shows_them(tmp_path: Path) -> None:
    stale = tmp_path / "page" / "0" / "of a server that was killed.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    with Scraps(tmp_path / "page") as scraps:
        assert list(scraps.folder.iterdir()) == []
        shared, mine, torn = (scrap(scraps, name) for name in ("1/a.png", "2/b.png", "tmp3"))
        scraps.hold("tab", "photo", shared)
        scraps.hold("other tab", "photo", shared)
        scraps.hold("tab", "mask", mine)
        scraps.sweep()
        assert torn.exists(), "it may still be on its way"
        scraps.sweep(older=-1.0)
        assert not torn.exists() and shared.exists() and mine.exists()
        scraps.hold("tab", "mask", None)
        scraps.hold("tab", "photo", scrap(scraps, "4/c.png"))
        assert not mine.exists() and shared.exists()
        scraps.drop("other tab")
        assert [path.name for path in scraps.folder.iterdir()] == ["4"]
        with pytest.raises(ValueError):
            scraps.hold("tab", "photo", tmp_path / "elsewhere.png")
    assert not scraps.folder.exists()


def test_strokes_come_back_as_the_same_mask_however_a_browser_rounds_them() -> None:
    strokes = np.zeros((30, 40, 4), np.uint8)
    strokes[5:12, 8:30] = (29, 111, 224, 255)
    strokes[12, 8:30] = (29, 111, 224, 90)
    mask = mask_of([strokes], (60, 80))
    back = np.asarray(Image.open(BytesIO(picture_of([strokes, np.zeros_like(strokes)]))))
    assert (back[..., 3] == strokes[..., 3]).all()
    rounded = back.copy()
    rounded[12, 8:30, 3] += 6
    assert mask_of([rounded], (60, 80)) != mask and alike(mask_of([rounded], (60, 80)), mask)
    more = strokes.copy()
    more[20:25, 8:30] = strokes[6, 9]
    assert not alike(mask_of([more], (60, 80)), mask) and not alike(mask, None)


def test_a_desk_that_is_cleared_leaves_nothing(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    try:
        desk = Desk(jobs)
        made(desk, desk.open(png(), "a.png"))
        made(desk, desk.run(anew=True))
        assert list((tmp_path / "cache").glob("*/*.npy"))
        made(desk, desk.open(png(seed=1), "b.png"))
        assert len(jobs._store.ids()) == 1 and desk.name == "b.png"
        desk.close()
        assert not list((tmp_path / "jobs").iterdir()) and not list((tmp_path / "cache").iterdir())
    finally:
        jobs.close()


def test_intermediate_results_have_a_bound(tmp_path: Path) -> None:
    from conservator.cache import Cache, prune

    cache = Cache(tmp_path / "a")
    for number in range(3):
        cache.put(str(number), np.full((8, 8, 3), number, np.uint16))
    size = (tmp_path / "a/0.npy").stat().st_size
    assert cache.get("0") is not None  # used last
    prune(tmp_path, 2 * size, 0.0)
    assert [cache.get(str(number)) is not None for number in range(3)] == [True, False, True]
    prune(tmp_path, 2 * size, (tmp_path / "a/2.npy").stat().st_mtime + 60)
    assert not list(tmp_path.rglob("*.npy"))


def test_the_diagnosis_is_told_as_the_api_tells_it(desk: Desk) -> None:
    made(desk, desk.open(png(seed=3), "street.png"))
    assert desk.found == json.loads(json.dumps(conservator.diagnose(png(seed=3)).to_dict()))
