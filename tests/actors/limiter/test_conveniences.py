"""`map`, `idle`, `prioritise`, `change_reservoir`."""

import threading

import pytest

from limner.messages.errors import SettingsInvalid, SlotRefused, StudioClosed
from limner.messages.limiter.settings import LaneSettings

WAIT = 60
MINUTE = 60_000_000


def minutes(lane, tag):
    return MINUTE


class TestMap:
    """A function for many items."""

    def test_results_are_in_order_and_items_are_taken_as_they_are_needed(self, open_simulated):
        limiter = open_simulated(slots=3).studio.limiter
        taken = []

        def items():
            for number in range(50):
                taken.append(number)
                yield number

        results = limiter.map(lambda number: number * 2, items(), ahead=5)
        assert taken == []
        assert [next(results) for _ in range(3)] == [0, 2, 4]
        assert len(taken) <= 3 + 5
        assert list(results) == [number * 2 for number in range(3, 50)]

    def test_an_error_comes_in_its_place_and_the_rest_is_cancelled(self, open_simulated):
        one = open_simulated(slots=1, latency=minutes)
        limiter, ran = one.studio.limiter, []

        def call(number):
            ran.append(number)
            return 1 // (number - 2)

        results = limiter.map(call, range(10), ahead=4)
        assert [next(results), next(results)] == [-1, -1]
        with pytest.raises(ZeroDivisionError):
            next(results)
        with pytest.raises(StopIteration):
            next(results)
        limiter.idle().get()
        assert set(ran) <= {0, 1, 2, 3}
        assert limiter.counts()["waiting"] == 0

    def test_left_early_it_cancels_what_has_not_begun(self, open_simulated):
        one = open_simulated(slots=1, latency=minutes)
        limiter, ran = one.studio.limiter, []
        results = limiter.map(ran.append, range(10), ahead=4)
        next(results)
        results.close()
        limiter.idle().get()
        assert len(ran) <= 2

    def test_calls_run_at_the_same_time(self, open_studio):
        limiter = open_studio(slots=4).studio.limiter
        together = threading.Barrier(4)
        results = limiter.map(lambda _: together.wait(WAIT) >= 0, range(4))
        assert list(results) == [True] * 4

    def test_wrong_use_is_refused_at_once(self, open_simulated):
        limiter = open_simulated().studio.limiter
        for wrong in ({"ahead": 0}, {"ahead": True}, {"lane": "none"}, {"weight": 0}):
            with pytest.raises(SettingsInvalid):
                limiter.map(int, [], **wrong)


class TestIdle:
    """Waiting until nothing waits or runs."""

    def test_it_is_done_when_the_last_one_is_over_and_shuts_nothing(self, open_simulated):
        one = open_simulated(slots=2, latency=minutes)
        limiter = one.studio.limiter
        limiter.idle().get()
        futures = [limiter.schedule(int) for _ in range(5)]
        limiter.idle().get()
        assert one.now >= 120
        counts = limiter.counts()
        assert (counts["waiting"], counts["out"], counts["released"]) == (0, 0, 5)
        one.let_pass(1)
        assert all(future.done for future in futures)
        assert limiter.schedule(lambda: 3).get() == 3

    def test_of_one_lane_with_those_behind_it(self, open_simulated):
        lanes = {"wide": LaneSettings(), "narrow": LaneSettings(behind="wide")}
        one = open_simulated(lanes=lanes, latency=minutes)
        limiter = one.studio.limiter
        limiter.schedule(int)
        limiter.idle("wide").get()
        assert one.now < 1
        limiter.schedule(int, lane="narrow")
        limiter.idle("wide").get()
        assert one.now >= 60
        with pytest.raises(SettingsInvalid):
            limiter.idle("none")

    def test_a_studio_that_closes_meanwhile_fails_it(self, open_simulated):
        one = open_simulated()
        one.studio.limiter.pause()
        waits = one.studio.limiter.schedule(int)
        idle = one.studio.limiter.idle()
        one.let_pass(1)
        assert not idle.done
        one.studio.close()
        with pytest.raises(StudioClosed):
            waits.get()
        assert idle.done
        with pytest.raises(StudioClosed):
            one.studio.limiter.idle()


class TestPrioritise:
    """Another priority for what waits."""

    def test_a_call_that_waits_goes_first(self, open_simulated):
        one = open_simulated(slots=1, latency=minutes)
        limiter, order = one.studio.limiter, []
        futures = [
            limiter.schedule(lambda n=n: order.append(n), priority="background") for n in range(4)
        ]
        one.until("slot_granted")
        limiter.prioritise(futures[3], "active")
        (named,) = [each for each in limiter.waiting() if each.task_id == futures[2].name]
        limiter.prioritise(named.request_id, 0)
        for future in futures:
            future.get()
        assert order == [0, 2, 3, 1]
        limiter.prioritise(futures[0], 0)
        for wrong in ((5, 0), (futures[0], 11), (None, 0)):
            with pytest.raises(SettingsInvalid):
                limiter.prioritise(*wrong)


class TestReservoir:
    """Adding to what is left."""

    def test_it_is_added_or_taken_in_one_step_and_never_below_0(self, open_simulated):
        one = open_simulated(lanes={"api": LaneSettings(reservoir=2)})
        limiter = one.studio.limiter
        assert [limiter.schedule(int, lane="api").get() for _ in range(2)] == [0, 0]
        waits = limiter.schedule(int, lane="api")
        one.let_pass(1)
        assert not waits.done
        assert limiter.change_reservoir("api", by=3) == 3
        assert waits.get() == 0
        assert limiter.change_reservoir("api", by=-100) == 0
        (first, last) = one.events("reservoir_changed")
        assert (first["left"], last["left"], last["by"]) == (3, 0, -100)

    def test_what_can_never_fit_any_more_is_dropped(self, open_simulated):
        one = open_simulated(lanes={"api": LaneSettings(reservoir=5)})
        limiter = one.studio.limiter
        limiter.pause("api")
        waits = limiter.schedule(int, lane="api", weight=5)
        limiter.change_reservoir("api", by=-3)
        limiter.resume("api")
        with pytest.raises(SlotRefused, match="too heavy"):
            waits.get()

    def test_without_a_reservoir_it_is_refused(self, open_simulated):
        limiter = open_simulated().studio.limiter
        with pytest.raises(SettingsInvalid, match="no reservoir"):
            limiter.change_reservoir(by=1)
        for wrong in (True, 1.5, 10**12):
            with pytest.raises(SettingsInvalid, match="by"):
                limiter.change_reservoir(by=wrong)

    def test_many_threads_lose_nothing(self, open_studio):
        limiter = open_studio(lanes={"api": LaneSettings(reservoir=0)}).studio.limiter

        def add():
            for _ in range(50):
                limiter.change_reservoir("api", by=1)

        threads = [threading.Thread(target=add) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
        assert limiter.report("api").reservoir == 400
