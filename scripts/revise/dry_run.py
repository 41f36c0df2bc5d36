"""A dry run: the same work as a real run, on the real texts, of which nothing is written."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from threading import Lock

from limner.actors.generators.protocol import Cancelled
from limner.actors.stores import RegistryStore
from limner.messages.errors import VersionConflict
from limner.messages.pictures import Picture, PictureBytes
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, Registry, RegistryUpdate, Version
from limner.messages.settings import Settings
from limner.messages.tasks import Task


class DryRunStore:
    """A store that reads from another store and keeps writes in memory.

    `changes` holds, by message id, the text as it is and as it would be.

    Args:
        store: the store that is read.
        pictures_url: where a new picture would be.
    """

    def __init__(self, store: RegistryStore, pictures_url: str) -> None:
        self.changes: dict[str, tuple[str, str]] = {}
        self._store = store
        self._url = f"{pictures_url.rstrip('/')}/" if pictures_url else ""
        self._versions: dict[str, str] = {}
        self._registries: dict[str, Registry] = {}
        self._lock = Lock()

    def load(self, message_id: str) -> tuple[str, Version] | None:
        """Return a text as it would be by now, and its version."""
        if message_id in self.changes:
            return self.changes[message_id][1], self._versions[message_id]
        return self._store.load(message_id)

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: RegistryUpdate | None = None,
    ) -> Version:
        """Remember what would be written.

        Raises:
            VersionConflict: if the text is not at that version.
        """
        held = self.load(message_id)
        if held is None or held[1] != expected_version:
            raise VersionConflict(f"message {message_id!r} was changed by another program")
        with self._lock:
            before = self.changes[message_id][0] if message_id in self.changes else held[0]
            self.changes[message_id] = before, text
            self._versions[message_id] = f"dry run after {held[1]}"
            if links is not None:
                self._put(message_id, self._registry(message_id).settle(message_id, links, text))
            return self._versions[message_id]

    def keep(self, task: Task, data: bytes, picture: Picture) -> Picture:  # noqa: ARG002
        """Remember a picture, without its bytes."""
        picture = picture.model_copy(update={"url": f"{self._url}NEW.png"})
        with self._lock:
            self._put(task.message_id, self._registry(task.message_id).keep(task, picture))
        return picture

    def kept(self, message_id: str) -> Mapping[str, Picture]:
        """Return the kept pictures, which would be used before new ones are made."""
        return self._store.kept(message_id)

    def registry(self, message_id: str) -> Registry:
        """Return the registry of a message as it would be by now."""
        with self._lock:
            return self._registry(message_id)

    def add(self, prompt: Prompt) -> None:
        """Remember a prompt."""
        with self._lock:
            self._put(prompt.message_id, self._registry(prompt.message_id).add(prompt))

    def prompt(self, prompt_id: str) -> Prompt | None:
        """Return a prompt by its id."""
        with self._lock:
            known = (registry.prompt(prompt_id) for registry in self._registries.values())
            return next(filter(None, known), None) or self._store.prompt(prompt_id)

    def pictures_of(self, prompt_id: str) -> Sequence[Link]:
        """Return the pictures of a prompt."""
        prompt = self.prompt(prompt_id)
        return () if prompt is None else self.registry(prompt.message_id).pictures(prompt_id)

    def prompts_of(self, picture_id: str) -> Sequence[Prompt]:
        """Return the prompts of a picture, except those that the dry run added."""
        return self._store.prompts_of(picture_id)

    def close(self) -> None:
        """Do nothing: the caller closes the store that is read."""

    def _registry(self, message_id: str) -> Registry:
        found = self._registries.get(message_id)
        return self._store.registry(message_id) if found is None else found

    def _put(self, message_id: str, registry: Registry) -> None:
        self._registries[message_id] = registry


def stand_in(task: Task, cancelled: Cancelled) -> PictureBytes:
    """Return a picture of one pixel, different for each task, in place of the generator's."""
    del cancelled
    from PIL import Image

    data = BytesIO()
    Image.new("RGB", (1, 1), f"#{task.seed % 2**24:06x}").save(data, "PNG")
    return PictureBytes(data=data.getvalue())


def dry_run_settings(settings: Settings) -> Settings:
    """Return settings without waiting times and without an event log."""
    values = {"lanes": {}, "lane_groups": {}, "min_time": 0, "slots": 4, "events": None}
    return settings.model_copy(update=values)
