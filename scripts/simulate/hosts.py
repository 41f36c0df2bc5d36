"""Hosts as actors: they open messages, feed them, disturb them, and check the results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from limner.actors import PooledActor
from limner.actors.system import ActorEnded, PooledRef
from limner.messages.errors import (
    LimnerError,
    MessageBusy,
    SessionFailed,
    StreamClosed,
    StudioClosed,
    VersionConflict,
)
from limner.messages.pictures import Illustrated
from limner.messages.tasks import TaskState
from limner.messages.text.marks import find_marks
from limner.messages.unicode import wellformed
from limner.scripts.simulate.expectations import broken_expectations
from limner.scripts.simulate.plans import End, Meddling, Plan, Way
from limner.scripts.simulate.revising import RevisingActor

if TYPE_CHECKING:
    import pykka

    from limner.actors import Stream
    from limner.scripts.simulate.world import World

AGAIN = 0.25
"""Seconds after which a host tries again if the studio is closed."""

ASKING = 0.02
"""The share of a host's steps at which it asks for its message's progress."""

UP_TO_DATE = "\n\n(edited by the host)"


class Moment(Enum):
    """The messages to a host."""

    NEXT = 0
    LATER = 1
    SETTLED = 2


class HostActor(PooledActor):
    """Plays a host with one message. Started by the traffic; stops once its future is done.

    Args:
        world: shared by all hosts.
        plan: what it does.
    """

    def __init__(self, world: World, plan: Plan) -> None:
        super().__init__()
        self.world = world
        self.plan = plan
        self.sent = ""
        self.edited: str | None = None
        self.cut = False
        self.step = 0
        self.stream: Stream | None = None
        self.future: pykka.Future[Illustrated] | None = None
        self.pieces: Iterator[str] = plan.pieces()
        self.draw = world.draws("hosts")
        self.revising: PooledRef[Any] | None = None

    def on_start(self) -> None:
        """Start with the first step."""
        self.actor_ref.tell(Moment.NEXT)

    def on_receive(self, message: object) -> Any:
        """Do the next step."""
        match message:
            case Moment.NEXT if self.future is None:
                self.next_step()
            case Moment.LATER:
                self.do_afterwards()
                with suppress(StudioClosed):
                    self.cancel_a_picture()
            case Moment.SETTLED:
                self.check_result()
            case ActorEnded() if message.ref is self.revising:
                self.stop()
            case _:
                return super().on_receive(message)
        return None

    def next_step(self) -> None:
        """Open the message, send the next chunk, or end the message."""
        try:
            if self.stream is None:
                self.open()
            else:
                self.send()
        except StudioClosed:
            self.stream, self.sent, self.step = None, "", 0
            self.pieces = self.plan.pieces()
            self.world.reopen()
            self.in_seconds(AGAIN, Moment.NEXT)
        except StreamClosed:  # another host has ended it, or its session has failed
            assert self.stream is not None
            self.cut = True
            self.wait_for(self.stream.future)
        except MessageBusy:
            self.world.count("refused")
            self.stop()

    def open(self) -> None:
        """Open the message."""
        plan, studio = self.plan, self.world.studio
        of: Any = {
            "owner": plan.owner,
            "priority": plan.priority,
            "on_picture": self.world.picture_callbacks.listener(),
        }
        if plan.way is Way.WHOLE:
            self.wait_for(studio.illustrate(plan.message_id, plan.text, **of))
            return
        self.stream = studio.stream(plan.message_id, **of)
        self.actor_ref.tell(Moment.NEXT)

    def send(self) -> None:
        """Send the next chunk, or end the message."""
        assert self.stream is not None
        plan = self.plan
        piece = None if self.stops_here else next(self.pieces, None)
        if piece is None:
            self.end()
            return
        self.step += 1
        if plan.way is Way.REPLACE:
            self.sent = plan.text[: sum(plan.chunks[: self.step])]
            self.stream.replace(self.sent)
        else:
            self.sent += piece
            self.stream.feed(piece)
        if plan.meddling is Meddling.SAVE_WHILE_STREAMING and self.step == plan.stop_at:
            self.put(wellformed(self.sent))
        if self.draw() < ASKING:
            self.world.studio.progress(plan.message_id)
        self.cancel_a_picture()
        self.in_seconds(plan.pace * 2 * self.draw(), Moment.NEXT)

    def cancel_a_picture(self) -> None:
        """Cancel one picture of the message now and then: one that waits, or any, also settled."""
        world = self.world
        rate, draw = world.params.faults["picture_cancelled"], world.draws("pictures cancelled")
        if rate and draw() < rate:
            tasks = world.studio.tasks(self.plan.message_id)
            waiting = [task for task in tasks if task.state is TaskState.QUEUED]
            if waiting and draw() < 0.5:
                tasks = tuple(waiting[:1])
            if tasks:
                world.studio.cancel_task(tasks[int(draw() * len(tasks))].task_id)
                world.count("pictures cancelled")

    @property
    def stops_here(self) -> bool:
        """Whether the message is interrupted or cancelled at this step."""
        return self.plan.end in {End.INTERRUPT, End.CANCEL} and self.step >= self.plan.stop_at

    def end(self) -> None:
        """End the message as planned."""
        assert self.stream is not None
        self.cut = self.stream.ended
        match self.plan.end:
            case End.INTERRUPT:
                self.wait_for(self.stream.interrupt())
            case End.CANCEL:
                self.cancel(self.stream)
                self.wait_for(self.stream.future)
            case End.FINISH_WITH_TEXT:
                self.wait_for(self.stream.finish(self.plan.text))
            case End.STALL:
                self.world.count("left open")
                self.world.uncertain.add(self.plan.message_id)
                self.stop()
            case _:
                self.wait_for(self.stream.finish())
                if self.stream.finish() is not self.future:
                    self.world.problems.append(f"{self.plan.message_id}: it was finished twice")

    def wait_for(self, future: pykka.Future[Illustrated]) -> None:
        """Wait for the session's end, and schedule what is planned meanwhile."""
        self.future = future
        when_done: Any = future
        when_done.when_done(partial(self.actor_ref.deliver, Moment.SETTLED))
        self.in_seconds(self.plan.later, Moment.LATER)

    def do_afterwards(self) -> None:
        """Do what is planned for the time after the end."""
        plan = self.plan
        if plan.meddling is Meddling.EDIT:
            if plan.message_id in self.world.store.loaded:  # else it is the text to begin with
                self.edited = plan.text + UP_TO_DATE
            self.put(plan.text + UP_TO_DATE)
        elif plan.meddling is Meddling.DELETE:
            self.world.store.inner.texts.pop(plan.message_id, None)
        if self.stream is not None and plan.end is End.FINISH_THEN_INTERRUPT:
            self.stream.interrupt()
        if self.stream is not None and plan.end is End.FINISH_THEN_CANCEL:
            with suppress(StudioClosed):
                self.cancel(self.stream)

    def cancel(self, stream: Stream) -> None:
        """Cancel the message; by the studio's call, if another host has opened the stream."""
        try:
            stream.cancel()
        except MessageBusy:
            self.world.studio.cancel(self.plan.message_id)

    def put(self, text: str) -> None:
        """Write into the store directly, without Limner."""
        with suppress(VersionConflict):  # on real threads, if Limner was quicker
            self.world.store.put(self.plan.message_id, text)

    def check_result(self) -> None:
        """Check the result of the message."""
        assert self.future is not None
        ended: Any
        try:
            ended = self.future.get(timeout=0)
        except BaseException as error:  # noqa: BLE001  # checked below
            ended = error
        world, plan = self.world, self.plan
        if plan.message_id in world.crowded:
            plan = replace(plan, alone=False)
        world.count(_name(ended))
        if isinstance(ended, SessionFailed | StudioClosed):
            world.uncertain.add(plan.message_id)
        world.problems.extend(
            broken_expectations(
                plan,
                ended,
                faultless=world.params.faultless,
                may_be_cut=self.cut,
                all_written=world.params.scenario.all_written,
            )
        )
        if plan.is_plain and isinstance(ended, Illustrated) and ended.written:
            held = world.store.inner.texts.get(plan.message_id, "")
            # a picture that came late may have been placed since
            if held != ended.text and without_marks(held) != without_marks(ended.text):
                world.problems.append(f"{plan.message_id}: the store holds another text")
        if self.edited and plan.alone and isinstance(ended, Illustrated) and ended.written:
            held = world.store.inner.texts.get(plan.message_id, "")
            if without_marks(held) != self.edited:
                world.problems.append(f"{plan.message_id}: the host's edit is lost")
        self.revise_or_stop()

    def revise_or_stop(self) -> None:
        """Start a reviser for some messages, and stop after it; else stop at once."""
        revised = self.world.params.revised
        if revised and self.world.draws("revised")() < revised:
            self.revising = RevisingActor.start(self.world, self.plan.message_id)
        else:
            self.stop()

    def in_seconds(self, seconds: float, moment: Moment) -> None:
        """Send a message to this actor after some seconds."""
        self.system.clock.after(seconds, self.actor_ref, moment)


def without_marks(text: str) -> str:
    """Return a text without its pictures and the marks of failures."""
    for found in reversed(find_marks(text)):
        text = text[: found.start] + text[found.end :]
    return text


def _name(ended: object) -> str:
    """Return a name for the result of a host."""
    if isinstance(ended, Illustrated):
        return "written" if ended.written else "skipped"
    return type(ended).__name__ if isinstance(ended, LimnerError) else "unexpected"
