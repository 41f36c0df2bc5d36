"""The sky: its light, stars and clouds."""

from limner.actors.generators.sketch.canvas import Canvas
from limner.actors.generators.sketch.palettes import mix
from limner.actors.generators.sketch.words import Reading

HORIZONS = {"sea": 60, "lake": 56, "desert": 60, "city": 74, "mountain": 66, "room": 60}
"""Where the sky ends, in units from the top; 62 for other places."""


def horizon(canvas: Canvas, place: str) -> float:
    """Return where the sky ends."""
    return HORIZONS.get(place, 62) + canvas.between(-5, 4)


def paint_sky(canvas: Canvas, reading: Reading, line: float) -> tuple[float, float]:
    """Paint the sky with its light, down to the horizon; return where the light is."""
    colours = canvas.colours
    canvas.gradient(0, line + 1, (colours.high, colours.middle, colours.low))
    canvas.gradient(line, 100, (colours.low, colours.far, colours.near))
    side = 0.24 if canvas.stream.random() < 0.5 else 0.76
    x = canvas.wide * (side + canvas.between(-0.08, 0.08))
    low = {"dawn", "dusk", "fire"} & set(reading.moods)
    y = line - canvas.between(4, 14) if low else canvas.between(15, 30)
    if not {"storm", "fog"} & set(reading.moods) or {"sun", "moon"} & set(reading.things):
        canvas.glow(x, y, 46, colours.light, 0.62)
        canvas.glow(x, y, 18, colours.light, 0.5)
    return x, y


def heaven(canvas: Canvas, reading: Reading, line: float, light: tuple[float, float]) -> None:
    """Draw what stands in the sky: stars, moon or sun, clouds."""
    things, moods, colours = set(reading.things), set(reading.moods), canvas.colours
    x, y = light
    if "star" in things or "night" in moods or reading.moods[0] == "dream":
        for _ in range(150 if "star" in things else 70):
            size = canvas.between(0.07, 0.28)
            height = canvas.between(1, line) * canvas.between(0.3, 1)
            shade = mix(colours.middle, colours.light, canvas.between(0.4, 1))
            canvas.ellipse(canvas.between(0, canvas.wide), height, size, size, shade)
    if "moon" in things or ("night" in moods and "sun" not in things):
        canvas.ellipse(x, y, 5.2, 5.2, colours.light)
        for across, down, size in ((-1.6, -1.2, 1.1), (1.5, 0.6, 1.4), (-0.8, 2.1, 0.8)):
            shade = mix(colours.light, colours.middle, 0.16)
            canvas.ellipse(x + across, y + down, size, size, shade)
    elif "sun" in things or not {"storm", "fog"} & moods:
        canvas.ellipse(x, y, 6, 6, mix(colours.light, (255, 255, 255), 0.35))
    count = 9 if "cloud" in things else 4 if canvas.stream.random() < 0.6 else 2
    for _ in range(count):
        _cloud(canvas, line, dark="storm" in moods)


def _cloud(canvas: Canvas, line: float, *, dark: bool) -> None:
    colours = canvas.colours
    y = canvas.between(6, line * 0.66)
    x, wide = canvas.between(-5, canvas.wide + 5), canvas.between(8, 20)
    depth = y / line
    base = mix(colours.high, colours.low, min(1, depth * 1.2))
    shade = mix(base, (18, 22, 30), 0.34) if dark else mix(base, colours.light, 0.34)
    for layer, share in ((0, 0.5), (1, 1.0)):
        for part in range(7):
            along = (part - 3) / 3
            high = max(0.8, (1.1 - along * along) * canvas.between(1.8, 4.2))
            across = x + along * wide * 0.7 + canvas.between(-2, 2) - 2 * (1 - layer)
            canvas.dome(across, y + 0.3 * layer, wide * 0.3, high, mix(base, shade, share))
