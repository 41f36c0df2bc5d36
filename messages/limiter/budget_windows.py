"""What is left of a budget, by the three ways in which its span of time moves.

No clock: `now` is passed in. All times are integer microseconds, all arithmetic is exact. Each kind
keeps bounded memory, whatever is taken.

What is taken is an estimate until it is settled. `give_back` makes it as though less had been taken
from the beginning, and never more: so nothing is given back if its span of time is over meanwhile,
or if the bucket would have been full. A call that costs more than its estimate takes the rest at
the time of settling, also below 0: a debt, that what comes later pays first.
"""

from __future__ import annotations

from collections import deque
from copy import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner.messages.limiter.budget import Budget

GRAINS = 64
"""Into how many parts a sliding window is divided, and how many peaks a refilling one remembers."""


class BudgetWindow:
    """What is left of a budget. It is mutable; the budgets of its lane own it.

    A back end may know of less that is left. The difference is *held* until the time at which the
    back end's own budget is full again, or for a span of time.

    Args:
        budget: its amount and span of time.
        now: the time.

    Attributes:
        held_until: until when the difference is held that was told last.
    """

    __slots__ = ("_amount", "_held", "_per", "held_until")

    def __init__(self, budget: Budget, now: int) -> None:
        self._amount = budget.amount
        self._per = budget.micros
        self._held = 0
        self.held_until = now

    def left(self, now: int) -> int:
        """Return how much is left; below 0 if more was spent than was reserved."""
        return self._own_left(now) - self._held_at(now)

    def free_at(self, units: int, now: int) -> int:
        """Return from when on there are so many units if none is taken meanwhile.

        Args:
            units: 1 up to the amount.
            now: the time, which need not have come; it is returned if they are there by then.
        """
        released = max(self.held_until, self._free_at(units))
        if not self._held:
            released = self._free_at(units)
        elif units + self._held <= self._amount:
            released = min(released, self._free_at(units + self._held))
        return max(now, released)

    def full_at(self, now: int) -> int:
        """Return from when on nothing is missing if none is taken meanwhile; `now` or later."""
        return max(now, self.held_until, self._full_at())

    def correct(self, remaining: int, resets_at: int | None, now: int) -> bool:
        """Reduce what is left, if a back end says that it is less; never up.

        Args:
            remaining: what the back end says is left, 0 or more.
            resets_at: when its own budget is full again; a span of time from now at most, and that
                by default.
            now: the time.

        Returns:
            Whether there was more left.
        """
        less = self.left(now) - max(0, remaining)
        if less <= 0:
            return False
        latest = now + self._per
        until = latest if resets_at is None else max(now + 1, min(resets_at, latest))
        held = self._held_at(now)
        self.held_until = max(until, self.held_until) if held else until
        self._held = held + less
        return True

    def detach(self) -> None:
        """Make this shallow copy of a window one of its own, for marks that it returns itself."""

    def take(self, units: int, now: int) -> Any:
        """Take units, also if that many are not left; return a mark for `give_back`."""
        raise NotImplementedError

    def give_back(self, units: int, mark: Any, now: int) -> None:
        """Return units that were taken, as though they had never been.

        Args:
            units: how many.
            mark: that `take` returned.
            now: the time.
        """
        raise NotImplementedError

    def change(self, budget: Budget, now: int) -> None:
        """Apply another amount or span of time; what was spent stays spent."""
        raise NotImplementedError

    def _held_at(self, now: int) -> int:
        return 0 if self.held_until <= now else self._held

    def _own_left(self, now: int) -> int:
        raise NotImplementedError

    def _free_at(self, units: int) -> int:
        """Return from when on there are so many units, but for those held; it may be over."""
        raise NotImplementedError

    def _full_at(self) -> int:
        raise NotImplementedError


class RefillingWindow(BudgetWindow):
    """A token bucket: full at first, and refilled all the time.

    Its level is kept in units times microseconds of the span, so that no part of a unit is lost.

    To give back what was taken a while ago, one must know whether the bucket would have been full
    since then. So it remembers its *peaks*: for the takes since then, the highest level before one
    of them. Of peaks that are lower than a later one nothing depends any more. Past 64 peaks, the
    oldest two are counted as the higher and later of both, and less is given back.
    """

    __slots__ = ("_at", "_level", "_number", "_peaks")

    def __init__(self, budget: Budget, now: int) -> None:
        super().__init__(budget, now)
        self._at = now
        self._level = self._full
        self._number = 0
        self._peaks: list[tuple[int, int]] = []  # the number of a take, and the level before it

    def detach(self) -> None:
        """Make this shallow copy of a window one of its own."""
        self._peaks = self._peaks.copy()

    @property
    def _full(self) -> int:
        return self._amount * self._per

    def _fill(self, now: int) -> None:
        if now > self._at:
            self._level = min(self._full, self._level + self._amount * (now - self._at))
            self._at = now

    def take(self, units: int, now: int) -> int:
        """Take units; return the number of this take."""
        self._fill(now)
        peaks = self._peaks
        while peaks and peaks[-1][1] <= self._level:
            peaks.pop()
        self._number += 1
        peaks.append((self._number, self._level))
        if len(peaks) > GRAINS:
            peaks[:2] = [(peaks[1][0], peaks[0][1])]
        self._level -= units * self._per
        return self._number

    def give_back(self, units: int, mark: int, now: int) -> None:
        """Return units, but for those with which the bucket would have run over since."""
        self._fill(now)
        more, full = units * self._per, self._full
        before = [peak for peak in self._peaks if peak[0] <= mark]
        since = [peak for peak in self._peaks if peak[0] > mark]
        if since:
            more = min(more, full - since[0][1])
            since = [(number, level + more) for number, level in since]
            while before and before[-1][1] <= since[0][1]:
                before.pop()
            self._peaks = before + since
        self._level = min(full, self._level + more)

    def change(self, budget: Budget, now: int) -> None:
        """Apply another amount or span of time; what was spent stays spent."""
        self._fill(now)
        full, per = self._full, self._per
        self._amount, self._per = budget.amount, budget.micros

        def changed(level: int) -> int:
            spent = -(-(full - level) * self._per // per)
            return self._full - spent

        self._level = changed(self._level)
        self._peaks = [(number, changed(level)) for number, level in self._peaks]

    def _own_left(self, now: int) -> int:
        self._fill(now)
        return self._level // self._per

    def _free_at(self, units: int) -> int:
        missing = units * self._per - self._level
        return self._at if missing <= 0 else self._at - (-missing // self._amount)

    def _full_at(self) -> int:
        return self._free_at(self._amount)


class FixedWindow(BudgetWindow):
    """Spans of time that follow each other; each begins with the whole amount, less a debt."""

    __slots__ = ("_left", "_start")

    def __init__(self, budget: Budget, now: int) -> None:
        super().__init__(budget, now)
        self._start = now
        self._left = budget.amount

    def _roll(self, now: int) -> None:
        spans = (now - self._start) // self._per
        if spans > 0:
            self._start += spans * self._per
            self._left = min(self._amount, self._left + spans * self._amount)

    def take(self, units: int, now: int) -> int:
        """Take units; return when the span began of which they are."""
        self._roll(now)
        self._left -= units
        return self._start

    def give_back(self, units: int, mark: int, now: int) -> None:
        """Return units, if the span is not over of which they are."""
        self._roll(now)
        if mark == self._start:
            self._left = min(self._amount, self._left + units)

    def change(self, budget: Budget, now: int) -> None:
        """Apply another amount; another span of time begins now."""
        self._roll(now)
        self._left += budget.amount - self._amount
        self._amount = budget.amount
        if budget.micros != self._per:
            self._start, self._per = now, budget.micros

    def _own_left(self, now: int) -> int:
        self._roll(now)
        return self._left

    def _free_at(self, units: int) -> int:
        missing = units - self._left
        return self._start - (-max(0, missing) // self._amount) * self._per

    def _full_at(self) -> int:
        return self._free_at(self._amount)


class _Group:
    """Units that were taken within a 64th of the span, and return with the last of them."""

    __slots__ = ("first", "last", "over", "units")

    def __init__(self, now: int) -> None:
        self.first = self.last = now
        self.units = 0
        self.over = False


class SlidingWindow(BudgetWindow):
    """In no span of time, wherever it begins, more than the amount is granted.

    What is taken returns after the span. To bound the memory, what is taken within a 64th of the
    span after the first of a group returns with the last of that group. So up to a 64th less may be
    granted than the amount, and never more.
    """

    __slots__ = ("_groups", "_spent")

    def __init__(self, budget: Budget, now: int) -> None:
        super().__init__(budget, now)
        self._groups: deque[_Group] = deque()
        self._spent = 0

    def detach(self) -> None:
        """Make this shallow copy of a window one of its own."""
        self._groups = deque(map(copy, self._groups))

    def _forget(self, now: int) -> None:
        groups = self._groups
        while groups and groups[0].last + self._per <= now:
            group = groups.popleft()
            group.over = True
            self._spent -= group.units

    def take(self, units: int, now: int) -> _Group:
        """Take units; return the group that they are in."""
        self._forget(now)
        groups = self._groups
        if not groups or now - groups[-1].first >= self._per // GRAINS:
            groups.append(_Group(now))
        group = groups[-1]
        group.last = now
        group.units += units
        self._spent += units
        return group

    def give_back(self, units: int, mark: _Group, now: int) -> None:
        """Return units, if they have not returned yet."""
        self._forget(now)
        if not mark.over:
            mark.units -= units
            self._spent -= units

    def change(self, budget: Budget, now: int) -> None:
        """Apply another amount or span of time; what was spent stays spent."""
        self._forget(now)
        self._amount, self._per = budget.amount, budget.micros
        self._forget(now)

    def _own_left(self, now: int) -> int:
        self._forget(now)
        return self._amount - self._spent

    def _free_at(self, units: int) -> int:
        missing = self._spent + units - self._amount
        at = 0
        for group in self._groups:
            if missing <= 0:
                break
            missing -= group.units
            at = group.last + self._per
        return at

    def _full_at(self) -> int:
        return self._groups[-1].last + self._per if self._groups else 0


def window_of(budget: Budget, now: int) -> BudgetWindow:
    """Return a window of a budget of which nothing is taken yet."""
    return WINDOWS[budget.window](budget, now)


WINDOWS: dict[str, type[BudgetWindow]] = {
    "refilling": RefillingWindow,
    "fixed": FixedWindow,
    "sliding": SlidingWindow,
}
