"""Mist, rain, snow, lightning and the shine of lamps, over a picture that is all but done."""

from limner.actors.generators.sketch.canvas import Canvas
from limner.actors.generators.sketch.palettes import mix
from limner.actors.generators.sketch.scene import Scene
from limner.actors.generators.sketch.words import Reading


def weather(canvas: Canvas, reading: Reading, scene: Scene) -> None:
    """Lay weather and mist over a picture whose edges are smooth already."""
    colours, things = canvas.colours, set(reading.things)
    for x, y, radius in canvas.lamps:
        canvas.glow(x, y, radius, (255, 206, 124), 0.6)
    if "mist" in things or reading.moods[0] == "fog":
        for top in (scene.line - 14, scene.line + 4):
            canvas.veil(top, top + 20, mix(colours.low, (255, 255, 255), 0.25), (0, 150, 0))
    if "lightning" in things:
        _lightning(canvas, scene)
    if "rain" in things:
        shade = mix(colours.middle, colours.light, 0.5)
        for _ in range(170):
            x, y = canvas.between(0, canvas.wide + 10), canvas.between(-4, 100)
            canvas.line([(x, y), (x - 1.1, y + canvas.between(2, 4.5))], shade, 0.05)
    if "snowfall" in things:
        for _ in range(190):
            size = canvas.between(0.15, 0.5)
            x, y = canvas.between(0, canvas.wide), canvas.between(0, 100)
            canvas.ellipse(x, y, size, size, (250, 251, 255))


def _lightning(canvas: Canvas, scene: Scene) -> None:
    x, y = canvas.between(0.3, 0.7) * canvas.wide, 4.0
    points = [(x, y)]
    while y < scene.line:
        x, y = x + canvas.between(-5, 5), y + canvas.between(4, 9)
        points.append((x, min(y, scene.line)))
    canvas.glow(points[0][0], 14, 40, (236, 240, 255), 0.5)
    canvas.line(points, (246, 248, 255), 0.5)
