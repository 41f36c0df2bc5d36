"""A slot for a call that needs a thread is granted when there is one."""

import pytest

from limner.messages.limiter.lane_set import LaneSet
from limner.messages.limiter.protocol import ReleaseSlot, RequestSlot
from limner.messages.limiter.settings import MAX_THREADS, LaneSettings


def ask(lanes, name, *, thread=True, lane="image", weight=1):
    lanes.request(
        RequestSlot(
            request_id=name,
            session_id=None,
            message_id=None,
            task_id=name,
            lane=lane,
            weight=weight,
            thread=thread,
            reply_to=None,
        ),
        0,
    )


def granted(lanes):
    return [
        step.slot.id for step in lanes.take_steps() if getattr(step, "event", "") == "slot_granted"
    ]


@pytest.mark.parametrize("most", [None, 1_000_000])
def test_no_more_slots_are_out_than_calls_have_threads(most):
    lanes = LaneSet({"image": LaneSettings(max_concurrent=most)})
    for number in range(MAX_THREADS + 2):
        ask(lanes, f"r{number}")
    out = granted(lanes)
    assert len(out) == MAX_THREADS
    assert lanes.lanes["image"].waiting == 2
    lanes.release(ReleaseSlot(slot_id=out[7]), 0)
    assert len(granted(lanes)) == 1


def test_calls_that_need_none_are_as_many_as_the_limit_allows():
    lanes = LaneSet({"image": LaneSettings(max_concurrent=None)})
    for number in range(2 * MAX_THREADS):
        ask(lanes, f"r{number}", thread=False)
    ask(lanes, "last")
    assert len(granted(lanes)) == 2 * MAX_THREADS + 1


def test_a_lease_that_ends_frees_its_thread():
    lanes = LaneSet({"image": LaneSettings(max_concurrent=None, lease=1, adapt=False)})
    for number in range(MAX_THREADS + 1):
        ask(lanes, f"r{number}")
    assert len(granted(lanes)) == MAX_THREADS
    lanes.check("image", 1_000_000)
    assert len(granted(lanes)) == 1


def test_the_lane_upstream_counts_none_of_them():
    lanes = LaneSet(
        {
            "wide": LaneSettings(max_concurrent=None),
            "one": LaneSettings(max_concurrent=None, behind="wide"),
            "two": LaneSettings(max_concurrent=None, behind="wide"),
        }
    )
    for number in range(MAX_THREADS):
        ask(lanes, f"a{number}", lane="one")
        ask(lanes, f"b{number}", lane="two")
    assert len(granted(lanes)) == 4 * MAX_THREADS  # each in its own lane and upstream
