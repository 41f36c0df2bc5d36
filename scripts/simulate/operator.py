"""An operator, who changes the settings of lanes while messages arrive."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from limner.actors import PooledActor
from limner.messages.errors import StudioClosed
from limner.scripts.simulate.draws import whole
from limner.scripts.simulate.parameters import INNER, MAX_COST, adapting, draw_lane

if TYPE_CHECKING:
    from limner.messages.limiter.budget import Budget
    from limner.scripts.simulate.limits import Lane
    from limner.scripts.simulate.world import World


class Due(NamedTuple):
    """It is time for the next change."""


class Resume(NamedTuple):
    """It is time to resume a lane."""

    lane: str


class OperatorActor(PooledActor):
    """Changes and pauses a lane, or those of a group, while messages arrive.

    Started by the traffic.

    Args:
        world: shared by all hosts.
        name: of the lane or the group.
        ranges: of its settings.
    """

    def __init__(self, world: World, name: str, ranges: Lane) -> None:
        super().__init__()
        self.world = world
        self.name = name
        self.ranges = ranges
        self.draw = world.draws(f"lane {name}")
        self.draw_budgets = world.draws(f"budgets {name}")

    def on_start(self) -> None:
        """Schedule the first change."""
        self.schedule_next()

    def on_receive(self, message: object) -> Any:
        """Change a lane, or resume one."""
        match message:
            case Due():
                with suppress(StudioClosed):
                    self.change()
                self.schedule_next()
            case Resume():
                with suppress(StudioClosed):
                    self.world.studio.limiter.resume(message.lane)
            case _:
                return super().on_receive(message)
        return None

    def schedule_next(self) -> None:
        """Schedule the next change, unless no more messages arrive."""
        every = self.ranges.changed_every
        if every is not None and self.world.arriving:
            self.system.clock.after(every.draw(self.draw), self.actor_ref, Due())

    def change(self) -> None:
        """Change the settings of a lane or its group, or pause a lane."""
        draw, limiter, params = self.draw, self.world.studio.limiter, self.world.params
        names = [name for name in params.lane_names if name.startswith(self.name)]
        name = names[int(draw() * len(names))]
        if draw() < self.ranges.paused.draw(draw):
            seconds = self.ranges.paused_for.draw(draw)
            if draw() < 0.5:
                limiter.pause(name, seconds=seconds)
            else:
                limiter.pause(name)
                self.system.clock.after(seconds, self.actor_ref, Resume(name))
            return
        behind = "image" if self.name == INNER else None
        settings = draw_lane(self.ranges, params.scenario, draw, behind=behind)
        if params.lanes[self.name].adaptive is not None:
            settings = adapting(settings)
        settings = settings.but(budgets=self.budgets())
        of_all = draw() < 0.5  # of the group, if it is one
        limiter.update(self.name if of_all else name, **settings.model_dump())

    def budgets(self) -> dict[str, Budget]:
        """Return budgets of the same names, of which some have other amounts."""
        draw = self.draw_budgets
        return {
            name: budget.but(amount=whole(draw, MAX_COST, 30)) if draw() < 0.3 else budget
            for name, budget in self.world.params.lanes[self.name].budgets.items()
        }
