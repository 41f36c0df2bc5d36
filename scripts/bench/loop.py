"""`limner bench loop`: how far an asyncio loop lags while it waits for thousands of calls."""

import asyncio
import gc
import time
from dataclasses import dataclass
from statistics import quantiles
from typing import Annotated

import typer

from limner.actors import Settings, Studio
from limner.messages.limiter.settings import LaneSettings

BETWEEN = 0.001
"""Seconds between two looks at the loop."""
AT_ONCE = 20
"""Calls that the host schedules before it lets the loop go on."""


@dataclass
class Lag:
    """How late a loop came to what was due, in seconds.

    Args:
        median: of all looks.
        high: 99 of 100 looks were no later.
        most: of all looks.
        looks: how many there were.
        seconds: that all calls took.
    """

    median: float
    high: float
    most: float
    looks: int
    seconds: float

    def told(self, what: str) -> str:
        """Return the figures as a line."""
        median, high, most = (1_000 * lag for lag in (self.median, self.high, self.most))
        return (
            f"{what}: lag {median:.2f} ms in the median, {high:.2f} ms at 99 %, {most:.2f} ms at "
            f"most, in {self.looks:,} looks; over in {self.seconds:.2f} s"
        )


class Watch:
    """Looks again and again how late its loop is."""

    def __init__(self) -> None:
        self._lags: list[float] = []
        self._over = False
        self._began = time.perf_counter()
        self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while not self._over:
            due = time.perf_counter() + BETWEEN
            await asyncio.sleep(BETWEEN)
            self._lags.append(time.perf_counter() - due)

    def take(self) -> Lag:
        """Return the figures since the last time."""
        lags, self._lags = self._lags, []
        began, self._began = self._began, time.perf_counter()
        cuts = quantiles(lags or [0.0, 0.0], n=100)
        most = max(lags, default=0.0)
        return Lag(cuts[49], cuts[98], most, len(lags), self._began - began)

    async def end(self) -> None:
        """Look no more."""
        self._over = True
        await self._looking


async def measured(studio: Studio, calls: int, seconds: float) -> tuple[Lag, Lag, Lag]:
    """Measure a loop on which calls are awaited.

    Args:
        studio: whose calls.
        calls: how many.
        seconds: that each of them takes on its thread.

    Returns:
        How far the loop lagged in a second with nothing to do, while the calls were scheduled, and
        while they were waited for.
    """

    async def wait() -> None:
        await studio.limiter.schedule(lambda: time.sleep(seconds), lane="api")

    watch = Watch()
    await asyncio.sleep(1)
    idle = watch.take()
    async with asyncio.TaskGroup() as group:
        for number in range(calls):
            group.create_task(wait())
            if not number % AT_ONCE:
                await asyncio.sleep(0)
        scheduling = watch.take()
    waiting = watch.take()
    await watch.end()
    return idle, scheduling, waiting


def run(
    *,
    calls: Annotated[int, typer.Option(help="How many calls one loop waits for.", min=1)] = 10_000,
    threads: Annotated[int, typer.Option(help="How many run at one time.", min=1, max=1_000)] = 50,
    seconds: Annotated[float, typer.Option(help="That each call takes.", min=0)] = 0.02,
) -> None:
    """Measure how far an asyncio loop lags while it waits for calls, and while it does not.

    What the garbage collector and other programs take is part of it, so it is measured three times:
    with nothing to do, while the calls are scheduled, and while they are waited for.
    """
    lanes = {"api": LaneSettings(max_concurrent=threads)}
    with Studio.open(Settings(store="memory:", lanes=lanes), generator="instant") as studio:
        gc.collect()
        gc.freeze()  # as a host does that cares for its loop
        idle, scheduling, waiting = asyncio.run(measured(studio, calls, seconds))
    print(idle.told("nothing awaited"))
    print(scheduling.told(f"{calls:,} calls scheduled"))
    print(waiting.told(f"{calls:,} calls awaited"))
