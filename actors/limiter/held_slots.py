"""The caller's book of the slots that hosts hold around code of their own."""

from __future__ import annotations

from typing import Any, NamedTuple

from limner.actors.limiter.slots import Holding, ReturnSlot
from limner.actors.system import CallFuture, PooledRef
from limner.messages import errors
from limner.messages.limiter.protocol import (
    ReleaseSlot,
    RequestDropped,
    SlotExpired,
    SlotGranted,
)


class HoldSlot(NamedTuple):
    """edge → caller: a host wants to hold a slot; the edge requests that right after this.

    Args:
        name: of the request.
        future: of the grant.
        holder: told if the slot is lost.
    """

    name: str
    future: CallFuture[SlotGranted]
    holder: Holding


class HeldSlots:
    """The slots that hosts hold or wait for, by the names of their requests.

    It is mutable; the caller owns it. Each slot that is granted is released once: when it is
    returned, or at once if nobody waits for it any more.

    Args:
        limiter: is told what is released.
    """

    def __init__(self, limiter: PooledRef[Any]) -> None:
        self._limiter = limiter
        self._wanted: dict[str, HoldSlot] = {}
        self._slot_ids: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def add(self, message: HoldSlot) -> None:
        """Add a slot that a host wants."""
        self._wanted[message.name] = message

    def granted(self, grant: SlotGranted) -> bool:
        """Pass a grant on to the host that waits; false if it is not for one of these."""
        wanted = self._wanted.get(grant.task_id)
        if wanted is None:
            return False
        if wanted.future.begin():
            self._slot_ids[grant.task_id] = grant.slot_id
            wanted.future.set_if_pending(grant)
        else:  # it was cancelled while the grant was on its way
            del self._wanted[grant.task_id]
            self._limiter.tell(ReleaseSlot(slot_id=grant.slot_id))
        return True

    def returned(self, message: ReturnSlot) -> None:
        """Forget a slot that a host has returned; release it, if the host did not know of it."""
        slot_id = self._forget(message.name)
        if slot_id is not None and not message.released:
            self._limiter.tell(ReleaseSlot(slot_id=slot_id))

    def expired(self, message: SlotExpired) -> None:
        """Tell a host that its lease has ended."""
        wanted = self._wanted.get(message.task_id)
        if wanted is not None and self._slot_ids.get(message.task_id) == message.slot_id:
            wanted.holder.lose()
            self._forget(message.task_id)

    def dropped(self, message: RequestDropped) -> None:
        """Fail the future of a host that gets no slot."""
        wanted = self._wanted.pop(message.task_id, None)
        if wanted is not None:
            told = f"no slot: {message.reason}"
            wanted.future.fail_if_pending(errors.SlotRefused(told, message.refusal, message.lane))

    def withdrawn(self, name: str) -> None:
        """Forget a request that was cancelled before it was granted."""
        if name not in self._slot_ids:
            self._wanted.pop(name, None)

    def refuse(self, error: BaseException) -> None:
        """Fail those that have no slot yet."""
        for name, wanted in list(self._wanted.items()):
            if name not in self._slot_ids and wanted.future.refuse(error):
                del self._wanted[name]

    def lose_all(self, error: BaseException) -> None:
        """Tell all hosts that they lose what they hold; fail those that wait."""
        self.refuse(error)
        for wanted in self._wanted.values():
            wanted.holder.lose()
        self._wanted.clear()
        self._slot_ids.clear()

    def _forget(self, name: str) -> str | None:
        self._wanted.pop(name, None)
        return self._slot_ids.pop(name, None)
