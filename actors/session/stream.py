"""The host's end of one message: what it feeds, from whatever thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import pykka

from limner.actors.session.outcomes import Outcomes
from limner.actors.system import PooledFuture, PooledRef, System
from limner.messages.errors import (
    AlreadyWritten,
    LimnerError,
    StreamClosed,
    StudioClosed,
    TextTooLong,
)
from limner.messages.pictures import Failure, Illustrated, Placement
from limner.messages.session.lifecycle import CancelSession
from limner.messages.session.streaming import (
    StreamEnded,
    StreamInterrupted,
    TextReplaced,
    TextStreamed,
)

TEXT_STREAMED = TextStreamed()
ENDS = (StreamEnded, StreamInterrupted)
Item = str | TextReplaced | StreamEnded | StreamInterrupted


def plain(text: str) -> str:
    """Return a text as a plain string, whatever kind of string it was.

    Raises:
        TypeError: if it is none.
    """
    if not isinstance(text, str):
        raise TypeError(f"a text is a str, not {type(text).__name__}")
    return "".join((text,))


class Stream:
    """One message while it is being written. Safe to use from any thread.

    Chunks are only appended to a list, without a lock, and the monitor is told once for all that
    lie in it. So feeding never waits on detection, on generation, or on the message's earlier
    session. A chunk that is taken is in the text, whatever other threads do meanwhile.
    """

    def __init__(
        self,
        session_id: str,
        message_id: str,
        *,
        sequencer: PooledRef[Any],
        max_text: int,
        system: System,
        owner: str | None = None,
    ) -> None:
        self.session_id = session_id
        self.message_id = message_id
        self.owner = owner
        self.future: PooledFuture[Illustrated] = system.future(about=self)
        self.outcomes = Outcomes(system, self.future, self)
        self.processor: PooledRef[Any] | None = None
        self._sequencer = sequencer
        self._max_text = max_text
        self._system = system
        self._lock = system.lock()
        self._items: list[Item] = []
        self._length = 0
        self._monitor: PooledRef[Any] | None = None
        self._waiting: PooledRef[Any] | None = None  # the monitor, unless it was told already
        self._ended: str | None = None

    def __str__(self) -> str:
        return f"the session of message {self.message_id!r}"

    @property
    def characters(self) -> int:
        """How many characters it has been fed."""
        return self._length

    @property
    def ended(self) -> bool:
        """Whether it takes no more text."""
        return self._ended is not None

    def feed(self, delta: str) -> None:
        """Add a chunk, of any length.

        Raises:
            StreamClosed: after the end.
            TextTooLong: if the text would pass `Settings.max_text`; the chunk is not taken.
            TypeError: if it is not text.
        """
        if type(delta) is not str:
            delta = plain(delta)
        if self._ended is not None:
            raise StreamClosed(self._too_late())
        length = self._length + len(delta)
        if length > self._max_text:
            raise TextTooLong(self._too_long(length))
        # no lock: appended first, and only then looked whether the end came in between
        self._length = length
        self._items.append(delta)
        if self._ended is not None:
            self._refuse_if_late(delta)  # type: ignore[unreachable]  # another thread may set it
        monitor = self._waiting
        if monitor is not None:
            self._waiting = None
            monitor.deliver(TEXT_STREAMED)

    def replace(self, text: str) -> None:
        """Replace the text so far, which may differ from what was fed before.

        Raises:
            StreamClosed: after the end.
            TextTooLong: if it passes `Settings.max_text`; it is not taken.
        """
        text = plain(text)
        self._put(TextReplaced(text=text), len(text))

    def finish(self, text: str | None = None) -> pykka.Future[Illustrated]:
        """End the stream: the text is complete, and is written once its last picture is settled.

        Finishing again returns the same future.

        Args:
            text: the whole text, if the host wants to be sure or has changed it.

        Raises:
            StreamClosed: if the stream has ended already and a text is given.
            TextTooLong: if `text` passes `Settings.max_text`.
        """
        text = None if text is None else plain(text)
        if text is not None or not self.ended:
            self._put(StreamEnded(text=text), None if text is None else len(text), "finished")
        return self.future

    def interrupt(self) -> pykka.Future[Illustrated]:
        """End the stream: the model was stopped. Write with what is finished, cancel the rest.

        Too late is no error; it returns the session's future all the same.
        """
        self._put(StreamInterrupted(), None, "interrupted")
        return self.future

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        """Finish the stream; interrupt it if the block has raised, for instance the model."""
        if failure is None:
            self.finish()
        else:
            self.interrupt()

    def cancel(self) -> pykka.Future[None]:
        """Cancel the message: nothing is written.

        The future that it returns is done once the session has ended; it raises `AlreadyWritten`
        if the write was under way. The session's own future raises `SessionCancelled`.

        Raises:
            StudioClosed: if the studio is closed.
        """
        self.end("cancelled")
        reply: PooledFuture[None] = self._system.future(about=self)
        try:
            self._sequencer.tell(
                CancelSession(message_id=self.message_id, session_id=self.session_id)
            )
        except pykka.ActorDeadError:
            raise StudioClosed("the studio is closed; nothing can be cancelled") from None
        self.future.when_done(lambda: self._answer_cancel(reply))
        return reply

    def _answer_cancel(self, reply: PooledFuture[None]) -> None:
        try:
            written = self.future.get(timeout=0).written
        except LimnerError:
            written = False
        if written:
            reply.fail(AlreadyWritten(f"message {self.message_id!r} is written already"))
        else:
            reply.set(None)

    def pictures(self, timeout: float | None = None) -> Iterator[Placement | Failure]:
        """Iterate over the message's pictures as they finish, each a `Placement` or a `Failure`.

        It begins with those that are finished already, and ends once the session has ended, also
        with its studio; then `finish` returns a future that is done. Any thread may iterate, and
        several at once. What `Studio.stream` says of `on_picture` holds here too.

        Args:
            timeout: seconds to wait for the next one at most; without bound if `None`.

        Returns:
            An iterator, whose `next` raises `pykka.Timeout` if none comes in time. Nothing is lost
            by that: the same iterator goes on where it was.
        """
        return self.outcomes.read(timeout)

    def attach(self, monitor: PooledRef[Any]) -> None:
        """Attach the monitor that takes the text, beginning with what lies here already."""
        with self._lock:
            self._monitor = self._waiting = monitor
            if not self._items:
                return
            self._waiting = None
        monitor.deliver(TEXT_STREAMED)

    def take(self) -> list[Item]:
        """Return all that has come since the monitor last took."""
        with self._lock:
            self._waiting = self._monitor  # first, so that what comes after this is told of
            number = len(self._items)
            items = self._items[:number]
            late: list[Item] = []
            for index, item in enumerate(items):
                if isinstance(item, ENDS):
                    late = [chunk for chunk in items[index:] if isinstance(chunk, str)]
                    items[index:] = [item for item in items[index:] if not isinstance(item, str)]
                    break
            self._items[:number] = late
        return items

    def _refuse_if_late(self, delta: str) -> None:
        """Refuse a chunk that another thread's end of the stream has overtaken."""
        with self._lock:
            after = 0  # without an end in the list it was taken, and all that is left is late
            for index, item in enumerate(self._items):
                if isinstance(item, ENDS):
                    after = index
                    break
            for index in range(len(self._items) - 1, after - 1, -1):
                if self._items[index] is delta:
                    del self._items[index]
                    raise StreamClosed(self._too_late())

    def end(self, why: str) -> None:
        """Accept no more text; the first reason stands."""
        with self._lock:
            self._ended = self._ended or why

    def _put(self, item: Item, length: int | None, end: str | None = None) -> None:
        with self._lock:
            # a text that is complete may still wait for its pictures, and need not any longer
            cancels = isinstance(item, StreamInterrupted) and self._ended == "finished"
            if self._ended is not None and not cancels:
                if isinstance(item, StreamInterrupted) or (
                    isinstance(item, StreamEnded) and item.text is None
                ):
                    return
                raise StreamClosed(self._too_late())
            if length is not None:
                if length > self._max_text:
                    raise TextTooLong(self._too_long(length))
                self._length = length
            if end is not None:
                self._ended = end  # first: a chunk that comes after the end must see it
            self._items.append(item)
            monitor, self._waiting = self._waiting, None
        if monitor is not None:
            monitor.deliver(TEXT_STREAMED)

    def _too_late(self) -> str:
        return (
            f"the stream of message {self.message_id!r} takes no more text: {self._ended}; "
            "open it again with studio.stream()"
        )

    def _too_long(self, length: int) -> str:
        return (
            f"the text of message {self.message_id!r} would have {length:,} characters; "
            f"Settings.max_text allows {self._max_text:,}"
        )
