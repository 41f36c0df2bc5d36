"""The simulated system: the same actors one at a time, in virtual time, repeated by a seed."""

from limner.actors.system.simulation.faults import Faults, InjectedFailure
from limner.actors.system.simulation.scheduler import SimulationStuck
from limner.actors.system.simulation.system import SimulatedSystem

__all__ = ["Faults", "InjectedFailure", "SimulatedSystem", "SimulationStuck"]
