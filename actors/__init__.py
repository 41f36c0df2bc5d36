"""The studio and what belongs to it. Hosts write `from limner import Settings, Studio`."""

from pykka import Future

from limner.actors.generators.protocol import Cancelled
from limner.actors.limiter.handle import Batches, Limiter
from limner.actors.limiter.slots import AsyncHeldSlot, HeldSlot
from limner.actors.limiter.time_left import time_left
from limner.actors.session.stream import Stream
from limner.actors.studio.studio import Studio
from limner.actors.system import (
    ActorEnded,
    Call,
    CallFuture,
    CallReturned,
    Clock,
    Faults,
    PooledActor,
    PooledRef,
    RequestFuture,
    SimulatedSystem,
    SimulationStuck,
    System,
    Timer,
)
from limner.messages.limiter.budget import Budget
from limner.messages.limiter.settings import LaneSettings
from limner.messages.pictures import Placement
from limner.messages.settings import Settings
from limner.messages.tasks import Task

__all__ = [
    "ActorEnded",
    "AsyncHeldSlot",
    "Batches",
    "Budget",
    "Call",
    "CallFuture",
    "CallReturned",
    "Cancelled",
    "Clock",
    "Faults",
    "Future",
    "HeldSlot",
    "LaneSettings",
    "Limiter",
    "Placement",
    "PooledActor",
    "PooledRef",
    "RequestFuture",
    "Settings",
    "SimulatedSystem",
    "SimulationStuck",
    "Stream",
    "Studio",
    "System",
    "Task",
    "Timer",
    "time_left",
]
