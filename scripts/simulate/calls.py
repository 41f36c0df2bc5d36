"""Host calls through the limiter, and the checks of their answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from limner.actors import PooledActor
from limner.messages.errors import LimnerError, StudioClosed
from limner.scripts.simulate.answers import DrawnAnswer
from limner.scripts.simulate.draws import exponential, whole

if TYPE_CHECKING:
    import pykka

    from limner.actors.limiter.handle import Batches, Limiter
    from limner.scripts.simulate.world import World

MAX_BATCH = 5
"""Calls of a batch, at most."""

MAX_TIME = 2
"""Seconds that a batch waits for more calls, at most."""

LONG = 5
"""Seconds that a call may take, on average, if that is bounded."""

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
        try:
            if draw() < calls.batched.draw(draw):
                future = self.batch(lane).add(self.number)
            else:
                future = world.studio.limiter.schedule(
                    partial(world.backend.answer, self.number),
                    lane=lane,
                    priority=whole(draw, 0, 9),
                    owner=f"caller-{whole(draw, 1, 3)}" if draw() < 0.7 else None,
                    weight=calls.weight.draw_whole(draw),
                    blocks=draw() < calls.blocking.draw(draw),
                    **self.rules(),
                )
        except StudioClosed:
            return  # a host with a message will open another studio
        world.calls[self.number] = future
        when_done: Any = future
        when_done.when_done(partial(self.actor_ref.deliver, Answered(self.number)))

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
        problem = complaint(number, self.world.calls.pop(number))
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


def unanswered(calls: dict[int, pykka.Future[Any]]) -> str | None:
    """Return a complaint if calls have no answer once all studios are closed; else `None`."""
    left = [number for number, future in calls.items() if complaint(number, future, wait=SOON)]
    return f"{len(left)} calls of hosts were never answered, such as {left[0]}" if left else None
