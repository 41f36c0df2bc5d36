"""Pykka's actor, on threads that all actors share."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import pykka
from pykka import messages as pykka_messages

from limner.actors.system import registry
from limner.actors.system.context import context
from limner.actors.system.loop_calls import Loop, LoopCall
from limner.actors.system.reference import PooledRef
from limner.actors.system.supervision import ActorEnded, Life
from limner.actors.system.system import System, current_system
from limner.actors.system.workers import Call, CallReturned

if TYPE_CHECKING:
    from types import TracebackType

    from pykka._envelope import Envelope

    from limner.actors.system.mailbox import Mailbox

logger = logging.getLogger("pykka")

PYKKA_MESSAGES = frozenset(
    (
        pykka_messages._ActorStop,  # noqa: SLF001
        pykka_messages.ProxyCall,
        pykka_messages.ProxyGetAttr,
        pykka_messages.ProxySetAttr,
    )
)


class PooledActor(pykka.Actor):
    """An actor like Pykka's `ThreadingActor`, but without a thread of its own.

    Its mailbox schedules it on the threads of its system: the one that the actor which starts it
    runs on, or the one named by `with system:` or `system.start`, else the process's default one.
    Its threads are daemons, so unlike Pykka's they do not keep a process alive.
    """

    linked: ClassVar[bool] = False
    """Whether the actors that this one started are stopped when it ends, however it ends."""

    contains: ClassVar[bool] = False
    """Whether a `BaseException` is a failure of its own, not a reason to stop all actors.

    `KeyboardInterrupt` and `SystemExit` always stop all actors of the system.
    """

    patient: ClassVar[bool] = False
    """Whether other ready actors go before this one a few times: for an actor nobody waits for."""

    actor_inbox: Mailbox
    _actor_ref: PooledRef[Any]

    # Pykka's own __init__ is not called: it takes the URN from uuid4, which a simulation cannot
    # repeat, and makes a ref that raises at actors which tell a dead one something.
    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        self.system: System = current_system()
        self.actor_urn = self.system.new_urn()
        self.actor_inbox = self._create_actor_inbox()
        self.actor_stopped = self.life = Life(context.actor)
        self.actor_inbox.actor = self
        self._actor_ref = PooledRef(self)
        self._begun = False
        self._calls: dict[Call, None] = {}

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> PooledRef[Self]:
        """Start an actor. Arguments go to its constructor."""
        return cast("PooledRef[Self]", super().start(*args, **kwargs))

    @property
    def actor_ref(self) -> PooledRef[Self]:
        """The actor's address."""
        return self._actor_ref

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return current_system().mailbox()

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return current_system().future()

    def _start_actor_loop(self) -> None:
        self.system.supervision.adopt(self)
        self.actor_inbox.begin()

    def call(
        self,
        pool: str | Loop | None,
        function: Callable[[Call], Any],
        *,
        begun: Callable[[Call], object] | None = None,
        tag: Any = None,
        late: Callable[[Call, Any], None] | None = None,
    ) -> Call:
        """Run a blocking call on a thread of a pool; this actor is sent its `CallReturned`.

        If the actor ends before, the call is abandoned.

        Args:
            pool: its name, opened before; with `None` the call does not block, and is run
                at once on this one; with an asyncio loop, what the function returns is awaited
                there, and to cancel or abandon the call cancels its task.
            function: what to call, with the `Call` that this gives.
            begun: called before, as the worker begins; if it raises, that is how the call ended.
            tag: whatever lets the actor know the call again.
            late: called, on the call's own thread, with the call and what it returned, if that
                was after it was abandoned.
        """
        if isinstance(pool, Loop):
            on_loop = LoopCall(pool, function, self._actor_ref, begun, tag)
            on_loop.submit()
            call: Call = on_loop
        else:
            call = self.system.workers.submit(
                pool, function, self._actor_ref, begun=begun, tag=tag, late=late
            )
        if not call.over:
            self._calls[call] = None
        return call

    def abandon_call(self, call: Call) -> bool:
        """Wait no longer for a call; false if its `CallReturned` is there or on its way."""
        if not call.abandon():
            return False
        self._calls.pop(call, None)
        return True

    def abandon_calls(self) -> None:
        """Wait no longer for any call."""
        for call in self._calls:
            call.abandon()
        self._calls.clear()

    def take_turn(self, budget: int) -> None:
        """Handle messages until the mailbox is empty, `budget` messages at most."""
        context.actor = self
        try:
            if not self._begun:
                self._begun = True
                self._actor_loop_setup()
            inbox, stopped = self.actor_inbox, self.actor_stopped.is_set
            while not stopped():
                if not budget or inbox.empty():
                    return
                budget -= 1
                self._handle(inbox.get())
        except BaseException:  # noqa: BLE001  # out of a hook; the thread is not this actor's own
            self._handle_failure(*sys.exc_info())
        finally:
            context.actor = None
        self._end()

    def _end(self) -> None:
        context.actor = self
        try:
            self.abandon_calls()
            self.actor_inbox.end()
            self.system.supervision.bury(self)
        finally:
            context.actor = None

    def _handle(self, envelope: Envelope[Any]) -> None:
        """Handle one message as Pykka's loop does, but for a `BaseException`."""
        reply_to, message = envelope.reply_to, envelope.message
        try:
            if type(message) in PYKKA_MESSAGES:
                response = self._handle_receive(message)
            else:
                if type(message) is CallReturned and self._calls:
                    self._calls.pop(message.call, None)
                response = self.on_receive(message)
            if reply_to is not None:
                reply_to.set(response)
        except Exception:  # noqa: BLE001
            self._failed(reply_to)
        except BaseException as error:  # noqa: BLE001
            if self._is_own_failure(error):
                self._failed(reply_to)
                return
            self._stop_all(error)
            if reply_to is not None:
                dead = pykka.ActorDeadError(f"{self._actor_ref} stopped: {error!r}")
                reply_to.set_exception((pykka.ActorDeadError, dead, None))

    def _failed(self, reply_to: pykka.Future[Any] | None) -> None:
        """Set the current exception as the reply, or fail with it if nobody waits for a reply."""
        if reply_to is not None:
            logger.info(f"Exception returned from {self} to caller:", exc_info=True)
            reply_to.set_exception()
            return
        self._handle_failure(*sys.exc_info())
        try:
            self.on_failure(*sys.exc_info())
        except Exception:  # noqa: BLE001
            self._handle_failure(*sys.exc_info())

    def _actor_loop_setup(self) -> None:
        try:
            super()._actor_loop_setup()
        except BaseException as error:  # noqa: BLE001
            if self._is_own_failure(error):
                self._handle_failure(*sys.exc_info())
            else:
                self._stop_all(error)

    def _is_own_failure(self, error: BaseException) -> bool:
        return self.contains and not isinstance(error, KeyboardInterrupt | SystemExit)

    def _stop_all(self, error: BaseException) -> None:
        logger.debug(f"{error!r} in {self}. Stopping all actors.")
        self.life.reason = self.life.reason or error
        self._stop()
        self.system.stop_all(error)

    def _handle_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.life.reason = self.life.reason or exception_value
        super()._handle_failure(exception_type, exception_value, traceback)

    def on_receive(self, message: Any) -> Any:
        """Handle a message; by default, warn that it was not expected."""
        if not isinstance(message, ActorEnded):
            return super().on_receive(message)
        return None


registry.install()
