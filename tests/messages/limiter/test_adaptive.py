"""A limit that follows what a back end bears: its rule, and how near it comes to the best limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bounded_backend import SECOND, BoundedBackend

from limner.messages.errors import SettingsInvalid
from limner.messages.limiter.adaptive import ROUND, Adaptive, AdaptiveLimit
from limner.messages.limiter.lane import ADAPTED_FOR, Lane
from limner.messages.limiter.lane_set import LaneSet
from limner.messages.limiter.protocol import ReleaseSlot, RequestSlot
from limner.messages.limiter.settings import LaneSettings

SETTLED = 60
"""Seconds, each as long as a call, after which the limit has settled on another capacity."""

PHASE = 240


def amplitude(backend, since, until):
    """Return how far the limit moves to each side in an interval, of its mean over time."""
    limits = backend.limits_in(since, until)
    moves = [time for time, _ in backend.limits if since * SECOND < time <= until * SECOND]
    times = [since * SECOND, *moves, until * SECOND]
    held = sum(
        limit * (end - begin) for limit, begin, end in zip(limits, times, times[1:], strict=False)
    )
    mean = held / ((until - since) * SECOND)
    return (max(limits) - min(limits)) / 2 / mean


@pytest.mark.parametrize("kind", ["refuses", "slows", "stalls"])
@pytest.mark.parametrize("seed", range(2))
def test_it_comes_within_a_tenth_of_the_best_limit_and_to_rest(kind, seed):
    backend = BoundedBackend({"max_concurrent": "adaptive"}, kind, seed)
    for number, capacity in enumerate((4, 16, 6)):
        backend.run(PHASE, capacity)
        began = number * PHASE + SETTLED
        ended = (number + 1) * PHASE
        share = backend.throughput(began, ended) / capacity  # no fixed limit gives more than that
        moves = amplitude(backend, began, ended)
        print(f"{kind}, capacity {capacity}: {share:.1%} of the best, limit ±{moves:.0%}")
        assert share >= 0.9
        assert moves <= 0.2


def run(limit, calls):
    """Tell a limit of calls, each granted after the one before has ended."""
    values = []
    for number, (kind, took, full) in enumerate(calls, 1):
        if kind == "overloaded":
            limit.overloaded(number, number)
        else:
            limit.succeeded(number, number, took, full=full)
        values.append(limit.value)
    return values


def good(number, took=SECOND, *, full=True):
    return [("good", took, full)] * number


BAD = [("overloaded", SECOND, True)]

CALLS = st.lists(
    st.tuples(
        st.sampled_from(["good", "good", "good", "overloaded"]),
        st.integers(0, 100 * SECOND),
        st.booleans(),
    ),
    max_size=200,
)


@given(CALLS, st.integers(1, 9), st.integers(0, 9), st.sampled_from([None, 1.5, 2.0]))
def test_it_stays_within_its_bounds(calls, minimum, more, latency):
    rule = Adaptive(minimum=minimum, maximum=minimum + more, latency=latency)
    for value in run(AdaptiveLimit(rule), calls):
        assert minimum <= value <= minimum + more


def test_it_doubles_until_it_falls_and_then_grows_by_one():
    limit = AdaptiveLimit(Adaptive(start=4))
    assert run(limit, good(ROUND))[-1] == 8
    assert run(limit, good(ROUND))[-1] == 16
    assert run(limit, BAD)[-1] == pytest.approx(14.4)
    assert run(limit, good(ROUND + 1))[-1] == pytest.approx(15.4)


def test_it_stays_while_the_lane_is_not_full():
    assert run(AdaptiveLimit(Adaptive(start=4)), good(9 * ROUND, full=False))[-1] == 4


def test_calls_from_before_it_fell_do_not_lower_it_again():
    limit = AdaptiveLimit(Adaptive(start=10))
    for number in range(1, 11):
        limit.overloaded(number, 10)
    assert limit.limit == 9
    limit.overloaded(11, 11)
    assert limit.limit == 8


def test_a_slow_round_lowers_it_by_as_much_as_it_was_slow():
    limit = AdaptiveLimit(Adaptive(start=10, latency=2.0))
    run(limit, good(ROUND))
    assert limit.value == 20
    assert run(limit, good(ROUND, 3 * SECOND))[-1] == pytest.approx(20 * 2 / 3)
    assert AdaptiveLimit(Adaptive(latency=None)).baseline is None


def test_the_baseline_is_learned_anew_where_there_is_no_queue():
    limit = AdaptiveLimit(Adaptive(start=10))
    run(limit, good(ROUND))
    run(limit, good(100 * ROUND, 5 * SECOND, full=False))
    assert limit.baseline == pytest.approx(5 * SECOND, rel=0.01)


def test_a_request_may_weigh_no_more_than_is_always_allowed():
    lane = Lane("image", LaneSettings(max_concurrent=Adaptive(minimum=2)))
    assert lane.can_fit(slot_request("a").but(weight=2))
    assert not lane.can_fit(slot_request("a").but(weight=3))


@pytest.mark.parametrize("wrong", ["adaptiv", 0, {"minimum": 0}, {"minimum": 5, "maximum": 4}])
def test_bounds_that_cannot_be_are_refused(wrong):
    with pytest.raises(SettingsInvalid, match=r"^max_concurrent[.:]"):
        LaneSettings(max_concurrent=wrong)


@pytest.mark.parametrize("given_", ["adaptive", {"minimum": 2, "maximum": 9}, Adaptive(start=7)])
def test_settings_are_the_same_once_they_were_written_down(given_):
    settings = LaneSettings(max_concurrent=given_)
    assert LaneSettings(**settings.model_dump()) == settings
    assert settings.highest == settings.adaptive.maximum


def slot_request(name, lane="image"):
    return RequestSlot(
        request_id=name, session_id=None, message_id=None, task_id=name, lane=lane, reply_to=None
    )


def test_each_move_of_it_is_a_step():
    lanes = LaneSet({"image": LaneSettings(max_concurrent=Adaptive(start=2))})
    (opened,) = lanes.take_steps()
    assert opened.fields["max_concurrent"] == 2
    assert opened.fields["adaptive"]["maximum"] == 100
    lanes.request(slot_request("r"), 0)
    slot = next(iter(lanes.lanes["image"].leases)).id
    lanes.release(ReleaseSlot(slot_id=slot, failed=True, overloaded=True), 1)
    (moved,) = [step for step in lanes.take_steps() if step.event == "limit_changed"]
    assert moved.fields == {"max_concurrent": 1, "before": 2}
    lanes.update("image", LaneSettings(max_concurrent="adaptive"), 2)
    assert lanes.take_steps()[0].fields["max_concurrent"] == 1
    lanes.update("image", LaneSettings(max_concurrent=5), 2)
    assert lanes.lanes["image"].limit == 5
    lanes.update("image", LaneSettings(max_concurrent="adaptive"), 2)
    assert lanes.lanes["image"].limit == 5


def test_a_lane_of_a_group_is_kept_for_its_limit_for_a_while():
    lanes = LaneSet({}, {"host": LaneSettings(max_concurrent=Adaptive(start=2))})
    lanes.request(slot_request("r", "host:a"), 1)
    slot = next(iter(lanes.lanes["host:a"].leases)).id
    lanes.release(ReleaseSlot(slot_id=slot, failed=True, overloaded=True), 2)
    assert lanes.lanes["host:a"].limit == 1
    assert lanes.due("host:a", 2) == 1 + ADAPTED_FOR
    lanes.check("host:a", 1 + ADAPTED_FOR)
    assert "host:a" not in lanes.lanes
