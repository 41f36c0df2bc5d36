"""A further handle of a stream that another call has opened."""

from __future__ import annotations

from typing import Any, NoReturn

from limner.actors.session.stream import Stream
from limner.messages.errors import MessageBusy


class JoinedStream(Stream):
    """The handle of a caller that has joined a stream: it feeds and ends it, and cancels nothing.

    It is the same stream, with all its state; only `cancel` is refused, since the session is that
    of the caller that opened it.

    Args:
        opened: the handle of the caller that opened the stream.
    """

    def __init__(self, opened: Stream) -> None:
        object.__setattr__(self, "_opened", opened)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the stream that is joined: one state, whichever handle is used."""
        return getattr(object.__getattribute__(self, "_opened"), name)

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute of the stream that is joined."""
        setattr(object.__getattribute__(self, "_opened"), name, value)

    def cancel(self) -> NoReturn:
        """Refuse to cancel a session that another call has opened.

        Raises:
            MessageBusy: always; it names the call that cancels whatever a message has.
        """
        raise MessageBusy(
            f"message {self.message_id!r} was being streamed already as this handle was asked for; "
            "only the one that opened it cancels it, or studio.cancel(message_id)"
        )
