"""The limiter in a scenario: its lanes, and the host calls that pass them."""

from typing import Annotated

from pydantic import AfterValidator, Field

from limner.messages.base import Value
from limner.messages.limiter.settings import Strategy
from limner.scripts.simulate.ranges import (
    Number,
    OneOrMore,
    Pause,
    Range,
    Rate,
    Seconds,
    Within,
    fixed,
    ranging,
)


class Lane(Value):
    """A lane of the limiter, and how it is changed while it runs."""

    max_concurrent: OneOrMore = ranging(1, 8)
    """Slots out at one time."""

    unlimited: Rate = fixed(0)
    """The share of seeds, or of changes, in which there may be any number of them."""

    adaptive: Rate = fixed(0)
    """The share of seeds in which that limit adapts, from 1 or 2 to four times as much."""

    budgeted: Rate = fixed(0)
    """The share of seeds in which it has budgets of requests and tokens."""

    min_time: Pause = fixed(0)
    """Seconds between two grants."""

    lease: Annotated[Range, AfterValidator(Within(0.1, 86_400))] = fixed(600)
    """Seconds that a slot may be held."""

    ageing: Seconds | None = fixed(60)
    """Seconds of waiting that lift a request by one priority."""

    preempt: Rate = fixed(0)
    """The share of seeds, or of changes, in which active requests take slots from others."""

    max_per_owner: OneOrMore | None = None
    """Slots that one owner holds at one time."""

    max_waiting_per_owner: Number | None = None
    """Requests of one owner that wait."""

    max_wait: Seconds | None = None
    """Seconds that a request waits before it is dropped."""

    high_water: Number | None = None
    """Requests that wait at most."""

    strategies: tuple[Strategy, ...] = Field(default=("leak",), min_length=1)
    """What happens to the requests past that."""

    reservoir: Number | None = None
    """The weight that may be granted until it is filled again."""

    filled_every: Seconds = ranging(1, 60)
    """Seconds between two refreshes of the reservoir, or two increases by a third of it."""

    adapt: Rate = fixed(1)
    """The share of seeds, or of changes, in which `retry_after` of a back end pauses the lane."""

    pause_maximum: Seconds = fixed(600)
    """Seconds of such a pause, at most."""

    circuit_failures: OneOrMore = fixed(10)
    """Failures in a row that open the circuit."""

    circuit_seconds: Seconds = fixed(30)
    """Seconds after which an open circuit lets one call through."""

    changed_every: Seconds | None = None
    """Seconds between two changes of all these, each within its range; never if not given."""

    paused: Rate = fixed(0)
    """Of changes: the lane is paused instead, and resumed in one half of them."""

    paused_for: Seconds = ranging(0.1, 10)
    """Seconds of a pause."""


class Calls(Value):
    """Host calls through the limiter, in any of its lanes."""

    every: Seconds | None = None
    """Seconds between two of them, on average; none if not given."""

    batched: Rate = fixed(0)
    """The share of them that are gathered into batches."""

    blocking: Rate = fixed(1)
    """The share that blocks; the others return at once."""

    weight: OneOrMore = fixed(1)
    """What they weigh."""

    cancelled: Rate = fixed(0)
    """The share that is cancelled after a while, if it has not begun."""

    held: Rate = fixed(0)
    """The share that are slots which the host holds itself."""

    retried: Rate = fixed(0)
    """The share that is made again after a failure, times out, or gives way."""

    settled: Rate = fixed(0)
    """The share that names what it takes of budgets, and mostly what it has cost."""

    timed: Rate = fixed(0)
    """The share that has a deadline."""
