"""What hosts are told, beside what the log says has settled."""

from contextlib import nullcontext

import pytest

from limner.messages import Failure
from limner.scripts.simulate.picture_callbacks import PictureCallbacks


def failure(task_id, state="failed"):
    return Failure(task_id=task_id, prompt_id="p", prompt="a roof", state=state, reason="")


def settled(task_id, state="failed"):
    return {"event": "task_settled", "task_id": task_id, "state": state}


@pytest.fixture
def picture_callbacks():
    return PictureCallbacks(nullcontext())


def test_what_is_told_and_settled_is_no_problem(picture_callbacks):
    for listen in (picture_callbacks.listener(), picture_callbacks.listener()):
        listen(failure("t"))
    picture_callbacks.feed(settled("t"))
    assert picture_callbacks.problems == list(picture_callbacks.differences(complete=True)) == []


def test_a_host_that_is_told_twice_is_a_problem(picture_callbacks):
    listen = picture_callbacks.listener()
    listen(failure("t"))
    listen(failure("t"))
    assert "twice" in picture_callbacks.problems[0]


def test_a_task_that_is_not_told_is_a_problem(picture_callbacks):
    picture_callbacks.feed(settled("t"))
    assert list(picture_callbacks.differences(complete=False)) == []
    assert "not told" in next(picture_callbacks.differences(complete=True))


def test_another_state_than_the_logs_is_a_problem(picture_callbacks):
    picture_callbacks.listener()(failure("t", "cancelled"))
    picture_callbacks.feed(settled("t"))
    assert "the log says 'failed'" in next(picture_callbacks.differences(complete=True))


@pytest.mark.parametrize(
    "event",
    [
        {"event": "prompt_withdrawn", "task_id": "t"},
        {"event": "request_taken_back", "tasks": ["t"]},
    ],
)
def test_what_was_withdrawn_need_not_be_told(picture_callbacks, event):
    picture_callbacks.feed(event)
    picture_callbacks.feed(settled("t", "cancelled"))
    assert list(picture_callbacks.differences(complete=True)) == []
