"""The audit of how many pictures of one message are in generation at one time: I21."""

import pytest

from limner.messages.events.invariants import Audit


def proofs(*events):
    """Return the proofs of the violations of I21; an event a line, from number 2 on."""
    log = [{"event": "studio_opened"}, *events]
    audit = Audit()
    for seq, event in enumerate(log, 1):
        audit.feed({"seq": seq, "t": float(seq), **event})
    return [found.seqs for found in audit.finish().violations if found.rule == "I21"]


def of_session(event, **fields):
    return {"event": event, "session_id": "s", "message_id": "m", **fields}


def opened(most):
    return of_session("session_opened", max_per_message=most)


def started(slot):
    return of_session("generation_started", slot_id=slot)


def test_more_of_one_message_than_may_be_are_told():
    three = [started(f"slot{number}") for number in range(3)]
    assert proofs(opened(2), *three) == [(2, 3, 4, 5)]
    assert proofs(opened(3), *three) == []
    assert proofs(of_session("session_opened"), *three) == []
    assert proofs(opened(2), *({**event, "session_id": "other"} for event in three)) == []


@pytest.mark.parametrize("event", ["slot_released", "slot_revoked", "slot_expired"])
def test_a_generation_ends_with_its_slot(event):
    ended = of_session(event, slot_id="slot0")
    begun = opened(1), started("slot0")
    assert proofs(*begun, ended, started("slot1")) == []
    assert proofs(*begun, {**ended, "slot_id": "slot7"}, started("slot1")) == [(2, 3, 5)]


@pytest.mark.parametrize("most", ["1", None, [1], True])
def test_a_limit_that_is_none_is_not_checked(most):
    assert proofs(opened(most), started("slot0"), started("slot1")) == []
