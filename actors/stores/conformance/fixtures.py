"""What a store is tested with: messages, finished pictures, the registry that it should have."""

import struct
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from threading import Barrier
from time import sleep
from types import FrameType
from typing import Any, NamedTuple, TypeVar
from unicodedata import normalize

from limner.actors.stores.protocol import RegistryStore, Store, keeps_registry
from limner.messages.errors import VersionConflict
from limner.messages.ids import picture_id, prompt_id
from limner.messages.pictures import Picture, Placement
from limner.messages.prompts import Prompt
from limner.messages.registry import Registry, RegistryUpdate, Version
from limner.messages.tasks import Task, TaskState
from limner.messages.text.marks import mark

T = TypeVar("T")

IDS = ("story.md", "other.md")
"""The two messages that a store is tried with, where its ids are free."""

THREADS = 8
"""Threads that call a store at once, in each round of a race."""

ROUNDS = 8
"""Rounds of a race: a store that lets somebody in between a reading and a writing loses some."""


def equal(found: object, expected: object, what: str) -> None:
    """Raise an `AssertionError` that says `what` should have been, unless both are the same."""
    if found != expected:
        raise AssertionError(f"{what}: expected {_short(expected)}, found {_short(found)}")


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 600 else f"{shown[:400]} … {shown[-199:]}"


def png(number: int) -> bytes:
    """Return a PNG of one pixel; a different one for each number from 0 to 2**24 - 1."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    point = zlib.compress(b"\0" + number.to_bytes(3, "big"))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", point) + chunk(b"IEND", b"")
    )


class Finished(NamedTuple):
    """A task, the bytes that it gave, and what is known of them: what `keep` takes."""

    task: Task
    data: bytes
    picture: Picture

    @classmethod
    def of(cls, prompt: Prompt, number: int = 0, *, session: str = "session") -> "Finished":
        """Return the picture of a number, as if it was made for a prompt."""
        task = Task.requested(prompt, session_id=session, owner="Ada", priority=3, at=0)
        data = png(number)
        made = Picture(id=picture_id(data), url="", media_type="image/png", width=1, height=1)
        return cls(task, data, made)

    @property
    def placement(self) -> Placement:
        """This picture at its prompt."""
        task = self.task
        return Placement(
            prompt_id=task.prompt_id,
            prompt=task.prompt,
            picture=self.picture,
            task_id=task.id,
            ordinal=task.ordinal,
        )

    @property
    def settled(self) -> Task:
        """The task as a write tells of it."""
        return self.task.but(state=TaskState.COMPLETED, picture=self.picture, attempts=1)


def found(message_id: str, text: str = "a lighthouse", ordinal: int = 0) -> Prompt:
    """Return a prompt as it is found in a message."""
    name = prompt_id(message_id, text, ordinal)
    return Prompt(id=name, message_id=message_id, text=text, ordinal=ordinal)


def alike(name: str) -> list[str]:
    """Return texts that a careless comparison takes for `name`, or for each other."""
    accented = f"{name}\u00e9"
    wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in name)
    found = (
        *(name.upper(), name.lower(), name.title(), wide),
        *(f" {name}", f"{name} ", f"{name}\u00a0", f"\t{name}\n"),
        *(accented, accented.upper(), normalize("NFD", accented), f"{name}e"),
    )
    return [text for text in dict.fromkeys(found) if text != name]


class Trial:
    """A place of texts, the stores that were opened on it, and two messages to try them with.

    Args:
        open: opens a store on the place.
        ids: of the two messages.
    """

    def __init__(self, open: Callable[[], Store], ids: tuple[str, str]) -> None:  # noqa: A002
        self._open = open
        self.message_id, self.other_id = self.ids = ids
        self._numbers = count()
        self.store = open()

    def another(self) -> str:
        """Return the id of a message that is not there yet: that of the first one and a number."""
        named = (f"{self.message_id}{number}" for number in self._numbers)
        return next(name for name in named if name != self.other_id)

    def reopen(self) -> None:
        """Close the store, and open it again."""
        self.store.close()
        self.store = self._open()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def write(
        self, text: str, links: RegistryUpdate | None = None, *, of: str | None = None
    ) -> Version:
        """Write the next text of a message, whether it has one or not."""
        message_id = of or self.message_id
        held = self.store.load(message_id)
        version = None if held is None else held[1]
        return self.store.write(message_id, text, expected_version=version, links=links)

    def keep(self, finished: Finished) -> Finished:
        """Keep a picture, and give it as the store refers to it."""
        return finished._replace(picture=self.store.keep(*finished))

    def at_once(self, call: Callable[[int], T]) -> list[T]:
        """Make `THREADS` calls at once, with the number of each, and give their results in order.

        Each call pauses at each line of the store's own modules, some longer than others, so that
        a quick one is divided too, wherever it can be, and is overtaken there.
        """
        modules = {kind.__module__ for kind in type(self.store).__mro__}
        start = Barrier(THREADS, timeout=60)

        def run(number: int) -> T:
            def pause(frame: FrameType, event: str, _: object) -> Any:
                if frame.f_globals.get("__name__") not in modules:
                    return None
                if event == "line":
                    sleep(number * 3e-5)
                return pause

            start.wait()
            tracing = sys.gettrace()
            sys.settrace(pause)
            try:
                return call(number)
            finally:
                sys.settrace(tracing)

        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(run, range(THREADS)))

    def refused(self, text: str, version: object, links: RegistryUpdate | None = None) -> None:
        """Write over a version, which must be refused."""
        given: Any = version
        try:
            done = self.store.write(self.message_id, text, expected_version=given, links=links)
        except VersionConflict:
            return
        raise AssertionError(
            f"a write that expects version {version!r}, which the text has not: expected "
            f"VersionConflict, found that it was written as version {done!r}"
        )


class Followed:
    """The registry of one message in a store, and the value that says what it should be.

    Args:
        trial: the place; its store must be a `RegistryStore`.
        message_id: whose registry; that of the trial by default.
    """

    def __init__(self, trial: Trial, message_id: str | None = None) -> None:
        self.trial = trial
        self.message_id = message_id or trial.message_id
        self.value = Registry()

    @property
    def store(self) -> RegistryStore:
        """The store of the trial, as it is open now."""
        store = self.trial.store
        assert keeps_registry(store), "the store should have the methods of RegistryStore"
        return store

    def prompt(self, text: str, ordinal: int = 0) -> Prompt:
        """Return a prompt as it is found in the message."""
        return found(self.message_id, text, ordinal)

    def add(self, prompt: Prompt) -> Prompt:
        """Add a prompt to both."""
        self.store.add(prompt)
        self.value = self.value.add(prompt)
        self.check(f"add of {prompt.text[:40]!r}")
        return prompt

    def keep(self, prompt: Prompt, number: int = 0) -> Placement:
        """Keep the picture of a number at a prompt in both."""
        finished = self.trial.keep(Finished.of(prompt, number))
        self.value = self.value.keep(finished.task, finished.picture)
        self.check("keep")
        return finished.placement

    def elsewhere(self, number: int) -> Picture:
        """Return a picture that another store has kept."""
        return Finished.of(self.prompt(""), number).picture.but(url=f"elsewhere/{number}.png")

    def write(self, text: str, **links: Any) -> None:
        """Write a text with links in both."""
        given = RegistryUpdate(**links)
        self.trial.write(text, given, of=self.message_id)
        self.value = self.value.settle(self.message_id, given, text)
        self.check(f"write with {', '.join(links) or 'nothing'}")

    def check(self, after: str) -> None:
        """Compare both, whole and by each look-up."""
        store, value = self.store, self.value
        held = store.registry(self.message_id)
        for part in Registry.model_fields:
            equal(getattr(held, part), getattr(value, part), f"{part} of registry() after {after}")
        equal(dict(store.kept(self.message_id)), value.kept(), f"kept() after {after}")
        for prompt in value.prompts:
            equal(store.prompt(prompt.id), prompt, f"prompt() after {after}")
            links = tuple(store.pictures_of(prompt.id))
            equal(links, value.pictures(prompt.id), f"pictures_of() after {after}")


def in_html(*placements: Placement) -> str:
    """Return the marks of pictures, as they stand in a text."""
    return " ".join(mark(placement, "html") for placement in placements)


class Check(NamedTuple):
    """One promise of a store. `str` gives its name, and its docstring says what is promised."""

    run: Callable[[Trial], None]
    needs: frozenset[str]

    def __str__(self) -> str:
        return self.run.__name__

    def __call__(
        self,
        open: Callable[[], Store],  # noqa: A002
        *,
        ids: tuple[str, str] = IDS,
    ) -> None:
        """Check it.

        Args:
            open: opens a store; each time on the same place, which holds no text of these ids,
                or one without pictures. A store that is not durable may give the same one.
            ids: of two messages that the check may write; see `check_store`.

        Raises:
            AssertionError: if the promise is not kept; it says what was promised, and what the
                store did.
        """
        promised = (self.run.__doc__ or "").partition("\n")[0].rstrip(".")
        before = f"{promised}: " if promised else ""
        try:
            with closing(Trial(open, ids)) as trial:
                self.run(trial)
        except AssertionError as error:
            raise AssertionError(f"{before}{error}") from error
        except Exception as error:
            raised = " ".join(f"{type(error).__name__}: {error}".split())
            raise AssertionError(f"{before}the store raised {raised[:600]}") from error


def promise(*needs: str) -> Callable[[Callable[[Trial], None]], Check]:
    """Make a check of a function, for stores that have what it needs; see `checks`."""
    return lambda run: Check(run, frozenset(needs))
