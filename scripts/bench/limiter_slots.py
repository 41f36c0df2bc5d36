"""The limiter on real threads and the real clock: the use of slots, and the accuracy of times."""

import json
import math
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from limner.actors import Studio
from limner.actors.generators.instant import Instant
from limner.actors.stores.memory import MemoryStore
from limner.actors.system import System
from limner.messages.base import Value
from limner.messages.limiter.settings import LaneSettings
from limner.messages.settings import Settings
from limner.scripts.bench.limiter_speed import LANE, WAIT
from limner.scripts.bench.workload import BenchFailed

JOB = 0.05
"""Seconds of a job."""

MIN_TIME = 20_000
"""Microseconds between two grants, in the measurement of their spacing."""


class SlotUse(Value):
    """How well four slots were used by jobs of 50 ms.

    Args:
        jobs: the number of jobs.
        use: the least time that they must take, divided by the time that they took.
        bare_use: the same for four threads without a limiter.
        start_median: milliseconds from a grant to the start of its call, the median.
        start_p99: the same, the 99th percentile.
    """

    jobs: int
    use: float
    bare_use: float
    start_median: float
    start_p99: float


class Spacing(Value):
    """How exactly `min_time` was kept.

    Args:
        grants: the number of grants.
        early: the number of grants that came too early.
        shortest: the fewest milliseconds between two grants.
        mean: milliseconds between two grants, on average.
        bare_mean: the same for a thread that only waits that long again and again.
    """

    grants: int
    early: int
    shortest: float
    mean: float
    bare_mean: float


def slot_use(jobs: int) -> SlotUse:
    """Run jobs of 50 ms on four slots, and measure by the event log how soon each started."""
    started = [0] * jobs

    def job(number: int, system: System) -> None:
        started[number] = system.clock.now
        time.sleep(JOB)

    seconds, records = logged(LaneSettings(max_concurrent=4), jobs, job, blocks=True)
    # all were scheduled by one thread, so their slots were requested in the same order
    requests = [record["request_id"] for record in records if record["event"] == "slot_requested"]
    granted = {
        record["request_id"]: micros(record)
        for record in records
        if record["event"] == "slot_granted"
    }
    waits = sorted(
        start - granted[request] for start, request in zip(started, requests, strict=True)
    )
    if waits[0] < 0:
        raise BenchFailed("a call began before its slot was granted")
    return SlotUse(
        jobs=jobs,
        use=jobs * JOB / 4 / seconds,
        bare_use=jobs * JOB / 4 / bare_seconds(jobs),
        start_median=waits[jobs // 2] / 1_000,
        start_p99=waits[math.ceil(0.99 * jobs) - 1] / 1_000,
    )


def spacing(grants: int) -> Spacing:
    """Run jobs that return at once under `min_time` alone, and measure the gaps between grants."""
    _, records = logged(
        LaneSettings(max_concurrent=None, min_time=MIN_TIME / 1_000_000),
        grants,
        lambda _number, _system: None,
        blocks=False,
    )
    times = [micros(record) for record in records if record["event"] == "slot_granted"]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return Spacing(
        grants=len(times),
        early=sum(gap < MIN_TIME for gap in gaps),
        shortest=min(gaps) / 1_000,
        mean=sum(gaps) / len(gaps) / 1_000,
        bare_mean=bare_spacing(grants),
    )


def bare_seconds(jobs: int) -> float:
    """Return the seconds that the same jobs take on four threads without a limiter."""
    left = iter(range(jobs))
    taking = threading.Lock()

    def work() -> None:
        while True:
            with taking:
                if next(left, None) is None:
                    return
            time.sleep(JOB)

    threads = [threading.Thread(target=work) for _ in range(4)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def bare_spacing(times: int) -> float:
    """Return the mean milliseconds between two wakings of a thread that waits for `MIN_TIME`."""
    condition = threading.Condition()
    with condition:
        began = time.perf_counter()
        for _ in range(times):
            condition.wait(MIN_TIME / 1_000_000)
        return (time.perf_counter() - began) / times * 1_000


def logged(
    settings: LaneSettings, jobs: int, job: Callable[[int, System], object], *, blocks: bool
) -> tuple[float, list[dict[str, Any]]]:
    """Schedule all jobs at once; return the seconds until the last ended, and the lane's log."""
    system = System()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "events.jsonl"
        studio_settings = Settings(lanes={LANE: settings}, events=log)
        try:
            with Studio.open(
                studio_settings, store=MemoryStore(), generator=Instant(), system=system
            ) as studio:
                began = time.perf_counter()
                futures = [
                    studio.limiter.schedule(partial(job, number, system), lane=LANE, blocks=blocks)
                    for number in range(jobs)
                ]
                for future in futures:
                    future.get(timeout=WAIT)
                seconds = time.perf_counter() - began
        finally:
            system.close()
        records = [json.loads(line) for line in log.read_bytes().splitlines()]
    return seconds, [record for record in records if record.get("lane") == LANE]


def micros(record: dict[str, Any]) -> int:
    """Return the time of a record in microseconds; the log has it in seconds."""
    seconds: float = record["t"]
    return round(seconds * 1_000_000)
