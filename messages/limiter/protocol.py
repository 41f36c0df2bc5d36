"""Slots: whoever runs calls ↔ limiter. A slot is returned by its holder."""

from pydantic import Field

from limner.messages.base import Address, Message
from limner.messages.errors import Reason
from limner.messages.limiter.costs import NO_COSTS
from limner.messages.limiter.rate_limit_headers import RateLimit
from limner.messages.limiter.refusal import Refusal


class RequestSlot(Message):
    """processor → limiter: a slot is wanted to generate one picture, or to run a host's call."""

    request_id: str
    session_id: str | None
    """`None` for a host's own call, as `message_id` is."""
    message_id: str | None
    task_id: str
    lane: str = "image"
    owner: str | None = None
    priority: int = Field(default=3, ge=0, le=9)
    weight: int = Field(default=1, ge=1)
    since: int | None = None
    """If it has waited before: microseconds when that began; it goes before others of its owner."""
    costs: dict[str, int] = NO_COSTS
    """What it takes of budgets of its lane, and of those upstream, by their names."""
    deadline: int | None = None
    """Microseconds at which it is dropped if it waits still; `None` for never."""
    refuse_late: bool = False
    """Whether it is refused at once if it cannot be granted before its deadline."""
    revoked: bool = False
    """Whether its task had a slot that was revoked; `since` is then of the task's first request."""
    place: int = 0
    """Of a picture: the place of its prompt among those of its message that were found so far."""
    revocable: bool = True
    thread: bool = False
    """Whether its call needs a worker thread from the grant on; a submitted run comes later."""
    requests: tuple[str, ...] = ()
    """Of a batch: the names of the requests that the one slot is for."""
    stands_for: str | None = None
    """Of an offer to an upstream lane: the id of the request that is offered."""
    reply_to: Address | None = Field(repr=False)
    """Who is told; nobody, if it is an offer."""


class SlotGranted(Message):
    """limiter → processor: begin, before `expires_at` in microseconds of the system's clock."""

    request_id: str
    task_id: str
    slot_id: str
    expires_at: int


class SlotExpired(Message):
    """limiter → processor: the lease has ended, and the slot is no longer yours."""

    task_id: str
    slot_id: str


class SlotRevoked(Message):
    """limiter → processor: return the slot; it stays yours until then, or until the grace ends."""

    task_id: str
    slot_id: str


class RequestDropped(Message):
    """limiter → processor: there will be no slot."""

    request_id: str
    task_id: str
    refusal: Refusal
    lane: str
    """The lane that refused it: its own, or one upstream of that."""
    reason: str
    """The same as prose."""


class ReleaseSlot(Message):
    """processor → limiter: the slot is returned."""

    slot_id: str
    failed: bool | None = None
    """Whether the back end failed; `None` if the call does not tell."""
    error: Reason | None = None
    """How the call failed, if its back end did."""
    retry_after: float | None = None
    """Seconds after which the back end asks to be called again."""
    overloaded: bool = False
    """Whether the back end had too much to do: by its status, or since the call took too long."""
    limits: tuple[RateLimit, ...] = ()
    """What the back end says is left of its limits."""
    host: str | None = None
    """The host that answered, with its port if the URL has one; `None` if that is not known."""
    costs: dict[str, int] | None = None
    """What the call has cost of budgets, by their names; `None` if that is not known."""


class SettleCosts(Message):
    """edge → limiter: a call has cost this, whatever was reserved for it.

    Args:
        name: of its request; one that has taken nothing, or that is over, is ignored.
        costs: by the name of the budget; others keep what was reserved.
    """

    name: str
    costs: dict[str, int]


class WithdrawRequest(Message):
    """processor → limiter: the slot is not wanted any more."""

    request_id: str


class PrioritiseRequest(Message):
    """processor → limiter: change the priority of a request that waits, or of a slot that is out.

    Args:
        name: the id of the request or slot; one that is over is ignored.
        priority: from now on, 0 (first) to 9.
    """

    name: str
    priority: int = Field(ge=0, le=9)


class SessionGone(Message):
    """root → limiter: a session's actors have ended; end all that it holds or waits for."""

    session_id: str


class HostCallsGone(Message):
    """root → limiter: there are no more calls of hosts; end all that they hold or wait for."""


class LaneChecked(Message):
    """limiter's timer → limiter: a lane may grant, or a lease has ended."""

    lane: str
