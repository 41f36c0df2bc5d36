"""What actors run on, and nothing about illustration: Pykka's contract, on shared threads."""

from concurrent.futures import Future as ConcurrentFuture

from limner.actors.system.actor import PooledActor
from limner.actors.system.awaiting import within
from limner.actors.system.call_future import CallFuture
from limner.actors.system.clock import Clock, Timer
from limner.actors.system.concurrent_future import concurrent
from limner.actors.system.context import context
from limner.actors.system.future import PooledFuture, RequestFuture, TakeBack
from limner.actors.system.gate import Gate, Gates
from limner.actors.system.loop_calls import (
    Loop,
    in_thread,
    loop_of,
    note_held,
    note_returned,
    runs_calls_here,
)
from limner.actors.system.outlet import Outlet, close_all
from limner.actors.system.reference import PooledRef
from limner.actors.system.simulation import (
    Faults,
    InjectedFailure,
    SimulatedSystem,
    SimulationStuck,
)
from limner.actors.system.supervision import ActorEnded
from limner.actors.system.system import System, current_system
from limner.actors.system.workers import Call, CallReturned

__all__ = [
    "ActorEnded",
    "Call",
    "CallFuture",
    "CallReturned",
    "Clock",
    "ConcurrentFuture",
    "Faults",
    "Gate",
    "Gates",
    "InjectedFailure",
    "Loop",
    "Outlet",
    "PooledActor",
    "PooledFuture",
    "PooledRef",
    "RequestFuture",
    "SimulatedSystem",
    "SimulationStuck",
    "System",
    "TakeBack",
    "Timer",
    "close_all",
    "concurrent",
    "context",
    "current_system",
    "in_thread",
    "loop_of",
    "note_held",
    "note_returned",
    "runs_calls_here",
    "within",
]
