"""What a host asks of the limiter: edge → limiter."""

from typing import Literal

from pydantic import Field, SkipValidation

from limner.messages.base import Message, Value
from limner.messages.limiter.settings import LaneSettings


class UpdateLane(Message):
    """These settings are in force from now on."""

    lane: str
    settings: LaneSettings
    refill: bool = False
    """Whether what is left of a reservoir is as they say, though they said so before."""


class PauseLane(Message):
    """Grant nothing for so many seconds, or until it is resumed."""

    lane: str
    seconds: float | None = Field(default=None, gt=0)


class ResumeLane(Message):
    """Grant again."""

    lane: str


class EndLane(Message):
    """Take no request any more; `done` is set once nothing waits and nothing is out."""

    lane: str
    drop: bool
    done: SkipValidation[object] = Field(repr=False)


class ReportLane(Message):
    """Say how it looks in a lane. Answered with a `LaneReport`."""

    lane: str
    waiting: bool = False
    """Whether to name what waits, which takes a while where that is much."""

    owner: str | None = None
    priority: int | None = None
    """If given: name what waits of this owner, or with this priority, alone."""


class StateOf(Message):
    """Say where a task stands. Answered with a `TaskPlace`, or `None` if it is nowhere here."""

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


class LaneReport(Value):
    """How it looks in a lane, at one moment.

    Args:
        settings: those in force.
        state: `open`, `paused`, `resting` (its back end has failed again and again), `probing`
            (one call goes, to see whether it still fails), `draining` or `stopped`.
        counts: how many requests wait, how many slots are out, and how many there were of each
            other end: granted, released, revoked, expired, dropped, withdrawn.
        weight_out: summed weight of the slots that are out.
        reservoir: what may still be granted; `None` without a reservoir.
        ahead: of each priority from 0 to 9, how many requests wait and what they weigh together.
        waiting: what waits, by priority, the oldest first; empty if it was not asked for.
        held_for: seconds that the slots given back last were held, on average; `None` before any.
    """

    settings: LaneSettings
    state: Literal["open", "paused", "resting", "probing", "draining", "stopped"]
    counts: dict[str, int]
    weight_out: int
    reservoir: int | None
    ahead: tuple[tuple[int, int], ...]
    waiting: tuple[WaitingRequest, ...]
    held_for: float | None

    def forecast(self, priority: int) -> float | None:
        """Give the seconds that a request would wait here, about; `None` if it cannot be said.

        Args:
            priority: of the request, from 0 to 9.
        """
        if self.state != "open":
            return None
        settings = self.settings
        ahead, weight = map(sum, zip(*self.ahead[: priority + 1], strict=True))
        spaced = settings.min_time * ahead
        most = settings.max_concurrent
        if most is None or self.weight_out + weight < most:
            return spaced
        if self.held_for is None:
            return None
        return max(spaced, (self.weight_out + weight + 1 - most) / most * self.held_for)


class TaskPlace(Value):
    """Where a task stands with the limiter."""

    lane: str
    state: Literal["waiting", "out"]
    name: str
