"""A host's own calls through the limiter, one by one or several in a batch.

Hears `ScheduleCall`, `AddToBatch`, `SendBatches`, `HoldSlot`, `ReturnSlot` and `WithdrawCall` from
the edge, `SlotGranted`, `SlotExpired` and `RequestDropped` from the limiter, `CallReturned` from
the workers, `CloseCalls` from the root; tells the limiter `RequestSlot` for batches, which the edge
does for single calls, `WithdrawRequest`, `ReleaseSlot`, and `BatchesSent`. Started by the root,
once a studio. As the studio closes, what has not begun fails with `StudioClosed`, and it ends after
what runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from limner.actors.base import LimnerActor
from limner.actors.event_log import EventLog
from limner.actors.limiter.awaitables import not_awaitable, outcome
from limner.actors.limiter.call_messages import (
    AddToBatch,
    BatchOptions,
    CallDue,
    CloseCalls,
    RetryDue,
    ScheduleCall,
    SendBatches,
    WithdrawCall,
    slot_request,
)
from limner.actors.limiter.held_slots import HeldSlots, HoldSlot
from limner.actors.limiter.scheduled_calls import (
    Batch,
    BatchDue,
    NotWanted,
    Scheduled,
    results_in_order,
)
from limner.actors.limiter.slots import ReturnSlot
from limner.actors.system import CallReturned, PooledRef
from limner.messages import errors
from limner.messages.limiter.backpressure import (
    UNTOLD,
    Verdict,
)
from limner.messages.limiter.call_rules import LONGEST, MAX_REVOCATIONS
from limner.messages.limiter.control import BatchesSent
from limner.messages.limiter.protocol import (
    ReleaseSlot,
    RequestDropped,
    SlotExpired,
    SlotGranted,
    SlotRevoked,
    WithdrawRequest,
)
from limner.messages.session.backoff import backoff
from limner.messages.validation import group_of


class CallerActor(LimnerActor):
    """Runs hosts' calls, each when it has a slot."""

    role = "caller"

    def __init__(
        self,
        log: EventLog,
        limiter: PooledRef[Any],
        *,
        backoff: float = 0.5,
        backoff_max: float = 30,
    ) -> None:
        super().__init__(log)
        self.limiter = limiter
        self.backoff = backoff
        self.backoff_max = backoff_max
        self.calls: dict[str, Scheduled] = {}
        self.gathering: dict[BatchOptions, Batch] = {}
        self.batch_of: dict[str, Batch] = {}
        self.batches = 0
        self.closing = False
        self.held = HeldSlots(limiter)

    def on_receive(self, message: object) -> Any:
        """Handle one message."""
        match message:
            case ScheduleCall() | AddToBatch() | HoldSlot() if self.closing:
                message.future.refuse(not_begun())
            case ScheduleCall():
                self.calls[message.name] = Scheduled(
                    message.call,
                    (message.future,),
                    message.options,
                    rules=message.rules,
                    context=message.context,
                    since=self.system.clock.now,
                    request_id=message.name,
                )
            case AddToBatch():
                self.gather(message)
            case HoldSlot():
                self.held.add(message)
            case ReturnSlot():
                self.held.returned(message)
                self.end_if_over()
            case BatchDue():
                self.send(message.batch)
            case SendBatches():
                self.send_all(message)
            case CloseCalls():
                self.close(wait=message.wait)
            case WithdrawCall():
                self.withdraw(message.name)
            case SlotGranted():
                self.run(message)
            case CallReturned():
                self.returned(message)
            case SlotExpired():
                self.expired(message)
            case SlotRevoked():
                self.revoked(message)
            case CallDue():
                self.timed_out(message)
            case RetryDue():
                self.retry_due(message.name)
            case RequestDropped():
                self.dropped(message)
            case _:
                return super().on_receive(message)
        return None

    def gather(self, message: AddToBatch) -> None:
        """Add an item to the batch that is gathered; send the batch if that fills it."""
        batches = message.batches
        batch = self.gathering.get(batches)
        if batch is None:
            batch = self.gathering[batches] = Batch(batches)
        batch.items.append(message.item)
        batch.futures.append(message.future)
        batch.names.append(message.name)
        self.batch_of[message.name] = batch
        if len(batch.items) >= batches.max_size:
            self.send(batch)
        elif batch.timer is None:
            after = self.system.clock.after
            batch.timer = after(batches.max_time, self.actor_ref, BatchDue(batch))

    def send(self, batch: Batch) -> None:
        """Request the slot of a batch, unless it was sent before."""
        batches = batch.batches
        if self.gathering.get(batches) is not batch:
            return
        del self.gathering[batches]
        if batch.timer is not None:
            batch.timer.cancel()
        if not batch.items:
            return

        def call() -> Sequence[tuple[Any, BaseException | None]]:
            results = not_awaitable(batches.call(list(batch.items)))
            return [outcome(result) for result in results_in_order(results, len(batch.items))]

        self.batches += 1
        name = f"batch-{self.batches}"
        batch.name = name
        self.calls[name] = Scheduled(call, batch.futures, batches.options, batch, request_id=name)
        self.limiter.tell(slot_request(name, batches.options, self.actor_ref, tuple(batch.names)))

    def send_all(self, message: SendBatches) -> None:
        """Send the batches that gather in a lane which ends, and in those behind it."""
        for batch in list(self.gathering.values()):
            lane = batch.batches.options.lane
            if lane in message.lanes or group_of(lane) in message.lanes:
                self.send(batch)
        self.limiter.tell(BatchesSent(lane=message.lane))

    def run(self, grant: SlotGranted) -> None:
        """Begin a call that has its slot, on a worker's thread."""
        scheduled = self.calls.get(grant.task_id)
        if scheduled is None and self.held.granted(grant):
            return
        if scheduled is None or scheduled.request_id != grant.request_id:
            self.limiter.tell(ReleaseSlot(slot_id=grant.slot_id))  # it was withdrawn meanwhile
            return
        scheduled.slot_id = grant.slot_id
        scheduled.calls += 1
        running = scheduled.running = self.call(
            scheduled.options.worker_pool,
            partial(scheduled.perform, self.system.clock),
            begun=scheduled.begin,
            tag=grant.task_id,
        )
        timeout = scheduled.rules.timeout
        if timeout is not None and not running.over:
            due = CallDue(grant.task_id, running)
            scheduled.timer = self.system.clock.after(timeout, self.actor_ref, due)

    def returned(self, returned: CallReturned) -> None:
        """Return the slot, then set the futures to what the call returned, or try again."""
        name = returned.call.tag
        scheduled = self.calls.get(name)
        if scheduled is None or scheduled.running is not returned.call:
            return
        verdict, error = scheduled.verdict(returned, self.log.wall), returned.error
        if isinstance(error, NotWanted):  # it has not begun, and has cost nothing
            scheduled.settled = returned.call, dict.fromkeys(scheduled.options.budgets, 0)
        self.give_back(scheduled, verdict)
        if isinstance(error, NotWanted):
            self.remove(name)
        elif scheduled.revoked and error is not None and not self.closing:
            self.request_again(name, scheduled)
        elif error is not None:
            self.failed(name, scheduled, error, verdict)
        elif verdict.failed and self.tries_again(scheduled, None, verdict):
            self.try_again(name, scheduled, verdict)
        else:
            scheduled.complete(returned.value)
            self.remove(name)

    def give_back(self, scheduled: Scheduled, verdict: Verdict) -> None:
        """Release the slot of a call that has ended, if it has one."""
        if scheduled.timer is not None:
            scheduled.timer.cancel()
        costs = scheduled.costs
        if isinstance(costs, BaseException):
            reason = errors.reason_of(costs, what="settle").full
            self.log_event("settle_failed", task_id=scheduled.request_id, error=reason)
            costs = None
        if scheduled.slot_id is not None:
            self.limiter.tell(
                ReleaseSlot.trusted(
                    slot_id=scheduled.slot_id,
                    costs=costs,
                    failed=verdict.failed,
                    error=verdict.error,
                    retry_after=verdict.retry_after,
                    overloaded=verdict.overloaded,
                    limits=verdict.limits,
                    host=verdict.host,
                )
            )
        scheduled.slot_id = scheduled.running = scheduled.timer = None

    def tries_again(
        self, scheduled: Scheduled, error: BaseException | None, verdict: Verdict
    ) -> bool:
        """Return whether a call that has failed is made again."""
        again = scheduled.rules.tries_again(scheduled.calls, error, verdict)
        return again and not self.closing

    def failed(
        self, name: str, scheduled: Scheduled, error: BaseException, verdict: Verdict
    ) -> None:
        """Log that a call has failed, and make it again, or fail its futures."""
        if self.tries_again(scheduled, error, verdict):
            self.try_again(name, scheduled, verdict, error)
            return
        self.log_failure(name, scheduled, errors.describe(error), final=True)
        scheduled.fail(error)
        self.remove(name)

    def try_again(
        self,
        name: str,
        scheduled: Scheduled,
        verdict: Verdict,
        error: BaseException | None = None,
    ) -> None:
        """Request another slot for a call after a while, by the rules of generators."""
        reason = errors.describe(error) if error is not None else ""
        if error is None and verdict.error is not None:
            reason = verdict.error.full
        self.log_failure(name, scheduled, reason, final=False)
        delay = backoff(
            scheduled.calls,
            base=self.backoff,
            limit=self.backoff_max,
            jitter=self.system.random("backoff").random(),
        )
        delay = max(delay, min(verdict.retry_after or 0, LONGEST))
        self.log_event("call_retried", task_id=name, delay=round(delay, 6))
        for future in scheduled.futures:
            future.wait_again()
        scheduled.request_id = ""
        scheduled.timer = self.system.clock.after(delay, self.actor_ref, RetryDue(name))

    def log_failure(self, name: str, scheduled: Scheduled, reason: str, *, final: bool) -> None:
        """Log that a call has failed."""
        self.log_event(
            "call_failed",
            task_id=name,
            lane=scheduled.options.lane,
            attempt=scheduled.calls,
            reason=reason,
            final=final,
        )

    def retry_due(self, name: str) -> None:
        """Request a slot again for a call that has backed off."""
        scheduled = self.calls.get(name)
        if scheduled is not None and not scheduled.request_id:
            scheduled.timer = None
            self.request_again(name, scheduled)

    def request_again(self, name: str, scheduled: Scheduled) -> None:
        """Request another slot for a call; one that was revoked goes first of its owner."""
        if scheduled.revoked:
            scheduled.calls -= 1
            for future in scheduled.futures:
                future.wait_again()
        scheduled.request_id = f"{name}/{scheduled.calls + scheduled.revocations + 1}"
        revocable = scheduled.rules.preemptible and scheduled.revocations < MAX_REVOCATIONS
        request = slot_request(name, scheduled.options, self.actor_ref, revocable=revocable)
        self.limiter.tell(
            request.but(
                request_id=scheduled.request_id,
                since=scheduled.since if scheduled.revoked else None,
                revoked=scheduled.revoked,
            )
        )
        scheduled.revoked = False

    def revoked(self, message: SlotRevoked) -> None:
        """Ask a call to return early whose slot an active request is to have."""
        scheduled = self.calls.get(message.task_id)
        if scheduled is None or scheduled.slot_id != message.slot_id or scheduled.revoked:
            return
        scheduled.revoked = True
        scheduled.revocations += 1
        if scheduled.running is not None:
            scheduled.running.cancel()

    def timed_out(self, message: CallDue) -> None:
        """Abandon a call that has taken longer than its `timeout`."""
        scheduled = self.calls.get(message.name)
        if scheduled is None or scheduled.running is not message.running:
            return
        seconds = scheduled.rules.timeout
        error = errors.CallTimedOut(f"the call took longer than its timeout of {seconds:g} s")
        if self.abandon_call(message.running):
            self.log_event("call_abandoned", task_id=message.name)
            self.abandoned(message.name, scheduled, error, Verdict(True, None, overloaded=True))

    def abandoned(
        self,
        name: str,
        scheduled: Scheduled,
        error: errors.CallTimedOut | errors.LeaseEnded,
        verdict: Verdict,
    ) -> None:
        """Release the slot of a call that was abandoned; make it again, or fail it."""
        said = errors.reason_of(error, what="the call")
        self.give_back(scheduled, verdict._replace(error=said) if verdict.failed else verdict)
        if scheduled.revoked and not self.closing:
            self.request_again(name, scheduled)
        else:
            self.failed(name, scheduled, error, verdict)

    def expired(self, message: SlotExpired) -> None:
        """Abandon a call whose lease, or the grace after it was revoked, has ended."""
        scheduled = self.calls.get(message.task_id)
        if scheduled is None or scheduled.slot_id != message.slot_id:
            self.held.expired(message)
            self.end_if_over()
            return
        if scheduled.running is not None and self.abandon_call(scheduled.running):
            self.log_event("call_abandoned", task_id=message.task_id)
            scheduled.slot_id = None  # the limiter has taken it already
            error = errors.LeaseEnded("the call held its slot for longer than its lane's lease")
            self.abandoned(message.task_id, scheduled, error, UNTOLD)

    def dropped(self, message: RequestDropped) -> None:
        """Fail a call that gets no slot."""
        scheduled = self.calls.get(message.task_id)
        if scheduled is not None and scheduled.request_id == message.request_id:
            told = f"the call got no slot: {message.reason}"
            scheduled.fail(errors.SlotRefused(told, message.refusal, message.lane))
            self.remove(message.task_id)
        else:
            self.held.dropped(message)

    def withdraw(self, name: str) -> None:
        """End what a cancelled call waits for or holds; remove an item from its batch."""
        batch = self.batch_of.pop(name, None)
        if batch is not None and batch.name is None:
            index = batch.names.index(name)
            del batch.names[index], batch.futures[index], batch.items[index]
            return
        if batch is not None and batch.name is not None:
            name = batch.name
        scheduled = self.calls.get(name)
        if scheduled is None:
            self.held.withdrawn(name)
        elif not scheduled.is_wanted:
            self.take_back(name, scheduled)

    def take_back(self, name: str, scheduled: Scheduled) -> None:
        """End the request of a call that will never run, or release its slot."""
        if scheduled.slot_id is None:
            self.limiter.tell(WithdrawRequest(request_id=scheduled.request_id or name))
        elif scheduled.running is not None and self.abandon_call(scheduled.running):
            self.limiter.tell(ReleaseSlot(slot_id=scheduled.slot_id))
        else:
            return  # it has returned at once, and its slot is released with that
        self.remove(name)

    def remove(self, name: str) -> None:
        """Forget a call that has ended; end after the last one, if the studio closes."""
        ended = self.calls.pop(name)
        batch = ended.batch
        if ended.timer is not None:
            ended.timer.cancel()
        if batch is not None:
            for item in batch.names:
                self.batch_of.pop(item, None)
        self.end_if_over()

    def end_if_over(self) -> None:
        """End, if the studio closes and nothing is waited for any more."""
        if self.closing and not self.calls and not self.held:
            self.actor_ref.end()

    def close(self, *, wait: bool) -> None:
        """Refuse what has not begun, and end; after what runs, if it is to be waited for."""
        error = not_begun()
        for batch in self.gathering.values():
            if batch.timer is not None:
                batch.timer.cancel()
            for future in batch.futures:
                future.refuse(error)
        self.gathering.clear()
        for name, scheduled in list(self.calls.items()):
            if scheduled.refuse(error):
                self.take_back(name, scheduled)
        self.held.refuse(error)
        self.closing = True
        if wait:
            self.end_if_over()
        else:
            self.actor_ref.end()

    def on_stop(self) -> None:
        """Fail the calls that have not ended, and those whose messages are still unread."""
        for message in self.take_unheard(ScheduleCall, AddToBatch, HoldSlot):
            message.future.refuse(not_begun())
        self.held.lose_all(not_begun())
        error = errors.StudioClosed(
            "the studio closed before the call had ended; the call itself may run on"
        )
        for name, scheduled in self.calls.items():
            if not scheduled.refuse(not_begun()):
                scheduled.fail(error)
                if scheduled.timer is not None:
                    scheduled.timer.cancel()
                self.log_event("call_abandoned", task_id=name)
        for batch in self.gathering.values():
            if batch.timer is not None:
                batch.timer.cancel()
            for future in batch.futures:
                future.refuse(not_begun())
        self.calls.clear()
        self.gathering.clear()
        self.batch_of.clear()

    def on_failure(self, *_: object) -> None:
        """Do the same as when it stops."""
        self.on_stop()


def not_begun() -> errors.StudioClosed:
    """Return the error of a call that is refused since the studio closes."""
    return errors.StudioClosed("the studio closed before the call had begun; it was never run")
