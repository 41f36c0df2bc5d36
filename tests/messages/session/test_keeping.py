"""Keeping is tried again after a pause that grows, until it hangs too often or cannot succeed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.errors import GenerationFailed, Reason, StoreFailed, UnknownMessage
from limner.messages.session.keeping import MIN_PAUSE, Keeping, may_be_kept_later

tries = st.lists(st.booleans(), max_size=30)
bounds = {"base": st.floats(0, 60), "limit": st.floats(0, 60), "jitter": st.floats(0, 1)}


def after(hangs: list[bool]) -> Keeping:
    keeping = Keeping(7)
    for hung in hangs:
        keeping = keeping.failed(Reason("the disk is full", "the disk is full"), hung=hung)
    return keeping


@given(tries, st.integers(1, 5), st.fixed_dictionaries(bounds))
def test_only_tries_that_hang_are_counted_against_the_limit(hangs, limit, drawn):
    keeping = after(hangs)
    assert (keeping.tries, keeping.hung, keeping.made_at) == (len(hangs), sum(hangs), 7)
    assert (keeping.pause(hangs=limit, **drawn) is None) == (sum(hangs) >= limit)


@given(tries, st.fixed_dictionaries(bounds))
def test_a_pause_is_never_none_at_all_and_never_too_long(hangs, drawn):
    pause = after(hangs).pause(hangs=100, **drawn)
    assert MIN_PAUSE <= pause <= max(MIN_PAUSE, drawn["limit"])


@given(tries, st.fixed_dictionaries(bounds))
def test_what_cannot_succeed_is_not_tried_again(hangs, drawn):
    assert after(hangs).failed("no such message", hopeless=True).pause(hangs=9, **drawn) is None


def test_the_failure_names_the_store_and_says_that_there_was_a_picture():
    failure = after([False]).failure
    assert failure == "its picture was made but could not be kept: the disk is full"


@pytest.mark.parametrize(
    "error", [StoreFailed("full"), OSError(28, "No space left"), TimeoutError(), KeyError("x")]
)
def test_an_error_of_the_store_may_pass(error):
    assert may_be_kept_later(error)


@pytest.mark.parametrize(
    "error",
    [
        UnknownMessage("no such line"),
        TypeError("keep() takes 2 positional arguments"),
        NotImplementedError(),
        GenerationFailed("not this", retryable=False),
        SystemExit(),
    ],
)
def test_an_error_that_comes_each_time_does_not(error):
    assert not may_be_kept_later(error)
