"""How much time a call has left until its deadline, as the call itself asks."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from limner.actors.system import Clock

T = TypeVar("T")

MICROSECONDS = 1_000_000

_deadline: ContextVar[tuple[Clock, int] | None] = ContextVar("deadline", default=None)


def time_left() -> float | None:
    """Return the seconds until the deadline of the call that runs here.

    A call passes it on, as in `requests.get(url, timeout=time_left())`.

    Returns:
        0 if the deadline is over; `None` if the call has none, or no call of the limiter runs here.
    """
    known = _deadline.get()
    if known is None:
        return None
    clock, deadline = known
    return max(0, deadline - clock.now) / MICROSECONDS


def with_deadline(call: Callable[[], T], clock: Clock, deadline: int) -> T:
    """Run a call that can ask for the time left, and return what it returns.

    Args:
        call: what to run.
        clock: of the deadline.
        deadline: microseconds.
    """
    before = _deadline.set((clock, deadline))
    try:
        return call()
    finally:
        _deadline.reset(before)
