"""Host calls through the limiter, and the checks of their answers."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from limner.actors import PooledActor
from limner.messages.errors import LimnerError, StudioClosed
from limner.messages.validation import group_of
from limner.scripts.simulate.answers import DrawnAnswer
from limner.scripts.simulate.cancels import Cancel, Granted, Return
from limner.scripts.simulate.draws import exponential, whole
from limner.scripts.simulate.parameters import MAX_COST

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pykka

    from limner.actors import CallFuture, HeldSlot
    from limner.actors.limiter.handle import Batches, Limiter
    from limner.scripts.simulate.world import World

MAX_BATCH = 5
"""Calls of a batch, at most."""

MAX_TIME = 2
"""Seconds that a batch waits for more calls, at most."""

LONG = 5
"""Seconds that a call may take, on average, if that is bounded."""

PATIENCE = 3
"""Seconds after which a call is cancelled or a slot returned, on average."""

SOON = 1
"""Seconds after the end of the last studio in which each call is to be answered."""


class Due(NamedTuple):
    """It is time for the next call."""


class Answered(NamedTuple):
    """A call has returned, or its future was failed."""

    number: int


class CallingActor(PooledActor):
    """Makes calls through the limiter, one by one and in batches, while messages arrive.

    Started by the traffic.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.number = 0
        self.draw = world.draws("calls")
        self.draw_rules = world.draws("attempts")
        self.draw_cancels = world.draws("cancels")
        self.plain: set[int] = set()
        self.never: set[int] = set()
        self.held: dict[int, HeldSlot] = {}
        self.draw_costs = world.draws("costs")
        self.late: dict[int, dict[str, int]] = {}  # what is settled after the call's end
        self.batches: dict[tuple[Limiter, str], Batches[int, int]] = {}

    def on_start(self) -> None:
        """Schedule the first call."""
        self.schedule_next()

    def on_receive(self, message: object) -> Any:
        """Make a call, or check the answer of one."""
        match message:
            case Due():
                self.make_call()
                self.schedule_next()
            case Answered():
                self.check_answer(message.number)
            case Cancel():
                self.cancel(message.number)
            case Granted():
                self.granted(message.number)
            case Return():
                self.give_back(message.number)
            case _:
                return super().on_receive(message)
        return None

    def schedule_next(self) -> None:
        """Schedule the next call, unless no more messages arrive."""
        every = self.world.params.scenario.calls.every
        if every is not None and self.world.arriving:
            mean = every.draw(self.draw)
            self.system.clock.after(exponential(self.draw, mean), self.actor_ref, Due())

    def make_call(self) -> None:
        """Make a call in a random lane."""
        draw, world = self.draw, self.world
        calls, names = world.params.scenario.calls, world.params.lane_names
        lane = names[int(draw() * len(names))]
        self.number += 1
        if self.draw_cancels() < calls.held.draw(self.draw_cancels):
            self.hold(lane)
            return
        rules = self.rules()
        try:
            if draw() < calls.batched.draw(draw):
                future = self.batch(lane).add(self.number)
            else:
                future = world.studio.limiter.schedule(
                    partial(self.answer, self.number),
                    lane=lane,
                    priority=whole(draw, 0, 9),
                    owner=f"caller-{whole(draw, 1, 3)}" if draw() < 0.7 else None,
                    weight=calls.weight.draw_whole(draw),
                    blocks=draw() < calls.blocking.draw(draw),
                    **rules,
                    **self.costs(lane),
                )
                if not rules:
                    self.plain.add(self.number)
        except StudioClosed:
            return  # a host with a message will open another studio
        world.calls[self.number] = future
        when_done: Any = future
        when_done.when_done(partial(self.actor_ref.deliver, Answered(self.number)))
        if self.draw_cancels() < calls.cancelled.draw(self.draw_cancels):
            after = exponential(self.draw_cancels, PATIENCE)
            self.system.clock.after(after, self.actor_ref, Cancel(self.number))

    def answer(self, number: int) -> Any:
        """Answer a call; one that was cancelled must not be asked for."""
        if number in self.never:
            self.world.problems.append(f"call {number} of a host ran though it was cancelled")
        return self.world.backend.answer(number)

    def cancel(self, number: int) -> None:
        """Cancel a call, if it has not begun."""
        future: Any = self.world.calls.get(number)
        if future is not None and future.cancel():
            if number in self.plain:
                self.never.add(number)
            self.world.given.give(future.name, self.system.clock.now)

    def hold(self, lane: str) -> None:
        """Request a slot, to hold it for a while, and to wait for it for a while at most."""
        draw = self.draw_cancels
        try:
            slot = self.world.studio.limiter.slot(lane, priority=whole(draw, 0, 9))
            future = slot._begin()  # noqa: SLF001  # an actor must not wait for it
        except StudioClosed:
            return
        self.held[self.number] = slot
        future.when_done(partial(self.actor_ref.deliver, Granted(self.number)))
        after = exponential(draw, PATIENCE)
        self.system.clock.after(after, self.actor_ref, Return(self.number))

    def granted(self, number: int) -> None:
        """Hold a slot that was granted; it is returned when its time is over."""
        slot = self.held.get(number)
        if slot is not None:
            try:
                slot._grant = slot._future.get(timeout=0)  # type: ignore[union-attr]  # noqa: SLF001
            except LimnerError:
                del self.held[number]  # there is none

    def give_back(self, number: int) -> None:
        """Return a slot, or wait for it no longer."""
        slot = self.held.pop(number, None)
        if slot is not None and slot._future is not None:  # noqa: SLF001
            future = slot._future  # noqa: SLF001
            if slot._grant is None:  # noqa: SLF001
                slot._give_up(future)  # noqa: SLF001
            else:
                slot._return(None)  # noqa: SLF001
            self.world.given.give(future.name, self.system.clock.now)

    def rules(self) -> dict[str, Any]:
        """Draw how a call is tried."""
        draw = self.draw_rules
        if draw() >= self.world.params.scenario.calls.retried.draw(draw):
            return {}
        return {
            "attempts": whole(draw, 1, 4),
            "retry_on": (LimnerError, DrawnAnswer) if draw() < 0.3 else None,
            "timeout": exponential(draw, LONG) + 0.01 if draw() < 0.5 else None,
            "preemptible": draw() < 0.5,
            "name": f"host-{self.number}" if draw() < 0.5 else None,
        }

    def costs(self, lane: str) -> dict[str, Any]:
        """Draw what a call takes of budgets, and by when it must have its slot."""
        draw, calls = self.draw_costs, self.world.params.scenario.calls
        rules: dict[str, Any] = {}
        if draw() < calls.timed.draw(draw):
            rules |= {"deadline": exponential(draw, LONG) + 0.01, "refuse_late": draw() < 0.5}
        names, upstream = set[str](), self.world.params.lanes.get(group_of(lane))
        while upstream is not None:
            names.update(upstream.budgets)
            behind = upstream.behind
            upstream = None if behind is None else self.world.params.lanes[behind]
        if draw() < calls.settled.draw(draw):
            takes = {name: whole(draw, 0, MAX_COST) for name in sorted(names)}
            costs = {name: whole(draw, 0, 2 * MAX_COST) for name in sorted(names)}
            rules["costs"] = takes
            rules["settle"] = (lambda _: costs) if draw() < 0.7 else None
            if draw() < 0.3:
                self.late[self.number] = costs
        return rules

    def batch(self, lane: str) -> Batches[int, int]:
        """Return the batches of a lane."""
        limiter, draw = self.world.studio.limiter, self.draw
        if (limiter, lane) not in self.batches:
            self.batches[limiter, lane] = limiter.collect(
                self.world.backend.answer_all,
                max_size=whole(draw, 1, MAX_BATCH),
                max_time=MAX_TIME * draw(),
                lane=lane,
            )
        return self.batches[limiter, lane]

    def check_answer(self, number: int) -> None:
        """Check the answer of a call."""
        future: Any = self.world.calls.pop(number)
        if (costs := self.late.pop(number, None)) is not None:
            with suppress(StudioClosed):
                self.world.studio.limiter.settle(future.name, costs)
        problem = complaint(number, future)
        if problem is None and number in self.plain and not self.world.params.faults["part_fails"]:
            problem = broken_off(number, future)
        self.plain.discard(number)
        if problem is not None:
            self.world.problems.append(problem)


def complaint(number: int, future: pykka.Future[Any], *, wait: float = 0) -> str | None:
    """Return what is wrong with the answer of a call; `None` if nothing is.

    Args:
        number: of the call, which is also its right answer.
        future: of the answer.
        wait: seconds to wait for the answer.
    """
    try:
        answer = future.get(timeout=wait)
    except (LimnerError, DrawnAnswer):
        return None
    except BaseException as error:  # noqa: BLE001  # a host expects none of these
        return f"call {number} of a host raised {error!r}"
    given = answer.number if isinstance(answer, DrawnAnswer) else answer
    return None if given == number else f"call {number} of a host gave {answer!r}"


def broken_off(number: int, future: CallFuture[Any]) -> str | None:
    """Return a complaint if closing did not wait for a call that ran; else `None`."""
    try:
        future.get(timeout=0)
    except StudioClosed:
        if future.begun:
            return f"call {number} of a host ran when the studio closed, and was not waited for"
    except Exception:  # noqa: BLE001  # it is what the call raised
        return None
    return None


def unanswered(calls: Mapping[int, pykka.Future[Any]]) -> str | None:
    """Return a complaint if calls have no answer once all studios are closed; else `None`."""
    left = [number for number, future in calls.items() if complaint(number, future, wait=SOON)]
    return f"{len(left)} calls of hosts were never answered, such as {left[0]}" if left else None
