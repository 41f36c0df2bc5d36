"""Why a request for a slot, or a call, is not carried out."""

from enum import Enum


class Refusal(Enum):
    """Why a request gets no slot. The value is the prose that people read."""

    TOO_HEAVY = "too heavy"
    """It weighs more than the lane can ever grant."""

    HIGH_WATER = "high water"
    """More than `high_water` requests waited."""

    BLOCKED = "blocked"
    """The strategy `block` drops what waits, and refuses what comes before its penalty is over."""

    OWNER_LIMIT = "too many of its owner wait"
    """More than `max_waiting_per_owner` of its owner waited."""

    MAX_WAIT = "waited too long"
    """It waited for `max_wait`, or for the `timeout` of its caller."""

    CIRCUIT_OPEN = "its back end fails again and again"
    """`circuit_patience` probes of the circuit breaker in a row have failed since it came."""

    DEADLINE = "its deadline is over"
    """Its deadline has come before its slot, or cannot be met."""

    DRAINING = "the lane is draining"
    """The lane refuses new requests; what waits is still granted."""

    STOPPED = "the lane is stopped"
    """The lane refuses all requests, and drops what waits."""

    WITHDRAWN = "withdrawn"
    """Its caller cancelled it before it began; no lane refused it."""
