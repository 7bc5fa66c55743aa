"""The report as a file among others: it loads nothing, trusts no string, excludes nobody, overwrites nothing."""

import base64
import hashlib
import html
import os
import re
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conservator.errors import OutputError
from conservator.plan import Step
from conservator.regions import Region
from conservator.report.html import render, write_report
from conservator.report.markup import element
from treatments import Page, events_of, frame, half, treated

EVIL = """"><script>alert(1)</script><img src=x onerror=alert('2')>&amp;.jpg"""


def test_the_page_loads_nothing_and_runs_only_its_own_script():
    text = render(treated(after=frame(seed=1)))
    page = Page(text)
    for _, attributes in page.elements:
        links = {"src", "href", "srcset", "action", "xlink:href", "data", "poster"} & attributes.keys()
        assert all(attributes[name].startswith("data:image/") for name in links)
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    assert not re.search(r"url\((?!#)|@import|https?:", text)
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_strings_from_files_cannot_become_markup(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x8298] = EVIL, EVIL
    step = Step(EVIL, ("noise",), (EVIL,), reason=EVIL)
    size = (96, 128)
    treatment = treated(
        after=frame(seed=1),
        source=tmp_path / EVIL.replace("/", "∕"),
        regions=[Region(EVIL, half(size), EVIL, {"noise": 0.5})],
        events=events_of((step, ("step_failed", {"error": EVIL}))),
        plan=[step],
        call={"instruction": EVIL},
        cannot=[{"degradation": EVIL, "regions": [EVIL], "reason": EVIL}],
        exif=exif.tobytes()[6:],
    )
    page = Page(render(treatment))
    assert len(page.all("script")) == 1
    assert {image["src"][:16] for image in page.all("img")} == {"data:image/jpeg;"}
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count("<script>alert(1)") >= 7  # and the reader still sees what it said


def test_a_file_name_cannot_pretend_to_be_another(tmp_path):
    page = Page(render(treated(source=tmp_path / "holiday\u202egpj.exe")))
    assert "holiday\ufffdgpj.exe" in page.text


def test_a_file_name_that_is_no_utf8_is_reported_all_the_same(tmp_path):
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg"))
    path = write_report(treated(source=source), tmp_path / "report.html")
    assert "caf\ufffd.jpg" in path.read_text(encoding="utf-8")


def test_the_owners_folders_stay_private(tmp_path):
    text = render(treated(source=tmp_path / "secret client" / "photo.jpg"))
    assert "photo.jpg" in text
    assert "secret client" not in text


def test_the_page_can_be_used_without_seeing_it():
    page = Page(render(treated(after=frame(seed=1))))
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert all(a["aria-labelledby"] in ids for _, a in page.elements if "aria-labelledby" in a)
    assert all(image["alt"].strip() for image in page.all("img"))
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    (slider,) = page.all("input")
    assert slider["type"] == "range" and slider["aria-label"]
    assert page.all("html")[0]["lang"] == "en" and page.all("main") and page.all("h1")
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert all(svg.get("aria-hidden") == "true" for svg in page.all("svg"))


def test_text_has_the_contrast_that_wcag_aa_asks_for_in_both_themes():
    css = resources.files("conservator.report").joinpath("report.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.S)
    pairs = [(ink, plate) for ink in ("ink", "quiet", "accent") for plate in ("page", "card")]
    pairs += [(badge, f"{badge}-plate") for badge in ("kept", "back", "failed", "open")]
    for theme in (light, dark):
        colours = dict(re.findall(r"--([\w-]+): #([0-9a-f]{6})", theme))
        for ink, plate in pairs:
            bright, dim = sorted((luminance(colours[ink]), luminance(colours[plate])), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (ink, plate)


def luminance(code):
    """Relative luminance of WCAG 2.2 of "rrggbb"."""
    shares = np.frombuffer(bytes.fromhex(code), np.uint8) / 255.0
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_nothing_is_overwritten_unasked_and_nothing_is_left_behind(tmp_path):
    treatment, path = treated(), tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_report(treatment, path)
    assert path.read_text() == "mine"
    assert write_report(treatment, path, overwrite=True) == path
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert os.listdir(tmp_path) == ["report.html"]


def test_the_original_is_never_the_destination(tmp_path):
    source = tmp_path / "photo.html"
    source.write_bytes(b"a JPEG with an odd name")
    with pytest.raises(OutputError, match="original"):
        write_report(treated(source=source), source, overwrite=True)
    assert source.read_bytes() == b"a JPEG with an odd name"


@pytest.mark.parametrize("name", ["report.jpg", "report", "missing/report.html"])
def test_a_place_that_cannot_hold_a_report_is_refused(tmp_path, name):
    with pytest.raises(OutputError) as caught:
        write_report(treated(), tmp_path / name)
    assert caught.value.fix
    assert os.listdir(tmp_path) == []


def test_markup_escapes_attributes_and_text():
    made = element("p", '<&"', element("b", 1), None, title='"><script>', hidden=True, lang=None)
    assert made == '<p title="&quot;&gt;&lt;script&gt;" hidden>&lt;&amp;&quot;<b>1</b></p>'
    assert html.unescape(made).count("<b>") == 1
