"""The processor: prompt, slot, generation, outcome, for every prompt of a message.

Hears `PromptDetected` and `PromptWithdrawn` from the monitor or a regeneration session, also
`PictureAwaited` from the latter, `MessageLoaded`, `CancelTasks`, `WithdrawTasks`, `SetPriority` and
`WindDown` from the session, `ReportTasks` and `CancelTask` from the edge, `SlotGranted`,
`SlotRevoked`, `SlotExpired` and `RequestDropped` from the limiter, `CallReturned` from the workers;
tells the limiter `RequestSlot`, `PrioritiseRequest`, `WithdrawRequest` and `ReleaseSlot`, the
writer, or the regeneration session, `TaskSettled`, the sequencer `PictureLate`, and `TasksEnded` in
the end. What it does with a picture that the store does not keep is in `keeping`. Started by the
session; ends by itself after `WindDown`, once its last call is back.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from limner.actors.context import StudioContext
from limner.actors.picture_maker import MessageForgotten, SlotLapsed, Unkept
from limner.actors.session.keeping import KeepingActor
from limner.actors.session.outcomes import Outcomes
from limner.actors.session.work import Work
from limner.actors.system import Call, CallReturned, PooledRef
from limner.messages.errors import Reason, may_be_retried, reason_of
from limner.messages.limiter.backpressure import GOOD, UNTOLD, Verdict, verdict_of_error
from limner.messages.limiter.costs import NO_COSTS
from limner.messages.limiter.protocol import (
    PrioritiseRequest,
    ReleaseSlot,
    RequestDropped,
    RequestSlot,
    SlotExpired,
    SlotGranted,
    SlotRevoked,
    WithdrawRequest,
)
from limner.messages.pictures import Picture
from limner.messages.session.attempt import Attempt, AttemptState, CallEnd
from limner.messages.session.backoff import backoff
from limner.messages.session.control import (
    CancelTask,
    ReportTasks,
    SetPriority,
    TasksEnded,
    WithdrawTasks,
)
from limner.messages.session.ended_messages import counts_of
from limner.messages.session.lifecycle import Opening, ReportProgress
from limner.messages.session.processing import (
    CallTimedOut,
    CancelTasks,
    GraceEnded,
    KeepDue,
    KeepOverdue,
    PictureAwaited,
    PromptDetected,
    PromptWithdrawn,
    RetryDue,
    StudioCloses,
    TaskSettled,
    WindDown,
)
from limner.messages.session.results import failure_of, placement_of
from limner.messages.session.writing import MessageLoaded
from limner.messages.tasks import Task, TaskEnd, TaskState
from limner.messages.writes.protocol import PictureLate

REVOKED = "its slot was revoked for an active request"


class ProcessorActor(KeepingActor):
    """Brings each task of one message to its end."""

    role = "processor"

    def __init__(
        self,
        context: StudioContext,
        opening: Opening,
        *,
        limiter: PooledRef[Any],
        outcomes_to: PooledRef[Any],
        sequencer: PooledRef[Any],
    ) -> None:
        super().__init__(context, opening, limiter=limiter)
        self.sequencer = sequencer
        self.outcomes_to = outcomes_to
        self.kept: dict[str, Picture] | None = None
        self.late: set[str] = set()
        self.held_back: dict[str, Work] = {}
        self.ending = False

    def on_stop(self) -> None:
        """Leave the tasks to the sequencer, which is asked for them from now on."""
        self.sequencer.tell(TasksEnded(tasks=tuple(work.task for work in self.works.values())))

    def on_failure(self, *_: object) -> None:
        """Leave the tasks, as at any end."""
        self.on_stop()

    def on_receive(self, message: object) -> Any:
        """Handle one message, and end once the last call is back."""
        match message:
            case PromptDetected():
                self.begin(message.task, message.outcomes)
            case PictureAwaited():
                self.tell_too(self.works[message.task_id], message.outcomes)
            case PromptWithdrawn():
                self.cancel(self.works[message.task_id], "withdrawn", TaskEnd.WITHDRAWN)
            case MessageLoaded():
                self.use_kept(message.kept)
            case SlotGranted():
                self.slot_granted(message)
            case SlotRevoked():
                self.slot_revoked(message)
            case SlotExpired():
                self.slot_expired(message)
            case RequestDropped():
                self.request_dropped(message)
            case CallReturned():
                self.call_returned(message)
            case CallTimedOut():
                self.call_timed_out(message)
            case GraceEnded():
                self.grace_ended(message)
            case RetryDue():
                self.retry_due(message)
            case KeepDue():
                self.keep_due(message)
            case KeepOverdue():
                self.keep_overdue(message)
            case StudioCloses():
                self.hurry_keeping()
            case CancelTasks() if message.task_id is not None:
                self.cancel(self.works[message.task_id], message.reason, message.end)
            case CancelTasks():
                self.cancel_all(message.reason, message.end)
            case WindDown():
                self.ending = True
                self.cancel_all("the session has ended")
            case SetPriority():
                self.prioritise(message.priority)
            case WithdrawTasks():
                for name in sorted(message.task_ids):
                    self.cancel(self.works[name], message.reason, TaskEnd.WITHDRAWN)
            case CancelTask():
                return self.cancel_one(message)
            case ReportTasks():
                return tuple(work.task for work in self.works.values())
            case ReportProgress():
                return self.states()
            case _:
                return super().on_receive(message)
        if self.held_back or self.ending:
            self.go_on()
        return None

    def go_on(self) -> None:
        """Request what was held back; stop once all is over, if the session has ended."""
        self.request_held_back()
        if self.ending and all(work.over for work in self.works.values()):
            self.stop()

    # Slots

    def begin(self, task: Task, outcomes: tuple[Outcomes, ...] = ()) -> None:
        """Use a kept picture, or request a slot at once.

        Until the kept pictures are known neither is done: one that is reused takes no slot, which
        may be dear, and nothing would be generated before.
        """
        if task.id in self.works:
            return
        work = self.works[task.id] = Work(task, outcomes=outcomes, place=len(self.works))
        if self.kept and task.prompt_id in self.kept:
            self.complete(work, self.kept.pop(task.prompt_id), kept=True)
            return
        work.task = task.to(TaskState.QUEUED, at=self.system.clock.now)
        if self.kept is not None:
            self.request(work)

    def request(self, work: Work) -> None:
        """Request a slot for a task that is queued; later, if the message has all it may."""
        if self.is_full:
            self.held_back[work.task.id] = work
            return
        task, before = work.task, work.attempt
        attempt = work.attempt = before.request(task.id, self.system.clock.now)
        self.limiter.tell(
            RequestSlot.trusted(
                request_id=attempt.request_id,
                session_id=task.session_id,
                message_id=task.message_id,
                task_id=task.id,
                lane=self.maker.lane,
                owner=task.owner,
                priority=task.priority,
                weight=1,
                costs=NO_COSTS,
                deadline=None,
                refuse_late=False,
                since=attempt.since if before.revoked else None,
                revoked=before.revoked,
                place=work.place,
                revocable=attempt.revocations < self.settings.max_revocations,
                thread=self.maker.pool is not None,
                requests=(),
                stands_for=None,
                reply_to=self.actor_ref,
            )
        )

    @property
    def is_full(self) -> bool:
        """Whether `max_per_message` slots are requested or held for the message."""
        most = self.settings.max_per_message
        return most is not None and most <= sum(
            work.attempt.request_id is not None or work.attempt.has_slot
            for work in self.works.values()
        )

    def request_held_back(self) -> None:
        """Request slots for tasks that were held back, the first of the message first."""
        for work in sorted(self.held_back.values(), key=lambda work: work.place):
            if not work.attempt.over and self.is_full:
                return
            del self.held_back[work.task.id]
            if not work.attempt.over:
                self.request(work)

    def use_kept(self, kept: dict[str, Picture]) -> None:
        """Use the pictures that earlier sessions of the message could not place."""
        self.kept = dict(kept)
        for work in self.works.values():
            if work.task.state is TaskState.QUEUED:
                picture = self.kept.pop(work.task.prompt_id, None)
                if picture is not None:
                    self.complete(work, picture, kept=True)
                else:
                    self.request(work)

    def slot_granted(self, grant: SlotGranted) -> None:
        """Begin, if the slot is still wanted."""
        work = self.works[grant.task_id]
        if work.attempt.holds(grant.slot_id):
            return
        if work.attempt.request_id != grant.request_id:
            self.limiter.tell(ReleaseSlot(slot_id=grant.slot_id))
            return
        work.attempt = work.attempt.hold(grant)
        self.generate(work)

    def slot_revoked(self, message: SlotRevoked) -> None:
        """Release a slot that an active request is to have, once its call has stopped.

        A picture that comes all the same completes the task; else it is queued again, first of its
        owner.
        """
        work = self.works[message.task_id]
        if not work.attempt.holds(message.slot_id) or work.attempt.revoked:
            return
        if work.attempt.state is AttemptState.KEEPING:
            self.give_slot_back(work)
            return
        work.attempt = work.attempt.revoke()
        if work.task.state.final:
            return  # its call was asked to come back before
        if work.call is not None:
            self.stop_call(work)
            return
        self.give_back(work)
        self.request(work)

    def slot_expired(self, message: SlotExpired) -> None:
        """Abandon the call whose lease has ended; the limiter has taken the slot already."""
        work = self.works[message.task_id]
        if not work.attempt.holds(message.slot_id):
            return
        if work.attempt.state is AttemptState.KEEPING:
            self.give_slot_back(work)
            return
        if work.call is not None:
            if not self.abandon(work):
                return  # it came back just now: its CallReturned is in the mailbox
            if self.hold_unkept(work, "it had not kept the picture when the slot's lease ended"):
                self.give_slot_back(work)
                return
        generating = work.task.state is TaskState.GENERATING
        self.give_back(work, over=work.task.state.final)
        if generating:
            self.requeue(work, "the slot's lease ended")
        elif work.task.state is TaskState.QUEUED:
            self.request(work)

    def request_dropped(self, message: RequestDropped) -> None:
        """Settle a task that gets no slot as failed."""
        work = self.works[message.task_id]
        if work.attempt.request_id == message.request_id:
            work.attempt = work.attempt.release(over=True)
            self.settle(work, TaskState.FAILED, f"its request was dropped: {message.reason}")

    def give_back(
        self,
        work: Work,
        *,
        over: bool = False,
        verdict: Verdict = UNTOLD,
    ) -> None:
        """Release all that is out for a task: slot, request, call, timer.

        Args:
            work: the task.
            over: whether it has settled, so that nothing will be out for it again.
            verdict: what the end of its call tells about its back end.
        """
        if work.timer is not None:
            work.timer.cancel()
        attempt = work.attempt
        if attempt.request_id is not None:
            self.limiter.tell(WithdrawRequest(request_id=attempt.request_id))
        if attempt.grant is not None:
            self.limiter.tell(
                ReleaseSlot.trusted(slot_id=attempt.grant.slot_id, costs=None, **verdict._asdict())
            )
        work.attempt = attempt.release(over=over)
        work.call = work.timer = work.made = None

    # Calls

    def generate(self, work: Work) -> None:
        """Call the generator, on a worker's thread."""
        grant = work.attempt.grant
        assert grant is not None
        clock = self.system.clock
        task = work.task = work.task.to(TaskState.GENERATING, at=clock.now)
        work.attempt = work.attempt.call()
        work.call = self.call(
            self.maker.pool,
            partial(self.maker.make, task, self.settings, self.maker.gates.of(task.message_id)),
            begun=partial(self.maker.begin, task, grant, self.log_event),
            tag=task.id,
            late=self.log_late,
        )
        if not work.call.over:
            work.timer = clock.after(
                self.settings.generation_timeout,
                self.actor_ref,
                CallTimedOut(task_id=task.id, attempt=task.attempts),
            )

    def log_late(self, call: Call, made: Picture | Unkept) -> None:
        """Log a picture that nobody waited for any more. Runs on the call's own thread too."""
        if not isinstance(made, Picture):
            if isinstance(made.error, MessageForgotten):
                picture_id = made.made.picture.id
                self.log_event("generation_discarded", task_id=call.tag, picture_id=picture_id)
            return
        told = self.maker.describe(made)
        self.log_event("generation_late", task_id=call.tag, picture_id=made.id, **told)
        self.late.add(call.tag)
        self.report_late(self.works[call.tag].task)

    def report_late(self, task: Task) -> None:
        """Have a late picture placed, if its task has failed or its session's deadline has passed.

        The task may settle on the actor's own thread while its picture comes on the call's thread:
        each side calls this after its own change, so that one of them sees both.
        """
        wanted = task.state is TaskState.FAILED or task.end is TaskEnd.DEADLINE
        if wanted and task.id in self.late:
            self.sequencer.deliver(PictureLate(message_id=task.message_id))

    def call_returned(self, returned: CallReturned) -> None:
        """Release the slot, and settle the task or try again."""
        work = self.works[returned.call.tag]
        if returned.call is not work.call:
            return
        unkept = self.unkept(work, returned)
        if unkept is not None:
            self.not_kept(work, unkept)
            return
        task, error, attempt = work.task, returned.error, work.attempt
        verdict = self.backend_verdict(attempt, error)
        settles = task.state.final or error is None
        reason = None if error is None else reason_of(error)
        if attempt.timed_out:
            reason = self.timeout_reason()
        self.give_back(work, over=settles, verdict=verdict)
        if error is None and not task.state.final:
            self.log_event(
                "generation_completed",
                task_id=task.id,
                picture_id=returned.value.id,
                attempt=task.attempts,
                prompt=task.prompt,
                **self.maker.describe(returned.value),
                **self.counts(TaskState.COMPLETED),
            )
            self.complete(work, returned.value)
            return
        lapsed = isinstance(error, SlotLapsed)
        match attempt.end_of_call(settled=task.state.final, lapsed=lapsed):
            case CallEnd.LATE:
                if error is None:
                    self.log_late(returned.call, returned.value)
            case CallEnd.LAPSED:
                self.requeue(work, "the slot expired before the call began")
            case CallEnd.REVOKED:
                self.log_failure(task, REVOKED, final=False)
                self.requeue(work, REVOKED)
            case CallEnd.TIMED_OUT:
                self.retry_or_fail(work, self.timeout_reason(), retryable=True)
            case CallEnd.FAILED:
                assert error is not None
                assert reason is not None
                self.retry_or_fail(work, reason, retryable=may_be_retried(error))

    def call_timed_out(self, message: CallTimedOut) -> None:
        """Ask a call to stop that takes too long."""
        work = self.works[message.task_id]
        if work.call is None or work.task.attempts != message.attempt:
            return
        if work.call.reached is not None and work.attempt.state is AttemptState.CALLING:
            self.await_first_keep(work, work.call.reached)
        else:
            self.stop_call(work, timed_out=True)

    def stop_call(self, work: Work, *, timed_out: bool = False) -> None:
        """Ask a call to stop, and check after the grace period whether it has."""
        if work.call is None or work.attempt.state is not AttemptState.CALLING:
            return
        work.attempt = work.attempt.stop(timed_out=timed_out)
        work.call.cancel()
        if work.timer is not None:
            work.timer.cancel()
        work.timer = self.system.clock.after(
            self.settings.grace,
            self.actor_ref,
            GraceEnded(task_id=work.task.id, attempt=work.task.attempts),
        )

    def grace_ended(self, message: GraceEnded) -> None:
        """Abandon a call that has not come back: its slot returns, and its thread is replaced."""
        work = self.works[message.task_id]
        if work.call is None or work.task.attempts != message.attempt:
            return
        if not self.abandon(work):
            return  # it came back just now: its CallReturned is in the mailbox
        if self.hold_unkept(work, f"it has not come back in {self.settings.grace:g} s"):
            return
        attempt, settled = work.attempt, work.task.state.final
        verdict = self.timed_out() if attempt.timed_out else UNTOLD
        self.give_back(work, over=settled, verdict=verdict)
        match attempt.end_of_call(settled=settled, lapsed=False):
            case CallEnd.LATE:
                pass
            case CallEnd.REVOKED:
                self.requeue(work, REVOKED)
            case _:
                self.retry_or_fail(work, self.timeout_reason(), retryable=True)

    def backend_verdict(self, attempt: Attempt, error: BaseException | None) -> Verdict:
        """Return what a call's end tells about its back end.

        One that was asked to come back tells nothing, unless it took too long.
        """
        if error is None:
            return GOOD
        if isinstance(error, SlotLapsed):
            return UNTOLD
        if attempt.state is AttemptState.STOPPING:
            return self.timed_out() if attempt.timed_out else UNTOLD
        return verdict_of_error(error, self.log.wall)

    def timed_out(self) -> Verdict:
        """Return what a call that took too long tells about its back end."""
        return Verdict(True, self.timeout_reason(), overloaded=True)

    # Tasks

    def retry_or_fail(self, work: Work, reason: Reason, *, retryable: bool) -> None:
        """Try again later, or settle the task as failed."""
        task = work.task
        calls = work.attempt.failures(task.attempts)
        final = not retryable or calls >= self.settings.attempts
        self.log_failure(task, reason.full, final=final)
        if final:
            work.attempt = work.attempt.release(over=True)
            self.settle(work, TaskState.FAILED, reason.public)
            return
        delay = backoff(
            task.attempts,
            base=self.settings.backoff,
            limit=self.settings.backoff_max,
            jitter=self.system.random("backoff").random(),
        )
        work.task = task.to(TaskState.QUEUED, at=self.system.clock.now, reason=reason.public)
        work.attempt = work.attempt.back_off()
        self.log_event("generation_retried", task_id=task.id, delay=round(delay, 6))
        work.timer = self.system.clock.after(delay, self.actor_ref, RetryDue(task_id=task.id))

    def retry_due(self, message: RetryDue) -> None:
        """Request a slot again, for a task that has backed off."""
        work = self.works[message.task_id]
        if work.attempt.state is AttemptState.BACKING_OFF:
            work.timer = None
            self.request(work)

    def requeue(self, work: Work, reason: str) -> None:
        """Queue a task that has lost its slot, unless it has had all its attempts."""
        if work.attempt.failures(work.task.attempts) >= self.settings.attempts:
            self.retry_or_fail(work, Reason(reason, reason), retryable=False)
            return
        work.task = work.task.to(TaskState.QUEUED, at=self.system.clock.now, reason=reason)
        self.request(work)

    def cancel_all(self, reason: str, end: TaskEnd | None = None) -> None:
        """Settle what is open as cancelled."""
        for work in self.works.values():
            self.cancel(work, reason, end)

    def cancel_one(self, message: CancelTask) -> bool:
        """Cancel one task in a message of its own; return whether it is open.

        What fails while it answers a question fails the question alone, so nothing is changed here.
        """
        work = self.works.get(message.task_id)
        if work is None or work.task.state.final:
            return False
        self.actor_ref.tell(CancelTasks(reason=message.reason, task_id=message.task_id))
        return True

    def prioritise(self, priority: int) -> None:
        """Set another priority of all open tasks, with what they wait for or hold."""
        for work in self.works.values():
            if work.task.state.final or work.task.priority == priority:
                continue
            work.task = work.task.but(priority=priority)
            attempt = work.attempt
            name = attempt.request_id
            if attempt.grant is not None:
                name = attempt.grant.slot_id
            if name is not None:
                self.limiter.tell(PrioritiseRequest(name=name, priority=priority))

    def cancel(self, work: Work, reason: str, end: TaskEnd | None = None) -> None:
        """Settle a task as cancelled at once; its call has the grace to come back."""
        if work.task.state.final:
            return
        if work.keeping is not None:
            self.cancel_keeping(work, reason, end)
            return
        if work.call is None:
            self.give_back(work, over=True)
        else:
            self.stop_call(work)
        if end is TaskEnd.DEADLINE and work.task.reason:
            reason = f"{reason}; before that: {work.task.reason}"
        self.settle(work, TaskState.CANCELLED, reason, end)

    def complete(self, work: Work, picture: Picture, *, kept: bool = False) -> None:
        """Settle a task with its picture."""
        work.attempt = work.attempt.release(over=True)
        work.task = work.task.to(TaskState.COMPLETED, at=self.system.clock.now, picture=picture)
        self.tell_settled(work, **({"kept": True, "picture_id": picture.id} if kept else {}))

    def settle(self, work: Work, state: TaskState, reason: str, end: TaskEnd | None = None) -> None:
        """Settle a task without a picture."""
        work.task = work.task.to(state, at=self.system.clock.now, reason=reason, end=end)
        self.tell_settled(work)
        self.report_late(work.task)

    def tell_settled(self, work: Work, **fields: Any) -> None:
        """Tell hosts and the writer, or the regeneration session, that a task has settled."""
        task = work.task
        self.log_event(
            "task_settled", task_id=task.id, state=task.state.value, reason=task.reason, **fields
        )
        for outcomes in work.outcomes:
            self.tell_host(task, outcomes)
        self.outcomes_to.tell(TaskSettled(task=task))

    @staticmethod
    def tell_host(task: Task, outcomes: Outcomes) -> None:
        """Tell a host of a picture, or why there is none; nothing of one that was withdrawn."""
        outcome = placement_of(task) or failure_of(task)
        if outcome is not None:
            outcomes.put(outcome)

    def tell_too(self, work: Work, outcomes: Outcomes) -> None:
        """Tell another call of the host of a task, too; at once if it has settled."""
        work.outcomes += (outcomes,)
        if work.task.state.final:
            self.tell_host(work.task, outcomes)

    def states(self) -> Counter[str]:
        """Return how many tasks are in each state, without those that were withdrawn."""
        return counts_of(work.task for work in self.works.values())

    def counts(self, next_state: TaskState) -> dict[str, int]:
        """Return what an event tells of the message's tasks, one of which enters a state now."""
        states = self.states()
        total = states.total()
        states[next_state.value] += 1
        return {
            "finished": states[TaskState.COMPLETED.value],
            "failed": states[TaskState.FAILED.value],
            "total": total,
        }

    def log_failure(self, task: Task, reason: str, *, final: bool) -> None:
        """Log that a call of the generator gave no picture."""
        self.log_event(
            "generation_failed",
            task_id=task.id,
            reason=reason,
            attempt=task.attempts,
            final=final,
        )

    def timeout_reason(self) -> Reason:
        """Return why a call that took too long has failed."""
        reason = f"the generator took longer than {self.settings.generation_timeout:g} s"
        return Reason(reason, reason)
