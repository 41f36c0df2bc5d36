"""Ctrl-C, requests to terminate and a closed terminal, handled between two steps of a program.

These are SIGINT, SIGTERM and SIGHUP.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

HEARING = 0.25
"""Seconds that the main thread waits for anything at most.

Python handles a signal between two steps of the main thread. A signal that comes just as a wait
begins is handled when the wait ends.
"""

HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""The signal of a terminal that is closed; `None` on Windows, which has none."""

Step = Callable[[], None]
"""Is called between two steps, and raises `KeyboardInterrupt` if there was an interrupt."""


@contextmanager
def handling_signals(on_signal: Callable[[], object]) -> Iterator[None]:
    """Call `on_signal` at each SIGINT and SIGTERM; the third one ends the process.

    A SIGHUP counts as the first of them, and never as a second: a terminal that is closed sends it
    more than once, often beside a SIGTERM, and nobody is there who could mean it.

    Args:
        on_signal: is called in the main thread, between any two steps of it, also of its own.
    """
    before: dict[signal.Signals, Any] = {}
    received = 0
    hung_up = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal received, hung_up
        first = not (received or hung_up)
        if number == HANGUP:
            hung_up = True
        else:
            received += 1
        if first or (received > 1 and number != HANGUP):
            on_signal()
        if received == 2:
            for handled in before:
                signal.signal(handled, signal.SIG_IGN if handled == HANGUP else signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM, *(() if HANGUP is None else (HANGUP,))):
        # a process that was started with a signal ignored, by nohup or a shell's &, ignores it
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interrupted_between_steps() -> Iterator[Step]:
    """Yield a function that raises `KeyboardInterrupt` if there was an interrupt.

    Nothing else raises it within the block. By default Python raises it anywhere in the main
    thread, also inside code that has just acquired a lock. That lock is then never released, and
    whoever acquires it next waits for ever.
    """
    signals: list[bool] = []

    def step() -> None:
        if signals:
            raise KeyboardInterrupt

    with handling_signals(lambda: signals.append(True)):
        yield step


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Block SIGINT for the processes that are started in the block.

    Ctrl-C is for the process that waits for them; a process that only begins would end with a
    traceback. Windows has no signal masks, so there nothing is blocked.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
