"""The state of a studio, of its lanes and of a message, at one moment."""

from typing import Literal

from limner.messages.base import Value


class LaneStatus(Value):
    """One lane of the limiter at one moment.

    Args:
        out: the summed weight of the slots that are out.
        max_concurrent: the summed weight that may be out; `None` is no limit.
        waiting: how many requests wait.
    """

    out: int
    max_concurrent: int | None
    waiting: int


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


class Progress(Value):
    """How far the live session of a message is.

    Args:
        message_id: the message.
        state: `streaming`, `settling` (sealed, not yet written), `regenerating`, or `none` (no
            live session).
        characters: how many characters have been streamed.
        detected, queued, generating, completed, failed, cancelled: how many tasks are in
            each state.
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
