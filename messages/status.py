"""What a studio and a message look like from outside, at one moment."""

from typing import Literal

from limner.messages.base import Value


class LaneStatus(Value):
    """One lane of the limiter: slots out, slots at most, requests that wait."""

    out: int
    max_concurrent: int | None
    waiting: int


class StudioStatus(Value):
    """A studio at one moment.

    Args:
        sessions: messages with a live session.
        waiting_sessions: opens that wait for the session before them.
        lanes: the limiter's lanes by name.
        actors: living actors.
        threads: living threads of the studio, the abandoned ones not counted.
        abandoned: threads of calls that have not come back.
        dead_letters: messages that came to an actor after its end.
    """

    sessions: int
    waiting_sessions: int
    lanes: dict[str, LaneStatus]
    actors: int
    threads: int
    abandoned: int
    dead_letters: int


class Progress(Value):
    """How far a message is.

    Args:
        message_id: the message.
        state: `streaming`, `settling` (sealed, not yet written), `regenerating`, or `none` (no
            live session).
        characters: how many have been streamed.
        detected, queued, generating, completed, failed, cancelled: tasks by state.
    """

    message_id: str
    state: Literal["streaming", "settling", "regenerating", "none"]
    characters: int = 0
    detected: int = 0
    queued: int = 0
    generating: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0


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
