"""Lanes together: held against what is told of them, and rule by rule."""

import sys
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from lane_model import micros
from laneset_model import SeenLanes

from limner.messages.lanesets import LaneSet
from limner.messages.settings import LaneSettings, group_of
from limner.messages.slots import ReleaseSlot, RequestSlot

NAMES = count()


def wish(name=None, lane="image", **values):
    values = {"session_id": "s", "message_id": "m", "task_id": "t", "reply_to": None} | values
    return RequestSlot(request_id=name or f"r{next(NAMES)}", lane=lane, **values)


def optional(*values):
    """Nothing as often as something, so that most of what is asked for is not refused."""
    return st.one_of(st.none(), st.sampled_from(values))


@st.composite
def lane_values(draw, revokes=False):
    """Draw what a lane may be told; the simplest one limits nothing but its slots."""
    values = {}
    if draw(st.integers(0, 3)) == 3:
        values["reservoir"] = draw(st.integers(0, 8))
        if draw(st.booleans()):
            values["reservoir_refresh_amount"] = draw(st.integers(0, 6))
            values["reservoir_refresh_interval"] = draw(st.sampled_from([0.5, 1, 3]))
        if draw(st.booleans()):
            values["reservoir_increase_amount"] = draw(st.integers(0, 3))
            values["reservoir_increase_interval"] = draw(st.sampled_from([0.5, 1, 2]))
            values["reservoir_increase_maximum"] = draw(optional(0, 4, 8))
    return values | {
        "max_concurrent": draw(st.sampled_from([1, 2, 3, 5, None])),
        "min_time": draw(st.sampled_from([0, 0, 0, 0.25, 1])),
        "high_water": draw(optional(1, 3, 8)),
        "strategy": draw(st.sampled_from(["leak", "overflow_priority", "overflow", "block"])),
        "penalty": draw(optional(0.5, 3)),
        "max_per_owner": draw(optional(1, 2)),
        "max_waiting_per_owner": draw(optional(1, 3)),
        "max_wait": draw(optional(2, 7)),
        "lease": draw(st.sampled_from([30, 3, 0.5])),
        "grace": draw(st.sampled_from([5, 0.5])),
        "ageing": draw(st.sampled_from([None, 0.5, 1, 5])),
        "preempt": revokes and draw(st.booleans()),
        "adapt": not revokes and draw(st.booleans()),
        "pause_maximum": 4,
        "circuit_failures": draw(st.integers(1, 3)),
        "circuit_seconds": draw(st.sampled_from([0.5, 3])),
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

PRIVATE = ("_where", "_held", "_offers", "_offered", "_first_offered", "_offers_of", "_barred")
PRIVATE += ("_outer", "_inner", "_fresh", "_agenda", "_busy")


class LanesAndModel(RuleBasedStateMachine):
    """Drives lanes as their actor does, each looked at when it has said so and at no other time.

    The model looks at every moment at which anything may change.
    """

    owners = st.sampled_from([None, "a", "b", "c"])
    priorities = st.one_of(st.sampled_from([3, 7]), st.integers(0, 9))
    weights = st.sampled_from([1, 1, 1, 1, 2, 3, 6])
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
        return LaneSettings(**values, behind=self.behind[group_of(name)])

    # What the actor does

    def done(self, **told):
        """Take in what a call has told; set timers."""
        steps, self.lanes.steps = self.lanes.steps, []
        touched, self.lanes.touched = self.lanes.touched, {}
        self.model.read(steps, self.now, **told)
        for name in touched:
            due = self.lanes.due(name, self.now)
            if due is not None:
                assert due > self.now, "it would be looked at again and again"
                self.timers[name] = min(due, self.timers.get(name, due))

    def call(self, method, *args, said=None, asked=None, **values):
        method(*args, self.now, **values)
        self.done(said=said, asked=asked)
        self.fire()

    def fire(self):
        """Look at each lane whose time has come."""
        while due := [name for name, at in self.timers.items() if at <= self.now]:
            for name in reversed(due) if self.backwards else due:
                del self.timers[name]
                self.lanes.look(name, self.now)
                self.done()
        self.model.check_settled(self.now)

    def advance(self, until):
        """Let the clock go, from one moment to the next at which anything may change."""
        self.fire()
        for _ in range(300):
            moments = [self.model.next_moment(self.now), *self.timers.values()]
            moment = min((one for one in moments if one is not None), default=None)
            if moment is None or moment > until:
                break
            self.now = moment
            self.fire()
        self.now = max(self.now, until)
        self.fire()

    # What is told to it

    def ask(self, name, **wanted):
        lane = self.names[name % len(self.names)]
        request = wish(f"r{next(self.requests)}", lane, **wanted)
        self.call(self.lanes.request, request, asked=lane)

    @rule(lane=which, owner=owners, priority=priorities, weight=weights, session=st.sampled_from("st"))
    def request(self, lane, owner, priority, weight, session):
        self.ask(lane, owner=owner, priority=priority, weight=weight, session_id=session)

    @rule(lane=which, owner=owners, priorities=st.lists(priorities, min_size=2, max_size=5))
    def request_several(self, lane, owner, priorities):
        for number, priority in enumerate(priorities):
            self.ask(lane + number % 2, owner=owner, priority=priority)

    @rule(lane=which, owner=owners, priority=priorities, ago=st.sampled_from([0, 1, 500_000]))
    def request_again_what_was_revoked(self, lane, owner, priority, ago):
        self.ask(lane, owner=owner, priority=priority, since=max(0, self.now - ago))

    @precondition(lambda self: self.waiting())
    @rule(index=which)
    def withdraw(self, index):
        waiting = self.waiting()
        self.call(self.lanes.withdraw, waiting[index % len(waiting)])

    @precondition(lambda self: self.waiting())
    @rule(index=which)
    def request_what_is_known(self, index):
        waiting = self.waiting()
        name = waiting[index % len(waiting)]
        self.lanes.request(wish(name, self.model.own[name].name), self.now)
        assert self.lanes.steps == []

    def waiting(self):
        return [root for root in self.model.own if root not in self.model.known]

    @precondition(lambda self: self.model.known)
    @rule(
        index=which,
        failed=st.sampled_from([None, False, True, True]),
        retry_after=optional(0.0, 1.0, 1e9),
    )
    def release(self, index, failed, retry_after):
        root, slot = list(self.model.known.items())[index % len(self.model.known)]
        lane = self.model.own[root]
        paused = lane.paused_until
        if retry_after and lane.settings.adapt:
            paused = max(paused, self.now + micros(min(retry_after, 4)))
        message = ReleaseSlot(slot_id=slot.id, failed=failed, retry_after=retry_after)
        self.call(self.lanes.release, message, said={root: failed})
        assert lane.paused_until == paused
        self.call(self.lanes.release, message)

    @precondition(lambda self: self.model.slots)
    @rule(index=which)
    def release_what_no_holder_knows(self, index):
        name = list(self.model.slots)[index % len(self.model.slots)]
        if name not in [slot.id for slot in self.model.known.values()]:
            self.lanes.release(ReleaseSlot(slot_id=name, failed=True, retry_after=1), self.now)
            assert self.lanes.steps == []

    @rule(session=st.sampled_from("st"))
    def take_back(self, session):
        self.call(self.lanes.take_back, session)
        held = [slot.request.session_id for slot in self.model.known.values()]
        assert session not in held

    @rule(lane=which, data=st.data())
    def update(self, lane, data):
        name = self.names[lane % len(self.names)]
        self.call(self.lanes.update, name, self.settings_of(name, data))

    @rule(lane=which, data=st.data(), names=st.sets(st.sampled_from(["max_concurrent", "max_per_owner", "min_time", "adapt"]), min_size=1))
    def update_some(self, lane, data, names):
        name = self.names[lane % len(self.names)]
        known = self.model.lanes.get(name)
        before = self.model.groups[group_of(name)] if known is None else known.settings
        values = dict(self.settings_of(name, data))
        changed = dict(before) | {each: values[each] for each in names}
        self.call(self.lanes.update, name, LaneSettings(**changed))

    @precondition(lambda self: self.model.groups)
    @rule(data=st.data())
    def update_group(self, data):
        (name,) = self.model.groups
        self.model.groups[name] = changed = self.settings_of(name, data)
        self.call(self.lanes.update, name, changed)

    @precondition(lambda self: self.model.groups)
    @rule(key=st.sampled_from(KEYS))
    def update_as_the_group(self, key):
        (name,) = self.model.groups
        self.call(self.lanes.update, f"{name}:{key}", self.model.groups[name])

    @rule(lane=which, seconds=optional(0.5, 4))
    def pause(self, lane, seconds):
        self.call(self.lanes.pause, self.names[lane % len(self.names)], seconds)

    @rule(lane=which)
    def resume(self, lane):
        self.call(self.lanes.resume, self.names[lane % len(self.names)])

    @precondition(lambda self: len(self.model.ends) > 20)
    @rule(lane=which, drop=st.booleans())
    def end(self, lane, drop):
        name = self.names[lane % len(self.names)]
        self.model.ending.add(name)
        self.call(self.lanes.end, name, drop=drop)

    @rule(lane=which)
    def look_now(self, lane):
        self.call(self.lanes.look, self.names[lane % len(self.names)])

    @rule(by=st.one_of(st.integers(0, 3_000_000), st.sampled_from([1, 250_000, 500_000, 40_000_000])))
    def let_the_clock_go(self, by):
        self.advance(self.now + by)

    @precondition(lambda self: self.timers)
    @rule()
    def let_the_clock_go_to_the_next_look(self):
        self.advance(min(self.timers.values()))

    @rule(by=st.sampled_from([1, 500_000, 2_000_000, 30_000_000]))
    def come_late(self, by):
        """The actor was busy: what is due meanwhile is all done after the next call."""
        self.now += by

    def teardown(self):
        """Give all free: each request and each slot has ended once, and nothing is left."""
        if sys.exc_info()[1] is not None or not hasattr(self, "lanes"):
            return
        self.fire()
        for name in (*self.fixed, *self.model.groups):
            wide = LaneSettings(max_concurrent=None, behind=self.behind[name])
            if name in self.model.groups:
                self.model.groups[name] = wide
            self.call(self.lanes.update, name, wide)
        for name in [one for one in self.model.lanes if one not in self.fixed]:
            self.call(self.lanes.update, name, self.model.groups[group_of(name)])
        for name in list(self.model.lanes):
            self.call(self.lanes.resume, name)
        self.advance(self.now + micros(700))
        assert not self.model.own
        assert None not in self.model.slots.values()
        assert None not in self.model.ends.values()
        for name in PRIVATE:
            assert not getattr(self.lanes, name), name
        assert not self.timers
        left = [name for name in self.lanes.lanes if name not in self.fixed]
        assert all(self.lanes.lanes[name].ending for name in left)
        assert not self.model.ending


def test_lanes_do_what_can_be_read_from_what_they_tell():
    run_state_machine_as_test(
        LanesAndModel, settings=settings(max_examples=200, stateful_step_count=40, deadline=None)
    )
