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


def wish(**changes: object) -> Task:
    task = Task.wish(PROMPT, session_id="s", owner=None, priority=3, at=5)
    return task.model_copy(update=changes)


def picture_for(state: TaskState) -> Picture | None:
    return PICTURE if state is TaskState.COMPLETED else None


@pytest.mark.parametrize(("old", "new"), [*product(TaskState, TaskState)])
def test_only_the_transitions_of_the_table_are_allowed(old, new):
    task = wish(state=old, attempts=2)
    if (old, new) in ALLOWED:
        following = task.to(new, at=9, reason="why", picture=picture_for(new))
        assert (following.state, following.since, following.reason) == (new, 9, "why")
        assert following.history == ((old, 5),)
        assert following.attempts == 2 + (new == "generating")
        assert following.picture == picture_for(new)
        assert task == wish(state=old, attempts=2)
    else:
        with pytest.raises(ValueError, match=f"cannot go from {old} to {new}"):
            task.to(new, at=9, picture=picture_for(new))


@pytest.mark.parametrize("state", TaskState)
def test_a_state_is_final_when_nothing_follows_it(state):
    assert state.final == (state in ("completed", "failed", "cancelled"))


def test_a_task_is_completed_with_a_picture_and_only_then():
    with pytest.raises(ValueError, match="needs a picture"):
        wish().to(TaskState.COMPLETED, at=9)
    with pytest.raises(ValueError, match="needs a picture"):
        wish().to(TaskState.QUEUED, at=9, picture=PICTURE)


def test_an_end_is_of_a_final_state_and_is_not_persisted():
    withdrawn = wish().to(TaskState.CANCELLED, at=9, end=TaskEnd.WITHDRAWN)
    assert withdrawn.end is TaskEnd.WITHDRAWN
    assert "end" not in withdrawn.model_dump()
    assert Task.model_validate_json(withdrawn.model_dump_json()).end is None
    with pytest.raises(ValueError, match="no end in state queued"):
        wish().to(TaskState.QUEUED, at=9, end=TaskEnd.WITHDRAWN)


@given(st.data())
def test_the_history_is_the_way_that_the_task_went(data):
    task, way, at = wish(), [], 5
    while not task.state.final and len(way) < 20:
        way.append((task.state, at))
        state = data.draw(st.sampled_from(sorted(TRANSITIONS[task.state])))
        at += data.draw(st.integers(0, 10))
        task = task.to(state, at=at, picture=picture_for(state))
    assert task.history == tuple(way)
    assert task.attempts == [*(state for state, _ in way), task.state].count("generating")


@given(st.text(), st.text(), st.integers(0, 9))
def test_the_same_wish_is_the_same_task_and_another_is_another(session, other, how_manieth):
    def task(session_id: str, wish: int) -> Task:
        return Task.wish(PROMPT, session_id=session_id, owner=None, priority=3, at=0, wish=wish)

    assert task(session, how_manieth) == task(session, how_manieth)
    assert task(session, how_manieth).id != task(session, how_manieth + 1).id
    assert (task(session, how_manieth).id == task(other, how_manieth).id) == (session == other)
