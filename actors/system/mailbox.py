"""A mailbox: first in, first out, and the rule that an actor runs on one thread at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pykka

from limner.actors.system.reference import STOP

if TYPE_CHECKING:
    from pykka._envelope import Envelope

    from limner.actors.system.actor import PooledActor
    from limner.actors.system.system import System


MANY = 64


NONE: list[Envelope[Any]] = []
"""What a mailbox has for a batch while it needs none; never changed."""


class Mailbox:
    """The inbox of a pooled actor.

    The thread that holds the *claim*, a lock, may run the actor. `put` appends an envelope, then
    tries to acquire the claim, and makes the actor ready if it succeeds. A turn that finds the
    mailbox empty releases the claim and checks the mailbox once more, so that no envelope is
    missed in between. The claim is held from the beginning until the actor starts. It is free
    again after the actor's end: an envelope that comes then is still answered, or counted as a dead
    letter.
    """

    __slots__ = ("_batch", "_claim", "_incoming", "_system", "actor", "name", "patience")

    def __init__(self, system: System) -> None:
        self._system = system
        # two lists, since an idle actor's deque takes 700 bytes
        self._incoming: list[Envelope[Any]] = []
        self._batch: list[Envelope[Any]] = NONE
        self._claim = threading.Lock()
        self._claim.acquire()
        self.actor: PooledActor | None = None  # held here while it lives
        self.name = ""  # once the actor has ended
        self.patience = 0  # how often other actors may still be run before this one

    def put(self, envelope: Envelope[Any], /) -> None:
        """Append an envelope, and make the actor ready unless it is already."""
        self._incoming.append(envelope)
        if self._claim.acquire(blocking=False):
            self._system.dispatcher.ready(self)

    def get(self) -> Envelope[Any]:
        """Remove the first envelope, and return it.

        Senders append meanwhile, so their list is never replaced. Many envelopes are moved at once,
        since removing the first item of a long list is slow.

        Raises:
            IndexError: if there is none.
        """
        if self._batch:
            return self._batch.pop()
        number = len(self._incoming)
        if number > MANY:
            self._batch = self._incoming[:number]
            del self._incoming[:number]
            self._batch.reverse()
            return self._batch.pop()
        return self._incoming.pop(0)

    def empty(self) -> bool:
        """Return whether no envelope waits."""
        return not self._batch and not self._incoming

    def begin(self) -> None:
        """Make the actor ready for its first turn."""
        self._system.dispatcher.ready(self)

    def turn(self, budget: int) -> bool:
        """Run one turn of the actor, of a number of messages at most.

        Returns whether it has to run again; if not, the claim is free.
        """
        if self.actor is not None:
            self.actor.take_turn(budget)
        else:
            self.drain()
        if self._batch or self._incoming:
            return True
        self._claim.release()
        return bool(self._incoming) and self._claim.acquire(blocking=False)

    def end(self) -> None:
        """Drop the reference to the actor, which has ended."""
        self.name = str(self.actor)
        self.actor = None
        self.drain()

    def drain(self) -> None:
        """Answer what came too late, as Pykka does, and count what nobody waits for."""
        while not self.empty():
            envelope = self.get()
            reply, message = envelope.reply_to, envelope.message
            if type(message) is type(STOP):
                if reply is not None:
                    reply.set(None)
            elif reply is None:
                self._system.dead_letter(self.name, message)
            else:
                error = pykka.ActorDeadError(f"{self.name} stopped before handling the message")
                reply.set_exception((pykka.ActorDeadError, error, None))
