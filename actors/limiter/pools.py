"""The pools of threads that calls and generations run on; each lane and group has its own."""

from __future__ import annotations

from collections.abc import Mapping

from limner.actors.system import System
from limner.messages.limiter.settings import MAX_THREADS, LaneSettings

OF_A_GROUP = 1_000_000
"""Threads of a group at most: the limits of its lanes bound them."""


def threads_of(settings: LaneSettings) -> int:
    """Return how many worker threads a lane has at most."""
    return min(settings.highest or MAX_THREADS, MAX_THREADS)


def open_pools(
    system: System,
    lanes: Mapping[str, LaneSettings],
    groups: Mapping[str, LaneSettings],
    suffix: str,
) -> dict[str, str]:
    """Open a pool of threads for each lane and each group; return its name by that of the lane.

    Args:
        system: that has the threads.
        lanes: by name.
        groups: by name.
        suffix: what sets the pools apart from those of others on the system.
    """
    pools = {name: f"{name}{suffix}" for name in (*lanes, *groups)}
    for name, pool in pools.items():
        system.workers.open_pool(pool, threads_of(lanes[name]) if name in lanes else OF_A_GROUP)
    return pools
