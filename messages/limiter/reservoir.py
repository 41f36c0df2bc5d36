"""A reservoir: a budget of weight that is refreshed or topped up. No clock: `now` is passed in."""

from copy import copy
from math import gcd

from limner.messages.limiter.settings import MAX_WEIGHT, LaneSettings

MICROSECONDS = 1_000_000

REFRESHES = 1_000
"""How many refreshes ahead `Reservoir.earliest` looks."""


class Reservoir:
    """The weight that may still be granted. All times are integer microseconds.

    It is mutable; its lane owns it.

    A refresh sets it to its amount, an increase adds to it up to a maximum; both come at fixed
    intervals from when they were put in force, and a refresh before an increase of the same time.

    Args:
        settings: of the lane.
        now: the time.
    """

    __slots__ = ("_increase_at", "_refresh_at", "_settings", "left")

    def __init__(self, settings: LaneSettings, now: int) -> None:
        self._settings = settings
        self.left = settings.reservoir
        self._refresh_at = _first(settings.reservoir_refresh_interval, now)
        self._increase_at = _first(settings.reservoir_increase_interval, now)

    def change(self, settings: LaneSettings, now: int) -> None:
        """Apply other settings; what is left stays, unless `reservoir` itself is another."""
        self.fill(now)
        before, self._settings = self._settings, settings
        if settings.reservoir != before.reservoir:
            self.left = settings.reservoir
        if settings.reservoir_refresh_interval != before.reservoir_refresh_interval:
            self._refresh_at = _first(settings.reservoir_refresh_interval, now)
        if settings.reservoir_increase_interval != before.reservoir_increase_interval:
            self._increase_at = _first(settings.reservoir_increase_interval, now)

    def add(self, weight: int, now: int) -> None:
        """Add to what is left, or take from it, but not below 0 nor above what a setting may be."""
        self.fill(now)
        if self.left is not None:
            self.left = min(max(0, self.left + weight), MAX_WEIGHT)

    def fill(self, now: int) -> None:
        """Apply the refreshes and increases that are due by now."""
        settings, refreshed = self._settings, None
        if self._refresh_at is not None and self._refresh_at <= now:
            interval = _micros(settings.reservoir_refresh_interval)
            refreshed = now - (now - self._refresh_at) % interval
            self._refresh_at = refreshed + interval
            self.left = settings.reservoir_refresh_amount
        if self._increase_at is not None and self._increase_at <= now:
            interval = _micros(settings.reservoir_increase_interval)
            last = now - (now - self._increase_at) % interval
            first = self._increase_at
            if refreshed is not None and first < refreshed:
                first += -(-(refreshed - first) // interval) * interval
            self._increase_at = last + interval
            self._increase((last - first) // interval + 1)

    def _increase(self, times: int) -> None:
        settings, most = self._settings, self._settings.reservoir_increase_maximum
        if self.left is not None and (most is None or self.left < most):
            more = self.left + times * (settings.reservoir_increase_amount or 0)
            self.left = more if most is None else min(most, more)

    @property
    def due(self) -> int | None:
        """When it is filled next; `None` for never."""
        if self._refresh_at is None:
            return self._increase_at
        if self._increase_at is None:
            return self._refresh_at
        return min(self._refresh_at, self._increase_at)

    def earliest(self, weight: int, at: int) -> int | None:
        """Return when it has a weight first, if nothing is taken from it.

        Args:
            weight: that is wanted.
            at: the earliest time that is wanted.

        Returns:
            `at` or later; `None` for never. If that is later than many refreshes, a time that is
            too early.
        """
        if self.left is None:
            return at
        ahead = copy(self)
        ahead.fill(at)
        if not ahead.can_fit(weight):
            return None
        for _ in range(REFRESHES):
            if ahead.left is None or weight <= ahead.left:
                break
            filled = ahead.next_fill(weight)
            if filled is None:
                return None
            at = filled
            ahead.fill(at)
        return at

    def next_fill(self, weight: int) -> int | None:
        """Return the time of the next refresh, or of the increase before it that fills to a weight.

        `None` if it is never refreshed, and no increase comes to that.
        """
        settings, first, refresh = self._settings, self._increase_at, self._refresh_at
        amount, most = settings.reservoir_increase_amount, settings.reservoir_increase_maximum
        if first is None or not amount or (most is not None and weight > most):
            return refresh
        times = -(-(weight - (self.left or 0)) // amount)
        filled = first + (times - 1) * _micros(settings.reservoir_increase_interval)
        return filled if refresh is None or filled < refresh else refresh

    def can_fit(self, weight: int) -> bool:
        """Return whether it can ever hold a weight, unless the settings change.

        True for one that is never filled, since a host may still fill it.
        """
        if self.left is None or weight <= self.left or self.due is None:
            return True
        settings = self._settings
        if self._increase_at is None:
            return weight <= (settings.reservoir_refresh_amount or 0)
        amount, most = settings.reservoir_increase_amount or 0, settings.reservoir_increase_maximum
        if self._refresh_at is None:
            return amount > 0 and (most is None or weight <= most)
        increases = _micros(settings.reservoir_increase_interval)
        refreshes = _micros(settings.reservoir_refresh_interval)
        closest = (self._increase_at - self._refresh_at) % gcd(increases, refreshes)
        often = (refreshes - 1 - closest) // increases + 1
        soon = max(0, (self._refresh_at - 1 - self._increase_at) // increases + 1)
        for base, times in (
            (self.left, soon),
            (settings.reservoir_refresh_amount or 0, often),
        ):
            peak = base + times * amount
            if most is not None:
                peak = max(base, min(most, peak))
            if weight <= peak:
                return True
        return False


def _first(interval: float | None, now: int) -> int | None:
    return None if interval is None else now + _micros(interval)


def _micros(seconds: float | None) -> int:
    return max(1, round((seconds or 0) * MICROSECONDS))
