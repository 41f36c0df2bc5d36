"""The limiter: all generation of all messages passes it.

Hears `RequestSlot`, `PrioritiseRequest`, `WithdrawRequest` and `ReleaseSlot` from processors and
from the caller of hosts' calls, `SessionGone` and `HostCallsGone` from the root, commands and
questions about its lanes from the edge. Tells whoever requested a slot `SlotGranted`,
`SlotRevoked`, `SlotExpired` and `RequestDropped`. Started and ended by the root, once a studio. If
it fails, all sessions fail and the studio closes.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from logging import getLogger
from typing import Any, get_args

from limner.actors.base import LimnerActor
from limner.actors.event_log import EventLog
from limner.actors.system import Timer
from limner.messages.errors import SettingsInvalid, StudioClosed
from limner.messages.events.protocol import Event
from limner.messages.limiter.circuit_breaker import State
from limner.messages.limiter.control import (
    AwaitIdle,
    BatchesSent,
    ChangeReservoir,
    DropLane,
    EndLane,
    ForecastLane,
    LaneReport,
    ObserveLimits,
    OpenLane,
    PauseLane,
    ReportLane,
    ReportRunning,
    ResumeLane,
    RunningCall,
    StateOf,
    TaskPlace,
    UpdateLane,
    WaitingRequest,
)
from limner.messages.limiter.lane import Lane
from limner.messages.limiter.lane_set import LaneDropped, LaneSet
from limner.messages.limiter.protocol import (
    HostCallsGone,
    LaneChecked,
    PrioritiseRequest,
    ReleaseSlot,
    RequestDropped,
    RequestSlot,
    SessionGone,
    SettleCosts,
    SlotExpired,
    SlotGranted,
    SlotRevoked,
    WithdrawRequest,
)
from limner.messages.limiter.refusal import Refusal
from limner.messages.limiter.reservoir import MICROSECONDS
from limner.messages.limiter.settings import LaneSettings
from limner.messages.limiter.steps import LaneStep, Step
from limner.messages.status import LaneState, LaneStatus
from limner.messages.studio.protocol import ReportStatus

logger = getLogger("limner")

LEARNING = 0.1
"""The share of the last slot in the moving average of how long slots are held."""

ENDS = {
    "granted": "slot_granted",
    "released": "slot_released",
    "revoked": "slot_revoked",
    "expired": "slot_expired",
    "dropped": "request_dropped",
    "withdrawn": "request_withdrawn",
}
"""The events that are counted, by their names in a report."""

RETURNED = frozenset(["slot_released", "slot_revoked"])
"""The events of slots that their holders return."""

LISTING = frozenset(["slot_requested", "slot_granted"])
"""The events that list the requests of a batch."""

UNTOLD = frozenset(["request_prioritised", "costs_settled"])
"""The events of which the requester is not told."""

CHARGED = frozenset(["slot_granted", "costs_settled"])
"""The events that name what a call takes of budgets."""

PRIORITISED = frozenset(["slot_requested", "request_prioritised"])
"""The events that name the request's priority."""

CIRCUITS: dict[State, LaneState] = {
    "closed": "open",
    "open": "resting",
    "half-open": "probing",
}
"""The state of a lane that is neither paused nor ended, by that of its circuit."""


Question = (
    ChangeReservoir | DropLane | ReportLane | ForecastLane | ReportRunning | StateOf | ReportStatus
)
QUESTIONS = get_args(Question)


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
        self.failing: set[str] = set()
        self.idles: list[Any] = []
        self.host_calls_gone = False

    def on_start(self) -> None:
        """Log the settings that are in force."""
        self.tell_all(self.system.clock.now)

    def on_stop(self) -> None:
        """Cancel the timers; fail the futures of lanes that have not ended."""
        for _, timer in self.timers.values():
            timer.cancel()
        late = [message.done for message in self.take_unheard(EndLane, AwaitIdle)]
        late += [message.done for message in self.idles]
        for done in (*chain(*self.ends.values()), *late):
            done.fail_if_pending(StudioClosed("the studio closed before the lane had ended"))

    def on_failure(self, *_: object) -> None:
        """Do the same as when it stops."""
        self.on_stop()

    def on_receive(self, message: object) -> Any:
        """Handle one message; grant what can be granted."""
        try:
            return self.handle(message)
        except LaneDropped:
            return self.lane_gone(message)

    def handle(self, message: object) -> Any:
        """Handle one message, unless its lane was dropped before."""
        lanes, now = self.lanes, self.system.clock.now
        match message:
            case RequestSlot():
                if message.session_id is not None or not self.host_calls_gone:
                    lanes.request(message, now)
            case ReleaseSlot():
                lanes.release(message, now)
            case SettleCosts():
                lanes.settle_costs(message.name, message.costs, now)
            case WithdrawRequest():
                lanes.withdraw(message.request_id, now)
            case PrioritiseRequest():
                lanes.prioritise(message.name, message.priority, now)
            case LaneChecked():
                self.timers.pop(message.lane, None)
                lanes.check(message.lane, now)
            case SessionGone():
                lanes.end_session(message.session_id, now)
            case HostCallsGone():
                self.host_calls_gone = True
                lanes.end_session(None, now)
            case UpdateLane():
                lanes.update(message.lane, message.settings, now, refill=message.refill)
            case OpenLane():
                lanes.open_lane(message.lane, message.settings, now)
            case AwaitIdle():
                self.idles.append(message)
            case PauseLane():
                lanes.pause(message.lane, message.seconds, now, reason=message.reason)
            case ObserveLimits():
                lanes.observe(message.lane, message.limits, now, host=message.host)
            case ResumeLane():
                lanes.resume(message.lane, now)
            case EndLane():
                self.ends.setdefault(message.lane, []).append(message.done)
                lanes.end(message.lane, now, drop=message.drop, gathering=message.gathering)
            case BatchesSent():
                lanes.batches_sent(message.lane, now)
            case _ if isinstance(message, QUESTIONS):
                return self.answer(message, now)
            case _:
                return super().on_receive(message)
        self.tell_all(now)
        if self.idles:
            self.tell_idle()
        return None

    def answer(self, question: Question, now: int) -> Any:
        """Answer what the edge asks."""
        lanes = self.lanes
        match question:
            case ChangeReservoir():
                left = lanes.change_reservoir(question.lane, question.by, now)
                self.tell_all(now)
                return left
            case DropLane():
                dropped = lanes.drop_lane(question.lane)
                self.tell_all(now)
                return dropped
            case ReportLane():
                return self.report(question, now)
            case ForecastLane():
                return self.forecast(question, now)
            case ReportRunning():
                return running_calls(lanes, question.lane, now)
            case StateOf():
                return self.place_of(question.task_id)
            case ReportStatus():
                return {name: status_of(lane, now) for name, lane in lanes.lanes.items()}

    def lane_gone(self, message: object) -> None:
        """Refuse what was asked of a lane just as it was dropped.

        Raises:
            SettingsInvalid: to whom asks about it.
        """
        match message:
            case RequestSlot():
                reason = f"lane {message.lane!r} was dropped"
                if message.reply_to is not None:
                    message.reply_to.tell(
                        RequestDropped(
                            request_id=message.request_id,
                            task_id=message.task_id,
                            refusal=Refusal.STOPPED,
                            lane=message.lane,
                            reason=reason,
                        )
                    )
            case EndLane():
                for done in self.ends.pop(message.lane, ()):
                    done.set_if_pending(None)
            case ChangeReservoir() | ReportLane() | ForecastLane():
                raise SettingsInvalid(f"lane {message.lane!r} was dropped")

    def tell_idle(self) -> None:
        """Set the futures of those that wait until a lane is idle."""
        left = []
        for message in self.idles:
            if self.lanes.is_idle(message.lane):
                message.done.set_if_pending(None)
            else:
                left.append(message)
        self.idles = left

    def tell_all(self, now: int) -> None:
        """Tell what has happened, in order; set a timer for each lane that time may change."""
        for step in self.lanes.take_steps():
            if isinstance(step, Step):
                self.tell_of(step, now)
            else:
                self.lane_changed(step, now)
        for name in self.lanes.take_changed():
            due = self.lanes.due(name, now)
            if due is not None:
                self.check_at(name, due)

    def tell_of(self, step: Step, now: int) -> None:
        """Log what has happened to a request, and tell its requester."""
        event, lane, request, slot, drop, holder = step
        name = lane.name
        counts = self.counts.get(name)
        if counts is None:
            counts = self.counts[name] = Counter()
        counts[event] += 1
        if self.log.on:
            self.log.put(event_of(step, now))
        if slot is not None and event in RETURNED:
            if event == "slot_released":
                self.average_held(name, now - slot.granted_at)
            return
        if event in UNTOLD:
            return
        requester = request.reply_to if holder is None else holder.request.reply_to
        if requester is None:
            return
        task_id = request.task_id
        if slot is None:
            if drop is not None:
                requester.tell(
                    RequestDropped(
                        request_id=request.request_id,
                        task_id=task_id,
                        refusal=drop.refusal,
                        lane=drop.lane,
                        reason=drop.reason,
                    )
                )
        elif event == "slot_granted":
            requester.tell(
                SlotGranted.trusted(
                    request_id=request.request_id,
                    task_id=task_id,
                    slot_id=slot.id,
                    expires_at=slot.expires_at,
                )
            )
        elif event == "slot_expired":
            requester.tell(SlotExpired(task_id=task_id, slot_id=slot.id))
        elif holder is not None:
            requester.tell(SlotRevoked(task_id=task_id, slot_id=holder.id))

    def lane_changed(self, step: LaneStep, now: int) -> None:
        """Log what has happened to a lane; set the futures of one that is drained."""
        name = step.lane.name
        self.log_event(step.event, lane=name, at=now, **step.fields)
        match step.event:
            case "circuit_open" if name not in self.failing:
                self.failing.add(name)
                settings = step.lane.settings
                logger.warning(
                    "lane %s: its circuit is open after %d failures in a row, and a call is tried "
                    "again in %g s; last error: %s",
                    name,
                    step.fields["failures"],
                    settings.circuit_seconds,
                    step.fields.get("error", "unknown"),
                )
            case "circuit_closed" if name in self.failing:
                self.failing.discard(name)
                logger.warning("lane %s: its back end works again", name)
            case "lane_drained":
                for done in self.ends.pop(name, ()):
                    done.set_if_pending(None)
            case "lane_dropped":
                self.failing.discard(name)
                _, timer = self.timers.pop(name, (0, None))
                if timer is not None:
                    timer.cancel()
                self.counts.pop(name, None)
                self.held_for.pop(name, None)

    def average_held(self, name: str, held: int) -> None:
        """Update the average time that slots of a lane are held.

        Args:
            name: of the lane.
            held: microseconds that the last slot was held.
        """
        seconds = held / MICROSECONDS
        before = self.held_for.get(name, seconds)
        self.held_for[name] = before + LEARNING * (seconds - before)

    def report(self, question: ReportLane, now: int) -> LaneReport:
        """Return the state of a lane; of one of a group that is not open, as it would be opened."""
        name = question.lane
        lane = self.lanes.lanes.get(name)
        if lane is None:
            lane = Lane(name, self.lanes.settings_of(name), now)
        counts = self.counts.get(name, Counter())
        status = status_of(lane, now)
        return LaneReport(
            settings=lane.settings,
            limit=lane.limit,
            state=status.state,
            failures=status.failures,
            last_error=status.last_error,
            budgets={} if lane.budgets is None else lane.budgets.left(now),
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
                    request_id=queued.request.request_id,
                    task_id=queued.request.task_id,
                    owner=queued.request.owner,
                    priority=queued.request.priority,
                    weight=queued.request.weight,
                    waited=(now - queued.queued_at) / MICROSECONDS,
                )
                for queued in (lane.all_waiting() if question.waiting else ())
                if question.owner in (None, queued.request.owner)
                and question.priority in (None, queued.request.priority)
            ),
            held_for=self.held_for.get(name),
        )

    def forecast(self, question: ForecastLane, now: int) -> float | None:
        """Return the seconds that a request would wait; `None` for ever, or if not known."""
        request = RequestSlot(
            request_id="",
            session_id=None,
            message_id=None,
            task_id="",
            lane=question.lane,
            owner=question.owner,
            priority=question.priority,
            weight=question.weight,
            reply_to=None,
        )
        at = self.lanes.forecast(request, now, self.held_for)
        return None if at is None else (at - now) / MICROSECONDS

    def place_of(self, task_id: str) -> TaskPlace | None:
        """Return where a task waits or has a slot, in its own lane; `None` if nowhere."""
        for lane in self.lanes.lanes.values():
            for slot in lane.leases:
                if slot.request.task_id == task_id and slot.request.stands_for is None:
                    return TaskPlace(lane=lane.name, state="out", name=slot.id)
            for queued in lane.all_waiting():
                request = queued.request
                if request.task_id == task_id and request.stands_for is None:
                    return TaskPlace(lane=lane.name, state="waiting", name=request.request_id)
        return None

    def check_at(self, name: str, due: int) -> None:
        """Check a lane at that time, or earlier if its timer is set for earlier."""
        set_for, timer = self.timers.get(name, (None, None))
        if set_for is not None and set_for <= due:
            return
        if timer is not None:
            timer.cancel()
        clock = self.system.clock
        seconds = max(0, due - clock.now) / MICROSECONDS  # some time has passed since `now`
        self.timers[name] = due, clock.after(seconds, self.actor_ref, LaneChecked(lane=name))


def running_calls(lanes: LaneSet, name: str | None, now: int) -> tuple[RunningCall, ...]:
    """Return the calls of hosts that have a slot, in a lane or in all, the oldest first."""
    found = [
        slot
        for lane in lanes.lanes.values()
        if name in (None, lane.name)
        for slot in lane.leases
        if slot.request.session_id is None and slot.request.stands_for is None
    ]
    found.sort(key=lambda slot: slot.granted_at)
    return tuple(
        RunningCall(
            name=slot.request.task_id,
            lane=slot.request.lane,
            owner=slot.request.owner,
            priority=slot.request.priority,
            weight=slot.request.weight,
            seconds=(now - slot.granted_at) / MICROSECONDS,
            calls=slot.request.requests,
        )
        for slot in found
    )


def event_of(step: Step, now: int) -> Event:
    """Return a step of a request as the event log has it."""
    name, lane, request, slot, drop, _ = step
    fields: dict[str, Any] = {
        "lane": lane.name,
        "request_id": request.request_id,
        "weight": request.weight,
    }
    if slot is not None:
        fields["slot_id"] = slot.id
        if slot.overloaded:
            fields["overloaded"] = True
        if name == "slot_asked_back":
            fields["wanted"] = slot.revoked_for
        if slot.taken and name in CHARGED:
            fields["costs"] = {budget: taken.units for budget, taken in slot.taken.items()}
    if name in PRIORITISED:
        fields["priority"] = request.priority
    if name == "slot_requested":
        if request.owner is not None:
            fields["owner"] = request.owner
        if request.deadline is not None:
            fields["deadline"] = request.deadline / MICROSECONDS
    if drop is not None:
        fields["reason"] = drop.reason
    if request.requests and name in LISTING:
        fields["requests"] = request.requests
    if request.stands_for is not None:
        fields["stands_for"] = request.stands_for
    return Event.trusted(
        t=now,
        actor=LimiterActor.role,
        session_id=request.session_id,
        message_id=request.message_id,
        task_id=request.task_id,
        event=name,
        fields=fields,
    )


def status_of(lane: Lane, now: int) -> LaneStatus:
    """Return the summary of a lane that `Studio.status` has."""
    circuit = lane.circuit
    failures = 0 if circuit is None else circuit.failures_in_a_row
    state = CIRCUITS["closed" if circuit is None else circuit.state]
    if lane.blocked(now):
        state = "blocked"
    elif lane.paused(now):
        state = "paused"
    return LaneStatus(
        out=lane.leases.weight,
        max_concurrent=lane.limit,
        waiting=lane.waiting,
        state=lane.ending or state,
        failures=failures,
        last_error=lane.last_error.full if failures and lane.last_error is not None else None,
    )
