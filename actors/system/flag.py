"""An event that costs almost nothing until a thread waits for it."""

from __future__ import annotations

import threading


class Flag(threading.Event):
    """A `threading.Event` whose condition is made only when the first thread waits.

    Every actor has one and every call; hardly any is ever waited for.
    """

    __slots__ = ("_condition", "_set")

    _making = threading.Lock()

    def __init__(self) -> None:
        self._set = False
        self._condition: threading.Condition | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {'set' if self._set else 'unset'}>"

    def is_set(self) -> bool:
        """Return whether the flag is set."""
        return self._set

    def set(self) -> None:
        """Set the flag, and wake the threads that wait."""
        self._set = True
        if self._condition is not None:
            with self._condition:
                self._condition.notify_all()

    def clear(self) -> None:
        """Clear the flag."""
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set, `timeout` seconds at most; return whether it is set."""
        if self._set:
            return True
        with self._making:
            if self._condition is None:
                self._condition = threading.Condition()
        with self._condition:
            return self._condition.wait_for(self.is_set, timeout)
