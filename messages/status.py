"""The state of a studio, of its lanes and of a message, at one moment."""

from typing import Literal

from limner.messages.base import Value

LaneState = Literal["open", "blocked", "paused", "resting", "probing", "draining", "stopped"]


class LaneStatus(Value):
    """One lane of the limiter at one moment.

    Args:
        out: the summed weight of the slots that are out.
        max_concurrent: the summed weight that may be out; `None` is no limit.
        waiting: how many requests wait.
        state: `open`, `blocked` (it refuses requests, by the strategy `block`), `paused`,
            `resting` (its circuit is open, since its back end has failed again and again),
            `probing` (one call goes, to see whether it still fails), `draining` or `stopped`.
        failures: how many calls in a row have failed, of those that the circuit breaker counts.
        last_error: how the last one of them failed; `None` if the last call has not failed.
    """

    out: int
    max_concurrent: int | None
    waiting: int
    state: LaneState = "open"
    failures: int = 0
    last_error: str | None = None


class StudioStatus(Value):
    """A studio at one moment.

    Args:
        sessions: how many messages have a live session.
        waiting_sessions: how many sessions wait for an earlier session of their message.
        lanes: the limiter's lanes by name.
        actors: how many actors live.
        threads: how many threads of the studio live, without the abandoned ones.
        abandoned: how many threads run calls that were abandoned and have not returned.
        dead_letters: how many messages came to an actor after its end.
    """

    sessions: int
    waiting_sessions: int
    lanes: dict[str, LaneStatus]
    actors: int
    threads: int
    abandoned: int
    dead_letters: int


ProgressState = Literal[
    "streaming", "settling", "regenerating", "written", "failed", "cancelled", "unknown"
]
"""How far a message is. `streaming`: it takes text. `settling`: it is complete, and not yet
written. `regenerating`: pictures of its text are drawn again. `written`: its last session has
ended, and its text is in the store. `failed`: its last session has failed or timed out.
`cancelled`: its last session was cancelled, or the message is gone from the store. `unknown`: there
never was such a message, or nothing is left of it."""


class Progress(Value):
    """How far a message is: its live session, or the last one that has ended.

    Tasks that were withdrawn, since the text has lost their prompts, are not counted.

    Args:
        message_id: the message.
        state: how far it is.
        characters: how many characters have been streamed.
        detected, queued, generating, completed, failed, cancelled: how many tasks of the session
            are in each state. Of a message that only the store knows: how many pictures and marks
            of failures it has.
    """

    message_id: str
    state: ProgressState
    characters: int = 0
    detected: int = 0
    queued: int = 0
    generating: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def finished(self) -> int:
        """How many tasks have their picture; the same as `completed`."""
        return self.completed

    @property
    def total(self) -> int:
        """How many tasks there are so far; `finished`, `failed` and `cancelled` are over."""
        return (
            self.detected
            + self.queued
            + self.generating
            + self.completed
            + self.failed
            + self.cancelled
        )


class Pending(Value):
    """What waits to be written of one message.

    Args:
        message_id: the message.
        held: whether its writes are held.
        writing: what is written now: `session`, or the kind of an edit; `None` if nothing is.
        waiting: what waits, in its order.
        gathering: how many requests for pictures gather in a regeneration session.
    """

    message_id: str
    held: bool = False
    writing: str | None = None
    waiting: tuple[str, ...] = ()
    gathering: int = 0


class Forgotten(Value):
    """What was forgotten of a message. Its text stays as it is.

    Args:
        message_id: the message.
        prompts: how many prompts were forgotten.
        pictures: ids of the pictures whose bytes were deleted, since no other message has them.
    """

    message_id: str
    prompts: int = 0
    pictures: tuple[str, ...] = ()
