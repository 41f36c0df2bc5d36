"""Ctrl-C, and the wish to terminate, as things that happen."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

HEARING = 0.25
"""Seconds that the main thread waits for anything at most.

Python hears a signal between two steps of the main thread; one that comes just as a wait begins is
heard when it ends.
"""

Step = Callable[[], None]
"""Is called between two steps, where an interrupt may come: raises `KeyboardInterrupt` for one."""


@contextmanager
def heeding_signals(heard: Callable[[], object]) -> Iterator[None]:
    """Call `heard` at Ctrl-C and at the wish to terminate; a third one ends the process.

    Args:
        heard: is called in the main thread, between any two steps of it, also within itself.
    """
    before: dict[signal.Signals, Any] = {}
    received = 0

    def heed(_number: int, _frame: FrameType | None) -> None:
        nonlocal received
        received += 1
        heard()
        if received == 2:
            for each in before:
                signal.signal(each, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        # who was started with a signal ignored, by nohup or a shell's &, goes on ignoring it
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, heed)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupted_between_steps() -> Iterator[Step]:
    """Give what raises `KeyboardInterrupt` if there was an interrupt; nothing else does.

    Python raises it anywhere in the main thread, also in the midst of another's code that has
    taken a lock, which nobody gives back then: whoever comes to it later waits for ever.
    """
    heard: list[bool] = []

    def step() -> None:
        if heard:
            raise KeyboardInterrupt

    with heeding_signals(lambda: heard.append(True)):
        yield step


@contextmanager
def deaf_at_birth() -> Iterator[None]:
    """Let no process that is started in here hear Ctrl-C, which is for the one that waits for it.

    As it begins it could only end with a traceback. Windows has no such thing.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
