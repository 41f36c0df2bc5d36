"""The settings of a lane, each field with its unit and bounds."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from limner.messages.base import Value
from limner.messages.errors import SettingsInvalid
from limner.messages.limiter.adaptive import Adaptive
from limner.messages.limiter.budget import Budget, BudgetName
from limner.messages.validation import describe

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


Strategy = Literal["leak", "overflow_priority", "overflow", "block"]


MAX_WEIGHT = 1_000_000_000
"""The weight that a reservoir has at most."""


Weight = Annotated[int, Field(ge=0, le=MAX_WEIGHT)]


Patience = Annotated[int | None, Field(ge=1, le=1_000_000)]


MAX_THREADS = 1_000
"""Slots of one lane whose calls need a worker thread of their own, at one time."""


LaneName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


def _adaptive(given: object) -> object:
    """Return what a setting means: the word `adaptive` is a rule with the defaults."""
    return Adaptive() if isinstance(given, str) and given == "adaptive" else given


def _kind_of(given: object) -> str:
    return "(a table)" if isinstance(given, Adaptive | dict) else "(a number)"


Concurrency = Annotated[
    Annotated[Annotated[int, Field(ge=1, le=1_000_000)] | None, Tag("(a number)")]
    | Annotated[Adaptive, Tag("(a table)")],
    Discriminator(_kind_of),
    BeforeValidator(_adaptive),
]


class LaneSettings(Value):
    """How the limiter grants the slots of one lane."""

    max_concurrent: Concurrency = 3
    """The summed weight of slots out at one time; `None` is no limit.

    `adaptive` follows what the back end can bear, by the rule of `Adaptive`: pass one for other
    bounds, or a table of its fields.

    At most 1,000 of them are for calls that need a thread of their own; coroutines and calls that
    do not block need none. The next such request waits until a thread is free, and those behind it.
    """

    min_time: float = Field(default=0, ge=0, le=3_600, allow_inf_nan=False)
    """Seconds between two grants."""

    reservoir: Weight | None = None
    """The weight that may still be granted; `None` is no limit. Each grant takes its own off it."""

    reservoir_refresh_amount: Weight | None = None
    """What the reservoir is set to at each refresh."""

    reservoir_refresh_interval: Seconds | None = None
    """Seconds between two refreshes."""

    reservoir_increase_amount: Weight | None = None
    """What is added to the reservoir at each increase."""

    reservoir_increase_interval: Seconds | None = None
    """Seconds between two increases."""

    reservoir_increase_maximum: Weight | None = None
    """What an increase fills the reservoir up to at most; `None` is no limit."""

    budgets: dict[BudgetName, Budget] = Field(default={}, max_length=16)
    """How much may be granted in spans of time: of `requests`, `tokens`, or any other name.

    A slot is granted once each budget has what its request takes of it, and then takes all of that
    in one step. A request takes 1 of a budget named `requests` and 0 of any other, unless it names
    its costs or the budget has a `default`. Up to 16 budgets.
    """

    high_water: int | None = Field(default=None, ge=0, le=10_000_000)
    """Waiting requests at most; `None` is no limit. `strategy` says which is dropped past it.

    In a lane that others stand behind, this, `max_waiting_per_owner` and `max_wait` hold for all
    requests that wait for it, those of the lanes behind it included.
    """

    strategy: Strategy = "leak"
    """Which request is dropped when one more than `high_water` waits.

    `leak`: the least important of all, the new one included: of those of the lowest priority, the
    oldest. If that is for a picture of a message, the last of that message's requests with that
    priority goes, so that a long message loses pictures from its end. `overflow_priority`: the
    same, if its priority is lower than that of the new one; else the new one. `overflow`: the new
    one. `block`: all that wait; then each request is refused until none has come for `penalty`
    seconds. A request whose slot was revoked is not dropped for coming again, nor is another.
    """

    penalty: Seconds | None = None
    """Seconds of the strategy `block`; 15 times `min_time` by default, or 5 if that is 0."""

    max_per_owner: int | None = Field(default=None, ge=1, le=1_000_000)
    """Slots that one owner holds at one time; requests without an owner are not counted."""

    max_waiting_per_owner: int | None = Field(default=None, ge=0, le=10_000_000)
    """Requests of one owner that wait; one more is refused."""

    max_wait: Seconds | None = None
    """Seconds that a request may wait before it is dropped."""

    lease: float = Field(default=600, ge=0.1, le=86_400, allow_inf_nan=False)
    """Seconds that a slot may be held before it expires."""

    grace: Seconds = 5
    """Seconds that a holder has to return a revoked slot before it expires."""

    preempt: bool = False
    """Whether an `active` request may take a slot from a `background` one."""

    ageing: Seconds | None = 60
    """Seconds as the next request of its owner that lift a request by one priority.

    `None` gives up the promise that none starves: one waits for as long as better ones come.
    """

    adapt: bool = True
    """Whether the lane pauses when its back end asks for that, or when it fails again and again."""

    pause_maximum: Seconds = 600
    """Seconds that a back end may ask for at most."""

    circuit_failures: int = Field(default=10, ge=1, le=1_000_000)
    """Failures in a row after which nothing is granted for a while: the circuit is open."""

    circuit_seconds: Seconds = 30
    """Seconds after which an open circuit lets one call go, as a probe."""

    circuit_patience: Patience = 2
    """Probes in a row that fail before the requests that wait are dropped; `None` is no limit."""

    backs_off: LaneName | None = None
    """Which lane of a chain has the back end, and so pauses when it asks for that.

    `own`, `upstream` (the next one, whose own `backs_off` then counts), or the name of a lane.

    That lane's circuit breaker, adaptive limit and budgets hear how the call ended, too. By default
    it is the outermost lane whose name or key is the host that answered, as `host:10.0.0.7` is, and
    the request's own if there is none.
    """

    behind: LaneName | None = None
    """The lane whose slot a request must have too; the same for all the life of a lane."""

    @property
    def adaptive(self) -> Adaptive | None:
        """The rule of an adaptive limit; `None` if the limit is fixed, or there is none."""
        return self.max_concurrent if isinstance(self.max_concurrent, Adaptive) else None

    @property
    def highest(self) -> int | None:
        """The summed weight of slots that may ever be out at one time; `None` is no limit."""
        most = self.max_concurrent
        return most.maximum if isinstance(most, Adaptive) else most

    @property
    def heaviest(self) -> int | None:
        """The weight of a request at most, so that the limit allows it at any time."""
        most = self.max_concurrent
        return most.minimum if isinstance(most, Adaptive) else most

    if not TYPE_CHECKING:  # where the fields are the arguments, and an unknown one is an error

        def __init__(self, *given: object, **values: Any) -> None:
            if given:
                raise SettingsInvalid("settings are given by name, as in LaneSettings(min_time=1)")
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise SettingsInvalid(describe(error, LaneSettings)) from error

    def __hash__(self) -> int:
        return hash(tuple(value for name, value in self if name != "budgets"))

    def as_fields(self) -> dict[str, Any]:
        """Return the settings as events have them: without `budgets` if there are none."""
        return self.model_dump(exclude=None if self.budgets else {"budgets"})

    @model_validator(mode="after")
    def _reservoir_is_whole(self) -> Self:
        for kind in ("refresh", "increase"):
            amount = getattr(self, f"reservoir_{kind}_amount")
            interval = getattr(self, f"reservoir_{kind}_interval")
            if (amount is None) != (interval is None):
                raise ValueError(f"reservoir_{kind}_amount and _interval go together")
            if amount is not None and self.reservoir is None:
                raise ValueError(f"reservoir_{kind}_amount needs a reservoir")
        if self.reservoir_increase_maximum is not None and self.reservoir_increase_amount is None:
            raise ValueError("reservoir_increase_maximum needs a reservoir_increase_amount")
        return self
