"""How the last session of each message has ended, of as many as are remembered."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.pictures import Illustrated, Unwritten
from limner.messages.session.ended_messages import EndedMessages, progress_of
from limner.messages.session.lifecycle import Regenerate, SessionEnded


def opening(name="m", owner=None):
    return Regenerate(
        session_id=f"s-{name}",
        message_id=name,
        owner=owner,
        priority=3,
        resolve=lambda editor: (),
        future=None,
    )


def ended(outcome="written", name="m", **result):
    return SessionEnded(
        session_id=f"s-{name}",
        message_id=name,
        outcome=outcome,
        result=Illustrated(message_id=name, text="", version=None, **result) if result else None,
    )


@pytest.mark.parametrize(
    ("outcome", "result", "state"),
    [
        ("written", {}, "written"),
        ("cancelled", {}, "cancelled"),
        ("failed", {}, "failed"),
        ("timed_out", {}, "failed"),
        ("skipped", {"unwritten": Unwritten.UNCHANGED}, "written"),
        ("skipped", {"unwritten": Unwritten.EMPTY}, "written"),
        ("skipped", {"unwritten": Unwritten.GONE}, "cancelled"),
    ],
)
def test_each_outcome_is_a_state(outcome, result, state):
    assert progress_of(opening(), ended(outcome, **result), Counter()).state == state


def test_counts_are_those_of_the_tasks():
    counts = Counter(completed=3, failed=1, cancelled=2)
    progress = progress_of(opening(), ended(), counts)
    assert (progress.finished, progress.failed, progress.total) == (3, 1, 6)


def test_a_regeneration_that_did_nothing_leaves_what_is_known():
    known = EndedMessages()
    known.add(opening(), ended(), Counter(completed=3))
    known.add(opening(), ended("skipped"), Counter())
    assert known.progress("m").finished == 3


def test_a_message_is_forgotten_when_it_is_wanted():
    known = EndedMessages()
    known.add(opening(), ended(), Counter())
    known.forget("m")
    known.forget("m")
    assert known.progress("m") is None


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 5))
def test_the_messages_that_ended_last_are_remembered(numbers, size):
    known = EndedMessages(size)
    for number in numbers:
        known.add(opening(str(number), f"o{number}"), ended(name=str(number)), Counter())
    newest = list(dict.fromkeys(str(number) for number in reversed(numbers)))[:size]
    assert [owner.message_id for owner in reversed(known.owners())] == newest
    assert all(known.progress(name).state == "written" for name in newest)
    assert all(owner.owner == f"o{owner.message_id}" for owner in known.owners())
