"""Pictures, where they are placed, and the result of a session."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from limner.messages.base import Value
from limner.messages.prompts import NearMiss


class PictureBytes(Value):
    """A picture as a generator returns it.

    Args:
        data: the encoded picture (PNG, JPEG, WebP, GIF).
        media_type: such as `image/png`; if the bytes are of another type, that of the bytes counts.
    """

    data: bytes = Field(repr=False)
    media_type: str = "image/png"


class Picture(Value):
    """A picture that is kept.

    Args:
        id: a hash of its bytes; its file is named by it.
        url: how a text refers to it.
        media_type: such as `image/png`.
        width: in pixels.
        height: in pixels.
    """

    id: str
    url: str
    media_type: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class Placement(Value):
    """One picture at one prompt: what `regenerate` and `remove` are called with.

    Args:
        prompt_id: the prompt's id in the registry.
        prompt: the prompt's text.
        picture: the picture.
        task_id: the task that made the picture.
        ordinal: how many prompts with this same text stood before it when it was found.
    """

    prompt_id: str
    prompt: str
    picture: Picture
    task_id: str
    ordinal: int = Field(default=0, ge=0)

    @property
    def id(self) -> str:
        """The placement's id, `prompt_id:picture_id`, as it stands in the picture's mark."""
        return f"{self.prompt_id}:{self.picture.id}"

    def __str__(self) -> str:
        return self.id


class Unplaced(Value):
    """A finished picture that could not be put into the text, and why. The picture is kept."""

    placement: Placement
    reason: str


class Failure(Value):
    """A task that ended without a picture, and why. Its prompt's tag is left as it was.

    `regenerate`, `retry` and `remove` take it, or its id.

    Args:
        task_id: the task.
        prompt_id: the prompt's id in the registry.
        prompt: the prompt's text.
        state: `failed` or `cancelled`.
        reason: why there is no picture, for people.
        ordinal: how many prompts with this same text stood before it when it was found.
    """

    task_id: str
    prompt_id: str
    prompt: str
    state: Literal["failed", "cancelled"]
    reason: str
    ordinal: int = Field(default=0, ge=0)

    @property
    def id(self) -> str:
        """The failure's id, `prompt_id:task_id`, as it stands in its mark."""
        return f"{self.prompt_id}:{self.task_id}"


class MarkedFailure(Value):
    """A failure that has left its mark in a text, and what was requested.

    Args:
        failure: the failure.
        owner: the id of the prompt that owned the tag when the picture was requested.
        rewrites: whether the tag was to be rewritten to the prompt.
        replaces: what the picture was to replace: the id of a placement; or that of the tag's
            prompt, for all pictures beside the tag; `None` for nothing.
        after: the id of the picture after which the mark stands; `None` if the tag had no picture.
    """

    failure: Failure
    owner: str
    rewrites: bool = False
    replaces: str | None = None
    after: str | None = None

    @property
    def id(self) -> str:
        """The failure's id."""
        return self.failure.id


class Unwritten(StrEnum):
    """Why a text was not written."""

    GONE = "gone"
    """The store has no such message any more."""

    UNCHANGED = "unchanged"
    """There was nothing to change."""

    EMPTY = "empty"
    """The stream ended before any text had come, and the store has a text."""


class Illustrated(Value):
    """The result of a session, and of a call that changes a text.

    Args:
        message_id: the message.
        text: the text with its pictures, as it was written.
        version: the store's version of that text; `None` if nothing was written.
        pictures: the pictures that are in the text, in its order.
        unplaced: finished pictures that are kept but not in the text, with the reason.
        failures: the tasks that ended without a picture.
        over_limit: prompts past `Settings.max_prompts_per_message`, which were not requested.
        dropped_patterns: patterns that took longer on this text than `Settings.pattern_timeout` or
            `Settings.pattern_budget` allow.
        near_misses: places of a streamed text that look like a prompt tag and are none; the first
            20.
        removed: ids of placements that were taken out of the text, or that another program had
            taken out, and that are not put back.
        written: whether the text was written.
        reason: why the text was not written, for people.
        unwritten: why the text was not written, for program code; `None` if it was written, or
            if this is the result of a dry run.
    """

    message_id: str
    text: str = Field(repr=False)
    version: int | str | None
    pictures: tuple[Placement, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()
    failures: tuple[Failure, ...] = ()
    over_limit: tuple[str, ...] = ()
    dropped_patterns: tuple[str, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()
    removed: tuple[str, ...] = ()
    written: bool = True
    reason: str | None = None
    unwritten: Unwritten | None = None
