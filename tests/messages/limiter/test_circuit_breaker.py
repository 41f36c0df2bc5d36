"""Back ends that fail or ask for a pause: the circuit breaker by itself, and in lanes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.laneset_model import Driven, PlainCircuit, granted, lane_events

from limner.messages.errors import Reason
from limner.messages.limiter.circuit_breaker import Circuit
from limner.messages.limiter.settings import LaneSettings


@given(
    failures=st.integers(1, 3),
    pause=st.sampled_from([0, 1, 5]),
    steps=st.lists(
        st.one_of(
            st.just(("go",)),
            st.tuples(
                st.just("end"), st.integers(0, 9), st.sampled_from([None, True, True, False])
            ),
            st.tuples(st.just("wait"), st.integers(1, 6)),
        ),
        max_size=60,
    ),
)
def test_a_circuit_is_as_one_that_remembers_when_each_call_went(failures, pause, steps):
    circuit, model = Circuit(failures, pause), PlainCircuit()
    told = LaneSettings(circuit_failures=failures, circuit_seconds=max(pause, 1e-9) / 1e6)
    now, number, out = 0, 0, []
    for step in steps:
        match step:
            case ("go",) if circuit.free_at(now) == now:
                number += 1
                circuit.call_started(number)
                model.granted(number)
                out.append(number)
            case ("end", index, failed) if out:
                ended = out.pop(index % len(out))
                circuit.call_ended(ended, failed, now)
                model.ended(ended, failed, now, told)
            case ("wait", by):
                now += by
        assert circuit.state == model.state
        assert circuit.failures_in_a_row == model.row
        assert (circuit.free_at(now) == now) == model.allows(now)
        due = circuit.free_at(now)
        assert due is None or (due >= now and model.allows(due))


def rested(lane="image", **values):
    """Lanes of which one was asked for 9 s of rest by its back end, while another slot is out."""
    driven = Driven(**{"image": {}, "a": {"behind": "image"}, lane: values})
    driven.ask("out", lane)
    driven.ask("slow", lane)
    driven.give("out", retry_after=9)
    return driven


def test_a_back_end_that_asks_for_a_rest_has_its_own_lane_paused_for_that_long():
    driven = rested("a", behind="image")
    assert granted(driven.ask("i1")) == ["i1"]
    assert granted(driven.ask("a1", "a")) == []
    assert driven.at(8.9) == []
    assert granted(driven.at(9)) == ["a1"]


def test_a_back_end_has_no_longer_rest_than_pause_maximum():
    driven = rested(pause_maximum=2)
    driven.ask("i1")
    assert granted(driven.at(2)) == ["i1"]


def test_a_back_end_makes_no_pause_shorter():
    driven = rested(adapt=True)
    driven.give("slow", retry_after=1)
    driven.ask("i1")
    assert granted(driven.at(8.9)) == []
    driven.ask("i2")
    driven.pause("image")
    driven.ask("i3")
    assert granted(driven.at(500)) == []


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_rest_of_no_time_is_none(seconds):
    driven = Driven(image={})
    driven.ask("i1")
    assert driven.give("i1", retry_after=seconds) == ["slot_released image i1", "lane_idle image"]


def test_a_lane_that_does_not_adapt_neither_rests_nor_opens_its_circuit():
    driven = rested(adapt=False, circuit_failures=1)
    assert driven.give("slow", failed=True) == ["slot_released image slow", "lane_idle image"]
    assert granted(driven.ask("i1")) == ["i1"]


def failing(**values):
    """A lane whose circuit is open for 10 s: `old` is out from before, `probe` waits."""
    driven = Driven(image={"circuit_failures": 2, "circuit_seconds": 10, **values})
    for name in ("f1", "f2", "old"):
        driven.ask(name)
    driven.give("f1", failed=True)
    assert "circuit_open image" in driven.give("f2", failed=True)
    assert granted(driven.ask("probe")) == []
    return driven


def test_so_many_failures_in_a_row_open_a_circuit_and_a_probe_that_succeeds_closes_it():
    driven = failing()
    driven.ask("next")
    assert granted(driven.at(9.9)) == []
    lines = driven.at(10)
    assert granted(lines) == ["probe"]
    assert lane_events(lines, "image") == ["circuit_half_open"]
    lines = driven.give("probe", failed=False)
    assert granted(lines) == ["next"]
    assert lane_events(lines, "image") == ["circuit_closed"]


def test_a_probe_that_fails_opens_the_circuit_for_as_long_again():
    driven = failing()
    driven.ask("next")
    driven.at(10)
    assert lane_events(driven.give("probe", failed=True), "image") == ["circuit_open"]
    assert granted(driven.at(19.9)) == []
    assert granted(driven.at(20)) == ["next"]


def test_a_success_between_failures_keeps_a_circuit_closed():
    driven = Driven(image={"circuit_failures": 2})
    for number, failed in enumerate([True, False, True, None, False, True]):
        driven.ask(f"i{number}")
        driven.give(f"i{number}", failed=failed)
    assert "circuit_open image" not in driven.told


def test_a_probe_that_ends_without_an_outcome_lets_another_go():
    driven = failing()
    driven.ask("next")
    driven.at(10)
    assert granted(driven.give("probe", failed=None)) == ["next"]
    lines = driven.give("next", failed=False)
    assert lane_events(lines, "image") == ["circuit_closed"]


def fail_probe(driven, name, *, at, **said):
    assert granted(driven.at(at)) == [name]
    return driven.give(name, failed=True, **said)


def test_what_waits_is_dropped_once_a_second_probe_in_a_row_has_failed():
    driven = failing()
    driven.ask("second")
    driven.ask("waits")
    assert "request_dropped" not in str(fail_probe(driven, "probe", at=10))
    driven.ask("waits too")
    lines = fail_probe(
        driven, "second", at=20, error=Reason("it is down", "http://10.0.0.7 is down")
    )
    reason = (
        "its back end fails again and again: the circuit of lane 'image' is open after 4 failures "
        "in a row, the last one: it is down"
    )
    for name in ("waits", "waits too"):
        assert f"request_dropped image {name}: {reason}" in lines
    assert driven["image"].waiting == 0


def test_what_comes_after_the_last_probe_waits_for_the_next_one():
    driven = failing(circuit_patience=1)
    fail_probe(driven, "probe", at=10)
    assert driven.ask("new") == ["slot_requested image new"]
    assert granted(driven.at(20)) == ["new"]
    driven.ask("next")
    assert granted(driven.give("new", failed=False)) == ["next"]


def test_with_no_patience_set_nothing_is_dropped():
    driven = failing(circuit_patience=None)
    for number in range(20):
        driven.ask(f"i{number}")
    fail_probe(driven, "probe", at=10)
    for number in range(19):
        fail_probe(driven, f"i{number}", at=10 * number + 20)
    assert driven["image"].waiting == 1


def test_a_probe_that_succeeds_ends_the_row_of_failed_ones():
    driven = failing()
    driven.ask("second")
    fail_probe(driven, "probe", at=10)
    assert granted(driven.at(20)) == ["second"]
    driven.give("second", failed=False)
    driven = failing()
    assert driven["image"].circuit.failed_probes == 0


def test_what_waits_behind_a_lane_that_has_given_up_is_dropped_with_it():
    driven = Driven(
        image={"circuit_failures": 1, "circuit_seconds": 10, "circuit_patience": 1},
        a={"behind": "image"},
    )
    driven.ask("failed")
    driven.give("failed", failed=True)
    driven.ask("probe")
    driven.ask("a1", "a")
    lines = fail_probe(driven, "probe", at=10)
    assert any(line.startswith("request_dropped a a1") for line in lines)
    assert driven["a"].waiting == driven["image"].waiting == 0


@pytest.mark.parametrize("failed", [True, False])
def test_a_call_from_before_a_circuit_opened_has_no_say_any_more(failed):
    """Neither while it is open, nor while it is half-open, nor when it is closed again."""
    driven = failing(max_concurrent=6, circuit_failures=2)
    driven.give("old", failed=failed)
    assert driven["image"].circuit.state == "open"
    driven = failing()
    driven.at(10)
    driven.give("old", failed=failed)
    assert driven["image"].circuit.state == "half-open"
    driven = failing()
    driven.at(10)
    driven.give("probe", failed=False)
    driven.give("old", failed=failed)
    assert driven["image"].circuit.failures_in_a_row == 0


def test_a_lease_that_ends_is_a_failure_and_a_grace_that_ends_says_nothing():
    driven = Driven(image={"max_concurrent": 1, "circuit_failures": 2, "lease": 1})
    driven.ask("i1")
    driven.ask("i2")
    assert lane_events(driven.at(2), "image") == ["circuit_open", "lane_idle"]
    driven = Driven(image={"max_concurrent": 1, "circuit_failures": 2, "preempt": True, "grace": 1})
    driven.ask("failed")
    driven.give("failed", failed=True)
    driven.ask("back", priority=7)
    driven.ask("active")
    assert granted(driven.at(1)) == ["active"]
    assert driven["image"].circuit.failures_in_a_row == 1


def test_a_call_of_a_lane_behind_another_counts_in_its_own():
    driven = Driven(image={"circuit_failures": 1}, a={"behind": "image", "circuit_failures": 1})
    driven.ask("a1", "a")
    assert lane_events(driven.give("a1", failed=True), "a") == ["circuit_open", "lane_idle"]
    assert driven["image"].circuit.state == "closed"
    assert granted(driven.ask("i1")) == ["i1"]


@pytest.mark.parametrize("failed", [True, False, None])
def test_a_probe_may_be_a_call_of_a_lane_behind(failed):
    """The circuit does not wait for ever for one that is never said to have ended."""
    driven = Driven(image={"circuit_failures": 1, "circuit_seconds": 10}, a={"behind": "image"})
    driven.ask("failed")
    driven.give("failed", failed=True)
    driven.ask("probe", "a")
    driven.ask("next")
    assert granted(driven.at(10)) == ["probe"]
    driven.give("probe", failed=failed)
    driven.at(20)
    assert "slot_granted image next" in driven.told


def test_a_circuit_that_is_given_up_is_told_to_be_closed():
    driven = failing()
    lines = driven.update("image", adapt=False)
    assert granted(lines) == ["probe"]
    assert lane_events(lines, "image") == ["lane_updated", "circuit_closed"]


def test_a_lane_of_a_group_whose_calls_fail_one_by_one_opens_its_circuit():
    """It is idle after each, and would forget them if it were dropped."""
    driven = Driven({"host": {"circuit_failures": 3, "circuit_seconds": 10}})
    for number in range(3):
        driven.at(number)
        assert granted(driven.ask(f"h{number}", "host:1")) == [f"h{number}"]
        lines = driven.give(f"h{number}", failed=True)
    assert lane_events(lines, "host:1") == ["circuit_open", "lane_idle"]
    assert driven.at(11.9) == []
    assert driven.at(12) == ["lane_dropped host:1"]
