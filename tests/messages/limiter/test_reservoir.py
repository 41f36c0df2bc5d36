"""A reservoir, against one that is filled tick by tick."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.lane_model import PlainReservoir

from limner.messages.errors import SettingsInvalid
from limner.messages.limiter.reservoir import Reservoir
from limner.messages.limiter.settings import LaneSettings

INTERVALS = st.sampled_from([0.5, 0.75, 1, 1.5, 2, 3])
TIMES = st.one_of(st.integers(0, 4_000_000), st.sampled_from([1, 500_000, 3_000_000, 60_000_000]))


@st.composite
def reservoirs(draw):
    values = {"reservoir": draw(st.integers(0, 9))}
    if draw(st.booleans()):
        values["reservoir_refresh_amount"] = draw(st.integers(0, 6))
        values["reservoir_refresh_interval"] = draw(INTERVALS)
    if draw(st.booleans()):
        values["reservoir_increase_amount"] = draw(st.integers(0, 3))
        values["reservoir_increase_interval"] = draw(INTERVALS)
        values["reservoir_increase_maximum"] = draw(st.one_of(st.none(), st.integers(0, 12)))
    return LaneSettings(**values)


NONE = st.just(LaneSettings())
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), TIMES),
        st.tuples(st.just("take"), st.integers(1, 5)),
        st.tuples(st.just("change"), st.one_of(reservoirs(), reservoirs(), NONE)),
        st.tuples(st.just("change amounts"), reservoirs()),
    ),
    max_size=30,
)


def with_amounts(settings, other):
    """The amounts of other settings where both have them; the intervals stay."""
    names = [f"reservoir_{name}" for name in ("refresh_amount", "increase_amount")]
    given = dict(settings)
    both = [n for n in names if given[n] is not None and getattr(other, n) is not None]
    return LaneSettings(**given | {name: getattr(other, name) for name in both})


@given(first=reservoirs(), begins=st.integers(0, 5_000_000), steps=STEPS)
def test_a_reservoir_holds_what_one_that_is_filled_tick_by_tick_holds(first, begins, steps):
    now = begins
    reservoir, plain, in_force = Reservoir(first, now), PlainReservoir(first, now), first
    for step in steps:
        match step:
            case ("wait", by):
                now += by
            case ("take", weight):
                reservoir.fill(now)
                plain.fill(now)
                if plain.left is not None and plain.left >= weight:
                    reservoir.left -= weight
                    plain.left -= weight
            case ("change", settings):
                in_force = settings
                reservoir.change(settings, now)
                plain.change(settings, now)
            case ("change amounts", other):
                in_force = with_amounts(in_force, other)
                reservoir.change(in_force, now)
                plain.change(in_force, now)
        reservoir.fill(now)
        plain.fill(now)
        assert reservoir.left == plain.left
        assert reservoir.due == plain.due
        assert reservoir.due is None or reservoir.due > now


@given(settings=reservoirs(), now=TIMES, weight=st.integers(1, 15), taken=st.integers(0, 9))
def test_it_can_ever_give_a_weight_that_it_has_at_some_time_if_nothing_is_taken(
    settings, now, weight, taken
):
    reservoir, plain = Reservoir(settings, 0), PlainReservoir(settings, 0)
    for either in (reservoir, plain):
        either.fill(now)
        either.left -= min(either.left, taken)
    assert reservoir.can_fit(weight) == plain.can_fit(weight)


def test_a_refresh_comes_before_an_increase_of_the_same_moment():
    settings = LaneSettings(
        reservoir=0,
        reservoir_refresh_amount=2,
        reservoir_refresh_interval=1,
        reservoir_increase_amount=3,
        reservoir_increase_interval=1,
    )
    reservoir = Reservoir(settings, 0)
    reservoir.fill(999_999)
    assert reservoir.left == 0
    reservoir.fill(1_000_000)
    assert reservoir.left == 5


def test_an_increase_takes_nothing_away_from_a_reservoir_above_its_maximum():
    settings = LaneSettings(
        reservoir=9,
        reservoir_increase_amount=1,
        reservoir_increase_interval=1,
        reservoir_increase_maximum=4,
    )
    reservoir = Reservoir(settings, 0)
    reservoir.fill(10_000_000)
    assert reservoir.left == 9


def test_ten_years_are_filled_in_at_once():
    settings = LaneSettings(
        reservoir=0,
        reservoir_refresh_amount=1,
        reservoir_refresh_interval=0.000007,
        reservoir_increase_amount=1,
        reservoir_increase_interval=0.000001,
    )
    reservoir = Reservoir(settings, 0)
    reservoir.fill(10 * 365 * 86_400_000_000)
    assert 1 <= reservoir.left <= 8


@pytest.mark.parametrize("kind", ["refresh", "increase"])
def test_an_amount_an_interval_and_a_reservoir_go_together(kind):
    amount, interval = f"reservoir_{kind}_amount", f"reservoir_{kind}_interval"
    with pytest.raises(SettingsInvalid, match="go together"):
        LaneSettings(reservoir=1, **{amount: 1})
    with pytest.raises(SettingsInvalid, match="go together"):
        LaneSettings(reservoir=1, **{interval: 1})
    with pytest.raises(SettingsInvalid, match="needs a reservoir"):
        LaneSettings(**{amount: 1, interval: 1})
