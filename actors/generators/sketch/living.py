"""What lives, burns or flies in a landscape, each in a few strokes that stand at `x`."""

from limner.actors.generators.sketch.canvas import Canvas
from limner.actors.generators.sketch.land import fir
from limner.actors.generators.sketch.palettes import mix
from limner.actors.generators.sketch.scene import Scene

_FLAME = ((-1, 0), (-0.8, 0.5), (-0.2, 0.45), (0.1, 1), (0.6, 0.5), (1, 0))


def tree(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw a tree: a fir, or one with a crown."""
    foot = scene.ground(canvas, x) + 1.5
    ink, high = scene.ink, canvas.between(22, 30)
    if canvas.stream.random() < 0.4:
        return fir(canvas, x, foot, high, ink)
    canvas.polygon(
        [
            (x - 1.5, foot),
            (x - 0.7, foot - high * 0.6),
            (x + 0.7, foot - high * 0.6),
            (x + 1.5, foot),
        ],
        ink,
    )
    leaf = mix(canvas.colours.near, canvas.colours.far, 0.3)
    for _ in range(26):
        across = canvas.between(-8, 8)
        up = high * 0.78 + canvas.between(-6, 6) * (1 - (across / 9) ** 2)
        size = canvas.between(1.8, 3.6)
        shade = mix(ink, leaf, canvas.between(0.1, 0.9))
        canvas.ellipse(x + across, foot - up, size, size * 0.8, shade)
    return None


def person(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw somebody in a coat."""
    foot, ink = scene.ground(canvas, x) + 1.2, scene.ink
    coat = mix(ink, (150, 52, 44), 0.45)
    canvas.polygon(
        [(x - 1.1, foot - 9), (x + 1.1, foot - 9), (x + 2, foot - 2.6), (x - 2, foot - 2.6)], coat
    )
    canvas.line([(x - 0.7, foot - 3), (x - 0.8, foot)], ink, 0.8)
    canvas.line([(x + 0.7, foot - 3), (x + 0.9, foot)], ink, 0.8)
    canvas.line([(x + 1, foot - 8.4), (x + 2.5, foot - 5)], coat, 0.8)
    canvas.ellipse(x, foot - 10.2, 1.25, 1.35, mix(ink, (230, 190, 160), 0.55))
    canvas.ellipse(x, foot - 10.8, 1.3, 0.9, ink)


def fire(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw a fire on two logs."""
    foot = scene.ground(canvas, x) + 1
    canvas.lamps.append((x, foot - 4, 26))
    for size, colour in ((1, (214, 74, 32)), (0.66, (244, 152, 44)), (0.36, (255, 232, 140))):
        high, wide = 11 * size, 3.6 * size
        flame = [(x + across * wide, foot - up * high) for across, up in _FLAME]
        canvas.polygon(flame, colour)
    canvas.line([(x - 4.6, foot + 0.4), (x + 4.4, foot - 0.8)], scene.ink, 1.1)
    canvas.line([(x - 4.4, foot - 0.8), (x + 4.6, foot + 0.4)], scene.ink, 1.1)


def cactus(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw a cactus with two arms."""
    foot, ink = scene.ground(canvas, x) + 1, mix(scene.ink, (46, 96, 62), 0.45)
    canvas.line([(x, foot), (x, foot - 15)], ink, 2)
    canvas.ellipse(x, foot - 15, 1, 1, ink)
    for side, low, high in ((-4, 6, 11), (4, 8, 13)):
        canvas.line([(x, foot - low), (x + side, foot - low), (x + side, foot - high)], ink, 1.4)
        canvas.ellipse(x + side, foot - high, 0.7, 0.7, ink)


def flowers(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw flowers all over the foreground."""
    for _ in range(90):
        x = canvas.between(0, canvas.wide)
        top = scene.ground(canvas, x) + 2
        y = canvas.between(top, max(top, 99))
        colour = ((206, 62, 70), (244, 208, 92), (238, 232, 240), (156, 92, 178))[
            canvas.stream.getrandbits(2)
        ]
        size = 0.35 + 0.02 * (y - 60)
        canvas.line([(x, y), (x, y + 2 * size)], scene.ink, 0.2)
        canvas.ellipse(
            x, y, size, size * 0.8, mix(colour, scene.ink, 0.12 if not scene.dark else 0.4)
        )


def whale(canvas: Canvas, scene: Scene, x: float) -> None:
    """Draw a whale that blows."""
    y, ink = scene.line + 17, mix(scene.ink, (60, 88, 110), 0.35)
    canvas.ellipse(x, y, 11, 4.2, ink)
    canvas.polygon(
        [
            (x + 8, y - 1),
            (x + 15, y - 7),
            (x + 17, y - 4),
            (x + 20, y - 6),
            (x + 17, y + 1),
            (x + 8, y + 3),
        ],
        ink,
    )
    water = mix(
        mix(canvas.colours.low, canvas.colours.far, 0.42),
        mix(canvas.colours.high, canvas.colours.near, 0.62),
        0.45,
    )
    canvas.ellipse(x + 2, y + 5, 16, 3.4, water)
    spray = mix(canvas.colours.low, (255, 255, 255), 0.4)
    for lean in (-2.2, 0, 2.2):
        canvas.line(
            [(x - 5, y - 4), (x - 5 + lean * 0.5, y - 8), (x - 5 + lean, y - 9)], spray, 0.5
        )


def birds(canvas: Canvas, scene: Scene) -> None:
    """Draw a flight of birds."""
    x, y = canvas.between(0.25, 0.7) * canvas.wide, canvas.between(16, 30)
    for _ in range(5 + canvas.stream.getrandbits(2)):
        size = canvas.between(0.9, 1.9)
        left, top = x + canvas.between(-15, 15), y + canvas.between(-7, 7)
        wings = ((-1.7, -0.7), (-0.7, -0.8), (0, 0), (0.7, -0.8), (1.7, -0.7))
        bird = [(left + across * size, top + down * size) for across, down in wings]
        canvas.line(bird, scene.ink, 0.32)


def balloon(canvas: Canvas, scene: Scene) -> None:
    """Draw a hot-air balloon."""
    x, y, ink = canvas.wide - scene.light[0], canvas.between(22, 30), scene.ink
    colour = mix((190, 66, 56), ink, 0.2)
    canvas.polygon(
        [(x - 6.6, y + 3), (x + 6.6, y + 3), (x + 1.6, y + 11), (x - 1.6, y + 11)], colour
    )
    for wide, shade in ((7.2, colour), (4.4, mix(colour, (250, 226, 170), 0.7)), (1.7, colour)):
        canvas.ellipse(x, y, wide, 7.6, shade)
    canvas.box(x - 1.4, y + 12.4, x + 1.4, y + 14.4, ink)
