"""The audit of budgets: I22."""

import pytest

from limner.messages.events.invariants import Audit

OPENED = {"event": "lane_opened", "lane": "a", "max_concurrent": None, "min_time": 0}


def proofs(*events):
    """Return the proofs of the violations of I22; an event a line, from number 2 on."""
    audit = Audit()
    audit.feed({"event": "studio_opened", "seq": 1, "t": 0, "at": "", "actor": "root"})
    for seq, event in enumerate(events, 2):
        audit.feed({"seq": seq, "at": "", "actor": "limiter", **event})
    return [found.seqs for found in audit.finish().violations if found.rule == "I22"]


def opened(kind, each="lane", amount=10):
    fields = {"amount": amount, "per": 60.0, "window": kind, "each": each, "default": None}
    return {**OPENED, "t": 0, "budgets": {"tokens": fields}}


def call(name, t, units, owner=None):
    request = {"t": t, "lane": "a", "request_id": name, "task_id": name, "weight": 1}
    owned = {} if owner is None else {"owner": owner}
    return (
        {**request, "event": "slot_requested", "priority": 3, **owned},
        {**request, "event": "slot_granted", "slot_id": f"a#{name}", "costs": {"tokens": units}},
    )


def settled(name, t, units):
    return {
        "event": "costs_settled",
        "t": t,
        "lane": "a",
        "request_id": name,
        "slot_id": f"a#{name}",
        "costs": {"tokens": units},
    }


@pytest.mark.parametrize(("kind", "most"), [("sliding", 10), ("fixed", 20), ("refilling", 20)])
def test_a_span_of_time_that_is_overspent_is_found(kind, most):
    assert proofs(opened(kind), *call("r", 1, most - 3), *call("s", 60, 3)) == []
    assert proofs(opened(kind), *call("r", 1, most - 3), *call("s", 60, 4)) == [(4, 6)]
    assert proofs(opened(kind), *call("r", 1, most - 3), *call("s", 61, 9)) == []


def test_a_call_counts_with_what_it_has_cost():
    first, sliding = call("r", 1, 9), opened("sliding")
    assert proofs(sliding, *first, settled("r", 2, 2), *call("s", 3, 8)) == []
    assert proofs(sliding, *first, settled("r", 2, 3), *call("s", 3, 8)) == [(5, 7)]
    assert proofs(sliding, *first, settled("r", 2, 30), *call("s", 61, 8)) == []


def test_each_owner_has_its_own():
    both = [*call("r", 1, 9, "ann"), *call("s", 2, 9, "bob")]
    assert proofs(opened("sliding", "owner"), *both) == []
    assert proofs(opened("sliding", "owner"), *both, *call("u", 3, 2, "ann")) == [(4, 8)]


def test_a_budget_that_was_put_down_counts_for_what_was_granted_before():
    lower = {**opened("sliding", amount=3), "event": "lane_updated", "t": 30}
    before = call("r", 1, 9)
    assert proofs(opened("sliding"), *before, lower, *call("s", 40, 1)) == []
    assert proofs(opened("sliding"), *before, lower, *call("s", 40, 2)) == [(4, 7)]
    assert proofs(opened("sliding"), *before, lower, *call("s", 95, 3)) == []
    assert proofs(opened("sliding"), *before, lower, *call("s", 95, 4)) == [(7,)]
