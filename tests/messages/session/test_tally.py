"""A tally comes to the same, in whatever order it hears."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.session.tally import Tally
from limner.messages.tasks import Task, TaskState

FINAL = [state for state in TaskState if state.final]
IDS = [f"t{number}" for number in range(6)]


def settled(name: str, state: TaskState = TaskState.FAILED) -> Task:
    return Task(id=name, session_id="s", message_id="m", prompt_id="p", prompt="", state=state)


names = st.frozensets(st.sampled_from(IDS))
outcomes = st.lists(st.builds(settled, st.sampled_from(IDS), st.sampled_from(FINAL)), max_size=12)


def tell(heard: list[frozenset[str] | Task]) -> Tally:
    tally = Tally()
    for one in heard:
        tally = tally.settle(one) if isinstance(one, Task) else tally.seal(one)
    return tally


@given(names, outcomes, st.data())
def test_a_tally_is_complete_when_each_sealed_task_has_settled_in_any_order(sealed, told, data):
    done = {task.id for task in told}
    for heard in ([sealed, *told], [*told, sealed], data.draw(st.permutations([sealed, *told]))):
        tally = tell(heard)
        assert tally.complete == (sealed <= done)
        assert tally.awaited == tuple(sorted(sealed - done))
        assert tally.settled.keys() == done


@given(names, outcomes)
def test_the_first_outcome_of_a_task_stands(sealed, told):
    first = {task.id: task for task in reversed(told)}
    assert dict(tell([sealed, *told, *reversed(told)]).settled) == first


@given(names, names, outcomes)
def test_the_first_seal_stands(sealed, other, told):
    assert tell([sealed, other, *told]) == tell([sealed, *told])


@given(outcomes)
def test_nothing_is_complete_or_awaited_before_the_seal(told):
    tally = tell(told)
    assert not tally.complete
    assert tally.awaited == ()


def test_no_tasks_at_all_are_complete_once_sealed():
    assert Tally().seal(frozenset()).complete


def test_a_task_outside_of_the_seal_holds_nothing_up_and_completes_nothing():
    tally = tell([frozenset({"t0"}), settled("t1")])
    assert not tally.complete
    assert tally.settle(settled("t0")).complete


@pytest.mark.parametrize("state", [state for state in TaskState if not state.final])
def test_a_task_that_has_not_settled_is_refused(state):
    with pytest.raises(ValueError, match="settles nothing"):
        Tally().settle(settled("t0", state))


def test_a_tally_is_not_changed_by_what_it_hears():
    tally = Tally()
    tally.seal(frozenset({"t0"}))
    tally.settle(settled("t0"))
    assert tally == Tally()
