"""The studio: the thread-safe handle that hosts embed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

import pykka

from limner.actors.context import StudioContext
from limner.actors.event_log import EventLog
from limner.actors.generators.opening import open_generator
from limner.actors.generators.protocol import Generator, GeneratorLike
from limner.actors.limiter import close_at_exit
from limner.actors.limiter.closing import check_may_wait
from limner.actors.limiter.handle import Limiter
from limner.actors.limiter.pools import open_pools
from limner.actors.picture_maker import PictureMaker, lane_of
from limner.actors.recorder import LogFile
from limner.actors.stores.opening import open_store
from limner.actors.stores.protocol import Store, id_check
from limner.actors.studio.client import SequencerClient, unfinished
from limner.actors.studio.control_calls import ControlCalls
from limner.actors.studio.current_settings import CurrentSettings
from limner.actors.studio.picture_calls import PictureCalls
from limner.actors.studio.progress_calls import ProgressCalls
from limner.actors.studio.record_calls import RecordCalls
from limner.actors.studio.root import StudioActor
from limner.actors.studio.stream_calls import StreamCalls
from limner.actors.studio.subscriptions import Subscriptions
from limner.actors.studio.text_edits import TextEdits
from limner.actors.system import (
    ActorEnded,
    ConcurrentFuture,
    PooledFuture,
    System,
    concurrent,
    in_thread,
)
from limner.messages.errors import LimnerError, StudioClosed, describe
from limner.messages.settings import Settings
from limner.messages.status import StudioStatus
from limner.messages.studio.protocol import (
    CloseStudio,
    CloseWithin,
    InterruptSessions,
    ReportStatus,
)
from limner.messages.validation import check_lane, group_of, is_name, seconds_of

P = ParamSpec("P")
R = TypeVar("R")

STORE_THREADS = 4
CHANGE_THREADS = 4
"""For hosts' own changes of texts, which may block, and must not keep the store from others."""


def delegate_to(
    part: str, method: Callable[Concatenate[Any, P], R]
) -> Callable[Concatenate[Studio, P], R]:
    """Return a method of the studio that calls a method of one of its parts.

    Args:
        part: the attribute of the studio that holds it.
        method: of its class; gives the studio's method its signature and docstring.

    A call that is refused is an event, too.
    """

    @wraps(method)
    def call(studio: Studio, /, *args: P.args, **kwargs: P.kwargs) -> R:
        bound: Callable[P, R] = getattr(getattr(studio, part), method.__name__)
        try:
            return bound(*args, **kwargs)
        except (LimnerError, TypeError) as error:
            given = args[0] if args else kwargs.get("message_id")
            studio._log_refused(method.__name__, given, error)  # noqa: SLF001
            raise

    return call


OF_A_MESSAGE = frozenset(
    [
        *("stream", "illustrate", "progress", "regenerate", "illustrate_again", "retry", "apply"),
        *("registry", "remove", "edit", "rewrite", "reconcile", "hold", "release", "pending"),
        *("clear", "wait", "cancel", "prioritise", "tasks", "placements", "forget"),
    ]
)
"""The calls whose first argument is a message's id."""


class Studio:
    """Illustrates messages while their text is still being written.

    Open it with `Studio.open`, use it from any thread, and leave it as a context manager or with
    `close`. Only `close` and the `get` of a future wait for pictures.

    Attributes:
        settings: those in force; `update_settings` changes what may change while it is open.
        limiter: of all its generation, and of hosts' own calls.
    """

    limiter: Limiter

    stream = delegate_to("_streams", StreamCalls.stream)
    illustrate = delegate_to("_streams", StreamCalls.illustrate)
    progress = delegate_to("_progress", ProgressCalls.progress)
    text = delegate_to("_progress", ProgressCalls.text)

    sessions = delegate_to("_control", ControlCalls.sessions)
    tasks = delegate_to("_control", ControlCalls.tasks)
    task = delegate_to("_control", ControlCalls.task)
    wait = delegate_to("_control", ControlCalls.wait)
    cancel = delegate_to("_control", ControlCalls.cancel)
    cancel_task = delegate_to("_control", ControlCalls.cancel_task)
    cancel_all = delegate_to("_control", ControlCalls.cancel_all)
    prioritise = delegate_to("_control", ControlCalls.prioritise)

    regenerate = delegate_to("_pictures", PictureCalls.regenerate)
    illustrate_again = delegate_to("_pictures", PictureCalls.illustrate_again)
    retry = delegate_to("_pictures", PictureCalls.retry)
    apply = delegate_to("_pictures", PictureCalls.apply)
    refine = delegate_to("_pictures", PictureCalls.refine)
    history = delegate_to("_pictures", PictureCalls.history)
    registry = delegate_to("_pictures", PictureCalls.registry)

    placements = delegate_to("_records", RecordCalls.placements)
    placement_of = delegate_to("_records", RecordCalls.placement_of)
    forget = delegate_to("_records", RecordCalls.forget)
    forget_owner = delegate_to("_records", RecordCalls.forget_owner)

    remove = delegate_to("_texts", TextEdits.remove)
    edit = delegate_to("_texts", TextEdits.edit)
    rewrite = delegate_to("_texts", TextEdits.rewrite)
    reconcile = delegate_to("_texts", TextEdits.reconcile)
    hold = delegate_to("_texts", TextEdits.hold)
    release = delegate_to("_texts", TextEdits.release)
    pending = delegate_to("_texts", TextEdits.pending)
    clear = delegate_to("_texts", TextEdits.clear)

    subscribe = delegate_to("_subscriptions", Subscriptions.subscribe)

    update_settings = delegate_to("_settings", CurrentSettings.update_settings)

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
        self._opened_with = settings
        made = open_generator(
            settings.generator if generator is None else generator, settings.generators
        )
        lane = check_lane(lane_of(made), settings.all_lanes, settings.lane_groups)
        self._own_store = store is None or isinstance(store, str)
        self._store = open_store(
            settings.store if store is None else store,
            pictures=settings.pictures,
            pictures_url=settings.pictures_url,
        )
        self._own_system = system is None
        self._system = system or System()
        self._lock = self._system.lock()
        self._client: SequencerClient | None = None
        self._cause: BaseException | None = None
        self._ended: PooledFuture[None] = self._system.future(about="the end of the studio")
        self._log = EventLog(self._system.clock, on=settings.events is not None)
        file: LogFile | None = None
        try:
            file = None if settings.events is None else LogFile(settings.events)
            self._start(made, lane, file)
        except BaseException:
            self._leave()
            if file is not None and self._log.recorder is None:
                file.close()
            raise
        if self._system.real:
            close_at_exit.add(self)

    def _start(self, made: Generator, lane: str, file: LogFile | None) -> None:
        """Start the studio's actors.

        Args:
            made: the generator.
            lane: that it names.
            file: of the event log.

        Raises:
            StudioClosed: if one of them fails at once.
        """
        settings = self._opened_with
        name = f"-{self._system.new_id()[:8]}"  # others may be on the system
        if self._own_system:
            self._system.on_dead_letter = self._dead_letter
            name = ""
        pools = self._open_pools(name)
        store_pool = f"store:{name}" if getattr(self._store, "blocks", True) else None
        shared = StudioContext(
            log=self._log,
            settings=settings,
            store=self._store,
            maker=PictureMaker(
                made,
                self._store,
                self._system.clock,
                lane=lane,
                pool=pools[group_of(lane)] if store_pool or getattr(made, "blocks", True) else None,
            ),
            store_pool=store_pool,
            edit_pool=f"store:{name}",
            host_function_pool=f"change:{name}",
        )
        self._root = self._system.start(StudioActor, shared, file)
        self._system.watch(self._root, self._root_ended)
        try:
            limiter, caller, sequencer = self._root.ask(ReportStatus())
        except pykka.ActorDeadError:
            self._ended.get()
            raise StudioClosed(
                f"the studio could not be opened: {describe(self._cause)}"
            ) from self._cause
        self._client = client = SequencerClient(
            sequencer, self._system, check_message_id=id_check(self._store)
        )
        if self._ended.done:  # the root has failed before there was anybody to tell
            client.fail_all(self._cause)
        self._settings = current = CurrentSettings(settings, client)
        self._streams = StreamCalls(client, current)
        self._progress = ProgressCalls(client, self._store)
        self._pictures = PictureCalls(client, current, self._store)
        self._texts = TextEdits(client, current)
        self._subscriptions = Subscriptions(client, self._log)
        self._control = ControlCalls(client)
        self._records = RecordCalls(client, current, self._store)
        self.limiter = Limiter(
            limiter, self._system, settings.all_lanes, settings.lane_groups, pools, caller
        )

    def _open_pools(self, name: str) -> dict[str, str]:
        """Open the pools of threads of a studio; return those of lanes and groups by their names.

        Args:
            name: what sets them apart from those of other studios on one system.
        """
        settings, workers = self._opened_with, self._system.workers
        pools = open_pools(self._system, settings.all_lanes, settings.lane_groups, name)
        # a text is written even where the program ends and no thread can be started any more
        workers.open_pool(f"store:{name}", STORE_THREADS, on_caller=True)
        workers.open_pool(f"change:{name}", CHANGE_THREADS, on_caller=True)
        self._own_pools = (*pools.values(), f"store:{name}", f"change:{name}")
        return pools

    @property
    def settings(self) -> Settings:
        """The settings in force, as one value."""
        return self._settings.now

    if not TYPE_CHECKING:  # where it is an error already

        @settings.setter
        def settings(self, _: object) -> None:
            raise AttributeError(
                "the settings of an open studio are changed by "
                "studio.update_settings(common_tags=…), not by assignment"
            )

    def status(self) -> StudioStatus:
        """Return what the studio is doing now.

        Raises:
            StudioClosed: if it is closed.
        """
        client = self._client
        assert client is not None
        try:
            sessions, waiting = client.sequencer.ask(ReportStatus())
            lanes = self.limiter.ref.ask(ReportStatus())
        except pykka.ActorDeadError:
            raise client.closed() from None
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

    @staticmethod
    def concurrent(future: pykka.Future[R]) -> ConcurrentFuture[R]:
        """Return a `concurrent.futures.Future` for a Pykka future, for `asyncio.wrap_future`."""
        return concurrent(future)

    def close(self, *, timeout: float | None = None) -> None:
        """Interrupt unfinished streams, wait for all sessions and calls, and stop every actor.

        Hosts' calls through the limiter go on while pictures are finished, since a generator may
        make some. Then what has not begun, also a batch that gathers, is refused with
        `StudioClosed`, and what runs is waited for.

        Leaving the `with` block does the same; where it is left by what is no `Exception`, such as
        a `KeyboardInterrupt`, calls are waited for `Settings.grace` seconds. Closing again waits
        for the same end.

        Args:
            timeout: seconds to wait for pictures and calls, 0 to 86,400. Then each text is written
                with the pictures that are finished, and calls that still run fail with
                `StudioClosed`, though their threads may run on. By default pictures have until
                their session's deadline, and calls until the end of their lane's `lease`.

        Raises:
            CloseRefused: if it is called by what it would wait for: a future's callback, a
                generator, a host's call or change; or on the asyncio loop that calls run on, where
                `async with` waits without blocking it. The studio stays open.
            SettingsInvalid: if the timeout is none.
        """
        if timeout is not None:
            timeout = seconds_of("timeout", timeout)
        self._close(timeout)

    def _close(self, timeout: float | None, calls_timeout: float | None = None) -> None:
        check_may_wait("studio", self._system, self._log, self._own_pools)
        self._begin_close(calls_timeout)
        if timeout is not None:
            self._root.deliver(CloseWithin(seconds=timeout))
        self._ended.get()
        self._leave()

    def _begin_close(self, calls_timeout: float | None = None) -> None:
        assert self._client is not None
        streams = self._client.close()
        if streams is not None:
            for stream in streams:
                if not stream.ended:
                    stream.interrupt()
            self._root.deliver(CloseStudio(calls_timeout=calls_timeout))

    def close_within(self, seconds: float) -> list[str]:
        """Close as `close` does, and wait for a bounded time; for the end of a program.

        What has not ended after half of it is written with the pictures that are finished, and
        hosts' calls are waited for no longer.

        Args:
            seconds: to wait at most.

        Returns:
            A few words for each streamed message that was not finished when this was called, and
            is not written as it should be.
        """
        client = self._client
        assert client is not None
        streams = client.open_streams
        self._begin_close()
        for _ in range(2):
            with suppress(pykka.Timeout):
                self._ended.get(timeout=seconds / 2)
                self._leave()
                break
            self._root.deliver(InterruptSessions())
        return [words for stream in streams if (words := unfinished(stream)) is not None]

    def _leave(self) -> None:
        """Wait for the end of the event log, and close what the studio opened."""
        if self._log.recorder is not None:
            recorded: PooledFuture[None] = self._system.future(about="the end of the event log")
            self._system.watch(self._log.recorder, lambda _: recorded.set(None))
            with suppress(pykka.Timeout):  # a disk may hang
                recorded.get(timeout=self._opened_with.grace)
        if self._client is not None:
            self._subscriptions.close()
            self._client.finish_callbacks()
        if self._own_system:
            self._system.close(self._opened_with.grace)
        close_at_exit.discard(self)
        self._close_store()

    def _close_store(self) -> None:
        """Close the store, once, if the studio has opened it."""
        with self._lock:
            closing, self._own_store = self._own_store, False
        if closing:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        hurried = kind is not None and not issubclass(kind, Exception)
        self._close(None, self._opened_with.grace if hurried else None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *how: Any) -> None:
        await in_thread(partial(self.__exit__, *how))

    def _root_ended(self, ended: ActorEnded) -> None:
        self._cause = ended.reason
        if self._client is not None:
            self._client.fail_all(ended.reason)
        self._ended.set(None)
        if self._client is not None:  # it was made just now, and has not seen the end
            self._client.fail_all(ended.reason)

    def _log_refused(self, call: str, given: object, error: Exception) -> None:
        """Log that a call was refused; `given` is its first argument, of whatever kind."""
        named: dict[str, Any] = {}
        if call in OF_A_MESSAGE and is_name(given):
            named["message_id"] = given
        self._log.tell(
            StudioActor.role,
            "call_refused",
            call=call,
            error=type(error).__name__,
            reason=describe(error),
            **named,
        )

    def _dead_letter(self, receiver: str, message: object) -> None:
        if receiver != "RecorderActor":
            self._log.tell(
                "system", "dead_letter", receiver=receiver, message=type(message).__name__
            )
