"""The budgets of a lane: what a request takes of each, and from when on it may.

No clock: `now` is passed in, in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from heapq import nsmallest
from operator import itemgetter
from typing import Any

from limner.messages.limiter.budget import MICROSECONDS, Budget
from limner.messages.limiter.budget_windows import BudgetWindow, window_of
from limner.messages.limiter.control import BudgetLeft
from limner.messages.limiter.protocol import RequestSlot

FEW_OWNERS = 64
"""Owners that are remembered before it is looked for those whose budgets are full again."""

MAX_LISTED = 100
"""Owners of whom a report lists what is left to them, at most."""


class Taken:
    """What a slot has taken of one budget.

    Args:
        window: of the budget.
        mark: that the window has returned.
        owner: of whose budget it is; `None` if it is of the lane's.
        units: how many; another number once that is settled.
    """

    __slots__ = ("mark", "owner", "units", "window")

    def __init__(self, window: BudgetWindow, mark: Any, owner: str | None, units: int) -> None:
        self.window = window
        self.mark = mark
        self.owner = owner
        self.units = units


class LaneBudgets:
    """The budgets of a lane, each of its own or of its owners. It is mutable; its lane owns it.

    Of an owner whose budget is full, nothing is remembered.

    Args:
        budgets: by name.
        now: the time.
    """

    __slots__ = ("_of_lane", "_of_owners", "_sweep_at", "in_force")

    def __init__(self, budgets: Mapping[str, Budget], now: int) -> None:
        self.in_force: Mapping[str, Budget] = {}
        self._of_lane: dict[str, BudgetWindow] = {}
        self._of_owners: dict[str, dict[str, BudgetWindow]] = {}
        self._sweep_at: dict[str, int] = {}
        self.change(budgets, now)

    @property
    def each_owner(self) -> bool:
        """Whether owners have budgets of their own."""
        return bool(self._of_owners)

    def detach(self) -> None:
        """Make this shallow copy of budgets ones of their own."""
        self._of_lane = {name: _own(window) for name, window in self._of_lane.items()}
        self._of_owners = {
            name: {owner: _own(window) for owner, window in windows.items()}
            for name, windows in self._of_owners.items()
        }
        self._sweep_at = self._sweep_at.copy()

    def change(self, budgets: Mapping[str, Budget], now: int) -> None:
        """Apply other budgets.

        What was spent stays spent if a budget of the name, with such a window, was in force before.
        """
        before, of_lane, of_owners = self.in_force, self._of_lane, self._of_owners
        self.in_force, self._of_lane, self._of_owners = dict(budgets), {}, {}
        for name, budget in budgets.items():
            known = before.get(name)
            same = known is not None and (known.window, known.each) == (budget.window, budget.each)
            if budget.each == "lane":
                window = of_lane[name] if same else window_of(budget, now)
                if same and known != budget:
                    window.change(budget, now)
                self._of_lane[name] = window
                continue
            owners = self._of_owners[name] = of_owners[name] if same else {}
            self._sweep_at.setdefault(name, FEW_OWNERS)
            if same and known != budget:
                for window in owners.values():
                    window.change(budget, now)

    def costs_of(self, request: RequestSlot) -> Iterator[tuple[str, int]]:
        """Return what a request takes of each budget, by name; none of which it takes nothing."""
        costs, owner = request.costs, request.owner
        for name, budget in self.in_force.items():
            units = costs.get(name)
            if units is None:
                units = budget.cost(name)
            if units and (owner is not None or budget.each == "lane"):
                yield name, units

    def can_fit(self, request: RequestSlot) -> bool:
        """Return whether no cost of a request is above the amount of its budget."""
        return all(units <= self.in_force[name].amount for name, units in self.costs_of(request))

    def free_at(self, request: RequestSlot, now: int) -> int:
        """Return from when on the budgets allow a request, if nothing is granted meanwhile.

        Args:
            request: that can fit.
            now: the time; it is returned if they allow it already.
        """
        latest = now
        for name, units in self.costs_of(request):
            window = self._window(name, request.owner)
            if window is not None:
                latest = max(latest, window.free_at(units, now))
        return latest

    def owner_free_at(self, request: RequestSlot, now: int) -> int:
        """Return from when on the budgets of its owner allow a request, whatever the lane's do."""
        owner = request.owner
        if owner is None or not self._of_owners:
            return now
        latest = now
        for name, units in self.costs_of(request):
            window = self._of_owners.get(name, {}).get(owner)
            if window is not None:
                latest = max(latest, window.free_at(units, now))
        return latest

    def take(self, request: RequestSlot, now: int) -> dict[str, Taken]:
        """Take the costs of a request that is granted a slot; return what it took, by budget."""
        taken = {}
        for name, units in self.costs_of(request):
            owner = None if name in self._of_lane else request.owner
            window = self._window_to_charge(name, owner, now)
            taken[name] = Taken(window, window.take(units, now), owner, units)
        return taken

    def settle(
        self, taken: dict[str, Taken], costs: Mapping[str, int], request: RequestSlot, now: int
    ) -> bool:
        """Return or take the difference to what a call has cost in the end.

        Args:
            taken: what its slot has taken; it is changed to what it has cost.
            costs: by the name of the budget; the others keep what was taken.
            request: of the call.
            now: the time.

        Returns:
            Whether anything has changed.
        """
        changed = False
        for name, budget in self.in_force.items():
            if name not in costs:
                continue
            owner = None if budget.each == "lane" else request.owner
            if owner is None and budget.each == "owner":
                continue
            before = taken.get(name)
            more = costs[name] - (0 if before is None else before.units)
            if not more:
                continue
            changed = True
            if more > 0:
                window = self._window_to_charge(name, owner, now)
                mark = window.take(more, now)
                if before is None:
                    taken[name] = Taken(window, mark, owner, 0)
            elif before is not None and before.window is self._window(name, owner):
                before.window.give_back(-more, before.mark, now)
            taken[name].units = costs[name]
        return changed

    def correct(
        self, name: str, remaining: int, resets_at: int | None, now: int, owner: str | None = None
    ) -> bool:
        """Reduce what is left of a budget, as the back end says; never up.

        What it is less is held until the reset. So an answer corrects a budget downward at once,
        and upward at the reset alone.

        Args:
            name: of the budget; one that there is not is ignored.
            remaining: what the back end says is left, 0 or more.
            resets_at: microseconds of the same clock at which the back end's own budget is full
                again; the budget's span of time from now at most, and that if `None`.
            now: the time.
            owner: whose budget it is, if each owner has its own.

        Returns:
            Whether there was more left.
        """
        budget = self.in_force.get(name)
        if budget is None or (owner is None) != (budget.each == "lane"):
            return False
        window = self._window_to_charge(name, owner, now)
        return window.correct(remaining, resets_at, now)

    def held_until(self, name: str, owner: str | None = None) -> int:
        """Return until when what a back end said holds, of a budget that was corrected."""
        window = self._window(name, owner)
        return 0 if window is None else window.held_until

    def left(self, now: int) -> dict[str, BudgetLeft]:
        """Return what is left of each budget."""
        found = {}
        for name, budget in self.in_force.items():
            window = self._of_lane.get(name)
            windows = self._of_owners.get(name, {})
            each = [window] if window is not None else windows.values()
            full = max((window.full_at(now) for window in each), default=now)
            owners = {
                owner: window.left(now)
                for owner, window in windows.items()
                if window.full_at(now) > now
            }
            found[name] = BudgetLeft.trusted(
                amount=budget.amount,
                left=None if window is None else window.left(now),
                full_in=(full - now) / MICROSECONDS,
                owners=dict(nsmallest(MAX_LISTED, owners.items(), key=itemgetter(1))),
            )
        return found

    def full_at(self, now: int) -> int:
        """Return from when on all budgets are full, if nothing is taken meanwhile."""
        full = [window.full_at(now) for window in self._of_lane.values()]
        for windows in self._of_owners.values():
            full += [window.full_at(now) for window in windows.values()]
        return max(full, default=now)

    def _window(self, name: str, owner: str | None) -> BudgetWindow | None:
        """Return the window of a budget; `None` if it is of an owner, and full."""
        window = self._of_lane.get(name)
        if window is not None or owner is None:
            return window
        return self._of_owners.get(name, {}).get(owner)

    def _window_to_charge(self, name: str, owner: str | None, now: int) -> BudgetWindow:
        """Return the window of a budget; a new one for an owner whose budget is full.

        Now and then, all owners whose budgets are full are forgotten.
        """
        if owner is None:
            return self._of_lane[name]
        windows = self._of_owners[name]
        window = windows.get(owner)
        if window is not None and window.full_at(now) > now:
            return window
        if len(windows) >= self._sweep_at[name]:
            for other in [who for who, known in windows.items() if known.full_at(now) <= now]:
                del windows[other]
            self._sweep_at[name] = max(FEW_OWNERS, 2 * len(windows))
        window = windows[owner] = window_of(self.in_force[name], now)
        return window


def _own(window: BudgetWindow) -> BudgetWindow:
    """Return a copy of a window."""
    window = copy(window)
    window.detach()
    return window
