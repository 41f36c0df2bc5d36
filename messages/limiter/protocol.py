"""Slots: processor ↔ limiter. A slot is given back by its holder."""

from pydantic import Field

from limner.messages.base import Address, Message


class RequestSlot(Message):
    """processor → limiter: one wish to generate."""

    request_id: str
    session_id: str
    message_id: str
    task_id: str
    lane: str = "image"
    owner: str | None = None
    priority: int = Field(default=3, ge=0, le=9)
    weight: int = Field(default=1, ge=1)
    since: int | None = None
    """If a slot was revoked: when the first request of the task was made; it goes first then."""
    revocable: bool = True
    requests: tuple[str, ...] = ()
    """Of a batch: the names of the requests that the one slot is for."""
    reply_to: Address | None = Field(repr=False)
    """Who is told; nobody, if it stands in its lane for a request of another one."""


class SlotGranted(Message):
    """limiter → processor: begin, before `expires_at` microseconds of the system's clock."""

    request_id: str
    task_id: str
    slot_id: str
    expires_at: int


class SlotExpired(Message):
    """limiter → processor: the lease has ended, and the slot is no longer yours."""

    task_id: str
    slot_id: str


class SlotRevoked(Message):
    """limiter → processor: give the slot back; it stays yours until then, or the grace ends."""

    task_id: str
    slot_id: str


class RequestDropped(Message):
    """limiter → processor: there will be no slot, and why."""

    request_id: str
    task_id: str
    reason: str


class ReleaseSlot(Message):
    """processor → limiter: the slot is free again."""

    slot_id: str
    failed: bool | None = None
    """Whether the back end failed; `None` if the call does not tell."""
    retry_after: float | None = None
    """Seconds for which the back end asks to be left alone."""


class WithdrawRequest(Message):
    """processor → limiter: the slot is not wanted any more."""

    request_id: str


class SessionGone(Message):
    """root → limiter: a session's actors have ended; take back all it holds or waits for."""

    session_id: str
    """Empty for the hosts' own calls, of which there will be no more."""


class LaneChecked(Message):
    """limiter's timer → limiter: a lane may grant, or a lease has ended."""

    lane: str
