"""Jobs that return at once through Limner's limiter, with three slots and the event log on."""

import tempfile
import time
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from limner.actors import PooledActor, Studio
from limner.actors.generators.instant import Instant
from limner.actors.stores.memory import MemoryStore
from limner.actors.system import PooledFuture, System
from limner.messages.base import Value
from limner.messages.limiter.protocol import ReleaseSlot, RequestSlot, SlotGranted
from limner.messages.limiter.settings import LaneSettings
from limner.messages.settings import Settings
from limner.scripts.bench.workload import BenchFailed

LANE = "calls"
WAIT = 300.0
"""Seconds that the jobs may take before they are given up."""


class Way(StrEnum):
    """How a job comes to its slot."""

    SCHEDULE = "schedule"
    ACTOR = "actor"


class Speed(Value):
    """What one run of one contender measured.

    Args:
        contender: `limner` or `bottleneck`.
        way: how the jobs came in.
        at_once: how many jobs were submitted at a time; 0 for all up front.
        jobs: how many there were.
        seconds: from before the first was submitted until the last had ended; for Limner, until
            the studio was closed and its event log written to the end.
    """

    contender: str
    way: str
    at_once: int
    jobs: int
    seconds: float

    @property
    def name(self) -> str:
        """How it is called in the report."""
        how_many = f"{self.at_once:,} at a time" if self.at_once else "all up front"
        return f"{self.contender}, {self.way}, {how_many}"

    @property
    def per_second(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds


class Asker(PooledActor):
    """Has its jobs limited as the processor does: asks for a slot, runs, gives the slot back."""

    def __init__(self, limiter: Any, jobs: int, at_once: int, done: PooledFuture[int]) -> None:
        super().__init__()
        self.limiter = limiter
        self.jobs = jobs
        self.at_once = at_once or jobs
        self.done = done
        self.asked = 0
        self.sum = 0
        self.ended = 0

    def on_receive(self, message: object) -> Any:
        """Begin at any message; run a job on each slot."""
        if not isinstance(message, SlotGranted):
            for _ in range(min(self.at_once, self.jobs)):
                self.ask()
            return
        self.sum += int(message.task_id)
        self.limiter.tell(
            ReleaseSlot.trusted(slot_id=message.slot_id, failed=False, retry_after=None)
        )
        self.ended += 1
        if self.asked < self.jobs:
            self.ask()
        if self.ended == self.jobs:
            self.done.set(self.sum)

    def ask(self) -> None:
        """Ask for the next job's slot."""
        self.limiter.tell(
            RequestSlot.trusted(
                request_id=f"request-{self.asked}",
                session_id=None,
                message_id=None,
                task_id=str(self.asked),
                lane=LANE,
                owner=None,
                priority=3,
                weight=1,
                since=None,
                revoked=False,
                revocable=True,
                requests=(),
                stands_for=None,
                reply_to=self.actor_ref,
            )
        )
        self.asked += 1


def run(way: Way, at_once: int, jobs: int) -> Speed:
    """Measure one way, after a small run that warms it.

    Raises:
        BenchFailed: if a job was not run, or the event log does not tell of each.
    """
    with tempfile.TemporaryDirectory() as folder:
        timed(way, at_once, min(jobs, 500), Path(folder) / "warm.jsonl")
        log = Path(folder) / "events.jsonl"
        seconds = timed(way, at_once, jobs, log)
        with log.open("rb") as lines:
            ended = sum(b'"event":"slot_released"' in line for line in lines)
    if ended != jobs:
        raise BenchFailed(f"the event log tells of {ended:,} jobs, where {jobs:,} were run")
    return Speed(contender="limner", way=way, at_once=at_once, jobs=jobs, seconds=seconds)


def timed(way: Way, at_once: int, jobs: int, log: Path) -> float:
    """Run the jobs; give the seconds until the studio was closed."""
    settings = Settings(lanes={LANE: LaneSettings(max_concurrent=3)}, events=log)
    system = System()
    try:
        with Studio.open(
            settings, store=MemoryStore(), generator=Instant(), system=system
        ) as studio:
            began = time.perf_counter()
            if way is Way.ACTOR:
                total = by_actor(studio, system, jobs, at_once)
            else:
                total = by_schedule(studio, jobs, at_once)
        seconds = time.perf_counter() - began
    finally:
        system.close()
    if total != jobs * (jobs - 1) // 2:
        raise BenchFailed("not every job was run once")
    return seconds


def by_actor(studio: Studio, system: System, jobs: int, at_once: int) -> int:
    """Run them in an actor that asks the limiter itself; give the sum of what they gave."""
    done: PooledFuture[int] = system.future()
    asker = system.start(Asker, studio.limiter.ref, jobs, at_once, done)
    asker.tell("begin")
    total: int = done.get(timeout=WAIT)
    return total


def by_schedule(studio: Studio, jobs: int, at_once: int) -> int:
    """Run them as a host does; give the sum of what they gave."""
    total, at_once = 0, at_once or jobs
    for first in range(0, jobs, at_once):
        futures = [
            studio.limiter.schedule(partial(int, number), lane=LANE, blocks=False)
            for number in range(first, min(first + at_once, jobs))
        ]
        for future in reversed(futures):  # the last first: one wait, not one for each
            total += future.get(timeout=WAIT)
    return total
