"""The report of the limiter's benchmark, and whether it reaches its targets."""

import os
import platform
import statistics
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.table import Table

from limner.messages.base import Value
from limner.scripts.bench.limiter_lane import Cycles, Growth, Owners, times_the_logarithm
from limner.scripts.bench.limiter_slots import MIN_TIME, SlotUse, Spacing
from limner.scripts.bench.limiter_speed import Speed, Way
from limner.scripts.bench.report import Bar

PEER = "bottleneck"


class Standing(Value):
    """The rate of something, a second: in the median, slowest and fastest of its rounds."""

    name: str
    median: float
    slowest: float
    fastest: float

    @classmethod
    def of(cls, name: str, rates: list[float]) -> "Standing":
        """Return the standing for the rates of all rounds."""
        return cls(
            name=name, median=statistics.median(rates), slowest=min(rates), fastest=max(rates)
        )


class LimiterReport(Value):
    """The results, and the machine; what was not measured is empty or `None`."""

    python: str
    cores: int
    speed: tuple[Standing, ...]
    scheduler: tuple[Standing, ...]
    growth: tuple[Growth, ...]
    slots: SlotUse | None
    spacing: Spacing | None
    bars: tuple[Bar, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        *,
        speeds: Iterable[Speed] = (),
        cycles: Iterable[Cycles] = (),
        growth: Iterable[Growth] = (),
        slots: SlotUse | None = None,
        spacing: Spacing | None = None,
        notes: Iterable[str] = (),
    ) -> "LimiterReport":
        """Return the report on the figures of all rounds, in any order."""
        rates: dict[str, list[float]] = {}
        best: dict[str, Standing] = {}
        kinds: dict[str, str] = {}
        for run in speeds:
            rates.setdefault(run.name, []).append(run.per_second)
            kinds[run.name] = PEER if run.contender == PEER else run.way
        speed = tuple(Standing.of(name, found) for name, found in rates.items())
        for standing in sorted(speed, key=lambda standing: standing.median):
            best[kinds[standing.name]] = standing
        cycle_rates: dict[str, list[float]] = {}
        for cycle_run in cycles:
            cycle_rates.setdefault(cycle_run.name, []).append(cycle_run.per_second)
        scheduler = tuple(Standing.of(name, found) for name, found in cycle_rates.items())
        growth = tuple(growth)
        return cls(
            python=f"{platform.python_implementation()} {platform.python_version()}",
            cores=os.cpu_count() or 1,
            speed=speed,
            scheduler=scheduler,
            growth=growth,
            slots=slots,
            spacing=spacing,
            bars=tuple(bars(best, scheduler, growth, slots, spacing)),
            notes=(*(f"the best way: {standing.name}" for standing in best.values()), *notes),
        )

    def show(self, console: Console) -> None:
        """Print the report for a person."""
        console.print(f"{self.cores} cores, {self.python}")
        for title, found in (("jobs/s", self.speed), ("cycles/s", self.scheduler)):
            if found:
                rows = [
                    (standing.name, standing.median, standing.slowest, standing.fastest)
                    for standing in found
                ]
                show_table(console, ("", title, "min", "max"), rows, "{:,.0f}")
        if self.growth:
            show_table(
                console,
                ("waiting", "us a cycle", "bytes a request", "of them the lane's"),
                [
                    (growth.name, growth.micros, growth.request_bytes, growth.lane_bytes)
                    for growth in self.growth
                ],
                "{:,.1f}",
            )
        if self.slots is not None:
            console.print(
                f"{self.slots.jobs:,} jobs of 50 ms on 4 slots: {self.slots.use:.2%} of the ideal"
                f" ({self.slots.bare_use:.2%} on bare threads); from grant to start"
                f" {self.slots.start_median:.3f} ms,"
                f" p99 {self.slots.start_p99:.3f} ms",
                soft_wrap=True,
            )
        if self.spacing is not None:
            console.print(
                f"{self.spacing.grants:,} grants {MIN_TIME / 1_000:g} ms apart:"
                f" {self.spacing.early} early, shortest {self.spacing.shortest:.3f} ms,"
                f" mean {self.spacing.mean:.3f} ms"
                f" ({self.spacing.bare_mean:.3f} ms of a bare thread that waits for as long)",
                soft_wrap=True,
            )
        for line in (*map(str, self.bars), *self.notes):
            console.print(line, soft_wrap=True)


def show_table(
    console: Console,
    headings: tuple[str, ...],
    rows: Iterable[tuple[str | float, ...]],
    form: str,
) -> None:
    """Print a table whose rows begin with a name, followed by figures."""
    table = Table(headings[0])
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for name, *numbers in rows:
        table.add_row(str(name), *(form.format(number) for number in numbers))
    console.print(table)


def bars(
    best: dict[str, Standing],
    scheduler: Iterable[Standing],
    growth: Iterable[Growth],
    slots: SlotUse | None,
    spacing: Spacing | None,
) -> Iterable[Bar]:
    """Yield the targets of the limiter, and whether it reaches them."""

    def bar(wanted: str, measured: float | None, met: Callable[[float], bool]) -> Bar:
        return Bar(
            wanted=wanted, measured=measured, met=None if measured is None else met(measured)
        )

    peer = best.get(PEER)
    for way in (Way.ACTOR, Way.SCHEDULE):
        ours = best.get(way)
        times = None if ours is None or peer is None else ours.median / peer.median
        yield bar(f"at least 40 x bottleneck, by {way}", times, lambda times: times >= 40)
    for standing in scheduler:
        thousands = standing.median / 1_000
        yield bar(
            f"at least 100 thousand cycles a second, {standing.name}",
            thousands,
            lambda rate: rate >= 100,
        )
    for owners in (Owners.ONE, Owners.EACH):
        found = [measured for measured in growth if measured.owners is owners]
        yield bar(
            f"cost grows at most 1 x the logarithm, {owners}",
            times_the_logarithm(found),
            lambda times: times <= 1,
        )
    use, start = (slots.use * 100, slots.start_p99) if slots else (None, None)
    yield bar("at least 98 % of the slots used", use, lambda percent: percent >= 98)
    yield bar("less than 2 ms from grant to start, p99", start, lambda millis: millis < 2)
    early, mean = (spacing.early, spacing.mean) if spacing else (None, None)
    yield bar("no grant early", early, lambda number: number == 0)
    most = MIN_TIME / 1_000 * 1.03
    yield bar(f"at most {most:g} ms between grants", mean, lambda millis: millis <= most)
