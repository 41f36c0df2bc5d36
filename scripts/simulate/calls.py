"""What a host runs through the limiter itself, and what it expects of that."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from limner.actors import PooledActor
from limner.messages.errors import LimnerError, StudioClosed
from limner.scripts.simulate.draws import exponential, whole

if TYPE_CHECKING:
    import pykka

    from limner.actors.limiter.handle import Batches, Limiter
    from limner.scripts.simulate.world import World

MAX_BATCH = 5
"""Calls of a batch at most."""

MAX_TIME = 2
"""Seconds that a batch waits for more at most."""

SOON = 1
"""Seconds after the end of the last studio in which each call is to be answered."""


class Due(NamedTuple):
    """The next call is to be made."""


class Answered(NamedTuple):
    """A call has come back, or never will."""

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
        self.batches: dict[tuple[Limiter, str], Batches[int, int]] = {}

    def on_start(self) -> None:
        """Begin."""
        self.go_on_later()

    def on_receive(self, message: object) -> Any:
        """Make a call, or look at what became of one."""
        match message:
            case Due():
                self.make()
                self.go_on_later()
            case Answered():
                self.look(message.number)
            case _:
                return super().on_receive(message)
        return None

    def go_on_later(self) -> None:
        """Set the time of the next call."""
        every = self.world.params.scenario.calls.every
        if every is not None and self.world.arriving:
            mean = every.draw(self.draw)
            self.system.clock.after(exponential(self.draw, mean), self.actor_ref, Due())

    def make(self) -> None:
        """Make a call, in any lane."""
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
                )
        except StudioClosed:
            return  # whoever has a message opens another one
        world.calls[self.number] = future
        when_done: Any = future
        when_done.when_done(partial(self.actor_ref.deliver, Answered(self.number)))

    def batch(self, lane: str) -> Batches[int, int]:
        """Give what gathers the calls of a lane."""
        limiter, draw = self.world.studio.limiter, self.draw
        if (limiter, lane) not in self.batches:
            self.batches[limiter, lane] = limiter.collect(
                self.world.backend.answer_all,
                max_size=whole(draw, 1, MAX_BATCH),
                max_time=MAX_TIME * draw(),
                lane=lane,
            )
        return self.batches[limiter, lane]

    def look(self, number: int) -> None:
        """Look at what became of a call."""
        wrong = complaint(number, self.world.calls.pop(number))
        if wrong is not None:
            self.world.problems.append(wrong)


def complaint(number: int, future: pykka.Future[int], *, wait: float = 0) -> str | None:
    """Say what is wrong with the answer of a call, waited for for some seconds; `None` if nothing.

    Raises nothing, whatever the call has raised.
    """
    try:
        answer = future.get(timeout=wait)
    except LimnerError:
        return None
    except BaseException as error:  # noqa: BLE001  # a host expects none of these
        return f"call {number} of a host raised {error!r}"
    return None if answer == number else f"call {number} of a host gave {answer!r}"


def unanswered(calls: dict[int, pykka.Future[int]]) -> str | None:
    """Say which calls have no answer, once no studio is open any more; `None` if all have one."""
    left = [number for number, future in calls.items() if complaint(number, future, wait=SOON)]
    return f"{len(left)} calls of hosts were never answered, such as {left[0]}" if left else None
