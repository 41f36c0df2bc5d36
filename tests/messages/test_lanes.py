"""One lane's arithmetic, against the plainest model of it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from limner.messages.lanes import MICROSECONDS, Lane
from limner.messages.retries import backoff
from limner.messages.settings import LaneSettings
from limner.messages.slots import RequestSlot


def request(number, priority=3, weight=1):
    return RequestSlot(
        request_id=f"r{number}",
        session_id="s",
        message_id="m",
        task_id=f"t{number}",
        priority=priority,
        weight=weight,
        reply_to=None,
    )


class Model:
    """All requests in a list; who is next is found by looking at all."""

    def __init__(self, settings):
        self.settings = settings
        self.waiting, self.out, self.last = [], [], None

    def grants(self, now):
        given = []
        while self.waiting:
            best = min(self.waiting, key=lambda one: (one.priority, self.waiting.index(one)))
            free = self.settings.max_concurrent - sum(one.weight for one, _ in self.out)
            early = self.last is not None and now - self.last < round(
                self.settings.min_time * MICROSECONDS
            )
            if best.weight > free or early:
                break
            self.waiting.remove(best)
            self.out.append((best, now + round(self.settings.lease * MICROSECONDS)))
            self.last = now
            given.append(best.request_id)
        return given

    def expired(self, now):
        over = [one.request_id for one, until in self.out if until <= now]
        self.out = [(one, until) for one, until in self.out if until > now]
        return over


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("request"), st.sampled_from([3, 7]), st.integers(1, 3)),
        st.tuples(st.just("release"), st.integers(0, 20)),
        st.tuples(st.just("withdraw"), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.integers(0, 3_000_000)),
    ),
    max_size=60,
)


@given(
    steps=STEPS,
    slots=st.integers(3, 5),
    min_time=st.sampled_from([0, 0.5, 1]),
    lease=st.sampled_from([1, 600]),
)
def test_a_lane_grants_what_its_plainest_model_grants(steps, slots, min_time, lease):
    settings = LaneSettings(max_concurrent=slots, min_time=min_time, lease=lease)
    lane, model, now = Lane("image", settings), Model(settings), 0
    slot_of, grants = {}, []
    for number, step in enumerate(steps):
        match step:
            case ("request", priority, weight):
                one = request(number, priority, weight)
                assert lane.request(one)
                assert not lane.request(one)
                model.waiting.append(one)
            case ("release", index):
                if model.out:
                    one, _ = model.out.pop(index % len(model.out))
                    slot = slot_of[one.request_id]
                    assert lane.release(slot).request == one
                    assert lane.release(slot) is None
            case ("withdraw", index):
                if model.waiting:
                    one = model.waiting.pop(index % len(model.waiting))
                    assert lane.withdraw(one.request_id) == one
                    assert lane.withdraw(one.request_id) is None
            case ("wait", micros):
                now += micros
        assert [slot.request.request_id for slot in lane.expired(now)] == model.expired(now)
        given_now = lane.grants(now)
        assert [slot.request.request_id for slot in given_now] == model.grants(now)
        for slot in given_now:
            slot_of[slot.request.request_id] = slot.id
            grants.append(now)
        assert lane.waiting == len(model.waiting)
        assert lane.weight_out == sum(one.weight for one, _ in model.out) <= slots
        due = lane.next_check(now)
        if due is not None:
            assert due > now
    assert all(b - a >= min_time * MICROSECONDS for a, b in pairwise(grants))


@given(
    requests=st.integers(1, 30),
    slots=st.integers(1, 4),
    min_time=st.sampled_from([0, 0.25]),
    lease=st.sampled_from([0.5, 3]),
)
def test_whoever_looks_when_told_to_sees_every_request_granted(requests, slots, min_time, lease):
    """No slot is ever given back: the leases alone must let all through."""
    lane = Lane("image", LaneSettings(max_concurrent=slots, min_time=min_time, lease=lease))
    for number in range(requests):
        lane.request(request(number))
    now, granted = 0, 0
    while granted < requests:
        lane.expired(now)
        granted += len(lane.grants(now))
        due = lane.next_check(now)
        assert due is not None
        assert due > now
        now = due
    assert now <= (requests + 1) * (lease + min_time) * MICROSECONDS


@given(
    attempt=st.integers(1, 10_000),
    base=st.floats(0, 60),
    limit=st.floats(0, 600),
    jitter=st.floats(0, 1),
)
def test_a_backoff_doubles_up_to_its_limit_and_keeps_half(attempt, base, limit, jitter):
    full = min(limit, base * 2.0 ** min(attempt - 1, 32))
    assert full / 2 <= backoff(attempt, base=base, limit=limit, jitter=jitter) <= full
    assert backoff(1, base=1, limit=30, jitter=1) == 1
    assert backoff(4, base=1, limit=30, jitter=1) == 8
