"""The audit of calls for whatever a message or an owner has: I17, I18 and I19."""

import pytest

from limner.messages.events.invariants import Audit


def proofs(rule, *events):
    """Return the proofs of the violations of a rule; an event a line, from number 2 on."""
    log = [{"event": "studio_opened"}, *events]
    numbered = [{"seq": seq, "t": float(seq), **event} for seq, event in enumerate(log, 1)]
    audit = Audit()
    for event in numbered:
        audit.feed(event)
    return [found.seqs for found in audit.finish().violations if found.rule == rule]


def request(name, priority, *, owner="ann", task=None):
    names = {"request_id": name, "task_id": task or name, "lane": "image", "owner": owner}
    return {"event": "slot_requested", **names, "priority": priority, "weight": 1}


def moved(name, priority):
    return {"event": "request_prioritised", "request_id": name, "priority": priority}


def granted(name):
    names = {"request_id": name, "task_id": name, "slot_id": f"slot {name}", "lane": "image"}
    return {"event": "slot_granted", **names, "weight": 1}


def lane_with(ageing):
    settings = {"max_concurrent": None, "min_time": 0, "ageing": ageing}
    return {"event": "lane_opened", "lane": "image", **settings}


def test_a_request_that_was_moved_has_its_turn_by_its_priority_now():
    asked = lane_with(None), request("a", 7), request("b", 3)
    assert proofs("I17", *asked, moved("a", 0), granted("b")) == [(4, 5, 6)]
    assert proofs("I17", *asked, moved("b", 9), granted("b")) == [(3, 5, 6)]
    assert proofs("I17", *asked, moved("a", 3), granted("b")) == [(4, 5, 6)]
    assert proofs("I17", *asked, moved("a", 0), granted("a"), granted("b")) == []
    assert proofs("I17", *asked, granted("a")) == []  # nothing was moved
    gone = {"event": "request_withdrawn", "request_id": "a", "lane": "image"}
    assert proofs("I17", *asked, moved("a", 0), gone, granted("b")) == []


def test_age_owners_and_slots_before_may_let_another_request_go_first():
    asked = request("a", 7), request("b", 3)
    assert proofs("I17", lane_with(60.0), *asked, moved("a", 0), granted("b")) == []
    others = request("a", 7), request("b", 3, owner="bob")
    assert proofs("I17", lane_with(None), *others, moved("a", 0), granted("b")) == []
    again = request("b", 3), granted("b"), *asked
    assert proofs("I17", lane_with(None), *again, moved("a", 3), granted("b")) == []


def session(event, message="m", name="s", **fields):
    return {"event": f"session_{event}", "session_id": name, "message_id": message, **fields}


def of_message(event, message="m", **fields):
    return {"event": event, "message_id": message, "session_id": "s", "task_id": "t", **fields}


FORGOTTEN = {"event": "message_forgotten", "message_id": "m"}
ENDED = session("ended", outcome="failed")
KEPT = of_message("task_settled", state="completed", kept=True)
EDITED = {"event": "text_edited", "message_id": "m", "placed": ["p"]}


def test_a_message_is_forgotten_only_without_a_session():
    assert proofs("I18", session("opened"), FORGOTTEN) == [(2, 3)]
    assert proofs("I18", session("opened"), ENDED, FORGOTTEN) == []
    assert proofs("I18", session("opened", "other"), FORGOTTEN) == []
    failed = {"event": "edit_failed", "message_id": "m", "kind": "forget"}
    assert proofs("I18", failed, session("opened"), FORGOTTEN) == []  # it came late


@pytest.mark.parametrize("event", [EDITED, of_message("generation_completed")])
def test_nothing_of_a_forgotten_message_comes_back_unasked(event):
    assert proofs("I18", FORGOTTEN, event) == [(2, 3)]
    assert proofs("I18", event, FORGOTTEN) == []
    assert proofs("I18", FORGOTTEN, session("opened"), event) == []
    assert proofs("I18", FORGOTTEN, {**event, "message_id": "other"}) == []


def test_a_late_picture_excuses_nothing_of_a_forgotten_message():
    late = of_message("generation_late")
    assert proofs("I18", FORGOTTEN, late, EDITED) == [(2, 4)]
    assert proofs("I18", FORGOTTEN, late, session("opened"), KEPT) == [(2, 5)]
    assert proofs("I18", FORGOTTEN, session("opened"), late, KEPT) == []


def test_no_picture_of_a_forgotten_message_is_taken_for_kept():
    made = of_message("generation_completed")
    assert proofs("I18", FORGOTTEN, session("opened"), KEPT) == [(2, 4)]
    assert proofs("I18", FORGOTTEN, session("opened"), made, KEPT) == []
    failed = of_message("actor_failed", failed="ProcessorActor")
    assert proofs("I18", FORGOTTEN, session("opened"), failed, KEPT) == []  # it may have kept one


def cancel_all(owner, how):
    return {"event": f"cancel_all_{how}", "owner": owner, "cancellation": 1}


@pytest.mark.parametrize("whose", ["ann", None])
def test_what_cancels_all_of_an_owner_is_answered_after_their_ends(whose):
    opened = session("opened", owner="ann", kind="stream")
    requested, done = cancel_all(whose, "requested"), cancel_all(whose, "done")
    assert proofs("I19", opened, requested, done) == [(2, 3, 4)]
    assert proofs("I19", opened, requested, ENDED, done) == []
    assert proofs("I19", requested, opened, done) == []  # it began after the call
    written = {"event": "text_written", "session_id": "s"}
    assert proofs("I19", opened, written, requested, done) == []
    assert proofs("I19", opened, requested, written, done) == [(2, 3, 5)]
    assert proofs("I19", {**opened, "kind": "regeneration"}, requested, done) == []
    of_bob = cancel_all("bob", "requested"), cancel_all("bob", "done")
    assert proofs("I19", opened, *of_bob) == []
    lost = {"event": "events_lost", "seq": 9, "first": 4, "last": 8}
    assert proofs("I19", opened, requested, lost, {**done, "seq": 10}) == []
