# ruff: noqa: RUF001 -- what looks alike is what this is about
"""The line below a sketch: its prompt, in the letters that the bundled font has."""

import re
import unicodedata

from PIL import Image, ImageDraw, ImageFont

from limner.actors.generators.sketch.palettes import Colour

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
PAPER: Colour = (246, 240, 226)
INK: Colour = (66, 56, 46)
MAX_LINES = 2
MAX_SHOWN = 400
"""Characters of a prompt that a caption uses, at most; two lines hold fewer."""

_SHOWN = re.compile(r"[ -~©«°±»‘’“”…‹›™]")
_FOLDED = str.maketrans(
    {
        "ß": "ss", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O", "ł": "l",
        "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "þ": "th", "Þ": "Th", "ı": "i", "—": " - ",
        "–": "-", "‐": "-", "−": "-", "×": "x", "、": ", ", "。": ". ", "「": "“", "」": "”",
        "„": "“", "‚": "‘", "·": "-", "•": "-",
    }
)  # fmt: skip
_LETTER = re.compile(
    r"(?:CYRILLIC|GREEK|HIRAGANA|KATAKANA) (CAPITAL |SMALL )?LETTER (?:SMALL |SHORT )?(\w+)"
)
_SPELT = (
    "BE:b VE:v GHE:g DE:d IE:e IO:yo ZE:z EL:l EM:m EN:n ER:r ES:s TE:t EF:f HA:kh KA:k PE:p "
    "TSE:ts CHE:ch SHCHA:shch YERU:y ALPHA:a BETA:b GAMMA:g DELTA:d EPSILON:e ZETA:z ETA:i "
    "THETA:th IOTA:i KAPPA:k LAMDA:l MU:m NU:n XI:x OMICRON:o PI:p RHO:r SIGMA:s FINAL:s "
    "TAU:t UPSILON:y PHI:f CHI:ch PSI:ps OMEGA:o HARD: SOFT: SHA:sh ZHE:zh"
)
_CYRILLIC_AND_GREEK = dict(part.split(":") for part in _SPELT.split())


def legible(prompt: str) -> str:
    """Return a prompt in the letters that the bundled font has.

    Accents are dropped; Cyrillic, Greek, Japanese syllables and Hangul are spelt; a pictograph
    is named. Any run of other characters becomes one ellipsis.
    """
    shown = []
    for char in unicodedata.normalize("NFKC", prompt[:MAX_SHOWN].translate(_FOLDED)):
        if _SHOWN.fullmatch(char):
            shown.append(char)
        elif char.isspace():
            shown.append(" ")
        elif unicodedata.category(char) not in {"Cc", "Cf", "Mn", "Me", "Sk"}:
            shown.append(_spelt(char))
    text = "".join(shown) + ("…" if len(prompt) > MAX_SHOWN else "")
    return " ".join(re.sub(r"…(?:[\s…]*…)+", "…", text).split())


def _spelt(char: str) -> str:
    bare = "".join(part for part in unicodedata.normalize("NFKD", char) if _SHOWN.fullmatch(part))
    if bare:
        return bare
    name = unicodedata.name(char, "")
    if name.startswith("HANGUL SYLLABLE "):
        return name.removeprefix("HANGUL SYLLABLE ").lower()
    if unicodedata.category(char) == "So":
        return f" [{name.lower()}] " if name else "…"
    if letter := _LETTER.match(name):
        spelt = _CYRILLIC_AND_GREEK.get(letter[2], letter[2].lower())
        return spelt.capitalize() if letter[1] == "CAPITAL " else spelt
    return "…"


def caption(prompt: str, width: int, height: int) -> Image.Image:
    """Draw the caption of a picture that is `height` pixels high, `width` pixels wide."""
    size = max(9, round(height * 0.031))
    font = ImageFont.load_default(size)
    lines = wrapped(legible(prompt), font, width)
    step = round(size * 1.32)
    image = Image.new("RGB", (width, step * max(1, len(lines)) + step // 3), PAPER)
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        draw.text(((width - font.getlength(line)) / 2, step // 3 + row * step), line, INK, font)
    return image


def wrapped(text: str, font: Font, width: int) -> list[str]:
    """Break a text into lines that fit `width` pixels; the last ends in an ellipsis if cut."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if font.getlength(joined) <= width:
            lines[-1] = joined
        elif len(lines) == MAX_LINES or not lines[-1]:
            lines[-1] = _cut(joined, font, width)
            break
        else:
            lines.append(word if font.getlength(word) <= width else _cut(word, font, width))
            if lines[-1] != word:
                break
    return [line for line in lines if line]


def _cut(text: str, font: Font, width: int) -> str:
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip(' ,.;:')}…"
