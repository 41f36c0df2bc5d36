"""What hosts are told, beside what the log says has settled."""

from contextlib import nullcontext

import pytest

from limner.messages import Failure
from limner.scripts.simulate.tellings import Tellings


def failure(task_id, state="failed"):
    return Failure(task_id=task_id, prompt_id="p", prompt="a roof", state=state, reason="")


def settled(task_id, state="failed"):
    return {"event": "task_settled", "task_id": task_id, "state": state}


@pytest.fixture
def tellings():
    return Tellings(nullcontext())


def test_what_is_told_and_settled_is_no_problem(tellings):
    for listen in (tellings.listener(), tellings.listener()):
        listen(failure("t"))
    tellings.feed(settled("t"))
    assert tellings.problems == list(tellings.differences(complete=True)) == []


def test_a_host_that_is_told_twice_is_a_problem(tellings):
    listen = tellings.listener()
    listen(failure("t"))
    listen(failure("t"))
    assert "twice" in tellings.problems[0]


def test_a_task_that_is_not_told_is_a_problem(tellings):
    tellings.feed(settled("t"))
    assert list(tellings.differences(complete=False)) == []
    assert "not told" in next(tellings.differences(complete=True))


def test_another_state_than_the_logs_is_a_problem(tellings):
    tellings.listener()(failure("t", "cancelled"))
    tellings.feed(settled("t"))
    assert "the log says 'failed'" in next(tellings.differences(complete=True))


@pytest.mark.parametrize(
    "event",
    [
        {"event": "prompt_withdrawn", "task_id": "t"},
        {"event": "request_taken_back", "tasks": ["t"]},
    ],
)
def test_what_was_withdrawn_need_not_be_told(tellings, event):
    tellings.feed(event)
    tellings.feed(settled("t", "cancelled"))
    assert list(tellings.differences(complete=True)) == []
