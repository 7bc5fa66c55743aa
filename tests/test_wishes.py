"""Instructions: understood or refused by name, never guessed."""

import pytest

from conservator.errors import UsageError
from conservator.wishes import parse


def test_no_instruction_treats_everything():
    assert parse(None).strength("noise") == 1.0
    assert parse("  ").strength("rain") == 1.0


def test_keep_wins_over_treat():
    wishes = parse("remove the rain, keep the grain")
    assert wishes.strength("rain") == 1.0
    assert wishes.strength("noise") == 0.0
    assert wishes.strength("haze") == 0.0


def test_keep_alone_leaves_the_rest_to_the_diagnosis():
    wishes = parse("keep the grain")
    assert wishes.strength("noise") == 0.0
    assert wishes.strength("haze") == 1.0


def test_gentle_words_halve_the_strength():
    assert parse("brighten a little").strength("low_light") == 0.5


def test_motion_blur_is_not_defocus():
    assert parse("remove motion blur").only == {"motion_blur"}


def test_chinese_words():
    assert parse("去雨").strength("rain") == 1.0
    assert parse("保留颗粒").strength("noise") == 0.0


@pytest.mark.parametrize("wish", ["change the background", "remove the rain and my uncle", "make it pop"])
def test_what_is_not_understood_is_named(wish):
    with pytest.raises(UsageError, match="cannot"):
        parse(wish)
