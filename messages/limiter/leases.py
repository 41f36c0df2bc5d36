"""The slots of a lane that are out: what they weigh, who holds them, when each expires."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from limner.messages.limiter.protocol import RequestSlot

if TYPE_CHECKING:
    from limner.messages.limiter.budgets import Taken


@dataclass(slots=True)
class Slot:
    """A slot that is out. All times are integer microseconds.

    Args:
        id: unique in the limiter.
        request: that it was granted to.
        number: how many slots its lane has granted, this one counted.
        granted_at: when.
        expires_at: when the limiter takes it back.
        waited: how long its request waited.
        revoked_for: the id of the request for which it was revoked; `None` if it was not.
        taken: of its lane's budgets, by name; `None` if the lane has none.
        overloaded: whether its call was too much for the back end, in a lane whose limit adapts.
    """

    id: str
    request: RequestSlot
    number: int
    granted_at: int
    expires_at: int
    waited: int
    revoked_for: str | None = None
    taken: dict[str, Taken] | None = None
    overloaded: bool = False


class Leases:
    """The `slots` that are out, by id, the oldest first, and their summed `weight`.

    `threads` is how many of them need a worker thread.

    It is mutable; its lane owns it.
    """

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self.weight = 0
        self.threads = 0
        self._by_owner: dict[str, int] = {}
        self._expiries: list[tuple[int, int, str]] = []

    def __iter__(self) -> Iterator[Slot]:
        return iter(self.slots.values())

    def __len__(self) -> int:
        return len(self.slots)

    def copy(self, expires_at: Callable[[Slot], int]) -> Leases:
        """Return leases that can be changed without these; each slot expires at the given time."""
        copied = Leases()
        for slot in self:
            copied.add(replace(slot, expires_at=expires_at(slot)))
        return copied

    def count_of(self, owner: str | None) -> int:
        """Return how many slots an owner holds; 0 for no owner."""
        return 0 if owner is None else self._by_owner.get(owner, 0)

    def add(self, slot: Slot) -> None:
        """Add a slot that is out from now on."""
        self.slots[slot.id] = slot
        self.weight += slot.request.weight
        self.threads += slot.request.thread
        owner = slot.request.owner
        if owner is not None:
            self._by_owner[owner] = self._by_owner.get(owner, 0) + 1
        self._schedule_expiry(slot)

    def pop(self, slot_id: str) -> Slot | None:
        """Remove a slot and return it; `None` if it is not out (any more)."""
        slot = self.slots.pop(slot_id, None)
        if slot is None:
            return None
        self.weight -= slot.request.weight
        self.threads -= slot.request.thread
        owner = slot.request.owner
        if owner is not None:
            held = self._by_owner[owner] - 1
            if held:
                self._by_owner[owner] = held
            else:
                del self._by_owner[owner]
        return slot

    def shorten(self, slot: Slot, expires_at: int) -> None:
        """Expire a slot at that time, unless it expires earlier anyway."""
        if expires_at < slot.expires_at:
            slot.expires_at = expires_at
            self._schedule_expiry(slot)

    def may_expire(self, now: int) -> bool:
        """Return whether a slot may have expired; False is certain."""
        return bool(self._expiries) and self._expiries[0][0] <= now

    def next_expiry(self) -> Slot | None:
        """Return the slot that expires first; `None` if none is out."""
        while self._expiries:
            due, _, slot_id = self._expiries[0]
            slot = self.slots.get(slot_id)
            if slot is not None and slot.expires_at == due:
                return slot
            heappop(self._expiries)
        return None

    def _schedule_expiry(self, slot: Slot) -> None:
        if len(self._expiries) > 64 + 4 * len(self.slots):
            self._expiries = [expiry for expiry in self._expiries if expiry[2] in self.slots]
            heapify(self._expiries)
        heappush(self._expiries, (slot.expires_at, slot.number, slot.id))
