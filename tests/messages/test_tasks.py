"""A task passes through the states of its table, and through no others."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt
from limner.messages.tasks import TRANSITIONS, Task, TaskEnd, TaskState

PICTURE = Picture(id="0" * 32, url="p.png", media_type="image/png", width=1, height=1)
PROMPT = Prompt(id="0" * 20, message_id="m", text="a cat", ordinal=0)
ALLOWED = {
    ("detected", "queued"),
    ("detected", "completed"),
    ("detected", "cancelled"),
    ("queued", "generating"),
    ("queued", "completed"),
    ("queued", "failed"),
    ("queued", "cancelled"),
    ("generating", "queued"),
    ("generating", "completed"),
    ("generating", "failed"),
    ("generating", "cancelled"),
}


def new_task(**changes: object) -> Task:
    task = Task.requested(PROMPT, session_id="s", owner=None, priority=3, at=5)
    return task.model_copy(update=changes)


def picture_for(state: TaskState) -> Picture | None:
    return PICTURE if state is TaskState.COMPLETED else None


@pytest.mark.parametrize(("old", "new"), [*product(TaskState, TaskState)])
def test_only_the_transitions_of_the_table_are_allowed(old, new):
    task = new_task(state=old, attempts=2)
    if (old, new) in ALLOWED:
        following = task.to(new, at=9, reason="why", picture=picture_for(new))
        assert (following.state, following.since, following.reason) == (new, 9, "why")
        assert following.history == ((old, 5),)
        assert following.attempts == 2 + (new == "generating")
        assert following.picture == picture_for(new)
        assert task == new_task(state=old, attempts=2)
    else:
        with pytest.raises(ValueError, match=f"cannot go from {old} to {new}"):
            task.to(new, at=9, picture=picture_for(new))


@pytest.mark.parametrize("state", TaskState)
def test_a_state_is_final_when_nothing_follows_it(state):
    assert state.final == (state in ("completed", "failed", "cancelled"))


def test_a_task_is_completed_with_a_picture_and_only_then():
    with pytest.raises(ValueError, match="needs a picture"):
        new_task().to(TaskState.COMPLETED, at=9)
    with pytest.raises(ValueError, match="needs a picture"):
        new_task().to(TaskState.QUEUED, at=9, picture=PICTURE)


def test_an_end_is_of_a_final_state_and_is_not_persisted():
    withdrawn = new_task().to(TaskState.CANCELLED, at=9, end=TaskEnd.WITHDRAWN)
    assert withdrawn.end is TaskEnd.WITHDRAWN
    assert "end" not in withdrawn.model_dump()
    assert Task.model_validate_json(withdrawn.model_dump_json()).end is None
    with pytest.raises(ValueError, match="no end in state queued"):
        new_task().to(TaskState.QUEUED, at=9, end=TaskEnd.WITHDRAWN)


@given(st.data())
def test_the_history_is_the_states_that_the_task_passed_through(data):
    task, way, at = new_task(), [], 5
    while not task.state.final and len(way) < 20:
        way.append((task.state, at))
        state = data.draw(st.sampled_from(sorted(TRANSITIONS[task.state])))
        at += data.draw(st.integers(0, 10))
        task = task.to(state, at=at, picture=picture_for(state))
    assert task.history == tuple(way)
    assert task.attempts == [*(state for state, _ in way), task.state].count("generating")


@given(st.text(), st.text(), st.integers(0, 9))
def test_the_same_request_is_the_same_task_and_another_is_another(session, other, number):
    def task(session_id: str, number: int) -> Task:
        return Task.requested(
            PROMPT, session_id=session_id, owner=None, priority=3, at=0, number=number
        )

    assert task(session, number) == task(session, number)
    assert task(session, number).id != task(session, number + 1).id
    assert (task(session, number).id == task(other, number).id) == (session == other)
