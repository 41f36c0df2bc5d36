"""Requests for further pictures in a stored text, and their outcomes."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from limner.messages.base import Value
from limner.messages.pictures import Failure, Placement
from limner.messages.prompts import Prompt

Mode = Literal["replace-image", "append-after-image", "append-after-prompt"]
"""Where a new picture goes: in place of what is there, after it, or directly after the tag.

`regenerate` puts it in place of the picture that it is for, or after that one; `illustrate_again`
in place of all pictures that a tag has, or after all of them.
"""

AgainMode = Literal["append", "replace"]
"""Former names of `append-after-image` and `replace-image`, which are accepted for these."""

FORMER_MODES: Mapping[str, Mode] = MappingProxyType(
    {"append": "append-after-image", "replace": "replace-image"}
)

Place = Literal[
    "replace-image", "append-after-image", "append-after-prompt", "append", "replace", "retry"
]
"""Where a picture goes.

`replace-image`: in place of the target, a picture. `append-after-image`: directly after the target.
`append-after-prompt`: directly after the tag, before the pictures there. `append`: after the
pictures that stand beside the tag. `replace`: in place of all of them. `retry`: in place of the
mark that a failure has left.
"""

TagPlace = Literal["append", "replace", "append-after-prompt"]
"""Where a picture goes whose target is a tag."""

TAG_PLACES: Mapping[Mode, TagPlace] = MappingProxyType(
    {
        "replace-image": "replace",
        "append-after-image": "append",
        "append-after-prompt": "append-after-prompt",
    }
)
"""Where the picture of a tag goes, by mode."""


class PictureRequest(Value):
    """A request for one more picture in a stored text.

    Args:
        prompt: what to draw.
        place: where the picture goes.
        target: the id of the placement, or of the failure's mark, that it is for; where `place`
            names a tag alone, the id of the tag's prompt.
        rewrites: whether `prompt` is written into the tag: the tag that the picture goes to, or
            that of its target.
        once: whether to skip it if the session has a request for this target already.
        owner: the id of the prompt that owned the tag when it was requested, if there was a tag.
        replaces: of a retry: what the picture replaces besides the failure's mark, as in
            `MarkedFailure`.
    """

    prompt: Prompt
    place: Place
    target: str
    rewrites: bool = False
    once: bool = False
    owner: str | None = None
    replaces: str | None = None


class RequestOutcome(Value):
    """The outcome of a request: a picture, or why there is none."""

    request: PictureRequest
    placement: Placement | None = None
    failure: Failure | None = None
