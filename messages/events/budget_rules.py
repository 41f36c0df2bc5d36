"""The audit of budgets: I22."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from limner.messages.events.findings import Recent, Violations, is_name, show
from limner.messages.events.record import Record, micros
from limner.messages.limiter.budget import PERIODS

Key = tuple[str, str, str | None]
"""A lane, a budget of it, and the owner whose it is."""


@dataclass(slots=True)
class Taken:
    """What one slot has taken of a budget.

    Args:
        at: when, in microseconds.
        units: how many, as far as it is known by now.
        seq: number of the event that says so.
        counts: whether it is of the last span of time.
    """

    at: int
    units: int
    seq: int
    counts: bool = True


@dataclass(slots=True)
class Budget:
    """A budget that is in force.

    Args:
        amount: of it.
        span: of time, in microseconds.
        kind: of its window.
        each: `lane` or `owner`.
        before: the units that were allowed before it was put down.
        until: when the last span of time is over that began before that, in microseconds.
    """

    amount: int
    span: int
    kind: object
    each: object
    before: int = 0
    until: int = 0

    @property
    def most(self) -> int:
        """The units that may be granted in any span of time."""
        return self.amount if self.kind == "sliding" else 2 * self.amount

    def most_at(self, now: int) -> int:
        """Return the units that may have been granted in the span of time that ends now."""
        return max(self.most, self.before) if now < self.until else self.most


@dataclass(slots=True)
class Spent:
    """What was taken of a budget in the last span of time, and how much in all."""

    taken: deque[Taken] = field(default_factory=deque)
    units: int = 0


class BudgetRules:
    """I22: at each grant, what was granted in the last span of time is within the budget.

    Of a sliding budget that is its amount, of others twice that: a span may lie across an edge, or
    begin with a full bucket. A call counts with what it has cost, once that is settled, and until
    then with what it took.
    """

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.budgets: dict[str, dict[str, Budget]] = {}
        self.spent: dict[Key, Spent] = {}
        self.owners: dict[str, str | None] = {}  # of requests that wait
        self.slots: Recent[dict[Key, Taken]] = Recent()
        self.checks: dict[str, Callable[[Record, int], None]] = {
            "lane_opened": self.lane_set,
            "lane_updated": self.lane_set,
            "lane_dropped": self.lane_dropped,
            "slot_requested": self.slot_requested,
            "slot_granted": self.slot_granted,
            "costs_settled": self.costs_settled,
            "request_dropped": self.request_ended,
            "request_withdrawn": self.request_ended,
        }

    def assume_missing(self) -> None:
        """Assume that events may be missing up to now: budgets may be others, and less is known."""
        self.budgets.clear()
        for key in tuple(self.spent):
            self._forget(key)
        self.owners.clear()

    def lane_set(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Store the budgets in force; what is known of those that are others is forgotten."""
        lane, given = event.get("lane"), event.get("budgets", {})
        if not is_name(lane) or not isinstance(given, dict):
            return
        before = self.budgets.pop(lane, {})
        budgets = {name: read for name, fields in given.items() if (read := _budget(fields))}
        for key in [key for key in self.spent if key[0] == lane]:
            old, new = before.get(key[1]), budgets.get(key[1])
            if old is None or new is None or (old.kind, old.each) != (new.kind, new.each):
                self._forget(key)
        for name, new in budgets.items():
            if name in before:
                now, old = micros(event), before[name]
                new.before, new.until = old.most_at(now), now + max(old.span, new.span)
        if budgets:
            self.budgets[lane] = budgets

    def lane_dropped(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Forget a lane whose budgets are full again."""
        lane = event.get("lane")
        if is_name(lane) and self.budgets.pop(lane, None) is not None:
            for key in [key for key in self.spent if key[0] == lane]:
                self._forget(key)

    def _forget(self, key: Key) -> None:
        for taken in self.spent.pop(key).taken:
            taken.counts = False

    def slot_requested(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Remember the owner of a request."""
        name, owner = event.get("request_id"), event.get("owner")
        if self.budgets and is_name(name):
            self.owners[name] = owner if is_name(owner) else None

    def request_ended(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Forget the owner of a request."""
        name = event.get("request_id")
        if is_name(name):
            self.owners.pop(name, None)

    def slot_granted(self, event: Record, seq: int) -> None:
        """Count what a slot takes, and check what was granted in the last span of time."""
        name, lane, slot = event.get("request_id"), event.get("lane"), event.get("slot_id")
        owner = self.owners.pop(name, None) if is_name(name) else None
        costs = event.get("costs")
        if not (is_name(lane) and is_name(slot) and isinstance(costs, dict)):
            return
        now, found = micros(event), {}
        for budget, units in costs.items():
            known = self.budgets.get(lane, {}).get(budget)
            if known is None or type(units) is not int:
                continue
            key = lane, budget, owner if known.each == "owner" else None
            found[key] = self._take(key, known, Taken(now, units, seq))
        if found:
            self.slots[slot] = found

    def _take(self, key: Key, budget: Budget, taken: Taken) -> Taken:
        """Count units, and check those of the last span of time with them."""
        spent = self.spent.setdefault(key, Spent())
        spent.taken.append(taken)
        spent.units += taken.units
        while spent.taken[0].at + budget.span <= taken.at:
            over = spent.taken.popleft()
            over.counts = False
            spent.units -= over.units
        if spent.units > budget.most_at(taken.at):
            whose = "" if key[2] is None else f" of owner {show(key[2])}"
            what = (
                f"{spent.units:,} of budget {show(key[1])}{whose} in lane {show(key[0])} are "
                f"granted in one span of time, with an amount of {budget.amount:,}"
            )
            self.violations.add("I22", what, *(each.seq for each in spent.taken))
        return taken

    def costs_settled(self, event: Record, seq: int) -> None:
        """Count what a call has cost in place of what it took."""
        slot, costs = event.get("slot_id"), event.get("costs")
        known = self.slots.get(slot) if is_name(slot) else None
        if known is None or not isinstance(costs, dict):
            return
        for key, taken in known.items():
            units = costs.get(key[1])
            if type(units) is not int:
                continue
            spent = self.spent.get(key)
            if spent is not None and taken.counts:
                spent.units += units - taken.units
            taken.units, taken.seq = units, seq


def _budget(fields: object) -> Budget | None:
    """Return a budget as the settings of a lane have it; `None` if it cannot be read."""
    if not isinstance(fields, Mapping):
        return None
    amount, per = fields.get("amount"), fields.get("per")
    seconds = PERIODS.get(per) if isinstance(per, str) else per
    if type(amount) is not int or not isinstance(seconds, int | float):
        return None
    return Budget(amount, round(seconds * 1_000_000), fields.get("window"), fields.get("each"))
