"""Lanes together: held against what is told of them, and rule by rule."""

import sys
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.drawn_budgets import drawn_budgets, drawn_costs
from support.instructions import steps_of
from support.lane_model import micros
from support.laneset_model import Driven, SeenLanes, granted, lane_events, slot_request

from limner.messages.errors import Reason
from limner.messages.limiter.budget import Budget
from limner.messages.limiter.lane import Lane
from limner.messages.limiter.lane_set import LaneSet
from limner.messages.limiter.protocol import ReleaseSlot
from limner.messages.limiter.rate_limit_headers import RateLimit
from limner.messages.limiter.settings import LaneSettings
from limner.messages.validation import group_of


def optional(*values):
    """Nothing more often than something, so that most of what is asked for is not refused."""
    return st.sampled_from([None] * 3 * len(values) + list(values))


@st.composite
def lane_values(draw, revokes=False):
    """Draw what a lane may be told; the simplest one limits nothing but its slots."""
    values = {}
    if draw(st.integers(0, 4)) == 4:
        values["reservoir"] = draw(st.integers(0, 8))
        if draw(st.booleans()):
            values["reservoir_refresh_amount"] = draw(st.integers(0, 6))
            values["reservoir_refresh_interval"] = draw(st.sampled_from([0.5, 1, 3]))
        if draw(st.booleans()):
            values["reservoir_increase_amount"] = draw(st.integers(0, 3))
            values["reservoir_increase_interval"] = draw(st.sampled_from([0.5, 1, 2]))
            values["reservoir_increase_maximum"] = draw(optional(0, 4, 8))
    return values | {
        "max_concurrent": draw(st.sampled_from([2, 1, 2, 3, 5, None])),
        "min_time": draw(st.sampled_from([0, 0, 0, 0.25, 1])),
        "high_water": draw(optional(1, 3, 8)),
        "strategy": draw(st.sampled_from(["leak", "overflow_priority", "overflow", "block"])),
        "penalty": draw(optional(0.5, 3)),
        "max_per_owner": draw(st.sampled_from([None, None, 1, 2])),
        "max_waiting_per_owner": draw(optional(1, 3)),
        "max_wait": draw(optional(2, 7)),
        "lease": draw(st.sampled_from([30, 3, 0.5])),
        "grace": draw(st.sampled_from([5, 0.5])),
        "ageing": draw(st.sampled_from([None, 0.5, 1, 5])),
        "preempt": revokes and draw(st.sampled_from([True, True, False])),
        "adapt": not revokes and draw(st.booleans()),
        "pause_maximum": 4,
        "circuit_failures": draw(st.integers(1, 3)),
        "circuit_seconds": draw(st.sampled_from([0.5, 3])),
        "circuit_patience": draw(st.sampled_from([1, 2, None])),
        "budgets": draw(drawn_budgets()),
    }


TOPOLOGIES = (
    {"image": None},
    {"image": None, "a": "image"},
    {"image": None, "a": "image", "b": "image"},
    {"image": None, "a": "image", "b": "a"},
    {"image": None, "a": "image", "b": "a", "c": "image"},
    {"image": None, "host:": None},
    {"image": None, "host:": "image"},
    {"image": None, "a": "image", "host:": "a"},
)
"""What stands behind what; `host:` is a group of three lanes."""

KEYS = ("1", "2", "3")

KEPT = ("lanes", "groups", "_topology")
"""What a set of lanes holds though nothing waits and nothing is out."""


def left_in(lanes):
    """Return what a set of lanes, and its chain, hold of requests and slots."""
    parts = vars(lanes) | vars(lanes._chain)
    found = {
        name: part for name, part in parts.items() if name not in KEPT and hasattr(part, "__len__")
    }
    assert len(found) > 8
    return {name: part for name, part in found.items() if len(part)}


class LanesAndModel(RuleBasedStateMachine):
    """Drives lanes as their actor does: each is checked when it is due and at no other time.

    The model checks at every moment at which anything may change.
    """

    owners = st.sampled_from([None, "a", "b", "c"])
    priorities = st.sampled_from([3, 7] * 5 + [*range(10)])
    weights = st.sampled_from([1] * 8 + [2, 2, 3, 6])
    which = st.integers(0, 100)

    @initialize(
        behind=st.sampled_from(TOPOLOGIES),
        revokes=st.booleans(),
        backwards=st.booleans(),
        data=st.data(),
    )
    def begin(self, behind, revokes, backwards, data):
        self.revokes, self.backwards = revokes, backwards
        self.now, self.timers = 0, {}
        self.behind = {name.rstrip(":"): further for name, further in behind.items()}
        drawn = {name: self.settings_of(name, data) for name in self.behind}
        groups = {name[:-1]: drawn.pop(name[:-1]) for name in behind if name.endswith(":")}
        self.names = [*drawn, *(f"{name}:{key}" for name in groups for key in KEYS)]
        self.fixed = list(drawn)
        self.requests = count()
        self.model = SeenLanes(groups)
        self.lanes = LaneSet(drawn, groups, 0)
        self.done()

    def settings_of(self, name, data):
        values = data.draw(lane_values(self.revokes))
        backs_off = data.draw(st.sampled_from([None, None, "own", "upstream", "image"]))
        return LaneSettings(**values, behind=self.behind[group_of(name)], backs_off=backs_off)

    # What the actor does

    def done(self, **told):
        """Read the steps of a call into the model; set timers."""
        self.model.read(self.lanes.take_steps(), self.now, **told)
        for name in self.lanes.take_changed():
            due = self.lanes.due(name, self.now)
            if due is not None and due < self.timers.get(name, due + 1):
                assert due > self.now, "it would be looked at again and again"
                self.timers[name] = due

    def call(self, method, *args, said=None, asked=None, **values):
        method(*args, self.now, **values)
        self.done(said=said, asked=asked)
        self.fire()

    def fire(self):
        """Check each lane that is due."""
        while due := [name for name, at in self.timers.items() if at <= self.now]:
            for name in reversed(due) if self.backwards else due:
                del self.timers[name]
                self.lanes.check(name, self.now)
                self.done()
        self.model.check_settled(self.now)

    def advance(self, until):
        """Advance the clock, stopping at each moment at which anything may change."""
        self.fire()
        for _ in range(300):
            moments = [self.model.next_moment(self.now), *self.timers.values()]
            moment = min((time for time in moments if time is not None), default=None)
            if moment is None or moment > until:
                break
            self.now = moment
            self.fire()
        self.now = max(self.now, until)
        self.fire()

    # What is told to it

    def ask(self, name, **wanted):
        lane = self.names[name % len(self.names)]
        request = slot_request(f"r{next(self.requests)}", lane, **wanted)
        self.call(self.lanes.request, request, asked=lane)

    @rule(
        lane=which,
        owner=owners,
        priority=priorities,
        weight=weights,
        session=st.sampled_from("st"),
        ago=optional(0, 1, 500_000),
        costs=drawn_costs,
    )
    def request(self, lane, owner, priority, weight, session, ago, costs):
        since = None if ago is None else max(0, self.now - ago)
        self.ask(
            lane,
            owner=owner,
            priority=priority,
            weight=weight,
            session_id=session,
            since=since,
            costs=costs,
        )

    @rule(
        lane=which,
        owner=owners,
        costs=drawn_costs,
        after=st.lists(st.sampled_from([0, 1, 400_000, 2_000_000, 6_000_000]), max_size=3),
        refuse_late=st.booleans(),
    )
    def request_with_deadlines(self, lane, owner, costs, after, refuse_late):
        for left in after:
            deadline = self.now + left
            self.ask(lane, owner=owner, costs=costs, deadline=deadline, refuse_late=refuse_late)

    @precondition(lambda self: self.model.charges)
    @rule(index=which, costs=drawn_costs)
    def settle_costs(self, index, costs):
        """Some of these calls have ended, and of some it is too late."""
        name = list(self.model.charges)[-1 - index % len(self.model.charges)]
        self.call(self.lanes.settle_costs, name, costs)
        if name in self.model.known:
            for lane, request, taken in self.model.charges[name].values():
                for budget in lane.budgets.budgets:
                    if budget in costs and lane.budgets.is_counted(budget, request):
                        assert taken.get(budget, (None, None, 0))[2] == costs[budget]

    @rule(lane=which, budget=st.sampled_from(["requests", "tokens"]), remaining=st.integers(0, 6))
    def correct_budget(self, lane, budget, remaining):
        name = self.names[lane % len(self.names)]
        known = self.model.lanes.get(name)
        if known is not None and budget in known.settings.budgets:
            args = (name, budget, remaining, self.now + 700_000)
            owner = "a" if known.settings.budgets[budget].each == "owner" else None
            self.call(self.lanes.correct_budget, *args, owner=owner)

    @rule(
        lane=which,
        drawn=st.lists(st.tuples(owners, priorities, weights), min_size=3, max_size=6),
        message=st.sampled_from([None, "m", "m", "n"]),
        places=st.permutations(range(6)),
    )
    def request_several(self, lane, drawn, message, places):
        for number, (owner, priority, weight) in enumerate(drawn):
            self.ask(
                lane + number % 2,
                owner=owner,
                priority=priority,
                weight=weight,
                message_id=message,
                place=places[number],
            )

    def waiting(self):
        return [root for root in self.model.own if root not in self.model.known]

    @precondition(lambda self: self.waiting())
    @rule(index=which)
    def withdraw(self, index):
        waiting = self.waiting()
        name = waiting[index % len(waiting)]
        self.lanes.request(slot_request(name, self.model.own[name].name), self.now)
        assert self.lanes.take_steps() == [], "it is known"
        self.call(self.lanes.withdraw, name)
        assert name not in self.model.own

    @precondition(lambda self: self.model.known)
    @rule(
        indexes=st.lists(which, min_size=1, max_size=3),
        failed=st.sampled_from([None, False, True, True]),
        retry_after=optional(0.0, 1.0, 1e9),
        host=st.sampled_from([None, "image", "a", "1"]),
        costs=st.one_of(st.none(), drawn_costs),
    )
    def release(self, indexes, failed, retry_after, host, costs):
        for index in indexes:
            if known := list(self.model.known.items()):
                self.give(*known[index % len(known)], failed, retry_after, host, costs)

    def give(self, root, slot, failed, retry_after, host=None, costs=None):
        self.model.hosts[root] = host
        lane = self.model.backing(root)
        paused = lane.paused_until
        if retry_after and lane.settings.adapt:
            paused = max(paused, self.now + micros(min(retry_after, 4)))
        message = ReleaseSlot(
            slot_id=slot.id, failed=failed, retry_after=retry_after, host=host, costs=costs
        )
        self.call(self.lanes.release, message, said={root: failed})
        assert lane.paused_until == paused

    @precondition(lambda self: self.model.slots)
    @rule(index=which)
    def release_what_no_holder_has(self, index):
        name = list(self.model.slots)[index % len(self.model.slots)]
        if name not in [slot.id for slot in self.model.known.values()]:
            self.lanes.release(ReleaseSlot(slot_id=name, failed=True, retry_after=1), self.now)
            assert self.lanes.take_steps() == []

    @precondition(lambda self: self.model.own)
    @rule(index=which, priority=priorities)
    def prioritise(self, index, priority):
        roots = list(self.model.own)
        root = roots[index % len(roots)]
        slot = self.model.known.get(root)
        if slot is not None:
            for lane in self.model.own[root].chain():
                out = lane.of(root)
                out.request = out.request.but(priority=priority)
        self.call(self.lanes.prioritise, root if slot is None else slot.id, priority)
        if slot is not None and root in self.model.own:
            for lane in self.model.own[root].chain():
                (out,) = (
                    slot.request
                    for slot in self.lanes.lanes[lane.name].leases
                    if self.model.roots.of(slot.request) == root
                )
                assert out == lane.of(root).request
                lane.of(root).request = out

    @rule(session=st.sampled_from("st"))
    def end_session(self, session):
        self.call(self.lanes.end_session, session)
        held = [slot.request.session_id for slot in self.model.known.values()]
        assert session not in held

    @rule(
        lane=which,
        data=st.data(),
        names=st.sets(
            st.sampled_from(
                ["max_concurrent", "max_per_owner", "min_time", "adapt", "budgets", "all"]
            ),
            min_size=1,
        ),
    )
    def update(self, lane, data, names):
        name = self.names[lane % len(self.names)]
        changed = self.settings_of(name, data)
        if "all" not in names:
            known = self.model.lanes.get(name)
            before = self.model.groups[group_of(name)] if known is None else known.settings
            changed = before.but(**{field: getattr(changed, field) for field in names})
        self.call(self.lanes.update, name, changed)

    @precondition(lambda self: self.model.groups)
    @rule(data=st.data(), key=optional(*KEYS))
    def update_group(self, data, key):
        """Or one lane of it, as the group is."""
        (name,) = self.model.groups
        if key is None:
            self.model.groups[name] = self.settings_of(name, data)
        lane = name if key is None else f"{name}:{key}"
        self.call(self.lanes.update, lane, self.model.groups[name])

    @rule(lane=which, seconds=st.sampled_from([None, 0.5, 4, 0, 0]))
    def pause_or_resume(self, lane, seconds):
        name = self.names[lane % len(self.names)]
        if seconds == 0:
            self.call(self.lanes.resume, name)
        else:
            self.call(self.lanes.pause, name, seconds)

    @precondition(lambda self: len(self.model.ends) > 20)
    @rule(lane=which, drop=st.booleans())
    def end(self, lane, drop):
        name = self.names[lane % len(self.names)]
        self.model.ending.add(name)
        self.call(self.lanes.end, name, drop=drop)

    @rule(
        by=st.one_of(st.integers(0, 3_000_000), st.sampled_from([1, 250_000, 500_000, 40_000_000]))
    )
    def let_the_clock_go(self, by):
        self.advance(self.now + by)

    @precondition(lambda self: self.timers)
    @rule()
    def let_the_clock_go_to_the_next_look(self):
        self.advance(min(self.timers.values()))

    @rule(lane=which, by=st.sampled_from([1, 500_000, 2_000_000, 30_000_000]), look=st.booleans())
    def come_late(self, lane, by, look):
        """The actor was busy: what is due meanwhile is all done after the next call."""
        self.now += by
        if look:
            self.call(self.lanes.check, self.names[lane % len(self.names)])

    def teardown(self):
        """Lift all limits: each request and each slot has ended once, and nothing is left."""
        if sys.exc_info()[1] is not None or not hasattr(self, "lanes"):
            return
        self.fire()
        for name in (*self.fixed, *self.model.groups):
            wide = LaneSettings(max_concurrent=None, adapt=False, behind=self.behind[name])
            if name in self.model.groups:
                self.model.groups[name] = wide
            self.call(self.lanes.update, name, wide)
        for name in [name for name in self.model.lanes if name not in self.fixed]:
            self.call(self.lanes.update, name, self.model.groups[group_of(name)])
        for name in list(self.model.lanes):
            self.call(self.lanes.resume, name)
        self.advance(self.now + micros(700))
        assert not self.model.own
        assert None not in self.model.slots.values()
        assert None not in self.model.ends.values()
        assert not left_in(self.lanes)
        assert not any(lane.in_use for lane in self.lanes.lanes.values())
        assert not any(list(lane.backlog or ()) for lane in self.lanes.lanes.values())
        assert not self.timers
        left = [name for name in self.lanes.lanes if name not in self.fixed]
        assert all(self.lanes.lanes[name].ending for name in left)
        assert not self.model.ending


def test_lanes_do_what_can_be_read_from_what_they_tell():
    run_state_machine_as_test(
        LanesAndModel, settings=settings(max_examples=120, stateful_step_count=40)
    )


# Rule by rule


# Chains


def test_a_slot_is_granted_when_both_lanes_grant_and_comes_back_to_both():
    driven = Driven(image={"max_concurrent": 1}, a={"behind": "image"})
    assert granted(driven.ask("a1", "a")) == ["a1"]
    assert driven["a"].leases.weight == driven["image"].leases.weight == 1
    assert granted(driven.ask("a2", "a")) == []
    assert driven["a"].leases.weight == driven["image"].leases.weight == 1
    assert driven.give("a1") == [
        "slot_released a a1",
        "slot_released image a1~1",
        "slot_granted image a2~1",
        "slot_granted a a2",
    ]


def test_a_better_request_of_the_same_lane_is_offered_instead_before_the_slot_is_free():
    driven = Driven(image={"max_concurrent": 1}, a={"behind": "image"})
    driven.ask("out")
    driven.ask("worse", "a", priority=7)
    assert driven.ask("better", "a", priority=3) == [
        "slot_requested a better",
        "request_withdrawn image worse~1",
        "slot_requested image better~1",
    ]
    driven.ask("middling", priority=5)
    assert granted(driven.give("out")) == ["better"]
    assert granted(driven.give("better")) == ["middling"]
    assert granted(driven.give("middling")) == ["worse"]


def test_the_example_of_a_chain_is_as_its_docstring_says():
    driven = Driven(image={"max_concurrent": 1}, host={"max_concurrent": 2, "behind": "image"})
    driven.ask("X")
    assert driven.ask("R", "host", priority=5) == [
        "slot_requested host R",
        "slot_requested image R~1",
    ]
    assert not driven["host"].leases
    assert driven.ask("S", "host", priority=3) == [
        "slot_requested host S",
        "request_withdrawn image R~1",
        "slot_requested image S~1",
    ]
    assert driven.give("X") == [
        "slot_released image X",
        "slot_granted image S~1",
        "slot_granted host S",
        "slot_requested image R~2",
    ]
    assert (driven.slots["S~1"].id, driven.slots["S"].id) == ("image#2", "host#1")
    assert driven.give("S") == [
        "slot_released host S",
        "slot_released image S~1",
        "slot_granted image R~2",
        "slot_granted host R",
    ]


def test_an_offer_that_comes_again_has_kept_its_age():
    driven = Driven(image={"max_concurrent": 1, "ageing": 1}, a={"behind": "image", "ageing": None})
    driven.ask("out")
    driven.ask("aged", "a", priority=5)
    driven.at(6)
    driven.ask("better", "a", priority=4)
    driven.ask("young", priority=3)
    driven.withdraw("better")
    assert granted(driven.give("out")) == ["aged"]


def test_an_offer_of_an_offer_has_the_age_of_that():
    """The lane in the middle offers it anew each time that it is offered to it anew."""
    driven = Driven(
        image={"max_concurrent": 1, "ageing": 1},
        a={"behind": "image"},
        b={"behind": "a", "ageing": None},
    )
    driven.ask("out")
    driven.ask("aged", "b", priority=5)
    driven.at(6)
    driven.ask("better", "b", priority=4)
    driven.ask("young", priority=3)
    driven.withdraw("better")
    assert granted(driven.give("out")) == ["aged"]


def test_a_request_of_a_revoked_slot_brings_its_age_along_to_each_lane():
    driven = Driven(image={"max_concurrent": 1, "ageing": 1}, a={"behind": "image"})
    driven.ask("out")
    driven.at(6)
    driven.ask("young", priority=3)
    driven.ask("again", "a", priority=7, since=0)
    assert granted(driven.give("out")) == ["again"]


@pytest.mark.parametrize("lane", ["a", "b"])
def test_an_owner_that_has_its_share_further_on_does_not_hold_up_others(lane):
    driven = Driven(
        image={"max_concurrent": 3, "max_per_owner": 1}, a={"behind": "image"}, b={"behind": "a"}
    )
    assert granted(driven.ask("x1", owner="x")) == ["x1"]
    assert granted(driven.ask("x2", lane, owner="x", priority=0)) == []
    assert granted(driven.ask("y1", lane, owner="y", priority=9)) == ["y1"]
    assert granted(driven.give("x1")) == ["x2"]


@pytest.mark.parametrize("lane", ["a", "b"])
@pytest.mark.parametrize("first", [True, False])
def test_an_owner_full_further_on_does_not_hold_up_others_by_what_is_too_heavy_for_now(lane, first):
    """Its owner is full further on before it comes, or only later."""
    driven = Driven(
        image={"max_concurrent": 9, "max_per_owner": 1},
        a={"behind": "image", "max_concurrent": 3},
        b={"behind": "a", "max_concurrent": 3},
    )
    driven.ask("out", lane)
    if first:
        driven.ask("x1", owner="x")
    driven.ask("heavy", lane, owner="x", weight=3)
    assert granted(driven.ask("light", lane, owner="y")) == (["light"] if first else [])
    if not first:
        assert granted(driven.ask("x1", owner="x")) == ["x1", "light"]


def test_an_owner_whose_share_was_made_less_does_not_hold_up_others_in_lanes_behind():
    driven = Driven(image={"max_concurrent": 2}, a={"behind": "image"})
    driven.ask("x1", owner="x")
    driven.ask("x2", owner="x")
    driven.ask("x3", "a", owner="x")
    driven.ask("y1", "a", owner="y")
    assert granted(driven.update("image", max_concurrent=3, max_per_owner=1)) == ["y1"]
    assert granted(driven.update("image", max_concurrent=9)) == ["x3"]


def test_what_no_lane_further_on_can_ever_give_is_refused_at_once():
    driven = Driven(image={"max_concurrent": 2}, a={"max_concurrent": 5, "behind": "image"})
    lines = driven.ask("heavy", "a", weight=3)
    assert lines == [
        "slot_requested a heavy",
        "request_dropped a heavy: too heavy in lane image",
        "lane_idle a",
    ]


def test_what_a_lane_further_on_cannot_give_any_more_is_dropped_though_it_was_not_offered():
    """It would be offered later, and be the head there for ever."""
    driven = Driven(image={"max_concurrent": 5}, a={"max_concurrent": 5, "behind": "image"})
    driven.pause("a")
    driven.ask("heavy", "a", weight=4)
    driven.ask("light", "a", weight=2)
    lines = driven.update("image", max_concurrent=2)
    assert "request_dropped a heavy: too heavy in lane image" in lines
    assert granted(driven.resume("a")) == ["light"]


def test_an_offer_that_its_own_lane_would_not_grant_any_more_is_not_granted_nor_in_the_way():
    """Time alone can do that: a refresh leaves less than there was."""
    refreshed = {"reservoir": 5, "reservoir_refresh_amount": 2, "reservoir_refresh_interval": 2}
    driven = Driven(image={"max_concurrent": 5}, a={**refreshed, "behind": "image"})
    driven.ask("out", weight=3)
    driven.ask("heavy", "a", weight=3)
    driven.ask("light", "a", weight=1)
    assert granted(driven.at(1.9)) == []
    lines = driven.at(2)
    assert "request_dropped a heavy: too heavy" in lines
    assert granted(lines) == ["light"]


@pytest.mark.parametrize("lane", ["a", "b"])
def test_what_its_own_lane_cannot_give_any_more_is_not_granted_if_that_is_looked_at_too_late(lane):
    refreshed = {"reservoir": 5, "reservoir_refresh_amount": 2, "reservoir_refresh_interval": 2}
    lanes = {"a": {"behind": "image"}, "b": {"behind": "a"}}
    lanes[lane] |= refreshed
    driven = Driven(image={"max_concurrent": 5}, **lanes)
    driven.ask("out", weight=5)
    driven.ask("heavy", lane, weight=3)
    driven.ask("light", lane, weight=1)
    driven.now = micros(3)
    lines = driven.give("out")
    assert f"request_dropped {lane} heavy: too heavy" in lines
    assert granted(lines) == ["light"]


def test_a_slot_that_expires_goes_to_the_best_request_of_all_lanes_as_one_given_back_does():
    driven = Driven(
        image={"max_concurrent": 1, "lease": 1},
        a={"behind": "image", "max_concurrent": 1, "lease": 600},
    )
    driven.ask("out", "a")
    driven.ask("best", "a", priority=0)
    driven.ask("worse", priority=9)
    driven.now = micros(1)
    driven.lanes.check("image", driven.now)
    assert granted(driven.done()) == ["best"]


def test_no_holder_is_told_a_lease_longer_than_the_shortest_of_all_its_lanes():
    driven = Driven(
        image={"lease": 1}, a={"behind": "image", "lease": 3}, b={"behind": "a", "lease": 2}
    )
    driven.ask("b1", "b")
    assert driven.slots["b1"].expires_at == micros(1)
    driven.ask("a1", "a")
    assert driven.slots["a1"].expires_at == micros(1)


def test_a_lease_that_ends_further_on_ends_in_each_lane():
    driven = Driven(
        image={"max_concurrent": 1, "lease": 1}, a={"behind": "image"}, b={"behind": "a"}
    )
    driven.ask("b1", "b")
    assert driven.at(1)[:3] == [
        "slot_expired b b1",
        "slot_expired a b1~1",
        "slot_expired image b1~1~1",
    ]
    assert driven["a"].idle
    assert driven["b"].idle
    assert driven.give("b1") == []


def test_a_background_slot_is_asked_back_further_on_by_the_name_that_its_holder_knows():
    driven = Driven(
        image={"max_concurrent": 1, "preempt": True, "grace": 2},
        a={"behind": "image"},
        b={"behind": "image"},
    )
    driven.ask("back", "a", priority=7)
    driven.lanes.request(slot_request("active", "b", priority=3), 0)
    (step,) = [step for step in driven.lanes.take_steps() if step.event == "slot_asked_back"]
    assert step.lane is driven["image"]
    assert step.slot is driven.slots["back~1"]
    assert step.holder is driven.slots["back"]
    assert step.slot.revoked_for == "active~1"
    driven.done()
    assert driven.give("back") == [
        "slot_released a back",
        "slot_revoked image back~1",
        "slot_granted image active~1",
        "slot_granted b active",
        "lane_idle a",
    ]


def test_a_grace_that_ends_further_on_ends_the_slot_in_each_lane():
    driven = Driven(
        image={"max_concurrent": 1, "preempt": True, "grace": 2},
        a={"behind": "image"},
    )
    driven.ask("back", "a", priority=7)
    driven.ask("active")
    assert driven.at(1.9) == []
    assert driven.at(2) == [
        "slot_expired a back",
        "slot_expired image back~1",
        "slot_granted image active",
        "lane_idle a",
    ]


def test_what_waits_too_long_further_on_is_dropped_in_its_own_lane_which_says_where():
    driven = Driven(
        image={"max_concurrent": 1, "max_wait": 2}, a={"behind": "image"}, b={"behind": "a"}
    )
    driven.ask("out")
    driven.ask("b1", "b")
    assert driven.at(2)[:3] == [
        "request_dropped image b1~1~1: waited too long",
        "request_dropped a b1~1: waited too long in lane image",
        "request_dropped b b1: waited too long in lane image",
    ]
    assert driven["a"].idle
    assert driven["b"].idle


@pytest.mark.parametrize("lane", ["a", "b"])
def test_all_that_wait_for_a_lane_wait_no_longer_than_it_says(lane):
    """Only the first of those behind it is offered to it; the others wait as long."""
    driven = Driven(
        image={"max_concurrent": 1, "max_wait": 3}, a={"behind": "image"}, b={"behind": "a"}
    )
    driven.ask("out")
    for number in range(4):
        driven.at(number / 2)
        driven.ask(f"r{number}", lane)
    for number in range(4):
        assert driven.at(3 + number / 2 - 0.1) == []
        lines = driven.at(3 + number / 2)
        assert f"request_dropped {lane} r{number}: waited too long in lane image" in lines
    assert not any(driven[name].waiting for name in ("image", "a", "b"))


def test_a_paused_lane_does_not_stop_the_clock_of_the_lane_upstream():
    driven = Driven(image={"max_wait": 3}, a={"behind": "image"})
    driven.pause("a")
    driven.ask("a1", "a")
    assert "request_dropped a a1: waited too long in lane image" in driven.at(3)


@pytest.mark.parametrize("lanes", [("a", "a", "a"), ("a", "b", "image"), ("b", "a", "b")])
def test_all_that_wait_for_a_lane_are_counted_against_its_high_water(lanes):
    driven = Driven(
        image={"max_concurrent": 1, "high_water": 2}, a={"behind": "image"}, b={"behind": "image"}
    )
    driven.ask("out")
    for number, lane in enumerate(lanes):
        lines = driven.ask(f"r{number}", lane, message_id=None)
        assert len([line for line in lines if "dropped" in line and "~" not in line]) == (
            number == 2
        )
    where = "" if lanes[0] == "image" else " in lane image"
    assert f"request_dropped {lanes[0]} r0: high water{where}" in lines
    assert granted(driven.give("out")) == ["r1"]


def test_a_lane_upstream_counts_what_an_owner_has_waiting_behind_it():
    driven = Driven(
        image={"max_concurrent": 1, "max_waiting_per_owner": 1},
        a={"behind": "image"},
        b={"behind": "image"},
    )
    driven.ask("out", owner="x")
    driven.ask("a1", "a", owner="x")
    refused = "too many of its owner wait in lane image"
    assert f"request_dropped b b1: {refused}" in driven.ask("b1", "b", owner="x")
    assert "request_dropped" not in "".join(driven.ask("b2", "b", owner="y"))


def test_a_blocked_lane_drops_and_refuses_what_comes_through_those_behind_it():
    driven = Driven(
        image={"max_concurrent": 1, "high_water": 1, "strategy": "block", "penalty": 2},
        a={"behind": "image"},
        b={"behind": "image"},
    )
    driven.ask("out")
    driven.ask("a1", "a")
    lines = driven.ask("b1", "b")
    assert "request_dropped a a1: blocked in lane image" in lines
    assert "request_dropped b b1: blocked in lane image" in lines
    assert "request_dropped b b2: blocked in lane image" in driven.ask("b2", "b")
    assert driven.at(2) == []
    driven.give("out")
    assert granted(driven.ask("b3", "b")) == ["b3"]


def test_what_waits_in_vain_for_a_lane_is_dropped_wherever_it_stands():
    driven = Driven(
        image={"max_concurrent": 1, "circuit_failures": 1, "circuit_patience": 1},
        a={"behind": "image"},
    )
    driven.ask("out")
    driven.at(1)
    for name in ("a1", "a2"):
        driven.ask(name, "a")
    driven.give("out", True)
    driven.ask("probe", priority=0)
    driven.at(40)
    lines = driven.give("probe", True)
    dropped = [line.split()[2].rstrip(":") for line in lines if line.startswith("request_dropped")]
    assert {"a1", "a2"} <= set(dropped)


def test_an_offer_does_not_count_beside_the_request_that_it_stands_for():
    driven = Driven(
        image={"max_concurrent": 1, "high_water": 1, "max_waiting_per_owner": 1},
        a={"behind": "image"},
    )
    driven.ask("out")
    driven.ask("a1", "a", owner="x")
    assert driven["image"].waiting == driven["a"].waiting == 1
    assert granted(driven.give("out")) == ["a1"]


def test_what_its_own_lane_drops_is_not_offered_any_more():
    driven = Driven(image={"max_concurrent": 1}, a={"behind": "image", "high_water": 1})
    driven.ask("out")
    driven.ask("old", "a", message_id=None)
    assert driven.ask("new", "a", message_id=None) == [
        "slot_requested a new",
        "request_dropped a old: high water",
        "request_withdrawn image old~1",
        "slot_requested image new~1",
    ]


def test_all_that_a_session_holds_is_taken_back_before_another_slot_is_granted():
    driven = Driven(image={"max_concurrent": 1}, a={"behind": "image"})
    driven.ask("gone1", "a", session_id="gone")
    driven.ask("gone2", "a", session_id="gone")
    driven.ask("gone3", session_id="gone")
    driven.ask("left", priority=9)
    driven.lanes.end_session("gone", 0)
    assert granted(driven.done()) == ["left"]
    driven.lanes.end_session("gone", 0)
    assert driven.done() == []


# Ends


def test_a_drained_lane_grants_what_waits_in_those_behind_it_and_is_drained_last():
    driven = Driven({"host": {"behind": "a"}}, image={"max_concurrent": 1}, a={"behind": "image"})
    driven.ask("i1")
    driven.ask("a1", "a")
    driven.ask("h1", "host:1")
    ended = driven.end("image", drop=False)
    assert ended == [f"lane_ending {name}" for name in ("image", "a", "host:1")]
    refused = "the lane is draining"
    for name, where in (("image", ""), ("a", ""), ("host:1", ""), ("host:2", " in lane a")):
        assert f"request_dropped {name} late: {refused}{where}" in driven.ask("late", name)
    for name, following in (("i1", "a1"), ("a1", "h1")):
        lines = driven.give(name)
        assert granted(lines) == [following]
        assert "lane_drained image" not in lines
    assert driven.give("h1")[-4:] == [
        "lane_idle host:1",
        "lane_idle a",
        "lane_idle image",
        "lane_drained image",
    ]


def test_a_lane_is_not_drained_while_anything_waits_behind_it():
    driven = Driven(image={}, a={"behind": "image"}, b={"behind": "a"})
    driven.pause("b")
    driven.ask("b1", "b")
    assert "lane_drained image" not in driven.end("image", drop=False)
    assert granted(driven.resume("b")) == ["b1"]
    assert driven.give("b1")[-1] == "lane_drained image"


def test_a_stopped_lane_drops_what_waits_in_those_behind_it():
    driven = Driven(image={"max_concurrent": 1}, a={"behind": "image"}, b={"behind": "a"})
    driven.ask("out", "b")
    driven.ask("i1")
    driven.ask("a1", "a")
    driven.ask("b1", "b")
    driven.ask("b2", "b")
    lines = driven.end("image", drop=True)
    own = [line for line in lines if line.startswith("request_dropped") and "~" not in line]
    assert {line.split(":")[0].split()[-1] for line in own} == {"i1", "a1", "b1", "b2"}
    assert all("the lane is stopped" in line for line in own)
    assert not any(driven[name].waiting for name in ("image", "a", "b"))
    assert "lane_drained image" not in lines
    assert driven.give("out")[-1] == "lane_drained image"


def test_a_lane_of_which_nothing_is_out_is_drained_at_once_each_time_that_it_is_asked_for():
    driven = Driven(image={}, a={"behind": "image"})
    for _ in range(2):
        assert driven.end("a", drop=False) == ["lane_ending a", "lane_drained a"]
    assert granted(driven.ask("i1")) == ["i1"]


# Groups


def test_a_lane_of_a_group_is_made_when_it_is_asked_for_and_dropped_when_it_is_idle():
    driven = Driven({"host": {"behind": "image"}}, image={})
    lines = driven.ask("h1", "host:1")
    assert lines[:2] == ["lane_opened host:1", "slot_requested host:1 h1"]
    assert driven.give("h1")[-3:] == ["lane_idle host:1", "lane_idle image", "lane_dropped host:1"]
    assert list(driven.lanes.lanes) == ["image"]


def test_no_slot_is_named_as_one_of_a_lane_that_was_dropped():
    driven = Driven({"host": {}})
    names = []
    for number in range(6):
        driven.ask(f"h{number}", f"host:{number % 2}")
        names.append(driven.slots[f"h{number}"].id)
        driven.give(f"h{number}")
        assert not driven.lanes.lanes
    assert len(set(names)) == 6


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ({"min_time": 2}, 2),
        ({"reservoir": 1, "reservoir_refresh_amount": 1, "reservoir_refresh_interval": 3}, 3),
        ({"reservoir": 1, "reservoir_increase_amount": 5, "reservoir_increase_interval": 4}, 4),
    ],
)
def test_a_lane_of_a_group_is_kept_for_as_long_as_a_new_one_would_grant_earlier(values, seconds):
    driven = Driven({"host": values})
    driven.ask("h1", "host:1")
    assert lane_events(driven.give("h1"), "host:1") == ["lane_idle"]
    assert driven.at(seconds - 0.1) == []
    assert driven.at(seconds) == ["lane_dropped host:1"]


def test_a_lane_that_is_never_again_as_a_new_one_is_not_looked_at_for_ever():
    driven = Driven(
        {"host": {"reservoir": 9, "reservoir_refresh_amount": 3, "reservoir_refresh_interval": 1}}
    )
    driven.ask("h1", "host:1")
    driven.give("h1")
    driven.at(600)
    assert driven.timers == {}
    assert "lane_dropped host:1" not in driven.told


def test_a_lane_of_a_group_is_kept_for_as_long_as_it_is_paused_or_takes_nothing():
    driven = Driven(
        {"host": {"max_concurrent": 1, "high_water": 0, "strategy": "block", "penalty": 3}}
    )
    driven.pause("host:1", 2)
    driven.pause("host:2")
    driven.ask("h1", "host:3")
    driven.ask("h2", "host:3")
    driven.give("h1")
    assert driven.at(1.9) == []
    assert driven.at(2) == ["lane_dropped host:1"]
    assert driven.at(3) == ["lane_dropped host:3"]
    driven.at(600)
    assert driven.resume("host:2") == ["lane_resumed host:2", "lane_dropped host:2"]


def test_a_lane_of_a_group_is_kept_if_it_is_ended_and_still_refuses():
    driven = Driven({"host": {}})
    driven.end("host:1", drop=False)
    assert "request_dropped host:1 h1: the lane is draining" in driven.ask("h1", "host:1")


def test_a_lane_of_a_group_with_settings_of_its_own_is_kept_and_not_looked_at_for_ever():
    driven = Driven({"host": {}})
    driven.update("host:1", max_concurrent=1)
    assert driven.timers == {}
    driven.ask("h1", "host:1")
    assert driven.give("h1") == ["slot_released host:1 h1", "lane_idle host:1"]
    assert driven.update("host:1") == ["lane_updated host:1", "lane_dropped host:1"]


def test_a_lane_whose_own_settings_become_those_of_its_group_is_dropped_when_it_is_idle():
    driven = Driven({"host": {}})
    driven.update("host:1", max_concurrent=1)
    assert driven.update("host", max_concurrent=1)[-1] == "lane_dropped host:1"


def test_an_update_of_a_group_reaches_its_lanes_but_not_those_with_settings_of_their_own():
    driven = Driven({"host": {"max_concurrent": 1}}, image={})
    for number in range(3):
        for key in "ab":
            driven.ask(f"{key}{number}", f"host:{key}")
    driven.update("host:b", max_concurrent=1, lease=30)
    lines = driven.update("host", max_concurrent=2)
    assert granted(lines) == ["a1"]
    assert "lane_updated host:b" not in lines
    driven.ask("c0", "host:c")
    assert driven["host:c"].settings.max_concurrent == 2


def test_a_slot_that_expires_as_its_priority_is_changed_is_told_with_the_new_one():
    lanes = LaneSet({"image": LaneSettings(lease=30)})
    lanes.request(slot_request(), 0)
    (granted_slot,) = [step.slot for step in lanes.take_steps() if step.event == "slot_granted"]
    lanes.prioritise(granted_slot.id, 3, micros(30))
    lanes.check("image", micros(30))
    (expired,) = [step for step in lanes.take_steps() if step.event == "slot_expired"]
    assert expired.slot.request == granted_slot.request
    assert expired.slot.request.priority == 3


# What it costs


def look(lane):
    """Do what is done in a lane at each message."""
    lane.expire_slots(0)
    lane.drop_overdue(0)
    lane.grant_ready(0)
    lane.revoke_slots(0)


def cycle(lanes, request):
    """Do what the actor does for a request that is granted at once, and for its release."""
    lanes.request(request, 0)
    steps = lanes.take_steps()
    slot = next(step.slot for step in reversed(steps) if step.request is request)
    lanes.release(ReleaseSlot(slot_id=slot.id), 0)
    lanes.due(request.lane, 0)
    lanes.take_steps()
    lanes.take_changed()


def test_one_lane_alone_costs_twice_the_lane_itself_at_most():
    lane, lanes = Lane("image", LaneSettings()), LaneSet({"image": LaneSettings()})
    requests = [slot_request() for _ in range(50)]

    def cycle_of_lane():
        for request in requests:
            (slot,) = lane.request(request, 0).granted
            look(lane)
            lane.release(slot.id)
            look(lane)
            lane.next_check(0)

    itself = steps_of(cycle_of_lane) / 50
    together = steps_of(lambda: [cycle(lanes, request) for request in requests]) / 50
    print(f"instructions a cycle: {itself} of the lane, {together} of it in a set")
    assert together <= 2 * itself


def hosts(number):
    """Return this many lanes of a group behind another lane, a slot out in each."""
    lanes = LaneSet(
        {"image": LaneSettings(max_concurrent=None)}, {"host": LaneSettings(behind="image")}
    )
    for key in range(number):
        lanes.request(slot_request(f"out{key}", f"host:{key}", owner=f"o{key}"), 0)
    lanes.take_steps()
    lanes.take_changed()
    return lanes


def cost_behind(number, *, ending):
    """Count the instructions of a cycle in one of this many lanes."""
    lanes = hosts(number)
    if ending:
        lanes.end("host:0", 0, drop=False)
        lanes.take_steps()
    requests = [slot_request(None, "host:1", owner="o1") for _ in range(20)]
    return steps_of(lambda: [cycle(lanes, request) for request in requests]) / 20


@pytest.mark.parametrize("ending", [False, True])
def test_a_cycle_costs_the_same_with_ten_lanes_behind_another_and_with_ten_thousand(ending):
    few, many = (cost_behind(number, ending=ending) for number in (10, 10_000))
    print(f"instructions a cycle: {few} with 10 lanes, {many} with 10,000")
    assert many <= 1.1 * few


@pytest.mark.parametrize(
    "call",
    [
        lambda lanes: lanes.update("host", LaneSettings(behind="image", max_concurrent=5), 1),
        lambda lanes: lanes.update("image", LaneSettings(max_concurrent=50_000), 1),
        lambda lanes: lanes.end("image", 1, drop=False),
        lambda lanes: lanes.end_session("s", 1),
    ],
    ids=["update of the group", "update of the other", "end", "end of a session"],
)
def test_what_is_done_in_all_lanes_costs_each_of_many_as_much_as_each_of_few(call):
    few, many = hosts(50), hosts(500)
    each_of_few = steps_of(lambda: call(few)) / 50
    each_of_many = steps_of(lambda: call(many)) / 500
    print(f"instructions for each lane: {each_of_few} of 50, {each_of_many} of 500")
    assert each_of_many <= 1.2 * each_of_few


CHAIN = {"image": {}, "near": {"behind": "image"}, "far": {"behind": "near"}}


@pytest.mark.parametrize(
    ("backs_off", "host", "paused"),
    [
        ({}, None, "far"),
        ({}, "near", "near"),
        ({}, "near:80", "near"),
        ({}, "elsewhere", "far"),
        ({"far": "own"}, "near", "far"),
        ({"far": "upstream"}, None, "near"),
        ({"far": "upstream"}, "image", "image"),
        ({"far": "upstream", "near": "upstream"}, None, "image"),
        ({"far": "image"}, None, "image"),
        ({"image": "upstream", "far": "image"}, None, "image"),
    ],
)
def test_the_lane_that_has_the_back_end_backs_off(backs_off, host, paused):
    lanes = {name: LaneSettings(**of, backs_off=backs_off.get(name)) for name, of in CHAIN.items()}
    driven = LaneSet(lanes)
    driven.request(slot_request("r", "far"), 0)
    slot = next(iter(driven.lanes["far"].leases)).id
    message = ReleaseSlot(
        slot_id=slot, failed=True, retry_after=2, host=host, error=Reason("x", "x")
    )
    driven.release(message, 0)
    for name, lane in driven.lanes.items():
        assert lane.paused(1) == (name == paused)
        assert (lane.last_error is not None) == (name == paused)
        assert lane.circuit.failures_in_a_row == (name == paused)


def test_a_lane_of_which_nothing_is_left_pauses_until_the_reset():
    lanes = LaneSet({"image": LaneSettings(pause_maximum=60)})
    lanes.take_steps()
    lanes.observe("image", [RateLimit("requests", 9, 1, 30.0), RateLimit("x", 9, 0, None)], 0)
    assert lanes.take_steps() == []
    lanes.observe("image", [RateLimit("requests", 9, 0, 30.0), RateLimit("tokens", 9, 0, 20.0)], 0)
    (paused,) = lanes.take_steps()
    assert paused.fields == {"seconds": 30.0, "reason": "its back end has no requests left"}
    lanes.observe("image", [RateLimit("requests", 9, 0, 900.0)], 0)
    assert lanes.lanes["image"].paused_until == micros(60)
    lanes.update("image", LaneSettings(adapt=False), 0)
    lanes.resume("image", 0)
    lanes.observe("image", [RateLimit("requests", 9, 0, 900.0)], 0)
    assert not lanes.lanes["image"].paused(1)


def test_a_budget_is_put_down_at_once_and_up_at_the_reset_alone():
    settings = LaneSettings(
        max_concurrent=None, budgets={"requests": {"amount": 5, "per": 60, "window": "fixed"}}
    )
    lanes = LaneSet({"image": settings})
    lanes.take_steps()
    limits = [RateLimit("requests", 5, 1, 30.0)]
    lanes.observe("image", limits, 0)
    (corrected,) = lanes.take_steps()
    assert corrected.event == "budget_corrected"
    assert corrected.fields["remaining"] == 1
    left = lanes.lanes["image"].budgets.left
    assert left(0)["requests"].left == 1
    lanes.observe("image", [RateLimit("requests", 5, 5, 30.0)], 1)
    assert lanes.take_steps() == []
    assert left(micros(29))["requests"].left == 1
    assert left(micros(30))["requests"].left == 5


def test_a_lane_with_a_budget_does_not_pause_and_one_without_does():
    settings = LaneSettings(budgets={"tokens": {"amount": 5, "per": 60}})
    lanes = LaneSet({"image": settings})
    lanes.take_steps()
    lanes.observe("image", [RateLimit("tokens", 5, 0, 30.0)], 0)
    assert not lanes.lanes["image"].paused(1)
    lanes.observe("image", [RateLimit("requests", 5, 0, 30.0)], 0)
    assert [step.event for step in lanes.take_steps()] == ["budget_corrected", "lane_paused"]


def test_a_budget_goes_down_to_what_the_back_end_says_and_up_at_the_reset():
    budgets = {"requests": Budget(9, per=60, window="fixed")}
    lanes = Driven(image={"budgets": budgets, "max_concurrent": None})
    lanes.lanes.observe("image", [RateLimit("requests", 9, 1, 20.0)], 0)
    lanes.lanes.observe("image", [RateLimit("requests", 9, 8, 40.0)], 0)
    assert lanes.done()[-1] == "budget_corrected image"
    names = [f"r{number}" for number in range(9)]
    told = [line for name in names for line in lanes.ask(name)]
    assert granted(told) == names[:1]
    assert granted(lanes.at(19)) == []
    assert granted(lanes.at(20)) == names[1:]
    assert lanes.told.count("budget_corrected image") == 1
    assert "lane_paused image" not in lanes.told
