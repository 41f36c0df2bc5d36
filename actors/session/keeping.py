"""What the processor does with a picture that is made but not kept.

Its bytes are held, and with them the slot that they were made on, so that what is in memory is
bounded by `slots` times `max_picture_bytes`. The lane pauses, so that nothing is generated that
could not be kept either. Keeping is tried again until the store keeps the picture, or the task is
settled, or the studio closes: then there is one last try, within the grace. Hears `KeepDue` and
`KeepOverdue` from its timers, `StudioCloses` from the session; tells the limiter `PauseLane` and
`ReleaseSlot`.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import Any

from limner.actors.base import MessageActor
from limner.actors.context import StudioContext
from limner.actors.picture_maker import Made, Unkept
from limner.actors.session.work import Work
from limner.actors.system import Call, CallReturned, PooledRef
from limner.messages.errors import Reason, StoreFailed, reason_of
from limner.messages.limiter.backpressure import GOOD, UNTOLD, Verdict
from limner.messages.limiter.control import PauseLane
from limner.messages.limiter.protocol import ReleaseSlot
from limner.messages.pictures import Picture
from limner.messages.session.attempt import AttemptState
from limner.messages.session.keeping import Keeping, may_be_kept_later
from limner.messages.session.lifecycle import Opening
from limner.messages.session.processing import GraceEnded, KeepDue, KeepOverdue
from limner.messages.tasks import Task, TaskEnd, TaskState


class KeepingActor(MessageActor):
    """The base of the processor: keeps pictures that the store has failed to keep at once."""

    def __init__(
        self, context: StudioContext, opening: Opening, *, limiter: PooledRef[Any]
    ) -> None:
        super().__init__(context.log, opening)
        self.settings = context.settings
        self.maker = context.maker
        self.store_pool = context.store_pool
        self.limiter = limiter
        self.works: dict[str, Work] = {}
        self.closing = False

    @abstractmethod
    def give_back(self, work: Work, *, over: bool = False, verdict: Verdict = UNTOLD) -> None:
        """Release all that is out for a task."""

    @abstractmethod
    def settle(self, work: Work, state: TaskState, reason: str, end: TaskEnd | None = None) -> None:
        """Settle a task without a picture."""

    @abstractmethod
    def log_failure(self, task: Task, reason: str, *, final: bool) -> None:
        """Log that a call gave no picture."""

    @abstractmethod
    def log_late(self, call: Call, made: Picture | Unkept) -> None:
        """Log what came of a call that nobody waited for."""

    @property
    def keep_timeout(self) -> float:
        """Seconds that the store may take to keep one picture.

        That is `store_timeout`, and no more than a whole call of the generator may take.
        """
        return min(self.settings.store_timeout, self.settings.generation_timeout)

    def unkept(self, work: Work, returned: CallReturned) -> Unkept | None:
        """Return what a call has made and the store has not kept; `None` if there is no such."""
        if isinstance(returned.value, Unkept):
            return returned.value
        if work.made is not None and returned.error is not None:
            return Unkept(work.made, returned.error)
        return None

    def not_kept(self, work: Work, unkept: Unkept, *, hung: bool = False) -> None:
        """Hold a picture, and try to keep it again after a pause; or give up.

        Args:
            work: its task.
            unkept: the picture, and what went wrong.
            hung: whether the store did not come back in time.
        """
        made, error = unkept
        reason = Reason(str(error), str(error)) if hung else reason_of(error, what="the store")
        if work.timer is not None:
            work.timer.cancel()
        work.call, work.timer, work.made = None, None, made
        keeping = work.keeping = (work.keeping or Keeping(made.at)).failed(
            reason, hung=hung, hopeless=not may_be_kept_later(error)
        )
        settled = work.task.state.final
        pause = None if settled else self.pause_before(keeping)
        self.log_event(
            "keep_failed",
            task_id=work.task.id,
            picture_id=made.picture.id,
            reason=keeping.reason.full,
            tries=keeping.tries,
            delay=None if pause is None else round(pause, 6),
        )
        if pause is None:
            self.drop_unkept(work, keeping)
            return
        if work.attempt.state is not AttemptState.KEEPING:
            work.attempt = work.attempt.keep()
        if work.attempt.revoked:
            self.give_slot_back(work)
        if self.maker.kept_at <= made.at:
            # the store has kept no other picture since: none would be kept that is begun now
            self.limiter.tell(
                PauseLane(
                    lane=self.maker.lane,
                    seconds=pause,
                    reason=f"a picture cannot be kept: {keeping.reason.full}",
                )
            )
        work.timer = self.system.clock.after(
            pause, self.actor_ref, KeepDue(task_id=work.task.id, tries=keeping.tries)
        )

    def pause_before(self, keeping: Keeping) -> float | None:
        """Return the seconds until the next try; `None` if there is none."""
        if self.closing:
            return None
        return keeping.pause(
            hangs=self.settings.attempts,
            base=self.settings.backoff,
            limit=self.settings.backoff_max,
            jitter=self.system.random("backoff").random(),
        )

    def drop_unkept(self, work: Work, keeping: Keeping) -> None:
        """Drop a picture that is not kept; settle its task as failed, if it is open."""
        work.made = None
        self.give_back(work, over=True, verdict=GOOD)
        if not work.task.state.final:
            self.log_failure(work.task, keeping.logged, final=True)
            self.settle(work, TaskState.FAILED, keeping.failure)

    def keep_due(self, message: KeepDue) -> None:
        """Try again to keep a picture."""
        work = self.works[message.task_id]
        if work.call is None and work.keeping is not None and work.keeping.tries == message.tries:
            self.keep_again(work)
            self.await_keep(work, self.keep_timeout)

    def keep_again(self, work: Work) -> None:
        """Call the store, on a worker's thread."""
        assert work.made is not None
        work.timer = None
        work.call = self.call(
            self.store_pool,
            partial(
                self.maker.keep_again,
                work.task,
                work.made,
                self.maker.gates.of(work.task.message_id),
            ),
            tag=work.task.id,
            late=self.log_late,
        )

    def await_keep(self, work: Work, seconds: float) -> None:
        """Check after so many seconds whether the store has come back."""
        if work.call is not None and not work.call.over:
            tries = work.keeping.tries if work.keeping is not None else 0
            work.timer = self.system.clock.after(
                seconds, self.actor_ref, KeepOverdue(task_id=work.task.id, tries=tries)
            )

    def await_first_keep(self, work: Work, made: Made) -> None:
        """Wait for the store: the generator was in time, and its picture is being kept."""
        passed = (self.system.clock.now - made.at) / 1_000_000
        self.await_keep(work, max(0, self.keep_timeout - passed))

    def keep_overdue(self, message: KeepOverdue) -> None:
        """Wait no longer for a store that does not come back; its thread is replaced."""
        work = self.works[message.task_id]
        tries = work.keeping.tries if work.keeping is not None else 0
        if work.call is None or tries != message.tries or work.task.state.final:
            return
        made = work.made or work.call.reached
        if made is None or not self.abandon(work):
            return  # it came back just now: its CallReturned is in the mailbox
        error = StoreFailed(f"the store has not come back in {self.keep_timeout:g} s")
        self.not_kept(work, Unkept(made, error), hung=True)

    def abandon(self, work: Work) -> bool:
        """Stop waiting for a call, and log it. False if it came back just before."""
        if work.call is None or not work.call.abandon():
            return False
        self.log_event("call_abandoned", task_id=work.task.id, attempt=work.task.attempts)
        return True

    def hold_unkept(self, work: Work, why: str) -> bool:
        """Hold the picture of a call that was abandoned while it kept it; false if it had none."""
        made: Made | None = None if work.call is None else work.call.reached
        if made is None or work.task.state.final:
            return False
        self.not_kept(work, Unkept(made, StoreFailed(why)), hung=True)
        return True

    def hurry_keeping(self) -> None:
        """Try at once, and a last time, since the studio closes; wait for the store for the grace.

        Pictures that are still to be made are kept at the first try, or not.
        """
        self.closing = True
        for work in self.works.values():
            if work.keeping is None or work.made is None or work.task.state.final:
                continue
            if work.timer is not None:
                work.timer.cancel()
            if work.call is None:
                self.keep_again(work)
            self.await_keep(work, self.settings.grace)

    def cancel_keeping(self, work: Work, why: str, end: TaskEnd | None) -> None:
        """Settle a task whose picture is not kept, and try a last time, within the grace."""
        assert work.keeping is not None
        self.give_slot_back(work)
        if end in {None, TaskEnd.DEADLINE}:
            self.settle(work, TaskState.FAILED, f"{work.keeping.failure} ({why})")
        else:
            self.settle(work, TaskState.CANCELLED, why, end)
        if work.timer is not None:
            work.timer.cancel()
        if work.call is None:
            self.keep_again(work)
        if work.call is not None and not work.call.over:
            work.timer = self.system.clock.after(
                self.settings.grace,
                self.actor_ref,
                GraceEnded(task_id=work.task.id, attempt=work.task.attempts),
            )

    def give_slot_back(self, work: Work) -> None:
        """Return the slot of a task whose picture is still to be kept."""
        if work.attempt.grant is not None:
            slot_id = work.attempt.grant.slot_id
            self.limiter.tell(ReleaseSlot(slot_id=slot_id, failed=False))
            work.attempt = work.attempt.give_slot_back()
