"""When a lane can grant a request, against lanes of which everything is tried."""

from collections import Counter
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drawn_lanes import CHAINS, DrawnLanes
from support.instructions import steps_of
from support.lane_model import micros
from support.laneset_model import Driven, slot_request

SEEDS = 1_000


def grants_at_once(lanes, request, now):
    """Return whether some lanes grant a request if it comes at that time."""
    blocked = {name: lane._blocked_until for name, lane in lanes.lanes.items()}
    lanes.request(request, now)
    lanes.withdraw(request.request_id, now)
    for name, until in blocked.items():
        lanes.lanes[name]._blocked_until = until
    return any(step.event == "slot_granted" for step in lanes.take_steps())


def earliest_by_trying(drawn, request):
    """Return the first moment at which a request is granted, of all at which it may be."""
    emptied = drawn.emptied()
    return next((t for t in drawn.moments() if grants_at_once(emptied, request, t)), None)


def test_the_earliest_time_is_the_first_of_all_at_which_it_can_be_granted():
    later = never = 0
    for seed in range(SEEDS // 2):
        drawn = DrawnLanes(seed)
        for name in drawn.names:
            request = drawn.request(name)
            found = drawn.lanes.earliest(request, drawn.now)
            assert found == earliest_by_trying(drawn, request), f"seed {seed}, lane {name}"
            later += found is not None and found > drawn.now
            never += found is None
    assert later > SEEDS / 10, "few of them wait"
    assert never > SEEDS / 40


ALONE = ({"image": None},)


def forecast(drawn, request):
    return drawn.lanes.forecast(request, drawn.now, drawn.held_for)


@pytest.mark.parametrize("budgeted", [False, True])
def test_a_forecast_is_exact_where_slots_are_held_for_as_long(budgeted):
    kinds = Counter()
    for seed in range(SEEDS):
        drawn = DrawnLanes(
            seed, chains=ALONE, holds=lambda _: 7, bounded=False, budgeted=budgeted, steps=60
        )
        drawn.held_for = {"image": 7}
        request, now = drawn.request("image"), drawn.now
        found = forecast(drawn, request)
        happened = drawn.granted_at(request, micros(400))
        if happened == "request_dropped":
            assert found is None, f"seed {seed}"
            kinds["dropped"] += 1
        elif happened is None:
            assert found is None or found > now + micros(400), f"seed {seed}"
            kinds["never"] += 1
        else:
            assert found == happened, f"seed {seed}"
            kinds["later" if found > now else "now"] += 1
    print(kinds)
    assert kinds["later"] > SEEDS / 4


def test_a_forecast_is_never_too_early_and_mostly_about_right():
    """Slots are held for times with a long tail, also behind other lanes."""
    errors, unknown = [], 0
    for seed in range(SEEDS):
        drawn = DrawnLanes(
            seed,
            chains=CHAINS,
            holds=lambda random: 0.01 + random.expovariate(1 / 7),
            bounded=False,
            steps=60,
        )
        request, now = drawn.request(drawn.pick(*drawn.names)), drawn.now
        found, possible = forecast(drawn, request), earliest_by_trying(drawn, request)
        if found is None:
            unknown += possible is not None
            continue
        assert possible is not None, f"seed {seed}"
        assert found >= possible, f"seed {seed}"
        happened = drawn.granted_at(request, micros(1_000))
        if type(happened) is int and happened > now:
            errors.append((abs(found - happened) / (happened - now), abs(found - happened) / 1e6))
    relative, absolute = (median(column) for column in zip(*errors, strict=True))
    print(f"{len(errors)} waited; median error {relative:.1%}, {absolute:.2f} s; {unknown} unknown")
    by_slots = [error for error in errors if error[1] > 1e-5]
    relative_by_slots, absolute_by_slots = (
        median(column) for column in zip(*by_slots, strict=True)
    )
    print(f"{len(by_slots)} by slots: {relative_by_slots:.1%}, {absolute_by_slots:.2f} s")
    assert len(errors) > SEEDS / 5
    assert relative < 0.1
    assert relative_by_slots < 0.7


def test_a_forecast_costs_no_more_with_a_hundred_times_as_many_that_wait():
    def cost(waiting):
        driven = Driven(image={"max_concurrent": 1, "ageing": None})
        for number in range(waiting):
            driven.lanes.request(slot_request(owner=f"o{number % 7}"), 0)
        request = slot_request()
        return steps_of(lambda: driven.lanes.forecast(request, 0, {"image": 7}))

    assert cost(60_000) <= 1.5 * cost(600)


def test_a_forecast_of_very_many_is_about_right():
    driven = Driven(image={"max_concurrent": 2})
    for _ in range(10_002):
        driven.lanes.request(slot_request(), 0)
    seconds = driven.lanes.forecast(slot_request(), 0, {"image": 3}) / 1e6
    assert 14_900 < seconds < 15_200


@given(st.integers(1, 10**9), st.integers(0, 10**6), st.sampled_from([None, 60, 3_600]))
def test_a_reservoir_that_is_filled_slowly_is_not_counted_drop_by_drop(weight, more, refreshed):
    values = {"reservoir": 0, "reservoir_increase_amount": 1, "reservoir_increase_interval": 0.001}
    if refreshed:
        values |= {"reservoir_refresh_amount": more, "reservoir_refresh_interval": refreshed}
    driven = Driven(image={"max_concurrent": None, **values})
    found = driven.lanes.earliest(slot_request(weight=weight), 0)
    if refreshed is None:
        assert found == weight * 1_000
    elif found is not None:
        assert found <= 1_001 * micros(refreshed)


@pytest.mark.parametrize("lane", ["image", "a"])
@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({"reservoir": 0, "reservoir_refresh_amount": 1, "reservoir_refresh_interval": 60}, 60),
        ({"reservoir": 0}, None),
        ({"min_time": 30}, 0),
        ({"max_concurrent": 1}, 0),
    ],
)
def test_the_earliest_time_knows_of_the_lane_upstream(lane, values, seconds):
    driven = Driven(image=values, a={"behind": "image"})
    at = driven.lanes.earliest(slot_request(None, lane), 0)
    assert at == (None if seconds is None else micros(seconds))


def test_the_earliest_time_of_a_lane_that_is_not_open_yet_is_that_of_a_new_one():
    driven = Driven({"host": {"behind": "image"}}, image={})
    driven.pause("image", 5)
    assert driven.lanes.earliest(slot_request(None, "host:1"), 0) == micros(5)
    assert list(driven.lanes.lanes) == ["image"]
