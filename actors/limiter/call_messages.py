"""What is said of hosts' calls: edge → caller, root → caller, caller → itself and limiter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from limner.actors.system import Call, CallFuture, Loop, PooledRef
from limner.messages.limiter.call_rules import ONCE, CallRules
from limner.messages.limiter.protocol import (
    RequestSlot,
)


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
