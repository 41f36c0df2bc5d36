"""The audit of what is dropped for want of room: I20."""

import pytest

from limner.messages.events.invariants import Audit


def proofs(*events):
    """Return the proofs of the violations of I20; an event a line, from number 2 on."""
    log = [{"event": "studio_opened"}, *events]
    audit = Audit()
    for seq, event in enumerate(log, 1):
        audit.feed({"seq": seq, "t": float(seq), **event})
    return [found.seqs for found in audit.finish().violations if found.rule == "I20"]


def lane(name="image", strategy="leak", behind=None):
    limits = {"max_concurrent": 1, "min_time": 0, "strategy": strategy, "behind": behind}
    return {"event": "lane_opened", "lane": name, **limits}


def request(name, priority=3, *, where="image", message=None, task=None):
    names = {"request_id": name, "task_id": task or name, "lane": where, "weight": 1}
    of = {} if message is None else {"message_id": message, "session_id": f"{message}-session"}
    return {"event": "slot_requested", **names, **of, "priority": priority}


def dropped(name, *, where="image", reason="high water"):
    ended = {"request_id": name, "task_id": name, "lane": where, "reason": reason}
    return {"event": "request_dropped", **ended}


@pytest.mark.parametrize("strategy", ["leak", "overflow_priority"])
def test_the_least_important_goes(strategy):
    asked = lane(strategy=strategy), request("active"), request("background", 7)
    assert proofs(*asked, dropped("active")) == [(3, 5)]
    assert proofs(*asked, dropped("background")) == []
    assert proofs(*asked, dropped("active", reason="waited too long")) == []
    gone = {"event": "request_withdrawn", "request_id": "background", "lane": "image"}
    assert proofs(*asked, gone, dropped("active")) == []
    moved = {"event": "request_prioritised", "request_id": "active", "priority": 9}
    assert proofs(*asked, moved, dropped("active")) == []
    assert proofs(*asked, moved, dropped("background")) == [(4, 6)]


@pytest.mark.parametrize("strategy", ["overflow", "block"])
def test_other_strategies_drop_others(strategy):
    asked = lane(strategy=strategy), request("active"), request("background", 7)
    assert proofs(*asked, dropped("active")) == []


def test_the_last_of_a_message_goes():
    asked = lane(), *(request(name, message="m") for name in "abc"), request("x", message="n")
    assert proofs(*asked, dropped("a")) == [(3, 4, 7)]
    assert proofs(*asked, dropped("c")) == []
    assert proofs(*asked, dropped("c"), dropped("b"), dropped("x")) == []
    again = request("a-2", message="m", task="a")
    granted = {
        "event": "slot_granted",
        "request_id": "a",
        "task_id": "a",
        "slot_id": "s",
        "lane": "image",
    }
    assert proofs(*asked, {**granted, "weight": 1}, again, dropped("c")) == []
    others = (
        lane(strategy="overflow_priority"),
        request("a", message="m"),
        request("b", message="m"),
    )
    assert proofs(*others, dropped("a")) == []


def test_what_waits_in_lanes_behind_counts_too():
    asked = lane(), lane("a", behind="image"), request("r", where="a"), request("s", 7)
    here = dropped("r", where="a")
    assert proofs(*asked, here) == []
    assert proofs(*asked, {**here, "reason": "high water in lane image"}) == [(4, 6)]


@pytest.mark.parametrize(
    "event",
    [
        {"event": "lane_updated", "lane": "image", "behind": "a", "strategy": "leak"},
        {"event": "lane_updated", "lane": "image", "behind": "a", "strategy": ["leak"]},
        {"event": "request_prioritised", "request_id": "r", "priority": "9"},
        {"event": "request_prioritised", "request_id": ["r"], "priority": 9},
        dropped("r", reason="high water in lane nowhere"),
        dropped("r", reason=7),
        {"event": "events_lost", "first": 5, "last": 5},
    ],
)
def test_whatever_a_log_says_is_no_error(event):
    asked = lane(), lane("a", behind="image"), request("r", where="a"), request("s", 7)
    assert proofs(*asked, event, dropped("s")) == []
