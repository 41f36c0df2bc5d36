"""A host's own calls through the limiter, one by one or several in a batch.

Hears `ScheduleCall`, `AddToBatch`, `SendBatches`, `HoldSlot`, `ReturnSlot` and `WithdrawCall` from
the edge, `SlotGranted`, `SlotExpired` and `RequestDropped` from the limiter, `CallReturned` from
the workers, `CloseCalls` from the root; tells the limiter `RequestSlot` for batches, which the edge
does for single calls, `WithdrawRequest`, `ReleaseSlot`, and `BatchesSent`. Started by the root,
once a studio. As the studio closes, what has not begun fails with `StudioClosed`, and it ends after
what runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set, Sized
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, cast

from limner.actors.base import LimnerActor
from limner.actors.event_log import EventLog
from limner.actors.limiter.awaitables import not_awaitable, outcome
from limner.actors.limiter.held_slots import HeldSlots, HoldSlot
from limner.actors.limiter.slots import ReturnSlot
from limner.actors.limiter.time_left import with_deadline
from limner.actors.system import Call, CallFuture, CallReturned, Clock, Loop, PooledRef, Timer
from limner.messages import errors
from limner.messages.limiter.backpressure import (
    UNTOLD,
    Verdict,
    verdict_of_batch,
    verdict_of_error,
    verdict_of_value,
)
from limner.messages.limiter.call_rules import LONGEST, MAX_REVOCATIONS, ONCE, CallRules
from limner.messages.limiter.control import BatchesSent
from limner.messages.limiter.costs import costs_of
from limner.messages.limiter.protocol import (
    ReleaseSlot,
    RequestDropped,
    RequestSlot,
    SlotExpired,
    SlotGranted,
    SlotRevoked,
    WithdrawRequest,
)
from limner.messages.session.backoff import backoff
from limner.messages.validation import group_of


@dataclass(frozen=True, slots=True, eq=False)
class CallOptions:
    """How a call is made.

    Args:
        lane: of its slot.
        worker_pool: of its thread; `None` if it returns at once and needs none; an asyncio loop if
            the call gives a coroutine, which runs there.
        priority: 0 (first) to 9.
        owner: on whose behalf.
        weight: of its slot.
        costs: of budgets, by name, as far as they are named.
        budgets: the names of all budgets that it passes.
        settle: what it has cost in the end, from what it returned; `None` if it does not tell.
        deadline: microseconds at which it is dropped if it has no slot; `None` for never.
        refuse_late: whether it is refused at once if it cannot have its slot by then.
    """

    lane: str
    worker_pool: str | Loop | None
    priority: int
    owner: str | None
    weight: int
    costs: dict[str, int] = field(default_factory=dict)
    budgets: frozenset[str] = frozenset()
    settle: Callable[[Any], Mapping[str, int]] | None = None
    deadline: int | None = None
    refuse_late: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class BatchOptions:
    """How calls are gathered into batches.

    Args:
        call: what is called, with the items of a batch; it returns as many results.
        options: of each call.
        max_size: items of a batch at most.
        max_time: seconds after its first item that a batch waits for more.
    """

    call: Callable[[list[Any]], Sequence[Any]]
    options: CallOptions
    max_size: int
    max_time: float


class ScheduleCall(NamedTuple):
    """edge → caller: run this once it has a slot; the edge requests that right after this."""

    name: str
    call: Callable[..., Any]
    future: CallFuture[Any]
    options: CallOptions
    rules: CallRules = ONCE
    context: Context | None = None


class AddToBatch(NamedTuple):
    """edge → caller: run this with others, once they have a slot."""

    name: str
    batches: BatchOptions
    item: Any
    future: CallFuture[Any]


class WithdrawCall(NamedTuple):
    """edge → caller: this was cancelled before it began, and its future has failed."""

    name: str


class SendBatches(NamedTuple):
    """edge → caller: send the batches that gather in a lane which ends, then tell the limiter.

    Args:
        lane: that ends.
        lanes: it and those behind it, by the names of lanes and of groups.
    """

    lane: str
    lanes: frozenset[str]


class CloseCalls(NamedTuple):
    """root → caller: refuse what has not begun, and end.

    Args:
        wait: whether to end only once the calls that run have ended.
    """

    wait: bool


class CallDue(NamedTuple):
    """caller's timer → caller: a call has taken as long as it may."""

    name: str
    running: Call


class RetryDue(NamedTuple):
    """caller's timer → caller: a call that has failed requests a slot again."""

    name: str


class BatchDue(NamedTuple):
    """caller's timer → caller: a batch has waited for `max_time`."""

    batch: Batch


@dataclass(slots=True, eq=False)
class Batch:
    """The items that are gathered for one call, with the future and the name of each.

    Args:
        batches: how they are gathered.
        items: for the call.
        futures: of the items.
        names: of the items.
        timer: until the batch requests its slot, though it is not full.
        name: of the batch, once it has requested its slot.
    """

    batches: BatchOptions
    items: list[Any] = field(default_factory=list)
    futures: list[CallFuture[Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    timer: Timer | None = None
    name: str | None = None


class NotWanted(Exception):  # nobody hears of it
    """A call has its slot and its thread, but was cancelled before."""


@dataclass(slots=True)
class Scheduled:
    """A call, and the slot that it has.

    Args:
        call: what to run.
        futures: of the result; of a batch, one for each result.
        options: of the call.
        batch: that is run, if it is one.
        slot_id: of the slot that it has.
        running: the call, once it was handed to a thread.
        rules: how it is tried.
        context: the context variables that it sees.
        since: when its first slot was requested, in microseconds.
        request_id: of the request that waits, or that has its slot.
        calls: how many were made, without those whose slot was revoked.
        revoked: whether its slot was revoked.
        revocations: how many slots were.
        timer: until it has taken too long, or is made again.
        settled: the last call that was made and has told what it has cost of budgets, or why it
            has not.
    """

    call: Callable[..., Any]
    futures: Sequence[CallFuture[Any]]
    options: CallOptions
    batch: Batch | None = None
    slot_id: str | None = None
    running: Call | None = None
    rules: CallRules = ONCE
    context: Context | None = None
    since: int = 0
    request_id: str = ""
    calls: int = 0
    revoked: bool = False
    revocations: int = 0
    timer: Timer | None = None
    settled: tuple[Call, dict[str, int] | BaseException] | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether it has not been cancelled; of a batch, whether not all of it has."""
        return any(not future.is_cancelled for future in self.futures)

    def begin(self, call: Call) -> None:
        """Note that the call begins, without the items of a batch that were cancelled.

        Runs on the thread of the call, right before it.

        Raises:
            NotWanted: if all of it was cancelled.
        """
        batch = self.batch
        if batch is None:
            interrupt = call.cancel if isinstance(self.options.worker_pool, Loop) else None
            if not self.futures[0].begin(interrupt):
                raise NotWanted
            return
        wanted = [
            (item, future)
            for item, future in zip(batch.items, batch.futures, strict=True)
            if future.begin()
        ]
        if not wanted:
            raise NotWanted
        batch.items = [item for item, _ in wanted]
        self.futures = batch.futures = [future for _, future in wanted]

    def perform(self, clock: Clock, running: Call) -> Any:
        """Run the call on its thread, with the context variables of who scheduled it.

        What it has cost is settled there too.
        """
        context = self.context
        if context is None:
            return self._perform(clock, running)
        if self.calls > 1 or self.revocations:
            context = context.copy()  # one that was abandoned may still be in the other
        return context.run(self._perform, clock, running)

    def _perform(self, clock: Clock, running: Call) -> Any:
        call, deadline = self.call, self.options.deadline
        if self.rules.takes_cancelled:
            call = partial(call, cancelled=running)
        if isinstance(self.options.worker_pool, Loop):
            return call()
        value = not_awaitable(call() if deadline is None else with_deadline(call, clock, deadline))
        if self.options.settle is not None:
            self._settle(self.options.settle, value, running)
        return value

    def _settle(
        self, settle: Callable[[Any], Mapping[str, int]], value: Any, running: Call
    ) -> None:
        """Note what the call has cost, by what it returned."""
        if self.batch is not None:
            value = [result if error is None else error for result, error in value]
        try:
            self.settled = running, costs_of(settle(value), self.options.budgets)
        except Exception as error:  # noqa: BLE001 - the result counts all the same
            self.settled = running, error

    def verdict(self, returned: CallReturned, wall: float) -> Verdict:
        """Return what the end of the call tells about its back end."""
        if self.revoked and returned.error is not None:
            return UNTOLD
        if returned.error is not None:
            return verdict_of_error(returned.error, wall, own=True)
        if self.batch is not None:
            return verdict_of_batch(returned.value, wall)
        return verdict_of_value(returned.value, wall)

    @property
    def costs(self) -> dict[str, int] | BaseException | None:
        """What the call that runs has cost, or why it has not told; `None` if it has not."""
        settled = self.settled
        return None if settled is None or settled[0] is not self.running else settled[1]

    def refuse(self, error: BaseException) -> bool:
        """Fail the call unless it has begun; return whether it will never run."""
        for future in self.futures:
            future.refuse(error)
        return not self.is_wanted

    def fail(self, error: BaseException) -> None:
        """Fail the futures that are still pending."""
        for future in self.futures:
            future.fail_if_pending(error)

    def complete(self, value: Any) -> None:
        """Set the futures that are still pending to what the call returned."""
        if self.batch is None:
            self.futures[0].set_if_pending(value)
            return
        for future, (result, error) in zip(self.futures, value, strict=True):
            if error is None:
                future.set_if_pending(result)
            else:
                future.fail_if_pending(error)


def results_in_order(results: object, expected: int) -> tuple[Any, ...]:
    """Return the results of a batch, if they are a sequence with as many as its items.

    Args:
        results: as the call returned them: a list, a tuple, an array, or whatever else has a length
            and is indexed by numbers. A generator has no length, a set no order, and a table keys.
        expected: the number of items.

    Raises:
        GenerationFailed: if they are anything else; it is not retried.
    """
    kind = type(results).__name__
    ordered = hasattr(results, "__len__") and hasattr(results, "__getitem__")
    text = isinstance(results, str | bytes | bytearray | memoryview)
    if not ordered or text or isinstance(results, Set) or hasattr(results, "keys"):
        raise errors.GenerationFailed(
            f"the call gave {kind}, not a sequence with a result for each of a batch of"
            f" {expected:,}, in their order: let it return a list",
            retryable=False,
        )
    returned = tuple(islice(cast("Sequence[Any]", results), expected + 1))
    if len(returned) != expected:
        raise errors.GenerationFailed(
            f"the call gave {len(cast('Sized', results)):,} results for a batch of {expected:,}",
            retryable=False,
        )
    return returned


def slot_request(
    name: str,
    options: CallOptions,
    caller: PooledRef[Any],
    requests: tuple[str, ...] = (),
    *,
    revocable: bool = False,
) -> RequestSlot:
    """Return the request for a call's slot.

    Args:
        name: of the call.
        options: of the call.
        caller: the actor that runs it.
        requests: the names of the calls in it, if it is a batch.
        revocable: whether the slot may be revoked.
    """
    return RequestSlot.trusted(
        request_id=name,
        session_id=None,
        message_id=None,
        task_id=name,
        lane=options.lane,
        owner=options.owner,
        priority=options.priority,
        weight=options.weight,
        costs=options.costs,
        deadline=options.deadline,
        refuse_late=options.refuse_late,
        since=None,
        revoked=False,
        place=0,
        thread=type(options.worker_pool) is str,
        revocable=revocable,
        requests=requests,
        stands_for=None,
        reply_to=caller,
    )


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
