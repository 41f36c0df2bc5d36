"""Lanes as hosts use them: in groups, behind each other, with batches, as their back ends ask."""

import queue
from contextlib import suppress
from types import SimpleNamespace

import pytest

from limner.actors.generators import Instant
from limner.messages.errors import GenerationFailed, SettingsInvalid, SlotRefused, StudioClosed
from limner.messages.limiter.settings import LaneSettings
from limner.messages.settings import Settings

PICTURE = Instant().generate(None, None)
WAIT = 60
BEHIND = {
    "image": LaneSettings(max_concurrent=2),
    "host": LaneSettings(max_concurrent=1, behind="image"),
}
GROUPS = {"host": LaneSettings(max_concurrent=1, behind="image")}


def text(*prompts):
    return "".join(f'<!--img-prompt="{prompt}"-->' for prompt in prompts)


class Drawing:
    """A generator of a lane, which answers each call with what is next on a list."""

    def __init__(self, *answers, lane="image"):
        self.lane = lane
        self.answers = list(answers)
        self.calls = 0

    def generate(self, task, cancelled):
        self.calls += 1
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return PICTURE


def busy(seconds=None):
    return GenerationFailed("busy", retry_after=seconds)


class TestChains:
    """A lane behind another: a slot of both, or of none."""

    def test_pictures_of_a_generator_with_a_lane_have_a_slot_there_and_in_the_one_beyond(
        self, open_simulated
    ):
        one = open_simulated(generator=Drawing(lane="host"), lanes=BEHIND)
        assert len(one.studio.illustrate("m", text("a", "b", "c")).get().pictures) == 3
        for lane in ("host", "image"):
            assert len(one.events("slot_granted", lane=lane)) == 3
            assert len(one.events("slot_released", lane=lane)) == 3
        for own in one.events("slot_granted", lane="host"):
            (beyond,) = one.events("slot_granted", lane="image", task_id=own["task_id"])
            assert beyond["t"] == own["t"]

    def test_an_offer_names_the_request_that_it_stands_for_in_each_of_its_events(
        self, open_simulated
    ):
        one = open_simulated(generator=Drawing(lane="host"), lanes=BEHIND)
        one.studio.illustrate("m", text("a", "b", "c")).get()
        for event in ("slot_requested", "slot_granted", "slot_released"):
            own = [logged["request_id"] for logged in one.events(event, lane="host")]
            offers = one.events(event, lane="image")
            assert sorted(offer["stands_for"] for offer in offers) == sorted(own)
            assert not {offer["request_id"] for offer in offers} & {*own}
            assert all("stands_for" not in logged for logged in one.events(event, lane="host"))

    def test_what_waits_for_its_own_lane_holds_nothing_of_the_one_beyond(self, open_simulated):
        one = open_simulated(
            generator=Drawing(lane="host"), lanes=BEHIND, latency=lambda lane, tag: 10_000_000
        )
        future = one.studio.illustrate("m", text("a", "b"))
        one.until("slot_requested", lane="host", times=2)
        one.until("slot_granted", lane="host")
        status = one.studio.status().lanes
        assert (status["host"].waiting, status["host"].out) == (1, 1)
        assert (status["image"].waiting, status["image"].out) == (0, 1)
        assert len(future.get().pictures) == 2

    def test_a_lane_that_is_paused_beyond_holds_up_all_behind_it(self, open_simulated):
        one = open_simulated(generator=Drawing(lane="host"), lanes=BEHIND)
        one.studio.limiter.pause("image", seconds=60)
        assert len(one.studio.illustrate("m", text("a")).get().pictures) == 1
        assert 60 <= one.time_of("slot_granted", lane="host") < 60.1

    def test_the_place_of_a_task_is_that_in_its_own_lane(self, open_simulated):
        one = open_simulated(generator=Drawing(lane="host"), lanes=BEHIND)
        limiter = one.studio.limiter
        limiter.pause("image")
        future = one.studio.illustrate("m", text("a"))
        one.until("slot_requested", lane="image")
        (waiting,) = limiter.waiting("host")
        assert limiter.state_of(waiting.task_id).lane == "host"
        limiter.resume("image")
        future.get()

    def test_draining_the_lane_beyond_ends_with_what_waits_behind_it(self, open_simulated):
        one = open_simulated(generator=Drawing(lane="host"), lanes=BEHIND)
        future = one.studio.illustrate("m", text("a", "b", "c"))
        one.until("slot_requested", lane="host", times=3)
        one.studio.limiter.drain("image").get()
        assert len(future.get().pictures) == 3
        late = one.studio.illustrate("late", text("d")).get()
        assert late.failures[0].reason == "its request was dropped: the lane is draining"

    @pytest.mark.parametrize(
        ("lanes", "groups", "wrong"),
        [
            ({"a": LaneSettings(behind="none")}, {}, "stands behind 'none', no lane"),
            ({"a": LaneSettings(behind="a")}, {}, "behind each other: a behind a"),
            (
                {"a": LaneSettings(behind="b"), "b": LaneSettings(behind="a")},
                {},
                "behind each other: a behind b behind a",
            ),
            ({}, {"g": LaneSettings(behind="g")}, "stands behind 'g', no lane"),
            ({"g": LaneSettings()}, {"g": LaneSettings()}, "a lane and of a lane group"),
            ({"a:b": LaneSettings()}, {}, "lanes"),
        ],
    )
    def test_lanes_that_cannot_stand_so_are_refused_by_name(self, lanes, groups, wrong):
        with pytest.raises(SettingsInvalid, match=wrong):
            Settings(lanes=lanes, lane_groups=groups)

    def test_a_generator_is_asked_for_its_lane_once_and_a_callable_may_have_one(self, open_studio):
        def draw(task, cancelled):
            return PICTURE

        class Broken(Drawing):
            def __init__(self):
                pass

            @property
            def lane(self):
                raise RuntimeError("no lane")

        draw.lane = "host"
        one = open_studio(generator=draw, lanes=BEHIND)
        assert len(one.studio.illustrate("m", text("a")).get(timeout=WAIT).pictures) == 1
        assert len(one.events("slot_granted", lane="host")) == 1
        with pytest.raises(SettingsInvalid, match="lane cannot be read"):
            open_studio(generator=Broken())

    def test_a_lane_stays_where_it_stands(self, open_studio):
        one = open_studio(lanes=BEHIND)
        with pytest.raises(SettingsInvalid, match="behind"):
            one.studio.limiter.update("host", behind=None)
        with pytest.raises(SettingsInvalid, match="no lane 'none', only 'image', 'host'"):
            open_studio(lanes=BEHIND, generator=Drawing(lane="none"))


class TestGroups:
    """A lane for each key, made when it is asked for."""

    def test_each_key_has_a_lane_of_its_own_which_is_dropped_when_it_is_idle(self, open_simulated):
        one = open_simulated(lane_groups=GROUPS, latency=lambda lane, tag: 5_000_000)
        limiter = one.studio.limiter
        calls = [limiter.schedule(lambda key=key: key, lane=f"host:{key}") for key in "aba"]
        one.until("slot_requested", task_id="call-3")
        one.until("slot_granted", lane="host:b")
        assert limiter.counts("host:a")["waiting"] == 1
        assert [call.get() for call in calls] == list("aba")
        one.until("lane_dropped", times=2)
        assert [event["lane"] for event in one.events("lane_dropped")] == ["host:b", "host:a"]
        assert limiter.counts("host:a")["granted"] == 0  # of the lane that there would be
        assert "host:a" not in one.studio.status().lanes

    def test_a_lane_that_has_a_distance_to_keep_is_dropped_after_that(self, open_simulated):
        groups = {"host": LaneSettings(min_time=30)}
        one = open_simulated(lane_groups=groups)
        limiter = one.studio.limiter
        limiter.schedule(int, lane="host:a", blocks=False).get()
        limiter.schedule(int, lane="host:a", blocks=False).get()
        first, second = one.events("slot_granted")
        assert 30 <= round(second["t"] - first["t"], 6) < 30.1
        one.let_pass(31)
        (dropped,) = one.events("lane_dropped")
        assert 30 <= round(dropped["t"] - second["t"], 6) < 30.1

    def test_settings_of_a_group_are_changed_for_all_its_lanes(self, open_simulated):
        one = open_simulated(lane_groups=GROUPS, slots=5, latency=lambda lane, tag: 5_000_000)
        limiter = one.studio.limiter
        calls = [limiter.schedule(int, lane="host:a") for _ in range(2)]
        one.until("slot_granted", lane="host:a")
        assert limiter.counts("host:a")["out"] == 1
        limiter.update("host", max_concurrent=2)
        one.until("slot_granted", lane="host:a", times=2)
        assert limiter.counts("host:a")["out"] == 2
        limiter.update("host:b", max_concurrent=3)
        assert limiter.report("host:b").settings.max_concurrent == 3
        assert limiter.report("host:c").settings.max_concurrent == 2
        assert [call.get() for call in calls] == [0, 0]

    def test_no_timer_is_left_for_a_lane_that_was_dropped(self, open_simulated):
        one = open_simulated(lane_groups=GROUPS)
        for number in range(20):
            one.studio.limiter.schedule(int, lane=f"host:{number}", blocks=False).get()
        one.until("lane_dropped", times=20)
        assert len(one.studio.limiter.ref.actor_inbox.actor.timers) <= 1

    @pytest.mark.parametrize("lane", ["host", "host:", "host:a\n", "other:a", f"host:{'x' * 300}"])
    def test_a_name_that_is_of_no_lane_is_refused(self, open_studio, lane):
        one = open_studio(lane_groups=GROUPS)
        with pytest.raises(SettingsInvalid):
            one.studio.limiter.schedule(int, lane=lane)


class TestBatches:
    """Several prompts in a call, for one slot."""

    def test_a_full_batch_is_one_call_on_one_slot_and_its_event_lists_the_requests(
        self, open_studio
    ):
        one = open_studio(slots=1)
        calls = []

        def draw(prompts):
            calls.append(prompts)
            return [prompt.upper() for prompt in prompts]

        batches = one.studio.limiter.collect(draw, max_size=3, max_time=60)
        futures = [batches.add(prompt) for prompt in "abcdef"]
        assert [future.get(timeout=WAIT) for future in futures] == list("ABCDEF")
        assert calls == [list("abc"), list("def")]
        grants = one.events("slot_granted")
        assert [len(grant["requests"]) for grant in grants] == [3, 3]
        names = [name for grant in grants for name in grant["requests"]]
        assert len(set(names)) == 6
        assert [asked["requests"] for asked in one.events("slot_requested")] == [
            grant["requests"] for grant in grants
        ]

    def test_a_batch_that_is_not_full_goes_after_its_time(self, open_simulated):
        one = open_simulated()
        batches = one.studio.limiter.collect(list, max_size=10, max_time=2, blocks=False)
        first = batches.add("a")
        one.let_pass(1)
        second = batches.add("b")
        assert (first.get(), second.get()) == ("a", "b")
        (asked,) = one.events("slot_requested")
        assert 2 <= asked["t"] < 2.1

    def test_a_result_that_is_an_exception_is_raised_to_who_added_the_item(self, open_studio):
        one = open_studio()
        batches = one.studio.limiter.collect(
            lambda items: [ValueError(items[0]), items[1]], max_size=2, max_time=1
        )
        bad, good = batches.add("bad"), batches.add("good")
        with pytest.raises(ValueError, match="bad"):
            bad.get(timeout=WAIT)
        assert good.get(timeout=WAIT) == "good"

    @pytest.mark.parametrize("call", [lambda _: [], lambda _: [1, 2, 3], lambda _: None])
    def test_a_call_that_gives_other_than_a_result_each_fails_all(self, open_studio, call):
        one = open_studio()
        batches = one.studio.limiter.collect(call, max_size=2, max_time=1)
        for future in (batches.add("a"), batches.add("b")):
            with pytest.raises((GenerationFailed, TypeError)):
                future.get(timeout=WAIT)
        assert one.studio.limiter.counts()["released"] == 1

    def test_the_call_may_use_up_the_list_of_items(self, open_studio):
        one = open_studio()
        batches = one.studio.limiter.collect(
            lambda items: [items.pop(0) for _ in range(len(items))], max_size=2, max_time=1
        )
        futures = [batches.add("a"), batches.add("b")]
        assert [future.get(timeout=WAIT) for future in futures] == ["a", "b"]

    def test_what_a_host_s_objects_do_fails_their_calls_and_nothing_else(self, open_studio):
        class Odd:
            @property
            def __class__(self):
                raise RuntimeError("odd")

        class Mean(Exception):
            @property
            def retryable(self):
                raise SystemExit

            retry_after = response = retryable

        def raise_mean():
            raise Mean

        limiter = open_studio().studio.limiter
        odd = limiter.collect(lambda _: [Odd()], max_size=1, max_time=1).add("a")
        with pytest.raises(RuntimeError, match="odd"):
            odd.get(timeout=WAIT)
        with pytest.raises(Mean):
            limiter.schedule(raise_mean).get(timeout=WAIT)
        for future in (limiter.schedule(int), limiter.schedule(lambda: 1 / 0)):
            with suppress(queue.Full):
                future.set(5)
        assert limiter.schedule(lambda: "goes on").get(timeout=WAIT) == "goes on"

    def test_what_is_gathered_when_the_studio_closes_fails(self, open_studio):
        one = open_studio()
        batches = one.studio.limiter.collect(list, max_size=2, max_time=3_600)
        future = batches.add("a")
        one.studio.close()
        with pytest.raises(StudioClosed):
            future.get(timeout=WAIT)
        with pytest.raises(StudioClosed):
            batches.add("b")

    def test_a_batch_that_gets_no_slot_fails_all_of_it(self, open_studio):
        one = open_studio(slots=1)
        batches = one.studio.limiter.collect(list, max_size=2, max_time=1, weight=2)
        for future in (batches.add("a"), batches.add("b")):
            with pytest.raises(SlotRefused, match="too heavy"):
                future.get(timeout=WAIT)

    @pytest.mark.parametrize("wrong", [{"max_size": 0}, {"max_size": 1.5}, {"max_time": -1}])
    def test_a_batch_of_no_size_or_time_is_refused(self, open_studio, wrong):
        with pytest.raises(SettingsInvalid, match=next(iter(wrong))):
            open_studio().studio.limiter.collect(list, **{"max_size": 2, "max_time": 1} | wrong)


class TestAdaptation:
    """A back end that asks to be left alone is; one that fails again and again too."""

    def test_a_back_end_that_says_when_to_come_again_pauses_its_lane_for_as_long(
        self, open_simulated
    ):
        one = open_simulated(generator=Drawing(busy(40)), slots=1)
        assert len(one.studio.illustrate("m", text("a", "b")).get().pictures) == 2
        (paused,) = one.events("lane_paused")
        assert (paused["seconds"], paused["reason"]) == (40, "its back end asked for it")
        grants = one.events("slot_granted")
        assert len(grants) == 3
        assert 40 <= round(grants[1]["t"] - paused["t"], 6) < 40.1

    def test_it_is_paused_for_no_longer_than_the_settings_allow(self, open_simulated):
        lanes = {"image": LaneSettings(pause_maximum=50)}
        one = open_simulated(generator=Drawing(busy(1e8)), lanes=lanes)
        assert len(one.studio.illustrate("m", text("a")).get().pictures) == 1
        assert one.events("lane_paused")[0]["seconds"] == 50

    def test_a_pause_of_the_host_is_not_cut_short_by_it(self, open_simulated):
        one = open_simulated(generator=Drawing(busy(1)), latency=lambda lane, tag: 1_000_000)
        future = one.studio.illustrate("m", text("a"))
        one.until("generation_started")
        one.studio.limiter.pause()
        one.let_pass(60)
        assert len(one.events("slot_granted")) == 1
        one.studio.limiter.resume()
        assert len(future.get().pictures) == 1

    def test_failures_in_a_row_open_the_circuit_and_a_probe_closes_it(self, open_simulated):
        lanes = {"image": LaneSettings(circuit_failures=3, circuit_seconds=30)}
        one = open_simulated(
            generator=Drawing(*[busy()] * 4), lanes=lanes, attempts=6, backoff=0.1, backoff_max=0.1
        )
        assert len(one.studio.illustrate("m", text("a")).get().pictures) == 1
        names = [e["event"] for e in one.events() if e["event"].startswith("circuit_")]
        assert names == [
            "circuit_open",
            "circuit_half_open",
            "circuit_open",
            "circuit_half_open",
            "circuit_closed",
        ]
        grants, opened = one.events("slot_granted"), one.events("circuit_open")
        assert 30 <= round(grants[3]["t"] - opened[0]["t"], 6) < 30.1
        assert 30 <= round(grants[4]["t"] - opened[1]["t"], 6) < 30.1

    def test_one_probe_goes_while_the_rest_waits(self, open_simulated):
        lanes = {"image": LaneSettings(max_concurrent=3, circuit_failures=3)}
        one = open_simulated(
            generator=Drawing(*[busy()] * 3),
            lanes=lanes,
            latency=lambda lane, tag: 5_000_000,
            backoff=10,
            backoff_max=10,
        )
        future = one.studio.illustrate("m", text("a", "b", "c"))
        one.until("circuit_half_open")
        report = one.studio.limiter.report()
        assert (report.state, report.counts["out"], report.counts["waiting"]) == ("probing", 1, 2)
        assert len(future.get().pictures) == 3

    def test_a_refused_prompt_says_nothing_against_the_back_end(self, open_simulated):
        refused = GenerationFailed("not this", retryable=False)
        lanes = {"image": LaneSettings(circuit_failures=2)}
        one = open_simulated(generator=Drawing(*[refused] * 5), lanes=lanes)
        assert len(one.studio.illustrate("m", text(*"abcde")).get().failures) == 5
        assert one.events("circuit_open") == []

    def test_it_is_off_by_a_setting(self, open_simulated):
        lanes = {"image": LaneSettings(circuit_failures=1, adapt=False)}
        one = open_simulated(generator=Drawing(busy(40)), lanes=lanes)
        assert len(one.studio.illustrate("m", text("a")).get().pictures) == 1
        assert one.events("lane_paused") == one.events("circuit_open") == []

    def test_a_host_s_call_that_raises_an_answer_429_pauses_its_lane(self, open_simulated):
        class TooMany(Exception):
            response = SimpleNamespace(status_code=429, headers={"Retry-After": "7"})

        def call():
            raise TooMany

        one = open_simulated()
        with pytest.raises(TooMany):
            one.studio.limiter.schedule(call, blocks=False).get()
        assert one.studio.limiter.schedule(lambda: 1, blocks=False).get() == 1
        first, second = one.events("slot_granted")
        assert 7 <= round(second["t"] - first["t"], 6) < 7.1
