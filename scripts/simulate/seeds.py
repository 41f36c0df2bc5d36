"""Many seeds of one scenario, in parallel processes."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from traceback import format_exception_only

from limner.scripts.simulate.scenario import Scenario
from limner.scripts.simulate.world import simulate

AHEAD = 4
"""Seeds handed to each process before it asks for them."""

MAX_SEEDS = 1_000_000

PATIENCE = 600
"""Seconds without a seed that ends, after which those under way are taken to hang."""


@dataclass(frozen=True)
class SeedResult:
    """What became of one seed.

    Args:
        seed: which one.
        problems: what is wrong, a line each.
        outcomes: how many hosts ended how.
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


def run_seed(scenario: Scenario, seed: int) -> SeedResult:
    """Run one seed; a simulation that breaks is a problem of its own."""
    try:
        report = simulate(scenario, seed)
    except Exception as error:  # noqa: BLE001
        return SeedResult(seed, (broke(error),), Counter())
    return SeedResult(
        seed,
        tuple(report.problems),
        report.outcomes,
        report.verdict.events,
        report.turns,
        report.injected,
        report.seconds,
    )


def broke(error: Exception) -> str:
    """Say in one line that a simulation has failed itself."""
    return f"the simulation broke: {' '.join(format_exception_only(error)).strip()}"


def run_seeds(
    scenario: Scenario, seeds: Sequence[int], at_once: int | None = None
) -> Iterator[SeedResult]:
    """Run many seeds, and give what became of each as it ends, in any order.

    Args:
        scenario: what is simulated.
        seeds: which ones.
        at_once: how many at one time; as many as there are processors by default.
    """
    number = min(at_once or os.cpu_count() or 1, len(seeds))
    if number <= 1:
        yield from (run_seed(scenario, seed) for seed in seeds)
        return
    waiting = iter(seeds)
    running: dict[Future[SeedResult], int] = {}
    pool = ProcessPoolExecutor(
        number,
        mp_context=get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),  # Ctrl-C is for the one who waits for them
    )
    try:
        while True:
            while len(running) < number * AHEAD and (seed := next(waiting, None)) is not None:
                running[pool.submit(run_seed, scenario, seed)] = seed
            if not running:
                break
            done, _ = wait(running, PATIENCE, FIRST_COMPLETED)
            for future in done:
                del running[future]
                yield future.result()
            if not done:
                for seed in running.values():
                    late = f"nothing has come back for {PATIENCE} s; this or a seed beside it hangs"
                    yield SeedResult(seed, (late,), Counter())
                break
    finally:
        workers = list((pool._processes or {}).values())  # noqa: SLF001
        if running:  # given up before its end
            for worker in workers:
                worker.terminate()
        pool.shutdown(cancel_futures=True)
