"""The edge's way to the sequencer: what hosts ask for, and the futures that they are owed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakSet

import pykka

from limner.actors.session.outcomes import OnPicture, Outcome, Outcomes
from limner.actors.session.stream import Stream
from limner.actors.system import (
    Outlet,
    PooledFuture,
    PooledRef,
    RequestFuture,
    System,
    TakeBack,
    close_all,
)
from limner.messages.errors import LimnerError, MessageBusy, StudioClosed, describe
from limner.messages.pictures import Illustrated
from limner.messages.validation import message_id_of


class SequencerClient:
    """Tells the sequencer what hosts ask for. Safe to use from any thread.

    Args:
        sequencer: the actor.
        system: what it runs on.
        check_message_id: raises `UnknownMessage` for an id that the store refuses, if it does.
    """

    def __init__(
        self,
        sequencer: PooledRef[Any],
        system: System,
        *,
        check_message_id: Callable[[str], object] | None = None,
    ) -> None:
        self._check_message_id = check_message_id
        self.sequencer = sequencer
        self.system = system
        self.lock = system.lock()
        self.closing = False
        self.over = False
        self.cause: BaseException | None = None
        self._owed: dict[PooledFuture[Any], None] = {}
        self._streams: dict[str, Stream] = {}
        self._newest: dict[str, Stream] = {}
        self._callbacks: WeakSet[Outlet[Outcome]] = WeakSet()  # gone once they are called no more

    def message_id(self, given: object) -> str:
        """Return a message id, if it is one that the store may have.

        Raises:
            UnknownMessage: if it is none.
        """
        message_id = message_id_of(given)
        if self._check_message_id is not None:
            self._check_message_id(message_id)
        return message_id

    def future(self, about: str) -> PooledFuture[Any]:
        """Return a future, named by what it is about."""
        return self.system.future(about=about)

    def request_future(self, about: str, take_back: TakeBack) -> RequestFuture[Any]:
        """Return a future of a request that may be taken back, named by what it is about."""
        return self.system.request_future(about, take_back)

    def send(self, message: Any, future: PooledFuture[Any] | None = None) -> None:
        """Tell the sequencer something.

        Args:
            message: what.
            future: that it is to set; fails if the studio closes before.

        Raises:
            StudioClosed: if the studio is closed.
        """
        with self.lock:
            self.send_locked(message, future)

    def send_locked(
        self,
        message: Any,
        future: PooledFuture[Any] | None = None,
        *,
        while_closing: bool = False,
    ) -> None:
        """Send as `send` does, while the lock is held.

        Args:
            message: what.
            future: that the sequencer is to set.
            while_closing: whether it may be sent while the studio closes, too.
        """
        if while_closing:
            self.check_not_over()
        else:
            self.check_open()
        if future is not None:
            self._owed[future] = None
            future.when_done(partial(self._owed.pop, future, None))
        self.sequencer.deliver(message)

    def check_open(self) -> None:
        """Raise `StudioClosed` if the studio is closed."""
        if self.closing:
            raise self.closed()

    def check_not_over(self) -> None:
        """Raise `StudioClosed` if the studio has ended; not while it closes."""
        if self.over:
            raise self.closed()

    def streams(self, *, message_id: str | None = None, owner: str | None = None) -> list[Stream]:
        """Return the streams whose sessions have not ended, of a message or an owner, if given."""
        return [
            stream
            for stream in self._streams.values()
            if message_id in (None, stream.message_id) and owner in (None, stream.owner)
        ]

    def open_stream(self, stream: Stream, opening: Any) -> None:
        """Tell the sequencer of a stream, while the lock is held."""
        self.check_open()
        self._streams[stream.session_id] = self._newest[stream.message_id] = stream
        stream.future.when_done(partial(self._forget, stream))
        self.sequencer.deliver(opening)

    def call_back(self, outcomes: Outcomes, on_picture: OnPicture | None) -> None:
        """Call a host's function with the outcomes, if there is one; not while the lock is held."""
        if on_picture is not None and (outlet := outcomes.pass_to(on_picture)) is not None:
            with self.lock:
                self._callbacks.add(outlet)

    def finish_callbacks(self) -> None:
        """Wait a few seconds at most until hosts' functions were called with all outcomes."""
        with self.lock:
            outlets = list(self._callbacks)
        close_all(outlets)

    def stream_of(self, message_id: str) -> Stream | None:
        """Return the stream of a message that was opened last, unless its session has ended."""
        return self._newest.get(message_id)

    @property
    def open_streams(self) -> list[Stream]:
        """The streams whose sessions have not ended."""
        with self.lock:
            return list(self._streams.values())

    def check_not_streamed(self, message_id: str, instead: str) -> None:
        """Raise `MessageBusy` if a message is being streamed; `instead` tells what to do."""
        stream = self._newest.get(message_id)
        if stream is not None and not stream.ended:
            raise MessageBusy(f"message {message_id!r} is being streamed; {instead}")

    def close(self) -> list[Stream] | None:
        """Refuse what is new from now on.

        Returns:
            The streams whose sessions have not ended; `None` if that was done before.
        """
        with self.lock:
            first, self.closing = not self.closing, True
            return list(self._streams.values()) if first else None

    def fail_all(self, cause: BaseException | None) -> None:
        """Fail what can never come any more: the studio has ended, perhaps with a cause."""
        with self.lock:
            self.closing, self.over, self.cause = True, True, cause
            streams, owed = list(self._streams.values()), list(self._owed)
        for stream in streams:
            stream.end("the studio is closed")
            stream.future.fail_if_pending(self.closed())
        for future in owed:
            future.fail_if_pending(self.closed())

    def closed(self) -> StudioClosed:
        """Return the error of what comes after the end."""
        if self.cause is None:
            return StudioClosed("the studio is closed; open another one")
        return StudioClosed(f"the studio is closed, since a part of it failed: {self.cause!r}")

    def _forget(self, stream: Stream) -> None:
        with self.lock:
            self._streams.pop(stream.session_id, None)
            if self._newest.get(stream.message_id) is stream:
                del self._newest[stream.message_id]


def unfinished(stream: Stream) -> str | None:
    """Return what is not as it should be with a message at the end; `None` if nothing is."""
    name = f"message {stream.message_id!r}"
    future = stream.future
    if not future.done:
        return f"{name} is not written"
    try:
        result: Illustrated = future.get(timeout=0)
    except (LimnerError, pykka.Timeout) as error:
        return f"{name} is not written: {describe(error)}"
    missing = len(result.failures)
    if not missing:
        return None
    return f"{name} is written without {missing} picture{'s' * (missing > 1)}"
