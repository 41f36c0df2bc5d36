"""Lanes that are opened and dropped while the limiter runs."""

from itertools import pairwise
from threading import Event, Thread

import pytest
from support.invariants import violations

from limner.actors import Limiter
from limner.messages import LaneSettings
from limner.messages.errors import SettingsInvalid, SlotRefused, StudioClosed
from limner.messages.limiter.refusal import Refusal


@pytest.fixture
def limiter():
    with Limiter.open({"api": LaneSettings(max_concurrent=1)}) as opened:
        yield opened


def test_a_lane_is_opened_used_and_dropped(open_studio):
    one = open_studio()
    limiter = one.studio.limiter
    limiter.open_lane("late", LaneSettings(max_concurrent=2))
    calls = [limiter.schedule(lambda n=n: n, lane="late") for n in range(6)]
    assert [call.get(timeout=60) for call in calls] == list(range(6))
    limiter.drain("late").get(timeout=60)
    limiter.drop_lane("late")
    with pytest.raises(SettingsInvalid, match="no lane 'late'"):
        limiter.schedule(print, lane="late")
    limiter.open_lane("late", LaneSettings(min_time=0.01))
    assert limiter.schedule(lambda: 7, lane="late").get(timeout=60) == 7
    opened = [event for event in one.events("lane_opened") if event["lane"] == "late"]
    assert [event["max_concurrent"] for event in opened] == [2, 3]
    granted = [event["slot_id"] for event in one.events("slot_granted", lane="late")]
    assert len(set(granted)) == 7


@pytest.mark.parametrize("seed", range(8))
def test_a_lane_opened_behind_a_busy_one_shares_its_slots(open_simulated, seed):
    lanes = {"api": LaneSettings(max_concurrent=1, min_time=1)}
    one = open_simulated(lanes=lanes)
    limiter = one.studio.limiter
    before = [limiter.schedule(int, lane="api", blocks=False) for _ in range(3)]
    limiter.open_lane("late", LaneSettings(behind="api", max_concurrent=5))
    later = [limiter.schedule(int, lane="late", blocks=False) for _ in range(3)]
    assert [call.get() for call in (*before, *later)] == [0] * 6
    times = [event["t"] for event in one.events("slot_granted", lane="api")]
    assert all(second - first >= 0.999 for first, second in pairwise(times))
    assert limiter.counts("api")["granted"] == 6
    assert limiter.counts("late")["granted"] == 3
    assert limiter.forecast("late") is not None


def test_bounds_of_the_lane_in_front_count_what_waited_before(limiter):
    limiter.pause("api")
    limiter.update("api", high_water=2, strategy="overflow")
    waiting = [limiter.schedule(print, lane="api") for _ in range(2)]
    limiter.open_lane("late", LaneSettings(behind="api"))
    with pytest.raises(SlotRefused) as raised:
        limiter.schedule(print, lane="late").get(timeout=60)
    assert (raised.value.reason, raised.value.lane) == (Refusal.HIGH_WATER, "api")
    assert not any(call.done for call in waiting)
    limiter.resume("api")


def test_only_an_idle_lane_that_nothing_stands_behind_is_dropped(limiter):
    begun, go_on = Event(), Event()
    limiter.open_lane("late", LaneSettings(behind="api"))
    with pytest.raises(SettingsInvalid, match="'api' stays, since 'late' stands behind it"):
        limiter.drop_lane("api")
    call = limiter.schedule(lambda: (begun.set(), go_on.wait(60)), lane="late")
    assert begun.wait(60)
    with pytest.raises(SettingsInvalid, match=r"'late' is not idle; await limiter\.drain"):
        limiter.drop_lane("late")
    go_on.set()
    call.get(timeout=60)
    limiter.idle("late").get(timeout=60)
    limiter.drop_lane("late")
    limiter.drop_lane("api")


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("api", LaneSettings(), "already; change it by update"),
        ("a b", LaneSettings(), "lanes"),
        ("late", LaneSettings(behind="x"), "no lane"),
        ("late", LaneSettings(behind="late"), "behind each other"),
        ("late", LaneSettings(behind="image"), "no lane 'image', only 'api'"),
        ("late", {"max_concurrent": 2}, "LaneSettings"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_line(limiter, name, settings, said):
    with pytest.raises(SettingsInvalid) as raised:
        limiter.open_lane(name, settings)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert limiter.schedule(lambda: 7, lane="api").get(timeout=60) == 7


def test_what_is_asked_just_as_a_lane_is_dropped_harms_nobody(limiter):
    for _ in range(30):
        limiter.open_lane("late", LaneSettings())
        refused = []

        def ask(refused=refused):
            for _ in range(20):
                try:
                    limiter.schedule(int, lane="late").get(timeout=60)
                    limiter.pause("late", seconds=0.001)
                    limiter.report("late")
                    limiter.drain("late").get(timeout=60)
                    limiter.resume("late")
                except (SettingsInvalid, SlotRefused) as error:
                    refused.append(error)

        asking = Thread(target=ask)
        asking.start()
        while asking.is_alive():
            try:
                limiter.drop_lane("late")
            except SettingsInvalid:
                continue
            break
        asking.join(60)
        assert limiter.schedule(lambda: 7, lane="api").get(timeout=60) == 7


def test_a_closed_limiter_opens_and_drops_none():
    limiter = Limiter.open({"api": LaneSettings()})
    limiter.close()
    with pytest.raises(StudioClosed):
        limiter.open_lane("late", LaneSettings())
    with pytest.raises(StudioClosed):
        limiter.drop_lane("api")


def test_the_log_of_lanes_that_come_and_go_is_sound(tmp_path):
    import json

    path = tmp_path / "events.jsonl"
    with Limiter.open({"api": LaneSettings()}, events=path) as limiter:
        for number in range(5):
            limiter.open_lane("late", LaneSettings(behind="api", max_concurrent=number + 1))
            limiter.schedule(int, lane="late").get(timeout=60)
            limiter.drain("late").get(timeout=60)
            limiter.drop_lane("late")
    assert violations([json.loads(line) for line in path.read_text("utf-8").splitlines()]) == []
