"""Budgets: their settings, and what is left of each kind, against slow and obvious models."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.budget_model import granted_in_any_span, plain_budget

from limner.messages.errors import SettingsInvalid
from limner.messages.limiter.budget import Budget
from limner.messages.limiter.budget_windows import window_of
from limner.messages.limiter.settings import LaneSettings

KINDS = ["refilling", "fixed", "sliding"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Budget(0), "amount: input should be greater than or equal to 1, not 0"),
        (lambda: Budget(1.5), "amount: a whole number, not 1.5"),
        (lambda: Budget(5, per="week"), "per: minute, hour, day, or 0.001 to 2,678,400 seconds"),
        (lambda: Budget(5, per=float("nan")), "per: minute, hour, day"),
        (lambda: Budget(5, window="rolling"), "window: input should be 'refilling', 'fixed' or"),
        (lambda: Budget(5, 60), "a budget is an amount, and the rest by name"),
        (lambda: Budget(amont=5), "amont: there is no such setting; did you mean amount?"),
        (lambda: LaneSettings(budgets={"a b": Budget(5)}), "budgets.a b"),
        (lambda: LaneSettings(budgets={"a": 60}), "budgets.a: input should be a valid"),
    ],
)
def test_a_budget_that_cannot_be_is_refused_with_the_reason(make, words):
    with pytest.raises(SettingsInvalid) as error:
        make()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_request_takes_one_of_requests_and_nothing_of_others():
    assert Budget(60).cost("requests") == 1
    assert Budget(60).cost("tokens") == 0
    assert Budget(60, default=500).cost("tokens") == 500


@pytest.mark.parametrize(("per", "micros"), [("minute", 60_000_000), ("day", 86_400_000_000)])
def test_a_span_of_time_may_be_named(per, micros):
    assert Budget(5, per=per).micros == micros


def test_settings_of_a_lane_with_budgets_may_be_written_down_and_read_again():
    lane = LaneSettings(budgets={"cents": Budget(500, per="day", window="sliding")})
    assert LaneSettings(**lane.model_dump()) == lane
    assert LaneSettings.model_validate_json(lane.model_dump_json()) == lane


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "settle", "settle", "correct", "wait", "wait"]),
        st.integers(0, 9),
        st.one_of(st.sampled_from([0, 1, 15_625, 250_000, 1_000_000]), st.integers(0, 2_500_000)),
        st.integers(0, 30),
    ),
    max_size=30,
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100)
@given(amount=st.integers(1, 12), per=st.sampled_from([0.001, 0.7, 1]), steps=STEPS)
def test_a_window_is_as_the_obvious_one(kind, amount, per, steps):
    budget = Budget(amount, per=per, window=kind)
    window, plain, now, calls = window_of(budget, 5), plain_budget(budget, 5), 5, []
    for step, units, micros, number in steps:
        if step == "wait":
            now += micros
        elif step == "take":
            calls.append([units, window.take(units, now), plain.take(units, now)])
        elif step == "correct":
            resets_at = None if number > 15 else now + micros
            assert window.correct(units, resets_at, now) == plain.correct(units, resets_at, now)
        elif calls:
            call = calls[number % len(calls)]
            before, mark, take = call
            if units > before:
                window.take(units - before, now)
            else:
                window.give_back(before - units, mark, now)
            plain.settle(take, before, units, now)
            call[0] = units
        assert window.left(now) == plain.left(now)
        for wanted in sorted({1, amount // 2 + 1, amount}):
            free = window.free_at(wanted, now)
            assert (free == now) == plain.allows(wanted, now)
            if free > now and kind != "sliding":
                assert plain.allows(wanted, free)
            assert free == now or not plain.allows(wanted, free - 1), "it is free too late"
        full = window.full_at(now)
        assert (full == now) == plain.full(now)
        assert full == now or plain.full(full)


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_takes_bounded_memory_however_much_is_taken(kind):
    window = window_of(Budget(1_000_000, per=60, window=kind), 0)
    for now in range(0, 120_000_000, 30_011):
        window.take(1, now)
    sizes = [len(getattr(window, name, ())) for name in ("_peaks", "_groups")]
    assert max(sizes) <= 66


@settings(max_examples=100)
@given(
    amount=st.integers(20, 60),
    pauses=st.lists(st.integers(0, 100_000), min_size=60, max_size=60),
)
def test_a_sliding_window_is_never_overspent_and_spent_to_95_percent(amount, pauses):
    window, now, grants = window_of(Budget(amount, per=1, window="sliding"), 0), 0, []
    for pause in pauses:  # how the first grants lie is how they return, span after span
        now = max(window.free_at(1, now), now + pause)
        window.take(1, now)
        grants.append((now, 1))
    begun = now
    while now < begun + 20_000_000:
        now = window.free_at(1, now)
        window.take(1, now)
        grants.append((now, 1))
    assert granted_in_any_span(grants, 1_000_000) <= amount
    assert sum(begun <= at < begun + 20_000_000 for at, _ in grants) >= 0.95 * amount * 20


def test_a_fixed_window_may_be_spent_twice_across_its_edge():
    window = window_of(Budget(5, per=60, window="fixed"), 0)
    window.take(5, 59_000_000)
    assert window.free_at(5, 59_000_000) == 60_000_000
    window.take(5, 60_000_000)
    assert window.free_at(1, 60_000_000) == 120_000_000


def test_a_bucket_refills_unit_by_unit_without_drift():
    window, now = window_of(Budget(7, per=1), 0), 0
    window.take(7, 0)
    for _ in range(70_000):
        now = window.free_at(1, now)
        window.take(1, now)
    assert now == 10_000_000_000


def test_nothing_is_given_back_with_which_the_bucket_would_have_run_over():
    window = window_of(Budget(10, per=10), 0)
    first = window.take(10, 0)
    window.take(10, 10_000_000)
    window.give_back(8, first, 10_000_000)
    assert window.left(10_000_000) == 0
    second = window.take(4, 12_000_000)
    window.give_back(3, second, 12_000_000)
    assert window.left(12_000_000) == 1


def test_a_debt_is_paid_by_what_comes_later():
    window = window_of(Budget(10, per=10), 0)
    window.take(30, 0)
    assert window.left(0) == -20
    assert window.free_at(1, 0) == 21_000_000


def test_a_correction_holds_until_the_reset_and_only_downward():
    window = window_of(Budget(10, per=10, window="sliding"), 0)
    assert window.correct(3, 4_000_000, 0)
    assert not window.correct(8, None, 0)
    assert window.left(3_999_999) == 3
    assert window.free_at(4, 0) == 4_000_000
    assert window.left(4_000_000) == 10
