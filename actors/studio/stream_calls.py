"""The studio's calls that open a message's stream."""

from __future__ import annotations

import pykka

from limner.actors.session.joined_stream import JoinedStream
from limner.actors.session.outcomes import OnPicture, check_on_picture
from limner.actors.session.stream import Stream, plain
from limner.actors.studio.client import SequencerClient
from limner.actors.studio.current_settings import CurrentSettings
from limner.messages.errors import MessageBusy
from limner.messages.pictures import Illustrated
from limner.messages.session.control import SetPriority
from limner.messages.session.lifecycle import OpenStream
from limner.messages.validation import owner_of, priority_of


class StreamCalls:
    """The studio's calls for texts that are being written.

    Args:
        client: tells the sequencer.
        settings: of the studio, as they are in force.
    """

    def __init__(self, client: SequencerClient, settings: CurrentSettings) -> None:
        self._client = client
        self._settings = settings

    def stream(
        self,
        message_id: str,
        *,
        owner: str | None = None,
        priority: str | int | None = None,
        on_picture: OnPicture | None = None,
    ) -> Stream:
        """Open a message that is about to be streamed; while it streams, join it.

        If the message's session is sealed and not yet ended, the new one begins after it; text
        may be fed at once. Who joins a stream that another call has opened gets a handle of its
        own: it feeds and ends the same stream, and its `cancel` is refused.

        Args:
            message_id: the host's name for the message, 1 to 200 characters.
            owner: on whose behalf, up to 200 characters. Who joins may leave it out.
            priority: `active`, `background`, or 0 (first) to 9; `active` by default. Given for a
                stream that is joined, it is that stream's from now on.
            on_picture: called with each of the message's pictures as it finishes, a `Placement`,
                or a `Failure` if there is none: once for each prompt that got a task, in the order
                in which they settle. A picture of an earlier session that is used again is told
                too. What is withdrawn, and a picture that comes after it was cancelled, is not. It
                runs on a thread of its own, so it may block, and keeps no other message from its
                own. What it raises is logged once. Given for a stream that is joined, it is called
                with what has finished so far first; the same function is not called twice.

        Raises:
            UnknownMessage: if the id cannot be one.
            SettingsInvalid: if owner, priority or `on_picture` cannot be one.
            MessageBusy: if the message is being streamed for another owner.
            StudioClosed: if the studio is closed.
        """
        opening = self._opening(message_id, owner, "active" if priority is None else priority)
        callback = check_on_picture(on_picture)
        with self._client.lock:
            stream = self._client.stream_of(message_id)
            if stream is not None and not stream.ended:
                stream = self._join(stream, opening, moves=priority is not None)
            else:
                stream = opening.stream
                self._client.open_stream(stream, opening)
        self._client.call_back(stream.outcomes, callback)
        return stream

    def _join(self, stream: Stream, opening: OpenStream, *, moves: bool) -> Stream:
        """Return one more handle of a stream; set its priority, if one was given."""
        if opening.owner not in (None, stream.owner):
            raise MessageBusy(
                f"message {stream.message_id!r} is being streamed for another owner; "
                "it can be opened again once that has ended"
            )
        if moves:
            self._client.send_locked(
                SetPriority(message_id=stream.message_id, priority=opening.priority)
            )
        return JoinedStream(stream)

    def illustrate(
        self,
        message_id: str,
        text: str,
        *,
        owner: str | None = None,
        priority: str | int = "active",
        on_picture: OnPicture | None = None,
    ) -> pykka.Future[Illustrated]:
        """Illustrate a text that is complete already.

        Args:
            message_id: the host's name for the message, 1 to 200 characters.
            text: all of it, up to `Settings.max_text` characters.
            owner: on whose behalf, up to 200 characters.
            priority: `active`, `background`, or 0 (first) to 9.
            on_picture: called with each picture as it finishes, as `stream` does.

        Raises:
            MessageBusy: if the message is being streamed.
            TextTooLong: if the text passes `Settings.max_text`.
            UnknownMessage, SettingsInvalid, StudioClosed: as `stream` does.
        """
        opening = self._opening(message_id, owner, priority)
        callback = check_on_picture(on_picture)
        # the end is in the stream before anybody can interrupt it
        future: pykka.Future[Illustrated] = opening.stream.finish(plain(text))
        with self._client.lock:
            self._client.check_not_streamed(message_id, "finish or cancel that first")
            self._client.open_stream(opening.stream, opening)
        self._client.call_back(opening.stream.outcomes, callback)
        return future

    def _opening(self, message_id: str, owner: str | None, priority: str | int) -> OpenStream:
        client = self._client
        session_id = client.system.new_id()
        owner = owner_of(owner)
        settings = self._settings.now
        return OpenStream(
            session_id=session_id,
            message_id=client.message_id(message_id),
            owner=owner,
            priority=priority_of(priority),
            settings=settings,
            stream=Stream(
                session_id,
                message_id,
                sequencer=client.sequencer,
                max_text=settings.max_text,
                system=client.system,
                owner=owner,
            ),
        )
