"""What a host is shown of sessions and tasks, as frozen values."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from limner.messages.base import Value
from limner.messages.pictures import Picture
from limner.messages.session.control import SessionRecord
from limner.messages.session.lifecycle import OpenStream
from limner.messages.tasks import Task, TaskState

SessionState = Literal["waiting", "streaming", "gathering", "settling", "writing"]
"""How far a session is. `waiting`: behind another session of its message. `streaming`: it takes
text. `gathering`: it takes requests. `settling`: it waits for its pictures, or for its turn to
write. `writing`: its text is being written."""


class SessionStatus(Value):
    """A session that has not ended.

    Args:
        session_id: its id, as in the event log.
        message_id: whose.
        kind: of a `stream`, or a `regeneration` of a stored text.
        state: how far it is.
        owner: on whose behalf; of a regeneration, that of its first request.
        priority: 0 (first) to 9.
        characters: how many characters were streamed.
        detected, queued, generating, completed, failed, cancelled: how many of its tasks are in
            each state.
    """

    session_id: str
    message_id: str
    kind: Literal["stream", "regeneration"]
    state: SessionState
    owner: str | None
    priority: int
    characters: int = 0
    detected: int = 0
    queued: int = 0
    generating: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0


class StateEntered(Value):
    """A state of a task, and when it was entered.

    Args:
        state: the state.
        at: when, in seconds since 1970.
    """

    state: TaskState
    at: float


class TaskStatus(Value):
    """One request for one picture, and how far it is.

    Args:
        task_id: its id, as in the event log.
        session_id: its session.
        message_id: the message that the picture is for.
        prompt_id: the prompt's id in the registry.
        prompt: the text to draw.
        ordinal: the prompt's occurrence among prompts of the same text.
        owner: on whose behalf.
        priority: 0 (first) to 9.
        state: the state it is in.
        attempts: how many calls of the generator have begun.
        reason: why it failed, was cancelled or is queued again, for people.
        picture: the picture, once it is completed.
        history: the states that it has entered, the last of them its state now.
    """

    task_id: str
    session_id: str
    message_id: str
    prompt_id: str
    prompt: str = Field(repr=False)
    ordinal: int
    owner: str | None
    priority: int
    state: TaskState
    attempts: int
    reason: str | None
    picture: Picture | None
    history: tuple[StateEntered, ...]

    @classmethod
    def of(cls, task: Task, *, began: int) -> "TaskStatus":
        """Return the status of a task.

        Args:
            task: the task.
            began: when the clock of the task's times began, in microseconds since 1970.
        """
        entered = (*task.history, (task.state.value, task.since))
        return cls(
            task_id=task.id,
            session_id=task.session_id,
            message_id=task.message_id,
            prompt_id=task.prompt_id,
            prompt=task.prompt,
            ordinal=task.ordinal,
            owner=task.owner,
            priority=task.priority,
            state=task.state,
            attempts=task.attempts,
            reason=task.reason,
            picture=task.picture,
            history=tuple(
                StateEntered(state=TaskState(state), at=(began + at) / 1_000_000)
                for state, at in entered
            ),
        )


def session_status(record: SessionRecord, *, sealed: bool, tasks: Iterable[Task]) -> SessionStatus:
    """Return the status of a session.

    Args:
        record: what the sequencer knows of it.
        sealed: whether no more text comes, or no more requests.
        tasks: its tasks.
    """
    opening = record.opening
    stream = opening.stream if isinstance(opening, OpenStream) else None
    state: SessionState
    if record.session is None:
        state = "waiting"
    elif record.writing:
        state = "writing"
    elif sealed:
        state = "settling"
    else:
        state = "gathering" if stream is None else "streaming"
    counts = Counter(task.state.value for task in tasks)
    return SessionStatus(
        session_id=opening.session_id,
        message_id=opening.message_id,
        kind="regeneration" if stream is None else "stream",
        state=state,
        owner=opening.owner,
        priority=opening.priority,
        characters=0 if stream is None else stream.characters,
        **counts,
    )
