"""What a JPEG file's own tables add to what its pixels show."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from skimage import data

import conservator
from conservator.degradations import INDEX, JPEG
from conservator.perception.file import by_file
from conservator.pixels.codecs.quantisation import jpeg_quality

PICTURE = data.astronaut()[:128, :160]


def compressed(quality: int, **options: object) -> bytes:
    file = BytesIO()
    Image.fromarray(PICTURE).save(file, "JPEG", quality=quality, **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [1, 10, 37, 50, 75, 95, 100])
def test_the_quality_of_a_file_is_read_from_its_table(quality: int) -> None:
    assert jpeg_quality(compressed(quality)) == quality
    assert conservator.open_photo(compressed(quality, progressive=True)).jpeg_quality == quality


def test_tables_of_other_programs_are_measured_by_the_nearest_of_libjpeg() -> None:
    table = [16 + i for i in range(64)]
    found = jpeg_quality(compressed(50, qtables=[table, table]))
    assert found is not None and 40 <= found <= 70


@pytest.mark.parametrize("file", [b"", b"no picture", compressed(20)[:30]])
def test_files_without_tables_have_no_quality(file: bytes) -> None:
    assert jpeg_quality(file) is None


def test_only_an_untouched_jpeg_has_a_quality() -> None:
    photo = conservator.open_photo(compressed(20))
    assert photo.with_samples(photo.samples).jpeg_quality is None
    assert conservator.open_photo(PICTURE).jpeg_quality is None


def test_nowhere_is_a_picture_compressed_less_than_its_file() -> None:
    file = compressed(20)
    seen = conservator.diagnose(np.asarray(Image.open(BytesIO(file))))
    known = conservator.diagnose(file)
    least = float(JPEG.severity(20))
    assert np.array_equal(known.cells("jpeg"), np.maximum(seen.cells("jpeg"), least))
    assert all(region.severities["jpeg"] >= least for region in known.regions)
    assert (known.presence[INDEX["jpeg"]] == 1).all()
    others = [INDEX[name] for name in INDEX if name != "jpeg"]
    assert np.array_equal(known.maps[others], seen.maps[others])


@pytest.mark.parametrize("quality", [None, 61, 95])
def test_a_file_that_is_hardly_compressed_says_nothing(quality: int | None) -> None:
    seen = conservator.diagnose(PICTURE)
    assert by_file(seen, quality) is seen


def test_a_restoration_starts_from_what_the_file_says() -> None:
    file = compressed(20)
    unseen = replace(conservator.diagnose(PICTURE), regions=())
    blank = replace(unseen, maps=np.zeros_like(unseen.maps), presence=np.zeros_like(unseen.presence))
    treatment = conservator.restore(file, perceiver=lambda samples: blank)
    assert treatment.diagnosis.cells("jpeg").min() == JPEG.severity(20)
    assert [step["treats"] for step in treatment.record.data["plan"]] == [["jpeg"]]
