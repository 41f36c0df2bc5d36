"""A host's own calls through the limiter.

Hears `ScheduleCall` from the edge, `SlotGranted`, `SlotExpired` and `RequestDropped` from the
limiter, `CallReturned` from the workers; tells the limiter `RequestSlot` and `ReleaseSlot`. Started
by the root, once a studio; as it ends, what still waits fails with `StudioClosed`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from limner.actors.actor import LimnerActor
from limner.actors.system import Call, CallReturned, PooledFuture, PooledRef
from limner.actors.trail import EventLog
from limner.messages import errors
from limner.messages.slots import (
    ReleaseSlot,
    RequestDropped,
    RequestSlot,
    SlotExpired,
    SlotGranted,
)


class ScheduleCall(NamedTuple):
    """edge → caller: run this once it has a slot."""

    call: Callable[[], Any]
    future: PooledFuture[Any]
    lane: str
    worker_lane: str | None
    priority: int
    owner: str | None
    weight: int


@dataclass(slots=True)
class Scheduled:
    """A host's call, and the slot that it has."""

    wish: ScheduleCall
    slot_id: str | None = None
    under_way: Call | None = None


class CallerActor(LimnerActor):
    """Runs hosts' calls, each on a slot."""

    role = "caller"

    def __init__(self, log: EventLog, limiter: PooledRef[Any]) -> None:
        super().__init__(log)
        self.limiter = limiter
        self.calls: dict[str, Scheduled] = {}
        self.number = 0

    def on_receive(self, message: object) -> Any:
        """See the calls on."""
        match message:
            case ScheduleCall():
                self.request(message)
            case SlotGranted():
                self.run(message)
            case CallReturned():
                self.returned(message)
            case SlotExpired():
                self.expired(message)
            case RequestDropped():
                self.dropped(message)
            case _:
                return super().on_receive(message)
        return None

    def request(self, wish: ScheduleCall) -> None:
        """Ask for a slot."""
        self.number += 1
        name = f"call-{self.number}"
        self.calls[name] = Scheduled(wish)
        self.limiter.tell(
            RequestSlot(
                request_id=name,
                session_id="",
                message_id="",
                task_id=name,
                lane=wish.lane,
                owner=wish.owner,
                priority=wish.priority,
                weight=wish.weight,
                revocable=False,
                reply_to=self.actor_ref,
            )
        )

    def run(self, grant: SlotGranted) -> None:
        """Begin, on a worker's thread."""
        scheduled = self.calls[grant.task_id]
        scheduled.slot_id = grant.slot_id
        call = scheduled.wish.call
        scheduled.under_way = self.call(
            scheduled.wish.worker_lane, lambda _: call(), tag=grant.task_id
        )

    def returned(self, returned: CallReturned) -> None:
        """Give the slot back, then what the call gave."""
        scheduled = self.calls.pop(returned.call.tag, None)
        if scheduled is None:
            return
        if scheduled.slot_id is not None:
            self.limiter.tell(ReleaseSlot(slot_id=scheduled.slot_id))
        if returned.error is not None:
            scheduled.wish.future.fail(returned.error)
        else:
            scheduled.wish.future.set(returned.value)

    def expired(self, message: SlotExpired) -> None:
        """Wait no longer for a call whose lease has ended."""
        scheduled = self.calls.get(message.task_id)
        if scheduled is None or scheduled.slot_id != message.slot_id:
            return
        if scheduled.under_way is not None and scheduled.under_way.abandon():
            del self.calls[message.task_id]
            error = errors.LeaseEnded("the call held its slot for longer than its lane's lease")
            scheduled.wish.future.fail(error)

    def dropped(self, message: RequestDropped) -> None:
        """Fail a call that gets no slot."""
        scheduled = self.calls.pop(message.task_id)
        scheduled.wish.future.fail(errors.RequestDropped(f"the call got no slot: {message.reason}"))

    def on_stop(self) -> None:
        """Fail what still waits."""
        for scheduled in self.calls.values():
            scheduled.wish.future.fail(
                errors.StudioClosed("the studio closed before the call was run")
            )
        self.calls.clear()

    def on_failure(self, *_: object) -> None:
        """Fail what still waits."""
        self.on_stop()
