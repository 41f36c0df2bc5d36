"""The studio: the thread-safe handle that hosts embed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Self

import pykka

from limner.actors.event_log import EventLog
from limner.actors.generators.opening import open_generator
from limner.actors.generators.protocol import GeneratorLike
from limner.actors.limiter.handle import Limiter, threads_of
from limner.actors.picture_maker import Production, lane_of
from limner.actors.recorder import LogFile, Record, lost
from limner.actors.session.regeneration import RegenerationActor
from limner.actors.session.stream import Stream, plain
from limner.actors.stores.opening import open_store
from limner.actors.stores.protocol import Store
from limner.actors.studio.picture_calls import Revisions
from limner.actors.studio.root import StudioActor
from limner.actors.system import ActorEnded, Outlet, PooledFuture, PooledRef, System, concurrent
from limner.messages.errors import MessageBusy, StudioClosed, describe
from limner.messages.events.protocol import Subscribe, Unsubscribe
from limner.messages.limiter.settings import LaneSettings
from limner.messages.pictures import Illustrated
from limner.messages.session.lifecycle import OpenStream, ReportProgress
from limner.messages.settings import Settings
from limner.messages.status import Progress, StudioStatus
from limner.messages.studio.protocol import CloseStudio, ReportStatus
from limner.messages.validation import check_lane, message_id_of, owner_of, priority_of

STORE_THREADS = 4
CHANGE_THREADS = 4
"""For hosts' own changes of texts, which may block, and must not keep the store from others."""


class Studio(Revisions):
    """Illustrates messages while their text is still being written.

    `limiter` is what all its generation passes.

    Open it with `Studio.open`, use it from any thread, and leave it as a context manager or with
    `close`. Nothing here waits on a generation; only the futures do, when they are asked.
    """

    @classmethod
    def open(
        cls,
        settings: Settings | None = None,
        *,
        store: str | Store | None = None,
        generator: str | GeneratorLike | None = None,
        system: System | None = None,
    ) -> Self:
        """Open a studio.

        Args:
            settings: all that it can be told; the defaults if `None`.
            store: a store, or its name, in place of `settings.store`.
            generator: a generator, a callable, or a name, in place of `settings.generator`.
            system: what its actors run on; one of its own if `None`.

        Raises:
            SettingsInvalid: if a name or an object is not one that can be used.
            StoreFailed: if the store cannot be opened.
        """
        return cls(settings or Settings(), store=store, generator=generator, system=system)

    def __init__(
        self,
        settings: Settings,
        *,
        store: str | Store | None,
        generator: str | GeneratorLike | None,
        system: System | None,
    ) -> None:
        self.settings = settings
        made = open_generator(settings.generator if generator is None else generator)
        lanes = {**settings.lanes, "image": settings.lane}
        slot_lane = check_lane(lane_of(made), lanes, settings.lane_groups)
        self._own_store = store is None or isinstance(store, str)
        self._store = open_store(
            settings.store if store is None else store,
            pictures=settings.pictures,
            pictures_url=settings.pictures_url,
        )
        file = None if settings.events is None else LogFile(settings.events)
        self._own_system = system is None
        self._system = system or System()
        name = "" if system is None else f"-{self._system.new_id()[:8]}"  # others may be on it
        self._lock = self._system.lock()
        self._live: dict[str, Stream] = {}
        self._newest: dict[str, Stream] = {}
        self._owed: dict[PooledFuture[Any], None] = {}
        self._outlets: dict[Outlet[Record], None] = {}
        self._closing = False
        self._cause: BaseException | None = None
        self._ended: PooledFuture[None] = self._system.future(about="the end of the studio")
        self._log = EventLog(self._system.clock, on=file is not None)
        if self._own_system:
            self._system.on_dead_letter = self._dead_letter
        production = Production(made, self._store, settings, self._system.clock, name, slot_lane)
        workers = {lane: f"{lane}{name}" for lane in (*lanes, *settings.lane_groups)}
        for lane, named in workers.items():
            of = lanes[lane] if lane in lanes else LaneSettings(max_concurrent=None)
            self._system.workers.open_pool(named, threads_of(of))
        self._system.workers.open_pool(production.edit_pool, STORE_THREADS)
        self._system.workers.open_pool(production.change_pool, CHANGE_THREADS)
        self._root = self._system.start(StudioActor, self._log, settings, production, file)
        self._system.watch(self._root, self._root_ended)
        try:
            _, _, limiter, caller = self._root.ask(ReportStatus())
        except pykka.ActorDeadError:
            self._ended.get()
            self._leave()
            if file is not None and self._log.recorder is None:
                file.close()
            raise StudioClosed(
                f"the studio could not be opened: {describe(self._cause)}"
            ) from self._cause
        self.limiter = Limiter(limiter, self._system, lanes, settings.lane_groups, workers, caller)

    def stream(
        self, message_id: str, *, owner: str | None = None, priority: str | int = "active"
    ) -> Stream:
        """Open a message that is about to be streamed; while it streams, give the same object.

        If the message's session is sealed and not yet ended, the new one begins after it; text
        may be fed at once.

        Args:
            message_id: the host's name for the message, 1 to 200 characters.
            owner: on whose behalf, up to 200 characters.
            priority: `active`, `background`, or 0 (first) to 9.

        Raises:
            UnknownMessage: if the id cannot be one.
            SettingsInvalid: if owner or priority cannot be one.
            StudioClosed: if the studio is closed.
        """
        opening = self._check(message_id, owner, priority)
        with self._lock:
            stream = self._newest.get(message_id)
            if stream is not None and not stream.ended:
                return stream
            return self._open(opening)

    def illustrate(
        self,
        message_id: str,
        text: str,
        *,
        owner: str | None = None,
        priority: str | int = "active",
    ) -> pykka.Future[Illustrated]:
        """Illustrate a text that is complete already.

        Raises:
            MessageBusy: if the message is being streamed.
            TextTooLong: if the text passes `Settings.max_text`.
            UnknownMessage, SettingsInvalid, StudioClosed: as `stream` does.
        """
        opening = self._check(message_id, owner, priority)
        # the end is in the stream before anybody can interrupt it
        future: pykka.Future[Illustrated] = opening.stream.finish(plain(text))
        with self._lock:
            stream = self._newest.get(message_id)
            if stream is not None and not stream.ended:
                raise MessageBusy(
                    f"message {message_id!r} is being streamed; finish or cancel that first"
                )
            self._open(opening)
        return future

    def progress(self, message_id: str) -> Progress:
        """Say how far a message is: tasks by state, and characters streamed."""
        with self._lock:
            stream = self._newest.get(message_id)
        if stream is None:
            return self._regenerating(message_id)
        try:
            processor = stream.processor
            counts: Any = {} if processor is None else processor.ask(ReportProgress())
        except pykka.ActorDeadError:
            counts = {}
        return Progress(
            message_id=message_id,
            state="settling" if stream.ended else "streaming",
            characters=stream.characters,
            **counts,
        )

    def _regenerating(self, message_id: str) -> Progress:
        """Say how far the regenerations of a message are that is not being streamed."""
        report = ReportProgress(message_id=message_id)
        with suppress(pykka.ActorDeadError):
            session: PooledRef[Any] | None = self._root.ask(report)
            if session is not None and session.actor_class is RegenerationActor:
                counts = session.ask(report).ask(report)
                return Progress(message_id=message_id, state="regenerating", **counts)
        return Progress(message_id=message_id, state="none")

    def status(self) -> StudioStatus:
        """Say what the studio is doing now.

        Raises:
            StudioClosed: if it is closed.
        """
        try:
            sessions, waiting, *_ = self._ask(self._root)
            lanes = self._ask(self.limiter.ref)
        except pykka.ActorDeadError:
            raise StudioClosed(self._why_closed()) from None
        system = self._system
        return StudioStatus(
            sessions=sessions,
            waiting_sessions=waiting,
            lanes=lanes,
            actors=len(system.supervision),
            threads=system.threads,
            abandoned=system.workers.abandoned,
            dead_letters=system.dead_letters,
        )

    def subscribe(self, callback: Callable[[Record], object]) -> Callable[[], None]:
        """Pass every event on to a callback, from a thread of its own.

        One that raises is logged and called again for the next event; one that lags loses
        events, and is told how many by an `events_lost`.

        Args:
            callback: called with one event, as the event log has it.

        Returns:
            A function that ends it.

        Raises:
            StudioClosed: if the studio is closed.
        """
        outlet = self._system.outlet(callback, lost=lost)
        recorder = self._log.recorder
        assert recorder is not None
        with self._lock:
            if self._closing:
                outlet.close()
                raise StudioClosed(self._why_closed())
            self._outlets[outlet] = None
            recorder.deliver(Subscribe(outlet=outlet))
            self._log.on = True

        def unsubscribe() -> None:
            with suppress(pykka.ActorDeadError):  # once it has passed on what it was told before
                recorder.ask(Unsubscribe(outlet=outlet))
            with self._lock:
                self._outlets.pop(outlet, None)
            outlet.close()

        return unsubscribe

    @staticmethod
    def concurrent(future: pykka.Future[Any]) -> Any:
        """Give a `concurrent.futures.Future` for a Pykka future, for `asyncio.wrap_future`."""
        return concurrent(future)

    def close(self) -> None:
        """Interrupt unfinished streams, wait for all sessions, and stop every actor and thread.

        Closing again waits for the same end.
        """
        with self._lock:
            first, self._closing = not self._closing, True
            live = list(self._live.values())
        if first:
            for stream in live:
                if not stream.ended:
                    stream.interrupt()
            self._root.deliver(CloseStudio())
        self._ended.get()
        self._leave()

    def _leave(self) -> None:
        """Wait for the end of the event log, and close what is its own."""
        if self._log.recorder is not None:
            recorded: PooledFuture[None] = self._system.future(about="the end of the event log")
            self._system.watch(self._log.recorder, lambda _: recorded.set(None))
            with suppress(pykka.Timeout):  # a disk may hang
                recorded.get(timeout=self.settings.grace)
        with self._lock:
            outlets, self._outlets = list(self._outlets), {}
        for outlet in outlets:
            outlet.close()
        if self._own_system:
            self._system.close(self.settings.grace)
        with self._lock:
            closing, self._own_store = self._own_store, False
        if closing:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, message_id: str, owner: str | None, priority: str | int) -> OpenStream:
        session_id = self._system.new_id()
        return OpenStream(
            session_id=session_id,
            message_id=message_id_of(message_id),
            owner=owner_of(owner),
            priority=priority_of(priority),
            stream=Stream(
                session_id,
                message_id,
                root=self._root,
                max_text=self.settings.max_text,
                system=self._system,
            ),
        )

    @staticmethod
    def _ask(actor: PooledRef[Any]) -> Any:
        return actor.ask(ReportStatus())

    def _open(self, opening: OpenStream) -> Stream:
        if self._closing:
            raise StudioClosed(self._why_closed())
        stream: Stream = opening.stream
        self._live[stream.session_id] = self._newest[stream.message_id] = stream
        stream.future.when_done(partial(self._forget, stream))
        self._root.deliver(opening)
        return stream

    def _forget(self, stream: Stream) -> None:
        with self._lock:
            self._live.pop(stream.session_id, None)
            if self._newest.get(stream.message_id) is stream:
                del self._newest[stream.message_id]

    def _root_ended(self, ended: ActorEnded) -> None:
        with self._lock:
            self._closing = True
            self._cause = ended.reason
            live = list(self._live.values())
        for stream in live:
            stream.end("the studio is closed")
            if not stream.future.done:
                stream.future.fail(StudioClosed(self._why_closed()))
        self._fail_owed()
        self._ended.set(None)

    def _why_closed(self) -> str:
        if self._cause is None:
            return "the studio is closed; open another one"
        return f"the studio is closed, since a part of it failed: {self._cause!r}"

    def _dead_letter(self, receiver: str, message: object) -> None:
        if receiver != "RecorderActor":
            self._log.tell(
                "system", "dead_letter", receiver=receiver, message=type(message).__name__
            )
