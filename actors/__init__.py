"""Everything that acts. `from limner.actors import Settings, Studio` is the door."""

from limner.actors.session.stream import Stream
from limner.actors.studio.studio import Studio
from limner.actors.system import Faults, PooledActor, SimulatedSystem, SimulationStuck, System
from limner.messages.settings import Settings

__all__ = [
    "Faults",
    "PooledActor",
    "Settings",
    "SimulatedSystem",
    "SimulationStuck",
    "Stream",
    "Studio",
    "System",
]
