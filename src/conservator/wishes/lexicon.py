"""The words of instructions and places, English and Chinese, and what each can be in a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any

from conservator.degradations import EXPOSURE, NAMES


class Role(StrEnum):
    """What a word does in a sentence."""

    FIX = "fix"  # treats whatever is wrong with its object
    REMOVE = "remove"  # wants its object, a kind of damage, gone
    CURE = "cure"  # wants certain kinds gone: "denoise"
    KEEP = "keep"  # wants its object as it is
    TOUCH = "touch"  # changes its object: means something only where it is forbidden
    NOT = "not"
    DAMAGE = "damage"  # a kind of damage
    PART = "part"  # a part of the picture
    BESIDE = "beside"  # a part by what it lies beside: "left of"
    BEHIND = "behind"  # the same after its object, as in Chinese
    WHOLE = "whole"  # the whole picture
    REST = "rest"  # what was not named before
    THAT = "that"  # what was named before
    EXCEPT = "except"
    OUTSIDE = "outside"  # "except" after its object, as in Chinese
    AMOUNT = "amount"
    WANT = "want"  # wants its object there: nobody who says so wants it treated
    TOO = "too"  # "too much": less of it where it is forbidden
    AND = "and"
    BUT = "but"
    ONLY = "only"
    OPEN = "("
    CLOSE = ")"
    STOP = "stop"
    FILLER = "filler"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Word:
    """A word or phrase as it was written.

    value   kinds of damage (tuple), name of a part, relation, or amount; None for the others
    """

    role: Role
    text: str
    value: Any = None


BLUR = ("motion_blur", "defocus_blur")

_DAMAGE: Mapping[tuple[str, ...], str] = {
    ("noise",): "noise|image noise|grain|film grain|original grain|speckle|speckles|graininess|噪点|噪声"
    "|噪音|颗粒|颗粒感|胶片颗粒|杂点",
    ("jpeg",): "jpeg|jpg|compression|blocks|blocking|artifacts|artefacts|jpeg artifacts|jpeg artefacts"
    "|compression artifacts|compression artefacts|压缩|压缩痕迹|压缩失真|色块",
    ("rain",): "rain|raindrops|rain drops|streaks|rain streaks|雨|雨滴|雨丝|雨线|雨水",
    ("haze",): "haze|fog|mist|smog|haziness|veil|雾|雾气|霾|雾霾|薄雾",
    ("low_light",): "low light|low_light|darkness|underexposure|under-exposure|too dark|太暗|很暗|偏暗"
    "|曝光不足|黑暗|昏暗",
    ("over_exposure",): "over-exposure|over exposure|overexposure|over_exposure|too bright|太亮|很亮|过曝|曝光过度",
    EXPOSURE: "exposure|wrong exposure|曝光",
    ("motion_blur",): "motion blur|motion_blur|camera shake|shake|运动模糊|抖动|手抖",
    ("defocus_blur",): "defocus|defocus_blur|defocus blur|失焦|虚焦|对焦不准",
    BLUR: "blur|blurriness|unsharpness|模糊|太模糊|很模糊",
    ("low_resolution",): "low resolution|low_resolution|pixelation|pixelated|低分辨率|分辨率低|像素化",
    ("scratches",): "scratches|scratch|dust|dirt|specks|speck|spots|spot|cracks|crack|creases|crease"
    "|folds|fold|lint|划痕|刮痕|划伤|擦痕|折痕|裂痕|裂纹|灰尘|尘埃|尘点|污点|斑点|污渍",
}

_CURE: Mapping[tuple[str, ...], str] = {
    ("noise",): "denoise|denoising|de-noise|noise reduction|noise removal|去噪|降噪|去噪点|去颗粒",
    ("jpeg",): "deblock|deblocking|去压缩|去压缩痕迹",
    ("rain",): "derain|deraining|rain removal|去雨|除雨",
    ("haze",): "dehaze|dehazing|defog|defogging|haze removal|去雾|除雾|去霾",
    ("low_light",): "brighten|brightening|lighten|lightening|lift|brighter|lighter|more light|提亮"
    "|调亮|增亮|变亮|亮一点|亮一些|更亮|更明亮",
    ("over_exposure",): "recover|tone down|tame|reduce the highlights|reduce highlights|压高光|恢复高光",
    ("scratches",): "scratch removal|dust removal|dedust|去划痕|除划痕|去灰尘|除尘|去污点|去斑点|去折痕",
    BLUR: "deblur|deblurring|sharpen|sharpening|sharper|crisper|more sharpness|blur removal|去模糊|锐化|变清晰|更清晰"
    "|更清楚|清晰一点|清楚一点|清晰些",
}

_PART: Mapping[str, str] = {
    "sky": "sky|skies|heaven|天空|天",
    "shadows": "shadows|shadow|shade|shadowed|暗部|阴影|影子",
    "highlights": "highlights|highlight|brights|高光|亮部",
    "foreground": "foreground|subject|main subject|前景|主体",
    "background": "background|backdrop|distance|背景|远处|远景",
    "left": "left|left half|left side|left part|left-hand side|lefthand|left of the picture|left of the photo"
    "|left of the image|左|左边|左侧|左半边|左半部分|左半部|左面",
    "right": "right|right half|right side|right part|right-hand side|right of the picture|right of the photo"
    "|right of the image|右|右边|右侧|右半边|右半部分|右半部|右面",
    "top": "top|upper|top half|upper half|top part|upper part|顶部|上|上边|上面|上半部分|上半部|上部",
    "bottom": "bottom|lower|bottom half|lower half|bottom part|lower part|底部|下|下边|下面|下半部分|下半部|下部",
    "centre": "centre|center|middle|central|中间|中央|中心|中部",
    "edges": "edges|edge|border|borders|corners|边缘|四周|四角",
    "noisy": "noisy|grainy|speckled|噪点多|有噪点|有噪声|噪点多的|有噪点的|颗粒感强",
    "compressed": "compressed|blocky|压缩的|压缩过的|有压缩痕迹的",
    "rainy": "rainy|下雨|下雨的|有雨的|雨中",
    "hazy": "hazy|foggy|misty|有雾|有雾的|雾蒙蒙|雾蒙蒙的|朦胧|朦胧的",
    "blurry": "blurry|blurred|unsharp|out of focus|out-of-focus|模糊的|很模糊的|失焦的|虚化的|虚的",
    "dark": "dark|darker|darkest|underexposed|dim|暗的|很暗的|太暗的|更暗的|较暗|较暗的|黑暗的|昏暗的|暗处|暗区",
    "bright": "bright|brightest|light|亮的|很亮的|太亮的|更亮的|较亮|较亮的|明亮的|亮处|亮区",
    "overexposed": "overexposed|over-exposed|blown|blown-out|blown out|burnt out|过曝的",
    "skin": "skin|skin tones|skin tone|皮肤|肤色|肌肤",
    "faces": "faces|face|人脸|脸|脸部|面部|面孔",
    "text": "text|texts|letters|lettering|writing|words|captions|caption|signs|文字|字|字幕|文本|字样|招牌",
}

_BESIDE: Mapping[str, str] = {
    "left of": "left of|to the left of",
    "right of": "right of|to the right of",
    "above": "above|over",
    "below": "below|under|beneath|underneath",
    "around": "around|near|next to|beside|close to|surrounding",
}
_BEHIND: Mapping[str, str] = {
    "left of": "的左方",
    "right of": "的右方",
    "above": "上方|之上|以上",
    "below": "下方|之下|以下",
    "around": "周围|附近|旁边|周边",
}

_AMOUNT: Mapping[float, str] = {
    0.25: "very slightly|very little|a tiny bit|a quarter|a touch|barely|极轻微|一点点|四分之一",
    0.5: "some|gentle|a little|a little bit|little|slightly|gently|a bit|lightly|softly|subtly|somewhat|carefully"
    "|mildly|half|by half|轻微|轻微地|一点|一些|稍微|略微|稍|略|轻轻|轻轻地|轻一点|轻点|力度小一点|力度小些|一半|适度",
    0.75: "moderately|mostly|most of|almost all|nearly all|适中|大部分",
    1.0: "as much|fully|completely|entirely|totally|normally|完全|彻底|全部去除",
    1.5: "strongly|a lot|heavily|aggressively|much|hard|very much|considerably|strong|heavy|大幅|大幅度|强烈|大力"
    "|强力|明显|重一点|力度大一点|多",
}

_OTHERS: Mapping[Role, str] = {
    Role.FIX: "fix|restore|treat|repair|improve|enhance|correct|clean|clean up|touch up|retouch|process|work on|修复"
    "|处理|改善|增强|修正|优化|修一下",
    Role.REMOVE: "remove|removing|reduce|reducing|get rid of|eliminate|suppress|take out|undo|lessen|less|delete"
    "|erase|removed|reduced|eliminated|gone|must go|has to go|should go|have to go|去除|去掉|消除|除去|移除|清除|减少"
    "|减轻|降低|减弱|修掉|消掉|清掉|抹掉|少一点|少一些|少点|去",
    Role.KEEP: "keep|keeping|preserve|preserving|leave|leaving|protect|retain|spare|maintain|stay|stays|kept"
    "|preserved|hands off|stay away from|keep away from|do nothing|do nothing to|保留|保持|保持不动|保护|留着|留下"
    "|维持",
    Role.TOUCH: "touch|touching|change|changing|alter|altering|modify|edit|affect|touched|changed|altered|mess with"
    "|tamper with|动|碰|改|改变|改动|修改|更改|变动",
    Role.NOT: "avoid|not|don't|do not|dont|never|no|without|must not|should not|shouldn't|neither|nor|不要|别|不|勿"
    "|请勿|不要有|不用|无需|不能|不可|不许",
    Role.WHOLE: "everything|all|everywhere|anywhere|anything|whole|entire|it's|photo|photograph|picture|image|frame"
    "|scene|it|整张|整个|全部|全图|所有|一切|照片|图片|图像|画面|它",
    Role.REST: "rest|others|everything else|anything else|other parts|其他|其余|别处|其它",
    Role.THAT: "them|它们|他们|她们|那里|那儿|那边",
    Role.EXCEPT: "except|except for|except in|but not|apart from|other than|besides|excluding|outside|outside of"
    "|everything but|all but|anything but|anywhere but|除了|除|除去了",
    Role.OUTSIDE: "外|以外|之外|以外的",
    Role.TOO: "overdo|overdoing|too much|too strongly|too hard|too heavily|excessively|太多|太强|过度|过分|太过",
    Role.AND: "and|or|plus|as well as|also|&|和|与|及|以及|或|或者|还有|、|跟",
    Role.BUT: "but|however|then|while|yet|though|但|但是|不过|而|并|并且|同时|然后|再|也",
    Role.ONLY: "only|just|solely|只|仅|仅仅|只要|只是|仅仅是",
    Role.OPEN: "(|（",
    Role.CLOSE: ")|）",
    Role.STOP: ",|;|.|!|?|？|，|；|。|！",
    Role.WANT: "more|want|would like|i'd like|let|make|with|as|a lot more|想要|想|要|我要|让|给|更多|多点|多一点"
    "|多一些",
    Role.FILLER: "please|the|a|an|of|in|on|at|from|within|inside|to|this|that|these|those|its|my|their|his|her|any|is"
    "|are|be|well|for|part|parts|area|areas|region|regions|half|side|corner|places|place|most|very|so|there|where"
    "|which|they|should|look|looks|alone|untouched|unchanged|intact|as it is|as they are|as is|as possible|if any"
    "|if there is any|if needed|if necessary|where needed|by|up|i|you|can you|could you|do|does|level|levels|tones|tone"
    "|请|把|将|的|地|得|在|里|里面|中|内|上的|部分|区域|地方|处|原样|不变|原状|一下|对|这|那|帮我|我|些|度|了|吧|都"
    "|角|也请",
}


_PERCENT = re.compile(
    r"(?:by )?(\d+(?:\.\d+)?) ?(?:%|percent\b|per cent\b)|百分之([一二三四五六七八九]?十|百)([一二三四五六七八九]?)"
)


def words(text: str) -> list[Word]:
    """A text as words: the longest known phrase at each place; whole words where a language separates them."""
    text = re.sub(r"\s+", " ", text.lower().replace("’", "'").replace("‘", "'")).strip()
    found: list[Word] = []
    place = 0
    while place < len(text):
        if text[place] == " ":
            place += 1
            continue
        word = _percent(text, place) or _known(text, place) or _unknown(text, place)
        found.append(word)
        place += len(word.text)
    return found


def _known(text: str, place: int) -> Word | None:
    for length in range(min(_longest(), len(text) - place), 0, -1):
        phrase = text[place : place + length]
        entry = lexicon().get(phrase)
        if phrase in ("上方", "下方") and text[place - 1 : place] in ("左", "右"):
            return Word(Role.PART, phrase, "top" if phrase == "上方" else "bottom")  # "左上方" lies above nothing
        if entry is not None and _whole(text, place, place + length):
            return Word(entry[0], phrase, entry[1])
    return None


def _percent(text: str, place: int) -> Word | None:
    """"50 %", "by 50 percent", "百分之五十"."""
    found = _PERCENT.match(text, place)
    if found is None:
        return None
    if found[1]:
        return Word(Role.AMOUNT, found[0], float(found[1]) / 100)
    digits = {c: i for i, c in enumerate("一二三四五六七八九", 1)}
    tens = 10 if found[2] == "百" else digits.get(found[2][0], 1)
    return Word(Role.AMOUNT, found[0], (10 * tens + digits.get(found[3], 0)) / 100)


def _unknown(text: str, place: int) -> Word:
    found = re.compile(r"[a-z0-9_'\-]+|.").match(text, place)
    assert found is not None
    return Word(Role.UNKNOWN, found[0])


def _whole(text: str, start: int, end: int) -> bool:
    """Whether a phrase ends where words end; Chinese does not separate them."""

    def letter(i: int) -> bool:
        return 0 <= i < len(text) and (text[i].isascii() and (text[i].isalnum() or text[i] in "_'-"))

    return not (letter(start) and letter(start - 1)) and not (letter(end - 1) and letter(end))


@cache
def lexicon() -> Mapping[str, tuple[Role, Any]]:
    """Role and value of every word and phrase."""
    entries: dict[str, tuple[Role, Any]] = {}
    tables: Iterable[tuple[Role, Mapping[Any, str]]] = (
        *((role, {None: phrases}) for role, phrases in _OTHERS.items()),
        (Role.AMOUNT, _AMOUNT), (Role.BESIDE, _BESIDE), (Role.BEHIND, _BEHIND), (Role.PART, _PART),
        (Role.CURE, _CURE), (Role.DAMAGE, _DAMAGE),
    )  # fmt: skip
    for role, table in tables:
        for value, phrases in table.items():
            entries.update({phrase: (role, value) for phrase in phrases.split("|")})
    return MappingProxyType(entries)


@cache
def _longest() -> int:
    return max(map(len, lexicon()))


PARTS: tuple[str, ...] = tuple(_PART)
"""Names of the parts of a picture that the built-in words know."""

KINDS: tuple[str, ...] = tuple(name for name in NAMES if (name,) in _DAMAGE)
"""Kinds of damage that the built-in words know."""
