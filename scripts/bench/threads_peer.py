"""The workload on plain Pykka: Limner's topology, with a thread an actor.

A session, a monitor, a processor and a writer for each message, one limiter for all. There is no
event log, no retry and no deadline; an actor that fails ends its message.
"""

import threading
from collections import deque
from collections.abc import Iterable
from types import TracebackType

import pykka

from limner.actors.generators.protocol import Generator
from limner.actors.stores.protocol import Store
from limner.messages.pictures import Placement
from limner.messages.prompts import PromptMatch
from limner.messages.registry import RegistryUpdate, Version
from limner.messages.settings import Settings
from limner.messages.text.compose import compose
from limner.messages.text.notation import Markup
from limner.messages.text.scanner import PromptScanner
from limner.scripts.bench.threads_messages import (
    OpenStream,
    PartFailed,
    PromptDetected,
    Ref,
    ReleaseSlot,
    RequestSlot,
    SlotGranted,
    StreamEnded,
    TaskSettled,
    TextStreamed,
    TextWritten,
    TotalsSealed,
)
from limner.scripts.bench.workload import (
    PATIENCE,
    Stopwatch,
    ThreadsExhausted,
    Workload,
    picture_of,
)

Written = pykka.ThreadingFuture[Version]


class Limiter(pykka.ThreadingActor):
    """Grants slots, first come first served."""

    use_daemon_thread = True

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.free = slots
        self.waiting: deque[Ref] = deque()

    def on_receive(self, message: object) -> None:
        """Handle one message."""
        match message:
            case RequestSlot(holder) if self.free:
                self.free -= 1
                holder.tell(SlotGranted())
            case RequestSlot(holder):
                self.waiting.append(holder)
            case ReleaseSlot() if self.waiting:
                self.waiting.popleft().tell(SlotGranted())
            case ReleaseSlot():
                self.free += 1


class Session(pykka.ThreadingActor):
    """Starts the three parts of one message, and stops them once the text is written."""

    use_daemon_thread = True

    def __init__(
        self,
        message_id: str,
        settings: Settings,
        store: Store,
        generator: Generator,
        limiter: Ref,
        written: Written,
    ) -> None:
        super().__init__()
        self.message_id = message_id
        self.settings = settings
        self.store = store
        self.generator = generator
        self.limiter = limiter
        self.written = written
        self.parts: list[Ref] = []

    def on_receive(self, message: object) -> Ref | None:
        """Handle one message."""
        match message:
            case OpenStream():
                return self.open()
            case TextWritten(version):
                self.written.set(version)
                self.end()
            case PartFailed(error) if self.parts:
                self.written.set_exception((type(error), error, error.__traceback__))
                self.end()
        return None

    def open(self) -> Ref:
        """Start the parts, and return the monitor."""
        writer = Writer.start(self.actor_ref, self.message_id, self.settings.markup, self.store)
        processor = Processor.start(
            self.actor_ref,
            self.message_id,
            self.settings,
            self.store,
            self.generator,
            self.limiter,
            writer,
        )
        monitor = Monitor.start(self.actor_ref, self.settings, processor, writer)
        self.parts = [monitor, processor, writer]
        return monitor

    def end(self) -> None:
        """Stop the parts, and this actor."""
        for part in self.parts:
            part.stop(block=False)
        self.parts = []
        self.stop()


class Part(pykka.ThreadingActor):
    """An actor of a session, which is told if it fails."""

    use_daemon_thread = True

    def __init__(self, session: Ref) -> None:
        super().__init__()
        self.session = session

    def on_failure(
        self,
        exception_type: type[BaseException] | None,  # noqa: ARG002
        exception_value: BaseException | None,
        traceback: TracebackType | None,  # noqa: ARG002
    ) -> None:
        """Report a failure to the session."""
        self.session.tell(PartFailed(exception_value or RuntimeError("an actor failed")))


class Monitor(Part):
    """Finds the prompts of one message as its chunks arrive."""

    def __init__(self, session: Ref, settings: Settings, processor: Ref, writer: Ref) -> None:
        super().__init__(session)
        self.processor = processor
        self.writer = writer
        self.scanner = PromptScanner(settings.patterns, max_tag=settings.max_tag)
        self.chunks: list[str] = []
        self.found = 0

    def on_receive(self, message: object) -> None:
        """Handle one message."""
        match message:
            case TextStreamed(chunk):
                self.chunks.append(chunk)
                self.detected(self.scanner.feed(chunk))
            case StreamEnded():
                self.detected(self.scanner.close())
                self.writer.tell(TotalsSealed("".join(self.chunks), self.found))

    def detected(self, matches: Iterable[PromptMatch]) -> None:
        """Send new prompts to the processor."""
        for match in matches:
            self.found += 1
            self.processor.tell(PromptDetected(match))


class Processor(Part):
    """Makes the pictures of one message, each once it holds a slot."""

    def __init__(
        self,
        session: Ref,
        message_id: str,
        settings: Settings,
        store: Store,
        generator: Generator,
        limiter: Ref,
        writer: Ref,
    ) -> None:
        super().__init__(session)
        self.message_id = message_id
        self.settings = settings
        self.store = store
        self.generator = generator
        self.limiter = limiter
        self.writer = writer
        self.prompts: deque[PromptMatch] = deque()
        self.cancelled = threading.Event()

    def on_receive(self, message: object) -> None:
        """Handle one message."""
        match message:
            case PromptDetected(match):
                self.prompts.append(match)
                self.limiter.tell(RequestSlot(self.actor_ref))
            case SlotGranted():
                try:
                    placement = picture_of(
                        self.prompts.popleft(),
                        self.message_id,
                        settings=self.settings,
                        store=self.store,
                        generator=self.generator,
                        cancelled=self.cancelled,
                    )
                finally:
                    self.limiter.tell(ReleaseSlot())
                self.writer.tell(TaskSettled(placement))


class Writer(Part):
    """Writes the text of one message, once all its pictures have settled."""

    def __init__(self, session: Ref, message_id: str, markup: Markup, store: Store) -> None:
        super().__init__(session)
        self.message_id = message_id
        self.markup = markup
        self.store = store
        self.loaded = store.load(message_id)
        self.placements: list[Placement] = []
        self.sealed: TotalsSealed | None = None

    def on_receive(self, message: object) -> None:
        """Handle one message."""
        match message:
            case TotalsSealed():
                self.sealed = message
            case TaskSettled(placement):
                self.placements.append(placement)
        if self.sealed is not None and len(self.placements) == self.sealed.prompts:
            self.write(self.sealed.text)

    def write(self, text: str) -> None:
        """Write the text with its pictures, and tell the session."""
        composed = compose(text, self.placements, message_id=self.message_id, markup=self.markup)
        version = self.store.write(
            self.message_id,
            composed.text,
            expected_version=None if self.loaded is None else self.loaded[1],
            links=RegistryUpdate(placed=tuple(self.placements)),
        )
        self.session.tell(TextWritten(version))


OPENING = 60
"""Seconds in which all threads start; one that has no memory to start fails silently."""


def run_threads(work: Workload, store: Store, generator: Generator, stopwatch: Stopwatch) -> None:
    """Illustrate the workload with four threads a message.

    Raises:
        ThreadsExhausted: if this machine does not let a process have that many.
    """
    stopwatch.begin()
    try:
        limiter = Limiter.start(work.settings.slots)
        written = [Written() for _ in work.ids]
        sessions = [
            Session.start(message_id, work.settings, store, generator, limiter, future)
            for message_id, future in zip(work.ids, written, strict=True)
        ]
        opened = [session.ask(OpenStream(), block=False) for session in sessions]
        monitors: list[Ref] = [monitor.get(timeout=OPENING) for monitor in opened]
    except (RuntimeError, pykka.Timeout) as error:
        pykka.ActorRegistry.stop_all(block=False)
        raise ThreadsExhausted(
            f"{len(work.ids)} messages with four threads each: {str(error) or 'some never began'}"
        ) from error
    for chunks in work.rounds():
        for monitor, chunk in zip(monitors, chunks, strict=True):
            tell_if_alive(monitor, TextStreamed(chunk))
    stopwatch.all_live()
    for monitor in monitors:
        tell_if_alive(monitor, StreamEnded())
    for future in reversed(written):  # the last first: one wait, not one for each
        future.get(timeout=PATIENCE)
    stopwatch.end()
    pykka.ActorRegistry.stop_all(timeout=PATIENCE)


def tell_if_alive(ref: Ref, message: object) -> None:
    """Tell an actor something, unless its session has failed: then its future tells why."""
    try:  # noqa: SIM105  # for each chunk: `suppress` would cost the peer some of its speed
        ref.tell(message)
    except pykka.ActorDeadError:
        pass
