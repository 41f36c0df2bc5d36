"""`limner illustrate`: one text, from a file or a pipe, through a studio and back.

All that happens (an event of the studio, the end of the text, a Ctrl-C) comes into one queue,
which the main thread takes from; so a signal is heeded whatever else is being waited for.
"""

from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from limner.actors import Settings, Stream, Studio
from limner.actors.settings import load_settings
from limner.actors.stores import MemoryStore, PictureFiles, Store
from limner.messages.errors import LimnerError, StreamClosed
from limner.messages.pictures import Illustrated
from limner.scripts.display import Display, open_display
from limner.scripts.paths import Places, find_places
from limner.scripts.reading import Reader, Source, check_rate, open_source
from limner.scripts.report import deliver, give_up
from limner.scripts.revise.chat import Wanted, illustrate_chat
from limner.scripts.revise.document import is_chat
from limner.scripts.signals import heeding_signals


@dataclass(frozen=True)
class SourceEnded:
    """The text is complete, or cannot be read on."""

    error: LimnerError | None


@dataclass(frozen=True)
class Interrupted:
    """Somebody pressed Ctrl-C, or the system wants the process to end."""


@dataclass(frozen=True)
class Settled:
    """The session's future has its result."""


def illustrate(
    source: str,
    *,
    output: str | None = None,
    pictures: Path | None = None,
    rate: float | None = None,
    quiet: bool = False,
    config: Path | None = None,
    wanted: Wanted = Wanted(),  # noqa: B008  # it is immutable
    **given: Any,
) -> int:
    """Illustrate a text, and show on standard error how that goes.

    Args:
        source: a file, or `-` for standard input.
        output: a file, or `-` for standard output; by default beside the source.
        pictures: the directory of the pictures; by default beside the output.
        rate: characters a second to read, 0.01 to 1,000,000; as fast as they come by default.
        quiet: whether to show errors only.
        config: a file of settings.
        wanted: what is meant of a chat.
        given: fields of `Settings`.

    Returns:
        The exit status: 0 all illustrated, 1 failed, 2 wrong use or input, 3 written without
        some of its pictures, 130 interrupted.
    """
    display = Display()
    try:
        settings = load_settings(config, **given)
        chat = source != "-" and is_chat(source)
        wanted.check(chat=chat, output=output, rate=rate)
        if chat:
            return illustrate_chat(source, output, pictures, settings, wanted, quiet=quiet)
        opened = open_source(source)
        places = find_places(source, output, pictures, settings)
        if "markup" not in settings.model_fields_set:
            settings = settings.model_copy(update={"markup": places.markup})
        check_rate(rate, in_place=places.in_place)
        text = opened.whole(settings.max_text) if opened.regular and rate is None else None
        display = open_display(settings.slots, quiet=quiet)
        course = Course(opened, display)
        try:
            with closing(open_store(places)) as store:
                result = course.run(settings, store, places.message_id, text=text, rate=rate)
        finally:
            display.close()
        return deliver(result, places, settings, display, interrupted=course.interrupts > 0)
    except LimnerError as error:
        return give_up(error, display)


def open_store(places: Places) -> Store:
    """Give the store that the text and its pictures go to."""
    files = PictureFiles(places.pictures, places.pictures_url)
    if places.output is None:
        return MemoryStore(files)
    from limner.actors.stores import FileStore

    return FileStore(places.output.parent, files)


class Course:
    """One text on its way through a studio.

    Args:
        source: what is read.
        display: who is told.
    """

    def __init__(self, source: Source, display: Display) -> None:
        self.interrupts = 0
        self._source = source
        self._display = display
        self._error: LimnerError | None = None
        self._happenings: SimpleQueue[Any] = SimpleQueue()

    def run(
        self,
        settings: Settings,
        store: Store,
        message_id: str,
        *,
        text: str | None,
        rate: float | None,
    ) -> Illustrated:
        """Illustrate; wait for the end.

        Args:
            settings: of the studio.
            store: where the text goes.
            message_id: its name there.
            text: the whole text, if it need not be read.
            rate: characters a second to read at most.

        Raises:
            LimnerError: whatever the studio or the reading raised.
        """
        put = self._happenings.put
        with (
            heeding_signals(lambda: put(Interrupted())),
            Studio.open(settings, store=store) as studio,
        ):
            self._display.begin(self._source.name)
            studio.subscribe(put)
            stream = studio.stream(message_id)
            future: Future[Illustrated] = Studio.concurrent(stream.future)
            future.add_done_callback(lambda _: put(Settled()))
            reader = Reader(
                self._source, stream.feed, lambda error: put(SourceEnded(error)), rate=rate
            )
            if text is None:
                reader.start()
            else:
                stream.feed(text)
                stream.finish()
            while self._next(stream):
                pass
            reader.stop()
        # the studio is closed, so every event of it is here
        while not self._happenings.empty():
            if isinstance(record := self._happenings.get(), dict):
                self._display.happened(record)
        if self._error is not None:
            raise self._error
        return future.result()

    def _next(self, stream: Stream) -> bool:
        """Heed what happens next; say whether more is to come."""
        try:
            happening = self._happenings.get(timeout=self._display.interval)
        except Empty:
            happening = None
        match happening:
            case Settled():
                return False
            case SourceEnded(error=None):
                stream.finish()
            case SourceEnded(error=StreamClosed()):
                pass  # it was ended by something else, which will tell
            case SourceEnded(error=error):
                self._error = error
                stream.cancel()
            case Interrupted():
                self._interrupt(stream)
            case dict():
                self._display.happened(happening)
        self._display.refresh(stream.characters)
        return True

    def _interrupt(self, stream: Stream) -> None:
        """Write what is finished; the second time, or if there is nothing yet, write nothing."""
        self.interrupts += 1
        if self.interrupts == 1 and stream.characters:
            self._display.say("interrupted: writing what is finished; again to write nothing")
            stream.interrupt()
        else:
            stream.cancel()
