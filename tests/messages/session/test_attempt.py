"""What is out for a task changes by the table alone, and what it tells is what was done."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.limiter.protocol import SlotGranted
from limner.messages.session.attempt import TRANSITIONS, Attempt, AttemptState, CallEnd
from limner.messages.session.gathering import GatherState

IDLE, WAITING, HOLDING = AttemptState.IDLE, AttemptState.WAITING, AttemptState.HOLDING
CALLING, STOPPING = AttemptState.CALLING, AttemptState.STOPPING
BACKING_OFF, OVER = AttemptState.BACKING_OFF, AttemptState.OVER
KEEPING = AttemptState.KEEPING

WITH_SLOT = {HOLDING, CALLING, STOPPING}
ALLOWED = {
    "request": {IDLE: WAITING, BACKING_OFF: WAITING},
    "hold": {WAITING: HOLDING},
    "hold another": {},
    "call": {HOLDING: CALLING},
    "stop": {CALLING: STOPPING},
    "time out": {CALLING: STOPPING},
    "keep": {CALLING: KEEPING, STOPPING: KEEPING},
    "give slot back": {KEEPING: KEEPING},
    "release": {state: IDLE for state in AttemptState if state not in {KEEPING, OVER}},
    "end": dict.fromkeys(AttemptState, OVER),
    "back off": {IDLE: BACKING_OFF},
}
"""From which states what may be done, and where it leads; a release of nothing changes nothing."""

ACTIONS = (*ALLOWED, "revoke")
# what a task does from its first request to its picture; drawn alone it would seldom come so far
COURSES = (
    ["request", "hold", "call", "end"],
    ["request", "hold", "call", "time out", "release", "back off"],
    ["request", "hold", "call", "revoke", "stop", "release"],
    ["request", "hold", "revoke", "release"],
    ["request", "hold", "call", "keep", "end"],
    ["request", "hold", "call", "revoke", "stop", "keep", "give slot back"],
)
histories = st.lists(
    st.one_of(st.sampled_from(ACTIONS).map(lambda action: [action]), st.sampled_from(COURSES)),
    max_size=15,
).map(lambda parts: [action for part in parts for action in part])


def grant(request_id: str | None, number: int) -> SlotGranted:
    return SlotGranted(
        request_id=request_id or "none", task_id="t", slot_id=f"slot{number}", expires_at=1
    )


def act(attempt: Attempt, action: str, now: int) -> Attempt:
    match action:
        case "request":
            return attempt.request("t", now)
        case "hold":
            return attempt.hold(grant(attempt.request_id, now))
        case "hold another":
            return attempt.hold(grant("another", now))
        case "call":
            return attempt.call()
        case "stop":
            return attempt.stop()
        case "time out":
            return attempt.stop(timed_out=True)
        case "release" | "end":
            return attempt.release(over=action == "end")
        case "keep":
            return attempt.keep()
        case "give slot back":
            return attempt.give_slot_back()
        case "back off":
            return attempt.back_off()
        case _:
            return attempt.revoke()


def run(history):
    """Yield each action with the attempt before and after it: `None` if it was refused."""
    attempt = Attempt()
    for now, action in enumerate(history, start=1):
        before = tuple(attempt)
        try:
            after = act(attempt, action, now)
        except ValueError:
            after = None
        assert tuple(attempt) == before
        yield now, action, attempt, after
        attempt = attempt if after is None else after


@given(histories)
def test_an_attempt_goes_from_state_to_state_by_the_table_alone(history):
    for _, action, before, after in run(history):
        if action == "revoke":
            allowed = before.state in WITH_SLOT and not before.revoked
            assert (after is not None) == allowed
            assert after is None or after.state is before.state
            continue
        to = ALLOWED[action].get(before.state)
        assert (after and after.state) == to
        if to is not None and to is not before.state:
            assert to in TRANSITIONS[before.state]
        if to is before.state and action != "give slot back":
            assert after == before


def test_each_state_is_reached_and_each_transition_is_made_by_something():
    seen, made, new = {Attempt()}, set(), [Attempt()]
    while new:
        before = new.pop()
        for action in ACTIONS:
            try:
                after = act(before, action, 1)
            except ValueError:
                assert action == "revoke" or before.state not in ALLOWED[action]
                continue
            assert action == "revoke" or after.state is ALLOWED[action][before.state]
            if after.state is not before.state:
                made.add((before.state, after.state))
            if after not in seen and after.requests < 4:
                seen.add(after)
                new.append(after)
    assert {attempt.state for attempt in seen} == set(AttemptState)
    assert made == {(state, to) for state, following in TRANSITIONS.items() for to in following}


def test_nothing_follows_the_end():
    over = Attempt().release(over=True)
    assert TRANSITIONS[OVER] == set()
    assert over.over
    assert over.release(over=True) is over
    for action in set(ACTIONS) - {"end"}:
        with pytest.raises(ValueError, match="attempt"):
            act(over, action, 1)


@given(histories)
def test_what_an_attempt_tells_is_what_was_done(history):
    slot, request, since, revoked, late = None, None, None, False, False
    done = Counter()
    requests = []
    for now, action, before, after in run(history):
        if after is None:
            continue
        done[action] += after is not before
        match action:
            case "request":
                request, since, revoked, late = after.request_id, since or now, False, False
                requests.append(request)
            case "hold":
                slot, request = f"slot{now}", None
            case "time out":
                late = True
            case "revoke":
                revoked = True
            case "keep":
                late = False
            case "give slot back":
                slot = None
            case "release" | "end":
                slot = request = None
            case "back off":
                revoked = False
        assert after.has_slot == (slot is not None)
        assert after.over == (done["end"] > 0)
        assert after.request_id == request
        assert after.since == since
        assert after.revoked == revoked
        assert after.timed_out == late
        assert [after.holds(f"slot{other}") for other in range(now + 1)] == [
            slot == f"slot{other}" for other in range(now + 1)
        ]
        assert after.requests == done["request"]
        assert after.revocations == done["revoke"]
        assert after.failures(done["call"]) == done["call"] - done["revoke"]
        assert len(set(requests)) == len(requests)


@given(histories, st.booleans(), st.booleans())
def test_the_end_of_a_call_is_told_by_the_first_of_what_has_happened(history, settled, lapsed):
    for _, _, attempt, _ in run([*history, "end"]):
        happened = {
            CallEnd.LATE: settled,
            CallEnd.LAPSED: lapsed,
            CallEnd.REVOKED: attempt.revoked,
            CallEnd.TIMED_OUT: attempt.timed_out,
            CallEnd.FAILED: True,
        }
        first = next(end for end in CallEnd if happened[end])
        assert attempt.end_of_call(settled=settled, lapsed=lapsed) is first


@pytest.mark.parametrize(
    "course",
    [
        ["request"],
        ["request", "hold"],
        ["request", "hold", "revoke"],
        ["request", "hold", "call"],
        ["request", "hold", "call", "stop"],
        ["request", "hold", "call", "time out"],
        ["request", "hold", "call", "stop", "revoke"],
        ["request", "release", "back off"],
    ],
)
def test_what_has_been_done_is_not_done_twice(course):
    attempt = Attempt()
    for action in course:
        attempt = act(attempt, action, 1)
    with pytest.raises(ValueError, match="attempt"):
        act(attempt, course[-1], 1)


def test_a_slot_of_another_request_is_not_taken():
    attempt = Attempt().request("t", 1)
    old = grant(attempt.request_id, 1)
    attempt = attempt.release(over=False).request("t", 2)
    with pytest.raises(ValueError, match="another request"):
        attempt.hold(old)


def test_a_request_keeps_the_time_of_the_first_one():
    attempt = Attempt().request("t", 0).release(over=False).request("t", 5)
    assert (attempt.since, attempt.request_id) == (0, "t-2")


def test_a_session_takes_requests_until_it_has_sealed():
    takes = {state for state in GatherState if state.takes_requests}
    assert takes == set(GatherState) - {GatherState.SEALED, GatherState.CLOSED}
