"""A task: one wish for one picture, and the states that it may pass through."""

from enum import StrEnum
from types import MappingProxyType

from pydantic import Field

from limner.messages.base import Value
from limner.messages.ids import task_id, task_seed
from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt


class TaskState(StrEnum):
    """Where a task stands."""

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
    """What a settled task's state leaves open, for whoever decides on it."""

    WITHDRAWN = "withdrawn"
    """Cancelled since its prompt is in the text no more: it is no failure."""


class Task(Value):
    """One wish for one picture. Immutable: `to` gives the next state of it.

    Args:
        id: a hash of session, prompt and the how-manieth wish for it.
        prompt: the text to draw.
        ordinal: the prompt's occurrence among prompts of the same text.
        kind: what the task asks for; `picture`, or what a host runs through the limiter.
        owner: on whose behalf, for fairness between owners.
        priority: 0 (first) to 9; `active` is 3 and `background` 7.
        seed: of the generator, from the id.
        attempts: how many calls of the generator have begun.
        reason: why it failed, was cancelled or is queued again, for people.
        end: what program code has to know of its end beside its state; not persisted.
        picture: what it gave, once it is completed.
        history: the states before this one, each with the time that it was entered,
            in microseconds of the system's clock.
        since: when this state was entered, in the same.
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
    def wish(
        cls,
        prompt: Prompt,
        *,
        session_id: str,
        owner: str | None,
        priority: int,
        at: int,
        wish: int = 0,
    ) -> "Task":
        """Give the `wish`-th task of a session for a prompt, detected `at` microseconds."""
        name = task_id(session_id, prompt.id, wish)
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
        """Give this task in its next state.

        Args:
            state: the state to enter.
            at: when, in microseconds of the system's clock.
            reason: why it failed, was cancelled, or is queued again.
            end: what its end was, where the state does not tell; only in a final state.
            picture: what it gave; needed for `completed`, and only there.

        Raises:
            ValueError: if the table does not allow the transition, or a picture is missing
                or given where none belongs, or an end is given for a state that is not final.
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
