"""Turns one at a time: the dispatcher of a simulated system.

Turns are taken by *carriers*, threads of which exactly one runs: the one that has the baton. An
actor that waits for a future parks its carrier in the middle of the turn, and another carrier goes
on; once the wait is over it joins the draw of who runs next. Nested event loops would not do: they
can only end their waits in the order of their stack. The driver, a thread of the host, has the
baton while nothing runs, and parks while something does.
"""

from __future__ import annotations

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
    """The simulation cannot go on to what is awaited; says who waits for whom."""


class SimulationClosed(Exception):
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

    def run(self) -> None:
        self.scheduler.carry(self)


class Scheduler:
    """Draws whose turn it is, lets time pass with each turn, and jumps when nobody has one.

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
        self._driving = threading.Lock()
        self._home = threading.Event()
        self._goal: Callable[[], bool] = bool
        self._limit: int | None = None
        self._met = False
        self._error: BaseException | None = None
        self._running: threading.Thread | None = None
        self._closed = False
        self.turns = 0

    @property
    def threads(self) -> int:
        """How many threads there are now."""
        return len(self._carriers)

    def ready(self, mailbox: Mailbox) -> None:
        """Let the actor of a mailbox have a turn. The caller holds the mailbox's claim."""
        if self._closed:
            with self._system:
                while mailbox.turn(64):
                    pass
        else:
            self._ready.append(mailbox)

    def aside(self, callback: Callable[[], None]) -> None:
        """Call back after this turn, apart from all actors."""
        self._aside.append(callback)

    def blocking(self) -> AbstractContextManager[None]:
        """Do nothing: what blocks parks its carrier by itself."""
        return nullcontext()

    def stop(self, because: BaseException) -> None:
        """Let the driver raise this once the turn is over."""
        self._error = self._error or because

    def wait(
        self,
        about: object,
        done: Callable[[], bool],
        subscribe: Callable[[Callable[[], None]], None],
        timeout: float | None,
    ) -> bool:
        """Wait in virtual time until something is done; say whether it is.

        Args:
            about: what is awaited, as `System.future` takes it.
            done: says whether it is.
            subscribe: is given what to call once it is.
            timeout: seconds at most; for ever if `None`.

        Raises:
            SimulationStuck: if the driver would wait for ever.
        """
        limit = None if timeout is None else self._clock.now + round(timeout * 1_000_000)
        if threading.current_thread() is self._running:
            self._park(about, subscribe, limit)
            return done()
        if not self.drive(done, limit) and limit is None:
            raise SimulationStuck(self._describe(about))
        return done()

    def drive(self, goal: Callable[[], bool], limit: int | None = None) -> bool:
        """Run turns until the goal is met, the time is over, or nothing is left to do.

        Args:
            goal: is asked after each turn; must not wait for anything.
            limit: microseconds of the clock.

        Returns:
            Whether the goal is met.
        """
        with self._driving:
            self._goal, self._limit, self._met = goal, limit, False
            self._last_turn = self.turns + self._max_turns
            self._home.clear()
            try:
                self._go_on()
                self._home.wait()
            except BaseException:  # Ctrl-C: the turn that runs is finished first
                self._goal = lambda: True
                self._home.wait()
                raise
            error, self._error = self._error, None
            if error is not None:
                raise error
            return self._met

    def settle(self) -> None:
        """Run turns until nobody has one, without a jump of the clock."""
        self.drive(lambda: not self._ready and not self._awake)

    def close(self, timeout: float = 5) -> None:  # noqa: ARG002
        """Let what is parked fail, and end the carriers."""
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
        """Take turns whenever the baton is given: the body of a carrier."""
        context.system = self._system
        while True:
            carrier.baton.acquire()
            if self._closed:
                return
            self._running = carrier
            try:
                pass_on = self._take_turns()
            except BaseException as error:  # noqa: BLE001  # a fault of the simulation itself
                self._error = error
                pass_on = self._home.set
            self._idle.append(carrier)  # before the baton goes, or another one is started
            self._running = None
            pass_on()

    def _go_on(self) -> None:
        if not self._idle:
            carrier = _Carrier(self, f"{self._system.name}-carrier-{len(self._carriers) + 1}")
            self._carriers.append(carrier)
            carrier.start()
            self._idle.append(carrier)
        self._idle.pop().baton.release()

    def _take_turns(self) -> Callable[[], None]:
        """Take turns until somebody else is to have the baton; give what hands it to them."""
        ready, awake, clock, random = self._ready, self._awake, self._clock, self._random
        cost, arm, aside = self._turn_cost, self._breaker.arm, self._aside
        while True:
            if aside:
                self._call_aside()
            if self._goal():
                self._met = True
                return self._home.set
            if self._error is not None or (self._limit is not None and clock.now >= self._limit):
                return self._home.set
            number = len(ready)
            if not number and not awake:
                if not clock.jump(self._limit):
                    return self._home.set
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
        callbacks, self._aside[:] = list(self._aside), []
        for callback in callbacks:
            callback()

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
        self._go_on()
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
    """Say what is awaited, as `System.future` is told it."""
    match about:
        case None:
            return "a future"
        case (PooledRef() as ref, message):
            return f"{ref}'s reply to {type(message).__name__}"
        case _:
            return str(about)
