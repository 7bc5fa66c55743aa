"""Instructions: understood or refused by name, never guessed."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import conservator
from conservator.degradations import PERCEIVED
from conservator.errors import UsageError
from conservator.wishes import Wish, Wishes, parse
from conservator.wishes.lexicon import lexicon
from test_selection import outdoors

SHARP = "motion blur, defocus blur"
BUT_LIGHT = "noise, jpeg, motion blur, defocus blur, low resolution, rain, haze, over exposure"

UNDERSTOOD = {
    "remove the rain": "treats rain",
    "remove the rain, keep the grain": "treats rain | leaves noise",
    "remove the rain, keep the grain, don't touch faces, brighten only the foreground a little": "treats rain"
    " | leaves noise | leaves everything in: faces | treats low light × 0.5 in: foreground",
    "Remove the rain, the noise and the haze.": "treats rain | treats noise, haze",
    "get rid of jpeg artifacts": "treats jpeg",
    "clean up the compression blocks": "treats jpeg",
    "less noise": "treats noise",
    "denoise": "treats noise",
    "please denoise and dehaze the photo": "treats noise | treats haze",
    "deblur the left half": f"treats {SHARP} in: left",
    "remove motion blur": "treats motion blur",
    "remove the dust and the scratches": "treats scratches",
    "fix the defocus": "treats defocus blur",
    "sharpen the faces strongly": f"treats {SHARP} × 1.5 in: faces",
    "rain and haze": "treats rain, haze",
    "it is too dark": "treats low light",
    "make it brighter": "treats low light",
    "make the photo a bit brighter": "treats low light × 0.5",
    "brighten the shadows by half": "treats low light × 0.5 in: shadows",
    "lift the shadows on the left by 50 %": "treats low light × 0.5 in: shadows in left",
    "brighten by 150 percent": "treats low light × 1.5",
    "recover the highlights": "treats over exposure in: highlights",
    "restore the photo": "treats everything",
    "restore the photo, but keep the darkness": "treats everything | leaves low light",
    "restore everything but the sky": "treats everything in: everything except sky",
    "fix everything except the grain": "treats everything | leaves noise",
    "treat only the faces": "treats everything in: faces",
    "only the sky": "treats everything in: sky",
    "fix the hazy sky": "treats everything in: hazy in sky",
    "dehaze the dark part of the sky moderately": "treats haze × 0.75 in: dark in sky",
    "remove noise and haze from the sky and the faces": "treats noise, haze in: sky and faces",
    "remove the noise, except in the sky": "treats noise in: everything except sky",
    "except in the sky, remove the noise": "treats noise in: everything except sky",
    "remove noise but not in the sky": "treats noise in: everything except sky",
    "brighten the sky, not the faces": "treats low light in: sky | leaves low light in: faces",
    "remove rain near the faces": "treats rain in: around faces",
    "keep the grain": "leaves noise",
    "keep the exposure": "leaves low light, over exposure",
    "fix the exposure of the sky": "treats low light, over exposure in: sky",
    "leave the sky alone": "leaves everything in: sky",
    "keep the faces and the sky untouched": "leaves everything in: faces and sky",
    "keep the grain in the sky": "leaves noise in: sky",
    "leave the sky alone, denoise the rest": "leaves everything in: sky | treats noise in: everything except sky",
    "brighten the sky, leave the rest alone": f"treats low light in: sky | leaves {BUT_LIGHT}",
    "no noise reduction": "leaves noise",
    "do not brighten": "leaves low light",
    "don’t remove the rain": "leaves rain",
    "without sharpening": f"leaves {SHARP}",
    "never denoise the faces": "leaves noise in: faces",
    "don't touch anything but the sky": "leaves everything in: everything except sky",
    "don't keep the noise": "treats noise",
    "don't leave any noise": "treats noise",
    "do not brighten too much": "limits low light × 0.5",
    "don't denoise the faces too strongly": "limits noise × 0.5 in: faces",
    "denoise, but not too strongly": "treats noise | limits noise × 0.5",
    "remove the noise, but not too much": "treats noise | limits noise × 0.5",
    "remove the noise in the sky, the faces": "treats noise in: sky | treats noise in: faces",
    "denoise slightly": "treats noise × 0.5",
    "denoise very slightly": "treats noise × 0.25",
    "keep half of the grain": "limits noise × 0.5",
    "keep 20% of the grain": "limits noise × 0.8",
    "restore everything, remove the noise a little": "treats everything | treats noise × 0.5",
    "去雨": "treats rain",
    "去雨，保留颗粒": "treats rain | leaves noise",
    "去雨保留颗粒": "treats rain | leaves noise",
    "去除天空的噪点": "treats noise in: sky",
    "去掉压缩痕迹和噪点，不要锐化": f"treats jpeg, noise | leaves {SHARP}",
    "去雾但不要动天空": "treats haze | leaves everything in: sky",
    "不要动人脸": "leaves everything in: faces",
    "天空保持不变": "leaves everything in: sky",
    "不要降噪": "leaves noise",
    "强烈去噪": "treats noise × 1.5",
    "百分之三十五去噪": "treats noise × 0.35",
    "把前景稍微提亮": "treats low light × 0.5 in: foreground",
    "提亮暗部50%": "treats low light × 0.5 in: shadows",
    "别提亮太多": "limits low light × 0.5",
    "保留一半颗粒": "limits noise × 0.5",
    "只处理暗部": "treats everything in: shadows",
    "除了天空以外都修复": "treats everything in: everything except sky",
    "除了人脸，全部去噪": "treats noise in: everything except faces",
    "人脸周围去噪": "treats noise in: around faces",
    "左上角去雾": "treats haze in: left in top",
    "照片太暗": "treats low light",
    "去除划痕和灰尘": "treats scratches",
    "去划痕，保留颗粒": "treats scratches | leaves noise",
    "请修复照片": "treats everything",
    "I want to remove the rain": "treats rain",
    "I want more light": "treats low light",
    "the photo with less noise": "treats noise",
    "let the sky be brighter": "treats low light in: sky",
    "it is a bit too dark": "treats low light × 0.5",
    "remove all the grain": "treats noise",
    "remove some of the noise": "treats noise × 0.5",
    "remove the rain, not the noise": "treats rain | leaves noise",
    "brighten the faces, but not too bright": "treats low light in: faces | limits low light × 0.5",
    "提亮人脸，但不要太亮": "treats low light in: faces | limits low light × 0.5",
    "左上方去雾": "treats haze in: left in top",
    "提亮右下方": "treats low light in: right in bottom",
    "天空上方去雾": "treats haze in: above sky",
    "我想去雾，让天空变亮": "treats haze | treats low light in: sky",
    "都不要动": "leaves everything",
    "remove more noise": "treats noise × 1.5",
    "reduce the noise a little more": "treats noise × 1.25",
    "I want more grain removed": "treats noise",
    "no more denoising": "leaves noise",
    "remove most of the noise": "treats noise × 0.75",
    "remove as much noise as possible": "treats noise",
    "don't touch the faces and brighten the sky": "leaves everything in: faces | treats low light in: sky",
    "don't touch the faces and the sky and remove the rain": "leaves everything in: faces and sky | treats rain",
    "take the noise out of the sky": "treats noise in: sky",
    "keep the grain and take the haze out": "leaves noise | treats haze",
    "can you remove the rain?": "treats rain",
    "the photo is blurry and noisy": f"treats {SHARP}, noise",
    "the sky is hazy, fix it": "treats haze in: sky",
    "the dark sky is noisy": "treats noise in: dark in sky",
    "make the sky less hazy": "treats haze in: sky",
    "make it sharp": f"treats {SHARP}",
    "denoise where it is dark": "treats noise in: dark",
    "keep the sky dark": "leaves low light in: sky",
    "leave the background blurry": f"leaves {SHARP} in: background",
    "preserve the film grain": "leaves noise",
    "light denoising": "treats noise × 0.5",
    "remove the light haze": "treats haze",
    "denoise, but gently": "treats noise × 0.5",
    "denoise, but don't overdo it": "treats noise | limits noise × 0.5",
    "I want the rain removed": "treats rain",
    "I don't want the faces touched": "leaves everything in: faces",
    "the noise should be removed but the rain should stay": "treats noise | leaves rain",
    "hands off the faces": "leaves everything in: faces",
    "avoid sharpening the faces": f"leaves {SHARP} in: faces",
    "remove the haze if there is any": "treats haze",
    "去除更多噪点": "treats noise × 1.5",
    "多去一点噪点": "treats noise × 1.25",
    "保留胶片颗粒": "leaves noise",
    "让文字更清楚": f"treats {SHARP} in: text",
    "照片很模糊": f"treats {SHARP}",
    "很暗的地方去噪": "treats noise in: dark",
    "噪点少一点": "treats noise",
    "去雾，轻一点": "treats haze × 0.5",
    "除天空外全部去雾": "treats haze in: everything except sky",
    "把划痕修掉": "treats scratches",
    "天空更亮一些": "treats low light × 0.5 in: sky",
    "no haze": "treats haze",
    "no noise please": "treats noise",
    "no blur, please": f"treats {SHARP}",
    "no scratches": "treats scratches",
    "no jpeg artifacts please": "treats jpeg",
    "no grain in the sky": "treats noise in: sky",
    "no blur on the faces": f"treats {SHARP} in: faces",
    "no haze, no noise": "treats haze | treats noise",
    "less noise and no rain": "treats noise | treats rain",
    "remove the rain, no noise": "treats rain | treats noise",
    "I don't want any noise": "treats noise",
    "there should be no haze": "treats haze",
    "no noise in the shadows, but keep the grain in the sky": "treats noise in: shadows | leaves noise in: sky",
    "no noise anywhere except the sky": "treats noise in: everything except sky",
    "no noise, but not in the sky": "treats noise in: everything except sky",
    "no noise removal": "leaves noise",
    "no brightening please": "leaves low light",
    "no denoising on the faces": "leaves noise in: faces",
    "no noise reduction in the sky, no haze": "leaves noise in: sky | treats haze",
    "I don't want you to sharpen it": f"leaves {SHARP}",
    "I don't want the haze removed": "leaves haze",
    "fix the faces but don't sharpen them": f"treats everything in: faces | leaves {SHARP} in: faces",
    "brighten the faces but don't denoise them": "treats low light in: faces | leaves noise in: faces",
    "clean up the sky but don't brighten it": "treats everything in: sky | leaves low light in: sky",
    "denoise the background but leave it blurry": f"treats noise in: background | leaves {SHARP} in: background",
    "fix the sky, but no sharpening there": f"treats everything in: sky | leaves {SHARP} in: sky",
    "make the faces brighter but not sharper": f"treats low light in: faces | leaves {SHARP} in: faces",
    "fix the shadows on the left but don't sharpen them": "treats everything in: shadows in left"
    f" | leaves {SHARP} in: shadows in left",
    "brighten the shadows but don't sharpen it": f"treats low light in: shadows | leaves {SHARP}",
    "treat the shadows, but do not brighten them too much": "treats everything in: shadows"
    " | limits low light × 0.5 in: shadows",
    "brighten the sky and make it sharper": f"treats low light in: sky | treats {SHARP} in: sky",
    "leave the sky alone, but don't sharpen it": f"leaves everything in: sky | leaves {SHARP}",
    "leave the faces alone, don't sharpen them": f"leaves everything in: faces | leaves {SHARP} in: faces",
    "clean the whole photo, just don't denoise it": "treats everything | leaves noise",
    "remove the noise and then denoise the sky": "treats noise | treats noise in: sky",
    "不要雾": "treats haze",
    "请不要有雨": "treats rain",
    "天空不要噪点": "treats noise in: sky",
    "不要雾也不要噪点": "treats haze | treats noise",
    "去雨，不要噪点": "treats rain | treats noise",
    "我不想要划痕": "treats scratches",
    "照片里不要有雨": "treats rain",
    "不要去噪": "leaves noise",
    "修复人脸，但不要锐化它们": f"treats everything in: faces | leaves {SHARP} in: faces",
    "提亮人脸，但别给它们去噪": "treats low light in: faces | leaves noise in: faces",
    "背景去噪，但不要锐化它": f"treats noise in: background | leaves {SHARP} in: background",
    "修复天空，但那里不要锐化": f"treats everything in: sky | leaves {SHARP} in: sky",
    "去雾，但别提亮天空": "treats haze | leaves low light in: sky",
}

REFUSED = {
    "change the background": "it does not say how",
    "把背景换成海滩": "换",
    "remove the sky": "only damage is removed",
    "remove the shadows": "only damage is removed",
    "remove the rain and my uncle": "uncle",
    "remove the rain, make the sky purple": "purple",
    "make it pop": "pop",
    "upscale the photo": "upscale",
    "fix the white balance": "white",
    "remove the tattoo": "tattoo",
    "add grain": "add",
    "darken the sky": "darken",
    "blur the background": "nothing is blurred",
    "without noise": "whether to remove or to keep",
    "avoid the noise": "whether to remove or to keep",
    "there is no haze": "whether to remove or to keep",
    "no jpeg": "whether to remove or to keep",
    "no faces": "whether to remove or to keep",
    "不要太暗": "太暗",
    "没有噪点": "没",
    "don't sharpen them": "them",
    "fix the sky but don't sharpen them": "them",
    "denoise around the faces but don't touch them": "them",
    "fix everything but the sky, and brighten it": "'it' is not understood",
    "denoise, remove the haze, brighten them": "them",
    "the faces": "what to do with it",
    "everything": "what to do with it",
    "brighten the door": "door",
    "leave the rest alone": "was named before",
    "denoise too much": "never wanted",
    "brighten a little by 80 %": "two amounts",
    "brighten by 300 %": "amount 3",
    "except the noise": "an exception from",
    "touch the sky": "does not say how",
    "take the faces out": "only damage is removed",
    "remove the uncle, the noise": "belongs to is not understood",
    "is the sky noisy?": "what to do with it",
    "the sky is bright": "what to do with it",
    "this is the hazy sky": "what to do with it",
    "leave it, more or less": "does not say what",
}

OPPOSITES = {
    "more": ["I want more grain", "more noise", "more compression", "I'd like more fog", "remove the haze, more grain",
             "remove the haze and more grain", "denoise more, more grain", "no more haze than now", "no more noise",
             "keep more grain", "don't remove more noise", "多一点颗粒", "降噪，多一点颗粒"],
    "want": ["I want fog", "想要颗粒感", "我要雾", "让天空有雾"],
    "let": ["let there be rain", "let the noise be"],
    "with": ["with noise", "sharpen the photo with rain"],
    "make": ["make it too dark", "make noise", "make it more noisy", "make the sky hazy", "让背景模糊"],
    "as": ["save as jpg", "keep it as jpeg"],
    "out": ["leave out the noise", "leave the noise out", "keep the noise off"],
    "a removing word before a cure": ["less sharpening", "reduce the sharpening", "undo the sharpening", "减少锐化",
                                      "less denoising", "remove the brightening", "denoise with less sharpening"],
    "keeping to treat": ["keep removing the noise", "keep denoising", "leave less noise"],
    "less than a prohibition": ["don't denoise strongly", "don't denoise much", "do not only denoise",
                                "don't remove all the grain", "不要去掉所有颗粒", "不要去掉一半颗粒",
                                "don't denoise everywhere", "denoise, but not all"],
    "what a cure does not cure": ["lift the fog", "lift the fog and the rain", "tame the noise", "tone down the noise",
                                  "recover the shadows", "recover the faces", "recover the text",
                                  "recover the highlights and the shadows"],
    "what a not reaches": ["don't denoise and sharpen", "don't touch the faces or brighten the sky",
                           "don't sharpen or denoise", "不要锐化和降噪",
                           "neither remove the rain nor the noise", "remove the rain but no noise", "去雨，但不要噪点",
                           "no noise or sharpening", "no rain and sharpening"],
    "what is not there": ["the sky is not hazy", "avoid noise", "keep the noise out"],
    "not too": ["去噪，但不要太模糊", "denoise, but not too bright"],
    "an amount of it": ["a little grain", "some grain", "a lot of noise"],
}  # fmt: skip

CONTRADICTORY = [
    "remove the noise, keep the noise",
    "denoise, no noise reduction",
    "brighten, do not brighten",
    "don't touch the sky, brighten the sky",
    "remove the noise a little, remove the noise strongly",
    "remove the grain, don't change anything",
    "去噪，不要去噪",
]


@pytest.mark.parametrize("instruction", UNDERSTOOD)
def test_what_an_instruction_means(instruction):
    wishes = parse(instruction)
    assert " | ".join(map(str, wishes.wishes)) == UNDERSTOOD[instruction]
    assert all(wish.said for wish in wishes.wishes)
    assert Wishes.from_dict(json.loads(json.dumps(wishes.to_dict()))) == wishes


@pytest.mark.parametrize("instruction", REFUSED)
def test_what_is_not_understood_is_named(instruction):
    with pytest.raises(UsageError, match=REFUSED[instruction]) as refusal:
        parse(instruction)
    assert "cannot" in str(refusal.value)


@pytest.mark.parametrize("instruction", [said for some in OPPOSITES.values() for said in some])
def test_nothing_is_guessed_into_its_opposite(instruction):
    with pytest.raises(UsageError, match="cannot: "):
        parse(instruction)


@pytest.mark.parametrize("instruction", CONTRADICTORY)
def test_contradictions_are_named(instruction):
    with pytest.raises(UsageError, match="contradiction"):
        parse(instruction)


def test_every_clause_that_is_refused_is_named():
    with pytest.raises(UsageError, match=r"purple.*uncle"):
        parse("make it purple, remove the rain, brighten my uncle")


@pytest.mark.parametrize("nothing", [None, "", "  ", "please", ", ."])
def test_no_instruction_treats_everything(nothing):
    wishes = parse(nothing)
    assert wishes == Wishes() and all(wishes.strength(kind) == 1.0 for kind in PERCEIVED) and wishes.only is None


def test_strengths():
    wishes = parse("remove the rain, brighten the sky a little, keep the grain")
    assert {kind: s for kind in PERCEIVED if (s := wishes.strength(kind))} == {"rain": 1.0, "low_light": 0.5}
    assert wishes.only == {"rain", "low_light"}
    kept = parse("keep the grain, don't touch faces")
    assert kept.strength("noise") == 0.0 and kept.strength("haze") == 1.0 and kept.only is None
    assert parse("restore everything, denoise a little").strength("noise") == 0.5
    limited = parse("keep half of the grain")
    assert limited.only is None and limited.strength("noise") == 0.5 and limited.strength("haze") == 1.0
    assert parse("denoise, but not too strongly").strength("noise") == 0.5
    assert parse("don't change anything").strength("rain") == 0.0


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*lexicon(), "50 %", "uncle", "门"]), max_size=9), st.sampled_from([" ", ""]))
def test_any_words_are_understood_or_refused(words, between):
    try:
        wishes = parse(between.join(words))
    except UsageError:
        return
    assert Wishes.from_dict(wishes.to_dict()) == wishes


def regions(phrase):
    """Three columns: sky, faces, neither."""
    return np.array([{"sky": [1, 0, 0], "faces": [0, 1, 0], "sky and faces": [1, 1, 0]}[phrase]], np.float32)


@pytest.mark.parametrize(
    ("instruction", "amounts"),
    [
        ("brighten the sky a little", [0.5, 0, 0]),
        ("don't touch faces", [1, 0, 1]),
        ("brighten, not the faces", [1, 0, 1]),
        ("brighten a little, brighten the sky strongly", [1.5, 0.5, 0.5]),
        ("restore the photo, brighten the sky a little", [0.5, 1, 1]),
        ("do not brighten, fix the sky", [1, 0, 0]),
        ("don't brighten the sky too much", [0.5, 1, 1]),
        ("brighten the sky and the faces, don't touch the faces", [1, 0, 0]),
    ],
)
def test_places_share_out_the_strength(instruction, amounts):
    wishes = parse(instruction)
    share = wishes.shares(regions)["low_light"]
    assert share.dtype == np.float32 and 0 <= share.min() <= share.max() <= 1
    assert np.allclose(wishes.strength("low_light") * share, [amounts])


def test_what_is_half_inside_is_wholly_kept():
    share = parse("don't touch the sky").shares(lambda phrase: np.array([[0.0, 0.25, 0.5, 0.9]], np.float32))
    assert share["noise"].tolist() == [[1.0, 0.5, 0.0, 0.0]] and share["noise"] is share["haze"]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"wishes": 3},
        {"wishes": [{"kinds": ["noise"]}]},
        {"wishes": [{"action": "paint"}]},
        {"wishes": [{"action": ["treat"]}]},
        {"wishes": [{"action": "treat", "kinds": "noise"}]},
        {"wishes": [{"action": "treat", "kinds": ["dust"]}]},
        {"wishes": [{"action": "treat", "kinds": ["colour cast"]}]},
        {"wishes": [{"action": "treat", "amount": 2.5}]},
        {"wishes": [{"action": "treat", "amount": float("nan")}]},
        {"wishes": [{"action": "treat", "amount": True}]},
        {"wishes": [{"action": "treat", "where": "the door"}]},
        {"wishes": [{"action": "treat", "where": 3}]},
        {"wishes": [{"action": "treat", "said": None}]},
        {"wishes": [{"action": "treat", "colour": "red"}]},
        {"wishes": [{"action": "treat", "kinds": ["rain"]}, {"action": "keep", "kinds": ["rain"]}]},
    ],
)
def test_whoever_fills_in_the_schema_is_checked(data):
    with pytest.raises(UsageError):
        Wishes.from_dict(data)


def test_the_schema_is_readable_and_normal():
    wish = Wish.from_dict({"action": "keep", "kinds": ["noise"], "where": "the left half of the sky"})
    assert wish.where == "left in sky" and str(wish) == "leaves noise in: left in sky"
    assert Wish("treat", where="the whole picture") == Wish("treat")


@pytest.mark.parametrize("kind", ["8 bits", "16 bits", "alpha"])
def test_what_an_instruction_protects_stays_identical_to_the_byte(kind):
    clean = outdoors("blue")[0]
    noisy = (clean + np.random.default_rng(0).normal(0, 0.15, clean.shape)).clip(0, 1)
    photo = np.rint(noisy * (65535 if kind == "16 bits" else 255)).astype(np.uint16 if kind == "16 bits" else np.uint8)
    if kind == "alpha":
        photo = np.dstack([photo, np.full(photo.shape[:2], 200, np.uint8)])
    treated = conservator.restore(photo, instruction="remove the noise, don't touch the left half")
    same = (treated.photo.samples == treated.original.samples).all(axis=2)
    left = same.shape[1] // 2
    assert same[:, :left].all() and not same[:, left:].all()
    understood = [event for event in treated.record.data["events"] if event["type"] == "understood"]
    assert [event["reading"] for event in understood] == ["treats noise", "leaves everything in: left"]
    assert understood[1]["where"]["area"] == pytest.approx(0.5, abs=0.01)
    again = conservator.replay(treated.record, photo)
    assert np.array_equal(again.photo.samples, treated.photo.samples)


def test_a_kind_is_kept_to_its_place_while_another_is_treated_everywhere():
    rng = np.random.default_rng(0)
    clean = outdoors("blue")[0]
    photo = np.rint((clean + rng.normal(0, 0.15, clean.shape)).clip(0, 1) * 255).astype(np.uint8)
    treated = conservator.restore(photo, instruction="remove the noise on the right, remove the rain")
    same = (treated.photo.samples == treated.original.samples).all(axis=2)
    rain = treated.diagnosis.severity["rain"] > 0
    outside = (np.arange(same.shape[1]) < same.shape[1] * 0.45) & ~rain
    assert same[outside].all() and not same[:, 140:].all()
    stripes = np.arange(243) % 2 * np.ones((165, 1))
    mixed = conservator.restore(photo, instruction="remove the noise on the right", mask=stripes)
    same = (mixed.photo.samples == mixed.original.samples).all(axis=2)
    assert same[:, :109].all() and same[:, ::2].all() and not same[:, 1::2].all()
