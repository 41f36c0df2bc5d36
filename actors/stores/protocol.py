"""Where texts and their registry live, as the rest of Limner sees it."""

from collections.abc import Mapping
from typing import Protocol

from limner.messages.pictures import Picture
from limner.messages.tasks import Task
from limner.messages.writing import Links, Version


class Store(Protocol):
    """Where texts and their registry live. Called on worker threads, several at one time.

    Every method may block; a store with an attribute `blocks` that is false says that none does,
    and spares itself the threads. Any exception but those named here is a failure of the store.
    """

    def load(self, message_id: str) -> tuple[str, Version] | None:
        """Give a message's text and its version, or `None` if there is none."""
        ...

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: Links | None = None,
    ) -> Version:
        """Write a text if the store still holds the version that is expected; give the new one.

        Args:
            message_id: whose text.
            text: the whole text.
            expected_version: what `load` gave; `None` creates the message.
            links: what the write settles, for the registry: in the same transaction where
                the store can.

        Raises:
            VersionConflict: if the store holds another version, or none, or one where none
                was expected. Nothing is written then.
        """
        ...

    def keep(self, task: Task, data: bytes, picture: Picture) -> Picture:
        """Keep a finished picture durably, before anybody is told of it.

        Called once the bytes are known to be a picture. Keeping the same picture for the same
        prompt again is no error.

        Args:
            task: the task that it was made for.
            data: its bytes.
            picture: what is known of it; `url` is still empty.

        Returns:
            The picture with the URL by which a text refers to it.
        """
        ...

    def kept(self, message_id: str) -> Mapping[str, Picture]:
        """Give the pictures of a message that are kept but in no text yet, by prompt id."""
        ...

    def close(self) -> None:
        """Let go of what is open. Called once, when nobody uses the store any more."""
        ...
