"""Regenerations of several messages on their way through a studio.

As in `illustrate`, all that happens comes into one queue, which the main thread takes from.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

import pykka

from limner.actors import Settings, Studio
from limner.actors.generators.protocol import GeneratorLike
from limner.actors.stores import RegistryStore
from limner.messages.errors import LimnerError, SessionCancelled
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
    give_up,
    is_incomplete,
    name_troubles,
    tell_written,
)
from limner.scripts.revise.document import Document
from limner.scripts.signals import heeding_signals

GATHERING = 3_600
"""Seconds that a message gathers wishes: it is written when it has all that are asked for."""


@dataclass(frozen=True)
class Job:
    """What is wished for one message.

    Args:
        message_id: which one.
        characters: of its text.
        wishes: asks the studio for all of it.
    """

    message_id: str
    characters: int
    wishes: Callable[[Studio], Iterable[pykka.Future[Illustrated]]]


@dataclass
class UnderWay:
    """A job that the studio has begun, and the futures of its wishes."""

    job: Job
    wishes: list[pykka.Future[Illustrated]] = field(default_factory=list)


class Interrupted:
    """Somebody pressed Ctrl-C, or the system wants the process to end."""


class Course:
    """Jobs on their way through a studio, a few messages at one time.

    Args:
        display: who is told.
    """

    def __init__(self, display: Display) -> None:
        self.interrupts = 0
        self.results: list[Illustrated] = []
        self.errors: list[LimnerError] = []
        self.display = display
        self._live: dict[str, UnderWay] = {}
        self._happenings: SimpleQueue[Any] = SimpleQueue()

    def run(
        self,
        name: str,
        settings: Settings,
        store: RegistryStore,
        jobs: Iterable[Job],
        *,
        generator: GeneratorLike | None = None,
    ) -> None:
        """Do them; wait for the end. `results` and `errors` are what came of them.

        After an error no more are begun.

        Args:
            name: of what is illustrated, for the display.
            settings: of the studio.
            store: where the texts are.
            jobs: what is wished for, a job a message; taken as they are begun.
            generator: in place of the one in the settings.

        Raises:
            LimnerError: whatever the studio's opening, or the finding of the jobs, raised.
        """
        put = self._happenings.put
        settings = settings.model_copy(update={"settle_after": GATHERING})
        with (
            heeding_signals(lambda: put(Interrupted())),
            Studio.open(settings, store=store, generator=generator) as studio,
        ):
            self.display.begin(name)
            studio.subscribe(put)
            self._see_through(studio, iter(jobs), settings.slots + 1)
        # the studio is closed, so every event of it is here
        while not self._happenings.empty():
            if isinstance(record := self._happenings.get(), dict):
                self.display.happened(record)

    def _see_through(self, studio: Studio, jobs: Iterator[Job], most: int) -> None:
        characters, more = 0, True
        while more or self._live:
            # so many that each slot has something to do, and the first ones are written first
            while more and len(self._live) < most and not (self.interrupts or self.errors):
                job = next(jobs, None)
                if job is None:
                    more = False
                else:
                    characters += job.characters
                    self._begin(studio, job)
            more = more and not (self.interrupts or self.errors)
            if self._live:
                self._next(studio)
                self.display.refresh(characters)

    def _begin(self, studio: Studio, job: Job) -> None:
        under_way = self._live[job.message_id] = UnderWay(job)
        under_way.wishes = list(job.wishes(studio))
        written = Studio.concurrent(studio.apply(job.message_id))
        written.add_done_callback(lambda _: self._happenings.put(under_way))

    def _next(self, studio: Studio) -> None:
        """Heed what happens next."""
        try:
            happening = self._happenings.get(timeout=self.display.interval)
        except Empty:
            return
        match happening:
            case UnderWay():
                self._ended(happening)
            case Interrupted():
                self._interrupt(studio)
            case dict():
                self.display.happened(happening)

    def _ended(self, under_way: UnderWay) -> None:
        """Take what came of a job: one result of all its wishes, but for those that are refused."""
        del self._live[under_way.job.message_id]
        results: dict[int, Illustrated] = {}
        errors: dict[int, LimnerError] = {}
        for wish in under_way.wishes:
            try:
                result = wish.get()
            except LimnerError as error:
                errors[id(error)] = error
            else:
                results[id(result)] = result
        self.results += results.values()
        self.errors += [
            one
            for one in errors.values()
            if not (self.interrupts and isinstance(one, SessionCancelled))
        ]

    def _interrupt(self, studio: Studio) -> None:
        """Write what is finished; the second time, write nothing more."""
        self.interrupts += 1
        if self.interrupts == 1:
            self.display.say("interrupted: writing what is finished; again to write nothing")
        for message_id in self._live:
            with suppress(LimnerError):
                if self.interrupts == 1:
                    studio.apply(message_id, wait=False)
                else:
                    studio.clear(message_id)


def conclude(course: Course, document: Document, display: Display) -> int:
    """Say what has become of all of it, and give the exit status.

    It is 0 if all was written, 1 if nothing was or an error has ended it, 3 if some pictures are
    missing, 130 if it was interrupted.
    """
    result = together(document.name, course.results)
    for trouble in name_troubles(result, document.settings, failures=not display.names_failures):
        display.complain(trouble)
    status = DONE
    for error in course.errors[:MAX_NAMED]:
        status = give_up(error, display)
    if result.written:
        tell_written(result, document.places, document.settings, display)
    elif course.interrupts:
        display.complain("interrupted; nothing was written")
    elif not course.errors:
        display.complain(f"nothing was written: {shown(str(result.reason), 300)}")
    if course.interrupts:
        return INTERRUPTED
    if course.errors:
        return FAILED if result.written else status
    if not result.written:
        return FAILED
    return INCOMPLETE if is_incomplete(result) else DONE


def tell_removed(results: Sequence[Illustrated], display: Display) -> None:
    """Say which pictures went."""
    for line in few([f"removed {one}" for result in results for one in result.removed]):
        display.say(line)


def together(name: str, results: Sequence[Illustrated]) -> Illustrated:
    """Give what became of several messages as if it were one, without the text."""
    return Illustrated(
        message_id=name,
        text="",
        version=None,
        pictures=tuple(one for each in results for one in each.pictures),
        unplaced=tuple(one for each in results for one in each.unplaced),
        failures=tuple(one for each in results for one in each.failures),
        over_limit=tuple(one for each in results for one in each.over_limit),
        dropped_patterns=tuple(
            dict.fromkeys(one for each in results for one in each.dropped_patterns)
        ),
        removed=tuple(one for each in results for one in each.removed),
        written=any(one.written for one in results),
        reason=next((one.reason for one in results if one.reason), None),
    )
