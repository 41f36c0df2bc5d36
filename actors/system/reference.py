"""The address of a pooled actor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pykka
from pykka import messages as pykka_messages
from pykka._envelope import Envelope

from limner.actors.system.context import context

if TYPE_CHECKING:
    from limner.actors.system.actor import PooledActor
    from limner.actors.system.mailbox import Mailbox

STOP = pykka_messages._ActorStop()  # noqa: SLF001
A = TypeVar("A", bound="PooledActor")


class PooledRef(pykka.ActorRef[A]):
    """Pykka's ref, except that `tell` within an actor does not raise if the receiver is dead.

    Between actors a dead receiver is nothing that the teller can help: the message is counted
    and logged as a dead letter. Any other thread gets Pykka's `ActorDeadError`.
    """

    actor_inbox: Mailbox

    def __init__(self, actor: A) -> None:
        # not Pykka's own __init__: an actor's mailbox holds it while it lives, so that the ref
        # needs no weak one
        self.actor_class = type(actor)
        self.actor_urn = actor.actor_urn
        self.actor_inbox = actor.actor_inbox
        self.actor_stopped = self.life = actor.life
        self.system = actor.system

    def _actor_weakref(self) -> A | None:  # type: ignore[override]  # proxies look at the actor
        return self.actor_inbox.actor  # type: ignore[return-value]

    def tell(self, message: Any) -> None:
        """Add a message to the actor's mailbox; it is there when this returns.

        Raises:
            ActorDeadError: if the actor has ended and the caller is not an actor.
        """
        if self.life.is_set() and context.actor is None:
            raise pykka.ActorDeadError(f"{self} not found")
        self.actor_inbox.put(Envelope(message))

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """Add a message to the actor's mailbox, and return its reply.

        Args:
            message: any object.
            block: whether to wait for the reply; else its future is given.
            timeout: seconds to wait at most; for ever by default.

        Raises:
            pykka.Timeout: if there is no reply by then.
            ActorDeadError: if the actor has ended.
            Exception: what the actor raised.
        """
        reply = self.system.future(about=(self, message))
        if self.life.is_set():
            reply.fail(pykka.ActorDeadError(f"{self} not found"))
        else:
            self.actor_inbox.put(Envelope(message, reply_to=reply))
        return reply.get(timeout=timeout) if block else reply

    def deliver(self, message: Any) -> None:
        """Send a message without ever raising: for timers, workers and the system itself."""
        self.actor_inbox.put(Envelope(message))

    def end(self) -> None:
        """Stop the actor after the messages that it was sent before, without waiting."""
        self.actor_inbox.put(Envelope(STOP))
