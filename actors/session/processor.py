"""The processor: prompt, slot, generation, outcome, for every prompt of a message.

Hears `PromptDetected` and `PromptWithdrawn` from the monitor, `SlotGranted`, `SlotRevoked`,
`SlotExpired` and `RequestDropped` from the limiter, `CallReturned` from the workers; tells the
limiter `RequestSlot`, `WithdrawRequest` and `ReleaseSlot`, the writer `TaskSettled`. Started by the
session; ends by itself after `WindDown`, once its last call is back.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

from limner.actors.base import LimnerActor
from limner.actors.event_log import EventLog
from limner.actors.picture_maker import Production, SlotLapsed
from limner.actors.system import Call, CallReturned, PooledRef, Timer
from limner.messages.errors import describe, may_be_retried
from limner.messages.limiter.backpressure import has_failed, retry_after
from limner.messages.limiter.protocol import (
    ReleaseSlot,
    RequestDropped,
    RequestSlot,
    SlotExpired,
    SlotGranted,
    SlotRevoked,
    WithdrawRequest,
)
from limner.messages.pictures import Picture
from limner.messages.session.backoff import backoff
from limner.messages.session.lifecycle import Opening, ReportProgress
from limner.messages.session.processing import (
    CallTimedOut,
    CancelTasks,
    GraceEnded,
    PromptDetected,
    PromptWithdrawn,
    RetryDue,
    TaskSettled,
    WindDown,
)
from limner.messages.session.writing import MessageLoaded
from limner.messages.settings import Settings
from limner.messages.tasks import Task, TaskEnd, TaskState

REVOKED = "its slot was revoked for an active request"


@dataclass(slots=True)
class Work:
    """A task and what is under way for it.

    Args:
        task: the task.
        requests: how many slots were asked for.
        request_id: of the one that is asked for now.
        grant: the slot that it has.
        call: of the generator.
        timer: for a retry, a timeout or a grace.
        timed_out: whether the call took too long.
        asked: when the first slot was asked for.
        revocations: how many slots were asked back.
        revoked: whether the one that it has was.
    """

    task: Task
    requests: int = 0
    request_id: str | None = None
    grant: SlotGranted | None = None
    call: Call | None = None
    timer: Timer | None = None
    timed_out: bool = False
    asked: int | None = None
    revocations: int = 0
    revoked: bool = False

    @property
    def idle(self) -> bool:
        """Whether the task has settled and nothing of it is out."""
        return self.task.state.final and self.grant is None


class ProcessorActor(LimnerActor):
    """Sees each task of one message to its end."""

    role = "processor"

    def __init__(
        self,
        log: EventLog,
        opening: Opening,
        settings: Settings,
        production: Production,
        *,
        limiter: PooledRef[Any],
        writer: PooledRef[Any],
    ) -> None:
        super().__init__(log, session_id=opening.session_id, message_id=opening.message_id)
        self.settings = settings
        self.production = production
        self.limiter = limiter
        self.writer = writer
        self.works: dict[str, Work] = {}
        self.kept: dict[str, Picture] | None = None
        self.ending = False

    def on_receive(self, message: object) -> Any:
        """See the tasks on."""
        match message:
            case PromptDetected():
                self.begin(message.task)
            case PromptWithdrawn():
                self.cancel(self.works[message.task_id], "withdrawn", TaskEnd.WITHDRAWN)
            case MessageLoaded():
                self.use_kept(message.kept)
            case SlotGranted():
                self.take_slot(message)
            case SlotRevoked():
                self.slot_revoked(message)
            case SlotExpired():
                self.lose_slot(message)
            case RequestDropped():
                self.request_dropped(message)
            case CallReturned():
                self.call_returned(message)
            case CallTimedOut():
                self.call_timed_out(message)
            case GraceEnded():
                self.grace_ended(message)
            case RetryDue():
                self.request(self.works[message.task_id])
            case CancelTasks():
                self.cancel_all(message.reason)
            case WindDown():
                self.ending = True
                self.cancel_all("the session has ended")
            case ReportProgress():
                return dict(Counter(work.task.state.value for work in self.works.values()))
            case _:
                return super().on_receive(message)
        if self.ending and all(work.idle for work in self.works.values()):
            self.stop()
        return None

    def begin(self, task: Task) -> None:
        """Use a kept picture, or ask for a slot at once."""
        if task.id in self.works:
            return
        work = self.works[task.id] = Work(task)
        if self.kept and task.prompt_id in self.kept:
            self.complete(work, self.kept.pop(task.prompt_id), kept=True)
            return
        work.task = task.to(TaskState.QUEUED, at=self.system.clock.now)
        self.request(work)

    def request(self, work: Work) -> None:
        """Ask the limiter for a slot."""
        if work.task.state is not TaskState.QUEUED or work.request_id is not None:
            return
        task = work.task
        work.timer = None
        work.requests += 1
        work.request_id = f"{task.id}-{work.requests}"
        asked, again = work.asked, work.revoked
        if asked is None:
            asked = work.asked = self.system.clock.now
        work.revoked = False
        self.limiter.tell(
            RequestSlot.trusted(
                request_id=work.request_id,
                session_id=task.session_id,
                message_id=task.message_id,
                task_id=task.id,
                lane=self.production.slot_lane,
                owner=task.owner,
                priority=task.priority,
                weight=1,
                since=asked if again else None,
                revocable=work.revocations < self.settings.max_revocations,
                requests=(),
                reply_to=self.actor_ref,
            )
        )

    def use_kept(self, kept: dict[str, Picture]) -> None:
        """Use the pictures that earlier sessions of the message could not place."""
        self.kept = dict(kept)
        for work in self.works.values():
            if work.task.state is TaskState.QUEUED:
                picture = self.kept.pop(work.task.prompt_id, None)
                if picture is not None:
                    self.give_back(work)
                    self.complete(work, picture, kept=True)
                elif work.grant is not None:
                    self.generate(work)

    def take_slot(self, grant: SlotGranted) -> None:
        """Begin, unless the slot is not wanted any more or the kept pictures are not known yet."""
        work = self.works[grant.task_id]
        if work.grant is not None and work.grant.slot_id == grant.slot_id:
            return
        if work.request_id != grant.request_id:
            self.limiter.tell(ReleaseSlot(slot_id=grant.slot_id))
            return
        work.request_id = None
        work.grant = grant
        if self.kept is not None:
            self.generate(work)

    def generate(self, work: Work) -> None:
        """Call the generator, on a worker's thread."""
        assert work.grant is not None
        clock = self.system.clock
        task = work.task = work.task.to(TaskState.GENERATING, at=clock.now)
        work.timed_out = False
        work.call = self.call(
            self.production.pool,
            partial(self.production.make, task),
            begun=partial(self.production.begin, task, work.grant, self.log_event),
            tag=task.id,
            late=self.keep_late,
        )
        if not work.call.over:
            work.timer = clock.after(
                self.settings.generation_timeout,
                self.actor_ref,
                CallTimedOut(task_id=task.id, attempt=task.attempts),
            )

    def keep_late(self, call: Call, picture: Picture) -> None:
        """Tell of a picture that nobody waited for any more. Runs on the call's own thread."""
        self.log_event("generation_late", task_id=call.tag, picture_id=picture.id)

    def call_returned(self, returned: CallReturned) -> None:
        """Give the slot back, and settle the task or try again."""
        work = self.works[returned.call.tag]
        if returned.call is not work.call:
            return
        task, error = work.task, returned.error
        self.give_back(work, *self.backend_verdict(work, error))
        if task.state.final:
            if error is None:
                self.keep_late(returned.call, returned.value)
        elif error is None:
            self.log_event(
                "generation_completed",
                task_id=task.id,
                picture_id=returned.value.id,
                attempt=task.attempts,
            )
            self.complete(work, returned.value)
        elif isinstance(error, SlotLapsed):
            self.again(work, "the slot expired before the call began")
        elif work.revoked:
            self.log_event(
                "generation_failed",
                task_id=task.id,
                reason=REVOKED,
                attempt=task.attempts,
                final=False,
            )
            self.again(work, REVOKED)
        elif work.timed_out:
            self.failed(work, self.timeout_reason(), retryable=True)
        else:
            self.failed(work, describe(error), retryable=may_be_retried(error))

    def failed(self, work: Work, reason: str, *, retryable: bool) -> None:
        """Try again later, or settle the task as failed."""
        task = work.task
        final = not retryable or task.attempts - work.revocations >= self.settings.attempts
        self.log_event(
            "generation_failed",
            task_id=task.id,
            reason=reason,
            attempt=task.attempts,
            final=final,
        )
        if final:
            self.settle(work, TaskState.FAILED, reason)
            return
        delay = backoff(
            task.attempts,
            base=self.settings.backoff,
            limit=self.settings.backoff_max,
            jitter=self.system.random("backoff").random(),
        )
        work.task = task.to(TaskState.QUEUED, at=self.system.clock.now, reason=reason)
        self.log_event("generation_retried", task_id=task.id, delay=round(delay, 6))
        work.timer = self.system.clock.after(delay, self.actor_ref, RetryDue(task_id=task.id))

    def again(self, work: Work, reason: str) -> None:
        """Queue a task that has lost its slot, unless it has had all its attempts."""
        if work.task.attempts - work.revocations >= self.settings.attempts:
            self.failed(work, reason, retryable=False)
            return
        work.task = work.task.to(TaskState.QUEUED, at=self.system.clock.now, reason=reason)
        self.request(work)

    def call_timed_out(self, message: CallTimedOut) -> None:
        """Ask a call to come back, and give it the grace for that."""
        work = self.works[message.task_id]
        if work.call is not None and work.task.attempts == message.attempt:
            work.timed_out = True
            self.cancel_call(work)

    def grace_ended(self, message: GraceEnded) -> None:
        """Abandon a call that did not come back: its slot returns."""
        work = self.works[message.task_id]
        if work.call is None or work.task.attempts != message.attempt:
            return
        if not work.call.abandon():
            return  # it came back just now: its CallReturned is in the mailbox
        self.log_event("call_abandoned", task_id=work.task.id, attempt=message.attempt)
        self.give_back(work, failed=True if work.timed_out else None)
        if work.task.state.final:
            return
        if work.revoked:
            self.again(work, REVOKED)
        else:
            self.failed(work, self.timeout_reason(), retryable=True)

    def slot_revoked(self, message: SlotRevoked) -> None:
        """Give a slot back that an active request is to have, once its call has stopped.

        A picture that comes all the same is kept; else the task waits again, first in its turn.
        """
        work = self.works[message.task_id]
        if work.grant is None or work.grant.slot_id != message.slot_id or work.revoked:
            return
        work.revoked = True
        if work.task.state.final:
            return  # its call was asked to come back before
        work.revocations += 1
        if work.call is not None:
            self.cancel_call(work)
            return
        self.give_back(work)
        self.request(work)

    def request_dropped(self, message: RequestDropped) -> None:
        """Settle a task that gets no slot as failed."""
        work = self.works[message.task_id]
        if work.request_id == message.request_id:
            work.request_id = None
            self.settle(work, TaskState.FAILED, f"its request was dropped: {message.reason}")

    def lose_slot(self, message: SlotExpired) -> None:
        """Abandon the call whose lease has ended; the limiter has taken the slot already."""
        work = self.works[message.task_id]
        if work.grant is None or work.grant.slot_id != message.slot_id:
            return
        if work.call is not None and not work.call.abandon():
            return
        if work.call is not None:
            self.log_event("call_abandoned", task_id=work.task.id, attempt=work.task.attempts)
        self.give_back(work)
        if work.task.state is TaskState.GENERATING:
            self.again(work, "the slot's lease ended")
        elif work.task.state is TaskState.QUEUED:
            self.request(work)

    def cancel_all(self, reason: str) -> None:
        """Settle what is open as cancelled."""
        for work in self.works.values():
            self.cancel(work, reason)

    def cancel(self, work: Work, reason: str, end: TaskEnd | None = None) -> None:
        """Settle a task as cancelled at once; its call has the grace to come back."""
        if work.task.state.final:
            return
        if work.call is None:
            self.give_back(work)
        else:
            self.cancel_call(work)
        self.settle(work, TaskState.CANCELLED, reason, end)

    def cancel_call(self, work: Work) -> None:
        """Ask a call to come back, and look after the grace whether it has."""
        if work.call is None or work.call.is_set():
            return
        work.call.cancel()
        if work.timer is not None:
            work.timer.cancel()
        work.timer = self.system.clock.after(
            self.settings.grace,
            self.actor_ref,
            GraceEnded(task_id=work.task.id, attempt=work.task.attempts),
        )

    def backend_verdict(
        self, work: Work, error: BaseException | None
    ) -> tuple[bool | None, float | None]:
        """Say whether a call's end speaks against its back end, and when to come again.

        One that was asked to come back says nothing, unless it took too long.
        """
        if error is None or isinstance(error, SlotLapsed):
            return (None if error else False), None
        if work.call is not None and work.call.is_set():
            return (True if work.timed_out else None), None
        return has_failed(error), retry_after(error, self.log.wall)

    def give_back(
        self, work: Work, failed: bool | None = None, retry_after: float | None = None
    ) -> None:
        """Hold nothing for a task any more: no slot, no request, no call, no timer."""
        if work.timer is not None:
            work.timer.cancel()
        if work.request_id is not None:
            self.limiter.tell(WithdrawRequest(request_id=work.request_id))
        if work.grant is not None:
            self.limiter.tell(
                ReleaseSlot(slot_id=work.grant.slot_id, failed=failed, retry_after=retry_after)
            )
        work.timer = work.request_id = work.grant = work.call = None

    def complete(self, work: Work, picture: Picture, *, kept: bool = False) -> None:
        """Settle a task with its picture."""
        work.task = work.task.to(TaskState.COMPLETED, at=self.system.clock.now, picture=picture)
        self.tell_settled(work.task, **({"kept": True} if kept else {}))

    def settle(self, work: Work, state: TaskState, reason: str, end: TaskEnd | None = None) -> None:
        """Settle a task without a picture."""
        work.task = work.task.to(state, at=self.system.clock.now, reason=reason, end=end)
        self.tell_settled(work.task)

    def tell_settled(self, task: Task, **fields: Any) -> None:
        """Tell the writer, and the event log."""
        self.log_event(
            "task_settled", task_id=task.id, state=task.state.value, reason=task.reason, **fields
        )
        self.writer.tell(TaskSettled(task=task))

    def timeout_reason(self) -> str:
        """Say that a call took too long."""
        return f"the generator took longer than {self.settings.generation_timeout:g} s"
