"""Coroutines: refused as the result of a call on a thread, run on the host's loop by `run`."""

import asyncio
import contextvars
import gc
import threading
from functools import partial

import pytest

from limner.messages.errors import (
    CloseRefused,
    LeaseEnded,
    ResultNotAwaited,
    SettingsInvalid,
    SlotRefused,
    StudioClosed,
)
from limner.messages.limiter.settings import LaneSettings

WAIT = 60


async def echo(value, *more):
    await asyncio.sleep(0)
    return (value, *more) if more else value


class Awaitable:
    def __await__(self):
        yield


def counts(limiter):
    found = limiter.counts()
    return found["waiting"], found["out"]


class TestRefused:
    """A call on a thread gives what nobody would await."""

    @pytest.mark.parametrize("blocks", [True, False])
    @pytest.mark.parametrize(
        "call",
        [lambda: echo(1), partial(partial(lambda: echo(1))), Awaitable],
        ids=["a call", "partial", "awaitable"],
    )
    def test_it_is_refused_with_what_to_do_and_the_slot_is_free(self, open_studio, call, blocks):
        limiter = open_studio(slots=1).studio.limiter
        with pytest.raises(ResultNotAwaited, match=r"limiter\.run"):
            limiter.schedule(call, blocks=blocks).get(timeout=WAIT)
        gc.collect()  # a coroutine that was never awaited would warn, and so fail
        assert limiter.schedule(lambda: 5).get(timeout=WAIT) == 5
        assert limiter.report().failures == 0

    def test_in_a_batch_as_a_whole_or_one_of_its_results(self, open_studio):
        limiter = open_studio(slots=1).studio.limiter
        whole = limiter.collect(lambda items: echo(items, 2), max_size=1, max_time=0).add(1)
        with pytest.raises(ResultNotAwaited):
            whole.get(timeout=WAIT)
        batches = limiter.collect(lambda items: [echo(1), 2], max_size=2, max_time=60)
        first, second = batches.add(1), batches.add(2)
        with pytest.raises(ResultNotAwaited):
            first.get(timeout=WAIT)
        assert second.get(timeout=WAIT) == 2
        gc.collect()

    def test_a_future_of_the_studio_may_be_given(self, open_studio):
        one = open_studio()
        inner = one.studio.limiter.schedule(lambda: one.studio.illustrate("m", "a text"))
        assert inner.get(timeout=WAIT).get(timeout=WAIT).written

    def test_a_coroutine_function_is_told_of_run(self, open_studio):
        with pytest.raises(SettingsInvalid, match=r"limiter\.run"):
            open_studio().studio.limiter.schedule(echo)


class TestRun:
    """Coroutine functions on a loop."""

    def test_they_run_within_the_limit_and_give_what_they_return(self, open_studio):
        limiter = open_studio(slots=3).studio.limiter
        running, most = 0, 0

        async def call(number):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            return number

        async def many():
            return await asyncio.gather(*(limiter.run(call, number) for number in range(60)))

        assert asyncio.run(many()) == list(range(60))
        assert 1 <= most <= 3
        assert counts(limiter) == (0, 0)

    def test_what_it_raises_is_raised_and_counts_as_an_error_does(self, open_studio):
        limiter = open_studio().studio.limiter

        async def fail():
            raise ConnectionError("gone")

        async def main():
            with pytest.raises(ConnectionError):
                await limiter.run(fail)
            with pytest.raises(SlotRefused):
                await limiter.run(echo, 1, weight=99)
            return await limiter.run(echo, 1, 2)

        assert asyncio.run(main()) == (1, 2)
        assert limiter.counts()["released"] == 2

    def test_its_context_variables_are_those_of_its_caller(self, open_studio):
        limiter, asked = open_studio().studio.limiter, contextvars.ContextVar("asked")

        async def call():
            return asked.get()

        async def main():
            asked.set("here")
            future = limiter.run(call)
            asked.set("there")
            return await future

        assert asyncio.run(main()) == "here"

    def test_cancelling_who_waits_cancels_the_task_and_then_frees_the_slot(self, open_studio):
        limiter = open_studio(slots=1).studio.limiter
        told = []

        async def call(begun):
            begun.set()
            try:
                await asyncio.sleep(WAIT)
            except asyncio.CancelledError:
                told.append("cancelled")
                await asyncio.sleep(0)
                told.append("cleaned up")
                raise

        async def main():
            begun = asyncio.Event()
            waiting = asyncio.ensure_future(limiter.run(call, begun))
            behind = limiter.run(lambda: echo(list(told)))
            await begun.wait()
            waiting.cancel()
            return await behind

        assert asyncio.run(main()) == ["cancelled", "cleaned up"]
        assert counts(limiter) == (0, 0)

    def test_cancelled_before_it_has_a_slot_it_never_begins(self, open_studio):
        limiter = open_studio(slots=1).studio.limiter
        gate = threading.Event()
        holder = limiter.schedule(lambda: gate.wait(WAIT))
        ran = []

        async def call():
            ran.append(1)

        async def main():
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(limiter.run(call), 0.01)
            assert limiter.run(call).cancel()

        asyncio.run(main())
        gate.set()
        holder.get(timeout=WAIT)
        assert (ran, counts(limiter)) == ([], (0, 0))

    def test_a_task_that_is_cancelled_itself_says_so_to_who_waits(self, open_studio):
        limiter = open_studio(slots=1).studio.limiter

        async def call():
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

        async def main():
            with pytest.raises(asyncio.CancelledError):
                await limiter.run(call)
            return await limiter.run(echo, "next")

        assert asyncio.run(main()) == "next"

    def test_the_end_of_its_lease_cancels_its_task(self, open_studio):
        limiter = open_studio(lanes={"short": LaneSettings(lease=0.1)}).studio.limiter

        async def call(ended):
            try:
                await asyncio.sleep(WAIT)
            finally:
                ended.set()

        async def main():
            ended = asyncio.Event()
            with pytest.raises(LeaseEnded):
                await limiter.run(call, ended, lane="short")
            await ended.wait()

        asyncio.run(main())
        assert limiter.counts("short")["expired"] == 1

    def test_another_thread_may_name_the_loop(self, open_studio):
        limiter = open_studio().studio.limiter

        async def where():
            return threading.current_thread()

        async def main():
            loop, here = asyncio.get_running_loop(), threading.current_thread()
            future = await asyncio.to_thread(lambda: limiter.run(where, loop=loop))
            return await future is here

        assert asyncio.run(main())

    def test_without_a_loop_it_is_refused(self, open_studio):
        limiter = open_studio().studio.limiter
        for wrong in ({}, {"loop": 5}):
            with pytest.raises(SettingsInvalid, match="loop"):
                limiter.run(echo, 1, **wrong)

        async def main():
            with pytest.raises(SettingsInvalid):
                limiter.run(5)
            with pytest.raises(TypeError):
                await limiter.run(lambda: 5)

        asyncio.run(main())

    def test_a_loop_that_is_closed_before_it_begins_fails_it_and_frees_its_slot(self, open_studio):
        limiter = open_studio(slots=1).studio.limiter
        gate = threading.Event()
        holder = limiter.schedule(lambda: gate.wait(WAIT))
        loop = asyncio.new_event_loop()
        future = limiter.run(echo, 1, loop=loop)
        loop.close()
        gate.set()
        holder.get(timeout=WAIT)
        with pytest.raises(RuntimeError, match="closed"):
            future.get(timeout=WAIT)
        assert limiter.schedule(int).get(timeout=WAIT) == 0

    def test_a_loop_that_ends_cancels_it_and_frees_its_slot(self, open_studio):
        limiter = open_studio(slots=1).studio.limiter

        async def hold(begun):
            begun.set()
            await asyncio.sleep(WAIT)

        async def main():
            begun = asyncio.Event()
            future = limiter.run(hold, begun)
            await begun.wait()
            return future

        future = asyncio.run(main())
        with pytest.raises(asyncio.CancelledError):
            future.get(timeout=WAIT)
        assert limiter.schedule(int).get(timeout=WAIT) == 0


class TestClosing:
    """The studio is closed while coroutines run."""

    def test_async_with_waits_for_them_and_the_loop_goes_on(self, open_studio):
        one = open_studio()

        async def main():
            async with one.studio as studio:
                begun, gate = asyncio.Event(), asyncio.Event()

                async def call():
                    begun.set()
                    await gate.wait()
                    return "carried through"

                future = studio.limiter.run(call)
                await begun.wait()
                asyncio.get_running_loop().call_later(0.05, gate.set)
            return await future

        assert asyncio.run(main()) == "carried through"

    def test_on_their_own_loop_it_is_refused_with_what_to_do(self, open_studio):
        one = open_studio()

        async def main():
            begun, gate = asyncio.Event(), asyncio.Event()

            async def call():
                begun.set()
                await gate.wait()

            future = one.studio.limiter.run(call)
            await begun.wait()
            with pytest.raises(CloseRefused, match="async with"):
                one.studio.close()
            gate.set()
            await future
            one.studio.close()

        asyncio.run(main())

    def test_past_the_timeout_their_tasks_are_cancelled(self, open_studio):
        one = open_studio()

        async def main():
            begun, ended = asyncio.Event(), asyncio.Event()

            async def call():
                begun.set()
                try:
                    await asyncio.sleep(WAIT)
                finally:
                    ended.set()

            future = one.studio.limiter.run(call)
            await begun.wait()
            await asyncio.to_thread(one.studio.close, timeout=0)
            with pytest.raises(StudioClosed):
                await future
            await ended.wait()

        asyncio.run(main())
