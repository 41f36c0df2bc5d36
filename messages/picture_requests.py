"""What is wished for a text that is there already, and what became of it."""

from typing import Literal

from limner.messages.base import Value
from limner.messages.pictures import Failure, Placement
from limner.messages.prompts import Prompt

Mode = Literal["replace-image", "append-after-image", "append-after-prompt"]
"""Where the picture of a regeneration goes."""

AgainMode = Literal["append", "replace"]
"""Where the pictures go when a whole message is illustrated once more."""

Place = Literal[
    "replace-image", "append-after-image", "append-after-prompt", "append", "replace", "retry"
]
"""Where a picture goes.

`replace-image`: in place of the picture that it is wished for. `append-after-image`: directly after
that. `append-after-prompt`: directly after the tag, before the pictures there. `append`: after the
pictures that stand beside the tag. `replace`: in place of all of them. `retry`: in place of the
mark that a failure has left.
"""


class PictureRequest(Value):
    """One more picture for a text that is there already.

    Args:
        prompt: what is to be drawn.
        place: where the picture goes.
        target: id of the placement, or of the failure's mark, that it is wished for; of the
            prompt whose tag it goes to, where `place` asks for a tag alone.
        rewrites: whether the tag that it goes to, or that of its target, comes to say `prompt`.
        once: whether it is left if something is wished for this target in the session already.
    """

    prompt: Prompt
    place: Place
    target: str
    rewrites: bool = False
    once: bool = False


class RequestOutcome(Value):
    """What became of a wish: a picture, or why there is none."""

    wish: PictureRequest
    placement: Placement | None = None
    failure: Failure | None = None
