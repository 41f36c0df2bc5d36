"""The workload on asyncio, by hand, as a capable engineer would write it for just this task.

One event loop on one thread. A message is a task that scans what has arrived since its last turn,
a picture is a task of the message's group, the limit is a semaphore. There is no event log, no
retry, no deadline and no supervision, and the generator is called in the loop.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable

from limner.actors.generators.protocol import Generator
from limner.actors.stores.protocol import Store
from limner.messages.pictures import Placement
from limner.messages.prompts import PromptMatch
from limner.messages.registry import RegistryUpdate
from limner.messages.settings import Settings
from limner.messages.text.compose import compose
from limner.messages.text.scanner import PromptScanner
from limner.scripts.bench.workload import PATIENCE, Stopwatch, Workload, picture_of

TURN = 50_000
"""Chunks that are fed between two turns of the loop, in whole rounds.

A turn wakes every message that was fed, so fewer turns are faster, but start prompts later. This is
about 30 milliseconds of feeding, several times the interval after which a thread must release the
interpreter: a choice in favour of asyncio.
"""


class Inbox:
    """The chunks of one message, passed in one piece to the task that waits for them."""

    __slots__ = ("_arrived", "_chunks", "_ended")

    def __init__(self) -> None:
        self._chunks: list[str] = []
        self._arrived = asyncio.Event()
        self._ended = False

    def feed(self, chunk: str) -> None:
        """Add a chunk."""
        self._chunks.append(chunk)
        self._arrived.set()

    def finish(self) -> None:
        """Mark the text as complete."""
        self._ended = True
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[str]:
        ended = False
        while not ended:
            await self._arrived.wait()
            self._arrived.clear()
            ended = self._ended
            arrived = "".join(self._chunks)
            self._chunks.clear()
            yield arrived


class Illustrator:
    """Illustrates messages under one limit."""

    def __init__(self, settings: Settings, store: Store, generator: Generator) -> None:
        self.slots = asyncio.Semaphore(settings.slots)
        self.store = store
        self.generator = generator
        self.settings = settings
        self.cancelled = threading.Event()

    async def message(self, message_id: str, inbox: Inbox) -> None:
        """Illustrate one message, from its first chunk to its one write."""
        loaded = self.store.load(message_id)
        scanner = PromptScanner(self.settings.patterns, max_tag=self.settings.max_tag)
        parts: list[str] = []
        pictures: list[asyncio.Task[Placement]] = []
        async with asyncio.TaskGroup() as group:

            def begin(matches: Iterable[PromptMatch]) -> None:
                pictures.extend(
                    group.create_task(self.picture(match, message_id)) for match in matches
                )

            async for arrived in inbox:
                parts.append(arrived)
                begin(scanner.feed(arrived))
            begin(scanner.close())
        placements = [picture.result() for picture in pictures]
        composed = compose(
            "".join(parts), placements, message_id=message_id, markup=self.settings.markup
        )
        self.store.write(
            message_id,
            composed.text,
            expected_version=None if loaded is None else loaded[1],
            links=RegistryUpdate(placed=tuple(placements)),
        )

    async def picture(self, match: PromptMatch, message_id: str) -> Placement:
        """Return one picture, made under the limit. The call takes a turn of the loop."""
        async with self.slots:
            await asyncio.sleep(0)
            return picture_of(
                match,
                message_id,
                settings=self.settings,
                store=self.store,
                generator=self.generator,
                cancelled=self.cancelled,
            )


def run_asyncio(work: Workload, store: Store, generator: Generator, stopwatch: Stopwatch) -> None:
    """Illustrate the workload on one event loop."""
    asyncio.run(_run(work, store, generator, stopwatch))


async def _run(work: Workload, store: Store, generator: Generator, stopwatch: Stopwatch) -> None:
    stopwatch.begin()
    illustrator = Illustrator(work.settings, store, generator)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        inboxes = [Inbox() for _ in work.ids]
        for message_id, inbox in zip(work.ids, inboxes, strict=True):
            group.create_task(illustrator.message(message_id, inbox))
        await _feed(work, inboxes)
        stopwatch.all_live()
        for inbox in inboxes:
            inbox.finish()
    stopwatch.end()


async def _feed(work: Workload, inboxes: list[Inbox]) -> None:
    fed = 0
    for chunks in work.rounds():
        for inbox, chunk in zip(inboxes, chunks, strict=True):
            inbox.feed(chunk)
        fed += len(chunks)
        if fed >= TURN:
            fed = 0
            await asyncio.sleep(0)
