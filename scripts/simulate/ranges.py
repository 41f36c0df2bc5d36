"""Ranges of a scenario, from which each seed draws a value."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from limner.messages.base import Value
from limner.scripts.simulate.draws import Draw, between


class Range(Value):
    """From `low` to `high`; in a file a pair, or one number for both."""

    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _of_a_pair(cls, given: Any) -> Any:
        if isinstance(given, int | float):
            return {"low": given, "high": given}
        if isinstance(given, list | tuple) and len(given) == 2:
            return {"low": given[0], "high": given[1]}
        return given

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"begins at {self.low:g}, after its end at {self.high:g}")
        return self

    def draw(self, draw: Draw) -> float:
        """Return a number drawn from the range."""
        return between(draw, self.low, self.high)

    def draw_whole(self, draw: Draw) -> int:
        """Return a whole number drawn from the range, both ends included."""
        return int(self.low) + int(draw() * (int(self.high) - int(self.low) + 1))


class Within:
    """Checks that both ends of a range are within bounds."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, given: Range) -> Range:
        """Return the range unchanged.

        Raises:
            ValueError: if an end is out of bounds.
        """
        if given.low < self.low or given.high > self.high:
            raise ValueError(
                f"must be from {self.low:g} to {self.high:g}, not {given.low:g} to {given.high:g}"
            )
        return given


Busyness = Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)]
Rate = Annotated[Range, AfterValidator(Within(0, 1))]
Seconds = Annotated[Range, AfterValidator(Within(0.001, 86_400))]
Pause = Annotated[Range, AfterValidator(Within(0, 3_600))]
Number = Annotated[Range, AfterValidator(Within(0, 1_000))]
OneOrMore = Annotated[Range, AfterValidator(Within(1, 1_000))]


def fixed(value: float) -> Any:
    """Return the default of a field whose range is one number."""
    return Range(low=value, high=value)


def ranging(low: float, high: float) -> Any:
    """Return the default of a field whose range has two ends."""
    return Range(low=low, high=high)
