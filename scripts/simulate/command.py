"""`limner simulate`: one seed of a scenario in detail, or many seeds searched for failures.

Results go to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from limner.messages.errors import LimnerError, SettingsInvalid
from limner.messages.events.record import may_begin_log
from limner.messages.unicode import shown
from limner.scripts.display import tell
from limner.scripts.inspect.words import many
from limner.scripts.signals import Step, interrupted_between_steps
from limner.scripts.simulate.run import NOT_REAL, Report, simulate
from limner.scripts.simulate.scenario import Scenario, load_scenario
from limner.scripts.simulate.seeds import MAX_SEEDS, SeedResult, describe_break, run_seeds

DONE, FAILED, MISUSED, INTERRUPTED = 0, 1, 2, 130
MAX_SHOWN = 20
"""Problems of one seed, and failing seeds, that are printed."""

TELL_EVERY = 10
"""Seconds between two lines of progress without a terminal."""

Shows = Callable[[float, float, str], None]
"""Is called with how much is done, of how much, and a few words on it."""


def run(
    *,
    scenario: str | None = None,
    messages: int | None = None,
    seed: int | None = None,
    seeds: str | None = None,
    events: Path | None = None,
    real: bool = False,
    overrides: Sequence[str] = (),
    processes: int | None = None,
    first: bool = False,
) -> int:
    """Simulate, and return the exit status.

    It is 0 if all is well, 1 if something is wrong, 2 for wrong use, 130 for Ctrl-C.
    """
    try:
        given = [*overrides] if messages is None else [*overrides, f"messages={messages}"]
        loaded = load_scenario(scenario, given)
        numbers = None if seeds is None else parse_seeds(seeds)
        if numbers is not None and (seed is not None or events is not None or real):
            raise SettingsInvalid("--seeds goes without --seed, --events and --real")
        if numbers is None and (first or processes is not None):
            raise SettingsInvalid("--first and --processes go with --seeds")
        if events is not None:
            empty_log(events)
        again = ["limner", "simulate"]
        again += ["--scenario", scenario] if scenario else []
        again += ["--messages", str(messages)] if messages is not None else []
        for override in overrides:
            again += ["--set", override]
        with interrupted_between_steps() as step:
            if numbers is not None:
                return run_many(loaded, numbers, again, step, processes=processes, first=first)
            return run_one(loaded, seed or 0, events, step, real=real)
    except LimnerError as error:
        tell(f"limner: {shown(str(error), 1_000)}")
        return MISUSED
    except BrokenProcessPool:
        tell("limner: a process that simulates was killed, perhaps for want of memory")
        return FAILED
    except KeyboardInterrupt:
        tell("limner: interrupted")
        return INTERRUPTED


def parse_seeds(seeds: str) -> range:
    """Parse `A..B` as the seeds from A to B, both included.

    Raises:
        SettingsInvalid: if it is no such text.
    """
    first, dots, last = seeds.partition("..")
    if dots and first.strip().isdecimal() and last.strip().isdecimal():
        numbers = range(int(first), int(last) + 1)
        if 0 < len(numbers) <= MAX_SEEDS:
            return numbers
    raise SettingsInvalid(
        f"--seeds {seeds!r}: write two numbers as in 0..999, the first one not above the second,"
        f" {MAX_SEEDS:,} seeds at most"
    )


def empty_log(events: Path) -> None:
    """Empty the file of an event log, after a check that it is one and can be written.

    Raises:
        SettingsInvalid: if the file is no event log, or cannot be written.
    """
    try:
        events.parent.mkdir(parents=True, exist_ok=True)
        events.touch()
        if not events.is_file():
            raise SettingsInvalid(f"--events {str(events)!r} is not a file")
        with events.open("rb") as file:
            line = file.readline(1_000_000)
        if not may_begin_log(line):
            raise SettingsInvalid(
                f"--events {str(events)!r} is there already and no event log; "
                "remove it, or name another file"
            )
        events.open("wb").close()
    except OSError as error:
        raise SettingsInvalid(
            f"--events {str(events)!r} cannot be written: {error.strerror or error}"
        ) from None


def run_one(scenario: Scenario, seed: int, events: Path | None, step: Step, *, real: bool) -> int:
    """Run one seed, print the report, and return the exit status."""
    with progress("simulating", scenario.messages) as shows:

        def show(left: int, whole: int, seconds: float) -> None:
            step()
            shows(left, whole, f"{left:,} of {whole:,} messages, {clock(seconds)} of the day")

        try:
            report = simulate(scenario, seed, events=events, real=real, progress=show)
        except (LimnerError, OSError):
            raise
        except Exception as error:  # noqa: BLE001
            tell(f"limner: {describe_break(error)}")
            return FAILED
    if real and (left_out := [name for name in NOT_REAL if getattr(scenario.faults, name).high]):
        print(f"left out, as real threads cannot have them: {', '.join(left_out)}")
    print_report(scenario, report, real=real)
    if events is not None:
        print(f"events {shown(str(events), 300)}")
    return DONE if report.passed else FAILED


def print_report(scenario: Scenario, report: Report, *, real: bool) -> None:
    """Print the report on one seed."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
    console = Console(highlight=False, markup=False, emoji=False, width=wide)
    pictures = report.summary.tasks["completed"]
    written = report.summary.sessions["written"]
    pace = (
        f"in {report.took:.1f} s"
        if real
        else f"{clock(report.seconds)} of virtual time in {report.took:.1f} s, "
        f"{report.turns / max(report.took, 1e-9):,.0f} turns a second"
    )
    print(f"seed {report.seed}: {many(scenario.messages, 'message')}, {pace}")
    per_minute = 60 / max(report.seconds, 1e-6)
    print(
        f"throughput: {written * per_minute:,.1f} messages written and "
        f"{pictures * per_minute:,.1f} pictures a minute"
    )
    print(f"hosts: {counted(report.outcomes)}")
    if report.injected:
        print(f"failures injected into actors: {report.injected:,}")
    print()
    console.print(report.summary.render())
    print()
    for problem in report.problems[:MAX_SHOWN]:
        print(shown(problem, 2_000))
    if len(report.problems) > MAX_SHOWN:
        print(f"and {len(report.problems) - MAX_SHOWN:,} more")
    verdict = report.verdict
    if verdict.passed:
        print(f"audit: passed, I1 to I8 and I13 to I22 hold for {many(verdict.events, 'event')}")
    else:
        print(
            f"audit: failed, {many(verdict.number, 'violation')} in {many(verdict.events, 'event')}"
        )
    if report.problems:
        print(f"failed: {many(len(report.problems), 'problem')}")


def run_many(
    scenario: Scenario,
    seeds: range,
    again: Sequence[str],
    step: Step,
    *,
    processes: int | None = None,
    first: bool = False,
) -> int:
    """Run many seeds, print those that failed, and return the exit status.

    With `first` it stops at the first that fails.
    """
    began = monotonic()
    outcomes: Counter[str] = Counter()
    failed: list[SeedResult] = []
    done = events = injected = 0
    seconds = 0.0
    try:
        with progress("simulating", len(seeds)) as shows:
            for result in run_seeds(scenario, seeds, processes, step):
                done += 1
                outcomes += result.outcomes
                events += result.events
                injected += result.injected
                seconds += result.seconds
                if result.problems:
                    failed.append(result)
                shows(done, len(seeds), f"{done:,} of {len(seeds):,} seeds, {len(failed):,} failed")
                if failed and first:
                    break
    finally:
        failed.sort(key=lambda result: result.seed)
        for result in failed[:MAX_SHOWN]:
            print(f"seed {result.seed} failed; repeat it with: ", end="")
            print(shlex.join([*again, "--seed", str(result.seed)]))
            for problem in result.problems[:3]:
                print(f"  {shown(problem, 500)}")
        if len(failed) > MAX_SHOWN:
            print("and seeds " + ", ".join(str(result.seed) for result in failed[MAX_SHOWN:][:100]))
        print(
            f"{done:,} seeds, {events:,} events, {clock(seconds)} of virtual time "
            f"in {monotonic() - began:.1f} s"
        )
        print(f"hosts: {counted(outcomes)}")
        if injected:
            print(f"failures injected into actors: {injected:,}")
        short = "" if done == len(seeds) else f" of the {done:,} that were run"
        number = f"{len(failed):,} seed{'' if len(failed) == 1 else 's'}" if failed else "no seed"
        print(f"{number} failed{short}")
    return FAILED if failed else DONE


def counted(counts: Counter[str]) -> str:
    """List counts, the largest first."""
    return ", ".join(f"{number:,} {name}" for name, number in counts.most_common()) or "none"


def clock(seconds: float) -> str:
    """Return a duration as days, hours, minutes and seconds."""
    days, rest = divmod(int(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    text = f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{days} d {text}" if days else text


@contextmanager
def progress(name: str, whole: float) -> Iterator[Shows]:
    """Show the progress: a bar on a terminal, else a line every `TELL_EVERY` seconds."""
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
            job: Any = bar.add_task(name, total=whole)
            yield lambda done, _, words: bar.update(job, completed=done, description=words)
        return
    due = monotonic() + TELL_EVERY

    def line(done: float, whole: float, words: str) -> None:
        nonlocal due
        if monotonic() >= due and done < whole:
            due = monotonic() + TELL_EVERY
            tell(f"{name}: {words}")

    yield line
