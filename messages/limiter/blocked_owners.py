"""Which owners are blocked in lanes, since they hold all they may in a lane upstream."""


class BlockedOwners:
    """Owners by the lanes in which they are next, or blocked. It is mutable; a `LaneChain` owns it.

    Attributes:
        by_upstream: the lanes in which owners are blocked; by the lane upstream in which they are
            at their limit, and by owner.
    """

    __slots__ = ("_lanes_of", "_next", "by_upstream")

    def __init__(self) -> None:
        self._next: dict[str, str] = {}  # whose request is next in a lane
        self._lanes_of: dict[str, dict[str, None]] = {}  # the same, by owner
        self.by_upstream: dict[str, dict[str, dict[str, None]]] = {}

    def __len__(self) -> int:
        return len(self._next) + len(self._lanes_of) + len(self.by_upstream)

    def set_next(self, lane: str, owner: str | None) -> None:
        """Record whose request is next in a lane; `None` for nobody's."""
        before = self._next.pop(lane, None)
        if before is not None:
            lanes = self._lanes_of[before]
            del lanes[lane]
            if not lanes:
                del self._lanes_of[before]
        if owner is not None:
            self._next[lane] = owner
            self._lanes_of.setdefault(owner, {})[lane] = None

    def lanes_of(self, owner: str) -> tuple[str, ...]:
        """Return the lanes in which an owner's request is next."""
        return tuple(self._lanes_of.get(owner, ()))

    def block(self, lane: str, owner: str, upstream: str) -> None:
        """Record that an owner is blocked in a lane, since it is at its limit in one upstream."""
        self.by_upstream.setdefault(upstream, {}).setdefault(owner, {})[lane] = None

    def unblock(self, owner: str, upstream: str) -> tuple[str, ...]:
        """Return the lanes in which an owner was blocked for this one, and is no more."""
        owners = self.by_upstream.get(upstream)
        if owners is None:
            return ()
        lanes = owners.pop(owner, {})
        if not owners:
            del self.by_upstream[upstream]
        return tuple(lanes)

    def remove(self, lane: str, owner: str, upstream: str) -> None:
        """Forget that an owner was blocked in a lane for this one upstream, if it was."""
        owners = self.by_upstream.get(upstream, {})
        lanes = owners.get(owner)
        if lanes is None:
            return
        lanes.pop(lane, None)
        if not lanes:
            del owners[owner]
            if not owners:
                del self.by_upstream[upstream]
