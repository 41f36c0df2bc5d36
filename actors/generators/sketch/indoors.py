"""A room: the place is seen through its window, and small things stand on the sill."""

from collections.abc import Callable

from limner.actors.generators.sketch.canvas import Canvas
from limner.actors.generators.sketch.palettes import Colour, mix
from limner.actors.generators.sketch.words import Reading

SILL = 82.0
"""Where things stand, in units from the top."""


def indoors(canvas: Canvas, reading: Reading) -> None:
    """Draw the wall around what was painted so far, and what stands before it."""
    colours = canvas.colours
    plain = mix(
        mix(colours.middle, (186, 140, 104), 0.55), (20, 12, 14), 0.62 - 0.4 * colours.luminance
    )
    wall = mix(plain, (28, 16, 16), 0.12)
    wood = mix(wall, (24, 14, 10), 0.5)
    left, right = canvas.wide * 0.16, canvas.wide * 0.84
    canvas.box(0, 0, left, 101, wall)
    canvas.box(right, 0, canvas.wide, 101, wall)
    canvas.box(0, 0, canvas.wide, 9, wall)
    canvas.box(0, SILL - 4, canvas.wide, 101, wall)
    for stripe in range(0, round(canvas.wide), 5):
        if not left - 2 < stripe < right:
            canvas.box(stripe, 0, stripe + 1.4, SILL + 8, plain)
    canvas.box(0, SILL + 8, canvas.wide, 101, mix(wood, wall, 0.4))
    for x in (left, canvas.wide / 2, right):
        canvas.box(x - 0.9, 8, x + 0.9, SILL, wood)
    for y in (9, 40):
        canvas.box(left, y - 0.9, right, y + 0.9, wood)
    for x, outward in ((left, -1), (right, 1)):
        drape = mix(mix(colours.low, wall, 0.45), (130, 44, 48), 0.45)
        canvas.polygon(
            [(x - outward * 5, 5), (x + outward * 13, 5), (x + outward * 12, SILL + 6),
             (x + outward * 5, SILL + 6), (x + outward * 2, 48)], drape,
        )  # fmt: skip
        for fold in (5.5, 9):
            canvas.line(
                [(x + outward * (fold - 3), 6), (x + outward * fold, SILL + 6)],
                mix(drape, wood, 0.45), 0.5,
            )  # fmt: skip
    canvas.box(left - 16, 3, right + 16, 5.4, wood)
    canvas.box(left - 8, SILL, right + 8, SILL + 4, mix(wood, (196, 142, 96), 0.35))
    canvas.box(left - 6, SILL + 4, right + 6, SILL + 5.6, wood)
    named = [thing for thing in _ON_SILL if thing in reading.things]
    for thing in list(_ON_SILL)[reading.chance(3) % 3 :: 2]:
        if len(named) < 3 and thing not in named and thing != "cat":
            named.append(thing)
    for turn, thing in enumerate(named[:4]):
        x = left + (right - left) * (0.16 + 0.24 * turn) + canvas.between(-2, 2)
        _ON_SILL[thing](canvas, x, wood)


def _lamp(canvas: Canvas, x: float, ink: Colour) -> None:
    canvas.box(x - 1, SILL - 9, x + 1, SILL, (238, 226, 200))
    canvas.box(x - 2.6, SILL - 1, x + 2.6, SILL, ink)
    canvas.line([(x, SILL - 9), (x, SILL - 10.4)], ink, 0.3)
    canvas.lamps.append((x, SILL - 12, 34))
    canvas.ellipse(x, SILL - 12, 1.0, 2.2, (250, 178, 62))
    canvas.ellipse(x, SILL - 11.6, 0.5, 1.2, (255, 244, 196))


def _books(canvas: Canvas, x: float, ink: Colour) -> None:
    y = SILL
    for wide, colour in ((6.4, (134, 52, 46)), (5.6, (52, 84, 104)), (6.0, (176, 134, 70))):
        shift = canvas.between(-0.6, 0.6)
        canvas.box(x - wide + shift, y - 2.4, x + wide + shift, y, mix(colour, ink, 0.2))
        canvas.box(x + wide + shift - 1.2, y - 2, x + wide + shift, y - 0.4, (232, 220, 192))
        y -= 2.5


def _cup(canvas: Canvas, x: float, ink: Colour) -> None:
    white = (228, 222, 210)
    canvas.ellipse(x + 3, SILL - 2.8, 1.6, 1.5, white)
    canvas.ellipse(x + 3, SILL - 2.8, 0.9, 0.8, mix(canvas.colours.far, ink, 0.4))
    canvas.polygon([(x - 3, SILL - 5), (x + 3, SILL - 5), (x + 2.2, SILL), (x - 2.2, SILL)], white)
    canvas.ellipse(x, SILL - 5, 3, 0.6, mix(white, ink, 0.6))


def _vase(canvas: Canvas, x: float, ink: Colour) -> None:
    clay = mix((92, 124, 132), ink, 0.2)
    for lean, colour in ((-3.4, (206, 82, 78)), (0.2, (240, 200, 96)), (3.2, (222, 132, 150))):
        canvas.line([(x, SILL - 5), (x + lean, SILL - 12)], mix((70, 110, 66), ink, 0.2), 0.4)
        for across, down in ((-0.9, 0), (0.9, 0), (0, -0.9), (0, 0.9)):
            canvas.ellipse(x + lean + across, SILL - 12.4 + down, 1, 1, colour)
        canvas.ellipse(x + lean, SILL - 12.4, 0.6, 0.6, (250, 232, 170))
    canvas.ellipse(x, SILL - 3, 2.7, 3, clay)
    canvas.box(x - 1.2, SILL - 7, x + 1.2, SILL - 4, clay)


def _cat(canvas: Canvas, x: float, ink: Colour) -> None:
    dark = mix(ink, (16, 14, 18), 0.6)
    canvas.ellipse(x, SILL - 4.4, 3.6, 4.6, dark)
    canvas.ellipse(x, SILL - 10.4, 2.5, 2.3, dark)
    for side in (-1, 1):
        canvas.polygon(
            [
                (x + side * 2.4, SILL - 13.9),
                (x + side * 0.5, SILL - 12.2),
                (x + side * 2.4, SILL - 10.6),
            ],
            dark,
        )
    canvas.line([(x + 3, SILL - 1), (x + 7, SILL - 0.8), (x + 8.4, SILL - 3.4)], dark, 1)


_ON_SILL: dict[str, Callable[[Canvas, float, Colour], None]] = {
    "lamp": _lamp,
    "book": _books,
    "cup": _cup,
    "flower": _vase,
    "cat": _cat,
}
