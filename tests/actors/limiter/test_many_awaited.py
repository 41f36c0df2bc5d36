"""Ten thousand calls are waited for on one asyncio loop, and those that are cancelled are gone."""

import asyncio
import threading
from functools import partial

CALLS = 10_000


def ran_and(ran, number):
    ran.append(number)
    return number


def test_all_come_and_the_cancelled_ones_never_ran_and_are_gone(open_studio):
    one = open_studio(slots=20)
    limiter, ran, gate = one.studio.limiter, [], threading.Event()

    async def main():
        holders = [limiter.schedule(gate.wait) for _ in range(20)]
        calls = [partial(ran_and, ran, number) for number in range(CALLS)]
        tasks = [
            asyncio.ensure_future(limiter.schedule(call, blocks=number % 3 > 0))
            for number, call in enumerate(calls)
        ]
        await asyncio.sleep(0)
        for task in tasks[::10]:
            task.cancel()
        await asyncio.wait(tasks[::10])
        before = limiter.counts()
        threads = threading.active_count()
        gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*holders)
        return before, threads, results

    before, threads, results = asyncio.run(main())
    assert before["waiting"] == CALLS - CALLS // 10
    assert threads < 100
    wanted = [number for number in range(CALLS) if number % 10]
    assert sorted(ran) == wanted
    assert [result for result in results if not isinstance(result, BaseException)] == wanted
    cancelled = [result for result in results if isinstance(result, asyncio.CancelledError)]
    assert len(cancelled) == CALLS // 10
    counts = limiter.counts()
    assert (counts["waiting"], counts["out"]) == (0, 0)
    assert counts["withdrawn"] == CALLS // 10
    assert counts["released"] == len(wanted) + 20
