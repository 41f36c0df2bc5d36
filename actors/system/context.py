"""Which system and which actor the current thread works for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from limner.actors.system.actor import PooledActor
    from limner.actors.system.system import System


class _Context(threading.local):
    system: System | None = None
    outer: tuple[System | None, ...] = ()
    actor: PooledActor | None = None
    held: tuple[object, ...] = ()
    """What the thread holds that closing the system would wait for."""


context = _Context()
