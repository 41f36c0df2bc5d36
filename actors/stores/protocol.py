"""Where texts and their registry live, as the rest of Limner sees it."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeGuard

from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, Registry, RegistryUpdate, Version
from limner.messages.tasks import Task


class Store(Protocol):
    """Where texts and their finished pictures live: what streaming needs.

    Called on worker threads, several at one time. Every method may block; a store with an
    attribute `blocks` that is false says that none does, and spares itself the threads. Any
    exception but those named here is a failure of the store. `RegistryStore` adds what
    regenerating, refining and reconciling need; `limner.actors.stores.conformance.suite` is a suite
    that shows whether a store keeps its word.
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
        links: RegistryUpdate | None = None,
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
                was expected. Nothing is written then, and nothing settled.
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


class RegistryStore(Store, Protocol):
    """A store that remembers each message's prompts and pictures: what regenerating needs.

    A host derives its own from `limner.actors.stores.DocumentStore`, in 30 lines. One that does
    without keeps one `Registry` a message beside its text: `keep` puts
    `registry.keep(task, picture)` in its place, `write` puts
    `registry.settle(message_id, links, text)`, `add` puts `registry.add(prompt)`, and `kept` is
    `registry.kept()`. The three look-ups over all messages are then an index that it has, or a
    table of message ids by prompt id and of prompt ids by picture id.
    """

    def registry(self, message_id: str) -> Registry:
        """Give all that is known of a message: an empty `Registry` if nothing is.

        What is known outlives the text: a message that is gone keeps its history.
        """
        ...

    def add(self, prompt: Prompt) -> None:
        """Remember a prompt of `prompt.message_id`, such as a refined one.

        One that is known already is no error, and changes nothing.
        """
        ...

    def prompt(self, prompt_id: str) -> Prompt | None:
        """Give a prompt of any message by its id, or `None` if it is not known."""
        ...

    def pictures_of(self, prompt_id: str) -> Sequence[Link]:
        """Give the pictures of a prompt, oldest first; none if it is not known."""
        ...

    def prompts_of(self, picture_id: str) -> Sequence[Prompt]:
        """Give the prompts that a picture belongs to, over all messages, in any order."""
        ...


_OF_THE_REGISTRY = ("registry", "add", "prompt", "pictures_of", "prompts_of")


def keeps_registry(store: Store) -> TypeGuard[RegistryStore]:
    """Say whether a store has the methods of `RegistryStore`, which regenerating needs."""
    return all(callable(getattr(store, name, None)) for name in _OF_THE_REGISTRY)
