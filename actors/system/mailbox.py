"""A mailbox: first in, first out, and the rule that an actor runs on one thread at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pykka._envelope import Envelope

    from limner.actors.system.actor import PooledActor

DRAINING = -1
"""The budget of an actor that has ended: whatever comes is answered, or is a dead letter."""


class EndOfTurn(BaseException):
    """Leaves Pykka's receive loop: the mailbox is empty, or the turn's budget is used.

    Not an `Exception`, and raised where Pykka's loop catches nothing, so the loop is left
    cleanly and entered again at the next turn.
    """


class Mailbox:
    """The inbox of a pooled actor.

    Whoever holds the *claim* may run the actor. `put` appends and then tries to take the claim;
    the one that gets it makes the actor ready. A turn that finds the mailbox empty lets the claim
    go and looks once more, so no envelope is left lying between the two. The claim is held from
    the beginning until the actor starts, and free again after its end: an envelope that comes
    then is still answered, or counted as a dead letter.
    """

    __slots__ = ("_claim", "_envelopes", "_ready", "actor", "budget", "current")

    def __init__(self, ready: Callable[[Mailbox], None]) -> None:
        self._ready = ready
        self._envelopes: deque[Envelope[Any]] = deque()
        self._claim = threading.Lock()
        self._claim.acquire()
        self.actor: PooledActor | None = None
        self.budget = 0
        self.current: Envelope[Any] | None = None

    def put(self, envelope: Envelope[Any], /) -> None:
        """Append an envelope, and make the actor ready unless it is already."""
        self._envelopes.append(envelope)
        if self._claim.acquire(blocking=False):
            self._ready(self)

    def get(self) -> Envelope[Any]:
        """Give the first envelope, within the turn's budget.

        Raises:
            EndOfTurn: if there is none, or the budget is used.
        """
        if not self.budget or not self._envelopes:
            raise EndOfTurn
        self.current = envelope = self._envelopes.popleft()
        if self.budget > 0:
            self.budget -= 1
        elif envelope.reply_to is None and self.actor is not None:
            self.actor.system.dead_letter(self.actor, envelope.message)
        return envelope

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for the reply to the envelope that is being handled."""
        return self.current is not None and self.current.reply_to is not None

    def empty(self) -> bool:
        """Say whether no envelope waits."""
        return not self._envelopes

    def begin(self, actor: PooledActor) -> None:
        """Make an actor ready for its first turn. The mailbox holds it while it lives."""
        self.actor = actor
        self._ready(self)

    def rest(self) -> bool:
        """End a turn. Says whether the actor has to run again; else the claim is free."""
        self.current = None
        if self._envelopes:
            return True
        self._claim.release()
        return bool(self._envelopes) and self._claim.acquire(blocking=False)
