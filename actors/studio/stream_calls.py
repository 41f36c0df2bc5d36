"""The studio's calls that open a message's stream, and tell how far a message is."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pykka

from limner.actors.session.stream import Stream, plain
from limner.actors.studio.client import SequencerClient
from limner.actors.system import PooledRef
from limner.messages.pictures import Illustrated
from limner.messages.session.lifecycle import OpenStream, ReportProgress
from limner.messages.settings import Settings
from limner.messages.status import Progress
from limner.messages.validation import message_id_of, owner_of, priority_of


class StreamCalls:
    """The studio's calls for texts that are being written.

    Args:
        client: tells the sequencer.
        settings: of the studio.
    """

    def __init__(self, client: SequencerClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    def stream(
        self, message_id: str, *, owner: str | None = None, priority: str | int = "active"
    ) -> Stream:
        """Open a message that is about to be streamed; while it streams, return the same object.

        If the message's session is sealed and not yet ended, the new one begins after it; text
        may be fed at once.

        Args:
            message_id: the host's name for the message, 1 to 200 characters.
            owner: on whose behalf, up to 200 characters.
            priority: `active`, `background`, or 0 (first) to 9.

        Raises:
            UnknownMessage: if the id cannot be one.
            SettingsInvalid: if owner or priority cannot be one.
            StudioClosed: if the studio is closed.
        """
        opening = self._opening(message_id, owner, priority)
        with self._client.lock:
            stream = self._client.stream_of(message_id)
            if stream is not None and not stream.ended:
                return stream
            self._client.open_stream(opening.stream, opening)
        new: Stream = opening.stream
        return new

    def illustrate(
        self,
        message_id: str,
        text: str,
        *,
        owner: str | None = None,
        priority: str | int = "active",
    ) -> pykka.Future[Illustrated]:
        """Illustrate a text that is complete already.

        Raises:
            MessageBusy: if the message is being streamed.
            TextTooLong: if the text passes `Settings.max_text`.
            UnknownMessage, SettingsInvalid, StudioClosed: as `stream` does.
        """
        opening = self._opening(message_id, owner, priority)
        # the end is in the stream before anybody can interrupt it
        future: pykka.Future[Illustrated] = opening.stream.finish(plain(text))
        with self._client.lock:
            self._client.check_not_streamed(message_id, "finish or cancel that first")
            self._client.open_stream(opening.stream, opening)
        return future

    def progress(self, message_id: str) -> Progress:
        """Return how far a message is: tasks by state, and characters streamed."""
        with self._client.lock:
            stream = self._client.stream_of(message_id)
        if stream is None:
            return self._regenerating(message_id)
        try:
            processor = stream.processor
            counts: Any = {} if processor is None else processor.ask(ReportProgress())
        except pykka.ActorDeadError:
            counts = {}
        return Progress(
            message_id=message_id,
            state="settling" if stream.ended else "streaming",
            characters=stream.characters,
            **counts,
        )

    def _regenerating(self, message_id: str) -> Progress:
        """Return how far the regenerations of a message are that is not being streamed."""
        report = ReportProgress(message_id=message_id)
        with suppress(pykka.ActorDeadError):
            session: PooledRef[Any] | None = self._client.sequencer.ask(report)
            if session is not None:
                counts = session.ask(report).ask(report)
                return Progress(message_id=message_id, state="regenerating", **counts)
        return Progress(message_id=message_id, state="none")

    def _opening(self, message_id: str, owner: str | None, priority: str | int) -> OpenStream:
        client = self._client
        session_id = client.system.new_id()
        return OpenStream(
            session_id=session_id,
            message_id=message_id_of(message_id),
            owner=owner_of(owner),
            priority=priority_of(priority),
            stream=Stream(
                session_id,
                message_id,
                sequencer=client.sequencer,
                max_text=self._settings.max_text,
                system=client.system,
            ),
        )
