"""The generators, which make pictures."""

from limner.actors.generators.checking import check_picture
from limner.actors.generators.instant import Instant
from limner.actors.generators.opening import open_generator
from limner.actors.generators.protocol import Cancelled, Generator, GeneratorLike
from limner.actors.generators.sketch.sketch import Sketch

__all__ = [
    "Cancelled",
    "Generator",
    "GeneratorLike",
    "Instant",
    "Sketch",
    "check_picture",
    "open_generator",
]
