"""What the root knows of a message that has a session: the session, and what comes after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from limner.actors.system import PooledRef
from limner.messages.session.lifecycle import ApplyNow, OpenStream, Regenerate, SessionEnded
from limner.messages.writes.protocol import EditText

Waiting = OpenStream | Regenerate | ApplyNow | EditText


@dataclass(slots=True)
class Live:
    """A session that has not ended, and how it has said that it will.

    Args:
        opening: what it was opened for; a `Regenerate` if it regenerates.
        actors: those of it that have not ended.
        ref: the session itself.
        ended: its last word.
        reason: why it failed, if it had none.
        waiting: what comes after it, in order.
        asked: what a session that regenerates was told of, by name.
        cleared: names of those that are not wanted any more.
    """

    opening: OpenStream | Regenerate
    actors: set[PooledRef[Any]]
    ref: PooledRef[Any]
    ended: SessionEnded | None = None
    reason: BaseException | None = None
    waiting: tuple[Waiting, ...] = ()
    asked: dict[str, Regenerate | ApplyNow] = field(default_factory=dict)
    cleared: set[str] = field(default_factory=set)

    @property
    def gathers(self) -> bool:
        """Whether a further regeneration may gather with it."""
        return isinstance(self.opening, Regenerate) and not self.waiting

    def pass_on(self, message: Regenerate | ApplyNow) -> None:
        """Tell the session of one more wish, which it may not hear any more."""
        name = message.name if isinstance(message, ApplyNow) else message.session_id
        self.asked[name] = message
        self.ref.deliver(message)

    @property
    def streams_wait(self) -> bool:
        """Whether a stream is to begin after it."""
        return any(isinstance(one, OpenStream) for one in self.waiting)

    @property
    def gathering(self) -> list[Regenerate]:
        """The regenerations of the message that have no outcome yet, and are still wanted."""
        return [
            one
            for one in (*self.asked.values(), *self.waiting)
            if isinstance(one, Regenerate)
            and not one.future.done
            and one.session_id not in self.cleared
        ]

    def take_edits(self, *, before_streams: bool = False) -> tuple[EditText, ...]:
        """Take out the changes that wait, and give them.

        Args:
            before_streams: whether only those that stand before the first stream.
        """
        streams = [at for at, one in enumerate(self.waiting) if isinstance(one, OpenStream)]
        end = streams[0] if before_streams and streams else len(self.waiting)
        taken = tuple(one for one in self.waiting[:end] if isinstance(one, EditText))
        left = (one for one in self.waiting[:end] if not isinstance(one, EditText))
        self.waiting = (*left, *self.waiting[end:])
        return taken


def is_of(waiting: Waiting, stream: Any) -> bool:
    """Say whether what waits is this stream's opening."""
    return isinstance(waiting, OpenStream) and waiting.stream is stream
