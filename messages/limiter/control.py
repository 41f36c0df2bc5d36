"""What a host tells and asks the limiter: edge → limiter, and its answers."""

from typing import Literal

from pydantic import Field, SkipValidation

from limner.messages.base import Message, Value
from limner.messages.limiter.rate_limit_headers import RateLimit
from limner.messages.limiter.settings import LaneSettings
from limner.messages.status import LaneState


class UpdateLane(Message):
    """Put these settings in force."""

    lane: str
    settings: LaneSettings
    refill: bool = False
    """Whether what is left of a reservoir is as they say, though they said so before."""


class OpenLane(Message):
    """Open one more lane; the one that it stands behind is there."""

    lane: str
    settings: LaneSettings


class DropLane(Message):
    """Drop a lane. Answered with whether it was idle, and no lane stood behind it."""

    lane: str


class ChangeReservoir(Message):
    """Add to what is left of a lane's reservoir, or take from it, but not below 0.

    Answered with what is left then; `None` if the lane has no reservoir.
    """

    lane: str
    by: int


class AwaitIdle(Message):
    """Set `done` once nothing waits and nothing is out in a lane and behind it.

    Args:
        lane: which lane; `None` for all.
        done: the future.
    """

    lane: str | None
    done: SkipValidation[object] = Field(repr=False)


class PauseLane(Message):
    """Grant nothing for so many seconds, or until it is resumed."""

    lane: str
    seconds: float | None = Field(default=None, gt=0)
    reason: str | None = None
    """Why, if not the host asked: then the pause ends no earlier than one that there is."""


class ObserveLimits(Message):
    """Apply what a back end says is left of its limits."""

    lane: str
    limits: tuple[RateLimit, ...]
    host: str | None = None
    """The host that answered; `None` if that is not known."""


class ResumeLane(Message):
    """Grant again."""

    lane: str


class EndLane(Message):
    """Refuse requests from now on; `done` is set once nothing waits and nothing is out."""

    lane: str
    drop: bool
    gathering: bool = False
    """Whether batches that gather may still request their slots, until `BatchesSent`."""
    done: SkipValidation[object] = Field(repr=False)


class BatchesSent(Message):
    """caller → limiter: the batches that gathered in an ending lane have requested their slots."""

    lane: str


class ReportLane(Message):
    """Report the state of a lane. Answered with a `LaneReport`."""

    lane: str
    waiting: bool = False
    """Whether to list the requests that wait, which takes long if there are many."""

    owner: str | None = None
    priority: int | None = None
    """If given: list only the requests of this owner, or with this priority."""


class ForecastLane(Message):
    """Forecast how long a request would wait. Answered with seconds, or `None` if not known."""

    lane: str
    priority: int = Field(ge=0, le=9)
    owner: str | None = None
    weight: int = Field(default=1, ge=1)


class ReportRunning(Message):
    """List the calls of hosts that have a slot. Answered with a tuple of `RunningCall`."""

    lane: str | None = None
    """Only of this lane, if given."""


class StateOf(Message):
    """Find a task. Answered with a `TaskPlace`, or `None` if it neither waits nor has a slot."""

    task_id: str


class WaitingRequest(Value):
    """A request that waits.

    Args:
        request_id: its name.
        task_id: the task that it is for.
        owner: on whose behalf.
        priority: 0 (first) to 9, as it was asked for.
        weight: of its slot.
        waited: seconds so far.
    """

    request_id: str
    task_id: str
    owner: str | None
    priority: int
    weight: int
    waited: float


class RunningCall(Value):
    """A host's own call, or a batch of them, that has a slot.

    Args:
        name: of the call, as its future has it; `batch-…` of a batch.
        lane: of its slot.
        owner: on whose behalf.
        priority: 0 (first) to 9.
        weight: of its slot.
        seconds: since it has the slot.
        calls: of a batch, the names of the calls in it.
    """

    name: str
    lane: str
    owner: str | None
    priority: int
    weight: int
    seconds: float
    calls: tuple[str, ...] = ()


class BudgetLeft(Value):
    """What is left of a budget.

    Args:
        amount: of the whole budget.
        left: of it; below 0 if calls have cost more than they took. `None` if each owner has its
            own.
        full_in: seconds until it is full again if nothing is granted meanwhile.
        owners: if each owner has its own: what is left to those that have taken of it, up to 100 of
            those with the least.
    """

    amount: int
    left: int | None
    full_in: float
    owners: dict[str, int] = Field(default={})


class LaneReport(Value):
    """The state of a lane at one moment.

    Args:
        settings: those in force.
        limit: the summed weight of slots out at one time that is in force; `None` is no limit.
        state: `open`, `blocked` (it refuses requests, by the strategy `block`), `paused`,
            `resting` (its circuit is open, since its back end has failed again and again),
            `probing` (one call goes, to see whether it still fails), `draining` or `stopped`.
        failures: how many calls in a row have failed, of those that the circuit breaker counts.
        last_error: how the last one of them failed; `None` if the last call has not failed.
        budgets: what is left of each budget, by name.
        counts: how many requests wait, how many slots are out, and how many there were of each
            other end: granted, released, revoked, expired, dropped, withdrawn.
        weight_out: summed weight of the slots that are out.
        reservoir: the weight that may still be granted; `None` without a reservoir.
        ahead: of each priority from 0 to 9, how many requests wait and their summed weight.
        waiting: the requests that wait, by priority, the oldest first; empty if not asked for.
        held_for: seconds that the slots released last were held, on average; `None` before any.
    """

    settings: LaneSettings
    limit: int | None
    state: LaneState
    counts: dict[str, int]
    weight_out: int
    reservoir: int | None
    ahead: tuple[tuple[int, int], ...]
    waiting: tuple[WaitingRequest, ...]
    held_for: float | None
    failures: int = 0
    last_error: str | None = None
    budgets: dict[str, BudgetLeft] = Field(default={})


class TaskPlace(Value):
    """Where a task waits or has a slot, in its own lane."""

    lane: str
    state: Literal["waiting", "out"]
    name: str
    """The id of its request while it waits, of its slot once it has one."""
