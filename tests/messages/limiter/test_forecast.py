"""When a lane can grant a request, against lanes of which everything is tried."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drawn_lanes import DrawnLanes
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
    for seed in range(SEEDS):
        drawn = DrawnLanes(seed)
        for name in drawn.names:
            request = drawn.request(name)
            found = drawn.lanes.earliest(request, drawn.now)
            assert found == earliest_by_trying(drawn, request), f"seed {seed}, lane {name}"
            later += found is not None and found > drawn.now
            never += found is None
    assert later > SEEDS / 5, "few of them wait"
    assert never > SEEDS / 20


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
