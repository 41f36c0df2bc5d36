"""Picture requests for several messages of one file, run through one studio.

As in `illustrate`, all events come into one queue, which the main thread reads.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from queue import Empty, SimpleQueue
from typing import Any

import pykka

from limner.actors import Settings, Studio
from limner.actors.generators.protocol import GeneratorLike
from limner.actors.stores import RegistryStore
from limner.messages.errors import LimnerError, SessionCancelled, StudioClosed
from limner.messages.pictures import Illustrated
from limner.messages.unicode import shown
from limner.scripts.display import Display
from limner.scripts.report import (
    DONE,
    FAILED,
    INCOMPLETE,
    INTERRUPTED,
    MAX_NAMED,
    few,
    is_incomplete,
    name_troubles,
    report_error,
    tell_written,
)
from limner.scripts.revise.document import Document
from limner.scripts.signals import handling_signals

GATHERING = 3_600
"""Seconds that a message gathers requests: `apply` writes it when all of them are made."""


MAX_IN_A_ROW = 5
"""Messages that may fail one after another before no more are begun, as on a disk that is full."""


@dataclass(frozen=True)
class Job:
    """The picture requests for one message.

    Args:
        message_id: which one.
        characters: of its text.
        request: makes the requests of a studio, and returns their futures.
    """

    message_id: str
    characters: int
    request: Callable[[Studio], Iterable[pykka.Future[Illustrated]]]


@dataclass
class RunningJob:
    """A job that was started, and the futures of its requests."""

    job: Job
    futures: list[pykka.Future[Illustrated]] = field(default_factory=list)


class Interrupted:
    """Ctrl-C was pressed, or the process was asked to terminate."""


class Batch:
    """Runs jobs through a studio, a few messages at one time.

    Args:
        display: shows the progress.
    """

    def __init__(self, display: Display) -> None:
        self.interrupts = 0
        self.results: list[Illustrated] = []
        self.errors: list[LimnerError] = []
        self.gave_up = False
        self._in_a_row = 0
        self.display = display
        self._running: dict[str, RunningJob] = {}
        self._events: SimpleQueue[Any] = SimpleQueue()

    def run(
        self,
        name: str,
        settings: Settings,
        store: RegistryStore,
        jobs: Iterable[Job],
        *,
        generator: GeneratorLike | None = None,
    ) -> None:
        """Run jobs and wait until all have ended; fill `results` and `errors`.

        A message that fails fails alone. After `MAX_IN_A_ROW` that fail one after another, or if
        the studio closes, no more jobs are started, and `gave_up` is set.

        Args:
            name: of what is illustrated, for the display.
            settings: of the studio.
            store: where the texts are.
            jobs: one for each message; each is taken when it is to start.
            generator: in place of the one in the settings.

        Raises:
            LimnerError: what opening the studio, or iterating over `jobs`, raised.
        """
        put = self._events.put
        settings = settings.model_copy(update={"settle_after": GATHERING})
        with (
            handling_signals(lambda: put(Interrupted())),
            Studio.open(settings, store=store, generator=generator) as studio,
        ):
            self.display.begin(name)
            studio.subscribe(put)
            self._run_all(studio, iter(jobs), settings.slots + 1)
        # the studio is closed, so every event of it is here
        while not self._events.empty():
            if isinstance(record := self._events.get(), dict):
                self.display.show_event(record)

    def _run_all(self, studio: Studio, jobs: Iterator[Job], most: int) -> None:
        characters, more = 0, True
        while more or self._running:
            # enough jobs to use each slot, yet few, so that the first messages are written soon
            while more and len(self._running) < most and not (self.interrupts or self.gave_up):
                job = next(jobs, None)
                if job is None:
                    more = False
                else:
                    characters += job.characters
                    self._start(studio, job)
            more = more and not (self.interrupts or self.gave_up)
            if self._running:
                self._next(studio)
                self.display.refresh(characters)

    def _start(self, studio: Studio, job: Job) -> None:
        running = self._running[job.message_id] = RunningJob(job)
        running.futures = list(job.request(studio))
        written = Studio.concurrent(studio.apply(job.message_id))
        written.add_done_callback(lambda _: self._events.put(running))

    def _next(self, studio: Studio) -> None:
        """Handle the next event."""
        try:
            event = self._events.get(timeout=self.display.interval)
        except Empty:
            return
        match event:
            case RunningJob():
                self._ended(event)
            case Interrupted():
                self._interrupt(studio)
            case dict():
                self.display.show_event(event)

    def _ended(self, running: RunningJob) -> None:
        """Collect the results of a job; requests that were written together share one result."""
        del self._running[running.job.message_id]
        results: dict[int, Illustrated] = {}
        errors: dict[int, LimnerError] = {}
        for future in running.futures:
            try:
                result = future.get()
            except LimnerError as error:
                errors[id(error)] = error
            else:
                results[id(result)] = result
        self.results += results.values()
        failed = [
            error
            for error in errors.values()
            if not (self.interrupts and isinstance(error, SessionCancelled))
        ]
        self.errors += failed
        self._in_a_row = 0 if results else self._in_a_row + bool(failed)
        closed = any(isinstance(error, StudioClosed) for error in failed)
        self.gave_up = self.gave_up or closed or self._in_a_row >= MAX_IN_A_ROW

    def _interrupt(self, studio: Studio) -> None:
        """Write what is finished; the second time, write nothing more."""
        self.interrupts += 1
        if self.interrupts == 1:
            self.display.note("interrupted: writing what is finished; again to write nothing")
        for message_id in self._running:
            with suppress(LimnerError):
                if self.interrupts == 1:
                    studio.apply(message_id, wait=False)
                else:
                    studio.clear(message_id)


def conclude(batch: Batch, document: Document, display: Display) -> int:
    """Print a summary of a batch, and return the exit status.

    The status is 0 if all was written, 1 if nothing was written or the batch was given up, 3 if
    some messages failed or some pictures are missing, 130 if it was interrupted.
    """
    result = merge(document.name, batch.results)
    for trouble in name_troubles(result, document.settings, failures=not display.names_failures):
        display.error(trouble)
    status = DONE
    for error in batch.errors[:MAX_NAMED]:
        status = report_error(error, display)
    if result.written:
        tell_written(result, document.paths, document.settings, display)
    elif batch.interrupts:
        display.error("interrupted; nothing was written")
    elif not batch.errors:
        display.error(f"nothing was written: {shown(str(result.reason), 300)}")
    if batch.interrupts:
        return INTERRUPTED
    if batch.gave_up:
        display.error("too much has failed; the rest was not begun. Run it again for that")
        return FAILED
    if batch.errors:
        return INCOMPLETE if result.written else status
    if not result.written:
        return FAILED
    return INCOMPLETE if is_incomplete(result) else DONE


def tell_removed(results: Sequence[Illustrated], display: Display) -> None:
    """Print which pictures were removed."""
    for line in few([f"removed {placement}" for result in results for placement in result.removed]):
        display.note(line)


def merge(name: str, results: Sequence[Illustrated]) -> Illustrated:
    """Return the results of several messages as one result without a text."""
    return Illustrated(
        message_id=name,
        text="",
        version=None,
        pictures=tuple(chain.from_iterable(result.pictures for result in results)),
        unplaced=tuple(chain.from_iterable(result.unplaced for result in results)),
        failures=tuple(chain.from_iterable(result.failures for result in results)),
        over_limit=tuple(chain.from_iterable(result.over_limit for result in results)),
        dropped_patterns=tuple(
            dict.fromkeys(chain.from_iterable(result.dropped_patterns for result in results))
        ),
        removed=tuple(chain.from_iterable(result.removed for result in results)),
        written=any(result.written for result in results),
        reason=next((result.reason for result in results if result.reason), None),
    )
