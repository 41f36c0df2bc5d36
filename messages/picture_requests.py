"""Requests for further pictures in a stored text, and their outcomes."""

from typing import Literal

from limner.messages.base import Value
from limner.messages.pictures import Failure, Placement
from limner.messages.prompts import Prompt

Mode = Literal["replace-image", "append-after-image", "append-after-prompt"]
"""Where the picture of a regeneration goes."""

AgainMode = Literal["append", "replace"]
"""Where the pictures go when a whole message is illustrated again."""

Place = Literal[
    "replace-image", "append-after-image", "append-after-prompt", "append", "replace", "retry"
]
"""Where a picture goes.

`replace-image`: in place of the target, a picture. `append-after-image`: directly after the target.
`append-after-prompt`: directly after the tag, before the pictures there. `append`: after the
pictures that stand beside the tag. `replace`: in place of all of them. `retry`: in place of the
mark that a failure has left.
"""


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
    """

    prompt: Prompt
    place: Place
    target: str
    rewrites: bool = False
    once: bool = False


class RequestOutcome(Value):
    """The outcome of a request: a picture, or why there is none."""

    request: PictureRequest
    placement: Placement | None = None
    failure: Failure | None = None
