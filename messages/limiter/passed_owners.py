"""Owners of a lane that are passed over for a time, since a budget of theirs is spent."""

from __future__ import annotations

from heapq import heapify, heappop, heappush


class PassedOwners:
    """Owners, each with when it is no longer passed over. It is mutable; its lane owns it.

    An owner is passed over with all its requests for as long as a budget of its own does not allow
    the one of them that is next.

    Attributes:
        until: when each is no longer passed over, in microseconds; empty if none is.
    """

    __slots__ = ("_due", "until")

    def __init__(self) -> None:
        self.until: dict[str, int] = {}
        self._due: list[tuple[int, str]] = []

    def __contains__(self, owner: object) -> bool:
        return owner in self.until

    def detach(self) -> None:
        """Make this shallow copy one of its own."""
        self.until = self.until.copy()
        self._due = self._due.copy()

    def add(self, owner: str, until: int) -> None:
        """Pass an owner over until that time, in microseconds."""
        self.until[owner] = until
        if len(self._due) > 64 + 4 * len(self.until):
            self._due = [due for due in self._due if self.until.get(due[1]) == due[0]]
            heapify(self._due)
        heappush(self._due, (until, owner))

    def recheck(self, owner: str | None) -> None:
        """End it at once for an owner, since its requests or its budgets have changed."""
        if owner is not None and self.until.get(owner):
            self.add(owner, 0)

    def recheck_all(self) -> None:
        """End it at once for all owners."""
        self.until = dict.fromkeys(self.until, 0)
        self._due = [(0, owner) for owner in self.until]

    def take_due(self, now: int) -> list[str]:
        """Remove the owners for whom it is over, and return them."""
        owners = []
        while (due := self.due) is not None and due <= now:
            owner = heappop(self._due)[1]
            del self.until[owner]
            owners.append(owner)
        return owners

    @property
    def due(self) -> int | None:
        """When it is over for the next owner; `None` if none is passed over."""
        while self._due:
            until, owner = self._due[0]
            if self.until.get(owner) == until:
                return until
            heappop(self._due)
        return None
