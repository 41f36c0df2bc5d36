"""A budget: how much a lane may grant in a span of time, of requests, tokens or money."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from limner.messages.base import Value
from limner.messages.errors import SettingsInvalid
from limner.messages.validation import describe

MICROSECONDS = 1_000_000

MAX_UNITS = 1_000_000_000_000
"""The amount of a budget, or the cost of a call, at most."""

PERIODS = {"minute": 60, "hour": 3_600, "day": 86_400}
"""The seconds of the spans of time that have a name."""

Units = Annotated[int, Field(ge=0, le=MAX_UNITS)]

BudgetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]

SHORTEST, LONGEST = 0.001, 31 * 86_400
"""The seconds of a span of time, at least and at most."""

Period = (
    Literal["minute", "hour", "day"]
    | Annotated[float, Field(ge=SHORTEST, le=LONGEST, allow_inf_nan=False)]
)

WindowKind = Literal["refilling", "fixed", "sliding"]


class Budget(Value):
    """How much a lane may grant in a span of time, as in `Budget(90_000, per="minute")`.

    The amount is in whole units: requests, tokens, cents. Money that is counted in parts of a cent
    takes a smaller unit.
    """

    amount: int = Field(ge=1, le=MAX_UNITS)
    """The units that may be granted in a span of time, 1 to 1,000,000,000,000."""

    per: Period = 60.0
    """The span of time: `minute`, `hour`, `day`, or seconds from 0.001 to 31 days."""

    window: WindowKind = "refilling"
    """How the span of time moves.

    `refilling`: a token bucket, as most providers document it. It is full at first and refills all
    the time, at `amount` in `per`. After a rest the whole amount may go at once, while it refills:
    in a span of time that begins there, up to twice the amount is granted.

    `fixed`: spans that follow each other from when the budget was put in force; each begins with
    the whole amount. Across the edge between two of them, up to twice the amount may be granted in
    less than one span.

    `sliding`: in no span of that length, wherever it begins, more than the amount is granted. What
    is granted within a 64th of the span may return together, with the last of it.
    """

    each: Literal["lane", "owner"] = "lane"
    """Whether the amount is for the whole lane, or for each owner.

    An owner that has spent its own is passed over, and others are granted slots meanwhile. Requests
    without an owner are not counted.
    """

    default: Units | None = None
    """What a request takes that names no cost; by default 1 of `requests`, 0 of any other."""

    if not TYPE_CHECKING:  # where the fields are the arguments

        def __init__(self, *given: object, **values: Any) -> None:
            if len(given) > 1 or (given and "amount" in values):
                raise SettingsInvalid(
                    "a budget is an amount, and the rest by name, as in Budget(60, per='minute')"
                )
            if given:
                values["amount"] = given[0]
            for name in ("amount", "default"):
                if isinstance(values.get(name), bool | float):
                    raise SettingsInvalid(f"{name}: a whole number, not {values[name]!r:.80}")
            per = values.get("per", 60)
            known = isinstance(per, str) and per in PERIODS
            if not known and not (_is_number(per) and SHORTEST <= per <= LONGEST):
                raise SettingsInvalid(
                    f"per: minute, hour, day, or {SHORTEST} to {LONGEST:,} seconds, not {per!r:.80}"
                )
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise SettingsInvalid(describe(error, Budget)) from error

    else:

        def __init__(
            self,
            amount: int,
            *,
            per: float | Literal["minute", "hour", "day"] = 60,
            window: WindowKind = "refilling",
            each: Literal["lane", "owner"] = "lane",
            default: int | None = None,
        ) -> None: ...

    @property
    def micros(self) -> int:
        """The span of time in microseconds."""
        seconds = PERIODS[self.per] if isinstance(self.per, str) else self.per
        return round(seconds * MICROSECONDS)

    def cost(self, name: str) -> int:
        """Return what a request takes that names no cost.

        Args:
            name: of the budget.
        """
        return int(name == "requests") if self.default is None else self.default


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)
