"""Hosts' calls on their way, one by one or gathered in a batch. Owned by their caller."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set, Sized
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, cast

from limner.actors.limiter.awaitables import not_awaitable
from limner.actors.limiter.call_messages import (
    BatchOptions,
    CallOptions,
)
from limner.actors.limiter.time_left import with_deadline
from limner.actors.system import Call, CallFuture, CallReturned, Clock, Loop, Timer
from limner.messages import errors
from limner.messages.limiter.backpressure import (
    UNTOLD,
    Verdict,
    verdict_of_batch,
    verdict_of_error,
    verdict_of_value,
)
from limner.messages.limiter.call_rules import ONCE, CallRules
from limner.messages.limiter.costs import costs_of


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
        """Record that the call begins, without the items of a batch that were cancelled.

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
        """Record what the call has cost, by what it returned."""
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


class BatchDue(NamedTuple):
    """caller's timer → caller: a batch has waited for `max_time`."""

    batch: Batch
