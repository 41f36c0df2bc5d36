"""What a summary says of the limiter: waits, and the use of each lane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from limner.messages.events.record import Record, stands_for
from limner.scripts.inspect.measures import KINDS, OTHERS, LaneUse, Times, count, text
from limner.scripts.inspect.words import refusal


class Slots:
    """Requests and slots; a request that is offered upstream counts once.

    Attributes:
        lanes: the use of each.
        waits: of requests, until their grant.
        calls: hosts' own calls that were granted a slot.
        drops: why requests were dropped.
        takes: what takes each event.
    """

    def __init__(self) -> None:
        self.lanes: dict[str, LaneUse] = {}
        self.waits = Times()
        self.calls: Counter[str] = Counter()
        self.drops: Counter[str] = Counter()
        self.restart()
        self.takes: dict[str, Callable[[Record, int], Any]] = {
            "lane_opened": self._lane_set,
            "lane_updated": self._lane_set,
            "limit_changed": self._lane_set,
            "lane_dropped": self._lane_dropped,
            "lane_paused": self._lane_told,
            "lane_resumed": self._lane_told,
            "lane_ending": self._lane_told,
            "circuit_open": self._lane_told,
            "circuit_half_open": self._lane_told,
            "circuit_closed": self._lane_told,
            "slot_requested": self._slot_requested,
            "slot_granted": self._slot_granted,
            "request_dropped": self._request_dropped,
            "request_withdrawn": self._request_ended,
            "slot_released": self._slot_ended,
            "slot_revoked": self._slot_ended,
            "slot_expired": self._slot_ended,
        }

    def restart(self) -> None:
        """Start with nothing open, for another run."""
        self._requests: dict[str, int] = {}
        self._out: dict[str, tuple[str, int]] = {}
        self._further: dict[str, tuple[str, int]] = {}

    def counts(self) -> dict[str, int]:
        """Return how many requests and slots are open."""
        return {"requests": len(self._requests), "slots": len(self._out)}

    def _lane_set(self, event: Record, now: int) -> None:
        name, limit = text(event, "lane"), event.get("max_concurrent")
        lane = self._lane(name, now)
        lane.pass_to(now)
        if lane is self.lanes.get(OTHERS):
            return  # there are several of them
        lane.there = True
        lane.set_limit(limit if type(limit) is int and limit >= 0 else None)
        lane.halts.take(event, now)

    def _lane_dropped(self, event: Record, now: int) -> None:
        lane = self._lane(text(event, "lane"), now)
        if lane is not self.lanes.get(OTHERS):
            lane.leave(now)

    def _lane_told(self, event: Record, now: int) -> None:
        lane = self._lane(text(event, "lane"), now)
        if lane is not self.lanes.get(OTHERS):
            lane.halts.take(event, now)

    def _lane(self, name: str, now: int) -> LaneUse:
        if name not in self.lanes and len(self.lanes) >= KINDS:
            name = OTHERS
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = LaneUse(now)
        return lane

    def _slot_requested(self, event: Record, now: int) -> None:
        if stands_for(event) is None:
            self._requests[text(event, "request_id")] = now

    def _request_ended(self, event: Record, now: int) -> int | None:
        del now
        return self._requests.pop(text(event, "request_id"), None)

    def _request_dropped(self, event: Record, now: int) -> None:
        self._request_ended(event, now)
        if stands_for(event) is None:
            count(self.drops, refusal(text(event, "reason")))

    def _slot_granted(self, event: Record, now: int) -> None:
        requested = self._request_ended(event, now)
        if requested is not None:
            self.waits.add(now - requested)
        weight, slot, name = event.get("weight"), text(event, "slot_id"), text(event, "lane")
        taken = weight if type(weight) is int and 0 < weight < 2**31 else 1
        is_own = stands_for(event) is None
        slots = self._out if is_own else self._further
        if slot not in slots:
            slots[slot] = (name, taken)
            self._change(name, taken, now)
        if is_own and "session_id" not in event:
            requests = event.get("requests")
            batch = len(requests) if isinstance(requests, list) else 0
            count(self.calls, "in batches" if batch else "one by one", number=batch or 1)

    def _slot_ended(self, event: Record, now: int) -> None:
        is_own = stands_for(event) is None
        slots = self._out if is_own else self._further
        slot = slots.pop(text(event, "slot_id"), None)
        if slot is not None:
            self._change(slot[0], -slot[1], now)

    def _change(self, name: str, weight: int, now: int) -> None:
        lane = self._lane(name, now)
        lane.pass_to(now)
        lane.change(weight)
