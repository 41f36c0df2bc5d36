"""The settings that may change while a studio is open, and how they do."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from limner.messages.errors import SettingsInvalid
from limner.messages.settings import Settings
from limner.messages.text.notation import Markup
from limner.messages.text.regions import Ignored


class LiveSettings(TypedDict, total=False):
    """Those of the fields of `Settings` that may change while a studio is open.

    They are what a session, an edit or a call reads for itself as it begins.
    """

    patterns: Sequence[str] | str
    ignore: Sequence[Ignored]
    markup: Markup
    image_attributes: Mapping[str, str]
    deadline: float
    write_at_deadline: bool
    idle_timeout: float | None
    generation_timeout: float
    store_timeout: float
    attempts: int
    backoff: float
    backoff_max: float
    max_revocations: int
    max_per_message: int | None
    max_tag: int
    pattern_timeout: float | None
    pattern_budget: float | None
    max_prompts_per_message: int
    settle_after: float
    reconcile_after: float | None
    placeholders: bool
    common_tags: str
    common_tags_position: Literal["prefix", "suffix"]
    max_text: int
    max_picture_bytes: int
    max_picture_pixels: int


LIVE = frozenset(LiveSettings.__annotations__)
"""The names of these settings."""

OF_LANES = {
    "slots": "max_concurrent",
    **{name: name for name in ("min_time", "lease", "preempt", "circuit_patience")},
}
"""Settings of the lane `image`, by what `studio.limiter.update` calls them."""


def updated_settings(settings: Settings, changes: Mapping[str, object]) -> Settings:
    """Return settings with other values for some, checked as `Settings` checks them.

    Args:
        settings: those that are in force.
        changes: the new values by name.

    Raises:
        SettingsInvalid: if a value is out of its bounds, or if a name is no setting, or one that
            cannot change while a studio is open.
    """
    fixed = [name for name in changes if name in Settings.model_fields and name not in LIVE]
    if fixed:
        raise SettingsInvalid(_refusal(fixed))
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return Settings(**{**given, **changes})


def changed_settings(before: Settings, after: Settings) -> tuple[str, ...]:
    """Return the names of the settings that differ, sorted."""
    return tuple(
        sorted(
            name for name in Settings.model_fields if getattr(before, name) != getattr(after, name)
        )
    )


def plain_values(settings: Settings, names: Iterable[str]) -> dict[str, Any]:
    """Return the values of settings as an event may tell them: numbers, and one of a few words.

    What people wrote, such as style tags and patterns, is not among them.
    """
    values = {name: getattr(settings, name) for name in names}
    return {
        name: value
        for name, value in values.items()
        if value is None
        or isinstance(value, int | float)
        or name in {"markup", "common_tags_position"}
    }


def _refusal(fixed: Sequence[str]) -> str:
    """Return why settings cannot change while a studio is open, and what to do instead."""
    lanes = [name for name in fixed if name in OF_LANES]
    named = ", ".join(fixed)
    if lanes == [*fixed]:
        limits = ", ".join(f"{OF_LANES[name]}=…" for name in lanes)
        return f"{named}: that is of the lane 'image'; studio.limiter.update('image', {limits})"
    if {*fixed} <= {"lanes", "lane_groups"}:
        return (
            f"{named}: lanes are made as a studio opens; studio.limiter.update(lane, …) changes one"
        )
    return (
        f"{named}: read once, as a studio opens; close this one and open another with "
        f"Settings({fixed[0]}=…)"
    )
