"""Offers: requests of one lane that wait for the lane upstream of it."""

from typing import NamedTuple

from limner.messages.limiter.lane import Lane
from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.queued_request import QueuedRequest


class Offer(NamedTuple):
    """A request that waits for the lane upstream of its own.

    Args:
        lane: its own.
        queued: the request, in its own lane.
        request: that stands for it upstream.
    """

    lane: Lane
    queued: QueuedRequest
    request: RequestSlot


class Offers:
    """The offers that wait, one of a lane at most. It is mutable; a `LaneChain` owns it.

    The offers of a request R are named `R~1`, `R~2` and so on. Each after the first is as old as
    the first: it has waited since then.
    """

    __slots__ = ("_by_id", "_by_lane", "_made")

    def __init__(self) -> None:
        self._by_id: dict[str, Offer] = {}
        self._by_lane: dict[str, Offer] = {}
        self._made: dict[str, tuple[int, int]] = {}  # for a request: when first, and how many

    def __len__(self) -> int:
        return len(self._by_id) + len(self._by_lane) + len(self._made)

    def of(self, request: RequestSlot) -> Offer | None:
        """Return the offer that a request is; `None` if it is of its own lane."""
        return self._by_id.get(request.request_id)

    def of_lane(self, lane: str) -> Offer | None:
        """Return the offer that a lane has made; `None` if it has none."""
        return self._by_lane.get(lane)

    def make(self, lane: Lane, queued: QueuedRequest, upstream: str, now: int) -> Offer:
        """Add an offer of a request to the lane upstream of its own."""
        request = queued.request
        since, made = self._made.get(request.request_id, (request.since, 0))
        self._made[request.request_id] = now if since is None else since, made + 1
        offered = request.but(
            request_id=f"{request.request_id}~{made + 1}",
            lane=upstream,
            since=since,
            thread=False,
            stands_for=request.request_id,
            reply_to=None,
        )
        offer = Offer(lane, queued, offered)
        self._by_id[offered.request_id] = self._by_lane[lane.name] = offer
        return offer

    def remove(self, offer: Offer) -> None:
        """Remove an offer that does not wait any more."""
        del self._by_id[offer.request.request_id], self._by_lane[offer.lane.name]
        self.forget(offer.request.request_id)

    def forget(self, request_id: str) -> None:
        """Forget the age of the offers of a request that does not wait any more."""
        if self._made:
            self._made.pop(request_id, None)
