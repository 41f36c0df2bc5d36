"""The colours of a picture, from the moods of its prompt."""

import colorsys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random

from limner.actors.generators.sketch.words import Reading

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """The colours that a picture is drawn in.

    Args:
        high, middle, low: the sky, from its top to the horizon.
        far, near: the land, from the horizon to the foreground.
        light: of sun, moon, lamps and windows.
        snow: how much of the ground is white, from 0 to 1.
    """

    high: Colour
    middle: Colour
    low: Colour
    far: Colour
    near: Colour
    light: Colour
    snow: float = 0

    @property
    def luminance(self) -> float:
        """The brightness of the sky, from 0 to 1."""
        return sum(map(_luminance, (self.high, self.middle, self.low))) / 3

    def land(self, depth: float) -> Colour:
        """Return the colour of land at a depth from 0 (the horizon) to 1 (the foreground)."""
        return mix(self.far, self.near, depth)

    def soil(self, depth: float) -> Colour:
        """Return the colour of bare ground at a depth, with snow if there is any."""
        white = mix((238, 243, 250), (172, 188, 212), depth)
        return mix(self.land(depth), _dim(white, self.luminance), self.snow)


def _hex(colours: str) -> Palette:
    high, middle, low, far, near, light = map(_colour, colours.split())
    return Palette(high, middle, low, far, near, light)


def _colour(digits: str) -> Colour:
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


MOODS = {
    #             high   middle low    far    near   light
    "storm": _hex("222b36 4b5a66 a3aca6 55656d 141b22 f2efd8"),
    "night": _hex("070c24 16285a 49618f 2a4170 070c1e fbf3cf"),
    "dusk": _hex("2d2b62 b3557c f8ab66 7b4c78 231b38 ffe0a0"),
    "dawn": _hex("5b7fb4 e9a7a0 fde0b0 a58fb2 3a3a58 fff2c8"),
    "fire": _hex("1c0c14 7a1f1c f27a2c 64221f 170a0b ffe08a"),
    "snow": _hex("7ea6c8 bdd6e6 f4ede6 b4c9da 5d7c99 fffbe8"),
    "fog": _hex("97a6ad bfc9c9 e6e6dc a9b6b7 47585d fffbea"),
    "autumn": _hex("7f9cb4 e8cf9b fbe6b8 cf9b58 53290f fff0c0"),
    "spring": _hex("70b7d8 c3e6dc fdf3d6 a6cfa0 2f6b43 fffbe0"),
    "dream": _hex("2a2358 7b62a8 f4bfc0 6f5f9e 1d1a40 fff0d0"),
    "day": _hex("3f8bc8 98cbe8 f6ecd2 8db4ae 2b5b4a fff8dc"),
}

GROUNDS = {
    "sea": ("4f7f93", "0f2f42", 0.25),
    "lake": ("6f9c92", "1d4038", 0.30),
    "river": ("86ad7c", "24492f", 0.35),
    "city": ("7c86a0", "1b1f30", 0.45),
    "mountain": ("8a97b0", "25303f", 0.30),
    "desert": ("e0b073", "8a4322", 0.60),
    "forest": ("7fa382", "12301f", 0.55),
    "room": ("a9815c", "2e1a12", 0.20),
    "hills": ("a9bf7a", "38562a", 0.40),
}
"""The far and near colour of each place's ground, and how much of them shows."""


def palette(reading: Reading, stream: Random) -> Palette:
    """Mix the palette of a reading; the stream turns its hues a little, so no two are alike."""
    first, *rest = (MOODS[mood] for mood in reading.moods)
    colours = first
    for other in rest:
        colours = _each(lambda a, b: mix(a, b, 0.4), colours, other)
    far, near, share = GROUNDS[reading.place]
    colours = Palette(
        high=colours.high,
        middle=colours.middle,
        low=colours.low,
        far=mix(colours.far, _dim(_colour(far), colours.luminance), share),
        near=mix(colours.near, _dim(_colour(near), colours.luminance), share),
        light=colours.light,
        snow=0.85 if "snow" in reading.moods else 0,
    )
    turn = (stream.random() - 0.5) * (0.04 if reading.mood_known else 0.12)
    lift = 0.92 + 0.16 * stream.random()
    colours = _each(lambda a, _: _turned(a, turn, lift), colours, colours)
    if reading.tint:
        tint = reading.tint
        colours = _each(lambda a, _: _tinted(a, tint), colours, colours)
    return colours


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """Mix two colours, with `share` (0 to 1) of the other."""
    return (
        round(one[0] + (other[0] - one[0]) * share),
        round(one[1] + (other[1] - one[1]) * share),
        round(one[2] + (other[2] - one[2]) * share),
    )


def _each(change: Callable[[Colour, Colour], Colour], one: Palette, other: Palette) -> Palette:
    return replace(
        one,
        high=change(one.high, other.high),
        middle=change(one.middle, other.middle),
        low=change(one.low, other.low),
        far=change(one.far, other.far),
        near=change(one.near, other.near),
        light=change(one.light, other.light),
    )


def _dim(colour: Colour, luminance: float) -> Colour:
    return mix((6, 8, 18), colour, min(1.0, 0.12 + 1.25 * luminance))


def _tinted(colour: Colour, tint: Colour) -> Colour:
    # as light as it was, so that a tint turns day neither to night nor back
    scale = (_luminance(colour) + 0.04) / (_luminance(tint) + 0.04)
    return mix(colour, _bounded(part * scale for part in tint), 0.28)


def _turned(colour: Colour, turn: float, lift: float) -> Colour:
    hue, light, saturation = colorsys.rgb_to_hls(*(part / 255 for part in colour))
    turned = colorsys.hls_to_rgb((hue + turn) % 1, min(0.97, light * lift), saturation)
    return _bounded(part * 255 for part in turned)


def _bounded(parts: Iterable[float]) -> Colour:
    red, green, blue = (max(0, min(255, round(part))) for part in parts)
    return red, green, blue


def _luminance(colour: Colour) -> float:
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255
