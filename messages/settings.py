"""What a studio can be told: one validated model, each field with its unit and bounds."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from limner.messages.base import Value
from limner.messages.errors import SettingsInvalid
from limner.messages.patterns import DEFAULT_PATTERNS, compile_patterns

Markup = Literal["html", "markdown"]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class LaneSettings(Value):
    """How the limiter grants the slots of one lane."""

    max_concurrent: int = Field(default=3, ge=1, le=1_000)
    """Slots out at one time."""

    min_time: float = Field(default=0, ge=0, le=3_600, allow_inf_nan=False)
    """Seconds between two grants."""

    lease: float = Field(default=600, ge=0.1, le=86_400, allow_inf_nan=False)
    """Seconds that a slot may be held before it expires."""


class Settings(Value):
    """All that a studio can be told. A value out of bounds raises `SettingsInvalid`, by name."""

    store: str = "sqlite:///limner.db"
    """Where texts live: a SQLAlchemy URL, `memory:`, or `files:DIRECTORY`."""

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

    max_tag: int = Field(default=2_000, ge=16, le=100_000)
    """Characters of one prompt tag."""

    pattern_timeout: Seconds | None = 0.25
    """Seconds that one pattern may take at one place of a text before it is given up."""

    max_prompts_per_message: int = Field(default=100, ge=0, le=10_000)
    """Prompts of one message; those past it are named in the result."""

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

    @property
    def lane(self) -> LaneSettings:
        """The settings of the lane `image`."""
        return LaneSettings(max_concurrent=self.slots, min_time=self.min_time, lease=self.lease)


def describe(error: ValidationError) -> str:
    """Say in one line which settings are wrong, how, and what was given."""
    lines = []
    for one in error.errors(include_url=False):
        name = ".".join(str(part) for part in one["loc"]) or "settings"
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
