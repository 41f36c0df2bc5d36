"""What a studio can be told: one validated model, each field with its unit and bounds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from limner.messages.base import Value
from limner.messages.errors import SettingsInvalid
from limner.messages.notation import Markup, Notation
from limner.messages.patterns import DEFAULT_PATTERNS, compile_patterns

Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


Strategy = Literal["leak", "overflow_priority", "overflow", "block"]
Weight = Annotated[int, Field(ge=0, le=1_000_000_000)]
LaneName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


def group_of(lane: str) -> str:
    """Give the group of a lane that has one: of `host:10.0.0.7` it is `host`."""
    return lane.partition(":")[0]


class LaneSettings(Value):
    """How the limiter grants the slots of one lane."""

    max_concurrent: int | None = Field(default=3, ge=1, le=1_000_000)
    """The summed weight of slots out at one time; `None` is no limit."""

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

    high_water: int | None = Field(default=None, ge=0, le=10_000_000)
    """Waiting requests at most; `None` is no limit. `strategy` says who goes past it."""

    strategy: Strategy = "leak"
    """Who goes when one more than `high_water` waits.

    `leak`: of those that waited before, the oldest of the lowest priority. `overflow_priority`:
    the same, if its priority is lower than the new one's; else the new one. `overflow`: the new
    one. `block`: all that wait, and nothing is taken until none has asked for `penalty` seconds.
    A request whose slot was revoked is never the one to go for coming again.
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
    """Seconds that a holder has to give a revoked slot back before it expires."""

    preempt: bool = False
    """Whether an `active` request may take a slot from a `background` one."""

    ageing: Seconds | None = 60
    """Seconds as the next request of its owner that lift a request by one priority.

    `None` gives up the promise that none starves: one waits for as long as better ones come.
    """

    adapt: bool = True
    """Whether the lane pauses when its back end asks for that, and leaves a failing one alone."""

    pause_maximum: Seconds = 600
    """Seconds that a back end may ask for at most."""

    circuit_failures: int = Field(default=10, ge=1, le=1_000_000)
    """Failures in a row after which nothing is granted for a while: the circuit is open."""

    circuit_seconds: Seconds = 30
    """Seconds after which an open circuit lets one call go, as a probe."""

    behind: LaneName | None = None
    """The lane whose slot a request must have too; the same for all the life of a lane."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsInvalid(describe(error)) from error

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


class Settings(Value):
    """All that a studio can be told. A value out of bounds raises `SettingsInvalid`, by name."""

    store: str = "sqlite:///limner.db"
    """Where texts live: a SQLAlchemy URL, `memory:`, `files:DIRECTORY`, or `chat:FILE`."""

    pictures: Path = Path("pictures")
    """The directory that pictures are kept in."""

    pictures_url: str | None = Field(default=None, max_length=2_000)
    """How a text refers to that directory; by default as `pictures` is written."""

    generator: str = "sketch"
    """What makes pictures: `sketch` draws them here, `instant` gives a constant one."""

    slots: int = Field(default=3, ge=1, le=1_000)
    """Pictures in generation at one time, over all messages."""

    min_time: float = Field(default=0, ge=0, le=3_600, allow_inf_nan=False)
    """Seconds between the starts of two generations."""

    lease: float = Field(default=600, ge=0.1, le=86_400, allow_inf_nan=False)
    """Seconds that one generation may hold its slot before the limiter takes it back."""

    lanes: Mapping[LaneName, LaneSettings] = Field(default_factory=dict, max_length=1_000)
    """Further lanes by name. `image` is made of `slots`, `min_time`, `lease`, `grace` and `preempt`
    unless it is named here; the first three and `preempt` are not set then.
    """

    lane_groups: Mapping[LaneName, LaneSettings] = Field(default_factory=dict, max_length=1_000)
    """Groups of lanes by name: `host:10.0.0.7` is a lane of the group `host`.

    Each is made when it is first asked for, and dropped when it is idle and has nothing to
    remember, such as a `min_time` that is not over yet.
    """

    patterns: tuple[str, ...] = Field(default=DEFAULT_PATTERNS, min_length=1, max_length=32)
    """Regular expressions of prompt tags; the first group that matched is the prompt."""

    markup: Markup = "html"
    """How a picture is put into the text."""

    events: Path | None = None
    """The file that the event log is appended to; none by default."""

    deadline: Seconds = 300
    """Seconds from a session's seal to its write."""

    write_at_deadline: bool = False
    """Whether a session past its deadline writes what is finished; else it fails unwritten."""

    idle_timeout: Seconds | None = None
    """Seconds between two chunks after which a stream is taken as interrupted; never by default."""

    generation_timeout: Seconds = 120
    """Seconds that one call of the generator may take."""

    grace: Seconds = 5
    """Seconds that a call has to come back once it was cancelled or timed out."""

    store_timeout: Seconds = 60
    """Seconds that the store has for the write of one text."""

    attempts: int = Field(default=3, ge=1, le=100)
    """Calls of the generator for one task, the first one counted."""

    backoff: float = Field(default=0.5, ge=0, le=3_600, allow_inf_nan=False)
    """Seconds before the first retry, doubled for each one after it, with jitter."""

    backoff_max: float = Field(default=30, ge=0, le=3_600, allow_inf_nan=False)
    """Seconds that a retry waits at most."""

    max_revocations: int = Field(default=3, ge=0, le=1_000)
    """How often a task in the background gives its slot to an active one at most."""

    preempt: bool = False
    """Whether a picture that somebody waits for takes the slot of one in the background."""

    max_tag: int = Field(default=2_000, ge=16, le=100_000)
    """Characters of one prompt tag."""

    pattern_timeout: Seconds | None = 0.25
    """Seconds that one pattern may take at one place of a text before it is given up."""

    max_prompts_per_message: int = Field(default=100, ge=0, le=10_000)
    """Prompts of one message that is streamed, and pictures that one call wishes for of a stored
    one; those past it are named in the result. Several calls that gather may wish for more."""

    settle_after: float = Field(default=2, ge=0, le=3_600, allow_inf_nan=False)
    """Seconds without a new wish after which regenerations of one message are written together."""

    reconcile_after: Seconds | None = None
    """Seconds after a write at which a text is reconciled by itself; never by default."""

    placeholders: bool = False
    """Whether a picture that could not be made leaves a small mark in the text, to be retried."""

    common_tags: str = Field(default="", max_length=2_000)
    """Tags of a style, separated by commas, that go to the generator with each prompt."""

    common_tags_position: Literal["prefix", "suffix"] = "prefix"
    """Whether they stand before the prompt or after it."""

    max_text: int = Field(default=2_000_000, ge=1, le=100_000_000)
    """Characters of one message."""

    max_picture_bytes: int = Field(default=32 * 2**20, ge=1_024, le=2**30)
    """Bytes of one picture."""

    max_picture_pixels: int = Field(default=64_000_000, ge=1, le=500_000_000)
    """Width times height of one picture."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsInvalid(describe(error)) from error

    @field_validator("patterns")
    @classmethod
    def _patterns_are_usable(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        compile_patterns(patterns)
        return patterns

    @model_validator(mode="after")
    def _lanes_stand(self) -> Self:
        if "image" in self.lanes:
            for name in sorted({"slots", "min_time", "lease", "preempt"} & self.model_fields_set):
                there = "max_concurrent" if name == "slots" else name
                raise ValueError(
                    f"{name}: the lane 'image' has settings of its own; set its {there} instead"
                )
        lanes = {"image": self.lane, **self.lanes}
        for name in lanes.keys() & self.lane_groups.keys():
            raise ValueError(f"{name!r} is the name of a lane and of a lane group")
        for name, lane in (*lanes.items(), *self.lane_groups.items()):
            seen, further = [name], lane.behind
            while further is not None:
                seen.append(further)
                if further not in lanes:
                    raise ValueError(f"lane {seen[-2]!r} stands behind {further!r}, no lane")
                if further in seen[:-1]:
                    raise ValueError(f"lanes stand behind each other: {' behind '.join(seen)}")
                further = lanes[further].behind
        return self

    @property
    def notation(self) -> Notation:
        """How prompts and pictures stand in a text."""
        return Notation(
            patterns=self.patterns,
            markup=self.markup,
            max_tag=self.max_tag,
            timeout=self.pattern_timeout,
            placeholders=self.placeholders,
        )

    @property
    def lane(self) -> LaneSettings:
        """The settings of the lane `image`."""
        return self.lanes.get("image") or LaneSettings(
            max_concurrent=self.slots,
            min_time=self.min_time,
            lease=self.lease,
            grace=self.grace,
            preempt=self.preempt,
        )


def describe(error: ValidationError) -> str:
    """Say in one line which settings are wrong, how, and what was given."""
    lines = []
    for one in error.errors(include_url=False):
        name = ".".join(map(_shown, one["loc"])) or "settings"
        given = repr(one["input"])
        given = given if len(given) <= 80 else given[:77] + "..."
        if one["type"] == "extra_forbidden":
            lines.append(f"{name}: there is no such setting")
        elif one["type"] == "value_error":
            lines.append(f"{name}: {one['ctx']['error']}")
        else:
            message = one["msg"][0].lower() + one["msg"][1:]
            lines.append(f"{name}: {message}, not {given}")
    return "; ".join(lines)


def _shown(part: int | str) -> str:
    text = str(part)
    return text if text.isprintable() and 0 < len(text) <= 80 else repr(text)[:80]
