"""Ctrl-C, and the wish to terminate, as things that happen."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


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
