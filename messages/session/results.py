"""What a session's write settles, and what its future gives, from its tasks."""

from collections.abc import Iterable

from limner.messages.picture_requests import RequestOutcome
from limner.messages.pictures import Failure, Illustrated, Placement, Unplaced, Unwritten
from limner.messages.prompts import Prompt
from limner.messages.registry import Version
from limner.messages.session.totals import RequestsSealed, StreamSealed
from limner.messages.tasks import Task, TaskEnd, TaskState
from limner.messages.text.compose import Composed

UNWRITTEN = {
    Unwritten.GONE: "the message is gone from the store; its pictures are kept",
    Unwritten.UNCHANGED: "there was nothing to change in the text",
    Unwritten.EMPTY: "it ended before any text had come; the text it had is left",
}
"""Why a text was not written, in words for people."""


def prompt_of(task: Task) -> Prompt:
    """Return the prompt of a streamed text that a task is for."""
    return Prompt.trusted(
        id=task.prompt_id,
        message_id=task.message_id,
        text=task.prompt,
        ordinal=task.ordinal,
        parent_id=None,
        source="streamed",
        feedback=None,
    )


def placement_of(task: Task) -> Placement | None:
    """Return the placement that a task has made, if it is completed."""
    if task.picture is None:
        return None
    return Placement.trusted(
        prompt_id=task.prompt_id,
        prompt=task.prompt,
        picture=task.picture,
        task_id=task.id,
        ordinal=task.ordinal,
    )


def failure_of(task: Task) -> Failure | None:
    """Return why a task has no picture; `None` if it has one, or nobody wants it any more."""
    if task.picture is not None or task.end is TaskEnd.WITHDRAWN:
        return None
    return Failure(
        task_id=task.id,
        prompt_id=task.prompt_id,
        prompt=task.prompt,
        state="failed" if task.state is TaskState.FAILED else "cancelled",
        reason=task.reason or "",
        ordinal=task.ordinal,
    )


def outcomes_of(totals: RequestsSealed, tasks: Iterable[Task]) -> tuple[RequestOutcome, ...]:
    """Return what became of the requests of a regeneration, in their order."""
    by_id = {task.id: task for task in tasks}
    return tuple(
        RequestOutcome(
            request=request,
            placement=placement_of(by_id[task_id]),
            failure=failure_of(by_id[task_id]),
        )
        for task_id, request in totals.requests.items()
        if task_id in by_id
    )


def illustrated(
    message_id: str,
    totals: StreamSealed | RequestsSealed,
    tasks: Iterable[Task],
    composed: Composed,
    version: Version | None,
    *,
    stored: str | None = None,
    gone: bool = False,
) -> Illustrated:
    """Return what the session's future gives.

    Args:
        message_id: the message.
        totals: what was sealed.
        tasks: the session's, each in a final state.
        composed: the text, or what it would have been.
        version: of the text; `None` if nothing was written.
        stored: the text as it stands, if nothing was written.
        gone: whether the message is not there any more.
    """
    placed, unplaced, text = composed.placed, composed.unplaced, composed.text
    text_sealed = totals.text if isinstance(totals, StreamSealed) else ""
    unwritten, reason = None, None
    if version is None:
        unwritten = Unwritten.GONE if gone else Unwritten.UNCHANGED
        reason = UNWRITTEN[unwritten]
        unplaced += tuple(Unplaced(placement=picture, reason=reason) for picture in placed)
        placed, text = (), text_sealed if stored is None else stored
    return Illustrated(
        message_id=message_id,
        text=text,
        version=version,
        pictures=placed,
        unplaced=unplaced,
        failures=tuple(failure for task in tasks if (failure := failure_of(task)) is not None),
        over_limit=totals.over_limit,
        dropped_patterns=totals.dropped_patterns if isinstance(totals, StreamSealed) else (),
        near_misses=totals.near_misses,
        removed=composed.removed if version is not None else (),
        written=version is not None,
        reason=reason,
        unwritten=unwritten,
    )
