"""One lane's arithmetic, against the plainest model of it, and rule by rule."""

import sys
from itertools import count, cycle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.drawn_budgets import drawn_budgets, drawn_costs
from support.instructions import steps_of
from support.lane_model import MICROSECONDS, PlainLane, micros

from limner.messages.limiter.lane import Lane
from limner.messages.limiter.protocol import RequestSlot
from limner.messages.limiter.settings import LaneSettings
from limner.messages.session.backoff import backoff

NAMES = count()


def slot_request(
    name=None,
    *,
    priority=3,
    weight=1,
    owner=None,
    since=None,
    revocable=True,
    message=None,
    place=0,
    **more,
):
    return RequestSlot(
        request_id=f"r{next(NAMES)}" if name is None else name,
        session_id="s",
        message_id=message,
        task_id="t",
        owner=owner,
        priority=priority,
        weight=weight,
        since=since,
        revoked=since is not None,
        place=place,
        revocable=revocable,
        reply_to=None,
        **more,
    )


def ids(slots):
    return [slot.request.request_id for slot in slots]


def drops(dropped):
    return [(drop.request.request_id, drop.reason) for drop in dropped]


def optional(*values):
    """Nothing as often as something, so that most of what is asked for is not refused."""
    return st.one_of(st.none(), st.sampled_from(values))


@st.composite
def lane_settings(draw):
    reservoir = {}
    if draw(st.integers(0, 2)) == 0:
        reservoir["reservoir"] = draw(st.integers(0, 8))
        if draw(st.booleans()):
            reservoir["reservoir_refresh_amount"] = draw(st.integers(0, 6))
            reservoir["reservoir_refresh_interval"] = draw(st.sampled_from([0.5, 1, 3]))
        if draw(st.booleans()):
            reservoir["reservoir_increase_amount"] = draw(st.integers(0, 3))
            reservoir["reservoir_increase_interval"] = draw(st.sampled_from([0.5, 1, 2]))
            reservoir["reservoir_increase_maximum"] = draw(optional(0, 4, 8))
    return LaneSettings(
        max_concurrent=draw(st.sampled_from([None, 1, 2, 3, 5])),
        min_time=draw(st.sampled_from([0, 0, 0.25, 1])),
        high_water=draw(optional(0, 1, 3, 8)),
        strategy=draw(st.sampled_from(["leak", "overflow_priority", "overflow", "block"])),
        penalty=draw(optional(0.5, 3)),
        max_per_owner=draw(optional(1, 2)),
        max_waiting_per_owner=draw(optional(0, 1, 3)),
        max_wait=draw(optional(2, 7)),
        lease=draw(st.sampled_from([0.5, 3, 30])),
        ageing=draw(st.sampled_from([None, 0.5, 1, 5])),
        budgets=draw(drawn_budgets()),
        **reservoir,
    )


class LaneAndModel(RuleBasedStateMachine):
    """Drives a lane as its actor does, and a model at each moment at which anything may change.

    The model looks at every moment; the lane only when `next_check` has said so. What the model
    grants, drops or takes back at another moment, the lane would have done too late.
    """

    @initialize(values=lane_settings())
    def begin(self, values):
        self.now = 0
        self.lane = Lane("image", values)
        self.model = PlainLane(values, 0)
        self.requests = count()
        self.slots = {}  # of the requests that have one, by request
        self.ends = {}  # how each request has ended
        self.slot_ends = {}  # how each slot has ended
        self.last_grant = None
        self.settled = True
        self.settleable = []  # slots, with what the model has taken for them

    # What is compared, and what of I3, I4 and I5 is seen on the way

    def granted(self, slots, expected):
        assert ids(slots) == expected
        in_force = self.lane.settings
        for slot in slots:
            request = slot.request
            assert request.request_id not in self.ends, "I5"
            assert slot.id not in self.slot_ends, "I5"
            self.ends[request.request_id] = "granted"
            self.slots[request.request_id] = slot
            (out,) = (out for out in self.model.leases if out.request is request)
            units = {name: of_budget.units for name, of_budget in (slot.taken or {}).items()}
            assert units == {name: took for name, (_, _, took) in out.taken.items()}
            if slot.taken is not None:
                self.settleable.append((slot, out.taken))
            assert slot.expires_at == self.now + micros(in_force.lease)
            if self.last_grant is not None:
                assert self.now - self.last_grant >= micros(in_force.min_time), "I4"
            self.last_grant = self.now
        if slots and in_force.max_concurrent is not None:
            out = sum(slot.request.weight for slot in self.slots.values())
            assert out <= in_force.max_concurrent, "I3"

    def dropped(self, dropped, expected):
        assert drops(dropped) == expected
        for drop in dropped:
            assert drop.request.request_id not in self.ends, "I5"
            self.ends[drop.request.request_id] = drop.reason

    def slot_ended(self, request_id, how):
        slot = self.slots.pop(request_id)
        assert slot.id not in self.slot_ends, "I5"
        self.slot_ends[slot.id] = how
        assert self.lane.release(slot.id) is None

    def look(self):
        """Do what the actor does at each message and timer."""
        expired = ids(self.lane.expire_slots(self.now))
        self.lane.end_passing(self.now)
        assert expired == self.model.expired(self.now)
        for request_id in expired:
            self.slot_ended(request_id, "expired")
        self.dropped(self.lane.drop_overdue(self.now), self.model.overdue(self.now))
        self.granted(self.lane.grant_ready(self.now), self.model.grants(self.now))
        assert self.lane.revoke_slots(self.now) == []
        assert self.lane.grant_ready(self.now) == []
        self.settled = True

    def advance(self, until):
        """Advance the clock, and check the lane when it is due."""
        while True:
            due, moment = self.lane.next_check(self.now), self.model.next_moment(self.now)
            if due is not None:
                assert moment is not None, "it looks again though nothing can change"
                assert moment <= due, "it looks again too early"
            if moment is None or moment > until:
                break
            self.now = moment
            if due == moment:
                self.look()
            else:
                late = [self.model.expired, self.model.overdue, self.model.grants]
                assert [step(self.now) for step in late] == [[], [], []], "it looks too late"
        self.now = until

    # What is told to both

    def ask(self, **wanted):
        request = slot_request(f"r{next(self.requests)}", **wanted)
        answer = self.lane.request(request, self.now)
        granted, dropped = self.model.request(request, self.now)
        self.granted(answer.granted, granted)
        self.dropped(answer.dropped, dropped)

    owners = st.sampled_from([None, "a", "b", "c"])
    priorities = st.one_of(st.sampled_from([3, 7]), st.integers(0, 9))
    weights = st.sampled_from([1, 1, 1, 1, 2, 3, 6])

    @rule(owner=owners, priority=priorities, weight=weights, costs=drawn_costs)
    def request(self, owner, priority, weight, costs):
        self.ask(owner=owner, priority=priority, weight=weight, costs=costs)

    @rule(
        owner=owners,
        priority=st.sampled_from([3, 3, 7]),
        costs=drawn_costs,
        after=st.lists(st.sampled_from([0, 1, 400_000, 2_000_000, 6_000_000]), max_size=4),
    )
    def request_with_deadlines(self, owner, priority, costs, after):
        for micros_left in after:
            deadline = self.now + micros_left
            self.ask(owner=owner, priority=priority, costs=costs, deadline=deadline)

    @precondition(lambda self: self.lane.budgets is not None and self.settleable)
    @rule(index=st.integers(0, 100), costs=drawn_costs)
    def settle(self, index, costs):
        slot, taken = self.settleable[index % len(self.settleable)]
        changed = self.lane.budgets.settle(slot.taken, costs, slot.request, self.now)
        assert changed == self.model.budgets.settle(taken, slot.request, costs, self.now)
        self.lane.passed_owners.recheck(slot.request.owner)
        units = {name: of_budget.units for name, of_budget in slot.taken.items()}
        assert units == {name: took for name, (_, _, took) in taken.items()}

    @precondition(lambda self: self.lane.budgets is not None)
    @rule(name=st.sampled_from(["requests", "tokens"]), remaining=st.integers(0, 6), owner=owners)
    def correct(self, name, remaining, owner):
        budget = self.lane.settings.budgets.get(name)
        if budget is not None:
            owner = None if budget.each == "lane" else owner or "a"
            given = (name, remaining, self.now + 700_000, self.now, owner)
            assert self.lane.budgets.correct(*given) == self.model.budgets.correct(*given)
            self.lane.passed_owners.recheck(owner)

    @rule(
        owner=owners,
        number=st.integers(2, 5),
        priorities=st.lists(priorities, min_size=5),
        messages=st.lists(st.tuples(st.sampled_from("mn"), st.integers(0, 5)), min_size=5),
    )
    def request_several(self, owner, number, priorities, messages):
        for priority, (message, place) in list(zip(priorities, messages, strict=False))[:number]:
            self.ask(owner=owner, priority=priority, message=message, place=place)

    @rule(owner=owners, priority=priorities, ago=st.sampled_from([0, 1, 500_000, 9_000_000]))
    def request_again_what_was_revoked(self, owner, priority, ago):
        self.ask(owner=owner, priority=priority, since=max(0, self.now - ago))

    @precondition(lambda self: self.model.waiting)
    @rule(index=st.integers(0, 100))
    def withdraw(self, index):
        one = self.model.waiting[index % len(self.model.waiting)].request
        assert self.lane.withdraw(one.request_id) == one
        assert self.lane.withdraw(one.request_id) is None
        self.model.withdraw(one.request_id)
        self.ends[one.request_id] = "withdrawn"

    @precondition(lambda self: self.model.leases)
    @rule(index=st.integers(0, 100))
    def release(self, index):
        one = self.model.leases[index % len(self.model.leases)].request
        assert self.lane.release(self.slots[one.request_id].id).request == one
        self.slot_ended(one.request_id, "released")
        self.model.release(one.request_id)

    @rule(values=lane_settings())
    def update(self, values):
        self.dropped(self.lane.update(values, self.now), self.model.update(values, self.now))

    @rule(values=lane_settings(), names=st.sets(st.sampled_from(sorted(LaneSettings.model_fields))))
    def update_some(self, values, names):
        if any(name.startswith("reservoir") for name in names):
            names |= {name for name in LaneSettings.model_fields if name.startswith("reservoir")}
        changed = LaneSettings(
            **dict(self.lane.settings) | {name: getattr(values, name) for name in names}
        )
        self.dropped(self.lane.update(changed, self.now), self.model.update(changed, self.now))

    @rule(seconds=optional(0, 0.5, 4))
    def pause(self, seconds):
        until = None if seconds is None else self.now + micros(seconds)
        self.lane.pause(until)
        self.model.pause(until)

    @rule()
    def resume(self):
        self.lane.resume()
        self.model.resume()

    @precondition(lambda self: len(self.ends) > 20)
    @rule(stops=st.booleans())
    def end(self, stops):
        if stops:
            self.dropped(self.lane.stop(), self.model.stop())
        else:
            self.lane.drain()
            self.model.drain()

    @rule()
    def look_now(self):
        self.look()

    @rule(
        by=st.one_of(st.integers(0, 3_000_000), st.sampled_from([1, 250_000, 500_000, 40_000_000]))
    )
    def let_the_clock_go(self, by):
        self.look()
        self.advance(self.now + by)

    @rule()
    def let_the_clock_go_to_the_next_check(self):
        self.look()
        due = self.lane.next_check(self.now)
        if due is not None:
            self.advance(due)

    @rule(by=st.sampled_from([1, 500_000, 2_000_000, 30_000_000, 400_000_000]))
    def come_late(self, by):
        """The actor was busy: what is due meanwhile is all done now, in its order."""
        self.now += by

    @invariant()
    def the_same_waits_and_the_same_is_out(self):
        waiting = ids(self.model.waiting)
        seen = ids(self.lane.all_waiting())
        assert sorted(seen) == sorted(waiting)
        assert self.lane.waiting == len(waiting)
        assert all(map(self.lane.waits, waiting))
        assert sorted(ids(self.lane.leases)) == sorted(self.slots)
        assert self.lane.leases.weight == sum(slot.request.weight for slot in self.model.leases)
        assert self.lane.idle == (not waiting and not self.slots)

    def teardown(self):
        """Lift all limits: each request and each slot has ended once, and nothing is left."""
        if sys.exc_info()[1] is not None or not hasattr(self, "lane"):
            return
        self.look()
        self.dropped(
            self.lane.update(LaneSettings(max_concurrent=None), self.now),
            self.model.update(LaneSettings(max_concurrent=None), self.now),
        )
        self.resume()
        self.look()
        self.advance(self.now + micros(601))
        assert self.lane.idle
        assert self.lane.next_check(self.now) is None
        assert not self.slots
        assert len(self.ends) == next(self.requests)


def test_a_lane_grants_drops_and_takes_back_what_the_plainest_model_does():
    run_state_machine_as_test(
        LaneAndModel, settings=settings(max_examples=200, stateful_step_count=50)
    )


# Rule by rule


def lane_of(now=0, **values):
    return Lane("image", LaneSettings(**values), now)


def look(lane, now):
    """Do what the actor does at each message and timer; give who is granted."""
    lane.expire_slots(now)
    lane.drop_overdue(now)
    granted = lane.grant_ready(now)
    lane.revoke_slots(now)
    due = lane.next_check(now)
    assert due is None or due > now
    return ids(granted)


def ask(lane, now=0, name=None, **wanted):
    """Ask for a slot; give the slot if it is granted at once."""
    request = slot_request(name, **wanted)
    answer = lane.request(request, now)
    assert not answer.dropped
    return next((slot for slot in answer.granted if slot.request is request), None)


def refusal(lane, now=0, **wanted):
    """Ask for a slot; give why it is refused."""
    request = slot_request(**wanted)
    (drop,) = lane.request(request, now).dropped
    assert drop.request is request
    return drop.reason


def test_a_slot_that_is_taken_back_twice_is_taken_back_once():
    lane = lane_of()
    slot = ask(lane, name="a")
    assert lane.release(slot.id) is slot
    assert lane.release(slot.id) is None
    assert lane.expire_slots(10**12) == []


def test_the_decision_is_made_when_a_slot_is_free_also_if_min_time_alone_is_the_limit():
    lane = lane_of(max_concurrent=None, min_time=1)
    assert ask(lane, name="first")
    ask(lane, name="background", priority=7)
    assert lane.next_check(500_000) == 1_000_000
    ask(lane, 999_999, name="active", priority=3)
    assert look(lane, 1_000_000) == ["active"]
    assert look(lane, 2_000_000) == ["background"]


def test_a_thousand_requests_of_one_owner_do_not_hold_up_the_first_of_another():
    lane = lane_of(max_concurrent=1)
    slot = ask(lane, owner="many")
    for _ in range(1000):
        ask(lane, owner="many")
    ask(lane, name="one", owner="other")
    order = []
    for now in (1, 2):
        lane.release(slot.id)
        (slot,) = lane.grant_ready(now)
        order.append(slot.request.owner)
    assert "other" in order


def test_owners_take_turns_and_each_is_served_in_its_order():
    lane = lane_of(max_concurrent=1)
    slot = ask(lane)
    for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
        ask(lane, name=name, owner=name[0])
    order = []
    while lane.waiting:
        lane.release(slot.id)
        (slot,) = lane.grant_ready(0)
        order.append(slot.request.request_id)
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_a_request_of_a_revoked_slot_is_the_first_of_its_owner_again():
    lane = lane_of(max_concurrent=1)
    slot = ask(lane)
    ask(lane, name="a1", owner="a")
    ask(lane, name="b1", owner="b")
    ask(lane, 5, name="a0", owner="a", since=0)
    lane.release(slot.id)
    assert look(lane, 6) == ["a0"]


def test_a_heavy_request_at_the_head_is_not_passed_by_light_ones_for_ever():
    """Light ones of the same owner never pass it; of each other owner at most one does."""
    lane = lane_of(max_concurrent=3, ageing=None)
    out = [ask(lane, owner="a") for _ in range(3)]
    ask(lane, name="heavy", weight=3, owner="a")
    passed, served = 0, []
    for now in range(1, 100):
        for owner in ("a", "b", "c"):
            ask(lane, now, owner=owner)
        lane.release(out.pop(0).id)
        granted = lane.grant_ready(now)
        out += granted
        served += ids(granted)
        passed += sum(slot.request.weight == 1 for slot in granted)
        if "heavy" in served or not out:
            break
    assert "heavy" in served
    assert passed <= 2


def test_lowering_max_concurrent_waits_for_releases_and_revokes_nobody():
    lane = lane_of(max_concurrent=4, preempt=True)
    out = [ask(lane, priority=7) for _ in range(4)]
    ask(lane, name="next", priority=7)
    assert lane.update(LaneSettings(max_concurrent=2, preempt=True), 1) == []
    assert lane.revoke_slots(1) == []
    assert lane.expire_slots(1) == []
    for slot in out[:2]:
        assert look(lane, 2) == []
        assert lane.leases.weight > 2 or lane.waiting
        lane.release(slot.id)
    assert look(lane, 3) == []
    assert lane.leases.weight == 2
    lane.release(out[2].id)
    assert look(lane, 4) == ["next"]


def test_raising_max_concurrent_grants_at_the_next_look():
    lane = lane_of(max_concurrent=1)
    ask(lane)
    ask(lane, name="next")
    lane.update(LaneSettings(max_concurrent=2), 1)
    assert look(lane, 1) == ["next"]


def full_lane(**values):
    """Two wait: an old one of priority 7, then one of 3."""
    lane = lane_of(max_concurrent=1, high_water=2, **values)
    ask(lane, name="out")
    ask(lane, name="old", priority=7)
    ask(lane, name="active", priority=3)
    return lane


@pytest.mark.parametrize(
    ("strategy", "priority", "gone"),
    [
        ("leak", 3, "old"),
        ("leak", 7, "old"),
        ("leak", 9, "new"),
        ("overflow_priority", 3, "old"),
        ("overflow_priority", 7, "new"),
        ("overflow_priority", 9, "new"),
        ("overflow", 0, "new"),
    ],
)
def test_past_high_water_its_strategy_says_who_goes(strategy, priority, gone):
    lane = full_lane(strategy=strategy)
    answer = lane.request(slot_request("new", priority=priority), 1)
    assert drops(answer.dropped) == [(gone, "high water")]
    assert lane.waiting == 2


@pytest.mark.parametrize("strategy", ["leak", "overflow_priority"])
def test_a_background_newcomer_never_evicts_an_active_request(strategy):
    lane = lane_of(max_concurrent=1, high_water=1, strategy=strategy)
    ask(lane, name="out")
    ask(lane, name="active", priority=3)
    assert refusal(lane, priority=7) == "high water"
    assert ids(lane.all_waiting()) == ["active"]


def test_a_long_message_loses_pictures_from_its_end():
    lane = lane_of(max_concurrent=1, high_water=2)
    dropped = []
    for place in range(6):
        answer = lane.request(slot_request(f"m{place}", message="m", place=place), place)
        dropped += [drop.request.request_id for drop in answer.dropped]
    assert dropped == ["m3", "m4", "m5"]
    again = lane.request(slot_request("m0-again", message="m", place=0), 9)
    assert drops(again.dropped) == [("m2", "high water")], "a retry stands where its prompt does"


def test_a_newcomer_takes_the_last_place_of_the_message_that_waits_longest():
    lane = lane_of(max_concurrent=1, high_water=3)
    for place in range(4):
        lane.request(slot_request(f"m{place}", message="m", place=place), place)
    answer = lane.request(slot_request("new", message="n"), 9)
    assert drops(answer.dropped) == [("m3", "high water")]


def test_what_leak_drops_costs_the_same_however_much_waits():
    def cost(waiting):
        lane = lane_of(max_concurrent=1, high_water=waiting)
        for place in range(waiting + 2):
            lane.request(slot_request(message=f"m{place // 5}", place=place), place)
        later = [slot_request(message=f"n{place // 5}", place=place) for place in range(50)]
        return steps_of(lambda: [lane.request(request, waiting) for request in later])

    assert cost(5_000) <= 1.2 * cost(50)


def test_the_strategy_block_drops_all_and_takes_nothing_until_none_has_asked_for_a_while():
    lane = full_lane(strategy="block", penalty=2)
    answer = lane.request(slot_request("new"), 0)
    assert sorted(drops(answer.dropped)) == [(n, "blocked") for n in ("active", "new", "old")]
    assert lane.waiting == 0
    assert refusal(lane, 1_999_999) == "blocked"
    assert refusal(lane, 3_999_998) == "blocked"
    assert ask(lane, 5_999_998) is None
    assert lane.waiting == 1


@pytest.mark.parametrize(("min_time", "seconds"), [(0, 5), (2, 30)])
def test_the_penalty_is_fifteen_times_min_time_or_five_seconds(min_time, seconds):
    lane = full_lane(strategy="block", min_time=min_time)
    lane.request(slot_request(), 0)
    assert refusal(lane, micros(seconds) - 1) == "blocked"
    lane = full_lane(strategy="block", min_time=min_time)
    lane.request(slot_request(), 0)
    assert ask(lane, micros(seconds)) is None
    assert lane.waiting == 1


def test_a_lane_that_may_hold_none_waiting_still_grants_at_once():
    lane = lane_of(max_concurrent=1, high_water=0)
    slot = ask(lane)
    assert slot
    assert refusal(lane) == "high water"
    lane.release(slot.id)
    assert ask(lane, 1)


def test_requests_past_max_waiting_per_owner_are_refused_and_others_are_not():
    lane = lane_of(max_concurrent=1, max_waiting_per_owner=2)
    ask(lane, owner="a")
    for _ in range(2):
        ask(lane, owner="a")
    assert refusal(lane, owner="a") == "too many of its owner wait"
    ask(lane, owner="b")
    for _ in range(5):
        ask(lane)
    assert lane.waiting == 8


def test_an_owner_holds_no_more_than_max_per_owner_and_its_requests_do_not_hold_up_others():
    lane = lane_of(max_concurrent=4, max_per_owner=2)
    mine = [ask(lane, owner="a") for _ in range(2)]
    ask(lane, name="a3", owner="a")
    assert lane.waiting == 1
    assert ask(lane, owner="b")
    assert lane.next_check(0) == micros(600)
    lane.release(mine[0].id)
    assert look(lane, 1) == ["a3"]


def test_what_is_too_heavy_for_the_lane_is_refused_at_once():
    assert refusal(lane_of(max_concurrent=3), weight=4) == "too heavy"
    permanent_refusal = {
        "reservoir": 2,
        "reservoir_refresh_amount": 3,
        "reservoir_refresh_interval": 1,
    }
    assert refusal(lane_of(max_concurrent=None, **permanent_refusal), weight=4) == "too heavy"
    assert ask(lane_of(max_concurrent=None, **permanent_refusal), weight=3) is None


def test_a_weight_of_one_is_too_heavy_for_a_reservoir_that_is_always_empty():
    lane = lane_of(reservoir=0, reservoir_refresh_amount=0, reservoir_refresh_interval=1)
    assert refusal(lane) == "too heavy"


def test_what_waits_and_has_become_too_heavy_for_the_reservoir_does_not_hold_up_the_rest():
    """It could be given when it came; then a refresh set the reservoir to less, for good."""
    lane = lane_of(
        max_concurrent=5, reservoir=9, reservoir_refresh_amount=3, reservoir_refresh_interval=1
    )
    slot = ask(lane, weight=2)
    lane.request(slot_request(weight=5), 0)
    lane.request(slot_request("light"), 0)
    lane.release(slot.id)
    look(lane, micros(1))
    look(lane, micros(2))
    assert not lane.waits("light")


def test_what_the_reservoir_had_before_its_last_refresh_is_not_what_it_can_give():
    lane = lane_of(
        max_concurrent=None, reservoir=9, reservoir_refresh_amount=3, reservoir_refresh_interval=1
    )
    assert refusal(lane, micros(2), weight=5) == "too heavy"


def test_what_waits_and_is_too_heavy_for_new_settings_is_dropped():
    lane = lane_of(max_concurrent=3)
    ask(lane, weight=3)
    ask(lane, name="heavy", weight=3)
    ask(lane, name="light")
    assert drops(lane.update(LaneSettings(max_concurrent=2), 1)) == [("heavy", "too heavy")]
    assert lane.waits("light")


@given(
    weights=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    gaps=st.lists(st.integers(0, 1_500_000), min_size=8, max_size=8),
    reservoir=st.integers(0, 9),
    refresh=st.one_of(st.none(), st.tuples(st.integers(0, 6), st.sampled_from([0.5, 1, 1.5, 3]))),
    increase=st.one_of(st.none(), st.tuples(st.integers(0, 3), st.sampled_from([0.5, 1, 1.5, 2]))),
    maximum=optional(0, 2, 5, 9),
    slots=st.sampled_from([None, 1, 3, 9]),
)
def test_nothing_that_a_filled_reservoir_lets_wait_waits_for_ever(
    weights, gaps, reservoir, refresh, increase, maximum, slots
):
    """Each request that is taken is granted, or dropped later; none is the head for good."""
    values = {}
    if refresh is not None:
        values |= dict(zip(("refresh_amount", "refresh_interval"), refresh, strict=True))
    if increase is not None:
        values |= dict(zip(("increase_amount", "increase_interval"), increase, strict=True))
        values["increase_maximum"] = maximum
    values = {f"reservoir_{name}": value for name, value in values.items()}
    lane = lane_of(max_concurrent=slots, reservoir=reservoir, ageing=None, lease=0.5, **values)
    now = 0
    for weight, gap in zip(weights, gaps, strict=False):
        lane.request(slot_request(weight=weight), now)
        look(lane, now)
        now += gap
    for _ in range(400):
        if lane.idle or (due := lane.next_check(now)) is None:
            break
        now = due
        look(lane, now)
    # One that is never filled waits for a host to fill it.
    assert not lane.waiting or (refresh is None and increase is None)


def test_a_request_is_dropped_when_it_has_waited_for_max_wait():
    lane = lane_of(max_concurrent=1, max_wait=2)
    ask(lane)
    ask(lane, 10, name="late")
    assert lane.next_check(10) == 2_000_010
    assert lane.drop_overdue(2_000_009) == []
    assert drops(lane.drop_overdue(2_000_010)) == [("late", "waited too long")]


def test_a_slot_expires_at_the_end_of_its_lease_and_is_granted_on():
    lane = lane_of(max_concurrent=1, lease=2)
    slot = ask(lane)
    ask(lane, 1, name="next")
    assert slot.expires_at == 2_000_000 == lane.next_check(1)
    assert lane.expire_slots(1_999_999) == []
    assert lane.expire_slots(2_000_000) == [slot]
    assert look(lane, 2_000_000) == ["next"]


def test_a_paused_lane_grants_nothing_until_its_time_or_until_it_is_resumed():
    lane = lane_of()
    lane.pause(5)
    ask(lane, 1, name="first")
    assert lane.next_check(1) == 5
    assert look(lane, 4) == []
    assert look(lane, 5) == ["first"]
    lane.pause()
    ask(lane, 6, name="second")
    assert look(lane, micros(500)) == []
    lane.resume()
    assert look(lane, micros(500)) == ["second"]


def test_a_draining_lane_grants_what_waits_and_takes_nothing_more():
    lane = lane_of(max_concurrent=1)
    slot = ask(lane)
    ask(lane, name="waits")
    lane.drain()
    assert refusal(lane) == "the lane is draining"
    lane.release(slot.id)
    assert look(lane, 1) == ["waits"]
    assert not lane.idle


def test_a_request_whose_slot_was_revoked_may_come_again_to_a_lane_that_drains():
    lane = lane_of(max_concurrent=1)
    slot = ask(lane)
    lane.drain()
    ask(lane, 1, name="again", since=0)
    lane.release(slot.id)
    assert look(lane, 2) == ["again"]


def test_a_lane_that_drains_asks_no_slot_back():
    lane, _ = busy_lane(1)
    ask(lane, 1, name="active")
    lane.drain()
    assert lane.revoke_slots(2) == []


def test_a_stopped_lane_drops_what_waits_and_is_not_made_to_drain():
    lane = lane_of(max_concurrent=1)
    slot = ask(lane)
    ask(lane, name="waits")
    assert drops(lane.stop()) == [("waits", "the lane is stopped")]
    lane.drain()
    assert refusal(lane) == "the lane is stopped"
    lane.release(slot.id)
    assert lane.idle


# Fails for `ageing` as long as it is rounded to 0 microseconds and divided by.
@pytest.mark.parametrize("field", ["ageing", "max_wait", "grace", "penalty"])
def test_a_time_below_a_microsecond_is_no_error(field):
    lane = lane_of(max_concurrent=1, high_water=1, strategy="block", **{field: 1e-7})
    ask(lane)
    for now in range(4):
        lane.request(slot_request(priority=9), now)
        look(lane, now)


@pytest.mark.parametrize("strategy", ["leak", "overflow_priority", "overflow", "block"])
def test_a_week_of_traffic_past_high_water_leaves_the_lane_granting_at_its_rate(strategy):
    """Bottleneck with `maxConcurrent` and `highWater` comes to a stop after some days of this.

    A request every 10 s, each second one withdrawn or forgotten now and then, of which each
    holds one of two slots for 25 s, or to the end of its lease.
    """
    lane = lane_of(max_concurrent=2, high_water=3, strategy=strategy, penalty=5, lease=60)
    day, grants, ends = 86_400 * MICROSECONDS, [0] * 7, []
    for number in range(7 * 8_640):
        now = number * 10 * MICROSECONDS
        while ends and ends[0][0] <= now:
            lane.release(ends.pop(0)[1])
        lane.expire_slots(now)
        request = slot_request(f"r{number}", priority=(3, 7)[number % 2], owner=str(number % 5))
        granted = lane.request(request, now).granted + lane.grant_ready(now)
        if number % 11 == 0:
            lane.withdraw(request.request_id)
        grants[now // day] += len(granted)
        ends += [(now + micros(25), slot.id) for slot in granted if slot.number % 50]
    assert lane.waiting <= 3
    assert min(grants) >= 0.98 * grants[0]
    if strategy != "block":
        assert grants[-1] >= 0.9 * 2 * 8_640 / 3, "two slots, each for three times 10 s"


# Ageing


@given(
    owners=st.integers(1, 6),
    before=st.integers(0, 4),
    slots=st.integers(1, 4),
    hold=st.sampled_from([0.5, 1, 3]),
    min_time=st.sampled_from([0, 0.25, 2]),
    ageing=st.sampled_from([0.5, 1, 10]),
    priority=st.integers(0, 9),
    releases=st.booleans(),
    heavy=st.lists(st.integers(1, 4), min_size=1, max_size=4),
)
def test_with_ageing_no_request_waits_longer_than_its_bound(
    owners, before, slots, hold, min_time, ageing, priority, releases, heavy
):
    """A request waits `(before + 1) * (priority * ageing + lines * (hold + min_time))` at most.

    Here `lines` are the owners and priorities of which a request waits, its own among them;
    `before` of its owner and priority came before it; a slot is held for `hold` at most, be it by
    its lease; no owner is at its `max_per_owner`, and nothing of its line is revoked meanwhile.
    For:

    1. When its line's next request has been that for `priority * ageing`, the time is its rank.
       What comes from then on has a rank that is no better; so has the next request of any line
       that is granted a slot from then on.
    2. So each other line is granted one slot at most before it.
    3. So it is with each of those `before` it, and then with itself.
    4. Between two grants lie `hold + min_time` at most. The head is not passed, and what is out is
       returned within `hold` of the last grant; then any weight fits that was not refused, and
       `min_time` has passed, or does so within itself.
    """
    lease = 600 if releases else hold
    lane = lane_of(max_concurrent=slots, min_time=min_time, lease=lease, ageing=ageing)
    held, now, others = [], 0, [f"other{number}" for number in range(1, owners)]
    weights = cycle([min(weight, slots) for weight in heavy])

    def told(**wanted):
        held.extend(lane.request(slot_request(**wanted), now).granted)

    def flood():
        """Keep better requests than ours waiting."""
        for owner in others:
            for _ in range(3 - of_owner(owner)):
                told(owner=owner, priority=0, weight=next(weights))

    def of_owner(owner):
        return sum(queued.request.owner == owner for queued in lane.all_waiting())

    def over(slot):
        return slot.expires_at - micros(lease) + micros(hold)

    flood()
    for _ in range(slots):
        told(owner="ours", priority=0)
    for _ in range(before):
        told(owner="ours", priority=priority)
    before = of_owner("ours")
    told(name="it", owner="ours", priority=priority)
    lines = owners + (priority > 0)
    bound = (before + 1) * (priority * micros(ageing) + lines * micros(hold + min_time))
    while lane.waits("it"):
        times = [lane.next_check(now), *map(over, held)]
        now = min(time for time in times if time is not None and time > now)
        assert now <= bound
        for slot in [slot for slot in held if over(slot) <= now]:
            lane.release(slot.id)
            held.remove(slot)
        held += lane.grant_ready(now)
        flood()
        told(owner="ours", priority=0)


def test_without_ageing_one_waits_for_as_long_as_better_ones_come():
    lane = lane_of(max_concurrent=1, ageing=None, lease=86_400)
    slot = ask(lane)
    ask(lane, name="starved", priority=4)
    for now in range(0, micros(40_000), micros(10)):
        ask(lane, now)
        lane.release(slot.id)
        (slot,) = lane.grant_ready(now)
        assert slot.request.priority == 3
    assert lane.waits("starved")


# Preemption


def busy_lane(*weights, **values):
    """A lane that preempts, all of it out to background requests: b0, b1, and so on."""
    values = {"preempt": True, "max_concurrent": sum(weights), "grace": 5} | values
    lane = lane_of(**values)
    slots = [
        ask(lane, name=f"b{number}", priority=7, weight=weight, owner=f"b{number}")
        for number, weight in enumerate(weights)
    ]
    return lane, slots


def test_an_active_request_has_the_newest_background_slot_asked_back_once():
    lane, (_, newest) = busy_lane(1, 1)
    ask(lane, 1, name="active", priority=3)
    assert lane.revoke_slots(1) == [newest]
    assert newest.revoked_for == "active"
    assert lane.revoke_slots(2) == []
    assert newest.id in lane.leases.slots, "it is out until its holder has stopped"
    assert look(lane, 3) == []


def test_a_slot_that_was_asked_back_goes_to_the_request_for_which_it_was_asked():
    lane, (_, newest) = busy_lane(1, 1)
    ask(lane, 1, name="active", priority=3)
    lane.revoke_slots(1)
    ask(lane, 2, name="better", priority=0)
    lane.release(newest.id)
    assert look(lane, 3) == ["active"]


def test_several_active_requests_have_a_slot_each_the_newest_first():
    lane, (b0, b1, b2) = busy_lane(1, 1, 1)
    ask(lane, 1, name="second", priority=3)
    ask(lane, 1, name="first", priority=2)
    assert lane.revoke_slots(1) == [b2, b1]
    assert (b2.revoked_for, b1.revoked_for) == ("first", "second")
    ask(lane, 2, name="third", priority=3)
    ask(lane, 2, name="fourth", priority=3)
    assert lane.revoke_slots(2) == [b0]
    for slot, name in ((b1, "second"), (b0, "third"), (b2, "first")):
        lane.release(slot.id)
        assert look(lane, 3) == [name]


def test_a_revoked_slot_that_is_not_given_back_expires_at_the_end_of_its_grace():
    lane, (slot,) = busy_lane(1, grace=2)
    ask(lane, 1, name="active")
    lane.revoke_slots(1)
    assert lane.next_check(1) == 2_000_001
    assert lane.expire_slots(2_000_000) == []
    assert lane.expire_slots(2_000_001) == [slot]
    assert look(lane, 2_000_001) == ["active"]


def test_a_grace_does_not_make_a_lease_longer():
    lane, (slot,) = busy_lane(1, grace=5, lease=1)
    ask(lane, 1)
    lane.revoke_slots(1)
    assert slot.expires_at == 1_000_000


def test_a_slot_asked_back_for_a_request_that_was_withdrawn_goes_to_whoever_is_next():
    lane, (slot,) = busy_lane(1)
    ask(lane, 1, name="gone", priority=3)
    ask(lane, 1, name="next", priority=7)
    lane.revoke_slots(1)
    lane.withdraw("gone")
    assert slot.id in lane.leases.slots
    lane.release(slot.id)
    assert look(lane, 3) == ["next"]


@pytest.mark.parametrize(
    ("holder", "wanted", "values"),
    [
        ({"priority": 7, "revocable": False}, {"priority": 3}, {}),
        ({"priority": 6}, {"priority": 0}, {}),
        ({"priority": 7}, {"priority": 4}, {}),
        ({"priority": 7}, {"priority": 3}, {"preempt": False}),
    ],
)
def test_only_a_revocable_background_slot_is_asked_back_and_for_an_active_request(
    holder, wanted, values
):
    lane = lane_of(**({"max_concurrent": 1, "preempt": True} | values))
    ask(lane, **holder)
    ask(lane, **wanted)
    assert lane.revoke_slots(1) == []


def test_a_paused_lane_asks_no_slot_back():
    lane, _ = busy_lane(1)
    lane.pause(5)
    ask(lane, 1)
    assert lane.revoke_slots(1) == []


def test_no_slot_is_asked_back_while_there_is_room():
    lane, _ = busy_lane(1, 1, max_concurrent=3, min_time=1)
    ask(lane, 1, name="active")
    assert lane.revoke_slots(micros(1)) == []


def test_no_slot_is_asked_back_for_a_request_whose_owner_may_have_no_more():
    lane, _ = busy_lane(1, max_concurrent=2, max_per_owner=1)
    ask(lane, owner="a")
    ask(lane, owner="a")
    assert lane.revoke_slots(1) == []


def test_no_more_slots_are_asked_back_for_an_owner_than_it_may_have():
    """Else one of them comes back for a request that may not have it, and holds up all others."""
    lane, _ = busy_lane(1, 1, max_per_owner=1)
    ask(lane, 1, name="a1", owner="a")
    ask(lane, 1, name="a2", owner="a")
    ask(lane, 1, name="other", owner="c", priority=7)
    asked = lane.revoke_slots(1)
    for slot in asked:
        lane.release(slot.id)
    granted = look(lane, 2)
    assert "a1" in granted
    assert len(asked) == 1 or "other" in granted


def test_no_slot_is_asked_back_if_the_reservoir_would_not_give_what_comes_free():
    lane, _ = busy_lane(1, reservoir=1)
    ask(lane, 1)
    assert lane.reservoir(1) == 0
    assert lane.revoke_slots(1) == []


def test_a_heavy_active_request_has_as_many_slots_asked_back_as_it_needs_and_no_more():
    lane, (b0, b1, b2) = busy_lane(1, 1, 1, max_concurrent=4)
    ask(lane, 1, name="heavy", weight=3)
    assert lane.revoke_slots(1) == [b2, b1]
    lane.release(b1.id)
    assert look(lane, 2) == []
    assert lane.revoke_slots(2) == []
    lane.release(b2.id)
    assert look(lane, 3) == ["heavy"]
    assert b0.id in lane.leases.slots


def test_no_slot_is_asked_back_if_all_together_would_not_be_enough():
    lane = lane_of(max_concurrent=3, preempt=True)
    ask(lane, priority=3, weight=2)
    ask(lane, priority=7)
    ask(lane, 1, weight=2)
    assert lane.revoke_slots(1) == []


def test_a_slot_that_has_come_back_for_a_heavy_request_is_not_given_to_another_meanwhile():
    lane, (b0, b1) = busy_lane(1, 1)
    ask(lane, 1, name="heavy", weight=2)
    assert lane.revoke_slots(1) == [b1, b0]
    ask(lane, 2, name="better", priority=0)
    lane.release(b1.id)
    assert look(lane, 3) == []
    lane.release(b0.id)
    assert look(lane, 4) == ["heavy"]


def test_the_example_of_preemptions_is_as_its_docstring_says():
    lane, (b1, b2, b3) = busy_lane(1, 1, 1)
    ask(lane, 1, name="A", weight=2)
    assert lane.revoke_slots(1) == [b3, b2]
    assert lane.revoke_slots(1) == []
    lane.release(b3.id)
    assert ask(lane, 2, name="B", priority=0) is None
    assert lane.leases.weight == 2
    lane.release(b2.id)
    assert look(lane, 3) == ["A"]
    assert b1.id in lane.leases.slots


def test_a_slot_that_came_back_while_another_took_its_place_never_takes_more_than_there_is():
    """I3, at the moment at which something else is lifted; and no timer runs on the spot."""
    lane, (_b0, b1, b2) = busy_lane(1, 1, 1, ageing=1, lease=600)
    ask(lane, 0, name="heavy", weight=2, priority=3)
    assert lane.revoke_slots(0) == [b2, b1]
    ask(lane, 1, name="better", priority=0)
    lane.release(b2.id)
    lane.grant_ready(1)
    lane.release(b1.id)
    lane.grant_ready(1)
    for now in (999_999, 1_000_000, 1_000_001, 2_000_000):
        look(lane, now)
        assert lane.leases.weight <= 3


@given(
    slots=st.integers(1, 4),
    max_per_owner=optional(1, 2),
    heaviest=st.sampled_from([1, 1, 3]),
    min_time=st.sampled_from([0, 0, 0.5]),
    ageing=st.sampled_from([None, 0.5, 2]),
    grace=st.sampled_from([0.5, 2]),
    steps=st.lists(
        st.one_of(
            st.tuples(
                st.just("request"),
                st.sampled_from([0, 3, 3, 5, 7, 7, 9]),
                st.sampled_from([None, "a", "b"]),
                st.integers(1, 3),
                st.booleans(),
            ),
            st.tuples(st.sampled_from(["withdraw", "release"]), st.integers(0, 20)),
            st.tuples(st.just("return"), st.integers(0, 20)),
            st.tuples(st.just("wait"), st.sampled_from([1, 250_000, 500_000, 3_000_000])),
            st.tuples(st.just("check")),
        ),
        min_size=40,
        max_size=60,
    ),
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_preemption_keeps_all_limits_asks_each_slot_once_and_leaves_nobody_waiting(
    slots, max_per_owner, heaviest, min_time, ageing, grace, steps
):
    lane = lane_of(
        max_concurrent=slots,
        max_per_owner=max_per_owner,
        min_time=min_time,
        ageing=ageing,
        grace=grace,
        lease=30,
        preempt=True,
    )
    now, last, asked = 0, None, []

    def check(granted):
        nonlocal last
        for slot in granted:
            assert lane.leases.weight <= slots, "I3"
            assert last is None or now - last >= micros(min_time), "I4"
            last = now
            owner = slot.request.owner
            held = sum(slot.request.owner == owner for slot in lane.leases)
            assert max_per_owner is None or owner is None or held <= max_per_owner

    def full_owners():
        held = [slot.request.owner for slot in lane.leases]
        return {
            owner
            for owner in "ab"
            if max_per_owner is not None and held.count(owner) >= max_per_owner
        }

    def settle():
        lane.expire_slots(now)
        lane.drop_overdue(now)
        check(lane.grant_ready(now))
        spare = [
            slot
            for slot in lane.leases
            if slot.request.priority >= 7 and slot.request.revocable and slot not in asked
        ]
        revoked = lane.revoke_slots(now)
        assert revoked == sorted(spare, key=lambda slot: -slot.number)[: len(revoked)]
        for slot in revoked:
            wanted = slot.revoked_for
            assert lane.waits(wanted)
            assert slot.expires_at <= now + micros(grace)
        asked.extend(revoked)
        due = lane.next_check(now)
        assert due is None or due > now
        early = last is not None and now - last < micros(min_time)
        if heaviest == 1 and not early and lane.leases.weight < slots:
            full = full_owners()
            assert all(queued.request.owner in full for queued in lane.all_waiting()), "granted"

    for step in steps:
        match step:
            case ("request", priority, owner, weight, revocable):
                request = slot_request(
                    priority=priority,
                    owner=owner,
                    weight=min(weight, heaviest, slots),
                    revocable=revocable,
                )
                check(lane.request(request, now).granted)
            case ("withdraw", index) if lane.waiting:
                waiting = ids(lane.all_waiting())
                lane.withdraw(waiting[index % len(waiting)])
            case ("release", index) if lane.leases:
                lane.release(list(lane.leases.slots)[index % len(lane.leases)])
            case ("return", index) if revoked := [
                slot for slot in asked if slot.id in lane.leases.slots
            ]:
                slot = revoked[index % len(revoked)]
                lane.release(slot.id)
                wanted = [
                    queued.request.owner
                    for queued in lane.all_waiting()
                    if queued.request.request_id == slot.revoked_for
                ]
                if heaviest == 1 and min_time == 0 and wanted and wanted[0] not in full_owners():
                    granted = lane.grant_ready(now)
                    check(granted)
                    assert slot.revoked_for in ids(granted), "it is for whom it was asked"
            case ("wait", by):
                now += by
            case ("check",) if (due := lane.next_check(now)) is not None:
                now = max(now, due)
        settle()
    for _ in range(2_000):
        if lane.idle:
            break
        now = lane.next_check(now)
        assert now is not None, "nobody waits for what does not come"
        settle()
    assert lane.idle


# Retries


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
