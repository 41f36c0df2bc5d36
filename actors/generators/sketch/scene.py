"""A landscape that things can stand in, and the colours that they are drawn with there."""

from dataclasses import dataclass

from limner.actors.generators.sketch.canvas import Canvas
from limner.actors.generators.sketch.land import Ridge, height_at
from limner.actors.generators.sketch.palettes import Colour, Palette, mix


@dataclass(frozen=True)
class Scene:
    """A landscape without its things.

    Args:
        colours: what it is painted in.
        line: the horizon, in units from the top.
        land: the ridge in front.
        light: where sun or moon is.
        water: whether boats and whales have water to be on.
    """

    colours: Palette
    line: float
    land: Ridge
    light: tuple[float, float]
    water: bool

    def ground(self, canvas: Canvas, x: float) -> float:
        """Return how far from the top the ground is at a place."""
        return height_at(canvas, self.land, x)

    @property
    def ink(self) -> Colour:
        """The darkest colour here, for outlines and silhouettes."""
        return mix(self.colours.near, (8, 9, 16), 0.45)

    @property
    def wall(self) -> Colour:
        """White, as it looks in this light."""
        return mix(self.ink, (240, 230, 214), 0.25 + 0.6 * self.colours.luminance)

    @property
    def dark(self) -> bool:
        """Whether lamps are lit."""
        return self.colours.luminance < 0.5
