"""The time that the patterns of one text may take, all matches together."""

from collections.abc import Callable
from typing import Final

HELD: Final = 0.005
"""Seconds that a match may take while the interpreter is held: as long as Python holds it."""


class PatternBudget:
    """Counts the time of patterns' matches on one text, and names the pattern that takes too long.

    When the budget is spent, the pattern that has spent the most is dropped, and what it has spent
    is given back to the others. So one slow pattern takes nothing from the others, and all of them
    together take no more than the budget and what the dropped ones gave back.

    Mutable: one actor or function owns it.

    Args:
        seconds: the budget.
        clock: returns seconds; only differences count. Best is the processor time of the calling
            thread, since a busy machine is no pattern's fault.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._seconds = seconds
        self._spent: dict[str, float] = {}

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._seconds - sum(self._spent.values())

    def charge(self, pattern: str, seconds: float) -> str | None:
        """Count the time of a match.

        Args:
            pattern: which one matched, or tried to.
            seconds: how long it took.

        Returns:
            The pattern to drop, if the budget is spent.
        """
        self._spent[pattern] = self._spent.get(pattern, 0) + seconds
        if self.left > 0:
            return None
        dropped = max(self._spent, key=self._spent.__getitem__)
        self.forget(dropped)
        return dropped

    def forget(self, pattern: str) -> None:
        """Return what a pattern has spent to the others, since it is dropped."""
        self._spent.pop(pattern, None)
