"""The ground of each place, from the horizon to the foreground."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from limner.actors.generators.sketch.canvas import Canvas
from limner.actors.generators.sketch.palettes import Colour, mix

Ridge = Sequence[float]
"""Heights from the left edge to the right, in units from the top, evenly spaced."""


def ridge(canvas: Canvas, base: float, height: float, rough: float, steps: int = 128) -> Ridge:
    """Return a ridge, by midpoint displacement: `rough` from 0 (rolling) to 1 (jagged)."""
    line = [canvas.between(-0.6, 0.6) for _ in range(5)]
    swing = 0.5 + 0.25 * rough
    while len(line) < steps:
        finer = [line[0]]
        for left, right in pairwise(line):
            finer += ((left + right) / 2 + canvas.between(-swing, swing) * rough, right)
        line, swing = finer, swing * 0.52
    if rough < 0.3:
        line = _smooth(line)
    return [base - height * (0.5 + part) for part in line]


def _smooth(line: list[float]) -> list[float]:
    for _ in range(14):
        line = [
            (line[max(0, at - 4)] + 2 * y + line[min(len(line) - 1, at + 4)]) / 4
            for at, y in enumerate(line)
        ]
    return line


def fill(canvas: Canvas, line: Ridge, colour: Colour) -> None:
    """Fill all that is below a ridge."""
    step = canvas.wide / (len(line) - 1)
    points = [(at * step, y) for at, y in enumerate(line)]
    canvas.polygon([*points, (canvas.wide, 101), (0, 101)], colour)


def height_at(canvas: Canvas, line: Ridge, x: float) -> float:
    """Return how high a ridge is at a place, in units from the top."""
    at = min(len(line) - 1, max(0, round(x / canvas.wide * (len(line) - 1))))
    return line[at]


def ground(canvas: Canvas, place: str, line: float, light: tuple[float, float]) -> Ridge:
    """Paint a place from its horizon to its foreground; return the ridge that things stand on."""
    return _GROUNDS.get(place, _hills)(canvas, line, light)


def _layers(
    canvas: Canvas, line: float, *, count: int, height: float, rough: float, drop: float
) -> Ridge:
    last: Ridge = ()
    for layer in range(count):
        depth = layer / max(1, count - 1)
        last = ridge(canvas, line + drop * depth, height * (1 - 0.45 * depth), rough)
        fill(canvas, last, canvas.colours.soil(0.08 + 0.80 * depth))
    return last


def _hills(canvas: Canvas, line: float, light: tuple[float, float]) -> Ridge:
    del light
    last = _layers(canvas, line, count=4, height=canvas.between(11, 19), rough=0.22, drop=28)
    for layer in range(46):
        x = canvas.between(0, canvas.wide)
        y = height_at(canvas, last, x)
        if layer % 3 == 0:
            blob(canvas, x, y, canvas.between(0.8, 1.9), canvas.colours.land(0.95))
    return last


def _mountain(canvas: Canvas, line: float, light: tuple[float, float]) -> Ridge:
    side = 1 if light[0] > canvas.wide / 2 else -1
    far = ridge(canvas, line - 4, 30, 0.8)
    fill(canvas, far, canvas.colours.land(0.12))
    for _ in range(3):
        _peak(canvas, line + 6, side)
    return _layers(canvas, line + 8, count=3, height=15, rough=0.34, drop=20)


def _peak(canvas: Canvas, base: float, side: int) -> None:
    x, wide = canvas.between(0.05, 0.95) * canvas.wide, canvas.between(24, 44)
    top, depth = base - canvas.between(30, 48), canvas.between(0.2, 0.42)
    body, lit = (
        canvas.colours.land(depth),
        mix(canvas.colours.land(depth), canvas.colours.light, 0.2),
    )
    left, right, bottom = x - 1.5 * wide, x + 1.5 * wide, base + 34
    spine = [(x, top), (x + 1.4, top + 9), (x - 2.2, top + 20), (x + 3, base), (x, bottom)]
    canvas.polygon([(left, bottom), (x - wide * 0.3, top + 13), *spine], lit if side < 0 else body)
    canvas.polygon(
        [(right, bottom), (x + wide * 0.34, top + 15), *spine], body if side < 0 else lit
    )
    snow = mix(lit, (252, 252, 255), 0.72)
    shade = mix(snow, body, 0.4)
    drips = [(x - 5.4, top + 10), (x - 3, top + 8), (x - 1.4, top + 11.5), (x + 1.0, top + 8.6)]
    canvas.polygon([(x, top), *drips], snow if side < 0 else shade)
    drips = [(x + 1.0, top + 8.6), (x + 2.6, top + 11), (x + 4.1, top + 8.2), (x + 5.6, top + 10)]
    canvas.polygon([(x, top), *drips], shade if side < 0 else snow)


def _desert(canvas: Canvas, line: float, light: tuple[float, float]) -> Ridge:
    fill(canvas, ridge(canvas, line + 1, 9, 0.7), canvas.colours.land(0.2))
    side = 1 if light[0] > canvas.wide / 2 else -1
    last: Ridge = ()
    for layer in range(4):
        depth = 0.1 + 0.26 * layer
        last = ridge(canvas, line + 5 + 9 * layer, 11, 0.16)
        colour = canvas.colours.land(depth)
        fill(canvas, last, mix(colour, canvas.colours.light, 0.16))
        # the lee of a dune lies in the shade
        shade = [y + 0.4 + max(0.0, side * (at - 64) / 16) for at, y in enumerate(last)]
        fill(canvas, shade, colour)
    return last


def _forest(canvas: Canvas, line: float, light: tuple[float, float]) -> Ridge:
    del light
    last: Ridge = ()
    for layer in range(4):
        depth = 0.1 + 0.27 * layer
        colour = canvas.colours.land(depth)
        last = ridge(canvas, line + 3 + 10 * layer, 8, 0.25)
        for _ in range(36 - 6 * layer):
            x = canvas.between(-2, canvas.wide + 2)
            high = canvas.between(9, 15) * (1 + 0.32 * layer)
            if layer == 3 and abs(x - canvas.wide / 2) < canvas.wide * 0.27:
                continue
            fir(canvas, x, height_at(canvas, last, x) + 2, high, colour)
        fill(canvas, last, canvas.colours.soil(depth))
    return last


def _city(canvas: Canvas, line: float, light: tuple[float, float]) -> Ridge:
    del light
    for layer in range(3):
        x, depth = -4.0, 0.15 + 0.33 * layer
        colour = canvas.colours.land(depth)
        dark = canvas.colours.luminance < 0.55
        warm, cool = (
            mix(canvas.colours.light, (255, 190, 84), 0.6),
            mix(canvas.colours.light, (255, 120, 170), 0.6),
        )
        windows = [mix(colour, lamp, 0.85 if dark else 0.3) for lamp in (warm, warm, warm, cool)]
        while x < canvas.wide + 2:
            wide = canvas.between(5, 11)
            top = line - canvas.between(14, 44 - 6 * layer) + 7 * layer
            canvas.box(x, top, x + wide, 101, colour)
            if canvas.stream.random() < 0.28:
                canvas.polygon(
                    [(x, top), (x + wide / 2, top - canvas.between(2, 6)), (x + wide, top)], colour
                )
            elif canvas.stream.random() < 0.3:
                canvas.line([(x + wide / 2, top - 6), (x + wide / 2, top)], colour, 0.3)
            rows = int((92 - top) / 3.2)
            for row in range(rows if layer else 0):
                for column in range(int(wide / 2) - 1):
                    if canvas.stream.random() < 0.4:
                        left, high = x + 1.2 + 2 * column, top + 2 + 3.2 * row
                        canvas.box(
                            left,
                            high,
                            left + 0.9,
                            high + 1.5,
                            windows[canvas.stream.getrandbits(2)],
                        )
            x += wide + canvas.between(-0.5, 1.8)
    last = [94.0] * 129
    fill(canvas, last, canvas.colours.land(1))
    return last


def _water(canvas: Canvas, line: float, light: tuple[float, float], *, calm: bool) -> None:
    colours = canvas.colours
    top, bottom = mix(colours.low, colours.far, 0.42), mix(colours.high, colours.near, 0.62)
    canvas.gradient(line, 101, (top, mix(top, bottom, 0.55), bottom))
    for _ in range(110):
        y = line + (100 - line) * canvas.stream.random() ** 1.6
        near = (y - line) / (100 - line)
        x, wide = canvas.between(-4, canvas.wide), (2 + 9 * near) * canvas.between(0.5, 1.2)
        shade = mix(
            mix(top, bottom, near), colours.light if calm else colours.low, 0.10 + 0.14 * near
        )
        canvas.ellipse(x, y, wide, 0.12 + 0.22 * near, shade)
    for step in range(46):
        y = line + 0.6 + (100 - line) * step / 46
        near = step / 46
        reach = (1.2 + 7 * near) * canvas.between(0.3, 1)
        x = light[0] + canvas.between(-1.5, 1.5) * (1 + 3 * near)
        shade = mix(mix(top, bottom, near), colours.light, 0.62 * (1 - 0.55 * near))
        canvas.ellipse(x, y, reach, 0.14 + 0.3 * near, shade)


def _sea(canvas: Canvas, line: float, light: tuple[float, float]) -> Ridge:
    if canvas.stream.random() < 0.7:
        far = ridge(canvas, line + 1.5, 7, 0.6)
        lean = 1 if canvas.stream.random() < 0.5 else -1
        coast = [y + max(0.0, lean * (at - 64) / 5 + 2) for at, y in enumerate(far)]
        fill(canvas, coast, canvas.colours.land(0.12))
    _water(canvas, line, light, calm=False)
    # a headland on the side away from the light, for whatever stands ashore
    side = light[0] < canvas.wide / 2
    rocks = ridge(canvas, 82, 7, 0.62)
    last = [
        y + 34 * max(0.0, 0.52 - (at / 128 if side else 1 - at / 128)) ** 0.8
        for at, y in enumerate(rocks)
    ]
    fill(canvas, last, canvas.colours.land(0.93))
    return last


def _lake(canvas: Canvas, line: float, light: tuple[float, float]) -> Ridge:
    fill(canvas, ridge(canvas, line - 2, 26, 0.6), canvas.colours.land(0.1))
    shore = ridge(canvas, line, 10, 0.3)
    for _ in range(60):
        x = canvas.between(0, canvas.wide)
        fir(
            canvas,
            x,
            height_at(canvas, shore, x) + 1,
            canvas.between(3, 7),
            canvas.colours.land(0.36),
        )
    fill(canvas, shore, canvas.colours.land(0.36))
    _water(canvas, line + 1, light, calm=True)
    last = ridge(canvas, 97, 8, 0.3)
    fill(canvas, last, canvas.colours.land(0.95))
    return last


def fir(canvas: Canvas, x: float, y: float, high: float, colour: Colour) -> None:
    """Draw a fir that stands at a point."""
    wide = high * 0.21
    canvas.box(x - 0.03 * high, y - 0.2 * high, x + 0.03 * high, y, colour)
    for tier in range(3):
        top, bottom = y - high * (1 - 0.24 * tier), y - high * (0.52 - 0.2 * tier)
        reach = wide * (0.55 + 0.23 * tier)
        canvas.polygon([(x, top), (x - reach, bottom), (x + reach, bottom)], colour)


def blob(canvas: Canvas, x: float, y: float, size: float, colour: Colour) -> None:
    """Draw a round bush or a far tree that stands at a point."""
    canvas.ellipse(x, y - size * 0.7, size, size, colour)
    canvas.ellipse(x - size * 0.8, y - size * 0.3, size * 0.7, size * 0.6, colour)
    canvas.ellipse(x + size * 0.8, y - size * 0.35, size * 0.7, size * 0.6, colour)


_GROUNDS: dict[str, Callable[[Canvas, float, tuple[float, float]], Ridge]] = {
    "sea": _sea,
    "lake": _lake,
    "mountain": _mountain,
    "desert": _desert,
    "forest": _forest,
    "city": _city,
}
