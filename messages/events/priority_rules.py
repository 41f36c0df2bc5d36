"""The audit of requests whose priority was changed: I17."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from limner.messages.events.findings import Recent, Violations, is_name, show
from limner.messages.events.record import Record, micros, stands_for


@dataclass(slots=True)
class Waiting:
    """A request that waits.

    Args:
        priority: now.
        came: when, in microseconds.
        again: whether its task had a slot of the lane before, and may have its place back, or it
            has a deadline, and may go before others for that.
        seq: number of the event that says its priority.
        moved: whether that was changed.
    """

    priority: int
    came: int
    again: bool
    seq: int
    moved: bool = False


@dataclass(slots=True)
class OwnerRequests:
    """The requests of one owner that wait in a lane, and those of them that were moved."""

    waiting: dict[str, Waiting] = field(default_factory=dict)
    moved: dict[str, Waiting] = field(default_factory=dict)


class PriorityRules:
    """I17: a request whose priority was changed has its turn by the priority that it has now.

    Between the requests of one owner their priority, their age, their deadlines, and whether a task
    had a slot before decide. So of two of the same priority the one goes first that came first, and
    in a lane without ageing a better priority goes first. Pairs are checked of which one was moved.
    """

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.lanes: dict[str, dict[str | None, OwnerRequests]] = {}
        self.ageless: dict[str, bool] = {}
        self.owners: dict[str, tuple[str, str | None]] = {}  # lane and owner of what waits
        self.had: Recent[bool] = Recent()  # tasks that have had a slot
        self.checks: dict[str, Callable[[Record, int], None]] = {
            "lane_opened": self.lane_set,
            "lane_updated": self.lane_set,
            "slot_requested": self.slot_requested,
            "request_prioritised": self.request_prioritised,
            "slot_granted": self.slot_granted,
            "request_dropped": self.request_ended,
            "request_withdrawn": self.request_ended,
        }

    def assume_missing(self) -> None:
        """Assume that events may be missing up to now."""
        self.lanes.clear()
        self.ageless.clear()
        self.owners.clear()

    def lane_set(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Remember whether a lane has ageing."""
        lane = event.get("lane")
        if is_name(lane):
            self.ageless[lane] = "ageing" in event and event["ageing"] is None

    def slot_requested(self, event: Record, seq: int) -> None:
        """Add a request; what is offered upstream has its turn by what it stands for."""
        name, lane, task = event.get("request_id"), event.get("lane"), event.get("task_id")
        owner, priority = event.get("owner"), event.get("priority")
        if (
            not (is_name(name) and is_name(lane) and is_name(task))
            or type(priority) is not int
            or not (owner is None or is_name(owner))
            or stands_for(event) is not None
        ):
            return
        self.request_ended(event, seq)  # if its name comes again
        owned = self.lanes.setdefault(lane, {}).setdefault(owner, OwnerRequests())
        again = bool(self.had.get(task)) or event.get("deadline") is not None
        owned.waiting[name] = Waiting(priority, micros(event), again, seq)
        self.owners[name] = lane, owner

    def request_prioritised(self, event: Record, seq: int) -> None:
        """Change the priority of a request."""
        name, priority = event.get("request_id"), event.get("priority")
        if is_name(name) and name in self.owners and type(priority) is int:
            lane, owner = self.owners[name]
            owned = self.lanes[lane][owner]
            request = owned.moved[name] = owned.waiting[name]
            request.priority, request.seq, request.moved = priority, seq, True

    def slot_granted(self, event: Record, seq: int) -> None:
        """Check that nothing of the owner had to go before a request."""
        name, task = event.get("request_id"), event.get("task_id")
        if is_name(task):
            self.had[task] = True
        if not is_name(name) or name not in self.owners:
            return
        lane, owner = self.owners[name]
        owned = self.lanes[lane][owner]
        granted = owned.waiting[name]
        others = owned.waiting if granted.moved else owned.moved
        for other_name, other in others.items():
            if other is granted:
                continue
            better = other.priority < granted.priority and self.ageless.get(lane, False)
            earlier = (
                other.priority == granted.priority
                and other.came < granted.came
                and not granted.again
            )
            if better or earlier:
                what = (
                    f"request {show(name)} of priority {granted.priority} is granted before "
                    f"{show(other_name)} of priority {other.priority}, which "
                )
                what += "is better" if better else "came earlier"
                self.violations.add("I17", what, other.seq, granted.seq, seq)
                break
        self.request_ended(event, seq)

    def request_ended(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Remove a request."""
        name = event.get("request_id")
        if is_name(name) and name in self.owners:
            lane, owner = self.owners.pop(name)
            owned = self.lanes[lane][owner]
            del owned.waiting[name]
            owned.moved.pop(name, None)
            if not owned.waiting:
                del self.lanes[lane][owner]
