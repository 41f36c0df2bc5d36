"""Which requests wait and which slots are out, by the session that they belong to."""

from limner.messages.limiter.lane import Lane
from limner.messages.limiter.protocol import RequestSlot


class Holders:
    """The `lanes` of requests and slots, by their ids. It is mutable; a `LaneChain` owns it.

    An offer and its slot are not in it: no session knows those.
    """

    __slots__ = ("_by_session", "lanes")

    def __init__(self) -> None:
        self.lanes: dict[str, Lane] = {}
        self._by_session: dict[str | None, dict[str, None]] = {}

    def __len__(self) -> int:
        return len(self.lanes)

    def names_of(self, session_id: str | None) -> tuple[str, ...]:
        """Return the ids of a session's requests and slots; for `None`, of hosts' own calls."""
        return tuple(self._by_session.get(session_id, ()))

    def add(self, name: str, request: RequestSlot, lane: Lane) -> None:
        """Add a request, or a slot of it, by its id."""
        self.lanes[name] = lane
        names = self._by_session.get(request.session_id)
        if names is None:
            names = self._by_session[request.session_id] = {}
        names[name] = None

    def remove(self, name: str, request: RequestSlot) -> None:
        """Remove a request, or a slot of it, by its id."""
        del self.lanes[name]
        names = self._by_session[request.session_id]
        del names[name]
        if not names:
            del self._by_session[request.session_id]

    def replace(self, request_id: str, slot_id: str, request: RequestSlot, lane: Lane) -> None:
        """Replace a request by the slot that it was granted."""
        del self.lanes[request_id]
        self.lanes[slot_id] = lane
        names = self._by_session[request.session_id]
        del names[request_id]
        names[slot_id] = None
