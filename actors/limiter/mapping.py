"""Calls of one function for many items, a bounded number of them ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from limner.actors.system import CallFuture

Item = TypeVar("Item")
T = TypeVar("T")


def results_of(
    schedule: Callable[[Callable[[], T]], CallFuture[T]],
    function: Callable[[Item], T],
    items: Iterable[Item],
    ahead: int,
) -> Iterator[T]:
    """Yield what a function returns for each item, in their order.

    Items are taken as they are needed. If the iterator is left, or a call raises, the calls that
    have not begun are cancelled.

    Args:
        schedule: schedules one call.
        function: to call with each item.
        items: any number of them.
        ahead: calls that are scheduled and not yet yielded, at most.
    """
    waiting: deque[CallFuture[Any]] = deque()
    try:
        for item in items:
            waiting.append(schedule(partial(function, item)))
            if len(waiting) >= ahead:
                value = waiting[0].get()
                waiting.popleft()
                yield value
        while waiting:
            value = waiting[0].get()
            waiting.popleft()
            yield value
    finally:
        for future in waiting:
            future.cancel()
