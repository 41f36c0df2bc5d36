"""A task: one request for one picture, and the states that it may pass through."""

from enum import StrEnum
from types import MappingProxyType

from pydantic import Field

from limner.messages.base import Value
from limner.messages.ids import task_id, task_seed
from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt


class TaskState(StrEnum):
    """The state of a task."""

    DETECTED = "detected"
    QUEUED = "queued"
    GENERATING = "generating"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether a task in this state has settled."""
        return not TRANSITIONS[self]


TRANSITIONS = MappingProxyType(
    {
        # straight to completed: a picture kept by an earlier session of the message is used first
        TaskState.DETECTED: {TaskState.QUEUED, TaskState.COMPLETED, TaskState.CANCELLED},
        TaskState.QUEUED: {
            TaskState.GENERATING,
            TaskState.COMPLETED,
            TaskState.FAILED,
            TaskState.CANCELLED,
        },
        # back to queued: a retry, or a slot that was revoked or expired
        TaskState.GENERATING: {
            TaskState.QUEUED,
            TaskState.COMPLETED,
            TaskState.FAILED,
            TaskState.CANCELLED,
        },
        TaskState.COMPLETED: set[TaskState](),
        TaskState.FAILED: set[TaskState](),
        TaskState.CANCELLED: set[TaskState](),
    }
)
"""From each state, the states that may follow it."""


class TaskEnd(StrEnum):
    """How a task ended, where its state does not tell."""

    WITHDRAWN = "withdrawn"
    """Cancelled since its prompt is no longer in the text. That is no failure."""

    DEADLINE = "deadline"
    """Cancelled since its session's deadline has passed. A picture that comes later is wanted."""


class Task(Value):
    """One request for one picture. Immutable: `to` returns the task in its next state.

    Args:
        id: a hash of the session, the prompt and the number of the request for it.
        session_id: the session that the task is of.
        message_id: the message that the picture is for.
        prompt_id: the prompt's id in the registry.
        prompt: the text to draw.
        ordinal: the prompt's occurrence among prompts of the same text.
        kind: `picture`; other kinds are what a host runs through the limiter.
        owner: on whose behalf; the limiter is fair between owners.
        priority: 0 (first) to 9; `active` is 3 and `background` 7.
        seed: the generator's seed, 0 to 2**32 - 1, made from the id.
        state: the state it is in.
        attempts: how many calls of the generator have begun.
        reason: why it failed, was cancelled or is queued again, for people.
        end: how it ended, where the state does not tell; for program code, not persisted.
        picture: the picture, once it is completed.
        history: the states before this one, each with the time at which it was entered,
            in microseconds of the system's clock.
        since: when this state was entered, in microseconds of the same clock.
    """

    id: str
    session_id: str
    message_id: str
    prompt_id: str
    prompt: str
    ordinal: int = 0
    kind: str = "picture"
    owner: str | None = None
    priority: int = Field(default=3, ge=0, le=9)
    seed: int = Field(default=0, ge=0, lt=2**32)
    state: TaskState = TaskState.DETECTED
    attempts: int = 0
    reason: str | None = None
    end: TaskEnd | None = Field(default=None, exclude=True)
    picture: Picture | None = None
    history: tuple[tuple[str, int], ...] = ()
    since: int = 0

    @classmethod
    def requested(
        cls,
        prompt: Prompt,
        *,
        session_id: str,
        owner: str | None,
        priority: int,
        at: int,
        number: int = 0,
    ) -> "Task":
        """Return a new task for a prompt.

        Args:
            prompt: what to draw.
            session_id: the session that requests it.
            owner: on whose behalf.
            priority: 0 (first) to 9.
            at: when, in microseconds of the system's clock.
            number: how many tasks for this prompt the session has requested before.
        """
        name = task_id(session_id, prompt.id, number)
        return cls.trusted(
            id=name,
            session_id=session_id,
            message_id=prompt.message_id,
            prompt_id=prompt.id,
            prompt=prompt.text,
            ordinal=prompt.ordinal,
            owner=owner,
            priority=priority,
            seed=task_seed(name),
            kind="picture",
            state=TaskState.DETECTED,
            attempts=0,
            reason=None,
            end=None,
            picture=None,
            history=(),
            since=at,
        )

    def to(
        self,
        state: TaskState,
        *,
        at: int,
        reason: str | None = None,
        end: TaskEnd | None = None,
        picture: Picture | None = None,
    ) -> "Task":
        """Return this task in its next state.

        Args:
            state: the state to enter.
            at: when, in microseconds of the system's clock.
            reason: why it failed, was cancelled, or is queued again.
            end: how it ended, where the state does not tell; only with a final state.
            picture: the picture; only with `completed`, which needs one.

        Raises:
            ValueError: if the table does not allow the transition; if a picture is missing or
                does not belong to the state; if an end is given with a state that is not final.
        """
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"task {self.id} cannot go from {self.state} to {state}")
        if (picture is not None) != (state is TaskState.COMPLETED):
            raise ValueError(f"task {self.id} needs a picture to be completed, and only then")
        if end is not None and not state.final:
            raise ValueError(f"task {self.id} has no end in state {state}")
        return self.but(
            state=state,
            attempts=self.attempts + (state is TaskState.GENERATING),
            reason=reason,
            end=end,
            picture=picture,
            history=(*self.history, (self.state.value, self.since)),
            since=at,
        )
