"""What a call may not return: something that nobody would await."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TypeVar

import pykka

from limner.messages.errors import ResultNotAwaited

T = TypeVar("T")


def not_awaitable(value: T) -> T:
    """Return what a call has returned, unless it is awaitable; a future of Pykka's may be.

    A coroutine is closed, so that Python does not warn of it.

    Raises:
        ResultNotAwaited: if it is awaitable.
    """
    if not hasattr(type(value), "__await__") or isinstance(value, pykka.Future):
        return value
    if isinstance(value, Coroutine):
        value.close()
    raise ResultNotAwaited(
        f"the call gave an awaitable ({type(value).__name__}), which nobody awaits while it has "
        "its slot; give the function to limiter.run, on the asyncio loop"
    )


def outcome(result: object) -> tuple[object, BaseException | None]:
    """Return a result of a batch, and how it failed, of which one is there."""
    if isinstance(result, BaseException):
        return None, result
    try:
        return not_awaitable(result), None
    except ResultNotAwaited as error:
        return None, error
