"""A host's call is cancelled while it waits: by its future, on an asyncio loop, by a thread."""

import asyncio
import copy
import pickle
import threading
from concurrent.futures import CancelledError
from contextlib import suppress

import pykka
import pytest

from limner import CallFuture, Refusal, SlotRefused, Studio
from limner.messages.limiter.settings import LaneSettings

WAIT = 60
MINUTE = 60_000_000


def minutes(lane, tag):
    return MINUTE


class Held:
    """A studio whose one slot is held by a call until a test ends it."""

    def __init__(self, one):
        self.limiter = one.studio.limiter
        self.gate = threading.Event()
        begun = threading.Event()
        self.holder = self.limiter.schedule(lambda: (begun.set(), self.gate.wait(WAIT)))
        assert begun.wait(WAIT)
        self.ran = []

    def schedule(self, name):
        return self.limiter.schedule(lambda: self.ran.append(name) or name)

    def let_go(self):
        self.gate.set()
        self.holder.get(timeout=WAIT)


@pytest.fixture
def held(open_studio):
    one = open_studio(slots=1)
    holding = Held(one)
    yield holding
    holding.gate.set()


class TestTheFuture:
    """Its name, and how it is cancelled."""

    def test_it_has_a_name_and_is_typed_as_such_a_future(self, held):
        future = held.schedule("a")
        assert isinstance(future, CallFuture)
        assert isinstance(future, pykka.Future)
        assert future.name in [waiting.task_id for waiting in held.limiter.waiting()]
        assert not future.done
        called = threading.Event()
        future.when_done(called.set)
        held.let_go()
        assert called.wait(WAIT)
        assert future.done

    def test_cancelled_it_never_runs_and_is_gone(self, held):
        future, other = held.schedule("a"), held.schedule("b")
        assert future.cancel()
        assert not future.cancel()
        with pytest.raises(SlotRefused, match="withdrawn") as caught:
            future.get(timeout=WAIT)
        assert (caught.value.reason, caught.value.lane) == (Refusal.WITHDRAWN, "image")
        assert held.limiter.counts()["waiting"] == 1
        held.let_go()
        assert other.get(timeout=WAIT) == "b"
        assert held.ran == ["b"]

    def test_it_is_too_late_once_the_call_has_begun(self, held):
        assert not held.holder.cancel()
        held.let_go()
        assert held.holder.get(timeout=WAIT)[1]
        assert not held.holder.cancel()

    def test_a_future_made_from_it_cancels_it(self, held):
        future = held.schedule("a")
        assert future.map(str).cancel()
        assert future.done

    def test_refused_says_why_and_where(self, open_studio):
        lanes = {
            "host": LaneSettings(max_concurrent=None, behind="narrow"),
            "narrow": LaneSettings(max_concurrent=1),
        }
        limiter = open_studio(lanes=lanes).studio.limiter
        with pytest.raises(SlotRefused, match="too heavy in lane narrow") as caught:
            limiter.schedule(int, lane="host", weight=2).get(timeout=WAIT)
        assert (caught.value.reason, caught.value.lane) == (Refusal.TOO_HEAVY, "narrow")
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), again.reason, again.lane) == (
            str(caught.value),
            Refusal.TOO_HEAVY,
            "narrow",
        )
        assert copy.copy(again).reason is Refusal.TOO_HEAVY


class TestItsSlot:
    """In virtual time: whatever the moment of the cancelling, no slot is lost, and none runs."""

    def test_a_call_cancelled_at_any_moment_runs_or_never_does(self, open_simulated):
        one = open_simulated(slots=2, latency=minutes)
        limiter, ran = one.studio.limiter, []
        for number in range(20):
            future = limiter.schedule(lambda number=number: ran.append(number) or number)
            one.let_pass(one.draw(0.02))
            if future.cancel():
                with pytest.raises(SlotRefused):
                    future.get()
                assert number not in ran
            else:
                assert future.get() == number
        one.let_pass(1)
        counts = limiter.counts()
        assert (counts["waiting"], counts["out"]) == (0, 0)
        assert counts["granted"] == counts["released"]
        assert one.studio.status().abandoned == 0

    def test_granted_without_a_thread_yet_it_gives_its_slot_back(self, open_simulated):
        one = open_simulated(slots=1)
        limiter = one.studio.limiter
        first = limiter.schedule(int)
        one.until("slot_granted")
        if first.cancel():  # the thread is on its way
            with pytest.raises(SlotRefused):
                first.get()
        assert limiter.schedule(lambda: 7).get() == 7

    def test_items_of_a_batch_that_waits_are_left_out(self, open_simulated):
        one = open_simulated(slots=1, latency=minutes)
        limiter, got = one.studio.limiter, []
        limiter.schedule(int)
        batches = limiter.collect(
            lambda items: got.append(items) or [item * 2 for item in items],
            max_size=3,
            max_time=1,
        )
        futures = [batches.add(number) for number in range(3)]
        one.until("slot_requested", times=2)
        assert futures[1].cancel()
        assert [futures[0].get(), futures[2].get()] == [0, 4]
        assert got == [[0, 2]]

    def test_a_batch_without_items_left_is_withdrawn(self, open_simulated):
        one = open_simulated(slots=1, latency=minutes)
        limiter = one.studio.limiter
        limiter.schedule(int)
        batches = limiter.collect(list, max_size=2, max_time=1)
        futures = [batches.add(number) for number in range(2)]
        one.until("slot_requested", times=2)
        assert [future.cancel() for future in futures] == [True, True]
        one.until("request_withdrawn", task_id="batch-1")
        assert limiter.counts()["waiting"] == 0


class TestAwaited:
    """On a running asyncio loop."""

    def test_awaiting_does_not_block_the_loop(self, held):
        async def both():
            waiting = asyncio.ensure_future(held.schedule("a"))
            rounds = 0
            while not waiting.done():
                await asyncio.sleep(0)
                rounds += 1
                if rounds == 100:
                    held.gate.set()
            return await waiting, rounds

        value, rounds = asyncio.run(both())
        assert value == "a"
        assert rounds >= 100

    def test_no_thread_waits_for_it(self, held):
        async def many():
            tasks = [asyncio.ensure_future(held.schedule(number)) for number in range(200)]
            await asyncio.sleep(0)
            names = [thread.name for thread in threading.enumerate()]
            held.gate.set()
            return await asyncio.gather(*tasks), names

        values, names = asyncio.run(many())
        assert values == list(range(200))
        assert not [name for name in names if name.startswith(("limner-future", "asyncio"))]

    def test_what_the_call_raises_is_raised(self, open_studio):
        limiter = open_studio().studio.limiter

        async def wrong():
            with pytest.raises(ZeroDivisionError):
                await limiter.schedule(lambda: 1 / 0)
            with pytest.raises(SlotRefused):
                await limiter.schedule(int, weight=9_999)
            return await limiter.schedule(lambda: 5)

        assert asyncio.run(wrong()) == 5

    def test_the_task_that_waits_is_cancelled_and_so_is_the_call(self, held):
        async def cancelled():
            task = asyncio.ensure_future(held.schedule("a"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(held.schedule("b"), 0.01)

        asyncio.run(cancelled())
        assert held.limiter.counts()["waiting"] == 0
        held.let_go()
        assert held.limiter.schedule(int).get(timeout=WAIT) == 0
        assert held.ran == []

    def test_a_group_that_fails_cancels_the_calls_of_its_other_tasks(self, held):
        async def one_fails():
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(as_task(held.schedule(number)))
                group.create_task(fail())

        async def as_task(future):
            return await future

        async def fail():
            await asyncio.sleep(0)
            raise KeyError

        with pytest.raises(ExceptionGroup):
            asyncio.run(one_fails())
        assert held.limiter.counts()["waiting"] == 0
        held.let_go()
        assert held.ran == []

    def test_of_two_tasks_the_last_one_that_is_cancelled_withdraws_it(self, held):
        async def two():
            future = held.schedule("a")
            first, second = asyncio.ensure_future(future), asyncio.ensure_future(future)
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first])
            assert not future.done
            second.cancel()
            await asyncio.wait([second])
            return future.done

        assert asyncio.run(two())

    def test_a_thread_that_waits_keeps_it(self, held):
        future = held.schedule("a")
        got = []
        thread = threading.Thread(target=lambda: got.append(future.get(timeout=WAIT)))
        thread.start()
        while not future._waiters:
            thread.join(0.001)

        async def give_up():
            task = asyncio.ensure_future(future)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        asyncio.run(give_up())
        held.let_go()
        thread.join(WAIT)
        assert got == ["a"]

    def test_a_mapped_or_joined_future_is_awaited_too(self, held):
        async def made():
            future = held.schedule("a").map(lambda value: value * 2)
            joined = held.schedule("b").join(held.schedule("c"))
            asyncio.get_running_loop().call_soon(held.gate.set)
            return await future, await joined

        assert asyncio.run(made()) == ("aa", ["b", "c"])

    def test_a_mapped_future_whose_waiter_is_cancelled_withdraws_the_call(self, held):
        future = held.schedule("a")

        async def made():
            with suppress(TimeoutError):
                await asyncio.wait_for(future.map(str), 0.01)

        asyncio.run(made())
        assert future.done

    def test_a_future_whose_value_comes_by_a_hook_does_not_block_the_loop(self, held):
        hooked = type(held.holder)()
        hooked.set_get_hook(lambda timeout: held.holder.get(timeout=timeout)[1])

        async def both():
            waiting = asyncio.ensure_future(hooked)
            await asyncio.sleep(0)
            held.gate.set()
            return await waiting

        assert asyncio.run(both()) is True

    def test_a_loop_that_is_closed_meanwhile_harms_nobody(self, held):
        future = held.schedule("a")

        async def leave():
            asyncio.get_running_loop().create_task(as_task(future))
            await asyncio.sleep(0)

        async def as_task(future):
            await future

        keeper = Studio.concurrent(future)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(leave())
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False
        loop.close()
        held.let_go()
        assert keeper.result(timeout=WAIT) == "a"

    def test_cancelling_who_waits_for_a_session_does_not_cancel_it(self, open_studio):
        gate = threading.Event()

        def draw(task, cancelled):
            gate.wait(WAIT)
            return (b"", "image/png")

        one = open_studio(generator=draw)
        with one.studio.stream("m") as stream:
            stream.feed("a text")
            finished = stream.finish()

        async def give_up():
            with suppress(TimeoutError):
                await asyncio.wait_for(finished, 0)
            return await finished

        gate.set()
        assert asyncio.run(give_up()).written


class TestConcurrent:
    """`Studio.concurrent`."""

    def test_a_call_that_waits_can_be_cancelled(self, held):
        future = held.schedule("a")
        other = Studio.concurrent(future)
        assert other.cancel()
        assert other.cancelled()
        assert other.cancel()
        with pytest.raises(CancelledError):
            other.result(timeout=WAIT)
        assert held.limiter.counts()["waiting"] == 0
        held.let_go()
        assert held.ran == []

    def test_one_that_has_begun_cannot(self, held):
        other = Studio.concurrent(held.holder)
        assert not other.cancel()
        held.gate.set()
        assert other.result(timeout=WAIT)[1]
        assert not other.cancel()

    def test_one_of_two_does_not_cancel_it_for_the_other(self, held):
        future = held.schedule("a")
        first, second = Studio.concurrent(future), Studio.concurrent(future)
        assert not first.cancel()
        assert not first.cancel()
        held.let_go()
        assert second.result(timeout=WAIT) == first.result(timeout=WAIT) == "a"

    def test_a_call_back_may_look_at_it_again(self, held):
        other = Studio.concurrent(held.schedule("a"))
        looked = []
        other.add_done_callback(lambda done: looked.append((done.cancel(), done.cancelled())))
        assert other.cancel()
        assert looked == [(True, True)]

    def test_wrapped_for_asyncio_it_withdraws_the_call(self, held):
        async def give_up():
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    asyncio.wrap_future(Studio.concurrent(held.schedule("a"))), 0.01
                )

        asyncio.run(give_up())
        assert held.limiter.counts()["waiting"] == 0

    def test_a_session_cannot_be_cancelled_through_it(self, open_studio):
        one = open_studio()
        other = Studio.concurrent(one.studio.illustrate("m", "a text"))
        assert not other.cancel()
        assert other.result(timeout=WAIT).written

    def test_many_cancelled_while_they_begin_run_or_never_do(self, open_studio):
        limiter = open_studio(slots=3).studio.limiter
        ran = set()
        futures = [limiter.schedule(lambda n=n: ran.add(n)) for n in range(300)]
        others = [Studio.concurrent(future) for future in futures]
        never = {number for number, other in enumerate(others) if other.cancel()}
        for number in set(range(300)) - never:
            others[number].result(timeout=WAIT)
        assert ran == set(range(300)) - never
        counts = limiter.counts()
        assert (counts["waiting"], counts["granted"]) == (0, counts["released"] + counts["out"])
