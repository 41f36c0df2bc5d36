"""The scheduler alone: cycles a second, and their cost as more requests wait."""

import gc
import math
import statistics
import time
import tracemalloc
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice
from typing import Any

from limner.messages.base import Value
from limner.messages.limiter.lane import Lane
from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.settings import LaneSettings
from limner.scripts.bench.workload import BenchFailed

STEP = 1_000
"""Microseconds between two requests, by the lane's clock.

With a million requests in the queue the oldest have waited longer than `ageing`.
"""

BATCH = 1_000
"""Cycles that are timed together."""

NOBODY: Any = None


class Owners(StrEnum):
    """The owners of requests."""

    ONE = "one owner"
    SEVEN = "seven owners"
    EACH = "each its own owner"


class Cycles(Value):
    """The speed of the scheduler; one request, one grant and one release are a cycle."""

    waiting: int
    owners: Owners
    per_second: float

    @property
    def name(self) -> str:
        """Its name in the report."""
        return f"{self.waiting:,} waiting, {self.owners}" if self.waiting else "uncontended"


class Growth(Value):
    """The cost of a number of waiting requests.

    Args:
        waiting: the number of requests.
        owners: of the requests.
        request_bytes: memory of one waiting request, in all.
        lane_bytes: the part of it that is the lane's, without the message itself.
        micros: microseconds of one cycle; the median of batches.
    """

    waiting: int
    owners: Owners
    request_bytes: float
    lane_bytes: float
    micros: float

    @property
    def name(self) -> str:
        """Its name in the report."""
        return f"{self.waiting:,}, {self.owners}"


def requests(owners: Owners) -> Iterator[RequestSlot]:
    """Yield requests of all priorities in turn, without end."""
    number = 0
    while True:
        owner = {
            Owners.ONE: "owner",
            Owners.SEVEN: f"owner-{number % 7}",
            Owners.EACH: f"owner-{number}",
        }[owners]
        yield RequestSlot(
            request_id=f"request-{number}",
            session_id="session",
            message_id="message",
            task_id=f"task-{number}",
            owner=owner,
            priority=number % 10,
            reply_to=NOBODY,
        )
        number += 1


class BusyLane:
    """A lane of three slots in which a fixed number of requests waits."""

    def __init__(self) -> None:
        self.lane = Lane("image", LaneSettings(max_concurrent=3))
        self.out: deque[str] = deque()  # ids of slots
        self.now = 0

    def fill(self, incoming: list[RequestSlot]) -> None:
        """Add requests, of which the first take all slots and the rest waits."""
        for request in incoming:
            self.now += STEP
            self.out.extend(slot.id for slot in self.lane.request(request, self.now).granted)

    def cycle(self, incoming: list[RequestSlot]) -> float:
        """For each request release a slot and grant one; return the seconds that it took.

        Raises:
            BenchFailed: if a slot was not granted.
        """
        lane, out, now = self.lane, self.out, self.now
        before = len(out), lane.waiting
        began = time.perf_counter()
        for request in incoming:
            now += STEP
            for slot in lane.request(request, now).granted:
                out.append(slot.id)  # as the actor does, one by one
            lane.release(out.popleft())
            for slot in lane.grant_ready(now):
                out.append(slot.id)
        seconds = time.perf_counter() - began
        self.now = now
        if (len(out), lane.waiting) != before:
            raise BenchFailed(f"{lane.waiting} wait and {len(out)} are out, where {before} were")
        return seconds


def cycles(waiting: int, owners: Owners, number: int) -> Cycles:
    """Measure cycles while requests wait; if none do, each request is granted at once."""
    lane, source = BusyLane(), requests(owners)
    lane.fill(list(islice(source, waiting + 3 if waiting else 0)))
    lane.cycle(list(islice(source, BATCH)))
    incoming = list(islice(source, number))
    return Cycles(waiting=waiting, owners=owners, per_second=number / lane.cycle(incoming))


def growth(waiting: int, owners: Owners, number: int) -> Growth:
    """Measure memory by tracemalloc while requests wait, then cycles without tracemalloc."""
    lane, source = BusyLane(), requests(owners)
    tracemalloc.start()
    try:
        incoming = list(islice(source, waiting + 3))
        messages, _ = tracemalloc.get_traced_memory()
        lane.fill(incoming)
        whole, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    incoming.clear()
    lane.cycle(list(islice(source, BATCH)))
    seconds = []
    for _ in range(max(1, number // BATCH)):
        incoming = list(islice(source, BATCH))
        gc.collect(0)
        seconds.append(lane.cycle(incoming))
    return Growth(
        waiting=waiting,
        owners=owners,
        request_bytes=whole / waiting,
        lane_bytes=(whole - messages) / waiting,
        micros=statistics.median(seconds) / BATCH * 1_000_000,
    )


def times_the_logarithm(found: list[Growth]) -> float | None:
    """Return how many times as fast as the logarithm the cost of a cycle grew, at most."""
    least = min(found, key=lambda growth: growth.waiting, default=None)
    if least is None:
        return None
    grown = [
        growth.micros / least.micros * math.log(least.waiting) / math.log(growth.waiting)
        for growth in found
        if growth.waiting > least.waiting
    ]
    return max(grown, default=None)
