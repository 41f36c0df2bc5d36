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
from limner.messages.limiter.costs import NO_COSTS
from limner.messages.limiter.protocol import ReleaseSlot, RequestSlot, SlotGranted
from limner.messages.limiter.settings import LaneSettings
from limner.messages.settings import Settings
from limner.scripts.bench.workload import BenchFailed

LANE = "calls"
WAIT = 300.0
"""Seconds that the jobs may take before the benchmark fails."""


class Way(StrEnum):
    """How a job gets its slot."""

    SCHEDULE = "schedule"
    ACTOR = "actor"


class Speed(Value):
    """The figures of one run of one contender.

    Args:
        contender: `limner` or `bottleneck`.
        way: how the jobs were submitted.
        at_once: how many jobs were submitted at a time; 0 for all up front.
        jobs: the number of jobs.
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
        """Its name in the report."""
        how_many = f"{self.at_once:,} at a time" if self.at_once else "all up front"
        return f"{self.contender}, {self.way}, {how_many}"

    @property
    def per_second(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds


class Requester(PooledActor):
    """Runs its jobs under the limiter as the processor does: requests a slot, runs, releases it."""

    def __init__(self, limiter: Any, jobs: int, at_once: int, done: PooledFuture[int]) -> None:
        super().__init__()
        self.limiter = limiter
        self.jobs = jobs
        self.at_once = at_once or jobs
        self.done = done
        self.requested = 0
        self.sum = 0
        self.ended = 0

    def on_receive(self, message: object) -> Any:
        """Run a job on each slot; any other message starts the first jobs."""
        if not isinstance(message, SlotGranted):
            for _ in range(min(self.at_once, self.jobs)):
                self.request()
            return
        self.sum += int(message.task_id)
        self.limiter.tell(
            ReleaseSlot.trusted(
                slot_id=message.slot_id,
                failed=False,
                error=None,
                retry_after=None,
                overloaded=False,
                limits=(),
                host=None,
                costs=None,
            )
        )
        self.ended += 1
        if self.requested < self.jobs:
            self.request()
        if self.ended == self.jobs:
            self.done.set(self.sum)

    def request(self) -> None:
        """Request the next job's slot."""
        self.limiter.tell(
            RequestSlot.trusted(
                request_id=f"request-{self.requested}",
                session_id=None,
                message_id=None,
                task_id=str(self.requested),
                lane=LANE,
                owner=None,
                priority=3,
                weight=1,
                costs=NO_COSTS,
                deadline=None,
                refuse_late=False,
                since=None,
                revoked=False,
                place=0,
                revocable=True,
                thread=False,
                requests=(),
                stands_for=None,
                reply_to=self.actor_ref,
            )
        )
        self.requested += 1


def run(way: Way, at_once: int, jobs: int) -> Speed:
    """Measure one way, after a small warm-up run.

    Raises:
        BenchFailed: if a job was not run, or the event log lacks one.
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
    """Run the jobs; return the seconds until the studio was closed."""
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
    """Run the jobs in an actor that requests slots itself; return the sum of their results."""
    done: PooledFuture[int] = system.future()
    requester = system.start(Requester, studio.limiter.ref, jobs, at_once, done)
    requester.tell("begin")
    total: int = done.get(timeout=WAIT)
    return total


def by_schedule(studio: Studio, jobs: int, at_once: int) -> int:
    """Run the jobs as a host does; return the sum of their results."""
    total, at_once = 0, at_once or jobs
    for first in range(0, jobs, at_once):
        futures = [
            studio.limiter.schedule(partial(int, number), lane=LANE, blocks=False)
            for number in range(first, min(first + at_once, jobs))
        ]
        for future in reversed(futures):  # the last first: one wait, not one for each
            total += future.get(timeout=WAIT)
    return total
