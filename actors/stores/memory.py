"""A store in memory: for standard output, tests and benchmarks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

from limner.actors.stores.picture_files import PictureFiles
from limner.messages.errors import VersionConflict
from limner.messages.ids import owner_id
from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, Registry, RegistryUpdate, Version
from limner.messages.status import Forgotten
from limner.messages.tasks import Task

_NOTHING = Registry()


class MemoryStore:
    """A store in memory. Versions are integers from 1; tasks are not stored.

    `texts` holds the texts by message id, `pictures` the bytes by picture id. Both may be read. To
    simulate a host that deletes a message, delete its text from `texts`.

    Args:
        pictures: where the bytes of pictures are kept; without it they stay in memory too,
            and a text refers to them as `memory:ID`.
    """

    def __init__(self, pictures: PictureFiles | None = None) -> None:
        self.texts: dict[str, str] = {}
        self.pictures: dict[str, bytes] = {}
        self._files = pictures
        self._versions: dict[str, int] = {}
        self._known: dict[str, Picture] = {}
        self._registries: dict[str, Registry] = {}
        # finished, and not in a registry yet: they go there all at once, when it is asked for
        self._finished: dict[str, list[tuple[Task, Picture]]] = {}
        self._messages: dict[str, str] = {}  # by prompt id
        self._prompts: dict[str, dict[str, None]] = {}  # by picture id
        self._lock = Lock()

    @property
    def blocks(self) -> bool:
        """Whether its calls may block; those of a derived class may."""
        return self._files is not None or type(self) is not MemoryStore

    def load(self, message_id: str) -> tuple[str, Version] | None:
        """Return a message's text and its version, or `None` if there is none."""
        with self._lock:
            text = self.texts.get(message_id)
            return None if text is None else (text, self._versions[message_id])

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: RegistryUpdate | None = None,
    ) -> Version:
        """Write a text if the stored one has the expected version, and return the new version.

        Raises:
            VersionConflict: if it has another, or none, or one where none was expected.
        """
        with self._lock:
            last = self._versions.get(message_id, 0)
            held = last if message_id in self.texts else None
            if held != expected_version:
                raise VersionConflict(
                    f"message {message_id!r} is at version {held}, not {expected_version}"
                )
            if links is not None:
                before = self._registry(message_id)
                self._remember(message_id, before, before.settle(message_id, links, text))
            self.texts[message_id] = text
            self._versions[message_id] = last + 1
            return last + 1

    def keep(self, task: Task, data: bytes, picture: Picture) -> Picture:
        """Keep a finished picture; the same bytes are stored once."""
        known = self._known.get(picture.id)
        if known is None or (self._files and self._files.lost(known)):
            known = (
                self._files.put(picture, data)
                if self._files
                else picture.model_copy(update={"url": f"memory:{picture.id}"})
            )
        with self._lock:
            known = self._known.setdefault(picture.id, known)
            if self._files is None:
                self.pictures.setdefault(picture.id, data)
            elif self._files.lost(known):
                self._files.put(known, data)  # another message was forgotten that had it
            self._finished.setdefault(task.message_id, []).append((task, known))
            self._index(task.message_id, task.prompt_id, known.id)
        return known

    def picture_path(self, picture: Picture) -> Path | None:
        """Return the file in which a kept picture is; `None` if it is in memory alone."""
        return self._files.path(picture) if self._files else None

    def kept(self, message_id: str) -> Mapping[str, Picture]:
        """Return each prompt's newest picture that is kept but in no text yet, by prompt id."""
        known = self.registry(message_id)
        waiting = [link for link in known.links if link.state == "kept"]
        there = (link for link in waiting if not self._is_lost(link.placement.picture))
        return known.but(links=tuple(there)).kept()

    def registry(self, message_id: str) -> Registry:
        """Return the registry of a message; an empty `Registry` if nothing is known of it."""
        with self._lock:
            return self._registry(message_id)

    def add(self, prompt: Prompt) -> None:
        """Remember a prompt; one that is known already stays as it is."""
        with self._lock:
            before = self._registry(prompt.message_id)
            self._remember(prompt.message_id, before, before.add(prompt))

    def prompt(self, prompt_id: str) -> Prompt | None:
        """Return a prompt of any message by its id, or `None` if it is not known."""
        with self._lock:
            return self._registry(self._messages.get(prompt_id)).prompt(prompt_id)

    def pictures_of(self, prompt_id: str) -> Sequence[Link]:
        """Return the pictures of a prompt, oldest first."""
        with self._lock:
            return self._registry(self._messages.get(prompt_id)).pictures(prompt_id)

    def prompts_of(self, picture_id: str) -> Sequence[Prompt]:
        """Return the prompts of all messages that a picture belongs to."""
        with self._lock:
            prompts = (
                self._registry(self._messages.get(prompt_id)).prompt(prompt_id)
                for prompt_id in self._prompts.get(picture_id, ())
            )
            return [prompt for prompt in prompts if prompt is not None]

    def forget(self, message_id: str) -> Forgotten:
        """Forget a message's registry, and the bytes of pictures that no other message has."""
        with self._lock:
            gone = self._registry(message_id)
            self._registries.pop(message_id, None)
            deleted = []
            for placement in (link.placement for link in gone.links):
                name = placement.picture.id
                prompts = self._prompts[name]
                prompts.pop(placement.prompt_id, None)
                if not prompts:
                    del self._prompts[name]
                    self._known.pop(name, None)
                    if self.pictures.pop(name, None) is not None or (
                        self._files is not None and self._files.delete(placement.picture)
                    ):
                        deleted.append(name)
            for prompt in gone.prompts:
                self._messages.pop(prompt.id, None)
        return Forgotten(message_id=message_id, prompts=len(gone.prompts), pictures=tuple(deleted))

    def messages_of(self, owner: str) -> Sequence[str]:
        """Return the ids of the messages for which pictures were requested on an owner's behalf."""
        name = owner_id(owner)
        with self._lock:
            known = {**self._registries, **self._finished}
            return [message for message in known if name in self._registry(message).owners]

    def delete(self, message_id: str) -> None:
        """Delete a message with its text, its versions and its registry, to free their memory."""
        self.forget(message_id)
        with self._lock:
            self.texts.pop(message_id, None)
            self._versions.pop(message_id, None)

    def close(self) -> None:
        """Do nothing: what is in memory can still be read."""

    def _is_lost(self, picture: Picture) -> bool:
        if self._files is not None:
            return self._files.lost(picture)
        return not self.pictures.get(picture.id)

    def _registry(self, message_id: str | None) -> Registry:
        if message_id is None:
            return _NOTHING
        registry = self._registries.get(message_id, _NOTHING)
        if finished := self._finished.pop(message_id, None):
            registry = self._registries[message_id] = registry.keep_all(finished)
        return registry

    def _remember(self, message_id: str, before: Registry, after: Registry) -> None:
        # prompts and links are only ever added at the end here
        if after is before:
            return
        self._registries[message_id] = after
        for prompt in after.prompts[len(before.prompts) :]:
            self._messages.setdefault(prompt.id, message_id)
        for link in after.links[len(before.links) :]:
            self._index(message_id, link.placement.prompt_id, link.placement.picture.id)

    def _index(self, message_id: str, prompt_id: str, picture_id: str) -> None:
        self._messages.setdefault(prompt_id, message_id)
        self._prompts.setdefault(picture_id, {})[prompt_id] = None
