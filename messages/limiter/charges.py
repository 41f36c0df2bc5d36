"""What calls have taken of budgets, so that it can be settled while they run and after they end.

No clock: `now` is passed in, in microseconds.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from limner.messages.limiter.protocol import RequestSlot

if TYPE_CHECKING:
    from limner.messages.limiter.lane import Lane
    from limner.messages.limiter.leases import Slot

MAX_ENDED = 10_000
"""Calls that have ended and can still be settled, at most; the oldest is forgotten."""


class Charge(NamedTuple):
    """A slot that has taken of its lane's budgets, or may yet."""

    lane: Lane
    slot: Slot


def charged_to(request: RequestSlot) -> str:
    """Return the name of a request's charges: that of a host's call, which may be tried again."""
    return request.task_id if request.session_id is None else request.request_id


class Charges:
    """The charges of calls, by name, of the last try of each. It is mutable; a `LaneChain` owns it.

    A call may be settled any number of times, and the last one counts: so one that is told twice
    changes nothing. It may be settled after its end too, until the longest span of time of its
    budgets is over, counted from the end. A call that is never settled keeps its estimate.

    Attributes:
        running: the charges of calls that run, by name.
    """

    __slots__ = ("_ended", "running")

    def __init__(self) -> None:
        self.running: dict[str, list[Charge]] = {}
        self._ended: OrderedDict[str, tuple[int, list[Charge]]] = OrderedDict()

    def add(self, name: str, lane: Lane, slot: Slot) -> None:
        """Add a slot that a request was granted, its own one or one upstream."""
        self.running.setdefault(name, []).append(Charge(lane, slot))
        self._ended.pop(name, None)

    def of(self, name: str, now: int) -> list[Charge]:
        """Return the charges of a request; none if it has none, or they are over."""
        running = self.running.get(name)
        if running is not None:
            return running
        until, ended = self._ended.get(name, (now, []))
        return ended if now < until else []

    def end(self, name: str, now: int) -> None:
        """Keep the charges of a call that has ended for as long as they may be settled."""
        charges = self.running.pop(name, None)
        if charges is None:
            return
        budgets = [budget for lane, _ in charges for budget in lane.settings.budgets.values()]
        longest = max((budget.micros for budget in budgets), default=0)
        self._ended[name] = now + longest, charges
        while self._ended:
            first = next(iter(self._ended))
            if len(self._ended) <= MAX_ENDED and now < self._ended[first][0]:
                break
            del self._ended[first]
