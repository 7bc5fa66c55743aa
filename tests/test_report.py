"""The treatment report: what people read to decide whether to trust a picture."""

import base64
import tracemalloc
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from conservator.degradations import BY_NAME, NAMES
from conservator.plan import Step
from conservator.regions import Region
from conservator.report import doing, words
from conservator.report.details import SIDE, details
from conservator.report.html import render, write_report
from conservator.report.provenance import untouched_share
from conservator.tools.card import Kind
from conservator.tools.testing import FakeTool
from conservator.treatment import restore
from treatments import DONE, KEPT, Page, diagnosed, events_of, frame, half, treated


def test_damage_is_told_in_physical_units_before_and_after():
    text = Page(render(treated(after=frame(seed=1), severities={"noise": 0.5, "jpeg": 0.4}))).text
    assert "Noise 50% of the frame σ 19 of 255 worst σ 19 of 255 not noticeable" in text
    assert f"quality {float(BY_NAME['jpeg'].value(0.4)):.0f}" in text


def test_every_step_is_told_with_its_end_and_its_reason():
    noise, haze, rain = (Step(f"tool_{kind}", (kind,), reason=f"{kind} found") for kind in ("noise", "haze", "rain"))
    events = events_of(
        (noise, DONE, KEPT),
        (haze, DONE, ("taken_back", {"reason": "only 3% of the damage went away"})),
        (rain, ("step_failed", {"error": "the network returned NaN"})),
        (noise, ("reused", {"key": "0"}), DONE, KEPT),
    )
    cannot = [{"degradation": "low_light", "regions": ["r1"], "reason": "no tool for it is installed"}]
    page = Page(render(treated(after=frame(seed=1), events=events, plan=[noise, noise], cannot=cannot)))
    told = [part.split(" Tool:")[0] for part in page.text.split(" wherever it was found ")[1:]]
    assert told[0].startswith("Kept A second look found the severity down by 75%, from 0.40 to 0.10.")
    assert told[1].startswith("Taken back") and "only 3% of the damage went away" in told[1]
    assert told[2].startswith("Failed") and "the network returned NaN" in told[2]
    assert told[3].startswith("Kept")
    assert "earlier, equal step was used again" in page.text
    assert "Low light in r1: no tool for it is installed" in page.text
    assert "2 kept, 1 taken back and 1 failed" in page.text
    assert "The treatment ended: nothing left to treat." in page.text


def test_how_an_instruction_was_understood_is_told():
    wanted = "brighten the foreground a little, keep the grain <b>"
    events = [
        {"type": "understood", "said": wanted, "reading": "treats low light × 0.5 in: foreground",
         "where": {"phrase": "foreground", "area": 0.4, "confidence": 0.6, "missing": []}},
        *events_of(),
    ]  # fmt: skip
    page = Page(render(treated(events=events)))
    assert f"understood “{wanted}”: treats low light × 0.5 in: foreground" in page.text
    assert "foreground: 40% of the frame, confidence 0.60" in page.text


def test_an_untouched_photo_is_called_untouched():
    page = Page(render(treated(severities={}, regions=())))
    assert "The photo comes back as it was, to the bit." in page.text
    assert "100%" in page.text
    assert not page.all("input")


@pytest.mark.parametrize(
    ("kind", "words_"),
    [(None, "not known: denoise"), (Kind.REGRESSIVE, "none. No step"), (Kind.GENERATIVE, "yes, by denoise")],
)
def test_invented_pixels_are_confessed(kind, words_, monkeypatch):
    card = None if kind is None else replace(FakeTool().card, kind=kind)
    monkeypatch.setattr(doing, "card_of", lambda name: card)
    monkeypatch.setattr("conservator.report.provenance.card_of", lambda name: card)
    step = Step("denoise", ("noise",))
    page = Page(render(treated(after=frame(seed=1), plan=[step], events=events_of((step, DONE, KEPT)))))
    assert f"Generated pixels: {words_}" in page.text


def test_hashes_versions_budget_and_timings_are_on_the_page():
    treatment = treated(after=frame(seed=1))
    text = Page(render(treatment)).text
    for fact in (treatment.original.sha256, "0" * 64, "1" * 64, "3.11", "1, at most 9", "1.25 s", "128 × 96 pixels"):
        assert fact in text


def test_a_report_of_noise_at_full_size_stays_below_six_megabytes(tmp_path):
    before = frame(2000, 2400)
    severities = dict.fromkeys(NAMES, 0.5)
    path = write_report(treated(before, before[::-1], severities=severities), tmp_path / "report.html")
    assert path.stat().st_size < 6_000_000
    assert len(Page(path.read_text(encoding="utf-8")).all("img")) == 2 + 6 + len(NAMES) + 1


def test_large_frames_are_never_copied_to_floats():
    before = np.full((3000, 4000, 3), 30000, np.uint16)
    after = before.copy()
    treatment = treated(before, after)
    treatment.original.sha256  # noqa: B018  hashing is not what is measured
    tracemalloc.start()
    render(treatment)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < before.nbytes * 1.5  # a float32 copy alone would take twice the samples


def test_pictures_on_the_page_are_bounded_and_in_the_photos_colours():
    from PIL import ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    page = Page(render(treated(frame(60, 2000), frame(60, 2000, 1), icc=icc)))
    images = [Image.open(BytesIO(base64.b64decode(i["src"].partition(",")[2]))) for i in page.all("img")]
    assert max(max(image.size) for image in images) == 1600
    assert all(image.info["icc_profile"] == icc for image in images)
    sizes = [(int(i["width"]), int(i["height"])) for i in page.all("img")]
    assert sizes == [image.size for image in images]


def test_an_enlarged_photo_is_compared_at_its_new_size():
    page = Page(render(treated(frame(48, 64), frame(96, 128, 1))))
    assert [(i["width"], i["height"]) for i in page.all("img")[:2]] == [("128", "96")] * 2
    assert "The treatment enlarged the photo" in page.text
    assert "64 × 48 pixels, now 128 × 96 pixels" in page.text
    assert "Untouched" not in page.text


def test_a_damaged_exif_block_is_reported_and_places_are_not_printed():
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Hasselblad", "500C"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0)})
    page = Page(render(treated(exif=exif.tobytes()[6:])))
    assert "Camera Hasselblad 500C" in page.text
    assert "Place stored in the file; not shown here" in page.text
    assert "48" not in page.text.split("Place")[1].split("How it was asked for")[0]
    broken = Page(render(treated(exif=b"II*\0\xff\xff\xff\x7f")))
    assert "EXIF carried over, but it cannot be read" in broken.text


def test_the_report_of_a_real_run_tells_what_happened(tmp_path):
    def policy(session):
        session.tools = session.tools.add(FakeTool("lift", gain=1.5), FakeTool("broken", fault="nan"))
        step = Step("lift", ("noise",), reason="asked for")
        session.keep(session.apply(step))
        session.take_back(session.apply(step), "nothing was left")
        session.apply(replace(step, tool="broken"))
        session.cannot_treat("rain", "no tool for it is installed")
        session.stop("the script ends")

    severities = {"noise": 0.6}
    found = diagnosed((96, 128), severities, [Region("r1", half((96, 128)), severities=severities)])
    photo = np.full((96, 128, 3), 100, np.uint8)
    treatment = restore(photo, policy=policy, perceiver=lambda samples: found, instruction="remove the noise")
    text = Page(write_report(treatment, tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "1 kept, 1 taken back and 1 failed" in text
    assert "Noise wherever it was found Kept A second look found the severity" in text
    assert "nothing of it is in the result: nothing was left." in text
    assert "NaN" in text
    assert "Rain wherever it was found: no tool for it is installed" in text
    assert "The treatment ended: the script ends." in text
    assert "Generated pixels: not known: lift did not ship with Conservator." in text
    assert f"{untouched_share(treatment.original.samples, treatment.photo.samples):.0%} of the photo, equal" in text
    assert "remove the noise" in text
    assert treatment.record.data["output"]["sha256"] in text


def test_details_show_each_kind_where_it_is_at_full_size():
    size = (1600, 2400)
    before, after = frame(*size), frame(*size, 1)
    found = details(before, after, diagnosed(size, {"noise": 0.6, "jpeg": 0.3, "haze": 0.9}))
    assert [detail.kind for detail in found[:2]] == ["noise", "jpeg"]
    for detail in found:
        y0, x0, y1, x1 = detail.box
        assert (y1 - y0, x1 - x0) == (SIDE, SIDE)
        assert x0 < size[1] / 2  # the right half is clean
        assert (detail.before == before[y0:y1, x0:x1] // 257).all()
        assert (detail.after == after[y0:y1, x0:x1] // 257).all()
    assert all(apart(a.box, b.box) for i, a in enumerate(found) for b in found[:i])


def apart(a, b):
    return a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]


def test_small_photos_and_clean_ones_need_no_details():
    assert details(frame(), frame(), diagnosed((96, 128), {"noise": 0.5})) == []
    big = frame(1300, 500)
    assert details(big, big, diagnosed((1300, 500), {"haze": 0.5})) == []


def test_untouched_pixels_are_counted_exactly():
    before = frame(600, 40)
    after = before.copy()
    after[[0, 255, 256, 599], :, 1] ^= 1
    assert untouched_share(before, after) == pytest.approx(1 - 4 / 600)
    assert untouched_share(before, before[:300]) is None


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_has_words_for_people(name):
    for severity in (0.0, 0.3, 1.0):
        assert words.amount(name, severity) and words.label(name, severity).isascii()
    assert "_" not in words.title(name) + words.label(name, 0.5) + words.lower(name)
