"""A limiter that is opened without a studio."""

import asyncio
import json
import subprocess
import sys
import threading
from threading import Event

import pytest
from support.invariants import violations

from limner.actors import Limiter, SimulatedSystem, Studio
from limner.messages import LaneSettings
from limner.messages.errors import CloseRefused, SettingsInvalid, StudioClosed

API = {"api": LaneSettings(max_concurrent=2)}


def recorded(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_calls_pass_its_lanes_and_its_log_is_sound(tmp_path):
    before, path = set(threading.enumerate()), tmp_path / "events.jsonl"
    groups = {"user": LaneSettings(max_concurrent=1, behind="api")}
    with Limiter.open(API, groups=groups, events=path) as limiter:
        calls = [limiter.schedule(lambda n=n: n * n, lane=f"user:{n % 3}") for n in range(9)]
        assert [call.get(timeout=60) for call in calls] == [n * n for n in range(9)]
        with limiter.slot("api") as slot:
            assert not slot.expired
        assert limiter.counts("api")["granted"] == 10
        with pytest.raises(SettingsInvalid, match="no lane 'image', only 'api', 'user:KEY'"):
            limiter.schedule(print)
    events = recorded(path)
    assert (events[0]["event"], events[-1]["event"]) == ("studio_opened", "studio_closed")
    assert violations(events) == []
    assert set(threading.enumerate()) <= before


def test_by_itself_it_has_the_lane_image():
    with Limiter.open() as limiter:
        assert limiter.schedule(lambda: 7).get(timeout=60) == 7
        assert limiter.report().settings.max_concurrent == 3


def test_a_lane_may_stand_behind_image():
    with Limiter.open({"api": LaneSettings(behind="image")}) as limiter:
        assert limiter.schedule(lambda: 7, lane="api").get(timeout=60) == 7
        assert limiter.counts("image")["granted"] == 1


def test_closing_waits_for_what_runs_and_refuses_the_rest():
    begun, go_on = Event(), Event()

    def call():
        begun.set()
        assert go_on.wait(60)
        return "done"

    limiter = Limiter.open({"api": LaneSettings(max_concurrent=1)})
    running = limiter.schedule(call, lane="api")
    waiting = limiter.schedule(print, lane="api")
    assert begun.wait(60)
    closing = threading.Thread(target=limiter.close)
    closing.start()
    with pytest.raises(StudioClosed):
        waiting.get(timeout=60)
    assert closing.is_alive()
    go_on.set()
    closing.join(60)
    assert running.get(timeout=0) == "done"
    limiter.close()
    with pytest.raises(StudioClosed):
        limiter.schedule(print, lane="api")


def test_closing_waits_no_longer_than_it_may():
    begun, go_on = Event(), Event()
    limiter = Limiter.open(API, grace=0.1)
    call = limiter.schedule(lambda: (begun.set(), go_on.wait(60)), lane="api")
    assert begun.wait(60)
    limiter.close(timeout=0.1)
    with pytest.raises(StudioClosed):
        call.get(timeout=0)
    go_on.set()


def test_what_closing_would_wait_for_cannot_close_it():
    with Limiter.open(API) as limiter:
        with pytest.raises(CloseRefused, match="the limiter cannot be closed from within"):
            limiter.schedule(limiter.close, lane="api").get(timeout=60)
        with limiter.slot("api"), pytest.raises(CloseRefused, match="holds a slot"):
            limiter.close()
        assert limiter.schedule(lambda: 7, lane="api").get(timeout=60) == 7


def test_a_studio_s_limiter_is_closed_with_the_studio():
    with Studio.open() as studio:
        with pytest.raises(CloseRefused, match="close the studio"):
            studio.limiter.close()
        assert studio.limiter.schedule(lambda: 7).get(timeout=60) == 7


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lanes": {"a b": LaneSettings()}}, "lanes"),
        ({"lanes": {"api": LaneSettings(behind="x")}}, "stands behind 'x', no lane"),
        ({"groups": {"api": LaneSettings(behind="api")}}, "stands behind 'api', no lane"),
        ({"grace": -1}, "grace"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_one_line(given, said):
    with pytest.raises(SettingsInvalid) as raised:
        Limiter.open(**given)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("part", ["limiter", "caller", "recorder"])
def test_a_part_that_ends_too_early_ends_it(tmp_path, part):
    before = set(threading.enumerate())
    limiter = Limiter.open({"api": LaneSettings(max_concurrent=1)}, events=tmp_path / "log.jsonl")
    limiter.pause("api")
    call = limiter.schedule(print, lane="api")
    parts = {"limiter": limiter.ref, "caller": limiter._caller}
    parts["recorder"] = limiter._own._log.recorder
    parts[part].end()
    with pytest.raises(StudioClosed):
        call.get(timeout=60)
    limiter.close()
    with pytest.raises(StudioClosed):
        limiter.schedule(print, lane="api")
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("seed", range(5))
def test_it_runs_in_virtual_time(seed):
    system = SimulatedSystem(seed)
    with Limiter.open({"api": LaneSettings(min_time=10)}, system=system) as limiter:
        calls = [limiter.schedule(lambda n=n: n, lane="api", blocks=False) for n in range(5)]
        assert [call.get() for call in calls] == [0, 1, 2, 3, 4]
        assert 40_000_000 <= system.clock.now < 42_000_000
    system.close()


def test_an_asyncio_host_awaits_it():
    async def host():
        async with Limiter.open(API) as limiter:

            async def double(number):
                await asyncio.sleep(0)
                return 2 * number

            runs = [limiter.run(double, number, lane="api") for number in range(10)]
            return await asyncio.gather(*runs)

    assert asyncio.run(host()) == [2 * number for number in range(10)]


LEFT_OPEN = """
import threading
from limner.actors import Limiter
from limner.messages import LaneSettings

begun, later = threading.Event(), threading.Event()
limiter = Limiter.open({"api": LaneSettings()}, grace=60)
limiter.schedule(lambda: (begun.set(), later.wait(0.3), print("ran to its end")), lane="api")
begun.wait()
"""


def test_a_program_that_leaves_it_open_ends_after_what_runs():
    done = subprocess.run(
        [sys.executable, "-c", LEFT_OPEN], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "ran to its end\n"
