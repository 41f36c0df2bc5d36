"""The limiter as hosts use it: priorities that take slots, lanes that pause and end, own calls."""

import threading
from contextlib import suppress

import pytest

from limner.messages.errors import SettingsInvalid, SlotRefused, StudioClosed
from limner.messages.limiter.control import PauseLane
from limner.messages.limiter.settings import LaneSettings

MINUTES = 60
WAIT = 60


def text(prompt):
    return f'<!--img-prompt="{prompt}"-->'


class TestPreemption:
    """A picture that somebody waits for takes the slot of one in the background."""

    def test_the_slot_goes_to_the_one_for_whom_it_was_asked_and_the_other_task_comes_later(
        self, open_simulated
    ):
        one = open_simulated(seconds=MINUTES, slots=1, preempt=True)
        low = one.studio.illustrate("low", text("low"), priority="background")
        one.until("generation_started")
        one.let_pass(10)
        high = one.studio.illustrate("high", text("high"))
        assert len(high.get().pictures) == 1
        assert one.now < 10 + MINUTES + 5
        assert len(low.get().pictures) == 1
        (asked,) = one.events("slot_asked_back")
        (revoked,) = one.events("slot_revoked")
        assert asked["slot_id"] == revoked["slot_id"]
        grants = one.events("slot_granted")
        assert [grant["message_id"] for grant in grants] == ["low", "high", "low"]
        assert revoked["seq"] < grants[1]["seq"]

    def test_a_call_that_does_not_stop_loses_its_slot_after_the_grace(self, open_simulated):
        one = open_simulated(seconds=10 * MINUTES, slots=1, preempt=True, deaf=("low",), grace=5)
        low = one.studio.illustrate("low", text("low"), priority="background")
        one.until("generation_started")
        high = one.studio.illustrate("high", text("high"))
        one.until("slot_granted", message_id="high")
        assert 5 <= one.now < 10
        one.until("call_abandoned")
        low_stream = one.studio.stream("low")
        assert low_stream is not None
        del low, high

    def test_a_picture_that_comes_all_the_same_is_kept(self, open_simulated):
        one = open_simulated(seconds={"low": 3}, slots=1, preempt=True, deaf=("low",), grace=5)
        low = one.studio.illustrate("low", text("low"), priority="background")
        one.until("generation_started")
        high = one.studio.illustrate("high", text("high"))
        assert len(low.get().pictures) == 1
        assert len(high.get().pictures) == 1
        assert len(one.events("generation_started", message_id="low")) == 1

    def test_a_task_is_asked_for_its_slot_so_many_times_at_most(self, open_simulated):
        one = open_simulated(seconds=MINUTES, slots=1, preempt=True, max_revocations=2)
        low = one.studio.illustrate("low", text("low"), priority="background")
        for number in range(4):
            one.until("generation_started", message_id="low", times=min(number + 1, 3))
            one.studio.illustrate(f"high-{number}", text(f"high {number}")).get()
        assert len(low.get().pictures) == 1
        assert len(one.events("slot_revoked")) == 2

    def test_without_the_setting_nobody_is_asked(self, open_simulated):
        one = open_simulated(seconds=MINUTES, slots=1)
        low = one.studio.illustrate("low", text("low"), priority="background")
        one.until("generation_started")
        one.studio.illustrate("high", text("high")).get()
        assert len(low.get().pictures) == 1
        assert one.events("slot_revoked") == []


class TestLimits:
    """What a lane refuses is told, and settles its task."""

    def test_a_request_that_is_dropped_settles_its_task_with_the_reason(self, open_simulated):
        lane = LaneSettings(max_concurrent=1, high_water=0, strategy="overflow")
        one = open_simulated(seconds=MINUTES, lanes={"image": lane})
        result = one.studio.illustrate("m", text("a") + text("b")).get()
        assert len(result.pictures) == 1
        assert [failure.reason for failure in result.failures] == [
            "its request was dropped: high water"
        ]

    def test_a_long_message_past_high_water_loses_pictures_from_its_end(self, open_simulated):
        lane = LaneSettings(max_concurrent=1, high_water=3)
        one = open_simulated(seconds=MINUTES, lanes={"image": lane})
        result = one.studio.illustrate("m", "".join(map(text, "abcdefgh"))).get()
        assert [picture.prompt for picture in result.pictures] == list("abcd")
        assert [(failure.prompt, failure.reason) for failure in result.failures] == [
            (prompt, "its request was dropped: high water") for prompt in "efgh"
        ]

    def test_a_request_that_waits_too_long_is_dropped_when_its_time_is_over(self, open_simulated):
        lane = LaneSettings(max_concurrent=1, max_wait=30)
        one = open_simulated(seconds=MINUTES, lanes={"image": lane})
        result = one.studio.illustrate("m", text("a") + text("b")).get()
        assert [failure.reason for failure in result.failures] == [
            "its request was dropped: waited too long"
        ]
        (dropped,) = one.events("request_dropped")
        asked = one.events("slot_requested", request_id=dropped["request_id"])[0]
        assert 30 <= dropped["t"] - asked["t"] < 30.1

    def test_owners_take_turns(self, open_simulated):
        one = open_simulated(
            seconds=MINUTES, slots=1, deadline=24 * 3_600, max_prompts_per_message=50
        )
        greedy = one.studio.illustrate(
            "greedy", "".join(text(f"g{number}") for number in range(40)), owner="greedy"
        )
        one.until("slot_requested", times=40)
        modest = one.studio.illustrate("modest", text("m"), owner="modest")
        assert len(modest.get().pictures) == 1
        assert one.now < 3 * MINUTES + 5  # after one more of the other at most
        assert len(greedy.get().pictures) == 40


class TestLanes:
    """Lanes pause, resume, drain and stop."""

    def test_a_paused_lane_grants_nothing_until_it_is_resumed(self, open_simulated):
        one = open_simulated(slots=1)
        one.studio.limiter.pause()
        future = one.studio.illustrate("m", text("a"))
        one.let_pass(10 * MINUTES / 4)
        assert one.events("slot_granted") == []
        assert one.studio.limiter.report().state == "paused"
        one.studio.limiter.resume()
        assert len(future.get().pictures) == 1

    def test_a_pause_ends_by_itself_after_its_time(self, open_simulated):
        one = open_simulated(slots=1)
        one.studio.limiter.pause(seconds=60)
        assert len(one.studio.illustrate("m", text("a")).get().pictures) == 1
        assert 60 <= one.time_of("slot_granted") < 60.1

    def test_a_lane_that_drains_takes_nothing_more_and_ends_with_what_waits(self, open_simulated):
        one = open_simulated(seconds=MINUTES, slots=1)
        first = one.studio.illustrate("m", text("a") + text("b"))
        one.until("slot_requested", times=2)
        drained = one.studio.limiter.drain()
        late = one.studio.illustrate("late", text("c"))
        assert late.get().failures[0].reason == "its request was dropped: the lane is draining"
        drained.get()
        assert len(first.get().pictures) == 2

    def test_a_lane_that_stops_drops_what_waits(self, open_simulated):
        one = open_simulated(seconds=MINUTES, slots=1)
        future = one.studio.illustrate("m", text("a") + text("b"))
        one.until("slot_granted")
        one.until("slot_requested", times=2)
        one.studio.limiter.stop().get()
        result = future.get()
        assert len(result.pictures) == 1
        assert result.failures[0].reason == "its request was dropped: the lane is stopped"

    def test_what_waits_can_be_seen_by_owner_and_priority(self, open_simulated):
        one = open_simulated(seconds=MINUTES, slots=1)
        one.studio.illustrate("a", text("a"), owner="ann")
        one.studio.illustrate("b", text("b"), owner="bob", priority="background")
        one.until("slot_requested", times=2)
        one.until("slot_granted")
        limiter = one.studio.limiter
        (out,) = one.events("slot_granted")
        (waiting,) = limiter.waiting()
        assert waiting.owner != out["session_id"]
        assert limiter.waiting(owner="nobody") == ()
        (same,) = limiter.waiting(owner=waiting.owner, priority=waiting.priority)
        assert same.task_id == waiting.task_id
        assert limiter.state_of(out["task_id"]).state == "out"
        assert limiter.state_of(waiting.task_id).state == "waiting"
        assert limiter.state_of("nobody's") is None
        assert limiter.counts()["waiting"] == limiter.counts()["out"] == 1

    def test_a_forecast_knows_of_distances_pauses_and_the_lane_beyond(self, open_simulated):
        lanes = {
            "spaced": LaneSettings(max_concurrent=100, min_time=10),
            "full": LaneSettings(max_concurrent=1),
            "host": LaneSettings(max_concurrent=5, behind="full"),
        }
        one = open_simulated(lanes=lanes, latency=lambda lane, tag: 60_000_000)
        limiter = one.studio.limiter
        for _ in range(20):
            limiter.schedule(int, lane="spaced")
        one.until("slot_requested", lane="spaced", times=20)
        assert 180 <= limiter.forecast("spaced") <= 200
        limiter.pause("spaced")
        assert limiter.forecast("spaced") is None
        limiter.schedule(int, lane="full").get()
        for _ in range(2):
            limiter.schedule(int, lane="full")
        one.until("slot_requested", lane="full", times=3)
        one.until("slot_granted", lane="full", times=2)
        assert 100 < limiter.forecast("host") < 140

    @pytest.mark.parametrize("lane", ["image", "behind"])
    @pytest.mark.parametrize(
        ("values", "seconds"),
        [
            (
                {
                    "reservoir": 1,
                    "reservoir_refresh_amount": 1,
                    "reservoir_refresh_interval": MINUTES,
                },
                MINUTES,
            ),
            ({"reservoir": 1}, None),
            ({"min_time": 30}, 30),
            ({}, 0),
        ],
    )
    def test_a_forecast_knows_what_was_used_up(self, lane, values, seconds, open_simulated):
        lanes = {"image": LaneSettings(**values), "behind": LaneSettings(behind="image")}
        one = open_simulated(lanes=lanes)
        limiter = one.studio.limiter
        assert limiter.forecast(lane) == 0
        limiter.schedule(int).get()
        forecast = limiter.forecast(lane)
        assert forecast == pytest.approx(seconds, abs=2) if seconds else forecast == seconds

    def test_a_forecast_knows_what_a_host_did(self, open_simulated):
        lanes = {"image": LaneSettings(), "behind": LaneSettings(behind="image")}
        limiter = open_simulated(lanes=lanes).studio.limiter
        for does, lane, seconds in [
            (lambda: limiter.pause(seconds=40), "behind", 40),
            (limiter.pause, "behind", None),
            (limiter.resume, "behind", 0),
            (limiter.stop, "image", None),
            (limiter.resume, "image", 0),
            (limiter.drain, "behind", None),
        ]:
            does()
            forecast = limiter.forecast(lane)
            assert forecast == pytest.approx(seconds, abs=2) if seconds else forecast == seconds

    def test_a_blocked_lane_says_so_and_for_how_long(self, open_simulated):
        lane = LaneSettings(max_concurrent=1, high_water=0, strategy="block", penalty=90)
        one = open_simulated(seconds=10, lanes={"image": lane})
        limiter = one.studio.limiter
        result = one.studio.illustrate("m", text("a") + text("b")).get()
        assert [failure.reason for failure in result.failures] == [
            "its request was dropped: blocked"
        ]
        assert limiter.report().state == one.studio.status().lanes["image"].state == "blocked"
        assert 70 < limiter.forecast() <= 90
        with pytest.raises(SlotRefused, match="blocked"):
            limiter.schedule(int).get()
        one.let_pass(91)
        assert limiter.report().state == "open"
        assert limiter.forecast() == 0

    def test_a_forecast_knows_of_an_open_circuit(self, open_simulated):
        lane = LaneSettings(circuit_failures=1, circuit_seconds=50)
        limiter = open_simulated(lanes={"image": lane}).studio.limiter

        def fail():
            raise OSError

        with pytest.raises(OSError):
            limiter.schedule(fail).get()
        assert limiter.report().state == "resting"
        assert 45 < limiter.forecast() <= 50

    def test_a_forecast_is_of_an_owner_and_a_weight(self, open_simulated):
        lanes = {"image": LaneSettings(max_concurrent=3, max_per_owner=1)}
        one = open_simulated(lanes=lanes, latency=lambda lane, tag: 60_000_000)
        limiter = one.studio.limiter
        limiter.schedule(int, owner="x").get()
        limiter.schedule(int, owner="x")
        one.until("slot_granted", times=2)
        assert limiter.forecast(owner="y") == 0
        assert 50 < limiter.forecast(owner="x") <= 61
        assert 50 < limiter.forecast(weight=3) <= 61
        assert limiter.forecast(weight=4) is None
        with pytest.raises(SettingsInvalid, match="weight"):
            limiter.forecast(weight=0)

    def test_a_lane_that_was_ended_is_opened_again_by_resuming_it(self, open_simulated):
        limiter = open_simulated().studio.limiter
        limiter.stop().get()
        with pytest.raises(SlotRefused, match="the lane is stopped"):
            limiter.schedule(int).get()
        limiter.resume()
        assert limiter.schedule(int).get() == 0

    def test_a_reservoir_that_is_named_is_filled_to_what_it_was(self, open_simulated):
        one = open_simulated(lanes={"image": LaneSettings(reservoir=2)})
        limiter = one.studio.limiter
        assert [limiter.schedule(int).get() for _ in range(2)] == [0, 0]
        waits = limiter.schedule(int)
        limiter.update(max_concurrent=5)
        one.let_pass(10)
        assert limiter.report().reservoir == 0
        limiter.update(reservoir=2)
        assert waits.get() == 0
        assert limiter.report().reservoir == 1

    def test_a_forecast_comes_from_what_slots_took_lately(self, open_simulated):
        one = open_simulated(seconds=MINUTES, slots=1)
        limiter = one.studio.limiter
        assert limiter.forecast() == 0
        one.studio.illustrate("a", text("a")).get()
        for number in range(3):
            one.studio.illustrate(f"b{number}", text("b"))
        one.until("slot_requested", times=4)
        one.until("slot_granted", times=2)
        assert 2.5 * MINUTES < limiter.forecast() < 3.5 * MINUTES

    def test_who_waits_for_a_limiter_that_fails_hears_of_it(self, open_simulated):
        one = open_simulated(audited=False)
        limiter = one.studio.limiter
        limiter.pause()
        waiting = [limiter.schedule(int), limiter.collect(list, max_size=2, max_time=60).add(1)]
        waiting.append(limiter.drain())
        limiter.ref.tell(PauseLane(lane="there is none"))
        for future in waiting:
            with pytest.raises(StudioClosed):
                future.get()
        for late in (limiter.drain, limiter.report, lambda: limiter.schedule(int)):
            with pytest.raises(StudioClosed):
                late()


class TestOwnCalls:
    """A host's own calls pass the same limiter."""

    def test_a_call_is_run_on_a_slot_and_gives_what_it_returns_or_raises(self, open_studio):
        one = open_studio(slots=2)
        limiter = one.studio.limiter
        assert limiter.schedule(lambda: 42).get(timeout=WAIT) == 42
        with pytest.raises(ZeroDivisionError):
            limiter.schedule(lambda: 1 / 0).get(timeout=WAIT)
        assert limiter.counts()["released"] == 2

    def test_calls_share_the_slots_with_pictures(self, open_studio):
        one = open_studio(slots=2)
        running, most, lock = 0, 0, threading.Lock()

        def call():
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            with lock:
                running -= 1

        futures = [one.studio.limiter.schedule(call, owner=f"o{n % 3}") for n in range(50)]
        assert len(one.studio.illustrate("m", text("a")).get(timeout=WAIT).pictures) == 1
        for future in futures:
            future.get(timeout=WAIT)
        assert most <= 2

    def test_a_function_can_be_made_to_go_through_it(self, open_studio):
        one = open_studio()

        @one.studio.limiter.limited(priority="background")
        def add(first, second=0):
            """Add two numbers."""
            return first + second

        assert add(1, second=2).get(timeout=WAIT) == 3
        assert add.__doc__ == "Add two numbers."

    def test_a_call_that_gets_no_slot_raises_why(self, open_studio):
        one = open_studio(slots=1)
        with pytest.raises(SlotRefused, match="too heavy"):
            one.studio.limiter.schedule(int, weight=2).get(timeout=WAIT)

    @pytest.mark.parametrize("lane", ["call", "batch", "call-1", "call#1"])
    def test_a_lane_may_have_any_name_that_a_lane_may_have(self, open_studio, lane):
        if "#" in lane:
            with pytest.raises(SettingsInvalid):
                open_studio(lanes={lane: LaneSettings()})
            return
        one = open_studio(lanes={lane: LaneSettings(max_concurrent=1)})
        gate = threading.Event()
        calls = [one.studio.limiter.schedule(lambda: gate.wait(WAIT), lane=lane)]
        calls += [one.studio.limiter.schedule(int, lane=lane, priority=9 - n) for n in range(9)]
        gate.set()
        assert [call.get(timeout=WAIT) for call in calls] == [True] + [0] * 9

    def test_a_call_that_is_not_wanted_any_more_is_let_go_before_it_has_a_slot(
        self, open_simulated
    ):
        one = open_simulated(slots=1, latency=lambda lane, tag: 60_000_000)
        limiter = one.studio.limiter
        batches = limiter.collect(list, max_size=9, max_time=600)
        first, second, item, other = (
            limiter.schedule(int),
            limiter.schedule(int),
            batches.add("a"),
            batches.add("b"),
        )
        one.until("slot_granted")
        one.let_pass(1)
        assert [limiter.withdraw(each) for each in (first, second, item)] == [False, True, True]
        for future in (second, item):
            with pytest.raises(SlotRefused, match="withdrawn"):
                future.get()
        assert first.get() == 0
        assert other.get() == "b"
        (gone,) = one.events("request_withdrawn")
        assert gone["task_id"] == "call-2"
        with pytest.raises(SettingsInvalid):
            limiter.withdraw(object())

    def test_a_wrong_use_is_refused_at_the_call(self, open_studio):
        limiter = open_studio().studio.limiter
        for wrong in ({"lane": "none"}, {"weight": 0}, {"weight": True}, {"priority": 11}):
            with pytest.raises(SettingsInvalid):
                limiter.schedule(int, **wrong)
        for wrong in ({"max_concurrent": 0}, {"reservoir_refresh_amount": 3}, {"nonesuch": 1}):
            with pytest.raises(SettingsInvalid):
                limiter.update(**wrong)
        for seconds in (0, -1, "5", [], True, float("nan"), 10**400):
            with pytest.raises(SettingsInvalid, match="seconds"):
                limiter.pause(seconds=seconds)
        for lane in ([], None, 5, "none"):
            with pytest.raises(SettingsInvalid, match="no lane"):
                limiter.report(lane)
        for wrong in ({"owner": 5}, {"priority": "nonsense"}, {"priority": True}):
            with pytest.raises(SettingsInvalid):
                limiter.waiting(**wrong)

        async def coroutine():
            pass

        for call in (None, 5, coroutine):
            with pytest.raises(SettingsInvalid):
                limiter.schedule(call)
            with pytest.raises(SettingsInvalid):
                limiter.collect(call, max_size=1, max_time=1)
            with pytest.raises(SettingsInvalid):
                limiter.limited()(call)

    def test_what_still_waits_when_the_studio_closes_fails_and_slots_come_back(self, open_studio):
        one = open_studio(slots=1, lost_threads=1, grace=0.05)
        gate = threading.Event()
        begun = threading.Event()

        def call():
            begun.set()
            gate.wait(WAIT)

        futures = [one.studio.limiter.schedule(call) for _ in range(3)]
        assert begun.wait(WAIT)
        one.studio.close(timeout=0.05)
        for future in futures:
            with pytest.raises(StudioClosed):
                future.get(timeout=WAIT)
        gate.set()
        with pytest.raises(StudioClosed):
            one.studio.limiter.schedule(call)

    def test_calls_that_come_while_the_studio_closes_all_end(self, open_studio):
        for _ in range(5):
            one = open_studio(slots=2)
            futures, begun = [], threading.Event()

            def host(studio=one.studio, futures=futures, begun=begun):
                try:
                    while len(futures) < 5_000:
                        futures.append(studio.limiter.schedule(int, blocks=False))
                        begun.set()
                except StudioClosed:
                    pass

            thread = threading.Thread(target=host)
            thread.start()
            begun.wait(WAIT)
            one.studio.close()
            thread.join(WAIT)
            for future in futures:
                with suppress(StudioClosed):
                    assert future.get(timeout=WAIT) == 0
