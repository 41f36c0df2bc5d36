"""How prompts and pictures stand in a text."""

from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import Field, SkipValidation

from limner.messages.base import Value
from limner.messages.text.pattern_budget import PatternBudget
from limner.messages.text.patterns import DEFAULT_PATTERNS
from limner.messages.text.regions import Ignored

Markup = Literal["html", "markdown"]
Clock = SkipValidation[Callable[[], float]]


class Notation(Value):
    """How prompts are found in a text, and how a picture is put into it.

    Args:
        patterns: regular expressions of prompt tags, as for `find_prompts`.
        ignore: what is not searched for prompts: `code`, `think`.
        markup: how a picture, or the mark of a failure, is written.
        image_attributes: attributes of each `<img>` that is written, checked already. With any,
            marks are written as HTML, whatever the markup.
        max_tag: characters of one tag at most.
        timeout: seconds that one match of a pattern may take; `None` is no bound.
        budget: seconds that all matches of one text may take; `None` is no bound.
        clock: by which the budget is counted, as of `PatternBudget`; without one there is no bound.
        placeholders: whether a picture that could not be made leaves a small mark.
    """

    patterns: tuple[str, ...] = DEFAULT_PATTERNS
    ignore: tuple[Ignored, ...] = ()
    markup: Markup = "html"
    image_attributes: Mapping[str, str] = Field(default_factory=dict)
    max_tag: int = 2_000
    timeout: float | None = None
    budget: float | None = None
    clock: Clock | None = Field(default=None, repr=False)
    placeholders: bool = False

    def new_budget(self) -> PatternBudget | None:
        """Return a budget for the matches of one text; `None` if there is no bound."""
        if self.budget is None or self.clock is None:
            return None
        return PatternBudget(self.budget, self.clock)
