"""Gates: calls of one name pass until it is closed, and whoever closes it can wait for them."""

from __future__ import annotations

import threading
from weakref import WeakValueDictionary


class Gate:
    """What calls pass until it is closed, for good. Safe to use from any thread."""

    __slots__ = ("__weakref__", "_condition", "_inside", "closed")

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self.closed = False

    def enter(self) -> bool:
        """Enter, to `leave` later; return false if it is closed."""
        with self._condition:
            if not self.closed:
                self._inside += 1
            return not self.closed

    def leave(self) -> None:
        """Leave; once for each time that it was entered."""
        with self._condition:
            self._inside -= 1
            self._condition.notify_all()

    def close(self) -> None:
        """Refuse all that enters from now on; what is inside stays inside."""
        with self._condition:
            self.closed = True

    def wait_until_empty(self) -> None:
        """Wait until nothing is inside; for ever, if what is inside hangs."""
        with self._condition:
            self._condition.wait_for(lambda: not self._inside)


class Gates:
    """The gates by name. One that nobody holds is not remembered. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: WeakValueDictionary[str, Gate] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._gates)

    def of(self, name: str) -> Gate:
        """Return the gate of a name, which is open. Hold it while it is to be closed with others.

        Args:
            name: any text.
        """
        with self._lock:
            gate = self._gates.get(name)
            if gate is None:
                gate = self._gates[name] = Gate()
            return gate

    def close(self, name: str) -> Gate:
        """Close the gate of all that hold the one of this name; who asks from now on gets another.

        Returns:
            The gate that was closed.
        """
        with self._lock:
            gate = self._gates.pop(name, None) or Gate()
        gate.close()
        return gate
