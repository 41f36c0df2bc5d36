"""The traffic of a studio: the hosts that arrive, host calls, and operators."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from limner.actors import PooledActor
from limner.actors.system import ActorEnded, PooledRef
from limner.scripts.simulate.calls import CallingActor
from limner.scripts.simulate.controlling import ControllingActor
from limner.scripts.simulate.hosts import HostActor
from limner.scripts.simulate.operator import OperatorActor
from limner.scripts.simulate.parameters import INNER
from limner.scripts.simulate.plans import Plan, plan_message, seconds_to_next

if TYPE_CHECKING:
    from limner.scripts.simulate.world import World

REMEMBERED = 50
"""Messages that stay in the store after their end, to be streamed again."""


class Moment(Enum):
    """The messages to the traffic."""

    ARRIVAL = 0


class TrafficActor(PooledActor):
    """Starts hosts, the host calls and the operators. Started by the run."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.arrived = 0
        self.hosts: dict[Any, str] = {}
        self.others: set[PooledRef[Any]] = set()
        self.remembered: dict[str, str] = {}
        self.owners: dict[str, str | None] = {}
        self.draw = world.draws("traffic")

    def on_start(self) -> None:
        """Start the host calls and the operators, and schedule the first arrival."""
        self.actor_ref.tell(Moment.ARRIVAL)
        world = self.world
        scenario = world.params.scenario
        self.others = {
            CallingActor.start(world),
            OperatorActor.start(world, "image", scenario.lane),
        }
        if scenario.inner is not None and INNER in world.params.lanes:
            self.others.add(OperatorActor.start(world, INNER, scenario.inner))
        if scenario.controls.every is not None:
            self.others.add(ControllingActor.start(world))

    def on_receive(self, message: object) -> Any:
        """Start the hosts that arrive, and count those that end."""
        match message:
            case Moment.ARRIVAL:
                self.arrive()
            case ActorEnded():
                self.left(message)
            case _:
                return super().on_receive(message)
        return None

    def arrive(self) -> None:
        """Start the hosts that arrive now, and schedule the next arrival."""
        world = self.world
        now = self.system.clock.now / 1_000_000
        seconds, number = seconds_to_next(now, world.params, self.draw)
        for _ in range(min(number, world.params.scenario.messages - self.arrived)):
            self.arrived += 1
            plan = plan_message(
                self.arrived, tuple(self.remembered.items()), world.params, self.draw
            )
            twice = self.draw() < world.params.faults["host_opens_twice"]
            for _ in range(1 + twice):
                self.begin(plan)
        if self.arrived < world.params.scenario.messages:
            self.system.clock.after(seconds, self.actor_ref, Moment.ARRIVAL)
        else:
            world.arriving = False

    def begin(self, plan: Plan) -> None:
        """Start a host."""
        if plan.message_id in self.hosts.values() or plan.message_id in self.world.uncertain:
            self.world.crowded.add(plan.message_id)
        if self.world.params.faultless:  # else a message may be opened for another owner as well
            plan = replace(plan, owner=self.owners.setdefault(plan.message_id, plan.owner))
        self.world.store.loaded.discard(plan.message_id)
        self.remembered[plan.message_id] = plan.text
        self.world.recent.append(plan.message_id)
        self.hosts[HostActor.start(self.world, plan)] = plan.message_id

    def left(self, ended: ActorEnded) -> None:
        """Count a host that has ended; the run is over with the last one."""
        world = self.world
        is_host = self.hosts.pop(ended.ref, None) is not None
        if (is_host or ended.ref in self.others) and ended.reason is not None:
            world.problems.append(f"a host failed: {ended.reason!r}")
        if not is_host:
            return  # the root of a studio that a host had opened
        world.left += 1
        if len(self.remembered) > REMEMBERED:
            live = set(self.hosts.values())
            for message_id in [name for name in self.remembered if name not in live][:REMEMBERED]:
                if len(self.remembered) > REMEMBERED:
                    del self.remembered[message_id]
                    self.owners.pop(message_id, None)
                    world.crowded.discard(message_id)
                    world.uncertain.discard(message_id)
                    world.store.loaded.discard(message_id)
                    world.store.inner.delete(message_id)
        if not self.hosts and self.arrived == world.params.scenario.messages:
            world.over.set()
