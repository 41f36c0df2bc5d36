"""The values of one run, which a seed has drawn from a scenario."""

from dataclasses import dataclass
from typing import Any, get_args

from limner.messages.limiter.adaptive import Adaptive
from limner.messages.limiter.budget import Budget, WindowKind
from limner.messages.limiter.settings import LaneSettings
from limner.messages.settings import Settings
from limner.scripts.simulate.draws import Draw, Draws, log_normal, whole
from limner.scripts.simulate.limits import Lane
from limner.scripts.simulate.ranges import Range
from limner.scripts.simulate.scenario import Latency, Scenario, rates

LOCKED = 100
"""How many times longer a call of a locked store takes."""

LATENESS = 10
"""Seconds that a late timer is late, at most."""

INNER = "host"
"""The back end's own lane, or the group of its lanes."""

KEYS = 3
"""How many lanes there are of a group."""

BUDGETS = ("requests", "tokens")
"""The names of the budgets that lanes may have."""

MAX_COST = 5
"""What a call takes of a budget at most."""


@dataclass(frozen=True)
class DrawnLatency:
    """How long the calls of one kind take in one run."""

    median: float
    spread: float
    tail: float
    tail_times: float

    def draw(self, draw: Draw) -> float:
        """Return the seconds of one call."""
        seconds = log_normal(draw, self.median, self.spread) if self.spread else self.median
        return seconds * self.tail_times if self.tail and draw() < self.tail else seconds


@dataclass(frozen=True)
class Parameters:
    """The values of one run.

    Args:
        scenario: what they were drawn from.
        every: seconds between two messages on average.
        rate: characters a second.
        chunk: the longest chunk, in characters.
        owners: how many there are.
        background: the share of messages that nobody waits for.
        anew: the share of messages that are an earlier one once more.
        generation: how long the calls of the generator take.
        store: how long those of the store take.
        lanes: the settings of the lanes and lane groups at the beginning.
        pictures: the lane that pictures are made in.
        settings: those of the studio, but for its event log.
        revised: the share of messages that are revised.
        faults: the rate of each fault.
    """

    scenario: Scenario
    every: float
    rate: float
    chunk: int
    owners: int
    background: float
    anew: float
    generation: DrawnLatency
    store: DrawnLatency
    lanes: dict[str, LaneSettings]
    pictures: str
    settings: Settings
    revised: float
    faults: dict[str, float]

    @property
    def faultless(self) -> bool:
        """Whether nothing can go wrong."""
        return not any(self.faults.values()) and self.scenario.controls.every is None

    @property
    def lane_names(self) -> tuple[str, ...]:
        """The lanes that there are, or may be."""
        keys = [f"{INNER}:{key}" for key in range(KEYS)] if self.settings.lane_groups else []
        return (*self.settings.lanes, *keys)


def draw_parameters(scenario: Scenario, draws: Draws) -> Parameters:
    """Draw the values of one run."""
    draw = draws("parameters")
    texts, people, patience = scenario.texts, scenario.people, scenario.patience
    revisions, revising = scenario.revisions, draws("revisions")
    lanes = {"image": draw_lane(scenario.lane, scenario, draw)}
    pictures, is_grouped, inner = "image", False, draws("inner")
    at_once, per_message = scenario.max_per_message, draws("per message")
    if per_message() < scenario.left_out:
        at_once = None
    if scenario.inner is not None and inner() >= scenario.left_out:
        lanes[INNER] = draw_lane(scenario.inner, scenario, inner, behind="image")
        is_grouped = inner() < scenario.grouped.draw(inner)
        pictures = f"{INNER}:{int(inner() * KEYS)}" if is_grouped else INNER
    adapts = draws("adaptive")
    for name, of in ((name, scenario.inner if name == INNER else scenario.lane) for name in lanes):
        if of is not None and adapts() < of.adaptive.draw(adapts):
            lanes[name] = adapting(lanes[name])
    spends = draws("budgets")
    for name, of in ((name, scenario.inner if name == INNER else scenario.lane) for name in lanes):
        if of is not None and spends() < of.budgeted.draw(spends):
            lanes[name] = lanes[name].but(budgets=draw_budgets(spends))
    return Parameters(
        scenario=scenario,
        every=scenario.arrivals.every.draw(draw),
        rate=texts.rate.draw(draw),
        chunk=texts.chunk.draw_whole(draw),
        owners=people.owners.draw_whole(draw),
        background=people.background.draw(draw),
        anew=texts.anew.draw(draw),
        generation=_latency(scenario.generation, draw),
        store=_latency(scenario.store, draw),
        lanes=lanes,
        pictures=pictures,
        settings=Settings(
            lanes={"image": lanes["image"]} if is_grouped else lanes,
            lane_groups={INNER: lanes[INNER]} if is_grouped else {},
            pattern_timeout=None,
            deadline=patience.deadline.draw(draw),
            write_at_deadline=draw() < patience.write_at_deadline.draw(draw),
            idle_timeout=_optional(patience.idle_timeout, draw),
            generation_timeout=patience.generation_timeout.draw(draw),
            store_timeout=patience.store_timeout.draw(draw),
            grace=patience.grace.draw(draw),
            attempts=patience.attempts.draw_whole(draw),
            backoff=patience.backoff.draw(draw),
            settle_after=revisions.settle_after.draw(revising),
            reconcile_after=revisions.reconcile_after.draw(revising)
            if revising() < revisions.reconciled.draw(revising)
            else None,
            placeholders=revising() < revisions.placeholders.draw(revising),
            max_per_message=None if at_once is None else at_once.draw_whole(per_message),
        ),
        revised=revisions.share.draw(revising),
        faults={
            name: 0 if draw() < scenario.left_out else rate.draw(draw)
            for name, rate in rates(scenario.faults).items()
        },
    )


def adapting(settings: LaneSettings) -> LaneSettings:
    """Return settings with a limit that adapts, if they have one: at first to twice as much."""
    most = settings.highest
    if most is None:
        return settings
    rule = Adaptive(minimum=min(most, 2), start=2 * most + 2, maximum=4 * most + 4)
    return LaneSettings(**{**settings.model_dump(), "max_concurrent": rule})


def draw_budgets(draw: Draw) -> dict[str, Budget]:
    """Draw budgets of a lane: of requests, of tokens, or both."""
    kinds: tuple[WindowKind, ...] = get_args(WindowKind)
    names = [name for name in BUDGETS if draw() < 0.7] or [BUDGETS[0]]
    return {
        name: Budget(
            whole(draw, MAX_COST, 30),
            per=1 + 20 * draw(),
            window=kinds[int(draw() * len(kinds))],
            each="owner" if draw() < 0.3 else "lane",
            default=1,
        )
        for name in names
    }


def draw_lane(
    lane: Lane, scenario: Scenario, draw: Draw, *, behind: str | None = None
) -> LaneSettings:
    """Draw settings of a lane; in some seeds a limit of the scenario is left out."""

    def limit(given: Range | None) -> Range | None:
        return None if given is None or draw() < scenario.left_out else given

    reservoir = limit(lane.reservoir)
    values: dict[str, Any] = {}
    if reservoir is not None:
        kind = "refresh" if draw() < 0.5 else "increase"
        amount = max(1, reservoir.draw_whole(draw))
        values["reservoir"] = amount
        values[f"reservoir_{kind}_amount"] = amount if kind == "refresh" else -(-amount // 3)
        values[f"reservoir_{kind}_interval"] = lane.filled_every.draw(draw)
        if kind == "increase":
            values["reservoir_increase_maximum"] = amount
    for name in ("max_per_owner", "max_waiting_per_owner", "high_water"):
        if (given := limit(getattr(lane, name))) is not None:
            values[name] = given.draw_whole(draw)
    for name in ("max_wait", "ageing"):
        given = limit(getattr(lane, name))
        values[name] = None if given is None else given.draw(draw)
    most = lane.max_concurrent.draw_whole(draw)
    return LaneSettings(
        max_concurrent=None if draw() < lane.unlimited.draw(draw) else most,
        min_time=lane.min_time.draw(draw),
        lease=lane.lease.draw(draw),
        grace=scenario.patience.grace.draw(draw),
        preempt=draw() < lane.preempt.draw(draw),
        strategy=lane.strategies[int(draw() * len(lane.strategies))],
        adapt=draw() < lane.adapt.draw(draw),
        pause_maximum=lane.pause_maximum.draw(draw),
        circuit_failures=lane.circuit_failures.draw_whole(draw),
        circuit_seconds=lane.circuit_seconds.draw(draw),
        behind=behind,
        **values,
    )


def _latency(latency: Latency, draw: Draw) -> DrawnLatency:
    spread = latency.spread.draw(draw)
    return DrawnLatency(
        median=latency.median.draw(draw),
        spread=0 if latency.kind == "constant" else spread,
        tail=latency.tail.draw(draw),
        tail_times=latency.tail_times.draw(draw),
    )


def _optional(given: Range | None, draw: Draw) -> float | None:
    return None if given is None else given.draw(draw)
