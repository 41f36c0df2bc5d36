"""The scheduler alone: how many cycles a second, and what they cost as more and more wait."""

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
"""Microseconds between two requests, as the lane is told them.

A request that a million others are waiting before has waited for longer than `ageing`.
"""

BATCH = 1_000
"""Cycles that are timed together."""

NOBODY: Any = None


class Owners(StrEnum):
    """Whose requests they are."""

    ONE = "one owner"
    SEVEN = "seven owners"
    EACH = "each its own owner"


class Cycles(Value):
    """How fast the scheduler is: one request, one grant and one release are a cycle."""

    waiting: int
    owners: Owners
    per_second: float

    @property
    def name(self) -> str:
        """How it is called in the report."""
        return f"{self.waiting:,} waiting, {self.owners}" if self.waiting else "uncontended"


class Growth(Value):
    """What it takes that so many wait.

    Args:
        waiting: how many requests.
        owners: whose.
        request_bytes: memory of one waiting request, in all.
        lane_bytes: how much of it is the lane's, and not the message's itself.
        micros: microseconds of one cycle; the median of batches.
    """

    waiting: int
    owners: Owners
    request_bytes: float
    lane_bytes: float
    micros: float

    @property
    def name(self) -> str:
        """How it is called in the report."""
        return f"{self.waiting:,}, {self.owners}"


def requests(owners: Owners) -> Iterator[RequestSlot]:
    """Give requests of all priorities in turn, without end."""
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


class Course:
    """A lane of three slots in which a fixed number of requests waits."""

    def __init__(self) -> None:
        self.lane = Lane("image", LaneSettings(max_concurrent=3))
        self.out: deque[str] = deque()  # ids of slots
        self.now = 0

    def fill(self, wanted: list[RequestSlot]) -> None:
        """Let requests come until all slots are out and the rest waits."""
        for request in wanted:
            self.now += STEP
            self.out.extend(slot.id for slot in self.lane.request(request, self.now).granted)

    def cycle(self, wanted: list[RequestSlot]) -> float:
        """For each request that comes give a slot back and grant one; give the seconds it took.

        Raises:
            BenchFailed: if something was not granted.
        """
        lane, out, now = self.lane, self.out, self.now
        before = len(out), lane.waiting
        began = time.perf_counter()
        for request in wanted:
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
    """Measure cycles while so many wait; with none, each request is granted as it comes."""
    course, source = Course(), requests(owners)
    course.fill(list(islice(source, waiting + 3 if waiting else 0)))
    course.cycle(list(islice(source, BATCH)))
    wanted = list(islice(source, number))
    return Cycles(waiting=waiting, owners=owners, per_second=number / course.cycle(wanted))


def growth(waiting: int, owners: Owners, number: int) -> Growth:
    """Measure memory by tracemalloc while so many wait, and then, without it, their cycles."""
    course, source = Course(), requests(owners)
    tracemalloc.start()
    try:
        wanted = list(islice(source, waiting + 3))
        messages, _ = tracemalloc.get_traced_memory()
        course.fill(wanted)
        whole, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    wanted.clear()
    course.cycle(list(islice(source, BATCH)))
    seconds = []
    for _ in range(max(1, number // BATCH)):
        wanted = list(islice(source, BATCH))
        gc.collect(0)
        seconds.append(course.cycle(wanted))
    return Growth(
        waiting=waiting,
        owners=owners,
        request_bytes=whole / waiting,
        lane_bytes=(whole - messages) / waiting,
        micros=statistics.median(seconds) / BATCH * 1_000_000,
    )


def over_logarithm(found: list[Growth]) -> float | None:
    """Give how much faster than the logarithm the cost of a cycle grew, at most; 1 is as fast."""
    least = min(found, key=lambda one: one.waiting, default=None)
    if least is None:
        return None
    grown = [
        one.micros / least.micros * math.log(least.waiting) / math.log(one.waiting)
        for one in found
        if one.waiting > least.waiting
    ]
    return max(grown, default=None)
