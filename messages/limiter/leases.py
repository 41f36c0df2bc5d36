"""The slots of a lane that are out: what they weigh, who holds them, when each expires."""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from limner.messages.limiter.protocol import RequestSlot


@dataclass(slots=True)
class Slot:
    """A slot that is out.

    Args:
        id: its name.
        request: what it was granted to.
        number: how many were granted, this one counted.
        granted_at: when.
        expires_at: when it is taken back.
        waited: how long its request waited.
        revoked_for: the request that it was asked back for.
    """

    id: str
    request: RequestSlot
    number: int
    granted_at: int
    expires_at: int
    waited: int
    revoked_for: str | None = None


class Leases:
    """The slots that are out, by id, the oldest first, and the summed `weight` of them."""

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self.weight = 0
        self._of_owner: dict[str, int] = {}
        self._expiries: list[tuple[int, int, str]] = []

    def __iter__(self) -> Iterator[Slot]:
        return iter(self.slots.values())

    def __len__(self) -> int:
        return len(self.slots)

    def number_of(self, owner: str | None) -> int:
        """Say how many an owner holds."""
        return 0 if owner is None else self._of_owner.get(owner, 0)

    def add(self, slot: Slot) -> None:
        """Let a slot be out."""
        self.slots[slot.id] = slot
        self.weight += slot.request.weight
        owner = slot.request.owner
        if owner is not None:
            self._of_owner[owner] = self._of_owner.get(owner, 0) + 1
        self._await(slot)

    def pop(self, slot_id: str) -> Slot | None:
        """Take a slot back; `None` if it is not out (any more)."""
        slot = self.slots.pop(slot_id, None)
        if slot is None:
            return None
        self.weight -= slot.request.weight
        owner = slot.request.owner
        if owner is not None:
            held = self._of_owner[owner] - 1
            if held:
                self._of_owner[owner] = held
            else:
                del self._of_owner[owner]
        return slot

    def shorten(self, slot: Slot, expires_at: int) -> None:
        """Let a slot expire at that time, unless it does so earlier."""
        if expires_at < slot.expires_at:
            slot.expires_at = expires_at
            self._await(slot)

    def may_expire(self, now: int) -> bool:
        """Say whether a slot may have expired; sure if it says no."""
        return bool(self._expiries) and self._expiries[0][0] <= now

    def next_expiry(self) -> Slot | None:
        """Give the slot that expires first."""
        while self._expiries:
            due, _, slot_id = self._expiries[0]
            slot = self.slots.get(slot_id)
            if slot is not None and slot.expires_at == due:
                return slot
            heappop(self._expiries)
        return None

    def _await(self, slot: Slot) -> None:
        if len(self._expiries) > 64 + 4 * len(self.slots):
            self._expiries = [one for one in self._expiries if one[2] in self.slots]
            heapify(self._expiries)
        heappush(self._expiries, (slot.expires_at, slot.number, slot.id))
