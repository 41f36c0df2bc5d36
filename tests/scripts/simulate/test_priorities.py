"""What the simulation says of requests that keep a priority which their session has no more."""

from limner.scripts.simulate.priorities import Priorities

DETECTED = (0.0, "prompt_detected", {})
REQUESTED = (0.0, "slot_requested", {"priority": 3})
GIVEN = (1.0, "session_prioritised", {"priority": 0})
MOVED = (1.0, "request_prioritised", {"priority": 0})


def granted(t):
    return (t, "slot_granted", {})


def found(*events):
    priorities = Priorities()
    names = {"session_id": "s", "task_id": "t", "request_id": "r"}
    return [
        line
        for t, name, fields in events
        for line in priorities.feed({"t": t, "event": name, **names, **fields})
    ]


def test_a_request_that_keeps_its_priority_is_told():
    (told,) = found(DETECTED, REQUESTED, GIVEN, granted(3.5))
    assert told == (
        "task t gets a slot by priority 3, 2.5 s after its session was given priority 0"
    )


def test_a_request_that_is_moved_is_no_problem():
    assert not found(DETECTED, REQUESTED, GIVEN, MOVED, granted(3.5))


def test_a_grant_that_crosses_with_the_call_is_no_problem():
    assert not found(DETECTED, REQUESTED, GIVEN, granted(1.5))


def test_a_task_that_is_wanted_later_has_the_priority_of_its_request():
    assert not found(GIVEN, DETECTED, REQUESTED, granted(9.0))
