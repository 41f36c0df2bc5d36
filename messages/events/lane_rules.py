"""The audit of lanes: I3, I4, I5 and I7."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from limner.messages.events.findings import PROOF, Found, Recent, Uncheckable, call, text
from limner.messages.events.record import Record, micros


@dataclass(slots=True)
class Lane:
    """A lane: what is in force, since which event, and what is out."""

    name: str
    since: int = 0
    known: bool = False
    max_concurrent: int | None = None
    min_time: int = 0
    last_grant: tuple[int, int] | None = None
    weight: int = 0
    out: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Slot:
    """A slot that is out."""

    lane: str
    weight: int
    granted: int


class Lanes:
    """I3, I4, I5 and I7: the limits at each grant, one end for each request and slot."""

    def __init__(self, found: Found) -> None:
        self.found = found
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

    def lose(self) -> None:
        """Take it that events may be missing up to now: limits, grants, ends."""
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
        """Take what is in force from now on."""
        name = text(event, "lane", "I3")
        lane = self.lanes.setdefault(name, Lane(name))
        most, least = event.get("max_concurrent", ""), event.get("min_time")
        lane.since, lane.known = seq, False
        if most is not None and (type(most) is not int or most < 0):
            raise Uncheckable("I3", "max_concurrent")
        if not isinstance(least, int | float) or isinstance(least, bool) or not 0 <= least < 1e9:
            raise Uncheckable("I4", "min_time")
        lane.known, lane.max_concurrent, lane.min_time = True, most, round(least * 1_000_000)

    def lane_dropped(self, event: Record, seq: int) -> None:
        """Forget a lane that was idle; it may be opened again, and nothing of it must matter then.

        So nothing is out, and the next grant could have been at once.
        """
        lane = self.lanes.get(text(event, "lane", "I5"))
        if lane is None:
            return
        for name, granted in lane.out.items():
            what = f"slot {call(name)} is out when its lane is dropped"
            self.found.say("I5", what, granted, seq)
        last = lane.last_grant
        if lane.known and last is not None and micros(event) - last[0] < lane.min_time:
            what = (
                f"lane {call(lane.name)} is dropped {micros(event) - last[0]:,} µs after a grant,"
                f" not {lane.min_time:,}"
            )
            self.found.say("I4", what, lane.since, last[1], seq)
        if lane.out:
            lane.known = False  # what is out of it may still come back
        else:
            del self.lanes[lane.name]

    def slot_requested(self, event: Record, seq: int) -> None:
        """Take a request that waits."""
        name = text(event, "request_id", "I5")
        before = self.requests.get(name) or self.doubted_requests.get(name)
        ended = self.ended_requests.get(name)
        if before is not None:
            self.found.say("I5", f"request {call(name)} is made twice", before[1], seq)
        elif ended is not None:
            self.found.say("I5", f"request {call(name)} is made again after its end", ended, seq)
        self.requests[name] = (text(event, "lane", "I5"), seq)

    def request_ended(self, event: Record, seq: int) -> None:
        """See that a request waited, in its lane, and take it out."""
        name = text(event, "request_id", "I5")
        request = self.requests.pop(name, None) or self.doubted_requests.pop(name)
        if request is not None:
            if request[0] != event.get("lane"):
                what = f"{call(event['event'])} of request {call(name)} in another lane"
                self.found.say("I5", what, request[1], seq)
        elif (ended := self.ended_requests.get(name)) is not None:
            what = f"{call(event['event'])} of request {call(name)}, which has ended"
            self.found.say("I5", what, ended, seq)
        elif not self.doubt:
            what = f"{call(event['event'])} of request {call(name)}, which does not wait"
            self.found.say("I5", what, seq)
        self.ended_requests[name] = seq

    def slot_granted(self, event: Record, seq: int) -> None:
        """End the request; see that the limits hold; take the slot as out."""
        self.request_ended(event, seq)
        name = text(event, "slot_id", "I5")
        before = self.slots.get(name)
        if before is not None:
            self.found.say("I5", f"slot {call(name)} is granted twice", before.granted, seq)
            return
        where = text(event, "lane", "I3")
        weight = event.get("weight")
        usable = weight if type(weight) is int and weight >= 1 else 0
        self.slots[name] = Slot(where, usable, seq)
        lane = self.lanes.get(where)
        if lane is None:
            lane = self.lanes[where] = Lane(where)
            if not self.doubt:
                self.found.say("I3", f"a grant in lane {call(where)}, which was not opened", seq)
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
            self.found.say(
                "I3",
                f"{lane.weight:,} out in lane {call(where)}, of {lane.max_concurrent:,}",
                lane.since,
                *islice(lane.out.values(), PROOF - 2),
                seq,
            )
        if last is not None and now - last[0] < lane.min_time:
            what = (
                f"a grant in lane {call(where)} {now - last[0]:,} µs after the one before,"
                f" not {lane.min_time:,}"
            )
            self.found.say("I4", what, lane.since, last[1], seq)

    def slot_ended(self, event: Record, seq: int) -> None:
        """See that a slot was out, in its lane, and take it back."""
        name = text(event, "slot_id", "I5")
        slot = self.slots.pop(name, None)
        if slot is not None:
            lane = self.lanes[slot.lane]
            del lane.out[name]
            lane.weight -= slot.weight
        else:
            slot = self.doubted_slots.pop(name)
        if slot is not None:
            if slot.lane != event.get("lane"):
                what = f"{call(event['event'])} of slot {call(name)} in another lane"
                self.found.say("I5", what, slot.granted, seq)
        elif (ended := self.ended_slots.get(name)) is not None:
            what = f"{call(event['event'])} of slot {call(name)}, which has ended"
            self.found.say("I5", what, ended, seq)
        elif not self.doubt:
            what = f"{call(event['event'])} of slot {call(name)}, which is not out"
            self.found.say("I5", what, seq)
        self.ended_slots[name] = seq

    def generation_started(self, event: Record, seq: int) -> None:
        """See that a generation has a slot."""
        name = text(event, "slot_id", "I7")
        if name in self.slots:
            return
        ended = self.ended_slots.get(name)
        if ended is not None:
            what = f"a generation starts on slot {call(name)}, which has ended"
            self.found.say("I7", what, ended, seq)
        elif not self.doubt:
            what = f"a generation starts on slot {call(name)}, which is not out"
            self.found.say("I7", what, seq)

    def close(self, closed: int) -> None:
        """See that nothing is out and nothing waits, as the studio has closed."""
        for name, (_, requested) in self.requests.items():
            what = f"request {call(name)} waits when the studio has closed"
            self.found.say("I5", what, requested, closed)
        for name, slot in self.slots.items():
            what = f"slot {call(name)} is out when the studio has closed"
            self.found.say("I5", what, slot.granted, closed)
        self.doubted_requests, self.doubted_slots = Recent(), Recent()

    def end(self) -> tuple[int, int]:
        """Count the slots and the requests that are open at the end of a run."""
        return (
            len(self.slots) + len(self.doubted_slots),
            len(self.requests) + len(self.doubted_requests),
        )
