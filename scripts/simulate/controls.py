"""Calls by which people control messages in a scenario: how often they come, and which they are."""

from limner.messages.base import Value
from limner.scripts.simulate.ranges import Rate, Seconds, fixed


class Controls(Value):
    """Calls of hosts that are for whatever a message or an owner has at that time."""

    every: Seconds | None = None
    """Seconds between two of them, on average; none if not given."""

    forgotten: Rate = fixed(0)
    """The share of them that forget a message."""

    all_cancelled: Rate = fixed(0)
    """The share of them that cancel all sessions and requests of an owner, or of everybody."""

    prioritised: Rate = fixed(0)
    """The share of them that give a message another priority."""
