"""Random numbers of the usual distributions, the same on every machine.

The functions of `math` may differ in their last digit from one C library to the next, and a log
shows what they give; those of `decimal` are rounded correctly everywhere (General Decimal
Arithmetic Specification 1.70), and so is `fsum`.
"""

from collections.abc import Callable
from decimal import Context, Decimal
from math import fsum
from random import Random

Draw = Callable[[], float]
"""Gives the next number from 0 to 1, 1 not included."""

_PRECISE = Context(prec=12)
_HALVES = 12


class Draws:
    """Streams of random numbers, one a purpose, all from one seed.

    Args:
        seed: decides all of them.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, Random] = {}

    def __call__(self, purpose: str) -> Draw:
        """Give the stream of a purpose."""
        if purpose not in self._streams:
            self._streams[purpose] = Random(f"{self._seed}:{purpose}")  # noqa: S311
        return self._streams[purpose].random


def between(draw: Draw, low: float, high: float) -> float:
    """Give a number from `low` to `high`, each as likely as the other."""
    return low + draw() * (high - low)


def whole(draw: Draw, low: int, high: int) -> int:
    """Give a whole number from `low` to `high`, both included."""
    return low + int(draw() * (high - low + 1))


def exponential(draw: Draw, mean: float) -> float:
    """Give the time to the next of events that come at random, `mean` apart (Poisson's)."""
    return -mean * float(_PRECISE.ln(Decimal(1 - draw())))


def log_normal(draw: Draw, median: float, spread: float) -> float:
    """Give a number whose logarithm is normal, `spread` being that one's standard deviation.

    The normal one is a sum of twelve uniform ones (Irwin and Hall), so it stays within six
    standard deviations.
    """
    normal = fsum(draw() for _ in range(_HALVES)) - _HALVES / 2
    return median * float(_PRECISE.exp(Decimal(spread * normal)))
