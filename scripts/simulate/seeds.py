"""Many seeds of one scenario, in parallel processes."""

from __future__ import annotations

import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence, Sized
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from time import monotonic
from traceback import format_exception_only

from limner.scripts.signals import HEARING, Step, interrupts_blocked
from limner.scripts.simulate.run import simulate
from limner.scripts.simulate.scenario import Scenario

AHEAD = 4
"""Seeds handed to each process before it asks for them."""

MAX_SEEDS = 1_000_000

PATIENCE = 600
"""Seconds without a seed that ends after which the running seeds are taken to hang."""


@dataclass(frozen=True)
class SeedResult:
    """The result of one seed.

    Args:
        seed: which one.
        problems: a line each.
        outcomes: the number of hosts by how they ended.
        events: of its log.
        turns: of its actors.
        injected: turns that were made to fail.
        seconds: of virtual time.
    """

    seed: int
    problems: tuple[str, ...]
    outcomes: Counter[str]
    events: int = 0
    turns: int = 0
    injected: int = 0
    seconds: float = 0


def no_step() -> None:
    """Do nothing."""


def run_seed(scenario: Scenario, seed: int, step: Step = no_step) -> SeedResult:
    """Run one seed; an exception of the simulation itself is reported as a problem."""
    try:
        report = simulate(scenario, seed, progress=lambda *_: step())
    except Exception as error:  # noqa: BLE001
        return SeedResult(seed, (describe_break(error),), Counter())
    return SeedResult(
        seed,
        tuple(report.problems),
        report.outcomes,
        report.verdict.events,
        report.turns,
        report.injected,
        report.seconds,
    )


def describe_break(error: Exception) -> str:
    """Return one line on an exception of the simulation itself."""
    return f"the simulation broke: {' '.join(format_exception_only(error)).strip()}"


def run_seeds(
    scenario: Scenario, seeds: Sequence[int], at_once: int | None = None, step: Step = no_step
) -> Iterator[SeedResult]:
    """Run many seeds, and yield the result of each as it ends, in any order.

    Args:
        scenario: what is simulated.
        seeds: which ones.
        at_once: how many at one time; as many as there are processors by default.
        step: is called every `HEARING` seconds at least; what it raises ends the run.
    """
    number = min(at_once or os.cpu_count() or 1, len(seeds))
    if number <= 1:
        yield from (run_seed(scenario, seed, step) for seed in seeds)
        return
    waiting = iter(seeds)
    running: dict[Future[SeedResult], int] = {}
    latest = monotonic()
    with _pool(number, running) as pool:
        while True:
            step()
            while len(running) < number * AHEAD and (seed := next(waiting, None)) is not None:
                with interrupts_blocked():  # which starts a process if all are busy
                    running[pool.submit(run_seed, scenario, seed)] = seed
            if not running:
                break
            done, _ = wait(running, HEARING, FIRST_COMPLETED)
            for future in done:
                latest = monotonic()
                del running[future]
                yield future.result()
            if monotonic() - latest > PATIENCE:
                for seed in running.values():
                    late = f"nothing has come back for {PATIENCE} s; this or a seed beside it hangs"
                    yield SeedResult(seed, (late,), Counter())
                break


@contextmanager
def _pool(number: int, running: Sized) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes; at the end, kill them if seeds are still `running`.

    Their temporary files are in one folder that is removed with the pool, since a process that is
    killed removes nothing itself.
    """
    with tempfile.TemporaryDirectory(prefix="limner-") as folder:
        pool = ProcessPoolExecutor(
            number, mp_context=get_context("spawn"), initializer=_begin, initargs=(folder,)
        )
        try:
            yield pool
        finally:
            workers = list((pool._processes or {}).values())  # noqa: SLF001
            if running:  # interrupted before its end
                for worker in workers:
                    worker.kill()
            pool.shutdown(cancel_futures=True)


def _begin(folder: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tempfile.tempdir = folder
