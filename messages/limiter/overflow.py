"""What a lane drops when more requests wait than may: a function for each strategy.

The strategies are those of Bottleneck (`highWater` and `strategy`).
"""

from collections.abc import Callable
from typing import NamedTuple

from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.refusal import Refusal
from limner.messages.limiter.request_queue import RequestQueue
from limner.messages.limiter.settings import LaneSettings, Strategy


class Overflow(NamedTuple):
    """The requests that a lane drops, and why."""

    refusal: Refusal
    requests: list[RequestSlot]


def overflow(queue: RequestQueue, settings: LaneSettings, request: RequestSlot) -> Overflow | None:
    """Return what a lane drops, now that one more request waits; `None` if there is room.

    Args:
        queue: all that waits.
        settings: of the lane.
        request: the one that came last; it is in the queue.
    """
    owner, limit = request.owner, settings.max_waiting_per_owner
    if limit is not None and owner is not None and queue.count_of(owner) > limit:
        return Overflow(Refusal.OWNER_LIMIT, [request])
    if settings.high_water is None or queue.size <= settings.high_water:
        return None
    return STRATEGIES[settings.strategy](queue, request)


def leak(queue: RequestQueue, request: RequestSlot) -> Overflow:
    """Drop the oldest request of the lowest priority; the new one, if no other waits."""
    lowest = queue.lowest(excluding=request.request_id)
    return Overflow(Refusal.HIGH_WATER, [request if lowest is None else lowest.request])


def overflow_priority(queue: RequestQueue, request: RequestSlot) -> Overflow:
    """Drop the same as `leak` if its priority is lower than that of the new one; else the new one.

    A higher number is a lower priority.
    """
    lowest = queue.lowest(excluding=request.request_id)
    if lowest is None or lowest.request.priority <= request.priority:
        return Overflow(Refusal.HIGH_WATER, [request])
    return Overflow(Refusal.HIGH_WATER, [lowest.request])


def refuse_new(_queue: RequestQueue, request: RequestSlot) -> Overflow:
    """Drop the new request."""
    return Overflow(Refusal.HIGH_WATER, [request])


def block(queue: RequestQueue, _request: RequestSlot) -> Overflow:
    """Drop all that wait; the lane then refuses what comes until its penalty is over."""
    return Overflow(Refusal.BLOCKED, [queued.request for queued in queue])


STRATEGIES: dict[Strategy, Callable[[RequestQueue, RequestSlot], Overflow]] = {
    "leak": leak,
    "overflow_priority": overflow_priority,
    "overflow": refuse_new,
    "block": block,
}
