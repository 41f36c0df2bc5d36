"""Hosts' calls to prioritise or forget messages and to cancel all, and checks of their answers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from limner.actors import PooledActor
from limner.messages.errors import LimnerError, StudioClosed
from limner.messages.status import Forgotten
from limner.scripts.simulate.draws import exponential, whole

if TYPE_CHECKING:
    import pykka

    from limner.scripts.simulate.world import World

EVERYBODY = 0.1
"""The share of the calls to cancel all that are for all owners."""


class Due(NamedTuple):
    """It is time for the next call."""


class Answered(NamedTuple):
    """The future of a call is done."""

    call: str
    future: pykka.Future[Any]


class ControllingActor(PooledActor):
    """Prioritises and forgets recent messages, and cancels all of an owner, while messages arrive.

    None of these calls waits for anything. Started by the traffic.

    Args:
        world: shared by all hosts.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.draw = world.draws("controls")

    def on_start(self) -> None:
        """Schedule the first call."""
        self.schedule_next()

    def on_receive(self, message: object) -> Any:
        """Make a call, or check the answer of one."""
        match message:
            case Due():
                try:
                    self.make_call()
                except StudioClosed:
                    self.world.count("controls refused")
                except LimnerError as error:  # a message that is being streamed
                    self.world.count(f"controls: {type(error).__name__}")
                self.schedule_next()
            case Answered():
                self.check_answer(message)
            case _:
                return super().on_receive(message)
        return None

    def schedule_next(self) -> None:
        """Schedule the next call, unless no more messages arrive."""
        every = self.world.params.scenario.controls.every
        if every is not None and self.world.arriving:
            seconds = exponential(self.draw, every.draw(self.draw))
            self.system.clock.after(seconds, self.actor_ref, Due())

    def make_call(self) -> None:
        """Make a call for one of the recent messages, or for an owner."""
        world, draw, controls = self.world, self.draw, self.world.params.scenario.controls
        recent = tuple(world.recent)
        name = recent[int(draw() * len(recent))] if recent else None
        if draw() < controls.all_cancelled.draw(draw):
            owner = f"owner-{whole(draw, 1, world.params.owners)}"
            future: pykka.Future[Any] = world.studio.cancel_all(
                None if draw() < EVERYBODY else owner
            )
            self.wait_for("cancel_all", future)
        elif name is not None and draw() < controls.forgotten.draw(draw):
            self.wait_for("forget", world.studio.forget(name))
        elif name is not None and draw() < controls.prioritised.draw(draw):
            world.studio.prioritise(name, whole(draw, 0, 9))
            world.count("messages prioritised")

    def wait_for(self, call: str, future: pykka.Future[Any]) -> None:
        """Wait for the answer of a call."""
        when_done: Any = future
        when_done.when_done(partial(self.actor_ref.deliver, Answered(call, future)))

    def check_answer(self, answered: Answered) -> None:
        """Count the answer of a call; report an unexpected one."""
        world, call = self.world, answered.call
        try:
            answer = answered.future.get(timeout=0)
        except BaseException as error:  # noqa: BLE001  # checked below
            answer = error
        if call == "cancel_all" and isinstance(answer, int):
            world.count("owners cancelled" if answer else "owners with nothing to cancel")
        elif call == "forget" and isinstance(answer, Forgotten):
            world.count("messages forgotten" if answer.prompts else "messages not known")
        elif isinstance(answer, LimnerError):
            world.count(f"controls: {type(answer).__name__}")
        elif not isinstance(answer, ConnectionError):  # which the store of a simulation raises
            world.problems.append(f"{call} gave {answer!r}")
