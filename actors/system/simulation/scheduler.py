"""Turns one at a time: the dispatcher of a simulated system.

Turns are taken by *carriers*, threads of which exactly one runs: the one that has the baton. An
actor that waits for a future parks its carrier in the middle of the turn, and another carrier goes
on; once the wait is over it joins the draw of who runs next. Nested event loops would not do: they
can only end their waits in the order of their stack. The driver, a thread of the host, has the
baton while nothing runs, and parks while something does.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from random import Random
from typing import TYPE_CHECKING

from limner.actors.system.context import context
from limner.actors.system.mailbox import Mailbox
from limner.actors.system.reference import PooledRef

if TYPE_CHECKING:
    from limner.actors.system.actor import PooledActor
    from limner.actors.system.simulation.clock import Alarm, VirtualClock
    from limner.actors.system.simulation.faults import Breaker
    from limner.actors.system.system import System

PASSED_OVER = (0.0, 0.0, 0.0, 0.5, 0.9, 0.99)
"""How likely actors of one class are passed over in the draw: drawn once a class and seed."""
TURN_COSTS = (1, 5, 20, 100, 500)
"""Microseconds that a turn takes at most: drawn once a seed."""


class SimulationStuck(Exception):
    """The simulation cannot reach what is awaited; the message says who waits for whom."""


class SimulationClosed(BaseException):
    """Raised in what still waits when its simulation is closed."""


class Parked:
    """A carrier in the middle of a turn, until what it waits for is there."""

    __slots__ = ("about", "alarm", "baton", "who")

    def __init__(self, who: str, about: object) -> None:
        self.who = who
        self.about = about
        self.alarm: Alarm | None = None
        self.baton = threading.Lock()
        self.baton.acquire()


class _Carrier(threading.Thread):
    def __init__(self, scheduler: Scheduler, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.scheduler = scheduler
        self.baton = threading.Lock()
        self.baton.acquire()
        self.runs = 0

    def run(self) -> None:
        self.scheduler.carry(self)


class Scheduler:
    """Draws which actor runs next, advances time with each turn, and jumps when none is ready.

    Args:
        system: of the actors.
        clock: its clock.
        random: whose numbers decide.
        breaker: lets turns fail.
        max_turns: turns of one run, after which it is taken for a livelock.
    """

    def __init__(
        self, system: System, clock: VirtualClock, random: Random, breaker: Breaker, max_turns: int
    ) -> None:
        self._system = system
        self._clock = clock
        self._random = random.random
        self._breaker = breaker
        self._max_turns = max_turns
        self._turn_cost = TURN_COSTS[int(self._random() * len(TURN_COSTS))]
        self._passed_over: dict[type[PooledActor], float] = {}
        self._ready: list[Mailbox] = []
        self._parked: dict[Parked, None] = {}
        self._awake: list[Parked] = []
        self._carriers: list[_Carrier] = []
        self._idle: list[_Carrier] = []
        self._aside: list[Callable[[], None]] = []
        self._home = threading.Lock()
        self._away = False
        self._goal: Callable[[], bool] = bool
        self._limit: int | None = None
        self._met = False
        self._error: BaseException | None = None
        self._running: threading.Thread | None = None
        self._asks = False
        self._closed = False
        self._last_turn = 0
        self.turns = 0
        self.driven = False

    @property
    def threads(self) -> int:
        """How many threads there are now."""
        return len(self._carriers)

    def ready(self, mailbox: Mailbox) -> None:
        """Schedule a turn of a mailbox's actor. The caller holds the mailbox's claim."""
        if self._closed:
            with self._system:
                while mailbox.turn(64):
                    pass
        else:
            self._ready.append(mailbox)

    def aside(self, callback: Callable[[], None]) -> None:
        """Call a function after this turn, outside of all actors."""
        self._aside.append(callback)

    def blocking(self) -> AbstractContextManager[None]:
        """Do nothing: what blocks parks its carrier by itself."""
        return nullcontext()

    def stop(self, because: BaseException) -> None:
        """Raise this at the driver once the turn is over."""
        self._error = self._error or because

    def wait(
        self,
        about: object,
        done: Callable[[], bool],
        subscribe: Callable[[Callable[[], None]], None],
        timeout: float | None,
    ) -> bool:
        """Wait in virtual time until something is done, and return whether it is.

        Args:
            about: what is awaited, as `System.future` takes it.
            done: says whether it is.
            subscribe: is given what to call once it is.
            timeout: seconds at most; for ever if `None`.

        Raises:
            SimulationStuck: if the driver would wait for ever, or somebody else drives.
        """
        if timeout == 0:
            return done()
        if self._asks:
            raise SimulationStuck(f"what `run_until` asks after each turn waits for {named(about)}")
        limit = None if timeout is None else self._clock.now + round(timeout * 1_000_000)
        if threading.current_thread() is self._running:
            self._park(about, subscribe, limit)
            return done()
        if not self.drive(done, limit) and limit is None:
            raise SimulationStuck(self._describe(about))
        return done()

    def drive(
        self, goal: Callable[[], bool], limit: int | None = None, *, max_turns: int | None = None
    ) -> bool:
        """Run turns until the goal is met, the time is over, or nothing is left to do.

        Args:
            goal: is asked after each turn; must not wait for anything.
            limit: microseconds of the clock.
            max_turns: turns after which it is taken for a livelock, if not the usual number.

        Returns:
            Whether the goal is met.

        Raises:
            SimulationStuck: if the simulation is closed, or driven by somebody else.
        """
        if self._closed:
            raise SimulationStuck("the simulation is closed, so nothing happens in it any more")
        if self.driven:
            raise SimulationStuck("somebody else drives the simulation: use it from one thread")
        try:
            self.driven = True
            self._goal, self._limit, self._met = goal, limit, False
            self._last_turn = self.turns + (max_turns or self._max_turns)
            self._run(self._next_carrier())
            error, self._error = self._error, None
            if error is not None:
                raise error
            return self._met
        finally:
            self.driven = self._away  # still, if a second Ctrl-C did not wait for the turn

    def _run(self, carrier: _Carrier) -> None:
        """Pass the baton on, and wait until it is back."""
        runs = carrier.runs
        self._home.acquire(blocking=False)
        try:
            self._away = True
            carrier.baton.release()
            self._come_home()
        except BaseException:  # Ctrl-C: the turn that runs is finished first
            self._goal = lambda: True
            self._home.acquire(timeout=0.2)
            if carrier.runs == runs and carrier.baton.locked():  # it was not given away yet
                self._away = False
                self._idle.append(carrier)
            self._come_home()
            raise

    def _come_home(self) -> None:
        # the flag is what counts: an interrupt may come between the lock and its caller
        while self._away:
            self._home.acquire(timeout=0.2)

    def _give_home(self) -> None:
        self._away = False
        if self._home.locked():
            self._home.release()

    def settle(self) -> None:
        """Run turns until nobody has one, without a jump of the clock."""
        self.drive(lambda: not self._ready and not self._awake, max_turns=sys.maxsize)

    def close(self, timeout: float = 5) -> None:  # noqa: ARG002
        """Fail what is parked, and end the carriers."""
        while self._parked or self._awake:
            parked = self._awake.pop() if self._awake else next(iter(self._parked))
            self._parked.pop(parked, None)
            parked.about = SimulationClosed
            self._awake.append(parked)
            self.settle()
        self._closed = True
        for carrier in self._carriers:
            carrier.baton.release()
        for carrier in self._carriers:
            carrier.join()
        self._carriers.clear()
        for mailbox in self._ready:
            self.ready(mailbox)

    def carry(self, carrier: _Carrier) -> None:
        """Run turns whenever the carrier has the baton: the body of a carrier."""
        context.system = self._system
        while True:
            carrier.baton.acquire()
            if self._closed:
                return
            carrier.runs += 1
            self._running = carrier
            try:
                pass_on = self._take_turns()
            except BaseException as error:  # noqa: BLE001  # a fault of the simulation itself
                self._asks = False
                self._error = error
                pass_on = self._give_home
            self._idle.append(carrier)  # before the baton goes, or another one is started
            self._running = None
            pass_on()

    def _next_carrier(self) -> _Carrier:
        if self._idle:
            return self._idle.pop()
        carrier = _Carrier(self, f"{self._system.name}-carrier-{len(self._carriers) + 1}")
        self._carriers.append(carrier)
        carrier.start()
        return carrier

    def _take_turns(self) -> Callable[[], None]:
        """Run turns until another thread must have the baton; return what passes it on."""
        ready, awake, clock, random = self._ready, self._awake, self._clock, self._random
        cost, arm, aside = self._turn_cost, self._breaker.arm, self._aside
        while True:
            if aside:
                self._call_aside()
            self._asks = True
            self._met = self._goal()
            self._asks = False
            if self._met:
                return self._give_home
            if self._error is not None or (self._limit is not None and clock.now >= self._limit):
                return self._give_home
            number = len(ready)
            if not number and not awake:
                if not clock.jump(self._limit):
                    return self._give_home
                continue
            index = int(random() * (number + len(awake)))
            if index >= number:
                return awake.pop(index - number).baton.release
            mailbox = ready[index]
            actor = mailbox.actor
            if actor is not None:
                if number > 1 and self._is_passed_over(actor):
                    continue
                arm(actor)
            ready[index] = ready[-1]
            ready.pop()
            self.turns += 1
            if mailbox.turn(1):
                ready.append(mailbox)
            clock.now += 1 + int(random() * cost)
            clock.fire_due()
            if self.turns >= self._last_turn:
                raise SimulationStuck(
                    f"{self._max_turns:,} turns were taken and what is awaited has not come: "
                    f"{clock.now / 1_000_000:.6f} s of virtual time have passed; "
                    f"the last turn was one of {actor or mailbox.name}"
                )

    def _is_passed_over(self, actor: PooledActor) -> bool:
        kind = type(actor)
        chance = self._passed_over.get(kind)
        if chance is None:
            chance = PASSED_OVER[int(self._random() * len(PASSED_OVER))]
            self._passed_over[kind] = chance
        return chance > 0 and self._random() < chance

    def _call_aside(self) -> None:
        while self._aside:
            self._aside.pop(0)()

    def _park(
        self, about: object, subscribe: Callable[[Callable[[], None]], None], limit: int | None
    ) -> None:
        me = threading.current_thread()
        parked = Parked(f"{context.actor or 'a call'}", about)
        self._parked[parked] = None
        if limit is not None:
            parked.alarm = self._clock.alarm(limit, lambda: self._wake(parked))
        subscribe(lambda: self._wake(parked))
        self._running = None
        self._next_carrier().baton.release()
        parked.baton.acquire()
        self._running = me
        if parked.about is SimulationClosed:
            raise SimulationClosed("the simulation was closed while this was awaited")

    def _wake(self, parked: Parked) -> None:
        if parked in self._parked:
            del self._parked[parked]
            self._awake.append(parked)
            if parked.alarm is not None:
                parked.alarm.cancel()

    def _describe(self, about: object) -> str:
        waits = [f"the driver awaits {named(about)}"]
        waits += [f"{parked.who} awaits {named(parked.about)}" for parked in self._parked]
        return (
            f"nothing is left to do at {self._clock.now / 1_000_000:.6f} s of virtual time, "
            f"with {len(self._system.supervision)} actor(s) alive: " + "; ".join(waits)
        )


def named(about: object) -> str:
    """Return what is awaited, as `System.future` was told it."""
    match about:
        case None:
            return "a future"
        case (PooledRef() as ref, message):
            return f"{ref}'s reply to {type(message).__name__}"
        case _:
            return str(about)
