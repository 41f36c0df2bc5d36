"""A system in virtual time, in which everything happens as its seed draws it."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pykka

from limner.actors.system.call_future import CallFuture, OnCancel
from limner.actors.system.context import context
from limner.actors.system.future import PooledFuture, RequestFuture, TakeBack
from limner.actors.system.outlet import Outlet
from limner.actors.system.simulation.clock import VirtualClock
from limner.actors.system.simulation.faults import BreakableMailbox, Breaker, Faults
from limner.actors.system.simulation.scheduler import Scheduler, SimulationStuck
from limner.actors.system.simulation.workers import Latency, SimulatedWorkers
from limner.actors.system.system import System

if TYPE_CHECKING:
    from limner.actors.system.mailbox import Mailbox

logger = logging.getLogger("limner.system")
T = TypeVar("T")
MAX_TURNS = 100_000_000
CENTURY = 3_155_760_000
"""Seconds that a simulation runs to at most."""


class SimulatedFuture(PooledFuture[T]):
    """A future that is waited for in virtual time."""

    simulation: SimulatedSystem | None = None
    about: object = None

    def get(self, *, timeout: float | None = None) -> Any:
        """Return the value. Outside of actors, this runs the simulation until the value is there.

        Args:
            timeout: seconds of virtual time at most.

        Raises:
            pykka.Timeout: if it has not come by then.
            SimulationStuck: if it can never come.
            Exception: the exception that the future was given.
        """
        if self._get_hook is not None:  # of a mapped future: what it is made from waits
            return pykka.Future.get(self, timeout=timeout)
        if self._result is None and self.simulation is not None:
            self.simulation.scheduler.wait(
                self.about, lambda: self._result is not None, self.when_done, timeout
            )
            if self._result is None:
                raise pykka.Timeout(f"{timeout} seconds of virtual time")
        return super().get(timeout=timeout)

    __await__ = pykka.Future.__await__  # waiting is what runs the simulation

    def _call_back(self) -> None:
        actor, context.actor = context.actor, None  # who calls back is no part of the actor's turn
        try:
            super()._call_back()
        finally:
            context.actor = actor


class SimulatedRequestFuture(SimulatedFuture[T], RequestFuture[T]):
    """The future of a request, that is waited for in virtual time."""


class SimulatedCallFuture(SimulatedFuture[T], CallFuture[T]):
    """The future of a call, that is waited for in virtual time."""


class SimulatedOutlet(Outlet[T]):
    """Calls a function between turns, outside of all actors, for each item put in, in order."""

    def __init__(self, callback: Callable[[T], object], system: SimulatedSystem) -> None:
        self._callback = callback
        self._system = system
        self._things = deque()
        self._flowing = False
        self._closed = False

    def put(self, thing: T) -> None:
        """Pass an item on, after the turn."""
        if not self._closed:
            self._things.append(thing)
            if not self._flowing:
                self._flowing = True
                self._system.scheduler.aside(self._pass_on)

    def _pass_on(self) -> None:
        self._flowing = True  # what comes meanwhile is passed on by this
        try:
            while self._things:
                thing = self._things.popleft()
                try:
                    self._callback(thing)
                except Exception:  # a subscriber ends nothing but its own call
                    logger.exception("a subscriber's callback failed")
        finally:
            self._flowing = False

    def finish(self) -> None:
        """Accept nothing more; what was put in is passed on after the turn."""
        self._closed = True

    def close(self, timeout: float = 5) -> None:  # noqa: ARG002
        """Accept nothing more; pass on all that was put in."""
        self._closed = True
        self._pass_on()


class SimulatedSystem(System):
    """A system whose actors run one at a time in virtual time, as its seed draws it.

    The same seed gives the same course of things, on any machine. The next actor with mail is
    drawn, and takes one message; time passes a little with each turn, and jumps to the next timer
    when nobody has a turn; a call on a worker takes a drawn time. How quick all these are, and
    which kinds of actors are slow, is drawn by the seed too, since a simulation that is always
    alike finds little.

    Waiting for a future runs the simulation: there is no other way to let it run but this and
    `run_until`, so nothing happens behind the back of who drives it. Use it from one thread; and
    close it, or its actors stay in Pykka's registry.

    Args:
        seed: decides everything.
        latency: gives the microseconds that a call takes, from its pool and its tag, or `None`
            if it hangs; drawn from a range that the seed draws, if it is not given.
        faults: what goes wrong.
        max_turns: turns of one run, after which it is taken for a livelock.
    """

    clock: VirtualClock
    dispatcher: Scheduler

    real = False

    def __init__(
        self,
        seed: int | str = 0,
        *,
        latency: Latency | None = None,
        faults: Faults | None = None,
        max_turns: int = MAX_TURNS,
    ) -> None:
        self.seed = seed
        self.faults = faults or Faults()
        self._streams = {}
        breaker = Breaker(self.faults.failure, self.random("failures").random)
        clock = VirtualClock(self._lateness)
        self.scheduler = Scheduler(self, clock, self.random("scheduling"), breaker, max_turns)
        self._breaker = breaker
        self._late = self.random("lateness").random
        self._range: dict[str, int] = {}
        self.latency = latency or self._draw_latency
        self._equip(f"simulation-{seed}", clock, SimulatedWorkers(self), self.scheduler)

    @property
    def injected_failures(self) -> int:
        """How many turns were made to fail."""
        return self._breaker.failures

    def run_until(self, goal: pykka.Future[T] | Callable[[], bool] | float) -> Any:
        """Run the simulation until a future is done, a condition holds, or a time has come.

        Args:
            goal: a future, whose value is returned, or its exception raised; or a function that is
                called after each turn, and returns whether the condition holds, without waiting; or
                a time, in seconds of the system's clock.

        Raises:
            SimulationStuck: if nothing is left to do, or too much, before the goal is reached; says
                who waits for whom.
            ValueError: if the time is none, or further away than a century.
        """
        if isinstance(goal, pykka.Future):
            return goal.get()
        if not callable(goal):
            if not 0 <= goal <= CENTURY:
                raise ValueError(f"a time is from 0 to {CENTURY:,} s, not {goal!r}")
            return self.scheduler.drive(bool, round(goal * 1_000_000)) and None
        name = getattr(goal, "__qualname__", repr(goal))
        self.scheduler.wait(name, goal, lambda _: None, None)
        return None

    def random(self, purpose: str) -> random.Random:
        """Return a stream of random numbers for one purpose.

        Of its methods only `random` and `getrandbits` give the same on every Python.
        """
        if purpose not in self._streams:
            self._streams[purpose] = random.Random(f"{self.seed}:{purpose}")  # noqa: S311
        return self._streams[purpose]

    @property
    def cpu_clock(self) -> None:
        """No clock: what a computation costs must not change what is simulated."""
        return

    def mailbox(self) -> Mailbox:
        """Make the mailbox of an actor."""
        if self.closed:
            raise RuntimeError("the simulation is closed; no actor can be started in it")
        return BreakableMailbox(self, self._breaker) if self.faults.failure else super().mailbox()

    def future(self, about: object = None) -> PooledFuture[Any]:
        """Make a future that is waited for in virtual time."""
        future: SimulatedFuture[Any] = SimulatedFuture()
        future.simulation, future.about = self, about
        return future

    def request_future(self, about: object, take_back: TakeBack) -> RequestFuture[Any]:
        """Make a future of a request that may be taken back, which is waited for as the others."""
        future: SimulatedRequestFuture[Any] = SimulatedRequestFuture(take_back)
        future.simulation, future.about = self, about
        return future

    def call_future(self, name: str, on_cancel: OnCancel) -> CallFuture[Any]:
        """Make a future of a call that may be cancelled, which is waited for as the others."""
        future: SimulatedCallFuture[Any] = SimulatedCallFuture(name, on_cancel)
        future.simulation, future.about = self, f"the call {name!r}"
        return future

    def outlet(
        self,
        callback: Callable[[T], object],
        *,
        lost: Callable[[T, T, int], T] | None = None,  # noqa: ARG002  # time stands still for it
        capacity: int | None = 10_000,  # noqa: ARG002
    ) -> Outlet[T]:
        """Make an outlet to a callback, which is called between turns."""
        return SimulatedOutlet(callback, self)

    def stop_all(self, because: BaseException | None = None) -> None:
        """Stop all actors, without waiting; a reason such as Ctrl-C is raised at the driver."""
        super().stop_all(because)
        if isinstance(because, KeyboardInterrupt | SystemExit):
            self.scheduler.stop(because)

    def close(self, timeout: float = 5) -> None:  # noqa: ARG002  # time can stand still
        """Stop all actors, whatever they wait for, and end all threads."""
        if self.closed:
            return
        if self.scheduler.driven:
            raise SimulationStuck("the simulation is driven: close it from outside")
        self.stop_all()
        self.scheduler.settle()
        self.clock.close()
        self.workers.close()
        self.scheduler.close()
        self.closed = True

    closed = False

    def _lateness(self) -> int:
        faults = self.faults
        if not faults.late_timer or self._late() >= faults.late_timer:
            return 0
        return int(self._late() * faults.lateness * 1_000_000)

    def _draw_latency(self, pool: str, _tag: Any) -> int:
        draw = self.random("latency").random
        kind = pool.partition("-")[0]
        if kind not in self._range:
            self._range[kind] = 10 ** (1 + int(draw() * 6))
        return int(draw() * self._range[kind])


__all__ = ["SimulatedSystem", "SimulationStuck"]
