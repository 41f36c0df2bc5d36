"""One message's queue of writes: whose turn it is, so that no two of them interleave."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any


class Turns:
    """The turns to write one text: one at a time, in the order in which they were asked for.

    A turn may be reserved before it can be used: it keeps its place, and what stands behind it
    waits. While the queue is held nobody's turn comes; what is under way goes on.
    """

    def __init__(self) -> None:
        self.held = False
        self.under_way: str | None = None
        # whose turn, and what it is for, None if reserved; the first of a dict is not found at once
        self._waiting: OrderedDict[str, Any] = OrderedDict()

    @property
    def idle(self) -> bool:
        """Whether nobody has or waits for a turn, and nothing holds the queue."""
        return not self.held and self.under_way is None and not self._waiting

    @property
    def waiting(self) -> tuple[Any, ...]:
        """What is waited for, in its order; `None` for a turn that is only reserved."""
        return tuple(self._waiting.values())

    def reserve(self, name: str) -> None:
        """Take a place in the queue, to be used later."""
        self._waiting.setdefault(name, None)

    def ask(self, name: str, wanted: Any) -> None:
        """Wait for a turn, at the place that was reserved or else at the end.

        Args:
            name: whose turn.
            wanted: what it is for; given back when it has come.
        """
        if name != self.under_way:
            self._waiting[name] = wanted

    def next(self) -> tuple[str, Any] | None:
        """Give whose turn has come and what it is for, if one's has."""
        if self.held or self.under_way is not None:
            return None
        name = next(iter(self._waiting), None)
        if name is None or self._waiting[name] is None:
            return None
        self.under_way = name
        return name, self._waiting.pop(name)

    def over(self, name: str) -> None:
        """Take back a turn, whether it was used, waited for or reserved."""
        self._waiting.pop(name, None)
        if self.under_way == name:
            self.under_way = None

    def take(self, which: Callable[[Any], bool]) -> tuple[Any, ...]:
        """Take out those that wait for something of a kind, and give what they waited for."""
        taken = {
            name: wanted
            for name, wanted in self._waiting.items()
            if wanted is not None and which(wanted)
        }
        for name in taken:
            del self._waiting[name]
        return tuple(taken.values())
