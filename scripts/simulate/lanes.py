"""A lane as the event log shows it, and when it has to grant the requests that wait there.

It is judged by the log alone. The log does not tell which of several requests is the best one, so
where they differ the one that is hardest to grant is assumed to be it. All times are integer
microseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import copy
from typing import NamedTuple, TypeVar

from limner.messages.events.halts import FOREVER, Halts
from limner.messages.events.record import Record
from limner.messages.limiter.reservoir import MICROSECONDS, Reservoir
from limner.messages.limiter.settings import LaneSettings

K = TypeVar("K")

UNKNOWN = "?"
"""The owner of a request whose owner is not in the log; limits per owner are not checked for it."""

FALLS = 3
"""Calls that were too much after which an adaptive limit has moved, of those that count."""

FILLS = 100
"""How often a reservoir is filled in advance before it is taken never to have enough."""


class Request(NamedTuple):
    """A request that waits, or has a slot."""

    owner: str | None
    weight: int
    at: int


class Lane:
    """One lane.

    Args:
        event: `lane_opened`.
        now: when it was made.
        further: the lane upstream, if any.
    """

    def __init__(self, event: Record, now: int, further: Lane | None) -> None:
        self.name: str = event["lane"]
        self.further = further
        self.checked_at = now
        """When the limiter last checked it, as far as the log tells."""
        self.settings = _settings(event)
        self.limit: int | None = event["max_concurrent"]
        self.halts = Halts()
        self.waiting: dict[str, Request] = {}
        self.out: dict[str, Request] = {}
        self.offer: str | None = None
        """The request that waits upstream for one of this lane."""
        self._reservoir = Reservoir(self.settings, now)
        self._weight = 0
        self._weights: Counter[int] = Counter()
        self._kinds: Counter[tuple[str | None, int]] = Counter()
        self._held: Counter[str | None] = Counter()
        self._revoking: dict[str, dict[str, int]] = {}
        self._promised: dict[str, None] = {}
        self._last: tuple[str, int] | None = None
        self._granted = self._fell_at = self._falls = 0

    def change(self, event: Record, now: int) -> None:
        """Put new settings in force."""
        self.settings = _settings(event)
        self.limit = event["max_concurrent"]
        self._falls = 0
        self._reservoir.change(self.settings, now)
        if event.get("refilled"):
            self._reservoir.left = self.settings.reservoir

    def set_reservoir(self, left: int, now: int) -> None:
        """Set what is left of the reservoir, as a host has changed it."""
        self._reservoir.fill(now)
        self._reservoir.left = left

    def move_limit(self, limit: int) -> None:
        """Apply another limit, which adapts."""
        self.limit, self._falls = limit, 0

    def overload(self, slot: str) -> Iterator[str]:
        """Count a call that was too much; yield a line if so many have not lowered the limit."""
        rule, number = self.settings.adaptive, int(slot.rpartition("#")[2])
        if rule is None or self.limit is None or number <= self._fell_at:
            return
        self._fell_at = self._granted
        self._falls += 1
        if self._falls > FALLS and self.limit > rule.minimum:
            yield f"the limit of {self.name} stays at {self.limit} after {self._falls} overloads"

    def add_request(self, name: str, request: Request) -> None:
        """Add a request that waits."""
        self.waiting[name] = request
        self._weights[request.weight] += 1
        self._kinds[request.owner, request.weight] += 1

    def end_request(self, name: str) -> Request | None:
        """Remove a request that waits, and return it; `None` if it does not wait."""
        request = self.waiting.pop(name, None)
        if request is not None:
            _less(self._weights, request.weight)
            _less(self._kinds, (request.owner, request.weight))
            self._revoking.pop(name, None)
            self._promised.pop(name, None)
        return request

    def grant(self, slot: str, request: Request, now: int) -> Iterator[str]:
        """Count a slot as out, and yield a line for each limit that does not allow it."""
        least = self.halts.until(now)
        if now < least:
            yield f"{slot} is granted while its lane is {self.halts.why(now) or 'halted'}"
        if request.owner != UNKNOWN and self._is_full_here(request.owner):
            yield f"{slot} is granted to {request.owner}, who may have no more in its lane"
        self._reservoir.fill(now)
        if self._reservoir.left is not None:
            if request.weight > self._reservoir.left:
                yield f"{slot} takes {request.weight} of a reservoir with {self._reservoir.left}"
            self._reservoir.left -= request.weight
        self.out[slot] = request
        self._weight += request.weight
        self._held[request.owner] += 1
        self._last = slot, now
        number = slot.rpartition("#")[2]
        self._granted = int(number) if number.isdecimal() else self._granted

    def end_slot(self, slot: str) -> Request | None:
        """Count a slot as returned, and return its request; `None` if it is not out."""
        request = self.out.pop(slot, None)
        if request is None:
            return None
        self._weight -= request.weight
        _less(self._held, request.owner)
        for wanted, slots in tuple(self._revoking.items()):
            if slots.pop(slot, None) is not None and not slots:
                del self._revoking[wanted]
                self._promised[wanted] = None
        return request

    def revoke(self, slot: str, wanted: str) -> None:
        """Record that a slot was revoked for a request."""
        request = self.out.get(slot)
        if request is not None and wanted in self.waiting:
            self._revoking.setdefault(wanted, {})[slot] = request.weight

    def is_full(self, owner: str | None) -> bool:
        """Return whether an owner may have no more slots, here or upstream."""
        if self._is_full_here(owner):
            return True
        return self.further is not None and self.further.is_full(owner)

    def _is_full_here(self, owner: str | None) -> bool:
        most = self.settings.max_per_owner
        if most is None or owner is None:
            return False
        return owner == UNKNOWN or self._held[owner] >= most

    def free_at(self, now: int) -> int | None:
        """Return when a request has to be granted if only time passes; `None` for never.

        If there is a lane upstream, the request has to be offered there by then.
        """
        heaviest = self._heaviest()
        if heaviest is None or self.offer is not None or self.has_budgets:
            return None
        most = self.limit
        if most is not None and self._weight + heaviest > most:
            return None
        at = self.halts.until(now)
        if at == FOREVER:
            return None
        if self._last is not None:
            slot, granted = self._last
            if self.halts.circuit == "half-open" and slot in self.out:
                return None
            at = max(at, granted + round(self.settings.min_time * MICROSECONDS))
        return self._filled_at(int(at), heaviest)

    @property
    def has_budgets(self) -> bool:
        """Whether grants depend on what calls cost, here or upstream; requests do not tell."""
        further = self.further
        return bool(self.settings.budgets) or (further is not None and further.has_budgets)

    def dropped_at(self, now: int) -> int | None:
        """Return when the oldest request has to be dropped; `None` if there is no limit."""
        limit = self.max_wait
        if limit is None or not self.waiting:
            return None
        oldest = next(iter(self.waiting.values()))
        return max(now, oldest.at + round(limit * MICROSECONDS))

    @property
    def max_wait(self) -> float | None:
        """The seconds that a request may wait here and upstream, whichever is less."""
        further = None if self.further is None else self.further.max_wait
        limits = [limit for limit in (self.settings.max_wait, further) if limit is not None]
        return min(limits, default=None)

    @property
    def counts_owners(self) -> bool:
        """Whether the slots of an owner are limited, here or upstream."""
        further = self.further
        return self.settings.max_per_owner is not None or (
            further is not None and further.counts_owners
        )

    def _heaviest(self) -> int | None:
        """Return the weight that the best request may need; `None` if none may have a slot."""
        promised = [self.waiting[name] for name in self._promised]
        promised = [request for request in promised if not self.is_full(request.owner)]
        if promised:
            return max(request.weight for request in promised)
        weights = set(self._weights)
        if self.counts_owners:
            weights = {weight for owner, weight in self._kinds if not self.is_full(owner)}
            if weights:  # a request of an unknown owner may be the best, or not
                weights |= {weight for owner, weight in self._kinds if owner == UNKNOWN}
        if not weights:
            return None
        # the weight of slots that came back so far for requests that wait for more
        kept = 0
        for name, slots in self._revoking.items():
            wanted = self.waiting[name]
            if not self.is_full(wanted.owner):
                kept += max(0, wanted.weight - sum(slots.values()))
        return max(weights) + kept

    def _filled_at(self, at: int, weight: int) -> int | None:
        if self._reservoir.left is None:
            return at
        reservoir = copy(self._reservoir)
        reservoir.fill(at)
        for _ in range(FILLS):
            if reservoir.left is None or reservoir.left >= weight:
                return at
            if reservoir.due is None:
                return None
            at = reservoir.due
            reservoir.fill(at)
        return None


def _less(counts: Counter[K], key: K) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]


def _settings(event: Record) -> LaneSettings:
    fields = {name: event[name] for name in LaneSettings.model_fields if name in event}
    fields["max_concurrent"] = event.get("adaptive", fields["max_concurrent"])
    return LaneSettings(**fields)
