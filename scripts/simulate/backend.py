"""The generator and the store of a simulation, and what goes wrong in them."""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from time import sleep
from typing import Any

from limner.actors.generators.protocol import Cancelled
from limner.actors.stores import MemoryStore
from limner.messages.errors import GenerationFailed, StoreFailed, VersionConflict
from limner.messages.pictures import Picture, PictureBytes
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, Registry, RegistryUpdate, Version
from limner.messages.status import Forgotten
from limner.messages.tasks import Task
from limner.scripts.simulate.answers import busy, good
from limner.scripts.simulate.draws import Draws
from limner.scripts.simulate.parameters import LOCKED, Parameters

NUMBER_OF_PICTURES = 16
FOR_EVER = 3_600.0
"""Seconds that a hanging call takes on real threads, unless it is cancelled."""

BUSY = 60
"""Seconds that the back end asks to pause, at most (`retry_after`)."""

DOWN = 20
"""Calls that fail in a row, at most."""


class Chance:
    """Draws whether a fault happens; may be used from any thread."""

    def __init__(self, params: Parameters, draws: Draws, purpose: str) -> None:
        self._faults = params.faults
        self._draw = draws(purpose)
        self._lock = Lock()

    def __call__(self, fault: str) -> bool:
        """Return whether a fault happens now."""
        rate = self._faults[fault]
        return rate > 0 and self.draw() < rate

    def draw(self) -> float:
        """Return the next number, from 0 to 1."""
        with self._lock:
            return self._draw()


class Backend:
    """A generator of small pictures that fails now and then.

    Args:
        params: of the run.
        draws: the source of its random numbers.
        waits: whether calls sleep for their latency; a simulated system adds that itself.

    Attributes:
        redrawn: the tasks that got a second picture, though they were given one in time.
    """

    def __init__(self, params: Parameters, draws: Draws, *, waits: bool) -> None:
        self.lane = params.pictures
        self._chance = Chance(params, draws, "generator")
        self._latency = params.generation
        self._waits = waits
        self._down = 0
        self._drawn: set[str] = set()
        self.redrawn: list[str] = []
        self._pictures = [_picture(number) for number in range(NUMBER_OF_PICTURES)]

    def microseconds(self) -> int | None:
        """Return how long a call takes; `None` for a call that hangs."""
        if self._chance("generation_hangs"):
            return None
        return round(self._latency.draw(self._chance.draw) * 1_000_000)

    def generate(self, task: Task, cancelled: Cancelled) -> Any:
        """Return a picture, or raise."""
        if self._waits:
            time = self.microseconds()
            cancelled.wait(FOR_EVER if time is None else time / 1_000_000)
        self.fail()
        if self._chance("generation_refused"):
            raise GenerationFailed("the prompt is refused", retryable=False)
        if self._chance("generation_rubbish"):
            return _rubbish(int(self._chance.draw() * 4))
        if not cancelled.is_set():
            (self.redrawn.append if task.id in self._drawn else self._drawn.add)(task.id)
        return self._pictures[task.seed % NUMBER_OF_PICTURES]

    def answer(self, number: int) -> Any:
        """Answer a host call, or raise."""
        if self._waits:
            sleep(self._latency.draw(self._chance.draw))
        self.fail()
        if self._chance("answer_busy"):
            answer = busy(number, self._chance.draw)
            if self._chance.draw() < 0.5:
                raise answer
            return answer
        if self._chance("answer_limits"):
            return good(number, self._chance.draw)
        return number

    def answer_all(self, numbers: list[int]) -> list[Any]:
        """Answer the calls of a batch; all of them, or some, may fail."""
        if self._chance("generation_rubbish"):
            return []
        self.answer(0)
        refused = GenerationFailed("the prompt is refused", retryable=False)
        return [refused if self._chance("generation_refused") else number for number in numbers]

    def fail(self) -> None:
        """Raise if a fault of the back end happens now.

        Raises:
            GenerationFailed: as if the back end were down or busy.
        """
        if self._down:
            self._down -= 1
            raise GenerationFailed("the back end is down")
        if self._chance("generation_down"):
            self._down = int(self._chance.draw() * DOWN)
            raise GenerationFailed("the back end has gone down")
        if self._chance("generation_busy"):
            seconds = self._chance.draw() * BUSY
            raise GenerationFailed("the back end asks for a pause", retry_after=seconds)
        if self._chance("generation_fails"):
            raise GenerationFailed("the back end is busy")


class FaultyStore:
    """A store in memory that fails now and then.

    Args:
        params: of the run.
        draws: the source of its random numbers.
        waits: whether calls sleep for their latency.

    Attributes:
        hang: blocks for as long as a call that hangs; a simulated system sets its own.
    """

    def __init__(self, params: Parameters, draws: Draws, *, waits: bool) -> None:
        self.inner = MemoryStore()
        self.loaded: set[str] = set()
        self.hang: Callable[[], None] = lambda: sleep(FOR_EVER)
        self._chance = Chance(params, draws, "store")
        self._keeps = Chance(params, draws, "keep")
        self._latency = params.store
        self._waits = waits

    def microseconds(self) -> int:
        """Return how long a call takes."""
        seconds = self._latency.draw(self._chance.draw)
        return round(seconds * (LOCKED if self._chance("store_locked") else 1) * 1_000_000)

    def load(self, message_id: str) -> tuple[str, Version] | None:
        """Return a message's text and its version."""
        self._fail("load")
        self.loaded.add(message_id)
        return self.inner.load(message_id)

    def write(
        self,
        message_id: str,
        text: str,
        *,
        expected_version: Version | None,
        links: RegistryUpdate | None = None,
    ) -> Version:
        """Write a text."""
        self._wait()
        if self._chance("store_conflicts"):
            raise VersionConflict(f"somebody else has written message {message_id!r}")
        fails = self._chance("store_fails")
        if fails and self._chance.draw() < 0.5:
            raise StoreFailed("the disk is full")
        version = self.inner.write(message_id, text, expected_version=expected_version, links=links)
        if fails:
            raise ConnectionError("the connection was lost after the write")
        return version

    def keep(self, task: Task, data: bytes, picture: Picture) -> Picture:
        """Keep a picture."""
        self._fail("keep")
        if self._keeps("keep_fails"):
            raise StoreFailed("no space is left for a picture")
        if self._keeps("keep_hangs"):
            self.hang()
            raise StoreFailed("the store came back much too late")
        return self.inner.keep(task, data, picture)

    def kept(self, message_id: str) -> Mapping[str, Picture]:
        """Return the kept pictures of a message."""
        return self.inner.kept(message_id)

    def registry(self, message_id: str) -> Registry:
        """Return the registry of a message."""
        self._fail("registry")
        return self.inner.registry(message_id)

    def add(self, prompt: Prompt) -> None:
        """Add a prompt to its message's registry."""
        self._fail("add")
        self.inner.add(prompt)

    def prompt(self, prompt_id: str) -> Prompt | None:
        """Return a prompt."""
        return self.inner.prompt(prompt_id)

    def pictures_of(self, prompt_id: str) -> Sequence[Link]:
        """Return the pictures of a prompt."""
        return self.inner.pictures_of(prompt_id)

    def prompts_of(self, picture_id: str) -> Sequence[Prompt]:
        """Return the prompts of a picture."""
        return self.inner.prompts_of(picture_id)

    def forget(self, message_id: str) -> Forgotten:
        """Forget what is known of a message."""
        self._fail("forget")
        return self.inner.forget(message_id)

    def messages_of(self, owner: str) -> Sequence[str]:
        """Return the messages of an owner."""
        return self.inner.messages_of(owner)

    def close(self) -> None:
        """Do nothing, since the store is in memory."""

    def put(self, message_id: str, text: str) -> None:
        """Write a text directly, as the host does without Limner."""
        loaded = self.inner.load(message_id)
        self.inner.write(message_id, text, expected_version=loaded and loaded[1])

    def _wait(self) -> None:
        if self._waits:
            sleep(self.microseconds() / 1_000_000)

    def _fail(self, call: str) -> None:
        self._wait()
        if self._chance("store_fails"):
            raise StoreFailed(f"the store does not answer a {call}")


def _picture(number: int) -> PictureBytes:
    """Draw a small PNG without compression, whose bytes are the same on every machine."""
    side = 8
    colour = bytes((16 * number, 128, 255 - 16 * number))
    rows = (b"\0" + colour * side) * side
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(rows, 0)),
            (b"IEND", b""),
        )
    )
    return PictureBytes(data=data, media_type="image/png")


def _rubbish(kind: int) -> Any:
    return (
        None,
        "a picture",
        PictureBytes(data=b"<html>502 Bad Gateway</html>", media_type="image/png"),
        PictureBytes(data=_picture(1).data[:-20], media_type="image/png"),
    )[kind]
