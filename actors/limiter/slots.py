"""Slots that a host holds around code of its own; made by `Limiter.slot` and `Limiter.aslot`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, Self

import pykka

from limner.actors.system import (
    CallFuture,
    PooledRef,
    System,
    note_held,
    note_returned,
    within,
)
from limner.actors.system import context as here
from limner.messages.errors import SettingsInvalid, SlotRefused
from limner.messages.limiter.backpressure import verdict_of_error, verdict_of_value
from limner.messages.limiter.protocol import ReleaseSlot, SlotGranted
from limner.messages.limiter.refusal import Refusal

MICROSECONDS = 1_000_000


class ReturnSlot(NamedTuple):
    """edge → caller: a host holds a slot no more, or waits no more; ignored if it is over.

    Args:
        name: of the request.
        released: whether the edge has released the slot; else it did not know of the grant.
    """

    name: str
    released: bool


class Holding(Protocol):
    """Whoever holds a slot, and is told if it loses it."""

    def lose(self) -> None:
        """Record that the slot is lost."""
        ...


class Hold:
    """A slot of a lane, held by a host.

    Args:
        lane: of the slot.
        request: requests it; returns the future of the grant. It gets this.
        limiter: the actor that it is released to.
        caller: the actor that is granted it.
        system: that it runs on.
        timeout: seconds to wait for it at most; as long as it takes if `None`.

    Attributes:
        lane: of the slot.
    """

    def __init__(
        self,
        lane: str,
        request: Callable[[Holding], CallFuture[SlotGranted]],
        limiter: PooledRef[Any],
        caller: PooledRef[Any],
        system: System,
        timeout: float | None,
    ) -> None:
        self.lane = lane
        self._request = request
        self._limiter = limiter
        self._caller = caller
        self._system = system
        self._timeout = timeout
        self._future: CallFuture[SlotGranted] | None = None
        self._grant: SlotGranted | None = None
        self._lost = False

    @property
    def slot_id(self) -> str:
        """The id of the slot, as the event log has it."""
        return self._granted.slot_id

    @property
    def seconds_left(self) -> float:
        """How many seconds are left of the lease; 0 if the slot is lost."""
        left = (self._granted.expires_at - self._system.clock.now) / MICROSECONDS
        return 0.0 if self._lost else max(0.0, left)

    @property
    def expires_at(self) -> float:
        """When the lease ends, in seconds since 1970, as `time.time()` gives them."""
        return (self._system.clock.wall_start + self._granted.expires_at) / MICROSECONDS

    @property
    def expired(self) -> bool:
        """Whether the slot is lost: its lease has ended, or the studio closed before."""
        return not self.seconds_left

    @property
    def _granted(self) -> SlotGranted:
        if self._grant is None:
            raise SettingsInvalid("slot: it is not granted yet; use it in a `with` block")
        return self._grant

    def lose(self) -> None:
        """Record that the slot is lost."""
        self._lost = True

    def _begin(self) -> CallFuture[SlotGranted]:
        if self._future is not None:
            raise SettingsInvalid("slot: it is held once; call limiter.slot again for another")
        self._future = self._request(self)
        return self._future

    def _give_up(self, future: CallFuture[SlotGranted]) -> None:
        """Withdraw the request; a grant that has just come is returned."""
        if not future.cancel():
            self._return(None)

    def _too_late(self) -> SlotRefused:
        told = f"no slot of lane {self.lane!r} within {self._timeout:g} s"
        return SlotRefused(told, Refusal.MAX_WAIT, self.lane)

    def _return(self, error: BaseException | None) -> None:
        """Release the slot, with what an error tells about the back end."""
        clock, grant, future = self._system.clock, self._grant, self._future
        if grant is not None:
            wall = (clock.wall_start + clock.now) / MICROSECONDS
            verdict = (
                verdict_of_value(None, wall)
                if error is None
                else verdict_of_error(error, wall, own=True)
            )
            self._limiter.deliver(
                ReleaseSlot.trusted(slot_id=grant.slot_id, costs=None, **verdict._asdict())
            )
        if future is not None:
            self._caller.deliver(ReturnSlot(future.name, released=grant is not None))


class HeldSlot(Hold):
    """A slot that is held while a `with` block lasts; made by `Limiter.slot`."""

    def __enter__(self) -> Self:
        future = self._begin()
        try:
            self._grant = future.get(timeout=self._timeout)
        except pykka.Timeout:
            self._give_up(future)
            raise self._too_late() from None
        except BaseException:
            self._give_up(future)
            raise
        here.held = (*here.held, self)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        here.held = tuple(held for held in here.held if held is not self)
        self._return(error)


class AsyncHeldSlot(Hold):
    """A slot that is held while an `async with` block lasts; made by `Limiter.aslot`."""

    async def __aenter__(self) -> Self:
        future = self._begin()
        try:
            self._grant = await within(future, self._timeout)
        except TimeoutError:
            self._give_up(future)
            raise self._too_late() from None
        except BaseException:
            self._give_up(future)
            raise
        note_held(self, self._system)
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        note_returned(self)
        self._return(error)


def holds_here(system: System) -> bool:
    """Return whether the calling thread holds a slot of a system in a `with` block."""
    return any(held._system is system for held in here.held if isinstance(held, Hold))  # noqa: SLF001
