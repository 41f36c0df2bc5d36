"""The limiter: all generation of all messages passes it.

Hears `RequestSlot`, `WithdrawRequest` and `ReleaseSlot` from processors, `SessionGone` from the
root, wishes about its lanes from the edge; tells processors `SlotGranted`, `SlotRevoked`,
`SlotExpired` and `RequestDropped`. Started and ended by the root, once a studio. If it fails, all
sessions fail and the studio closes.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from limner.actors.actor import LimnerActor
from limner.actors.system import Timer
from limner.actors.trail import EventLog
from limner.messages.lanes import Drop, Lane, Slot
from limner.messages.limiting import (
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
from limner.messages.opening import ReportStatus
from limner.messages.reservoirs import MICROSECONDS
from limner.messages.settings import LaneSettings
from limner.messages.slots import (
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
from limner.messages.status import LaneStatus

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


class LimiterActor(LimnerActor):
    """Grants slots, one lane at a time."""

    role = "limiter"

    def __init__(self, log: EventLog, lanes: dict[str, LaneSettings]) -> None:
        super().__init__(log)
        now = self.system.clock.now
        self.lanes = {name: Lane(name, settings, now) for name, settings in lanes.items()}
        self.lane_of: dict[str, Lane] = {}
        self.held: dict[str, dict[str, None]] = {}
        self.timers: dict[str, tuple[int, Timer]] = {}
        self.busy: set[str] = set()
        self.ends: dict[str, list[Any]] = {}
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in lanes}
        self.held_for: dict[str, float] = {}

    def on_start(self) -> None:
        """Tell the event log what is in force."""
        for lane in self.lanes.values():
            self.say("lane_opened", lane=lane.name, **lane.settings.model_dump())

    def on_stop(self) -> None:
        """Look at no lane any more."""
        for _, timer in self.timers.values():
            timer.cancel()

    def on_receive(self, message: object) -> Any:
        """Take requests and slots; grant what can be granted."""
        match message:
            case RequestSlot():
                self.request(message)
            case ReleaseSlot():
                self.release(message.slot_id)
            case WithdrawRequest():
                self.withdraw(message.request_id)
            case SessionGone():
                self.take_back(message.session_id)
            case UpdateLane():
                self.update(message)
            case PauseLane():
                self.pause(message)
            case ResumeLane():
                self.resume(self.lanes[message.lane])
            case EndLane():
                self.end_lane(message)
            case ReportLane():
                return self.report(self.lanes[message.lane])
            case StateOf():
                return self.place_of(message.task_id)
            case LaneChecked():
                self.timers.pop(message.lane, None)
                self.look_after(self.lanes[message.lane])
            case ReportStatus():
                return {name: status_of(lane) for name, lane in self.lanes.items()}
            case _:
                return super().on_receive(message)
        return None

    def request(self, request: RequestSlot) -> None:
        """Take a request: grant it, let it wait, or drop it."""
        lane, name = self.lanes[request.lane], request.request_id
        if name in self.lane_of:
            return
        now = self.system.clock.now
        self.remember(name, request, lane)
        self.busy.add(lane.name)
        self.tell_of("slot_requested", request, priority=request.priority)
        answer = lane.request(request, now)
        for slot in answer.granted:
            self.hand_out(lane, slot, now)
        for drop in answer.dropped:
            self.drop(drop)
        self.look_after(lane)

    def release(self, slot_id: str) -> None:
        """Take a slot back from its holder."""
        lane = self.lane_of.get(slot_id)
        if lane is not None and self.take_slot(lane, slot_id):
            self.look_after(lane)

    def withdraw(self, request_id: str) -> None:
        """Forget a request, unless it was granted meanwhile: then its slot comes back."""
        lane = self.lane_of.get(request_id)
        if lane is not None and self.take_request(lane, request_id):
            self.look_after(lane)

    def take_back(self, session_id: str) -> None:
        """Take back all that an ended session holds or waits for.

        All of it before the next grant, so that nothing is granted to the session meanwhile.
        """
        lanes = {}
        for name in tuple(self.held.get(session_id, ())):
            lane = self.lane_of[name]
            lanes[lane.name] = lane
            if not self.take_request(lane, name):
                self.take_slot(lane, name)
        for lane in lanes.values():
            self.look_after(lane)

    def take_slot(self, lane: Lane, slot_id: str) -> bool:
        """Take a slot back; False if it is not out (any more)."""
        slot = lane.release(slot_id)
        if slot is None:
            return False
        self.forget(slot_id, slot.request)
        self.learn(lane, self.system.clock.now - slot.granted_at)
        event = "slot_released" if slot.revoked_for is None else "slot_revoked"
        self.tell_of(event, slot.request, slot_id=slot_id)
        return True

    def take_request(self, lane: Lane, request_id: str) -> bool:
        """Take a request back; False if it does not wait (any more)."""
        request = lane.withdraw(request_id)
        if request is None:
            return False
        self.forget(request_id, request)
        self.tell_of("request_withdrawn", request)
        return True

    def update(self, message: UpdateLane) -> None:
        """Put other settings in force. What is out stays out, however few are allowed now."""
        lane = self.lanes[message.lane]
        dropped = lane.update(message.settings, self.system.clock.now)
        self.say("lane_updated", lane=lane.name, **lane.settings.model_dump())
        for drop in dropped:
            self.drop(drop)
        self.look_after(lane)

    def pause(self, message: PauseLane) -> None:
        """Grant nothing in a lane for a while."""
        lane, seconds = self.lanes[message.lane], message.seconds
        until = None if seconds is None else self.system.clock.now + round(seconds * MICROSECONDS)
        lane.pause(until)
        self.say("lane_paused", lane=lane.name, seconds=seconds)
        self.look_after(lane)

    def resume(self, lane: Lane) -> None:
        """Grant again in a lane."""
        if lane.paused_until is not None:
            lane.resume()
            self.say("lane_resumed", lane=lane.name)
            self.look_after(lane)

    def end_lane(self, message: EndLane) -> None:
        """Take no request any more; say so once nothing waits and nothing is out."""
        lane = self.lanes[message.lane]
        self.ends.setdefault(lane.name, []).append(message.done)
        if message.drop:
            for drop in lane.stop():
                self.drop(drop)
        else:
            lane.drain()
        self.say("lane_ending", lane=lane.name, how=lane.ending)
        self.look_after(lane)

    def look_after(self, lane: Lane) -> None:
        """Do all that is due in a lane, and see to it that the next moment is not missed."""
        now = self.system.clock.now
        for slot in lane.expired(now):
            self.forget(slot.id, slot.request)
            self.tell_of("slot_expired", slot.request, slot_id=slot.id, at=now)
            slot.request.reply_to.tell(SlotExpired(task_id=slot.request.task_id, slot_id=slot.id))
        for drop in lane.overdue(now):
            self.drop(drop)
        for slot in lane.grants(now):
            self.hand_out(lane, slot, now)
        for slot in lane.revocations(now):
            self.tell_of("slot_asked_back", slot.request, slot_id=slot.id, wanted=slot.revoked_for)
            slot.request.reply_to.tell(SlotRevoked(task_id=slot.request.task_id, slot_id=slot.id))
        due = lane.next_check(now)
        if due is not None:
            self.check_at(lane, due, now)
        if lane.idle:
            self.idle(lane)

    def idle(self, lane: Lane) -> None:
        """Say that nothing waits and nothing is out, once; end a lane that was to end then."""
        if lane.name in self.busy:
            self.busy.discard(lane.name)
            self.say("lane_idle", lane=lane.name)
        if lane.name in self.ends:
            self.say("lane_drained", lane=lane.name)
            for done in self.ends.pop(lane.name):
                done.set(None)

    def hand_out(self, lane: Lane, slot: Slot, now: int) -> None:
        """Tell a requester that it has a slot."""
        request = slot.request
        self.forget(request.request_id, request)
        self.remember(slot.id, request, lane)
        self.tell_of("slot_granted", request, slot_id=slot.id, at=now)
        request.reply_to.tell(
            SlotGranted(
                request_id=request.request_id,
                task_id=request.task_id,
                slot_id=slot.id,
                expires_at=slot.expires_at,
            )
        )

    def drop(self, drop: Drop) -> None:
        """Tell a requester that it gets no slot."""
        request = drop.request
        self.forget(request.request_id, request)
        self.tell_of("request_dropped", request, reason=drop.reason)
        request.reply_to.tell(
            RequestDropped(
                request_id=request.request_id, task_id=request.task_id, reason=drop.reason
            )
        )

    def learn(self, lane: Lane, held: int) -> None:
        """Take the time that a slot was held into the average."""
        seconds = held / MICROSECONDS
        before = self.held_for.get(lane.name, seconds)
        self.held_for[lane.name] = before + LEARNING * (seconds - before)

    def report(self, lane: Lane) -> LaneReport:
        """Say how it looks in a lane."""
        now, counts = self.system.clock.now, self.counts[lane.name]
        return LaneReport(
            settings=lane.settings,
            state=lane.ending or ("paused" if lane.paused(now) else "open"),
            counts={
                "waiting": lane.waiting,
                "out": len(lane.out),
                **{name: counts[event] for name, event in ENDS.items()},
            },
            weight_out=lane.weight_out,
            reservoir=lane.reservoir,
            waiting=tuple(
                WaitingRequest(
                    request_id=one.request.request_id,
                    task_id=one.request.task_id,
                    owner=one.request.owner,
                    priority=one.request.priority,
                    weight=one.request.weight,
                    waited=(now - one.asked) / MICROSECONDS,
                )
                for one in lane.all_waiting()
            ),
            held_for=self.held_for.get(lane.name),
        )

    def place_of(self, task_id: str) -> TaskPlace | None:
        """Say whether a task waits or has a slot."""
        for lane in self.lanes.values():
            for slot in lane.out.values():
                if slot.request.task_id == task_id:
                    return TaskPlace(lane=lane.name, state="out", name=slot.id)
            for waiting in lane.all_waiting():
                if waiting.request.task_id == task_id:
                    name = waiting.request.request_id
                    return TaskPlace(lane=lane.name, state="waiting", name=name)
        return None

    def check_at(self, lane: Lane, due: int, now: int) -> None:
        """Look at a lane again at that time, or earlier if a timer is set for earlier."""
        set_for, timer = self.timers.get(lane.name, (None, None))
        if set_for is not None and set_for <= due:
            return
        if timer is not None:
            timer.cancel()
        message = LaneChecked(lane=lane.name)
        self.timers[lane.name] = (
            due,
            self.system.clock.after((due - now) / MICROSECONDS, self.actor_ref, message),
        )

    def remember(self, name: str, request: RequestSlot, lane: Lane) -> None:
        """Note a request or a slot."""
        self.lane_of[name] = lane
        self.held.setdefault(request.session_id, {})[name] = None

    def forget(self, name: str, request: RequestSlot) -> None:
        """Strike a request or a slot off the lists."""
        del self.lane_of[name]
        held = self.held[request.session_id]
        del held[name]
        if not held:
            del self.held[request.session_id]

    def tell_of(
        self, event: str, request: RequestSlot, *, at: int | None = None, **fields: Any
    ) -> None:
        """Tell the event log what became of a request, and count it."""
        self.counts[request.lane][event] += 1
        if self.log.on:
            self.say(
                event,
                task_id=request.task_id,
                session_id=request.session_id or None,
                message_id=request.message_id or None,
                at=at,
                lane=request.lane,
                request_id=request.request_id,
                weight=request.weight,
                **fields,
            )


def status_of(lane: Lane) -> LaneStatus:
    """Give what a lane looks like from outside."""
    return LaneStatus(
        out=lane.weight_out,
        max_concurrent=lane.settings.max_concurrent,
        waiting=lane.waiting,
    )
