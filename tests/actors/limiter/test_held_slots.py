"""`with limiter.slot(…)` and `async with limiter.aslot(…)`: slots around a host's own code."""

import asyncio
import threading
from contextlib import suppress

import pytest

from limner.messages.errors import CloseRefused, SettingsInvalid, SlotRefused, StudioClosed
from limner.messages.limiter.refusal import Refusal
from limner.messages.limiter.settings import LaneSettings

WAIT = 60


def out(limiter, lane="image"):
    counts = limiter.counts(lane)
    return counts["waiting"], counts["out"]


class TestHeld:
    """In virtual time."""

    def test_it_is_out_while_the_block_lasts(self, open_simulated):
        limiter = open_simulated(slots=2).studio.limiter
        with limiter.slot(weight=2) as slot:
            assert out(limiter) == (0, 1)
            assert limiter.report().weight_out == 2
            assert not slot.expired
            assert 0 < slot.seconds_left <= 600
            assert slot.slot_id == "image#1"
        assert out(limiter) == (0, 0)
        assert limiter.counts()["released"] == 1

    def test_an_error_is_read_as_that_of_a_call(self, open_simulated):
        one = open_simulated(lanes={"api": LaneSettings(circuit_failures=2)})
        limiter = one.studio.limiter
        for error in (KeyError, KeyboardInterrupt):
            with pytest.raises(error), limiter.slot("api"):
                raise error
        assert limiter.report("api").failures == 0
        for _ in range(2):
            with pytest.raises(ConnectionError), limiter.slot("api"):
                raise ConnectionError
        assert limiter.report("api").state == "resting"

    def test_its_holder_can_tell_that_the_lease_has_ended(self, open_simulated):
        one = open_simulated(lanes={"api": LaneSettings(lease=10, adapt=False)})
        limiter = one.studio.limiter
        with limiter.slot("api") as slot:
            began = slot.expires_at
            one.let_pass(5)
            assert 4 < slot.seconds_left < 5.1
            one.let_pass(6)
            assert slot.expired
            assert slot.seconds_left == 0
            assert slot.expires_at == began
        counts = limiter.counts("api")
        assert (counts["expired"], counts["released"], counts["out"]) == (1, 0, 0)

    def test_within_the_timeout_or_not_at_all(self, open_simulated):
        one = open_simulated(slots=1)
        limiter = one.studio.limiter
        with limiter.slot():
            with pytest.raises(SlotRefused) as caught, limiter.slot(timeout=5):
                raise AssertionError
            assert (caught.value.reason, caught.value.lane) == (Refusal.MAX_WAIT, "image")
            assert out(limiter) == (0, 1)
        with limiter.slot(timeout=5):
            pass

    def test_a_grant_that_crosses_with_the_end_of_waiting_is_returned(self, open_simulated):
        one = open_simulated(slots=1)
        limiter = one.studio.limiter
        for _ in range(20):
            with suppress(SlotRefused), limiter.slot(timeout=max(1e-6, one.draw(0.01))):
                pass
        one.let_pass(1)
        counts = limiter.counts()
        assert (counts["waiting"], counts["out"]) == (0, 0)
        assert counts["granted"] == counts["released"]

    def test_refused_by_its_lane(self, open_simulated):
        limiter = open_simulated(slots=1).studio.limiter
        with pytest.raises(SlotRefused, match="too heavy"), limiter.slot(weight=5):
            raise AssertionError

    def test_wrong_use_is_refused(self, open_simulated):
        limiter = open_simulated().studio.limiter
        for wrong in ({"weight": 0}, {"timeout": 0}, {"timeout": "5"}, {"lane": "none"}):
            with pytest.raises(SettingsInvalid):
                limiter.slot(**wrong)
            with pytest.raises(SettingsInvalid):
                limiter.aslot(**wrong)
        slot = limiter.slot()
        with pytest.raises(SettingsInvalid, match="with"):
            _ = slot.slot_id
        with slot:
            pass
        with pytest.raises(SettingsInvalid, match="another"), slot:
            pass

    def test_closing_waits_for_it_within_its_bound(self, open_simulated):
        one = open_simulated(lanes={"api": LaneSettings(lease=50)})
        slot = one.studio.limiter.slot("api")
        slot.__enter__()
        with pytest.raises(CloseRefused, match="holds a slot"):
            one.studio.close()
        from limner.actors.system import context

        context.held = ()  # as on another thread
        one.studio.close(timeout=20)
        assert 20 <= one.now < 25
        assert slot.expired
        slot.__exit__(None, None, None)
        with pytest.raises(StudioClosed), one.studio.limiter.slot():
            raise AssertionError


class TestOnThreads:
    """With real threads."""

    def test_the_limit_holds(self, open_studio):
        limiter = open_studio(slots=3).studio.limiter
        running, most, lock = 0, 0, threading.Lock()

        def work():
            nonlocal running, most
            for _ in range(20):
                with limiter.slot(owner=threading.current_thread().name):
                    with lock:
                        running += 1
                        most = max(most, running)
                    with lock:
                        running -= 1

        threads = [threading.Thread(target=work) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
        assert most <= 3
        assert limiter.counts()["released"] == 240

    def test_closing_refuses_who_waits_and_waits_for_who_holds(self, open_studio):
        one = open_studio(slots=1)
        limiter, said, held, gate = one.studio.limiter, [], threading.Event(), threading.Event()

        def hold():
            with limiter.slot():
                held.set()
                gate.wait(WAIT)
            said.append("held")

        def wait():
            try:
                with limiter.slot():
                    said.append("never")
            except StudioClosed:
                said.append("refused")
                gate.set()

        threads = [threading.Thread(target=hold), threading.Thread(target=wait)]
        threads[0].start()
        assert held.wait(WAIT)
        threads[1].start()
        while not limiter.counts()["waiting"]:
            threads[1].join(0.001)
        one.studio.close()
        for thread in threads:
            thread.join(WAIT)
        assert said == ["refused", "held"]


class TestAsync:
    """On an asyncio loop."""

    def test_the_limit_holds_and_the_loop_goes_on(self, open_studio):
        limiter = open_studio(slots=2).studio.limiter
        running, most = 0, 0

        async def work():
            nonlocal running, most
            async with limiter.aslot() as slot:
                assert not slot.expired
                running += 1
                most = max(most, running)
                await asyncio.sleep(0)
                running -= 1

        async def main():
            await asyncio.gather(*(work() for _ in range(50)))

        asyncio.run(main())
        assert 1 <= most <= 2
        assert out(limiter) == (0, 0)

    def test_cancelled_while_it_waits_or_holds_it_returns_all(self, open_studio):
        limiter = open_studio(slots=1).studio.limiter

        async def hold(held):
            async with limiter.aslot():
                held.set()
                await asyncio.sleep(WAIT)

        async def main():
            held = asyncio.Event()
            tasks = [asyncio.create_task(hold(held)) for _ in range(20)]
            await held.wait()
            for task in reversed(tasks):
                task.cancel()
                await asyncio.sleep(0)
            await asyncio.gather(*tasks, return_exceptions=True)
            async with limiter.aslot(timeout=WAIT):
                return out(limiter)

        assert asyncio.run(main()) == (0, 1)
        counts = limiter.counts()
        assert counts["granted"] == counts["released"]

    def test_within_the_timeout_or_not_at_all(self, open_studio):
        limiter = open_studio(slots=1).studio.limiter

        async def main():
            async with limiter.aslot():
                with pytest.raises(SlotRefused) as caught:
                    async with limiter.aslot(timeout=0.01):
                        raise AssertionError
                assert caught.value.reason is Refusal.MAX_WAIT
                with pytest.raises(CloseRefused):
                    limiter_of.studio.close()

        limiter_of = open_studio()
        limiter = limiter_of.studio.limiter
        limiter.update(max_concurrent=1)
        asyncio.run(main())
        assert out(limiter) == (0, 0)
