"""Who is next, rule by rule; and a million that wait.

That turns and ages together come out as the rules say is shown in `test_lanes`, by a model.
"""

import tracemalloc
from random import Random
from typing import NamedTuple

import pytest
from support.instructions import steps_of

from limner.messages.limiter.lane import Lane
from limner.messages.limiter.settings import LaneSettings

SECOND = 1_000_000


class SlotRequest(NamedTuple):
    """All fields of a `RequestSlot` that a lane reads, in little memory."""

    request_id: str
    owner: str | None = None
    priority: int = 3
    weight: int = 1
    since: int | None = None
    revoked: bool = False
    revocable: bool = True
    thread: bool = False
    stands_for: str | None = None
    deadline: int | None = None


class Taken:
    """A lane with one slot, which is out; what waits is then served one by one."""

    def __init__(self, **values):
        self.lane = Lane("image", LaneSettings(**{"max_concurrent": 1, "lease": 86_400} | values))
        self.now = 0
        self.lane.request(SlotRequest("first"), 0)

    def ask(self, request_id, priority=3, owner=None, *, at=None, since=None):
        self.now = self.now if at is None else at
        self.lane.request(
            SlotRequest(request_id, owner, priority, since=since, revoked=since is not None),
            self.now,
        )

    def serve(self, number=1, *, at=None):
        self.now = self.now if at is None else at
        order = []
        for _ in range(number):
            (out,) = self.lane.leases.slots
            self.lane.release(out)
            order += [slot.request.request_id for slot in self.lane.grant_ready(self.now)]
        return order


def test_a_better_priority_goes_first_whoever_came_first():
    taken = Taken()
    for priority in (7, 3, 9, 0):
        taken.ask(f"p{priority}", priority)
    assert taken.serve(4) == ["p0", "p3", "p7", "p9"]


def test_within_an_owner_the_first_that_came_is_the_first_served():
    taken = Taken()
    for number in range(5):
        taken.ask(f"r{number}", owner="a")
    assert taken.serve(5) == [f"r{number}" for number in range(5)]


def test_requests_without_an_owner_share_one_turn():
    taken = Taken()
    for name in ("n1", "n2", "n3"):
        taken.ask(name)
    taken.ask("a1", owner="a")
    assert taken.serve(4) == ["n1", "a1", "n2", "n3"]


def test_an_owner_that_was_served_is_behind_those_who_came_meanwhile():
    taken = Taken()
    for name in ("a1", "a2", "b1"):
        taken.ask(name, owner=name[0])
    assert taken.serve() == ["a1"]
    taken.ask("c1", owner="c")
    assert taken.serve(3) == ["b1", "a2", "c1"]


def test_turns_of_one_priority_are_not_those_of_another():
    taken = Taken()
    for name, priority in (("a1", 3), ("a2", 3), ("b1", 3), ("a7", 7), ("b7", 7)):
        taken.ask(name, priority, owner=name[0])
    assert taken.serve(5) == ["a1", "b1", "a2", "a7", "b7"]


def test_one_whose_last_request_was_withdrawn_comes_back_at_the_end():
    taken = Taken()
    for name in ("a1", "b1", "c1"):
        taken.ask(name, owner=name[0])
    taken.lane.withdraw("a1")
    taken.ask("a2", owner="a")
    assert taken.serve(3) == ["b1", "c1", "a2"]


def test_one_whose_first_request_was_withdrawn_keeps_its_turn():
    taken = Taken()
    for name in ("a1", "b1", "a2"):
        taken.ask(name, owner=name[0])
    taken.lane.withdraw("a1")
    assert taken.serve(2) == ["a2", "b1"]


@pytest.mark.parametrize(("at", "first"), [(40 * SECOND - 1, "better"), (40 * SECOND, "old")])
def test_a_request_is_lifted_by_one_priority_for_each_ageing_that_it_has_waited(at, first):
    taken = Taken(ageing=10)
    taken.ask("old", 7, owner="a")
    taken.ask("better", 3, owner="b", at=at)
    assert taken.serve(at=at) == [first]


def test_one_that_is_lifted_to_a_priority_stands_behind_those_who_are_there():
    taken = Taken(ageing=10)
    taken.ask("old", 4, owner="a")
    taken.ask("there", 3, owner="b", at=9 * SECOND)
    taken.ask("behind", 3, owner="c", at=11 * SECOND)
    assert taken.serve(3, at=11 * SECOND) == ["there", "old", "behind"]


def test_what_comes_due_while_nobody_looks_is_lifted_in_the_order_in_which_it_is_due():
    taken = Taken(ageing=10)
    taken.ask("second", 6, owner="a", at=0)
    taken.ask("first", 5, owner="b", at=1 * SECOND)
    taken.ask("third", 5, owner="c", at=11 * SECOND)
    assert taken.serve(3, at=500 * SECOND) == ["first", "second", "third"]


def test_nobody_is_lifted_above_the_first_priority():
    taken = Taken(ageing=1)
    taken.ask("one", 0, owner="a")
    taken.ask("two", 1, owner="b")
    taken.ask("three", 9, owner="c")
    assert taken.serve(3, at=3_600 * SECOND) == ["one", "two", "three"]


def test_those_behind_the_next_of_an_owner_have_no_say():
    """An owner of a thousand old requests has one turn, as others have."""
    taken = Taken(ageing=10)
    for number in range(1000):
        taken.ask(f"a{number}", 7, owner="a")
    taken.ask("b", 7, owner="b", at=1 * SECOND)
    assert taken.serve(2, at=1000 * SECOND) == ["a0", "b"]


@pytest.mark.parametrize(("at", "third"), [(21, "d1"), (23, "c1")])
def test_the_example_of_the_queue_is_as_its_docstring_says(at, third):
    taken = Taken(ageing=10)
    for name, priority, seconds in (("a1", 3, 0), ("a2", 3, 0), ("b1", 3, 1), ("c1", 5, 2)):
        taken.ask(name, priority, owner=name[0], at=seconds * SECOND)
    assert taken.serve(at=4 * SECOND) == ["a1"]
    assert taken.serve(2) == ["b1", "a2"]
    taken.ask("d1", 3, owner="d", at=at * SECOND)
    assert taken.serve() == [third]


def test_another_ageing_counts_from_when_a_request_came():
    taken = Taken(ageing=None)
    taken.ask("old", 7, owner="a")
    taken.ask("better", 3, owner="b", at=40 * SECOND)
    taken.lane.update(LaneSettings(max_concurrent=1, ageing=8), 40 * SECOND)
    assert taken.serve(at=40 * SECOND) == ["old"]


def test_what_a_change_of_settings_lifts_stands_as_if_they_had_always_been_in_force():
    taken = Taken(ageing=None)
    taken.ask("a9", 9, owner="a")
    taken.ask("b5", 5, owner="b")
    taken.ask("c4", 4, owner="c")
    taken.ask("a3", 3, owner="a")
    taken.lane.withdraw("a9")
    taken.lane.update(LaneSettings(max_concurrent=1, lease=86_400, ageing=1), 100 * SECOND)
    assert taken.serve(3, at=100 * SECOND) == ["a3", "c4", "b5"]


def test_owners_that_new_settings_let_back_stand_where_their_age_puts_them():
    values = {"max_concurrent": 2, "lease": 86_400, "ageing": 10}
    lane = Lane("image", LaneSettings(**values, max_per_owner=1))
    for name, priority in (("a0", 3), ("b0", 3), ("b1", 4), ("a1", 3)):
        lane.request(SlotRequest(name, name[0], priority), 0)
    lane.update(LaneSettings(**values), 50 * SECOND)
    for name in ("a1", "b1"):
        lane.release(next(iter(lane.leases.slots)))
        assert lane.grant_ready(50 * SECOND)[0].request.request_id == name


# Many


def crowd(number, owners, **values):
    """A lane with one slot, behind which this many wait."""
    lane = Lane("image", LaneSettings(**{"max_concurrent": 1} | values))
    lane.request(SlotRequest("first"), 0)
    for n in range(number):
        lane.request(SlotRequest(f"r{n}", f"o{n % owners}", n * 7 % 10), n)
    return lane


def turn_over(lane, now):
    """Do what the actor does when a slot is returned."""
    lane.release(next(iter(lane.leases.slots)))
    lane.expire_slots(now)
    lane.drop_overdue(now)
    (slot,) = lane.grant_ready(now)
    lane.revoke_slots(now)
    lane.next_check(now)
    return slot


def costs(lane, number):
    """Count the instructions of a grant, a request and a withdrawal, each the mean of many."""
    now, draw = number, Random(1)
    held = [waiting.request.request_id for waiting in lane.all_waiting()]
    some = draw.sample(held, 300)
    yield steps_of(lambda: [turn_over(lane, now) for _ in range(300)]) / 300
    yield (
        steps_of(
            lambda: [lane.request(SlotRequest(f"n{n}", f"o{n}", n % 10), now) for n in range(300)]
        )
        / 300
    )
    yield steps_of(lambda: [lane.withdraw(request_id) for request_id in some]) / 300


@pytest.mark.parametrize(
    ("number", "owners", "most"),
    [(10_000, 100, 600), (100_000, 1_000, 600), (10_000, 10_000, 2_200)],
)
def test_each_request_that_waits_takes_bounded_memory(number, owners, most):
    """450 bytes, its own few fields counted, be it of a million; 1,800 if none shares its owner."""
    tracemalloc.start()
    lane = crowd(number, owners)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"{used / number:.0f} bytes for each of {lane.waiting} waiting requests, {owners} owners")
    assert lane.waiting == number
    assert used / number <= most


def test_the_costs_of_a_grant_a_request_and_a_withdrawal_grow_with_the_logarithm_at_most():
    """The logarithm of a million is twice that of a thousand; the instructions are counted."""
    few = list(costs(crowd(1_000, 1_000, max_wait=86_400), 1_000))
    many = list(costs(crowd(1_000_000, 1_000, max_wait=86_400), 1_000_000))
    print(f"instructions a grant, request, withdrawal: {few} with 1,000, {many} with 1,000,000")
    for with_few, with_many in zip(few, many, strict=True):
        assert with_many <= 2 * with_few


def test_a_lane_holds_nothing_of_what_has_come_and_gone():
    """One is out for long and one waits for long; neither keeps the rest that passed."""
    lane = Lane("image", LaneSettings(max_concurrent=2, ageing=86_400, lease=86_400))
    lane.request(SlotRequest("held"), 0)
    lane.request(SlotRequest("other"), 0)
    lane.request(SlotRequest("waits", "last", 9), 0)
    used = []
    tracemalloc.start()
    for n in range(8_000):
        if n in (2_000, 7_999):
            used.append(tracemalloc.get_traced_memory()[0])
        lane.request(SlotRequest(f"r{n}", "a"), n)
        lane.request(SlotRequest(f"w{n}", "b"), n)
        lane.withdraw(f"w{n}")
        newest = next(reversed(lane.leases.slots))
        lane.release(newest)
        assert len(lane.grant_ready(n)) == 1
    tracemalloc.stop()
    assert used[1] - used[0] < 200_000
