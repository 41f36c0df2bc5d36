"""The studio's calls that tell how far a message is, and what its text is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import pykka

from limner.actors.session.stream import Stream
from limner.actors.stores.protocol import Store
from limner.actors.studio.client import SequencerClient
from limner.actors.system import PooledRef
from limner.messages.errors import LimnerError, StoreFailed, UnknownMessage, describe
from limner.messages.pictures import Placement
from limner.messages.session.lifecycle import ReportProgress
from limner.messages.status import Progress
from limner.messages.text.marks import find_marks

T = TypeVar("T")

TRIES = 3
"""How often a session is asked that ends just then."""


class ProgressCalls:
    """How far messages are, live or ended.

    Args:
        client: tells the sequencer.
        store: what has the texts.
    """

    def __init__(self, client: SequencerClient, store: Store) -> None:
        self._client = client
        self._store = store

    def progress(self, message_id: str) -> Progress:
        """Return how far a message is: its state, tasks by state, and characters streamed.

        The last 10,000 messages whose sessions have ended are remembered. Of one that is not, the
        store is read, on the thread that calls: it knows the text, its pictures, and the marks of
        failures.

        Args:
            message_id: which message.

        Raises:
            UnknownMessage: if the id cannot be one. One that never was has the state `unknown`.
            StoreFailed: if the store cannot be read.
            StudioClosed: if the studio is closed.
        """
        message_id = self._client.message_id(message_id)
        with self._client.lock:
            stream = self._client.stream_of(message_id)
        if stream is not None and not stream.future.done:
            return self._of_stream(stream)
        report = ReportProgress(message_id=message_id)
        for _ in range(TRIES):
            try:
                found: PooledRef[Any] | Progress | None = self._client.sequencer.ask(report)
            except pykka.ActorDeadError:
                raise self._client.closed() from None
            if found is None:
                return self._of_store(message_id)
            if isinstance(found, Progress):
                return found
            try:
                counts = found.ask(report).ask(report)
            except Exception:  # noqa: BLE001, S112  # it ends, or fails: the sequencer hears of it
                continue
            return Progress(message_id=message_id, state="regenerating", **counts)
        return Progress(message_id=message_id, state="regenerating")

    def text(self, message_id: str) -> str:
        """Return the text of a message as the store has it now.

        Reads the store on the thread that calls. A text that is being streamed is in the store once
        it is written.

        Args:
            message_id: which message.

        Raises:
            UnknownMessage: if the id cannot be one, or the store has no text of it.
            StoreFailed: if the store cannot be read.
            StudioClosed: if the studio is closed.
        """
        text = self._load(self._client.message_id(message_id))
        if text is None:
            raise UnknownMessage(
                f"the store has no text of message {message_id!r}; it has one once a session of "
                "the message has written"
            )
        return text

    def _of_stream(self, stream: Stream) -> Progress:
        try:
            processor = stream.processor
            counts: Any = {} if processor is None else processor.ask(ReportProgress())
        except Exception:  # noqa: BLE001  # it ends just now, or fails: its tasks have settled
            counts = Counter(
                "completed" if isinstance(outcome, Placement) else outcome.state
                for outcome in stream.outcomes.settled
            )
        return Progress(
            message_id=stream.message_id,
            state="settling" if stream.ended else "streaming",
            characters=stream.characters,
            **counts,
        )

    def _of_store(self, message_id: str) -> Progress:
        """Return what the store knows of a message that is not remembered."""
        try:
            text = self._load(message_id)
            kept = len(self._read(lambda: self._store.kept(message_id)))
        except UnknownMessage:  # it cannot be a message of this store
            return Progress(message_id=message_id, state="unknown")
        if text is None:
            state = "cancelled" if kept else "unknown"
            return Progress(message_id=message_id, state=state, completed=kept)
        kinds = Counter(mark.kind for mark in find_marks(text))
        return Progress(
            message_id=message_id,
            state="written",
            completed=kinds["picture"] + kept,
            failed=kinds["failure"],
        )

    def _load(self, message_id: str) -> str | None:
        loaded = self._read(lambda: self._store.load(message_id))
        return None if loaded is None else loaded[0]

    def _read(self, read: Callable[[], T]) -> T:
        """Return what the store gives.

        Raises:
            LimnerError: as the store does; `StoreFailed` for any other error of it.
        """
        self._client.check_open()
        try:
            return read()
        except LimnerError:
            raise
        except Exception as error:
            raise StoreFailed(f"the store cannot be read: {describe(error)}") from error
