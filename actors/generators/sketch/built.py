"""What people put into a landscape, each in a few strokes that stand at `x`."""

from limner.actors.generators.sketch.canvas import Canvas
from limner.actors.generators.sketch.palettes import Colour, mix
from limner.actors.generators.sketch.scene import Scene


def lighthouse(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw a lighthouse; in the dark, its beams."""
    foot = scene.ground(canvas, x) + 2
    high = canvas.between(38, 46)
    top, wall, band = foot - high, scene.wall, mix((178, 54, 44), scene.ink, 0.25)
    if scene.dark:
        canvas.lamps.append((x, top - 2.2, 14))
        away = 1 if x < canvas.wide / 2 else -1
        for spread in (0.4, 0.7, 1):
            for far, rise in ((x + away * 170, 26), (x - away * 60, 9)):
                tip = [(far, top - 2.2 - rise * spread), (far, top - 2.2 + 0.5 * rise * spread)]
                canvas.beam([(x, top - 2.2), *tip], canvas.colours.light, 0.14)
    for part in range(5):
        upper, lower = part / 5, (part + 1) / 5
        one, two = 2.2 + 1.6 * upper, 2.2 + 1.6 * lower
        y, z = top + high * upper, top + high * lower
        canvas.polygon(
            [(x - one, y), (x + one, y), (x + two, z), (x - two, z)], band if part % 2 else wall
        )
        shade = mix(band if part % 2 else wall, scene.ink, 0.35)
        canvas.polygon(
            [(x + one * 0.35, y), (x + one, y), (x + two, z), (x + two * 0.35, z)], shade
        )
    canvas.box(x - 3, top - 0.6, x + 3, top + 0.5, scene.ink)
    canvas.box(
        x - 1.6, top - 4, x + 1.6, top - 0.6, mix(canvas.colours.light, (255, 236, 150), 0.6)
    )
    for post in (-1.6, 0, 1.6):
        canvas.line([(x + post, top - 4), (x + post, top - 0.6)], scene.ink, 0.25)
    canvas.polygon([(x - 2.3, top - 4), (x, top - 7), (x + 2.3, top - 4)], band)


def house(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw a house, its windows lit in the dark."""
    foot = scene.ground(canvas, x) + 1.5
    wide, high = canvas.between(6, 8), canvas.between(7, 9)
    wall, roof = scene.wall, mix((134, 62, 48), scene.ink, 0.35)
    canvas.box(x + wide * 0.45, foot - high - 6.5, x + wide * 0.45 + 1.6, foot - high, roof)
    canvas.box(x - wide, foot - high, x + wide, foot, wall)
    canvas.box(x + wide * 0.3, foot - high, x + wide, foot, mix(wall, scene.ink, 0.25))
    canvas.polygon(
        [(x - wide - 1.2, foot - high), (x - wide * 0.5, foot - high - 5.4),
         (x + wide * 0.5, foot - high - 5.4), (x + wide + 1.2, foot - high)], roof,
    )  # fmt: skip
    lit = mix(canvas.colours.light, (255, 205, 96), 0.65) if scene.dark else scene.ink
    for place in (-0.62, 0.52):
        left = x + wide * place
        canvas.box(left - 1.1, foot - high + 2, left + 1.1, foot - high + 4.8, lit)
    canvas.box(x - 1.1, foot - 4.6, x + 1.1, foot, mix(roof, scene.ink, 0.5))


def castle(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw a castle on a mound of its own."""
    foot = scene.ground(canvas, x) + 3
    stone = mix(scene.wall, scene.ink, 0.42)
    shade = mix(stone, scene.ink, 0.4)
    rise = [(x + 2.6 * step, foot - 9 + step * step * 0.16) for step in range(-15, 16)]
    canvas.polygon([*rise, (x + 40, 101), (x - 40, 101)], canvas.colours.soil(0.9))
    foot -= 8
    canvas.box(x - 11, foot - 15, x + 11, foot, stone)
    for tooth in range(8):
        canvas.box(x - 11 + 2.9 * tooth, foot - 16.6, x - 9.5 + 2.9 * tooth, foot - 15, stone)
    for place, high in ((-11, 25), (-3.5, 33), (4.5, 27), (11, 22)):
        left, top = x + place, foot - high
        canvas.box(left - 2.5, top, left + 2.5, foot, stone)
        canvas.box(left + 0.7, top, left + 2.5, foot, shade)
        canvas.polygon([(left - 3.2, top), (left, top - 7), (left + 3.2, top)], shade)
        lit = mix(canvas.colours.light, (255, 205, 96), 0.5) if scene.dark else scene.ink
        canvas.box(left - 0.5, top + 3, left + 0.5, top + 5.2, lit)
    canvas.ellipse(x + 0.6, foot - 4.4, 2.2, 2.4, scene.ink)
    canvas.box(x - 1.6, foot - 4.4, x + 2.8, foot, scene.ink)


def boat(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw a boat under sail, or ashore where there is no water."""
    y = scene.line + canvas.between(10, 15) if scene.water else scene.ground(canvas, x) + 1
    size = canvas.between(0.9, 1.2)
    sail = mix(scene.wall, (250, 244, 228), 0.4)
    hull = mix((112, 50, 40), scene.ink, 0.4)
    reflection = mix(canvas.colours.far, canvas.colours.near, 0.7)
    canvas.ellipse(x, y + 2.2 * size, 9 * size, 0.8 * size, reflection)
    canvas.line([(x, y), (x, y - 20 * size)], scene.ink, 0.4)
    canvas.polygon(
        [
            (x + 0.6 * size, y - 19 * size),
            (x + 9 * size, y - 3 * size),
            (x + 0.6 * size, y - 2 * size),
        ],
        sail,
    )
    canvas.polygon(
        [
            (x - 0.6 * size, y - 17 * size),
            (x - 6.5 * size, y - 3 * size),
            (x - 0.6 * size, y - 2.4 * size),
        ],
        mix(sail, scene.ink, 0.18),
    )
    canvas.polygon(
        [(x - 8.5 * size, y - 1.4 * size), (x + 9.5 * size, y - 1.8 * size),
         (x + 6.4 * size, y + 2.2 * size), (x - 6 * size, y + 2.2 * size)], hull,
    )  # fmt: skip


def bridge(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw a bridge of four arches."""
    deck = min(scene.line + 4, 72)
    stone = mix(scene.wall, scene.ink, 0.5)
    canvas.box(x - 34, deck, x + 34, deck + 3, stone)
    for pier in range(5):
        left = x - 34 + 16.4 * pier
        canvas.box(left, deck + 2, left + 2.6, deck + 24, stone)
        if pier < 4:
            arch = [
                (left + 9.5 + 6.9 * part / 8, deck + 10.5 - 8 * (1 - (part / 8) ** 2) ** 0.5)
                for part in range(-8, 9)
            ]
            canvas.polygon([(left, deck + 1), *arch, (left + 19, deck + 1)], stone)
    canvas.box(x - 36, deck - 1.4, x + 36, deck, mix(stone, scene.ink, 0.3))


def road(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw a road that winds to the foreground."""
    _way(
        canvas,
        scene,
        x,
        mix(canvas.colours.land(0.5), (226, 204, 168), 0.5 * canvas.colours.luminance),
    )


def stream(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw a stream that winds to the foreground."""
    _way(canvas, scene, x, mix(canvas.colours.low, canvas.colours.middle, 0.5))


def _way(canvas: Canvas, scene: Scene, x: float, colour: Colour) -> None:
    top = min(scene.ground(canvas, canvas.wide * 0.5) + 1.5, 88)
    points, back = [], []
    for step in range(21):
        near = step / 20
        bend = (near - near * near) * 46 * (1 if x < canvas.wide / 2 else -1)
        middle, half = canvas.wide * 0.5 + bend, 0.8 + 10 * near**1.5
        y = top + (101 - top) * near
        points.append((middle - half, y))
        back.append((middle + half, y))
    canvas.polygon([*points, *reversed(back)], colour)
