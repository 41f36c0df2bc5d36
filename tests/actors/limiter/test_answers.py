"""What the limiter learns from the answers to hosts' calls."""

from types import SimpleNamespace

import pytest

from limner.messages.errors import GenerationFailed, SettingsInvalid, SlotRefused


def answer(status, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(status_code=status, headers=named)


def call_twice(one, first):
    """Make two calls in lane `image`; return the seconds from the first's slot to the second's."""
    limiter = one.studio.limiter
    given = limiter.schedule(lambda: first, blocks=False).get()
    assert given is first
    assert limiter.schedule(lambda: 1, blocks=False).get() == 1
    before, after = one.events("slot_granted")
    return after["t"] - before["t"]


class TestLater:
    """An answer that says later is the host's, and pauses the lane."""

    @pytest.mark.parametrize("status", [429, 503, 529])
    def test_an_answer_that_says_later_is_given_to_the_host_and_pauses_the_lane(
        self, open_simulated, status
    ):
        one = open_simulated()
        assert 2.5 <= round(call_twice(one, answer(status, RETRY_AFTER="2.5")), 6) < 2.6
        (paused,) = one.events("lane_paused")
        assert paused["seconds"] == 2.5

    def test_an_answer_that_says_later_counts_as_failed(self, open_simulated):
        one = open_simulated(lanes={"image": {"circuit_failures": 2}})
        limiter = one.studio.limiter
        for _ in range(2):
            limiter.schedule(lambda: answer(503), blocks=False).get()
        one.let_pass(1)
        assert limiter.report().state == "resting"
        assert "503" in limiter.report().last_error
        assert len(one.events("circuit_open")) == 1

    def test_any_other_answer_is_a_success(self, open_simulated):
        one = open_simulated(lanes={"image": {"circuit_failures": 1}})
        assert call_twice(one, answer(404, retry_after="9")) < 0.1
        assert one.events("lane_paused") == one.events("circuit_open") == []

    def test_a_batch_with_an_answer_that_says_later_pauses_the_lane(self, open_simulated):
        one = open_simulated()
        busy = answer(429, retry_after="3")
        batches = one.studio.limiter.collect(
            lambda items: [busy, *items[1:]], max_size=2, max_time=1, blocks=False
        )
        futures = [batches.add(1), batches.add(2)]
        assert [future.get() for future in futures] == [busy, 2]
        one.let_pass(1)
        assert one.events("lane_paused")[0]["seconds"] == 3


class TestResults:
    """The results of a batch are a sequence in the order of its items."""

    class Row:
        def __init__(self, *values):
            self.values = values

        def __len__(self):
            return len(self.values)

        def __getitem__(self, index):
            return self.values[index]

    @pytest.mark.parametrize("results", [[1, 2], (1, 2), Row(1, 2), range(1, 3)])
    def test_any_sequence_will_do(self, open_simulated, results):
        limiter = open_simulated().studio.limiter
        batches = limiter.collect(lambda _: results, max_size=2, max_time=1, blocks=False)
        futures = [batches.add(item) for item in "ab"]
        assert [future.get() for future in futures] == [1, 2]

    @pytest.mark.parametrize(
        "results",
        [{"a": 1, "b": 2}, {1, 2}, frozenset([1, 2]), "ab", b"ab", bytearray(2), iter([1, 2]), 2],
    )
    def test_anything_else_is_a_clear_error(self, open_simulated, results):
        limiter = open_simulated().studio.limiter
        batches = limiter.collect(lambda _: results, max_size=2, max_time=1, blocks=False)
        for future in [batches.add(item) for item in "ab"]:
            with pytest.raises(GenerationFailed, match="let it return a list") as failed:
                future.get()
            assert type(results).__name__ in str(failed.value)


class TestDraining:
    """What was added to a batch before its lane drains is carried out."""

    @pytest.mark.parametrize(
        ("lane", "ending"),
        [("image", "image"), ("host:a", "host:a"), ("host:a", "image"), ("far", "image")],
    )
    def test_what_gathers_is_carried_out_and_then_the_lane_is_drained(
        self, open_simulated, lane, ending
    ):
        one = open_simulated(
            lanes={"far": {"behind": "near"}, "near": {"behind": "image"}},
            lane_groups={"host": {"behind": "image"}},
        )
        limiter = one.studio.limiter
        batches = limiter.collect(list, max_size=9, max_time=600, lane=lane, blocks=False)
        futures = [batches.add(item) for item in "ab"]
        drained = limiter.drain(ending)
        late = batches.add("c")
        drained.get()
        assert [future.get() for future in futures] == ["a", "b"]
        assert one.now < 1
        with pytest.raises(SlotRefused, match="draining"):
            late.get()
        (told,) = one.events("lane_drained", lane=ending)
        assert all(told["seq"] > grant["seq"] for grant in one.events("slot_granted"))

    def test_other_lanes_go_on_gathering(self, open_simulated):
        one = open_simulated(lanes={"other": {}})
        limiter = one.studio.limiter
        batches = limiter.collect(list, max_size=9, max_time=5, lane="other", blocks=False)
        future = batches.add("a")
        limiter.drain("image").get()
        assert future.get() == "a"
        assert one.now >= 5

    def test_what_gathers_in_a_lane_that_is_stopped_is_refused_at_once(self, open_simulated):
        one = open_simulated()
        batches = one.studio.limiter.collect(list, max_size=9, max_time=600, blocks=False)
        future = batches.add("a")
        one.studio.limiter.stop().get()
        with pytest.raises(SlotRefused, match="stopped"):
            future.get()
        assert one.now < 1


class TestAdaptive:
    """A limit that adapts, in the actors."""

    def test_the_limit_falls_by_what_is_too_much_and_the_log_tells_it(self, open_simulated):
        one = open_simulated(lanes={"image": {"max_concurrent": {"start": 8, "maximum": 9}}})
        limiter = one.studio.limiter
        assert limiter.report().limit == 8
        limiter.schedule(lambda: answer(429), blocks=False).get()
        one.let_pass(1)
        assert limiter.report().limit == one.studio.status().lanes["image"].max_concurrent == 7
        (moved,) = one.events("limit_changed")
        assert (moved["before"], moved["max_concurrent"]) == (8, 7)
        (opened,) = one.events("lane_opened")
        assert opened["max_concurrent"] == 8
        assert opened["adaptive"]["maximum"] == 9

    def test_a_picture_that_takes_too_long_lowers_the_limit(self, open_simulated):
        one = open_simulated(
            seconds=600,
            generation_timeout=10,
            attempts=1,
            lanes={"image": {"max_concurrent": {"start": 8}}},
        )
        one.studio.illustrate("m", '<!--img-prompt="a"-->').get()
        (moved,) = one.events("limit_changed")
        assert moved["max_concurrent"] == 7


class TestObserving:
    """What a back end says is left of its limits."""

    def test_an_answer_without_anything_left_pauses_the_lane_though_it_succeeded(
        self, open_simulated
    ):
        one = open_simulated()
        left = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}
        given = SimpleNamespace(status_code=200, headers=left)
        assert 360 <= call_twice(one, given) < 360.1

    def test_a_host_may_show_the_limiter_an_answer(self, open_simulated):
        one = open_simulated(lanes={"api": {}})
        limiter = one.studio.limiter
        headers = [("RateLimit", '"default";r=0;t=9'), ("RateLimit-Policy", '"default";q=9;w=60')]
        assert limiter.observe("api", headers) == (("requests", 9, 0, 9.0),)
        assert limiter.observe("api", None) == limiter.observe("api", object()) == ()
        one.let_pass(1)
        assert limiter.report("api").state == "paused"
        one.let_pass(9)
        assert limiter.report("api").state == "open"
        with pytest.raises(SettingsInvalid):
            limiter.observe("nonesuch", headers)

    def test_a_queue_a_user_in_front_of_one_api_pauses_the_api_for_all(self, open_simulated):
        one = open_simulated(
            lanes={"api": {}}, lane_groups={"user": {"behind": "api", "backs_off": "upstream"}}
        )
        limiter = one.studio.limiter
        busy = answer(429, retry_after="7")
        assert limiter.schedule(lambda: busy, lane="user:alice", blocks=False).get() is busy
        assert limiter.schedule(lambda: 1, lane="user:bob", blocks=False).get() == 1
        assert one.now >= 7
        (paused,) = one.events("lane_paused")
        assert paused["lane"] == "api"

    def test_a_lane_that_backs_off_is_one_that_there_is(self, open_simulated):
        with pytest.raises(SettingsInvalid, match="backs_off"):
            open_simulated(lanes={"api": {"backs_off": "nonesuch"}})
