"""The audit of lanes: I3, I4, I5 and I7."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from limner.messages.events.findings import PROOF, Recent, Uncheckable, Violations, needed_id, show
from limner.messages.events.record import Record, micros


@dataclass(slots=True)
class Lane:
    """A lane: what is in force, since which event, and what is out."""

    name: str
    since: int = 0
    known: bool = False
    max_concurrent: int | None = None
    min_time: int = 0
    bounds: tuple[int, int] | None = None
    last_grant: tuple[int, int] | None = None
    weight: int = 0
    out: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Slot:
    """A slot that is out."""

    lane: str
    weight: int
    granted: int


class LaneRules:
    """I3, I4, I5 and I7: the limits at each grant, one end for each request and slot."""

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.doubt = False
        self.unchecked = 0
        self.lanes: dict[str, Lane] = {}
        self.requests: dict[str, tuple[str, int]] = {}
        self.slots: dict[str, Slot] = {}
        self.doubted_requests: Recent[tuple[str, int]] = Recent()
        self.doubted_slots: Recent[Slot] = Recent()
        self.ended_requests: Recent[int] = Recent()
        self.ended_slots: Recent[int] = Recent()
        self.checks: dict[str, Callable[[Record, int], None]] = {
            "lane_opened": self.lane_set,
            "lane_updated": self.lane_set,
            "limit_changed": self.limit_changed,
            "lane_dropped": self.lane_dropped,
            "slot_requested": self.slot_requested,
            "slot_granted": self.slot_granted,
            "request_dropped": self.request_ended,
            "request_withdrawn": self.request_ended,
            "slot_released": self.slot_ended,
            "slot_revoked": self.slot_ended,
            "slot_expired": self.slot_ended,
            "generation_started": self.generation_started,
        }

    def assume_missing(self) -> None:
        """Assume that events may be missing up to now: limits, grants, ends."""
        self.doubt = True
        for name, request in self.requests.items():
            self.doubted_requests[name] = request
        for name, slot in self.slots.items():
            self.doubted_slots[name] = slot
        self.requests.clear()
        self.slots.clear()
        for lane in self.lanes.values():
            lane.known = False
            lane.weight = 0
            lane.out.clear()

    def lane_set(self, event: Record, seq: int) -> None:
        """Store the limits that are in force from now on."""
        name = needed_id(event, "lane", "I3")
        lane = self.lanes.setdefault(name, Lane(name))
        most, least = event.get("max_concurrent", ""), event.get("min_time")
        lane.since, lane.known = seq, False
        if most is not None and (type(most) is not int or most < 0):
            raise Uncheckable("I3", "max_concurrent")
        if not isinstance(least, int | float) or isinstance(least, bool) or not 0 <= least < 1e9:
            raise Uncheckable("I4", "min_time")
        lane.known, lane.max_concurrent, lane.min_time = True, most, round(least * 1_000_000)
        lane.bounds = _bounds_of(event)

    def limit_changed(self, event: Record, seq: int) -> None:
        """Check that the limit moves from where it was, within its bounds, and store it."""
        name = needed_id(event, "lane", "I3")
        lane = self.lanes.get(name)
        if lane is None:
            return
        most = event.get("max_concurrent")
        if type(most) is not int or most < 0:
            lane.known = False
            raise Uncheckable("I3", "max_concurrent")
        if lane.known and event.get("before") != lane.max_concurrent:
            what = f"the limit of lane {show(name)} moves from another one than was in force"
            self.violations.add("I3", what, lane.since, seq)
        if lane.known and (lane.bounds is None or not lane.bounds[0] <= most <= lane.bounds[1]):
            what = f"the limit of lane {show(name)} moves to {most:,}, out of its bounds"
            self.violations.add("I3", what, lane.since, seq)
        lane.since, lane.max_concurrent = seq, most

    def lane_dropped(self, event: Record, seq: int) -> None:
        """Check that nothing of a dropped lane matters if it is opened again, and forget it.

        So nothing is out, and the next grant could have been at once; a host may drop one earlier.
        """
        lane = self.lanes.get(needed_id(event, "lane", "I5"))
        if lane is None:
            return
        for name, granted in lane.out.items():
            what = f"slot {show(name)} is out when its lane is dropped"
            self.violations.add("I5", what, granted, seq)
        last = None if event.get("by") == "host" else lane.last_grant
        if lane.known and last is not None and micros(event) - last[0] < lane.min_time:
            what = (
                f"lane {show(lane.name)} is dropped {micros(event) - last[0]:,} µs after a grant,"
                f" not {lane.min_time:,}"
            )
            self.violations.add("I4", what, lane.since, last[1], seq)
        if lane.out:
            lane.known = False  # what is out of it may still come back
        else:
            del self.lanes[lane.name]

    def slot_requested(self, event: Record, seq: int) -> None:
        """Add a request that waits."""
        name = needed_id(event, "request_id", "I5")
        before = self.requests.get(name) or self.doubted_requests.get(name)
        ended = self.ended_requests.get(name)
        if before is not None:
            self.violations.add("I5", f"request {show(name)} is made twice", before[1], seq)
        elif ended is not None:
            self.violations.add(
                "I5", f"request {show(name)} is made again after its end", ended, seq
            )
        self.requests[name] = (needed_id(event, "lane", "I5"), seq)

    def request_ended(self, event: Record, seq: int) -> None:
        """Check that a request waited in its lane, and remove it."""
        name = needed_id(event, "request_id", "I5")
        request = self.requests.pop(name, None) or self.doubted_requests.pop(name)
        if request is not None:
            if request[0] != event.get("lane"):
                what = f"{show(event['event'])} of request {show(name)} in another lane"
                self.violations.add("I5", what, request[1], seq)
        elif (ended := self.ended_requests.get(name)) is not None:
            what = f"{show(event['event'])} of request {show(name)}, which has ended"
            self.violations.add("I5", what, ended, seq)
        elif not self.doubt:
            what = f"{show(event['event'])} of request {show(name)}, which does not wait"
            self.violations.add("I5", what, seq)
        self.ended_requests[name] = seq

    def slot_granted(self, event: Record, seq: int) -> None:
        """End the request, check the limits, and add the slot."""
        self.request_ended(event, seq)
        name = needed_id(event, "slot_id", "I5")
        before = self.slots.get(name)
        if before is not None:
            self.violations.add("I5", f"slot {show(name)} is granted twice", before.granted, seq)
            return
        where = needed_id(event, "lane", "I3")
        weight = event.get("weight")
        usable = weight if type(weight) is int and weight >= 1 else 0
        self.slots[name] = Slot(where, usable, seq)
        lane = self.lanes.get(where)
        if lane is None:
            lane = self.lanes[where] = Lane(where)
            if not self.doubt:
                self.violations.add(
                    "I3", f"a grant in lane {show(where)}, which was not opened", seq
                )
        lane.out[name] = seq
        if not usable:
            raise Uncheckable("I3", "weight")
        lane.weight += usable
        now, last = micros(event), lane.last_grant
        lane.last_grant = (now, seq)
        if not lane.known:
            self.unchecked += 1
            return
        if lane.max_concurrent is not None and lane.weight > lane.max_concurrent:
            self.violations.add(
                "I3",
                f"{lane.weight:,} out in lane {show(where)}, of {lane.max_concurrent:,}",
                lane.since,
                *islice(lane.out.values(), PROOF - 2),
                seq,
            )
        if last is not None and now - last[0] < lane.min_time:
            what = (
                f"a grant in lane {show(where)} {now - last[0]:,} µs after the one before,"
                f" not {lane.min_time:,}"
            )
            self.violations.add("I4", what, lane.since, last[1], seq)

    def slot_ended(self, event: Record, seq: int) -> None:
        """Check that a slot was out in its lane, and remove it."""
        name = needed_id(event, "slot_id", "I5")
        slot = self.slots.pop(name, None)
        if slot is not None:
            lane = self.lanes[slot.lane]
            del lane.out[name]
            lane.weight -= slot.weight
        else:
            slot = self.doubted_slots.pop(name)
        if slot is not None:
            if slot.lane != event.get("lane"):
                what = f"{show(event['event'])} of slot {show(name)} in another lane"
                self.violations.add("I5", what, slot.granted, seq)
        elif (ended := self.ended_slots.get(name)) is not None:
            what = f"{show(event['event'])} of slot {show(name)}, which has ended"
            self.violations.add("I5", what, ended, seq)
        elif not self.doubt:
            what = f"{show(event['event'])} of slot {show(name)}, which is not out"
            self.violations.add("I5", what, seq)
        self.ended_slots[name] = seq

    def generation_started(self, event: Record, seq: int) -> None:
        """Check that a generation has a slot."""
        name = needed_id(event, "slot_id", "I7")
        if name in self.slots:
            return
        ended = self.ended_slots.get(name)
        if ended is not None:
            what = f"a generation starts on slot {show(name)}, which has ended"
            self.violations.add("I7", what, ended, seq)
        elif not self.doubt:
            what = f"a generation starts on slot {show(name)}, which is not out"
            self.violations.add("I7", what, seq)

    def close(self, closed: int) -> None:
        """Check that nothing is out and nothing waits, as the studio has closed."""
        for name, (_, requested) in self.requests.items():
            what = f"request {show(name)} waits when the studio has closed"
            self.violations.add("I5", what, requested, closed)
        for name, slot in self.slots.items():
            what = f"slot {show(name)} is out when the studio has closed"
            self.violations.add("I5", what, slot.granted, closed)
        self.doubted_requests, self.doubted_slots = Recent(), Recent()

    def end(self) -> tuple[int, int]:
        """Return how many slots and requests are open at the end of a run."""
        return (
            len(self.slots) + len(self.doubted_slots),
            len(self.requests) + len(self.doubted_requests),
        )


def _bounds_of(event: Record) -> tuple[int, int] | None:
    """Return the bounds of an adaptive limit; `None` if it is fixed, or they cannot be read."""
    rule = event.get("adaptive")
    if not isinstance(rule, dict):
        return None
    least, most = rule.get("minimum"), rule.get("maximum")
    return (least, most) if type(least) is int and type(most) is int else None
