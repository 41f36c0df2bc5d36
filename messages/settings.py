"""The settings of a studio: one validated model, each field with its unit and bounds."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from pydantic import Field, ValidationError, field_validator, model_validator

from limner.messages.base import Value
from limner.messages.errors import SettingsInvalid
from limner.messages.generator_settings import GeneratorName, GeneratorSettings
from limner.messages.limiter.settings import LaneName, LaneSettings, Patience, Seconds
from limner.messages.text.image_attributes import checked_attributes
from limner.messages.text.notation import Markup, Notation
from limner.messages.text.patterns import DEFAULT_PATTERNS, compile_patterns
from limner.messages.text.regions import Ignored
from limner.messages.text.tolerant import with_named
from limner.messages.typed_fields import OptionalPathField, PathField, TextsField
from limner.messages.validation import describe


class Settings(Value):
    """The settings of a studio.

    Raises:
        SettingsInvalid: if a value is out of its bounds; names the setting.
    """

    store: str = "sqlite:///limner.db"
    """Where texts live: a SQLAlchemy URL, `memory:`, `files:DIRECTORY`, or `chat:FILE`."""

    pictures: PathField = cast("Any", Path("pictures"))
    """The directory in which pictures are kept."""

    pictures_url: str | None = Field(default=None, max_length=2_000)
    """How a text refers to that directory; by default, as `pictures` is written."""

    generator: str = "sketch"
    """What makes pictures: `sketch` draws them offline, `instant` returns a constant one, a name of
    `generators`, `module:callable`, or `exec:COMMAND {prompt} {output}`, an argument list that is
    given to no shell."""

    generators: Mapping[GeneratorName, GeneratorSettings] = Field(
        default_factory=dict, max_length=1_000
    )
    """Generators by name, each with what it stands for."""

    slots: int = Field(default=3, ge=1, le=1_000)
    """Pictures that are generated at one time at most, over all messages."""

    min_time: float = Field(default=0, ge=0, le=3_600, allow_inf_nan=False)
    """Seconds between the starts of two generations at least."""

    lease: float = Field(default=600, ge=0.1, le=86_400, allow_inf_nan=False)
    """Seconds that one generation may hold its slot before the limiter takes it back."""

    circuit_patience: Patience = 2
    """Probes in a row that fail before pictures fail that wait for a back end that is down; `None`
    lets them wait until their session's deadline."""

    lanes: Mapping[LaneName, LaneSettings] = Field(default_factory=dict, max_length=1_000)
    """Further lanes by name. The lane `image` is made of `slots`, `min_time`, `lease`, `grace`,
    `preempt` and `circuit_patience`. If `image` is named here, none of them but `grace` may be set.
    """

    lane_groups: Mapping[LaneName, LaneSettings] = Field(default_factory=dict, max_length=1_000)
    """Groups of lanes by name: `host:10.0.0.7` is a lane of the group `host`.

    A lane of a group is made when it is first needed, and dropped when it is idle and has no state
    to keep, such as a `min_time` that has not passed yet.
    """

    patterns: TextsField = Field(default=cast("Any", DEFAULT_PATTERNS), min_length=1, max_length=32)
    """Regular expressions of prompt tags; the first group that took part is the prompt. The name
    `tolerant`, alone or in the list, stands for patterns that also take tags that are nearly the
    default ones (other quotes, dashes, case, spaces, `&lt;`); `default` for the default ones."""

    ignore: tuple[Ignored, ...] = Field(default=(), max_length=2)
    """Where prompt tags are not looked for: `code` (between lines of backquotes or tildes, and
    between backquotes on one line), `think` (between `<think>` and `</think>`)."""

    markup: Markup = "html"
    """How a picture is put into the text."""

    image_attributes: Mapping[str, str] = Field(default_factory=dict, max_length=8)
    """Attributes of each `<img>` that is put into a text: `class`, `decoding`, `height`, `loading`,
    `title`, `width`. With any, pictures are `<img>` tags also where `markup` is Markdown, whose
    images have none. Pictures that are in a text already stay as they are."""

    events: OptionalPathField = cast("Any", None)
    """The file to which the event log is appended; none by default."""

    deadline: Seconds = 300
    """Seconds from a session's seal to its write at most."""

    write_at_deadline: bool = True
    """Whether a session past its deadline writes what is finished; else it fails unwritten."""

    idle_timeout: Seconds | None = None
    """Seconds without a chunk after which a stream counts as interrupted; never by default."""

    generation_timeout: Seconds = 120
    """Seconds that one call of the generator may take before it times out."""

    grace: Seconds = 5
    """Seconds in which a call that was cancelled or timed out must return; then it is abandoned."""

    store_timeout: Seconds = 60
    """Seconds that the store may take to write one text."""

    attempts: int = Field(default=3, ge=1, le=100)
    """Calls of the generator for one task at most, with the first one."""

    backoff: float = Field(default=0.5, ge=0, le=3_600, allow_inf_nan=False)
    """Seconds before the first retry, doubled for each further retry, with jitter."""

    backoff_max: float = Field(default=30, ge=0, le=3_600, allow_inf_nan=False)
    """Seconds before a retry at most."""

    max_revocations: int = Field(default=3, ge=0, le=1_000)
    """How often a `background` task may lose its slot to an `active` one."""

    max_per_message: int | None = Field(default=None, ge=1, le=1_000_000)
    """Pictures of one message in generation at one time, so that a long message leaves room for
    others; `None` is no limit. Further ones request their slots as these end."""

    preempt: bool = False
    """Whether an `active` picture may take the slot of a `background` one."""

    max_tag: int = Field(default=2_000, ge=16, le=100_000)
    """Characters of one prompt tag at most."""

    pattern_timeout: Seconds | None = 0.25
    """Seconds that one match of a pattern may take; the pattern is dropped from a text where one
    takes longer. `None` is no bound."""

    pattern_budget: Seconds | None = 1
    """Seconds of processor time that all matches in one text may take together; the pattern that
    takes the most is dropped from a text where they take longer. `None` is no bound."""

    max_prompts_per_message: int = Field(default=100, ge=0, le=10_000)
    """Prompts of one streamed message that are illustrated, and pictures that one call may request
    for a stored message. The result names those past the limit. Several calls that gather into one
    session may request more together."""

    settle_after: float = Field(default=2, ge=0, le=3_600, allow_inf_nan=False)
    """Seconds without a new request after which a message's regenerations are written together."""

    reconcile_after: Seconds | None = None
    """Seconds after a write when the text is reconciled without a call; never by default."""

    placeholders: bool = False
    """Whether a picture that could not be made leaves a small mark in the text, for a retry."""

    common_tags: str = Field(default="", max_length=2_000)
    """Style tags, separated by commas, that the generator gets with each prompt."""

    common_tags_position: Literal["prefix", "suffix"] = "prefix"
    """Whether the common tags stand before the prompt or after it."""

    max_text: int = Field(default=2_000_000, ge=1, le=100_000_000)
    """Characters of one message at most."""

    max_picture_bytes: int = Field(default=32 * 2**20, ge=1_024, le=2**30)
    """Bytes of one picture at most."""

    max_picture_pixels: int = Field(default=64_000_000, ge=1, le=500_000_000)
    """Width times height of one picture, in pixels, at most."""

    if not TYPE_CHECKING:  # where the fields are the arguments, and an unknown one is an error

        def __init__(self, *given: object, **values: Any) -> None:
            if given:
                raise SettingsInvalid("settings are given by name, as in Settings(slots=3)")
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise SettingsInvalid(describe(error, Settings, LaneSettings)) from error

    @field_validator("patterns", mode="before")
    @classmethod
    def _named_patterns(cls, given: Any) -> Any:
        return with_named(given)

    @field_validator("patterns")
    @classmethod
    def _patterns_are_usable(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        compile_patterns(patterns)
        return patterns

    @field_validator("image_attributes")
    @classmethod
    def _attributes_are_allowed(cls, attributes: Mapping[str, str]) -> Mapping[str, str]:
        return checked_attributes(attributes)

    @model_validator(mode="after")
    def _lanes_stand(self) -> Self:
        if "image" in self.lanes:
            own = {"slots", "min_time", "lease", "preempt", "circuit_patience"}
            for name in sorted(own & self.model_fields_set):
                there = "max_concurrent" if name == "slots" else name
                raise ValueError(
                    f"{name}: the lane 'image' has settings of its own; set its {there} instead"
                )
        lanes = self.all_lanes
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
            if lane.backs_off not in (None, "own", "upstream", *seen):
                raise ValueError(
                    f"lane {name!r}: backs_off is 'own', 'upstream', or a lane that it stands"
                    f" behind, not {lane.backs_off!r}"
                )
        return self

    @property
    def notation(self) -> Notation:
        """How prompts and pictures stand in a text."""
        return Notation(
            patterns=self.patterns,
            markup=self.markup,
            image_attributes=self.image_attributes,
            max_tag=self.max_tag,
            ignore=self.ignore,
            timeout=self.pattern_timeout,
            budget=self.pattern_budget,
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
            circuit_patience=self.circuit_patience,
        )

    @property
    def all_lanes(self) -> dict[str, LaneSettings]:
        """The lanes by name, `image` among them."""
        return {**self.lanes, "image": self.lane}
