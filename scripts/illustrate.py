"""`limner illustrate`: one text, from a file or a pipe, through a studio to its output.

All events (of the studio, the end of the text, a Ctrl-C) come into one queue, which the main
thread reads. So a signal is handled whatever else is being waited for.
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
from limner.scripts.paths import Paths, choose_paths
from limner.scripts.reading import Reader, Source, check_rate, open_source
from limner.scripts.report import deliver, report_error
from limner.scripts.revise.chat import Wanted, illustrate_chat
from limner.scripts.revise.document import is_chat
from limner.scripts.signals import handling_signals


@dataclass(frozen=True)
class SourceEnded:
    """The text is complete, or could not be read to its end."""

    error: LimnerError | None


@dataclass(frozen=True)
class Interrupted:
    """Ctrl-C was pressed, or the process was asked to terminate."""


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
    """Illustrate a text, and show the progress on standard error.

    Args:
        source: a file, or `-` for standard input.
        output: a file, or `-` for standard output; by default beside the source.
        pictures: the directory of the pictures; by default beside the output.
        rate: characters a second to read, 0.01 to 1,000,000; as fast as they come by default.
        quiet: whether to show errors only.
        config: a file of settings.
        wanted: which messages of a chat, and how.
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
        paths = choose_paths(source, output, pictures, settings)
        if "markup" not in settings.model_fields_set:
            settings = settings.model_copy(update={"markup": paths.markup})
        check_rate(rate, in_place=paths.in_place)
        text = opened.whole(settings.max_text) if opened.regular and rate is None else None
        display = open_display(settings.slots, quiet=quiet)
        illustration = Illustration(opened, display)
        try:
            with closing(open_store(paths)) as store:
                result = illustration.run(settings, store, paths.message_id, text=text, rate=rate)
        finally:
            display.close()
        interrupted = illustration.interrupts > 0
        return deliver(result, paths, settings, display, interrupted=interrupted)
    except LimnerError as error:
        return report_error(error, display)


def open_store(paths: Paths) -> Store:
    """Return the store that the text and its pictures go to."""
    files = PictureFiles(paths.pictures, paths.pictures_url)
    if paths.output is None:
        return MemoryStore(files)
    from limner.actors.stores import FileStore

    return FileStore(paths.output.parent, files)


class Illustration:
    """Streams one text through a studio.

    Args:
        source: what is read.
        display: shows the progress.
    """

    def __init__(self, source: Source, display: Display) -> None:
        self.interrupts = 0
        self._source = source
        self._display = display
        self._error: LimnerError | None = None
        self._events: SimpleQueue[Any] = SimpleQueue()

    def run(
        self,
        settings: Settings,
        store: Store,
        message_id: str,
        *,
        text: str | None,
        rate: float | None,
    ) -> Illustrated:
        """Illustrate the text, and return the result once it is written.

        Args:
            settings: of the studio.
            store: where the text goes.
            message_id: its name there.
            text: the whole text, if it need not be read.
            rate: characters a second to read at most.

        Raises:
            LimnerError: what the studio or the reading raised.
        """
        put = self._events.put
        with (
            handling_signals(lambda: put(Interrupted())),
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
        while not self._events.empty():
            if isinstance(record := self._events.get(), dict):
                self._display.show_event(record)
        if self._error is not None:
            raise self._error
        return future.result()

    def _next(self, stream: Stream) -> bool:
        """Handle the next event, and return whether more are to come."""
        try:
            event = self._events.get(timeout=self._display.interval)
        except Empty:
            event = None
        match event:
            case Settled():
                return False
            case SourceEnded(error=None):
                stream.finish()
            case SourceEnded(error=StreamClosed()):
                pass  # something else has ended it, and reports that
            case SourceEnded(error=error):
                self._error = error
                stream.cancel()
            case Interrupted():
                self._interrupt(stream)
            case dict():
                self._display.show_event(event)
        self._display.refresh(stream.characters)
        return True

    def _interrupt(self, stream: Stream) -> None:
        """Write what is finished; the second time, or if no text has come, write nothing."""
        self.interrupts += 1
        if self.interrupts == 1 and stream.characters:
            self._display.note("interrupted: writing what is finished; again to write nothing")
            stream.interrupt()
        else:
            stream.cancel()
