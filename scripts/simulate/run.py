"""One run of a scenario, on the simulated system or on real threads."""

from __future__ import annotations

import logging
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pykka

from limner.actors import SimulatedSystem, System
from limner.actors.system import Faults, SimulationStuck
from limner.messages.events.invariants import Audit, Verdict
from limner.messages.events.record import parse
from limner.scripts.inspect.summary import Summary
from limner.scripts.simulate.backend import FOR_EVER, Backend, FaultyStore
from limner.scripts.simulate.calls import unanswered
from limner.scripts.simulate.delays import Delays
from limner.scripts.simulate.draws import Draws
from limner.scripts.simulate.expectations import left_set
from limner.scripts.simulate.parameters import LATENESS, Parameters, draw_parameters
from limner.scripts.simulate.priorities import Priorities
from limner.scripts.simulate.promptness import Promptness
from limner.scripts.simulate.scenario import Scenario
from limner.scripts.simulate.traffic import TrafficActor
from limner.scripts.simulate.world import World

SLICE = 5_000
"""Turns between two reads of the log."""

TICK = 0.2
"""Seconds between two reads of the log of a run on real threads."""

TURNS_A_MESSAGE = 20_000
"""Turns for each message after which a simulation is taken for a livelock."""

MAX_PROBLEMS = 100

HOST_THREADS = 4
"""Dispatcher threads of a run on real threads, so that hosts meet there."""

NOT_REAL = ("actor_fails", "part_fails", "timer_late", "call_inattentive")
"""Faults that only a simulated system can have."""

SESSION_ACTORS = (
    "SessionActor",
    "RegenerationActor",
    "MonitorActor",
    "ProcessorActor",
    "WriterActor",
    "EditActor",
)
PARTS = ("StudioActor", "LimiterActor", "CallerActor", "SequencerActor", "RecorderActor")

Progress = Callable[[int, int, float], None]
"""Is called with how many messages have ended, of how many, and the second of the run."""


class LogTail:
    """Reads what is added to an event log.

    Args:
        path: of the log.
        forgets: whether what was read is removed from the file; only if nobody writes meanwhile.
    """

    def __init__(self, path: Path, *, forgets: bool) -> None:
        self._file = path.open("r+b")
        self._file.seek(0, os.SEEK_END)
        self._forgets = forgets
        self._rest = b""

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the events that are new."""
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in lines:
            event = parse(line)
            if event is not None:
                yield event
        if self._forgets:
            self._file.seek(0)
            self._file.truncate()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass
class Report:
    """The report on a run.

    Args:
        seed: of the run.
        problems: a line each; the audit's violations are among them.
        outcomes: the number of hosts by how they ended.
        verdict: of the audit.
        summary: of the event log.
        seconds: of the run's own clock.
        took: seconds of real time.
        turns: of actors; 0 on real threads.
        injected: turns that were made to fail.
    """

    seed: int
    problems: list[str]
    outcomes: Counter[str]
    verdict: Verdict
    summary: Summary
    seconds: float
    took: float
    turns: int
    injected: int

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def simulate(
    scenario: Scenario,
    seed: int,
    *,
    events: Path | None = None,
    real: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Run a scenario and audit its event log.

    Args:
        scenario: what is simulated.
        seed: decides everything that is drawn.
        events: where the event log is written; if `None` it is audited and deleted.
        real: whether it runs on real threads, in real time.
        progress: is called with the progress now and then.
    """
    draws = Draws(seed)
    params = draw_parameters(scenario, draws)
    backend = Backend(params, draws, waits=real)
    store = FaultyStore(params, draws, waits=real)
    system = System(threads=HOST_THREADS) if real else _simulated(seed, params, backend, store)
    with tempfile.TemporaryDirectory(prefix="limner-") as folder, _quiet():
        path = events or Path(folder) / "events.jsonl"
        late = Promptness(
            params.settings,
            timers_late=params.faults["timer_late"] > 0,
            keeps_hang=params.faults["keep_hangs"] > 0,
        )
        delays = Delays(params.settings.deadline) if scenario.quick and not real else None
        forgets = events is None and not real
        run = _Run(path, None if real else late, delays, forgets=forgets)
        try:
            world = World(system, params, draws, path, backend, store)
            system.start(TrafficActor, world)
            run.drive(world, progress)
        finally:
            system.close()
            run.close()
    return run.report(seed, world)


def _simulated(
    seed: int, params: Parameters, backend: Backend, store: FaultyStore
) -> SimulatedSystem:
    def latency(pool: str, _tag: Any) -> int | None:
        of_the_store = pool.startswith(("store", "change"))
        return store.microseconds() if of_the_store else backend.microseconds()

    rates = params.faults
    system = SimulatedSystem(
        seed,
        latency=latency,
        faults=Faults(
            failure={
                **dict.fromkeys(SESSION_ACTORS, rates["actor_fails"]),
                **dict.fromkeys(PARTS, rates["part_fails"]),
            }
            if rates["actor_fails"] or rates["part_fails"]
            else {},
            late_timer=rates["timer_late"],
            lateness=LATENESS,
            inattentive=rates["call_inattentive"],
        ),
        max_turns=TURNS_A_MESSAGE * (params.scenario.messages + 100),
    )

    def hang() -> None:
        with suppress(pykka.Timeout):
            system.future(about="a store that hangs").get(timeout=FOR_EVER)

    store.hang = hang
    return system


class _Run:
    """Runs a world, and reads its log meanwhile."""

    def __init__(
        self, path: Path, promptness: Promptness | None, delays: Delays | None, *, forgets: bool
    ) -> None:
        self.audit, self.summary = Audit(), Summary()
        self.promptness = promptness
        self.delays = delays
        self.priorities = Priorities()
        self.problems: list[str] = []
        path.touch()
        self.tail = LogTail(path, forgets=forgets)
        self.began = monotonic()
        self.stuck: str | None = None
        self.last = ""

    def drive(self, world: World, progress: Progress | None) -> None:
        """Run a world to its end."""
        try:
            while not self.run_on(world):
                self.read_log(world)
                if progress is not None:
                    progress(
                        world.left, world.params.scenario.messages, world.system.clock.now / 1e6
                    )
            world.studio.close()
            if (problem := unanswered(world.calls)) is not None:
                self.problems.append(problem)
            system = world.system
            if isinstance(system, SimulatedSystem) and not system.injected_failures:
                self.problems += left_set(system.clock.pending)
        except SimulationStuck as error:
            self.stuck = str(error)
        self.read_log(world)

    def run_on(self, world: World) -> bool:
        """Run a world for a while, and return whether it is over."""
        if isinstance(world.system, SimulatedSystem):
            scheduler, over = world.system.scheduler, world.over
            last = scheduler.turns + SLICE

            def the_last_host_has_left() -> bool:
                return over.done or scheduler.turns >= last

            world.system.run_until(the_last_host_has_left)
            return over.done
        with suppress(pykka.Timeout):
            world.over.get(timeout=TICK)
            return True
        return False

    def read_log(self, world: World) -> None:
        """Check the new events of the log."""
        for event in self.tail.read():
            self.audit.feed(event)
            self.summary.feed(event)
            world.picture_callbacks.feed(event)
            world.given.feed(event)
            self.last = event["event"]
            if self.delays is not None:
                self.problems += self.delays.feed(event)
            if self.promptness is not None:
                self.problems += self.promptness.feed(event)
                self.problems += self.priorities.feed(event)

    def close(self) -> None:
        """Close the log."""
        self.tail.close()

    def report(self, seed: int, world: World) -> Report:
        """Return the report."""
        verdict = self.audit.finish()
        problems = (
            [str(violation) for violation in verdict.violations]
            + self.problems
            + world.problems
            + world.picture_callbacks.problems
            + world.given.problems
        )
        complete = not world.params.faults["part_fails"]
        if self.stuck is not None:
            problems.append(f"stuck: {self.stuck}")
        elif self.last != "studio_closed" and complete:
            problems.append("the event log is incomplete: it does not end with studio_closed")
        else:
            problems += world.picture_callbacks.differences(complete=complete)
        system = world.system
        simulated = system if isinstance(system, SimulatedSystem) else None
        if simulated:  # on real threads a call may be given up in the moment in which it ends
            problems += [f"task {task} was drawn twice" for task in world.backend.redrawn]
        return Report(
            seed=seed,
            problems=problems[:MAX_PROBLEMS],
            outcomes=world.outcomes,
            verdict=verdict,
            summary=self.summary,
            seconds=system.clock.now / 1_000_000,
            took=monotonic() - self.began,
            turns=simulated.scheduler.turns if simulated else 0,
            injected=simulated.injected_failures if simulated else 0,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Disable the logging of failures, which are intended here."""
    names = ("pykka", "limner", "limner.system")
    levels = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    for logger, _ in levels:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in levels:
            logger.setLevel(level)
