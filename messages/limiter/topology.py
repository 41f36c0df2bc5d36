"""Which lane stands behind which."""

from collections.abc import Iterable, Iterator

from limner.messages.limiter.lane import Lane
from limner.messages.limiter.settings import LaneSettings


class Topology:
    """The lanes that there are, by name. It is mutable; a `LaneSet` owns it.

    Args:
        settings: of all lanes that there may be, for the names of those that others stand behind.
    """

    __slots__ = ("_upstream_names", "lanes")

    def __init__(self, settings: Iterable[LaneSettings]) -> None:
        self.lanes: dict[str, Lane] = {}
        self._upstream_names = {of_lane.behind for of_lane in settings}

    def is_upstream(self, name: str) -> bool:
        """Return whether lanes may stand behind this one."""
        return name in self._upstream_names

    def upstreams(self, lane: Lane) -> Iterator[Lane]:
        """Return the lanes that a lane stands behind, the nearest first."""
        while lane.settings.behind is not None:
            lane = self.lanes[lane.settings.behind]
            yield lane

    def downstreams(self, lane: Lane) -> list[Lane]:
        """Return the lanes that stand behind a lane, the nearest first."""
        if lane.name not in self._upstream_names:
            return []
        near = [other for other in self.lanes.values() if other.settings.behind == lane.name]
        return near + [far for other in near for far in self.downstreams(other)]

    def depth(self, lane: Lane) -> int:
        """Return how many lanes are upstream of a lane."""
        return sum(1 for _ in self.upstreams(lane))
