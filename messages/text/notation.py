"""How prompts and pictures stand in a text."""

from typing import Literal

from limner.messages.base import Value
from limner.messages.text.patterns import DEFAULT_PATTERNS

Markup = Literal["html", "markdown"]


class Notation(Value):
    """How prompts are found in a text, and how a picture is put into it.

    Args:
        patterns: regular expressions of prompt tags, as for `find_prompts`.
        markup: how a picture, or the mark of a failure, is written.
        max_tag: characters of one tag at most.
        timeout: seconds that one match of a pattern may take; `None` is no bound.
        placeholders: whether a picture that could not be made leaves a small mark.
    """

    patterns: tuple[str, ...] = DEFAULT_PATTERNS
    markup: Markup = "html"
    max_tag: int = 2_000
    timeout: float | None = None
    placeholders: bool = False
