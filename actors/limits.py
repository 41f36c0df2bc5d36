"""The limiter as a host sees it."""

from __future__ import annotations

from typing import Any

from limner.actors.system import PooledRef, System
from limner.messages.errors import SettingsInvalid, StudioClosed
from limner.messages.settings import LaneSettings
from limner.messages.slots import UpdateLane

MAX_THREADS = 256
"""Worker threads of a lane that has no limit of its own."""


def threads_of(settings: LaneSettings) -> int:
    """Give how many calls of a lane run at one time at most."""
    return min(settings.max_concurrent or MAX_THREADS, MAX_THREADS)


class Limiter:
    """A studio's limiter. Safe to use from any thread.

    Args:
        ref: the actor.
        system: what it runs on.
        lanes: the settings in force, by the lane's name.
        workers: the name of the worker threads of each lane.
    """

    def __init__(
        self,
        ref: PooledRef[Any],
        system: System,
        lanes: dict[str, LaneSettings],
        workers: dict[str, str],
    ) -> None:
        self.ref = ref
        self._system = system
        self._lanes = lanes
        self._workers = workers
        self._lock = system.lock()

    def update(self, lane: str = "image", **changes: Any) -> LaneSettings:
        """Change settings of a lane while it runs; they hold from the next grant on.

        Slots that are out stay out: with a lower `max_concurrent` the lane grants again once
        enough of them are back.

        Args:
            lane: which lane.
            changes: any fields of `LaneSettings`; the others stay as they are.

        Returns:
            The settings in force now.

        Raises:
            SettingsInvalid: if there is no such lane or setting, or a value is out of bounds.
            StudioClosed: if the studio is closed.
        """
        with self._lock:
            if lane not in self._lanes:
                raise SettingsInvalid(
                    f"there is no lane {lane!r}, only {', '.join(map(repr, self._lanes))}"
                )
            settings = LaneSettings(**{**self._lanes[lane].model_dump(), **changes})
            if not self.ref.is_alive():
                raise StudioClosed("the studio is closed; its lanes cannot be changed")
            self._system.workers.open_lane(self._workers[lane], threads_of(settings))
            self._lanes[lane] = settings
            self.ref.deliver(UpdateLane(lane=lane, settings=settings))
        return settings
