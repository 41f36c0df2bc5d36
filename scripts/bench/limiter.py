"""`limner bench limiter`: the limiter's speed, compared with Bottleneck, and its accuracy."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from enum import StrEnum
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from limner.messages.errors import LimnerError
from limner.scripts.bench.apart import apart
from limner.scripts.bench.limiter_lane import Cycles, Growth, Owners, cycles, growth
from limner.scripts.bench.limiter_peer import NoPeer, installed
from limner.scripts.bench.limiter_report import LimiterReport
from limner.scripts.bench.limiter_slots import slot_use, spacing
from limner.scripts.bench.limiter_speed import Speed, Way
from limner.scripts.bench.limiter_speed import run as run_limner

OURS = [(way, at_once) for way in Way for at_once in (0, 3, 30, 1_000)]
THEIRS = [("schedule", 0), ("schedule", 3), ("schedule", 30), ("wrap", 30), ("light schedule", 30)]
WAITING = [(0, Owners.SEVEN), (1_000, Owners.ONE), (1_000, Owners.SEVEN), (1_000, Owners.EACH)]
Say = Callable[[str], None]


class Part(StrEnum):
    """A part of the measurement."""

    SPEED = "speed"
    SCHEDULER = "scheduler"
    GROWTH = "growth"
    SLOTS = "slots"
    SPACING = "spacing"


def contest(jobs: int, peer_jobs: int, rounds: int, say: Say) -> tuple[list[Speed], list[str]]:
    """Run each way through Limner and Bottleneck once a round, each round in another order.

    Returns:
        Their figures, and notes on what was not measured or which version was.
    """
    notes = []
    with ExitStack() as stack:
        runs: list[Callable[[], Speed]] = [
            partial(apart, run_limner, way, at_once, jobs) for way, at_once in OURS
        ]
        peer = None
        try:
            say("fetching bottleneck ...")
            peer = stack.enter_context(installed())
            runs += [partial(peer.run, way, at_once, peer_jobs) for way, at_once in THEIRS]
        except NoPeer as error:
            notes.append(str(error))
        speeds = []
        for turn in range(rounds):
            for run in runs:
                speeds.append(run())
                speed = speeds[-1]
                say(f"round {turn + 1} of {rounds}: {speed.name}: {speed.per_second:,.0f} jobs/s")
            runs = [*runs[1:], runs[0]]
        if peer is not None:
            notes.append(f"Bottleneck ran on node {peer.version}; the best way of each is compared")
    return speeds, notes


def measure_cycles(number: int, rounds: int, say: Say) -> Iterable[Cycles]:
    """Yield the scheduler's cycles a second, for each round."""
    for turn in range(rounds):
        for waiting, owners in WAITING:
            say(f"round {turn + 1} of {rounds}: scheduler, {waiting:,} waiting, {owners} ...")
            yield apart(cycles, waiting, owners, number)


def measure_growth(most: int, number: int, say: Say) -> Iterable[Growth]:
    """Yield what 1,000 waiting requests take, then 10,000, and so on up to `most`."""
    for owners in (Owners.ONE, Owners.EACH):
        waiting = 1_000
        while waiting <= most:
            say(f"{waiting:,} waiting, {owners} ...")
            yield apart(growth, waiting, owners, number)
            waiting *= 10


def run(
    jobs: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Jobs of a run through Limner.")
    ] = 20_000,
    peer_jobs: Annotated[
        int, typer.Option(min=1, max=100_000, help="Jobs of a run through Bottleneck.")
    ] = 1_000,
    cycles: Annotated[
        int, typer.Option(min=1, max=10_000_000, help="Cycles of the scheduler alone.")
    ] = 50_000,
    waiting: Annotated[
        int,
        typer.Option(
            min=1_000, max=1_000_000, help="Measure 1,000 requests waiting, 10,000, up to this."
        ),
    ] = 100_000,
    slot_jobs: Annotated[
        int, typer.Option(min=1, max=10_000, help="Jobs of 50 ms on four slots.")
    ] = 400,
    grants: Annotated[
        int, typer.Option(min=2, max=10_000, help="Grants that are 20 ms apart.")
    ] = 500,
    rounds: Annotated[
        int, typer.Option(min=1, max=1_000, help="Runs of each contender; the median counts.")
    ] = 3,
    only: Annotated[
        list[Part] | None, typer.Option(help="Measure this part alone; may be repeated.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON object.")
    ] = False,
) -> LimiterReport:
    """Measure the limiter, and compare its speed with Bottleneck's on Node.js.

    The speed is that of jobs which return at once, on three slots: through `schedule`, and through
    an actor that asks the limiter itself, with the event log written to a file; beside them
    Bottleneck 2.19, fetched by npm if node and npm are here. The scheduler is also measured alone,
    and with more and more requests waiting; then the use of slots and `min_time` on real threads.
    """
    parts = set(only or Part)
    say: Say = Console(stderr=True, highlight=False, markup=False).print
    try:
        speeds, notes = contest(jobs, peer_jobs, rounds, say) if Part.SPEED in parts else ([], [])
        cycle_runs = list(measure_cycles(cycles, rounds, say)) if Part.SCHEDULER in parts else []
        growth_runs = list(measure_growth(waiting, cycles, say)) if Part.GROWTH in parts else []
        slots = gaps = None
        if Part.SLOTS in parts:
            say(f"{slot_jobs:,} jobs of 50 ms on four slots ...")
            slots = apart(slot_use, slot_jobs)
        if Part.SPACING in parts:
            say(f"{grants:,} grants 20 ms apart ...")
            gaps = apart(spacing, grants)
    except LimnerError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error
    report = LimiterReport.of(
        speeds=speeds, cycles=cycle_runs, growth=growth_runs, slots=slots, spacing=gaps, notes=notes
    )
    if json:
        print(report.model_dump_json(indent=2))
    else:
        report.show(Console(highlight=False, markup=False))
    return report


def main() -> None:
    """Run the benchmark as a command of its own."""
    typer.run(run)


if __name__ == "__main__":
    main()
