"""The studio and what belongs to it. Hosts write `from limner.actors import Settings, Studio`."""

from limner.actors.limiter.handle import Batches, Limiter
from limner.actors.session.stream import Stream
from limner.actors.studio.studio import Studio
from limner.actors.system import (
    ActorEnded,
    Call,
    CallReturned,
    Clock,
    Faults,
    PooledActor,
    PooledRef,
    SimulatedSystem,
    SimulationStuck,
    System,
    Timer,
)
from limner.messages.settings import Settings

__all__ = [
    "ActorEnded",
    "Batches",
    "Call",
    "CallReturned",
    "Clock",
    "Faults",
    "Limiter",
    "PooledActor",
    "PooledRef",
    "Settings",
    "SimulatedSystem",
    "SimulationStuck",
    "Stream",
    "Studio",
    "System",
    "Timer",
]
