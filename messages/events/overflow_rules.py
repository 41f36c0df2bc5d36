"""The audit of requests that are dropped for want of room: I20."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

from limner.messages.events.findings import Recent, Violations, is_name, show
from limner.messages.events.record import Record, stands_for

HIGH_WATER = "high water"
"""How the reason begins of a request that was dropped for its lane's `high_water`."""

BY_IMPORTANCE = frozenset(["leak", "overflow_priority"])
"""The strategies that drop the least important request."""


class Waiting(NamedTuple):
    """A request that waits.

    Args:
        lanes: its own, and those upstream.
        priority: now.
        of: the message and the session that its picture is for; `None` for a host's own call.
        first: number of the event by which its task requested a slot first.
        seq: number of the event that says its priority.
    """

    lanes: tuple[str, ...]
    priority: int
    of: tuple[str, str] | None
    first: int
    seq: int


class OverflowRules:
    """I20: what a lane drops for its `high_water` is the least important of what waits for it.

    With the strategies `leak` and `overflow_priority` no request of a lower priority waits for the
    lane, there or in lanes behind it. With `leak`, none of the same message and priority waits that
    stands further on in its text, as far as one session has requested them.
    """

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.behind: dict[str, str | None] = {}
        self.strategies: dict[str, str] = {}
        self.waiting: dict[str, Waiting] = {}
        self.counts: dict[str, Counter[int]] = {}  # of what waits for a lane, by priority
        self.of_message: dict[tuple[str, str], dict[str, None]] = {}
        self.first: Recent[int] = Recent()
        self.checks: dict[str, Callable[[Record, int], None]] = {
            "lane_opened": self.lane_set,
            "lane_updated": self.lane_set,
            "slot_requested": self.slot_requested,
            "request_prioritised": self.request_prioritised,
            "slot_granted": self.request_ended,
            "request_dropped": self.request_dropped,
            "request_withdrawn": self.request_ended,
        }

    def assume_missing(self) -> None:
        """Assume that events may be missing up to now."""
        self.strategies.clear()
        self.waiting.clear()
        self.counts.clear()
        self.of_message.clear()

    def lane_set(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Store the strategy that is in force from now on."""
        lane, behind, strategy = (event.get(name) for name in ("lane", "behind", "strategy"))
        if is_name(lane):
            self.strategies[lane] = strategy if is_name(strategy) else ""
            self.behind[lane] = behind if is_name(behind) and behind != lane else None

    def slot_requested(self, event: Record, seq: int) -> None:
        """Add a request; what is offered upstream waits as the request that it stands for."""
        name, lane, task = event.get("request_id"), event.get("lane"), event.get("task_id")
        priority = event.get("priority")
        if (
            not (is_name(name) and is_name(lane) and is_name(task))
            or type(priority) is not int
            or stands_for(event) is not None
        ):
            return
        self.request_ended(event, seq)  # if its name comes again
        message, session = event.get("message_id"), event.get("session_id")
        of = (message, session) if is_name(message) and is_name(session) else None
        first = self.first.get(task) or seq
        self.first[task] = first
        self.add(name, Waiting(tuple(self.chain(lane)), priority, of, first, seq))

    def request_prioritised(self, event: Record, seq: int) -> None:
        """Change the priority of a request."""
        name, priority = event.get("request_id"), event.get("priority")
        if is_name(name) and name in self.waiting and type(priority) is int:
            self.add(name, self.remove(name)._replace(priority=priority, seq=seq))

    def request_dropped(self, event: Record, seq: int) -> None:
        """Check that what is dropped for want of room had to go."""
        name, reason = event.get("request_id"), event.get("reason")
        if is_name(name) and name in self.waiting and isinstance(reason, str):
            what, _, where = reason.partition(" in lane ")
            dropped = self.waiting[name]
            lane = where or dropped.lanes[0]
            if (
                what == HIGH_WATER
                and lane in dropped.lanes
                and self.strategies.get(lane) in BY_IMPORTANCE
            ):
                self.check(name, dropped, lane, seq)
        self.request_ended(event, seq)

    def check(self, name: str, dropped: Waiting, lane: str, seq: int) -> None:
        """Check that no request should have been dropped in place of this one."""
        lowest = max(self.counts[lane])
        if lowest > dropped.priority:
            what = (
                f"request {show(name)} of priority {dropped.priority} is dropped for want of room "
                f"in lane {show(lane)}, where one of priority {lowest} waits"
            )
            self.violations.add("I20", what, dropped.seq, seq)
        if dropped.of is None or self.strategies[lane] != "leak":
            return
        for other_name in self.of_message[dropped.of]:
            other = self.waiting[other_name]
            if (
                other.priority == dropped.priority
                and other.first > dropped.first
                and lane in other.lanes
            ):
                what = (
                    f"request {show(name)} is dropped for want of room before "
                    f"{show(other_name)}, which is further on in its message"
                )
                self.violations.add("I20", what, dropped.seq, other.seq, seq)
                return

    def request_ended(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Remove a request."""
        name = event.get("request_id")
        if is_name(name) and name in self.waiting:
            self.remove(name)

    def add(self, name: str, request: Waiting) -> None:
        """Add a request to what waits for its lane, and for those upstream."""
        self.waiting[name] = request
        for lane in request.lanes:
            self.counts.setdefault(lane, Counter())[request.priority] += 1
        if request.of is not None:
            self.of_message.setdefault(request.of, {})[name] = None

    def remove(self, name: str) -> Waiting:
        """Remove a request that waits, and return it."""
        request = self.waiting.pop(name)
        for lane in request.lanes:
            counts = self.counts[lane]
            counts[request.priority] -= 1
            if not counts[request.priority]:
                del counts[request.priority]
            if not counts:
                del self.counts[lane]
        if request.of is not None:
            names = self.of_message[request.of]
            del names[name]
            if not names:
                del self.of_message[request.of]
        return request

    def chain(self, lane: str | None) -> Iterator[str]:
        """Return a lane and those upstream, ten at most: a log may say anything."""
        for _ in range(10):
            if lane is None:
                return
            yield lane
            lane = self.behind.get(lane)
