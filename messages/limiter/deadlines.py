"""The deadlines of requests that wait in a lane."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from limner.messages.limiter.queued_request import QueuedRequest
from limner.messages.limiter.request_queue import RequestQueue


class Deadlines:
    """Deadlines, the earliest first. It is mutable; its lane owns it.

    Requests that do not wait any more are left out as they come first, or as there are too many.

    Attributes:
        heap: each deadline with the id of its request; empty if there is none.
    """

    __slots__ = ("heap",)

    def __init__(self) -> None:
        self.heap: list[tuple[int, str]] = []

    def detach(self) -> None:
        """Make this shallow copy one of its own."""
        self.heap = self.heap.copy()

    def add(self, request_id: str, deadline: int) -> None:
        """Add the deadline of a request, in microseconds."""
        heappush(self.heap, (deadline, request_id))

    def first(self, queue: RequestQueue) -> tuple[int, QueuedRequest] | None:
        """Return the earliest deadline and its request; `None` if none that waits has one."""
        heap = self.heap
        if len(heap) > 64 + 4 * queue.size:
            heap[:] = [entry for entry in heap if entry[1] in queue]
            heapify(heap)
        while heap:
            deadline, request_id = heap[0]
            queued = queue.get(request_id)
            if queued is not None and queued.request.deadline == deadline:
                return deadline, queued
            heappop(heap)
        return None
