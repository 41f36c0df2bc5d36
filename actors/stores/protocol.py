"""The methods of a store: `Store` for streaming, `RegistryStore` for all calls."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeGuard

from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, Registry, RegistryUpdate, Version
from limner.messages.status import Forgotten
from limner.messages.tasks import Task


class Store(Protocol):
    """Keeps texts and their finished pictures: the methods that streaming needs.

    They are called on worker threads, several at one time. Every method may block. A store whose
    attribute `blocks` is false says that none does; then they are not called on worker threads.
    A store whose ids have a form of their own, such as names of files, may have a method
    `check_message_id`; see `id_check`.
    Any exception but those named here counts as a failure of the store. `RegistryStore` adds the
    methods that regenerating, refining and reconciling need. A store may also have a method
    `picture_path(picture)`, which returns the file of a kept picture; events name it. The suite in
    `limner.actors.stores.conformance` shows whether a store keeps these promises.
    """

    def load(self, message_id: str) -> tuple[str, Version] | None:
        """Return a message's text and its version, or `None` if there is none."""
        ...

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: RegistryUpdate | None = None,
    ) -> Version:
        """Write a text if the stored one has the expected version, and return the new version.

        Args:
            message_id: the message.
            text: the whole text.
            expected_version: what `load` returned; `None` creates the message.
            links: the changes of the registry that belong to the write; in the same transaction
                where the store can.

        Raises:
            VersionConflict: if the store holds another version, or none, or one where none
                was expected. Then neither the text nor the registry is changed.
        """
        ...

    def keep(self, task: Task, data: bytes, picture: Picture) -> Picture:
        """Keep a finished picture durably; only then is its task reported as completed.

        The bytes have been checked to be a picture. Keeping the same picture for the same prompt
        again is no error.

        Args:
            task: the task that it was made for.
            data: its bytes.
            picture: the picture; its `url` is still empty.

        Returns:
            The picture with the URL by which a text refers to it.
        """
        ...

    def kept(self, message_id: str) -> Mapping[str, Picture]:
        """Return each prompt's newest picture that is kept but in no text yet, by prompt id.

        One whose bytes are gone or damaged is left out, since it is placed as it is.
        """
        ...

    def close(self) -> None:
        """Close files and connections. Called once, when the store is no longer used."""
        ...


class RegistryStore(Store, Protocol):
    """A store that also keeps each message's prompts and pictures, which regenerating needs.

    The short way to a store of your own is to derive it from `limner.actors.stores.DocumentStore`,
    in 30 lines. Otherwise keep a `Registry` for each message beside its text. Then `keep` replaces
    it by `registry.keep(task, picture)`, `write` by `registry.settle(message_id, links, text)`,
    `add` by `registry.add(prompt)`, and `kept` returns `registry.kept()`. The three look-ups over
    all messages need an index, or a table of message ids by prompt id and of prompt ids by picture
    id.
    """

    def registry(self, message_id: str) -> Registry:
        """Return the registry of a message; an empty `Registry` if nothing is known of it.

        The registry outlives the text: a message that was deleted keeps its history.
        """
        ...

    def add(self, prompt: Prompt) -> None:
        """Add a prompt, such as a refined one, to the registry of `prompt.message_id`.

        A prompt that is known already is no error, and changes nothing.
        """
        ...

    def prompt(self, prompt_id: str) -> Prompt | None:
        """Return a prompt of any message by its id, or `None` if it is not known."""
        ...

    def pictures_of(self, prompt_id: str) -> Sequence[Link]:
        """Return the pictures of a prompt, oldest first; none if the prompt is not known."""
        ...

    def prompts_of(self, picture_id: str) -> Sequence[Prompt]:
        """Return the prompts of all messages that a picture belongs to, in any order."""
        ...


def id_check(store: Store) -> Callable[[str], object] | None:
    """Return what a store refuses ids with that can name no message of it; `None` if it takes all.

    A store may have a method `check_message_id(message_id)`, which raises `UnknownMessage` for such
    an id. It is called by the thread that calls the studio, so it never blocks.
    """
    check = getattr(store, "check_message_id", None)
    return check if callable(check) else None


class ForgettingStore(RegistryStore, Protocol):
    """A store that can also forget a message, which `Studio.forget` needs.

    A `DocumentStore` can. Another store deletes the message's registry, and the bytes of each
    picture that no other message's registry has.
    """

    def forget(self, message_id: str) -> Forgotten:
        """Forget a message's prompts, pictures and owners; the text stays.

        The bytes of a picture are deleted if no other message has it. A picture that is being kept
        for another message meanwhile must not be lost. A message of which nothing is known is no
        error.
        """
        ...

    def messages_of(self, owner: str) -> Sequence[str]:
        """Return the ids of the messages for which pictures were requested on an owner's behalf."""
        ...


_OF_THE_REGISTRY = ("registry", "add", "prompt", "pictures_of", "prompts_of")


def keeps_registry(store: Store) -> TypeGuard[RegistryStore]:
    """Return whether a store has the methods of `RegistryStore`, which regenerating needs."""
    return all(callable(getattr(store, name, None)) for name in _OF_THE_REGISTRY)


def can_forget(store: Store) -> TypeGuard[ForgettingStore]:
    """Return whether a store has the methods of `ForgettingStore`, which forgetting needs."""
    return keeps_registry(store) and all(
        callable(getattr(store, name, None)) for name in ("forget", "messages_of")
    )
