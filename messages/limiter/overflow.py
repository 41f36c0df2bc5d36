"""What a lane drops when more requests wait than may: a function for each strategy.

The strategies are those of Bottleneck (`highWater` and `strategy`).
"""

from collections.abc import Callable
from typing import NamedTuple

from limner.messages.limiter.backlog import Backlog
from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.refusal import Refusal
from limner.messages.limiter.request_queue import RequestQueue
from limner.messages.limiter.settings import LaneSettings, Strategy


class Overflow(NamedTuple):
    """The requests that a lane drops, and why."""

    refusal: Refusal
    requests: list[RequestSlot]


Waiting = RequestQueue | Backlog
"""All that waits for a lane: in its queue, or for one that others stand behind, in its backlog."""


def overflow(waiting: Waiting, settings: LaneSettings, request: RequestSlot) -> Overflow | None:
    """Return what a lane drops, now that one more request waits; `None` if there is room.

    Args:
        waiting: all that waits for it.
        settings: of the lane.
        request: the one that came last; it waits too.
    """
    owner, limit = request.owner, settings.max_waiting_per_owner
    if limit is not None and owner is not None and waiting.count_of(owner) > limit:
        return Overflow(Refusal.OWNER_LIMIT, [request])
    if settings.high_water is None or waiting.size <= settings.high_water:
        return None
    return STRATEGIES[settings.strategy](waiting, request)


def leak(waiting: Waiting, _request: RequestSlot) -> Overflow:
    """Drop the least important of all, the new one included: of the lowest priority, the oldest.

    If that is for a picture of a message, the last of the message's requests with that priority
    goes in its place. So a long message loses pictures from its end, not from its middle.
    """
    least = waiting.last_of(waiting.least_important())
    return Overflow(Refusal.HIGH_WATER, [least.request])


def overflow_priority(waiting: Waiting, request: RequestSlot) -> Overflow:
    """Drop the same as `leak` if its priority is lower than that of the new one; else the new one.

    A higher number is a lower priority. So among equals the new one goes, with `leak` the oldest.
    """
    if waiting.least_important().request.priority <= request.priority:
        return Overflow(Refusal.HIGH_WATER, [request])
    return leak(waiting, request)


def refuse_new(_waiting: Waiting, request: RequestSlot) -> Overflow:
    """Drop the new request."""
    return Overflow(Refusal.HIGH_WATER, [request])


def block(waiting: Waiting, _request: RequestSlot) -> Overflow:
    """Drop all that wait; the lane then refuses what comes until its penalty is over."""
    return Overflow(Refusal.BLOCKED, [queued.request for queued in waiting])


STRATEGIES: dict[Strategy, Callable[[Waiting, RequestSlot], Overflow]] = {
    "leak": leak,
    "overflow_priority": overflow_priority,
    "overflow": refuse_new,
    "block": block,
}
