"""The report of a benchmark: each contender's figures, and whether Limner reaches its targets."""

import os
import platform
import statistics
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.table import Table

from limner.messages.base import Value
from limner.scripts.bench.measure import Figures, Load, Name

KB = 1_000
"""Bytes of a KB here."""


class Standing(Value):
    """The figures of one contender over its rounds.

    Args:
        contender: the one that ran.
        messages: the number that were live at one time.
        median: messages a second in the median round.
        slowest: messages a second in the slowest round.
        fastest: messages a second in the fastest round.
        times_threads: its median divided by that of threads; `None` if they did not run.
        times_asyncio: the same for asyncio.
        session_kb: growth of the resident set for each live message, in KB; the median round.
        traced_kb: the same by Python's allocations, if they were measured.
    """

    contender: Name
    messages: int
    median: float
    slowest: float
    fastest: float
    times_threads: float | None
    times_asyncio: float | None
    session_kb: float
    traced_kb: float | None


class Bar(Value):
    """A target for Limner; `met` is `None` if a contender that it needs did not run."""

    wanted: str
    measured: float | None
    met: bool | None

    def __str__(self) -> str:
        if self.measured is None:
            return f"{self.wanted}: not measured"
        return f"{self.wanted}: {self.measured:.3g}, {'met' if self.met else 'NOT met'}"


class Report(Value):
    """The results of a benchmark, the load and the machine."""

    load: Load
    rounds: int
    python: str
    cores: int
    standings: tuple[Standing, ...]
    bars: tuple[Bar, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        load: Load,
        figures: Iterable[Figures],
        *,
        traced: Iterable[Figures] = (),
        notes: Iterable[str] = (),
    ) -> "Report":
        """Return the report on the figures of all rounds.

        Args:
            load: the workload.
            figures: of each round and contender, in any order.
            traced: one for each contender that was measured by tracemalloc too.
            notes: sentences on what was not measured as requested.
        """
        by_name: dict[Name, list[Figures]] = {}
        for run in figures:
            by_name.setdefault(run.contender, []).append(run)
        medians = {
            name: statistics.median(run.per_second for run in runs)
            for name, runs in by_name.items()
        }
        allocated = {run.contender: run.session_bytes / KB for run in traced}

        def times(name: Name, other: Name) -> float | None:
            return medians[name] / medians[other] if other in medians else None

        standings = {
            name: Standing(
                contender=name,
                messages=runs[-1].messages,
                median=medians[name],
                slowest=min(run.per_second for run in runs),
                fastest=max(run.per_second for run in runs),
                times_threads=times(name, Name.THREADS),
                times_asyncio=times(name, Name.ASYNCIO),
                session_kb=statistics.median(run.session_bytes for run in runs) / KB,
                traced_kb=allocated.get(name),
            )
            for name, runs in by_name.items()
        }
        return cls(
            load=load,
            rounds=max(map(len, by_name.values()), default=0),
            python=f"{platform.python_implementation()} {platform.python_version()}",
            cores=os.cpu_count() or 1,
            standings=tuple(standings[name] for name in Name if name in standings),
            bars=bars(standings.get(Name.LIMNER)),
            notes=tuple(notes),
        )

    def show(self, console: Console) -> None:
        """Print the report for a person."""
        load = self.load
        console.print(
            f"{load.messages:,} messages live at once, {load.chunks} chunks and {load.prompts}"
            f" prompts each, {load.slots} slots; {self.rounds} rounds on {self.cores} cores,"
            f" {self.python}"
        )
        table = Table("contender")
        headings = ["messages/s", "min", "max", "x threads", "x asyncio", "KB a live session"]
        with_traced = any(standing.traced_kb is not None for standing in self.standings)
        for heading in [*headings, *(["KB by tracemalloc"] if with_traced else [])]:
            table.add_column(heading, justify="right")
        for standing in self.standings:
            rates = (standing.median, standing.slowest, standing.fastest)
            ratios = [standing.times_threads, standing.times_asyncio, standing.session_kb]
            if with_traced:
                ratios.append(standing.traced_kb)
            cells = [f"{rate:,.0f}" for rate in rates]
            cells += ["-" if number is None else f"{number:,.2f}" for number in ratios]
            table.add_row(standing.contender, *cells)
        console.print(table)
        for line in (*map(str, self.bars), *self.notes):
            console.print(line)


def bars(limner: Standing | None) -> tuple[Bar, ...]:
    """Return the targets of Limner, and whether it reaches them."""

    def bar(wanted: str, measured: float | None, *, met: Callable[[float], bool]) -> Bar:
        return Bar(
            wanted=wanted, measured=measured, met=None if measured is None else met(measured)
        )

    threads, asyncio, kilobytes = (
        (limner.times_threads, limner.times_asyncio, limner.session_kb)
        if limner
        else (None, None, None)
    )
    return (
        bar("at least 20 x threads", threads, met=lambda times: times >= 20),
        bar("at least 0.6 x asyncio", asyncio, met=lambda times: times >= 0.6),
        bar("at most 24 KB a live session", kilobytes, met=lambda size: size <= 24),
    )
