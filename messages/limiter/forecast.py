"""When a lane can grant a request. No clock: `now` is passed in, in microseconds."""

from collections.abc import Sequence

from limner.messages.limiter.lane import Lane
from limner.messages.limiter.protocol import RequestSlot

ROUNDS = 100
"""How often the lanes of a chain are asked again, each after what the others say."""


def earliest(chain: Sequence[Lane], request: RequestSlot, now: int) -> int | None:
    """Return the earliest time at which a request can be granted: no holder can make it earlier.

    It is what the rules alone allow, if all slots came back now and nothing else waited: the ends
    of pauses, of a penalty, of an open circuit and of `min_time`, and when reservoirs are filled.
    A host that changes a lane may make it earlier.

    Args:
        chain: the lane of the request, and those upstream, the nearest first.
        request: which.
        now: the time.

    Returns:
        A time of the same clock, `now` or later. `None` for never: a lane is ended, paused until it
        is resumed, or never has enough.
    """
    if any(lane.permanent_refusal(request, now) is not None for lane in chain):
        return None
    at = now
    for _ in range(ROUNDS):
        before = at
        for lane in chain:
            allowed = lane.earliest(request, at)
            if allowed is None:
                return None
            at = allowed
        if at == before:
            break
    return at
