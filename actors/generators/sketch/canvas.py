"""What a sketch is painted on: soft light at its size, shapes at twice that, then made smooth."""

from collections.abc import Sequence
from random import Random

from PIL import Image, ImageDraw

from limner.actors.generators.sketch.palettes import Colour, Palette

Point = tuple[float, float]


class Canvas:
    """A picture that is being drawn, 100 units high whatever its pixels are.

    Paint in three passes: `sky` and `glow`; then, after `harden`, the shapes; then, after
    `soften`, `glow` and `veil` again, over all of it.

    Args:
        width, height: in pixels.
        colours: what to paint in.
        stream: where chance comes from.

    What shines is put into `lamps`, as x, y and radius, to be lit in the last pass.
    """

    def __init__(self, width: int, height: int, colours: Palette, stream: Random) -> None:
        self.size = (width, height)
        self.wide = 100 * width / height
        self.colours = colours
        self.stream = stream
        self.lamps: list[tuple[float, float, float]] = []
        self._start(Image.new("RGB", self.size), 1)

    def _start(self, image: Image.Image, factor: int) -> None:
        self.image = image
        self.unit = self.size[1] * factor / 100
        self._draw = ImageDraw.Draw(image)

    def harden(self) -> None:
        """Switch to twice the size, at which shapes are drawn fast and without smooth edges."""
        width, height = self.size
        self._start(self.image.resize((2 * width, 2 * height), Image.Resampling.NEAREST), 2)

    def soften(self) -> None:
        """Return to the real size, which makes the edges of all shapes smooth."""
        self._start(self.image.reduce(2), 1)

    def between(self, low: float, high: float) -> float:
        """Return a random number."""
        return low + (high - low) * self.stream.random()

    def gradient(self, top: float, bottom: float, stops: Sequence[Colour]) -> None:
        """Fill a band over the whole width with a gradient of colours."""
        strip = Image.new("RGB", (1, len(stops)))
        strip.putdata(stops)
        first, last = self._pixels(top), self._pixels(bottom)
        if last > first:
            # one pixel wide to its height, then to its width: a hundred times cheaper than both
            high = strip.resize((1, last - first), Image.Resampling.BICUBIC)
            wide = high.resize((self.image.width, last - first), Image.Resampling.NEAREST)
            self.image.paste(wide, (0, first))

    def veil(self, top: float, bottom: float, colour: Colour, strengths: Sequence[int]) -> None:
        """Lay a colour over a band, with a gradient of strengths (0 to 255)."""
        strip = Image.new("L", (1, len(strengths)))
        strip.putdata(strengths)
        first, last = self._pixels(top), self._pixels(bottom)
        if last > first:
            high = strip.resize((1, last - first), Image.Resampling.BICUBIC)
            mask = high.resize((self.image.width, last - first), Image.Resampling.NEAREST)
            self.image.paste(colour, (0, first), mask)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Light up a round place, with `strength` from 0 to 1, fading out towards `radius`."""
        side = max(2, self._pixels(2 * radius))
        # Pillow's gradient is 178 at the middle of its edges, where the light has to end
        fade = [round(strength * 255 * max(0, 1 - level / 178) ** 2) for level in range(256)]
        small = Image.radial_gradient("L").crop((1, 1, 255, 255)).reduce(4).point(fade)
        mask = small.resize((side, side), Image.Resampling.BILINEAR)
        self.image.paste(colour, (self._pixels(x - radius), self._pixels(y - radius)), mask)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill the shape that the points enclose."""
        self._draw.polygon([(x * self.unit, y * self.unit) for x, y in points], fill=colour)

    def ellipse(self, x: float, y: float, wide: float, high: float, colour: Colour) -> None:
        """Fill an ellipse around a point, given its half width and half height."""
        u = self.unit
        self._draw.ellipse(((x - wide) * u, (y - high) * u, (x + wide) * u, (y + high) * u), colour)

    def dome(self, x: float, y: float, wide: float, high: float, colour: Colour) -> None:
        """Fill the upper half of an ellipse that lies on a point."""
        u = self.unit
        box = ((x - wide) * u, (y - high) * u, (x + wide) * u, (y + high) * u)
        self._draw.pieslice(box, 180, 360, fill=colour)

    def beam(self, points: Sequence[Point], colour: Colour, strength: float) -> None:
        """Lay a shape of light, with `strength` from 0 to 1, over what is there."""
        ImageDraw.Draw(self.image, "RGBA").polygon(
            [(x * self.unit, y * self.unit) for x, y in points],
            fill=(*colour, round(255 * strength)),
        )

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle."""
        u = self.unit
        self._draw.rectangle((left * u, top * u, right * u, bottom * u), fill=colour)

    def line(self, points: Sequence[Point], colour: Colour, thick: float) -> None:
        """Draw a line through the points, `thick` units wide and a pixel at least."""
        self._draw.line(
            [(x * self.unit, y * self.unit) for x, y in points],
            fill=colour,
            width=max(1, round(thick * self.unit)),
            joint="curve",
        )

    def _pixels(self, units: float) -> int:
        return round(units * self.unit)
