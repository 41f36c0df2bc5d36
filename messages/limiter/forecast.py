"""When a lane can grant a request. No clock: `now` is passed in, in microseconds.

Two answers: the *earliest* time that the rules allow whatever holders do, and the *expected* one,
with all that waits ahead and with how long slots are held lately.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from itertools import islice

from limner.messages.limiter.lane import NEVER, Lane
from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.queued_request import QueuedRequest, queued_at
from limner.messages.limiter.request_queue import RequestQueue

ROUNDS = 100
"""How often the lanes of a chain are asked again, each after what the others say."""


def earliest(chain: Sequence[Lane], request: RequestSlot, now: int) -> int | None:
    """Return the earliest time at which a request can be granted: no holder can make it earlier.

    It is what the rules alone allow, if all slots came back now and nothing else waited: the ends
    of pauses, of a penalty, of an open circuit and of `min_time`, and when reservoirs and budgets
    have enough. A host that changes a lane may make it earlier.

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


class Forecast:
    """When a request can be expected to be granted, if it came now.

    A copy of its lane is run ahead with that request, as if each slot were held for as long as
    slots were held lately, and each call succeeded. So that is exact for a lane of its own whose
    slots are all held for as long. Lanes upstream are run ahead one by one, each with what waits
    for it and goes first; the slowest of them tells. A request ahead that waits too long is dropped
    there too; the `max_wait` of this one is not looked at, nor whether there is room for it.

    Args:
        request: which; it does not wait.
        now: the time.
        most: requests ahead that are looked at; with more, the rest takes as long for each.
    """

    def __init__(self, request: RequestSlot, now: int, most: int = 500) -> None:
        self.request = request
        self.now = now
        self.most = most
        self.ahead: list[RequestSlot] = []
        """The requests that go before it in the lane that was run ahead last."""

    def in_lane(self, lane: Lane, held: int | None) -> int | None:
        """Return when a lane would grant the request, if it were the only one.

        Args:
            lane: of the request.
            held: microseconds for which its slots are held; `None` if that is not known.

        Returns:
            A time; `None` for never, or if it depends on what is not known.
        """
        return self._run(lane, held)

    def upstream(
        self, lane: Lane, waiting: Iterable[QueuedRequest], held: int | None
    ) -> int | None:
        """Return when a lane upstream of the last one would grant what stands for the request.

        Args:
            lane: which.
            waiting: what is asked of it and may go first, besides what goes first in the last lane.
            held: as for `in_lane`.
        """
        looked_at = islice(waiting, 2 * self.most)
        found = {queued.request.request_id: queued for queued in looked_at}
        for request in self.ahead:
            found.setdefault(request.request_id, QueuedRequest(request, 0, self.now))
        crowd = sorted(found.values(), key=queued_at)
        queue = RequestQueue(lane.ageing)
        for queued in crowd[: self.most]:
            queue.add(queued.request.but(since=None), queued.queued_at, blocked=False)
        return self._run(lane, held, queue, max(0, len(crowd) - self.most))

    def _before(self, weights: Sequence[tuple[int, int]]) -> int:
        """Return how many requests have the priority of this one or a better one."""
        return sum(number for number, _ in weights[: self.request.priority + 1])

    def _run(
        self, lane: Lane, held: int | None, queue: RequestQueue | None = None, left_out: int = 0
    ) -> int | None:
        """Run a copy of a lane ahead until it grants the request.

        Args:
            lane: which.
            held: microseconds for which a slot is held.
            queue: what waits in the copy, if not the same.
            left_out: how many requests that go before this one are not in that queue.
        """
        request, at = self.request, lane.free_from(self.now)
        ahead = copy(lane)
        ahead.detach(held, self.now, most=self.most, queue=queue)
        if queue is None:
            left_out = self._before(lane.waiting_weights) - self._before(ahead.waiting_weights)
        ahead.admit(request, at).queued_at = NEVER  # it is not dropped for waiting
        self.ahead = []
        for _ in range(4 * self.most):
            back = ahead.leases.next_expiry()
            if back is not None and back.expires_at <= at:  # one by one, as holders return them
                ahead.release(back.id)
                ahead.record_outcome(back, None if back.revoked_for else False, at)
            ahead.drop_overdue(at)
            ahead.end_passing(at)
            for slot in ahead.grant_ready(at):
                if slot.request is request:
                    return self._with(left_out, at)
                self.ahead.append(slot.request)
            for slot in ahead.revoke_slots(at):
                ahead.leases.shorten(slot, at)
            due = ahead.next_check(at)
            if due is None or due >= NEVER:
                return None
            at = max(at, due)
        return None

    def _with(self, left_out: int, at: int) -> int:
        """Return a time with what requests take that were left out."""
        seen = len(self.ahead)
        if not left_out or not seen:
            return at
        return self.now + round((at - self.now) * (seen + left_out) / seen)
