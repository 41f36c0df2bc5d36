"""Texts that live as long as the process: for standard output, tests and benchmarks."""

from collections.abc import Mapping
from threading import Lock

from limner.actors.stores.picture_files import PictureFiles
from limner.messages.errors import VersionConflict
from limner.messages.pictures import Picture
from limner.messages.tasks import Task
from limner.messages.writing import Links, Version


class MemoryStore:
    """A store in memory. Versions are integers from 1; prompts and tasks are not remembered.

    `texts` holds the text by message id, `pictures` the bytes by picture id: read them, and
    take a text out of `texts` to play a host that deleted the message.

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
        self._kept: dict[str, dict[tuple[str, str], Picture]] = {}
        self._lock = Lock()

    @property
    def blocks(self) -> bool:
        """Whether its calls may block; what is derived from it is taken to."""
        return self._files is not None or type(self) is not MemoryStore

    def load(self, message_id: str) -> tuple[str, Version] | None:
        """Give a message's text and its version, or `None` if there is none."""
        with self._lock:
            text = self.texts.get(message_id)
            return None if text is None else (text, self._versions[message_id])

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: Links | None = None,
    ) -> Version:
        """Write a text if it still has the version that is expected; give the new one.

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
            self.texts[message_id] = text
            self._versions[message_id] = last + 1
            if links is not None and (kept := self._kept.get(message_id)):
                for placement in links.placed:
                    kept.pop((placement.prompt_id, placement.picture.id), None)
                if not kept:
                    del self._kept[message_id]
            return last + 1

    def keep(self, task: Task, data: bytes, picture: Picture) -> Picture:
        """Keep a finished picture; the same bytes are stored once."""
        known = self._known.get(picture.id)
        if known is None:
            known = (
                self._files.put(picture, data)
                if self._files
                else picture.model_copy(update={"url": f"memory:{picture.id}"})
            )
        with self._lock:
            known = self._known.setdefault(picture.id, known)
            if self._files is None:
                self.pictures.setdefault(picture.id, data)
            kept = self._kept.setdefault(task.message_id, {})
            kept.pop((task.prompt_id, picture.id), None)  # so that it is the newest
            kept[task.prompt_id, picture.id] = known
        return known

    def kept(self, message_id: str) -> Mapping[str, Picture]:
        """Give the newest picture of each prompt that is kept but in no text yet."""
        with self._lock:
            kept = self._kept.get(message_id)
            return {prompt_id: picture for (prompt_id, _), picture in kept.items()} if kept else {}

    def forget(self, message_id: str) -> None:
        """Forget a message and its versions, so that memory can be had back."""
        with self._lock:
            self.texts.pop(message_id, None)
            self._versions.pop(message_id, None)
            self._kept.pop(message_id, None)

    def close(self) -> None:
        """Do nothing: what is in memory can still be read."""
