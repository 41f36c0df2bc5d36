"""What the requests of all messages wait behind, as the story of one of them needs it."""

from __future__ import annotations

from dataclasses import dataclass

from limner.messages.events.halts import Halts
from limner.messages.events.record import Record, micros, stands_for
from limner.messages.unicode import shown
from limner.scripts.inspect.measures import text

REQUEST_ENDS = frozenset(["slot_granted", "request_dropped", "request_withdrawn"])
SLOT_ENDS = frozenset(["slot_released", "slot_revoked", "slot_expired"])


@dataclass(slots=True)
class Waiting:
    """A request that waits.

    Args:
        lane: where.
        priority: of it.
        since: when it was made, in microseconds.
        ahead: how many waited that go before it.
        halted: for how long its lane had granted nothing before.
    """

    lane: str
    priority: int
    since: int
    ahead: int = 0
    halted: int = 0


class Lane:
    """A lane: its limit, what waits by priority, how many slots are out."""

    __slots__ = ("ahead", "halts", "limit", "used")

    def __init__(self) -> None:
        self.limit = "?"
        self.ahead: dict[int, int] = {}
        self.used = 0
        self.halts = Halts()


class Limits:
    """What waits and what is out in each lane, of all messages: what one request stands behind."""

    def __init__(self) -> None:
        self.waiting: dict[str, Waiting] = {}
        self.out: dict[str, str] = {}
        self.lanes: dict[str, Lane] = {}

    def take(self, event: Record) -> Waiting | None:
        """Add an event, and return the request that it ends, if any."""
        name = event["event"]
        if name == "slot_requested":
            self._requested(event)
        elif name in REQUEST_ENDS:
            return self._ended(event, granted=name == "slot_granted")
        elif name in SLOT_ENDS:
            lane = self.lanes.get(self.out.pop(text(event, "slot_id"), ""))
            if lane is not None:
                lane.used -= 1
        elif name == "lane_dropped":
            known = self.lanes.get(text(event, "lane"))
            if known is not None and not known.used:
                del self.lanes[text(event, "lane")]
        elif name.startswith(("lane_", "circuit_", "limit_")):
            lane = self._lane(text(event, "lane"))
            lane.halts.take(event, micros(event))
            if name in {"lane_opened", "lane_updated", "limit_changed"}:
                most = event.get("max_concurrent")
                lane.limit = f"{most:,}" if type(most) is int else "no limit"
        return None

    def before(self, request: str) -> str:
        """Return what a request waits behind, in words."""
        waits = self.waiting.get(request)
        if waits is None:
            return ""
        behind = f"behind {waits.ahead:,} other{'' if waits.ahead == 1 else 's'}, "
        lane = self._lane(waits.lane)
        state = lane.halts.why(waits.since)
        halted = f", and it is {state}" if state else ""
        return f"{behind if waits.ahead else ''}{lane.used:,} of {lane.limit} out{halted}"

    def halted(self, waits: Waiting, now: int) -> int:
        """Return for how many microseconds a request's lane granted nothing while it waited."""
        return self._lane(waits.lane).halts.spent(now) - waits.halted

    def inner(self, event: Record) -> str:
        """Return the name of the lane whose request is offered upstream; empty if unknown."""
        waits = self.waiting.get(stands_for(event) or "")
        return "" if waits is None else shown(waits.lane, 30)

    def _lane(self, name: str) -> Lane:
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = Lane()
        return lane

    def _requested(self, event: Record) -> None:
        priority = event.get("priority")
        priority = priority if type(priority) is int and 0 <= priority <= 9 else 3
        name, now = text(event, "lane"), micros(event)
        lane = self._lane(name)
        ahead = sum(number for level, number in lane.ahead.items() if level <= priority)
        lane.ahead[priority] = lane.ahead.get(priority, 0) + 1
        waits = Waiting(name, priority, now, ahead, lane.halts.spent(now))
        self.waiting[text(event, "request_id")] = waits

    def _ended(self, event: Record, *, granted: bool) -> Waiting | None:
        waits = self.waiting.pop(text(event, "request_id"), None)
        if waits is not None:
            ahead = self._lane(waits.lane).ahead
            ahead[waits.priority] = max(0, ahead.get(waits.priority, 0) - 1)
        slot, lane = text(event, "slot_id"), text(event, "lane")
        if granted and slot not in self.out:
            self.out[slot] = lane
            self._lane(lane).used += 1
        return waits
