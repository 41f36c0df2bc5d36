"""Faults of a simulated system: what can go wrong whatever the actors do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from limner.actors.system.context import context
from limner.actors.system.mailbox import Mailbox

if TYPE_CHECKING:
    from pykka._envelope import Envelope

    from limner.actors.system.actor import PooledActor
    from limner.actors.system.system import System

FAR = 4
"""How many of the messages that an actor sends in a turn it may fail at: one of the first ones."""


class InjectedFailure(Exception):
    """What an actor raises in the middle of a message, since the simulation injected it."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong in a simulated system.

    Args:
        failure: by the name of an actor's class, the probability from 0 to 1 that a turn of it
            raises in the middle of its message.
        late_timer: the probability that a timer is late.
        lateness: seconds by which it is late at most.
        inattentive: the probability that a call takes no notice of its cancelling.
    """

    failure: Mapping[str, float] = field(default_factory=dict)
    late_timer: float = 0
    lateness: float = 0
    inattentive: float = 0


class Breaker:
    """Makes actors fail in the middle of a message.

    Args:
        failure: as in `Faults`.
        random: gives the next random number.
    """

    def __init__(self, failure: Mapping[str, float], random: Callable[[], float]) -> None:
        self._failure = failure
        self._random = random
        self._victim: PooledActor | None = None
        self._left = 0
        self.failures = 0

    def arm(self, actor: PooledActor) -> None:
        """Decide whether the next turn of an actor fails."""
        self._victim = None
        rate = self._failure.get(type(actor).__name__)
        if rate and self._random() < rate:
            self._victim = actor
            self._left = int(self._random() * FAR)

    def pass_point(self) -> None:
        """Raise if this is where the turn fails."""
        if self._victim is None or context.actor is not self._victim:
            return
        if self._left:
            self._left -= 1
            return
        victim, self._victim = self._victim, None
        if not victim.life.is_set():
            self.failures += 1
            raise InjectedFailure(f"injected into {type(victim).__name__}")


class BreakableMailbox(Mailbox):
    """A mailbox at which the sender of a message may fail."""

    __slots__ = ("_breaker",)

    def __init__(self, system: System, breaker: Breaker) -> None:
        super().__init__(system)
        self._breaker = breaker

    def put(self, envelope: Envelope[Any], /) -> None:
        """Append an envelope, unless the sender fails just then."""
        self._breaker.pass_point()
        super().put(envelope)
