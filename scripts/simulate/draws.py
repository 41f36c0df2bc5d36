"""Random numbers of the usual distributions, the same on every machine.

The functions of `math` may differ in their last digit from one C library to the next, and a log
shows their results. Those of `decimal` are rounded correctly everywhere (General Decimal
Arithmetic Specification 1.70), and so is `fsum`.
"""

from collections.abc import Callable
from decimal import Context, Decimal
from math import fsum
from random import Random

Draw = Callable[[], float]
"""Returns the next number from 0 to 1, 1 not included."""

_PRECISE = Context(prec=12)
_HALVES = 12


class Draws:
    """Streams of random numbers, one for each purpose, all from one seed.

    Args:
        seed: decides all of them.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, Random] = {}

    def __call__(self, purpose: str) -> Draw:
        """Return the stream of a purpose."""
        if purpose not in self._streams:
            self._streams[purpose] = Random(f"{self._seed}:{purpose}")  # noqa: S311
        return self._streams[purpose].random


def between(draw: Draw, low: float, high: float) -> float:
    """Return a number from `low` to `high`, uniformly distributed."""
    return low + draw() * (high - low)


def whole(draw: Draw, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`, both included."""
    return low + int(draw() * (high - low + 1))


def exponential(draw: Draw, mean: float) -> float:
    """Return the time to the next event of a Poisson process whose mean interval is `mean`."""
    return -mean * float(_PRECISE.ln(Decimal(1 - draw())))


def log_normal(draw: Draw, median: float, spread: float) -> float:
    """Return a log-normal number; `spread` is the standard deviation of its logarithm.

    The normal number is a sum of twelve uniform ones (Irwin and Hall), so it stays within six
    standard deviations.
    """
    normal = fsum(draw() for _ in range(_HALVES)) - _HALVES / 2
    return median * float(_PRECISE.exp(Decimal(spread * normal)))
