"""The limiter: all generation of all messages passes it.

Hears `RequestSlot`, `WithdrawRequest` and `ReleaseSlot` from processors, `SessionGone` from the
root, wishes about its lanes from the edge; tells processors `SlotGranted`, `SlotRevoked`,
`SlotExpired` and `RequestDropped`. Started and ended by the root, once a studio. If it fails, all
sessions fail and the studio closes.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any, Literal

from limner.actors.base import LimnerActor
from limner.actors.event_log import EventLog
from limner.actors.system import Timer
from limner.messages.errors import StudioClosed
from limner.messages.events.protocol import Event
from limner.messages.limiter.circuit_breaker import State
from limner.messages.limiter.control import (
    EndLane,
    LaneReport,
    PauseLane,
    ReportLane,
    ResumeLane,
    StateOf,
    TaskPlace,
    UpdateLane,
    WaitingRequest,
)
from limner.messages.limiter.lane import Lane
from limner.messages.limiter.lane_chain import LaneStep, Step
from limner.messages.limiter.lane_set import LaneSet
from limner.messages.limiter.protocol import (
    LaneChecked,
    ReleaseSlot,
    RequestDropped,
    RequestSlot,
    SessionGone,
    SlotExpired,
    SlotGranted,
    SlotRevoked,
    WithdrawRequest,
)
from limner.messages.limiter.reservoir import MICROSECONDS
from limner.messages.limiter.settings import LaneSettings
from limner.messages.status import LaneStatus
from limner.messages.studio.protocol import ReportStatus
from limner.messages.validation import group_of

LEARNING = 0.1
"""How much the last slot counts in the average time that one is held."""

ENDS = {
    "granted": "slot_granted",
    "released": "slot_released",
    "revoked": "slot_revoked",
    "expired": "slot_expired",
    "dropped": "request_dropped",
    "withdrawn": "request_withdrawn",
}
"""The events that are counted, by what they are called in a report."""

RETURNED = frozenset(["slot_released", "slot_revoked"])
"""The events of slots that their holders give back."""

LISTING = frozenset(["slot_requested", "slot_granted"])
"""The events that list the requests of a batch."""

CIRCUITS: dict[State, Literal["open", "resting", "probing"]] = {
    "closed": "open",
    "open": "resting",
    "half-open": "probing",
}
"""The state of a lane, by that of its circuit."""


class LimiterActor(LimnerActor):
    """Grants slots, in all lanes."""

    role = "limiter"

    def __init__(
        self,
        log: EventLog,
        lanes: dict[str, LaneSettings],
        groups: dict[str, LaneSettings] | None = None,
    ) -> None:
        super().__init__(log)
        self.lanes = LaneSet(lanes, groups, self.system.clock.now)
        self.timers: dict[str, tuple[int, Timer]] = {}
        self.ends: dict[str, list[Any]] = {}
        self.counts: dict[str, Counter[str]] = {}
        self.held_for: dict[str, float] = {}
        self.calls_ended = False

    def on_start(self) -> None:
        """Tell the event log what is in force."""
        self.tell_all(self.system.clock.now)

    def on_stop(self) -> None:
        """Look at no lane any more; whoever waits for the end of one waits in vain."""
        for _, timer in self.timers.values():
            timer.cancel()
        late = [message.done for message in self.take_unheard(EndLane)]
        for done in (*chain(*self.ends.values()), *late):
            done.fail_if_pending(StudioClosed("the studio closed before the lane had ended"))

    def on_failure(self, *_: object) -> None:
        """Fail who waits for the end of a lane."""
        self.on_stop()

    def on_receive(self, message: object) -> Any:
        """Take requests and slots; grant what can be granted."""
        lanes, now = self.lanes, self.system.clock.now
        match message:
            case RequestSlot():
                if message.session_id or not self.calls_ended:
                    lanes.request(message, now)
            case ReleaseSlot():
                lanes.release(message, now)
            case WithdrawRequest():
                lanes.withdraw(message.request_id, now)
            case LaneChecked():
                self.timers.pop(message.lane, None)
                lanes.look(message.lane, now)
            case SessionGone():
                self.calls_ended = self.calls_ended or not message.session_id
                lanes.take_back(message.session_id, now)
            case UpdateLane():
                lanes.update(message.lane, message.settings, now, refill=message.refill)
            case PauseLane():
                lanes.pause(message.lane, message.seconds, now)
            case ResumeLane():
                lanes.resume(message.lane, now)
            case EndLane():
                self.ends.setdefault(message.lane, []).append(message.done)
                lanes.end(message.lane, now, drop=message.drop)
            case ReportLane():
                return self.report(message, now)
            case StateOf():
                return self.place_of(message.task_id)
            case ReportStatus():
                return {name: status_of(lane) for name, lane in lanes.lanes.items()}
            case _:
                return super().on_receive(message)
        self.tell_all(now)
        return None

    def tell_all(self, now: int) -> None:
        """Tell what has happened, in its order, and see to it that no moment is missed."""
        steps, self.lanes.steps = self.lanes.steps, []
        for step in steps:
            if isinstance(step, Step):
                self.tell_of(step, now)
            else:
                self.lane_changed(step, now)
        touched, self.lanes.touched = self.lanes.touched, {}
        for name in touched:
            due = self.lanes.due(name, now)
            if due is not None:
                self.check_at(name, due)

    def tell_of(self, step: Step, now: int) -> None:
        """Tell the requester, and the event log, what became of a request."""
        event, lane, request, slot, reason, holder = step
        name = lane.name
        counts = self.counts.get(name)
        if counts is None:
            counts = self.counts[name] = Counter()
        counts[event] += 1
        if self.log.on:
            self.log.put(event_of(step, now))
        if slot is not None and event in RETURNED:
            if event == "slot_released":
                self.learn(name, now - slot.granted_at)
            return
        to = request.reply_to if holder is None else holder.request.reply_to
        if to is None:
            return
        task_id = request.task_id
        if slot is None:
            if event == "request_dropped":
                to.tell(
                    RequestDropped(
                        request_id=request.request_id, task_id=task_id, reason=reason or ""
                    )
                )
        elif event == "slot_granted":
            to.tell(
                SlotGranted.trusted(
                    request_id=request.request_id,
                    task_id=task_id,
                    slot_id=slot.id,
                    expires_at=slot.expires_at,
                )
            )
        elif event == "slot_expired":
            to.tell(SlotExpired(task_id=task_id, slot_id=slot.id))
        elif holder is not None:
            to.tell(SlotRevoked(task_id=task_id, slot_id=holder.id))

    def lane_changed(self, step: LaneStep, now: int) -> None:
        """Write what has happened to a lane into the event log; end who waited for its end."""
        name = step.lane.name
        self.log_event(step.event, lane=name, at=now, **step.fields)
        match step.event:
            case "lane_drained":
                for done in self.ends.pop(name, ()):
                    done.set_if_pending(None)
            case "lane_dropped":
                _, timer = self.timers.pop(name, (0, None))
                if timer is not None:
                    timer.cancel()
                self.counts.pop(name, None)
                self.held_for.pop(name, None)

    def learn(self, name: str, held: int) -> None:
        """Take the time that a slot was held into the average of its lane."""
        seconds = held / MICROSECONDS
        before = self.held_for.get(name, seconds)
        self.held_for[name] = before + LEARNING * (seconds - before)

    def report(self, question: ReportLane, now: int) -> LaneReport:
        """Say how it looks in a lane; in one of a group that is not there, as when it is made."""
        name = question.lane
        lane = self.lanes.lanes.get(name)
        if lane is None:
            lane = Lane(name, self.lanes.groups[group_of(name)], now)
        counts = self.counts.get(name, Counter())
        circuit: State = "closed" if lane.circuit is None else lane.circuit.state
        return LaneReport(
            settings=lane.settings,
            state=lane.ending or ("paused" if lane.paused(now) else CIRCUITS[circuit]),
            counts={
                "waiting": lane.waiting,
                "out": len(lane.leases),
                **{name: counts[event] for name, event in ENDS.items()},
            },
            weight_out=lane.leases.weight,
            reservoir=lane.reservoir(now),
            ahead=lane.waiting_weights,
            waiting=tuple(
                WaitingRequest.trusted(
                    request_id=one.request.request_id,
                    task_id=one.request.task_id,
                    owner=one.request.owner,
                    priority=one.request.priority,
                    weight=one.request.weight,
                    waited=(now - one.asked) / MICROSECONDS,
                )
                for one in (lane.all_waiting() if question.waiting else ())
                if question.owner in (None, one.request.owner)
                and question.priority in (None, one.request.priority)
            ),
            held_for=self.held_for.get(name),
        )

    def place_of(self, task_id: str) -> TaskPlace | None:
        """Say whether a task waits or has a slot, in its own lane."""
        for lane in self.lanes.lanes.values():
            for slot in lane.leases:
                if slot.request.task_id == task_id and self.lanes.is_own(slot.id):
                    return TaskPlace(lane=lane.name, state="out", name=slot.id)
            for waiting in lane.all_waiting():
                name = waiting.request.request_id
                if waiting.request.task_id == task_id and self.lanes.is_own(name):
                    return TaskPlace(lane=lane.name, state="waiting", name=name)
        return None

    def check_at(self, name: str, due: int) -> None:
        """Look at a lane again at that time, or earlier if a timer is set for earlier."""
        set_for, timer = self.timers.get(name, (None, None))
        if set_for is not None and set_for <= due:
            return
        if timer is not None:
            timer.cancel()
        clock = self.system.clock
        left = max(0, due - clock.now) / MICROSECONDS  # what was done since `now` took its time
        self.timers[name] = due, clock.after(left, self.actor_ref, LaneChecked(lane=name))


def event_of(step: Step, now: int) -> Event:
    """Give a step of a request as the event log has it."""
    name, lane, request, slot, reason, _ = step
    fields: dict[str, Any] = {
        "lane": lane.name,
        "request_id": request.request_id,
        "weight": request.weight,
    }
    if slot is not None:
        fields["slot_id"] = slot.id
    if name == "slot_requested":
        fields["priority"] = request.priority
        if request.owner is not None:
            fields["owner"] = request.owner
    if reason is not None:
        fields["wanted" if name == "slot_asked_back" else "reason"] = reason
    if request.requests and name in LISTING:
        fields["requests"] = request.requests
    return Event.trusted(
        t=now,
        actor=LimiterActor.role,
        session_id=request.session_id or None,
        message_id=request.message_id or None,
        task_id=request.task_id,
        event=name,
        fields=fields,
    )


def status_of(lane: Lane) -> LaneStatus:
    """Give what a lane looks like from outside."""
    return LaneStatus(
        out=lane.leases.weight,
        max_concurrent=lane.settings.max_concurrent,
        waiting=lane.waiting,
    )
