"""`limner illustrate`: one text, from a file or a pipe, through a studio to its output.

All events (of the studio, the end of the text, a Ctrl-C) come into one queue, which the main
thread reads. So a signal is handled whatever else is being waited for.
"""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from limner.actors import Settings, Stream, Studio
from limner.actors.generators import Generator
from limner.actors.settings import load_settings
from limner.actors.stores import MemoryStore, PictureFiles, Store
from limner.messages.errors import LimnerError, SessionCancelled, StreamClosed
from limner.messages.pictures import Illustrated
from limner.messages.unicode import shown
from limner.scripts.display import Display, open_display, tell
from limner.scripts.html_page import (
    Passage,
    check_page,
    html_page,
    page_of_file,
    page_path,
    pictures_of,
    write_page,
)
from limner.scripts.paths import Paths, choose_paths
from limner.scripts.pipes import PipedFileStore, PipedText, version_at
from limner.scripts.reading import Reader, Source, Unusable, check_rate, open_source
from limner.scripts.report import (
    DONE,
    INCOMPLETE,
    INTERRUPTED,
    deliver,
    deliver_plain,
    report_error,
)
from limner.scripts.revise.chat import Wanted, illustrate_chat
from limner.scripts.revise.document import opened
from limner.scripts.revise.file_kind import is_chat
from limner.scripts.revise.text import illustrate_text, protect
from limner.scripts.signals import handling_signals


@dataclass(frozen=True)
class SourceEnded:
    """The text is complete, or could not be read to its end."""

    error: LimnerError | None


@dataclass(frozen=True)
class Interrupted:
    """Ctrl-C was pressed, or the process was asked to terminate."""


@dataclass(frozen=True)
class TextRead:
    """A piece of the text was fed to its session; for displays that show it."""

    text: str


@dataclass(frozen=True)
class Settled:
    """The session's future has its result."""


def illustrate(
    source: str,
    *,
    output: str | None = None,
    pictures: Path | None = None,
    rate: float | None = None,
    html: bool = False,
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
        html: whether a page to look at is written, too.
        quiet: whether to show errors only.
        config: a file of settings.
        wanted: what is wanted of prompts that have a picture, and which messages of a chat.
        given: fields of `Settings`.

    Returns:
        The exit status: 0 all illustrated, 1 failed, 2 wrong use or input, 3 written without
        some of its pictures, 130 interrupted.
    """
    display = Display()
    try:
        settings = load_settings(config, **given)
        chat = source != "-" and is_chat(source)
        opened_source = None if chat else open_source(source)
        pipe = opened_source is not None and not opened_source.regular
        wanted.check(chat=chat, output=output, rate=rate, pipe=pipe)
        paths = choose_paths(source, output or source if chat else output, pictures, settings)
        page = page_for(paths) if html else None
        if opened_source is None:
            status = illustrate_chat(source, output, pictures, settings, wanted, quiet=quiet)
        else:
            if "markup" not in settings.model_fields_set:
                settings = settings.model_copy(update={"markup": paths.markup})
            status = illustrate_source(opened_source, paths, settings, wanted, rate, quiet=quiet)
        if page is not None and status in (DONE, INCOMPLETE, INTERRUPTED):
            write_html(page, paths, settings, chat=chat)
            if not quiet:
                tell(f"page    {shown(str(page), 300)}")
    except LimnerError as error:
        return report_error(error, display)
    return status


def illustrate_source(
    source: Source,
    paths: Paths,
    settings: Settings,
    wanted: Wanted,
    rate: float | None,
    *,
    quiet: bool,
) -> int:
    """Illustrate a text that is open for reading, and return the exit status.

    Raises:
        LimnerError: if it cannot be read, or the studio not be opened.
    """
    check_rate(rate, in_place=paths.in_place)
    text = source.whole(settings.max_text) if source.regular and rate is None else None
    if text is None:
        protect(paths, force=wanted.force, quiet=quiet)
    else:
        status = illustrate_text(text, paths, settings, wanted, quiet=quiet)
        if status is not None:
            return status
    display = open_display(settings.slots, quiet=quiet)
    if not source.regular:
        return illustrate_pipe(source, paths, settings, rate, display)
    illustration = Illustration(source, display)
    with handling_signals(illustration.interrupt):
        result = run(illustration, settings, open_store(paths, None), paths, text, rate)
    return deliver(result, paths, settings, display, interrupted=illustration.interrupts > 0)


def page_for(paths: Paths) -> Path:
    """Return where the page of an output goes, after a check that it can be written there.

    Raises:
        Unusable: if it cannot, or there is no output that it could be named after.
    """
    if paths.output is None:
        raise Unusable("--html: the page goes beside the output; name a file with -o")
    page = page_path(paths.output)
    check_page(page)
    return page


def write_html(page: Path, paths: Paths, settings: Settings, *, chat: bool) -> None:
    """Write the page of an output.

    Raises:
        LimnerError: if the output cannot be read, or the page not be written.
    """
    assert paths.output is not None
    if not chat:
        write_page(page, page_of_file(paths.output, paths.pictures, settings))
        return
    with opened(paths, settings, chat=True, backup=False) as document:
        passages = [
            Passage(text, f"message {message_id}") for message_id, text in document.messages()
        ]
        notation = document.settings.notation
    find = pictures_of(paths.pictures, max_bytes=settings.max_picture_bytes)
    content = html_page(passages, title=paths.output.name, picture=find, notation=notation)
    write_page(page, content)


def illustrate_pipe(
    source: Source, paths: Paths, settings: Settings, rate: float | None, display: Display
) -> int:
    """Illustrate what comes through a pipe, and return the exit status.

    All that comes is written, with the pictures that are finished, whatever ends the session; only
    a second interrupt writes nothing.

    Raises:
        SessionCancelled: at a second interrupt, or at one before any text has come.
        LimnerError: if the studio cannot be opened, before any text was read.
    """
    settings = settings.model_copy(update={"write_at_deadline": True})
    piped = PipedText(settings.max_text)
    illustration = Illustration(source, display, piped)
    version = version_at(paths.output)
    with handling_signals(illustration.interrupt):
        try:
            result = run(illustration, settings, open_store(paths, piped), paths, None, rate)
        except Exception as error:
            if not piped.characters or isinstance(error, SessionCancelled):
                raise
            display.error(shown(str(error), 500))
            tell_pipe(illustration, settings, display)
            status = deliver_plain(piped.text, paths, version, display)
            if not isinstance(error, LimnerError):
                raise
            return INTERRUPTED if illustration.interrupts else status
        whole = tell_pipe(illustration, settings, display)
        result = result.but(text=result.text + (piped.rest if paths.output is None else ""))
        status = deliver(result, paths, settings, display, interrupted=illustration.interrupts > 0)
        if not whole and status == DONE:
            return INCOMPLETE
        return status


def tell_pipe(illustration: "Illustration", settings: Settings, display: Display) -> bool:
    """Print what was not as it should be with a pipe, and return whether all of it was read."""
    source, piped = illustration.source, illustration.piped
    if source.invalid is not None:
        number, first = source.invalid
        were = "byte that is not UTF-8 was" if number == 1 else "bytes that are not UTF-8 were"
        display.error(f"{source.name}: {number:,} {were} replaced by U+FFFD; the first: {first}")
    if illustration.error is not None:
        display.error(shown(str(illustration.error), 500))
    if piped is not None and piped.too_long:
        rest = piped.characters - settings.max_text
        display.error(
            f"{source.name} has more than the {settings.max_text:,} characters that "
            f"Settings.max_text (LIMNER_MAX_TEXT) allows; {rest:,} more are written as they came"
        )
    if illustration.idle:
        display.error(
            f"no text came for {settings.idle_timeout:g} s (LIMNER_IDLE_TIMEOUT); what came "
            "before is written"
        )
    return not (illustration.error or illustration.idle or (piped and piped.too_long))


def open_store(paths: Paths, piped: PipedText | None) -> Store:
    """Return the store that the text and its pictures go to."""
    files = PictureFiles(paths.pictures, paths.pictures_url)
    if paths.output is None:
        return MemoryStore(files)
    if piped is not None:
        return PipedFileStore(paths.output.parent, files, piped)
    from limner.actors.stores import FileStore

    return FileStore(paths.output.parent, files)


def run(
    illustration: "Illustration",
    settings: Settings,
    store: Store,
    paths: Paths,
    text: str | None,
    rate: float | None,
) -> Illustrated:
    """Run an illustration with a store, and close the store and the display."""
    try:
        with closing(store):
            return illustration.run(settings, store, paths.message_id, text=text, rate=rate)
    finally:
        illustration.display.close()


class Illustration:
    """Streams one text through a studio.

    Args:
        source: what is read.
        display: shows the progress.
        piped: keeps what is read, if it cannot be read again.
        generator: makes the pictures, in place of the one in the settings.

    Attributes:
        interrupts: how often it was interrupted.
        error: what ended the reading early.
        idle: whether the stream was ended since no text came for too long.
    """

    def __init__(
        self,
        source: Source,
        display: Display,
        piped: PipedText | None = None,
        *,
        generator: Generator | None = None,
    ) -> None:
        self.source = source
        self._generator = generator
        self.display = display
        self.piped = piped
        self.interrupts = 0
        self.error: LimnerError | None = None
        self.idle = False
        self._read = False
        self._settled = False
        self._failed = False
        self._events: SimpleQueue[Any] = SimpleQueue()

    def interrupt(self) -> None:
        """Write what is finished; the second time, write nothing. For handlers of signals."""
        self._events.put(Interrupted())

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
            LimnerError: what the studio raised, or the reading of a file that can be read again.
        """
        put = self._events.put
        with Studio.open(settings, store=store, generator=self._generator) as studio:
            self.display.begin(self.source.name)
            studio.subscribe(put)
            stream = studio.stream(message_id)
            future: Future[Illustrated] = Studio.concurrent(stream.future)
            future.add_done_callback(lambda _: put(Settled()))
            piped = self.piped
            feed = stream.feed if piped is None else partial(piped.feed, stream=stream.feed)
            if self.display.shows_text:
                feed = partial(self._feed_shown, feed)
            reader = Reader(self.source, feed, lambda error: put(SourceEnded(error)), rate=rate)
            if text is None:
                reader.start()
            else:
                stream.feed(text)
                stream.finish()
            while not self._over:
                self._next(stream, future)
            reader.stop()
        # the studio is closed, so every event of it is here
        while not self._events.empty():
            self._show(self._events.get())
        if self.error is not None and piped is None:
            raise self.error
        return future.result()

    @property
    def _over(self) -> bool:
        """Whether the session has ended, and no text is to come that would be lost."""
        waits = self._failed and not (self._read or self.interrupts)
        return self._settled and not waits

    def _next(self, stream: Stream, future: "Future[Illustrated]") -> None:
        """Handle the next event."""
        try:
            event = self._events.get(timeout=self.display.interval)
        except Empty:
            event = None
        match event:
            case Settled():
                self._settle(future)
            case SourceEnded(error=None):
                self._read = True
                stream.finish()
            case SourceEnded(error=StreamClosed()):
                pass  # something else has ended it, and reports that
            case SourceEnded(error=error):
                self._read = True
                self.error = error
                if self.piped is None:
                    stream.cancel()
                else:
                    stream.finish()
            case Interrupted():
                self._interrupt(stream)
            case _:
                self._show(event)
        self.display.refresh(stream.characters)

    def _show(self, event: Any) -> None:
        """Show an event of the studio, or a piece of the text."""
        match event:
            case dict():
                self.display.show_event(event)
            case TextRead(text):
                self.display.show_text(text)

    def _feed_shown(self, feed: Callable[[str], None], text: str) -> None:
        """Feed a piece of the text, and have it shown."""
        feed(text)
        self._events.put(TextRead(text))

    def _settle(self, future: "Future[Illustrated]") -> None:
        """Note the end of the session; a pipe is read on after one that failed."""
        self._settled = True
        if self.piped is None or self._read or self.interrupts:
            return
        self._failed = future.exception() is not None
        self.idle = not self._failed
        if self._failed:
            self.display.error("the session has failed; the text is read to its end all the same")

    def _interrupt(self, stream: Stream) -> None:
        """Write what is finished; the second time, or if no text has come, write nothing."""
        self.interrupts += 1
        if self.interrupts == 1 and stream.characters:
            self.display.note("interrupted: writing what is finished; again to write nothing")
            stream.interrupt()
        elif not self._settled:
            stream.cancel()
