"""Scenarios and what a seed draws from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages import Adaptive
from limner.messages.errors import SettingsInvalid
from limner.messages.text.scanner import find_prompts
from limner.messages.unicode import wellformed
from limner.messages.validation import check_lane
from limner.scripts.simulate.draws import Draws, exponential, log_normal, whole
from limner.scripts.simulate.parameters import draw_parameters
from limner.scripts.simulate.plans import Way, draw_text, plan_message, seconds_to_next
from limner.scripts.simulate.scenario import Faults, Scenario, load_scenario, names, rates

seeds = st.integers(0, 10**6)


def test_the_named_scenarios_are_there_and_say_what_they_are():
    assert {"quiet", "rush-hour", "flaky-backend", "chaos", "day"} <= set(names())
    for name in names():
        assert load_scenario(name).about.endswith(".")


def test_the_chaos_has_every_fault():
    assert all(rate.high > 0 for rate in rates(load_scenario("chaos").faults).values())


def test_without_a_scenario_nothing_goes_wrong():
    assert load_scenario() == Scenario()
    assert all(rate.high == 0 for rate in rates(Faults()).values())


def test_a_file_is_read_and_options_go_before_it(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("messages = 7\n[faults]\nhost_edits = [0.1, 0.2]\n[lane]\nmin_time = 0.5\n")
    scenario = load_scenario(
        str(file), ["faults.host_edits=0.3", "lane.max_concurrent=[1, 2]", "arrivals.kind=burst"]
    )
    assert scenario.messages == 7
    assert (scenario.faults.host_edits.low, scenario.faults.host_edits.high) == (0.3, 0.3)
    assert scenario.lane.min_time.low == 0.5
    assert scenario.lane.max_concurrent.high == 2
    assert scenario.arrivals.kind == "burst"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("messages = 0", "messages: "),
        ("message = 3", "message: there is no such setting"),
        ("[faults]\nhost_edits = 2", "faults.host_edits: must be from 0 to 1, not 2 to 2"),
        ("[faults]\nhost_edits = [0.3, 0.1]", "begins at 0.3, after its end at 0.1"),
        ('[faults]\nhost_edits = "often"', "faults.host_edits"),
        ("[lane]\nmin_time = nan", "lane.min_time"),
        ("[arrivals]\nhours = [1, 2]", "arrivals.hours"),
        ("messages = ", "is no TOML"),
        ("messages = " + "[" * 9000, "is nested too deeply"),
        ("a." * 9000 + "a=1", "is nested too deeply"),
        ("\x00\x01", "is no TOML"),
    ],
)
def test_a_wrong_file_gets_one_line_that_names_what_is_wrong(tmp_path, text, said):
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(SettingsInvalid) as raised:
        load_scenario(str(file))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("faults.host_edits", "write NAME=VALUE"),
        ("messages.of=3", "messages"),
        ("messages.of.whom=3", "messages"),
        ("=3", "there is no such setting"),
    ],
)
def test_a_wrong_option_gets_one_line(override, said):
    with pytest.raises(SettingsInvalid, match=said):
        load_scenario("quiet", [override, "messages=4"])


def test_a_scenario_that_is_not_there_names_those_that_are():
    with pytest.raises(
        SettingsInvalid,
        match="chaos, day, dead-backend, flaky-backend, impatient, quiet, revisions, rush-hour",
    ):
        load_scenario("../chaos")


@given(seeds)
def test_what_is_drawn_is_within_its_ranges_and_the_same_for_a_seed(seed):
    scenario = load_scenario("chaos")
    params = draw_parameters(scenario, Draws(seed))
    assert params == draw_parameters(scenario, Draws(seed))
    for name, rate in params.faults.items():
        assert rate == 0 or rates(scenario.faults)[name].low <= rate
        assert rate <= rates(scenario.faults)[name].high
    assert params.settings.lane == params.lanes["image"]
    most = params.lanes["image"].max_concurrent
    assert isinstance(most, Adaptive) or 1 <= (most or 1) <= 6
    check_lane(params.pictures, params.settings.lanes, params.settings.lane_groups)
    for name in params.lane_names:
        check_lane(name, params.settings.lanes, params.settings.lane_groups)


def test_in_some_seeds_of_chaos_pictures_have_a_lane_or_a_group_of_lanes():
    drawn = [draw_parameters(load_scenario("chaos"), Draws(seed)) for seed in range(60)]
    lanes = {params.pictures for params in drawn}
    assert lanes == {"image", "host", "host:0", "host:1", "host:2"}
    for params in drawn:
        inner = params.lanes.get("host")
        assert (inner is None) == (params.pictures == "image")
        assert inner is None or inner.behind == "image"
    assert {params.lanes["image"].max_concurrent is None for params in drawn} == {True, False}


def test_without_a_scenario_there_is_one_lane_and_no_call_of_a_host():
    params = draw_parameters(Scenario(), Draws(1))
    assert (params.lane_names, params.pictures) == (("image",), "image")
    assert params.scenario.calls.every is None


def test_seeds_draw_different_values_and_leave_out_different_faults():
    drawn = [draw_parameters(load_scenario("chaos"), Draws(seed)) for seed in range(50)]
    assert len({params.rate for params in drawn}) == 50
    left_out = [
        frozenset(name for name, rate in params.faults.items() if not rate) for params in drawn
    ]
    assert len(set(left_out)) > 25


@given(seeds, st.integers(0, 9), st.integers(0, 100))
def test_a_text_has_the_prompts_that_were_wanted(seed, prompts, words):
    text = draw_text(prompts, words, Draws(seed)("text"))
    assert len(find_prompts(text)) == prompts


@given(seeds)
def test_the_pieces_of_a_plan_are_its_text(seed):
    draws = Draws(seed)
    params = draw_parameters(load_scenario("quiet"), draws)
    plan = plan_message(1, (), params, draws("plans"))
    assert wellformed("".join(plan.pieces())) == plan.text
    assert all(1 <= length <= params.chunk for length in plan.chunks)
    assert plan.is_plain


def test_pieces_may_come_twice():
    draws = Draws(5)
    params = draw_parameters(load_scenario("chaos", ["faults.host_repeats=1"]), draws)
    scenario = load_scenario("quiet", ["faults.host_repeats=1"])
    params = draw_parameters(scenario, draws)
    plan = plan_message(1, (), params, draws("plans"))
    pieces = list(plan.pieces())
    assert pieces[::2] == pieces[1::2]
    assert "".join(pieces[::2]) == plan.text


def test_hosts_hand_their_text_over_in_every_way():
    recent = (("msg-0", "text"),)
    draws = Draws(1)
    params = draw_parameters(load_scenario("chaos"), draws)
    plans = [plan_message(number, recent, params, draws("plans")) for number in range(300)]
    assert {plan.way for plan in plans} == set(Way)
    assert {plan.message_id for plan in plans} > {"msg-0"}


def test_the_distributions_are_what_they_say():
    draw = Draws(1)("test")
    number = 20_000
    times = [exponential(draw, 3) for _ in range(number)]
    assert 2.9 < sum(times) / number < 3.1
    assert 0.36 < sum(time > 3 for time in times) / number < 0.38  # 1/e
    sizes = sorted(log_normal(draw, 5, 0.5) for _ in range(number))
    assert 4.9 < sizes[number // 2] < 5.1
    assert 7.9 < sizes[round(number * 0.8413)] < 8.6  # 5 times e to the 0.5
    assert {whole(draw, 2, 4) for _ in range(100)} == {2, 3, 4}


def test_the_distributions_give_the_same_on_every_machine():
    draw = Draws(1)("fixed")
    assert [exponential(draw, 1), log_normal(draw, 1, 1)] == [2.1592331994, 0.618994368643]


def test_a_day_has_its_rush_hours():
    draws = Draws(2)
    params = draw_parameters(load_scenario("rush-hour", ["arrivals.every=10"]), draws)
    hours = [0] * 24
    now = 0.0
    while now < 10 * 86_400:
        seconds, number = seconds_to_next(now, params, draws("traffic"))
        hours[int(now % 86_400 // 3_600)] += number
        now += seconds
    assert hours[20] > 8 * hours[3]
    assert 0.95 < sum(hours) / 86_400 < 1.05
