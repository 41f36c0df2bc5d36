"""A lane in front of a back end that bears so many calls at one time, in virtual time.

There is always a request that waits. A call takes a drawn time. What is beyond the capacity is
answered as the `kind` says:

- `refuses`: with status 429, after 20 ms.
- `slows`: it shares what there is, so that all calls take longer (processor sharing).
- `stalls`: as `slows`, and calls that take longer than three times the mean have timed out.
"""

import random
from heapq import heappop, heappush
from itertools import count

from limner.messages.limiter.lane import Lane
from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.settings import LaneSettings

SECOND = 1_000_000
STEP = 20_000
"""Microseconds of a step, in which what is shared is handed out."""


class BoundedBackend:
    """Runs a lane against a back end, and records its limit and what succeeded."""

    def __init__(self, settings, kind, seed, *, spread=0.3):
        values = {"lease": 86_400, "circuit_failures": 1_000, "ageing": None, **settings}
        self.lane = Lane("image", LaneSettings(**values))
        self.kind = kind
        self.draw = random.Random(seed)
        self.spread = spread
        self.names = count()
        self.now = 0
        self.ends = []  # of calls that were refused
        self.calls = {}  # of each slot: what is left of it, and its deadline
        self.succeeded = []  # when each success was
        self.limits = [(0, self.lane.limit)]

    def request(self):
        request = RequestSlot(
            request_id=f"r{next(self.names)}",
            session_id=None,
            message_id=None,
            task_id="t",
            reply_to=None,
        )
        granted, dropped = self.lane.request(request, self.now)
        assert not dropped
        self.begin(granted)

    def begin(self, granted):
        for slot in granted:
            if self.kind == "refuses" and len(self.calls) >= self.capacity:
                heappush(self.ends, (self.now + STEP, slot.number, slot.id))
            else:
                work = max(0.1, self.draw.gauss(1, self.spread)) * SECOND
                self.calls[slot.id] = [work, self.now + 3 * SECOND]

    def end(self, slot_id, *, failed=False):
        slot = self.lane.release(slot_id)
        self.lane.record_outcome(slot, failed, self.now, overloaded=failed)
        if not failed:
            self.succeeded.append(self.now)
        if self.lane.limit != self.limits[-1][1]:
            self.limits.append((self.now, self.lane.limit))
        self.begin(self.lane.grant_ready(self.now))
        self.fill()

    def fill(self):
        while self.lane.waiting < 3:
            self.request()

    def run(self, seconds, capacity):
        """Advance the time by so many seconds, with a capacity."""
        self.capacity = capacity
        self.fill()
        until = self.now + seconds * SECOND
        while self.now < until:
            self.now += STEP
            while self.ends and self.ends[0][0] <= self.now:
                self.end(heappop(self.ends)[2], failed=True)
            share = STEP * min(1.0, capacity / max(1, len(self.calls)))
            if self.kind == "refuses":
                share = STEP
            over, late = [], []
            for slot_id, call in self.calls.items():
                call[0] -= share
                if call[0] <= 0:
                    over.append(slot_id)
                elif self.kind == "stalls" and call[1] <= self.now:
                    late.append(slot_id)
            for slot_id in over + late:
                del self.calls[slot_id]
            for slot_id in over:
                self.end(slot_id)
            for slot_id in late:
                self.end(slot_id, failed=True)

    def throughput(self, since, until):
        """Return the successes a second in an interval, in seconds."""
        times = [time for time in self.succeeded if since * SECOND < time <= until * SECOND]
        return len(times) / (until - since)

    def limits_in(self, since, until):
        """Return the limits that were in force in an interval, in seconds."""
        before = [limit for time, limit in self.limits if time <= since * SECOND]
        within = [limit for time, limit in self.limits if since * SECOND < time <= until * SECOND]
        return [before[-1], *within]
