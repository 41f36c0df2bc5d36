"""Which slots were asked back for which requests, and what is kept free for those."""

from collections.abc import Iterable, Iterator

from limner.messages.holdings import Slot

BACKGROUND = 7
"""The first priority of those whose slots may be asked back."""


class Claims:
    """The requests for which slots were asked back.

    A request *asks* until all slots that were asked back for it are back; then it is *promised*
    that it goes first, in the order in which the slots came.
    """

    __slots__ = ("_asking", "promised")

    def __init__(self) -> None:
        self._asking: dict[str, None] = {}
        self.promised: list[str] = []

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._asking or request_id in self.promised

    def __iter__(self) -> Iterator[str]:
        yield from self._asking
        yield from self.promised

    def __bool__(self) -> bool:
        return bool(self._asking or self.promised)

    def ask(self, request_id: str) -> None:
        """Note that slots were asked back for a request."""
        self._asking[request_id] = None

    def returned(self, slot: Slot, out: Iterable[Slot]) -> None:
        """Promise a request that it goes first, if the last slot is back that was asked for it."""
        wanted = slot.revoked_for
        if (
            wanted is not None
            and wanted in self._asking
            and all(other.revoked_for != wanted for other in out)
        ):
            del self._asking[wanted]
            self.promised.append(wanted)

    def forget(self, request_id: str) -> None:
        """Wait no longer for a slot that was asked back: it is for whoever is next then."""
        self._asking.pop(request_id, None)
        if self.promised and request_id in self.promised:
            self.promised.remove(request_id)


def enough(weight: int, out: list[Slot]) -> list[Slot]:
    """Take slots from the end of a list until they weigh enough; none if all do not.

    Args:
        weight: what is needed; none for 0 or less.
        out: the slots that may be asked back, the newest last.
    """
    taken: list[Slot] = []
    while weight > 0 and out:
        taken.append(out.pop())
        weight -= taken[-1].request.weight
    return taken if weight <= 0 else []


def may_be_revoked(slot: Slot) -> bool:
    """Say whether a slot may be asked back."""
    request = slot.request
    return slot.revoked_for is None and request.revocable and request.priority >= BACKGROUND
