"""Lanes in a state that was drawn: some of them full, spent, paused, blocked, resting or ended."""

from copy import deepcopy
from heapq import heappop, heappush
from itertools import count
from random import Random

from support.lane_model import micros
from support.laneset_model import slot_request

from limner.messages.limiter.budget import Budget
from limner.messages.limiter.lane_set import LaneSet
from limner.messages.limiter.protocol import ReleaseSlot
from limner.messages.limiter.settings import LaneSettings

CHAINS = (
    {"image": None},
    {"image": None, "a": "image"},
    {"image": None, "a": "image", "b": "image"},
    {"image": None, "a": "image", "b": "a"},
)


class DrawnLanes:
    """A set of lanes that a seed has used for a while, and the clock.

    Args:
        seed: draws all.
        steps: how many things are done to the lanes at most.
        chains: of which one is drawn: what stands behind what.
        holds: draws the seconds for which a slot is held; if not given, some slots are returned
            now and then, and some calls fail.
        bounded: whether lanes drop some of what waits.
        budgeted: whether lanes have budgets.
    """

    def __init__(self, seed, *, steps=25, chains=CHAINS, holds=None, bounded=True, budgeted=False):
        self.random, self.bounded, self.budgeted = Random(seed), bounded, budgeted
        self.holds = None if holds is None else lambda: micros(holds(self.random))
        behind = self.pick(*chains)
        self.lanes = LaneSet({name: self.settings(further) for name, further in behind.items()})
        self.names = list(behind)
        self.now, self.numbers, self.slots = 0, count(), {}
        self.due, self.returns, self.held_for = {}, [], {}
        self.ended = {}  # when each request was granted or dropped, and how
        self.done()
        for _ in range(self.random.randrange(steps)):
            self.step()

    def pick(self, *values):
        return self.random.choice(values)

    def settings(self, behind):
        pick, values = self.pick, {}
        if pick(0, 0, 1):
            values["reservoir"] = pick(0, 1, 4, 8)
            if pick(0, 1):
                values["reservoir_refresh_amount"] = pick(0, 1, 3, 6)
                values["reservoir_refresh_interval"] = pick(1, 10, 60)
            if pick(0, 1):
                values["reservoir_increase_amount"] = pick(0, 1, 3)
                values["reservoir_increase_interval"] = pick(0.5, 7, 20)
                values["reservoir_increase_maximum"] = pick(None, None, 4, 8)
        if self.budgeted:
            values["budgets"] = {
                name: Budget(
                    pick(1, 2, 5),
                    per=pick(1, 10, 45),
                    window=pick("refilling", "fixed", "sliding"),
                    each=pick("lane", "lane", "owner"),
                    default=pick(None, 1),
                )
                for name in ("requests", "tokens")
            }
        return LaneSettings(
            max_concurrent=pick(1, 2, 3, 5, None),
            min_time=pick(0, 0, 0.25, 1, 30),
            high_water=pick(None, None, 3) if self.bounded else None,
            strategy=pick("leak", "overflow", "block"),
            penalty=pick(None, 0.5, 40),
            max_per_owner=pick(None, None, 1),
            ageing=pick(None, 1, 60),
            circuit_failures=pick(1, 3),
            circuit_seconds=pick(0.5, 30),
            circuit_patience=None,
            behind=behind,
            **values,
        )

    def step(self):
        """Do one thing to the lanes, or let time go."""
        name = self.pick(*self.names)
        match self.random.randrange(12):
            case 0 | 1 | 2 | 3 | 4:
                request = self.request(name)
                self.lanes.request(request, self.now)
            case 5 | 6 if self.slots and self.holds is None:
                slot_id = self.slots.pop(self.pick(*self.slots))
                failed = self.pick(None, False, True, True)
                self.lanes.release(ReleaseSlot(slot_id=slot_id, failed=failed), self.now)
            case 7:
                self.lanes.pause(name, self.pick(None, 0.5, 20, 20), self.now)
            case 8:
                self.lanes.resume(name, self.now)
            case 9 if self.pick(0, 0, 0, 1):
                self.lanes.end(name, self.now, drop=self.pick(True, False))
            case _:
                self.advance(self.now + self.pick(1, 250_000, 1_000_000, 9_000_000))
        self.done()

    def request(self, lane, **values):
        values = {
            "owner": self.pick(None, None, "x", "y"),
            "priority": self.pick(3, 3, 7, 0),
            "weight": self.pick(1, 1, 1, 2, 4),
        } | values
        return slot_request(f"r{next(self.numbers)}", lane, **values)

    def done(self):
        """Read what has happened, as the limiter's actor does."""
        for step in self.lanes.take_steps():
            request, name = getattr(step, "request", None), step.lane.name
            if step.event == "slot_released":
                seconds = (self.now - step.slot.granted_at) / 1_000_000
                before = self.held_for.get(name, seconds)
                self.held_for[name] = before + 0.1 * (seconds - before)
            if request is None or request.stands_for is not None:
                continue
            if step.event == "slot_granted":
                self.slots[request.request_id] = step.slot.id
                if self.holds is not None:
                    slot = step.slot
                    heappush(self.returns, (self.now + self.holds(), slot.number, slot.id))
            elif step.slot is not None and step.event != "slot_asked_back":
                self.slots.pop(request.request_id, None)
            if step.event in {"slot_granted", "request_dropped"}:
                self.ended[request.request_id] = self.now, step.event
        for name in self.lanes.take_changed():
            due = self.lanes.due(name, self.now)
            if due is not None:
                self.due[name] = min(due, self.due.get(name, due))

    def advance(self, until):
        """Let time go: check each lane when it is due, and return each slot at its time."""
        while True:
            times = [*self.due.values(), *(back[0] for back in self.returns[:1])]
            at = min(times, default=until + 1)
            if at > until:
                break
            self.now = max(self.now, at)
            if self.returns and self.returns[0][0] <= self.now:
                slot_id = heappop(self.returns)[2]
                self.lanes.release(ReleaseSlot(slot_id=slot_id, failed=False), self.now)
            else:
                name = min(self.due, key=self.due.get)
                del self.due[name]
                self.lanes.check(name, self.now)
            self.done()
        self.now = until

    def granted_at(self, request, within):
        """Request a slot and let time go; return when it was granted, or how it ended else."""
        begun = self.now
        self.lanes.request(request, self.now)
        self.done()
        while request.request_id not in self.ended and self.now < begun + within:
            self.advance(self.now + micros(1))
        at, how = self.ended.get(request.request_id, (None, None))
        return at if how == "slot_granted" else how

    def emptied(self):
        """Return a copy in which nothing waits and nothing is out."""
        copied = deepcopy(self.lanes)
        copied.end_session("s", self.now)
        copied.take_steps()
        return copied

    def moments(self):
        """Return all times at which time alone may allow what it did not allow before."""
        moments = {self.now}
        for lane in self.lanes.lanes.values():
            moments |= {lane._blocked_until, lane._min_time_over_at(), lane.paused_until}
            moments.add(lane.circuit.until)
            for kind in ("refresh", "increase"):
                first = getattr(lane._reservoir, f"_{kind}_at")
                every = micros(getattr(lane.settings, f"reservoir_{kind}_interval"))
                moments |= set() if first is None else {first + n * every for n in range(70)}
        return sorted(t for t in moments if t is not None and self.now <= t < float("inf"))
