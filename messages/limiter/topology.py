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

    def add(self, settings: LaneSettings) -> None:
        """Know of one more lane that there may be."""
        self._upstream_names.add(settings.behind)

    def is_upstream(self, name: str) -> bool:
        """Return whether lanes may stand behind this one."""
        return name in self._upstream_names

    def upstreams(self, lane: Lane) -> Iterator[Lane]:
        """Return the lanes that a lane stands behind, the nearest first."""
        while lane.settings.behind is not None:
            lane = self.lanes[lane.settings.behind]
            yield lane

    def backing_off(self, lane: Lane, host: str | None) -> Lane:
        """Return the lane that has the back end of a lane's calls, as `backs_off` says.

        Args:
            lane: of the request.
            host: that answered, as `host` or `host:port`; `None` if that is not known.
        """
        rule = lane.settings.backs_off
        while rule == "upstream" and lane.settings.behind is not None:
            lane = self.lanes[lane.settings.behind]
            rule = lane.settings.backs_off
        found = lane
        if rule in ("own", "upstream") or (rule is None and host is None):
            return found
        for other in (lane, *self.upstreams(lane)):
            if rule == other.name or (rule is None and host is not None and _names(other, host)):
                found = other
        return found

    def downstreams(self, lane: Lane) -> list[Lane]:
        """Return the lanes that stand behind a lane, the nearest first."""
        if lane.name not in self._upstream_names:
            return []
        near = [other for other in self.lanes.values() if other.settings.behind == lane.name]
        return near + [far for other in near for far in self.downstreams(other)]

    def depth(self, lane: Lane) -> int:
        """Return how many lanes are upstream of a lane."""
        return sum(1 for _ in self.upstreams(lane))


def _names(lane: Lane, host: str) -> bool:
    """Return whether a lane's name, or its key in its group, is a host, with a port or not."""
    key = lane.name.partition(":")[2] or lane.name
    return host in (lane.name, key) or host.rpartition(":")[0] in (lane.name, key)
