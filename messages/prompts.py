"""Prompts: as they stand in a text, as the registry has them, and which prompt owns which tag."""

from typing import Final, Literal

from pydantic import Field

from limner.messages.base import Value
from limner.messages.ids import child_id, prompt_id

Source = Literal["streamed", "manual", "model"]

NearMissKind = Literal[
    "entities",
    "dashes",
    "space",
    "name",
    "case",
    "separator",
    "quotes",
    "inner-quotes",
    "slash",
    "end",
    "element",
    "empty",
    "too-long",
    "unclosed",
    "pattern",
]
"""In what a text differs from a prompt tag."""

NEAR_MISSES: Final[dict[NearMissKind, str]] = {
    "entities": "&lt; and &gt; for < and >",
    "dashes": "other dashes than <!--",
    "space": "a space within its beginning",
    "name": "another name than img-prompt",
    "case": "capital letters in its name",
    "separator": "no = after its name",
    "quotes": 'other quotes than "',
    "inner-quotes": 'a quote within the prompt that is not written \\"',
    "slash": "a / before its end",
    "end": "another end than its beginning asks for",
    "element": "the prompt between two tags",
    "empty": "no prompt between its quotes",
    "too-long": "more characters than Settings.max_tag allows",
    "unclosed": "no end after its prompt",
    "pattern": "a form that the patterns in use do not name",
}
"""What each kind of near miss has, for people."""


class PromptMatch(Value):
    """One prompt tag found in a text.

    Args:
        text: the prompt, unescaped, its HTML entities decoded once, trimmed.
        tag: the whole tag, as it stands in the text.
        start: where the tag begins, in characters.
        end: where it ends; `text[start:end] == tag`.
        ordinal: how many prompts with this same text stand before it.
    """

    text: str
    tag: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)
    ordinal: int = Field(ge=0)


class NearMiss(Value):
    """A place in a text that looks like a prompt tag and is none.

    Args:
        text: what stands there, cut to 80 characters.
        start: where it begins, in characters.
        line: the line in which it begins, from 1.
        column: the character of that line with which it begins, from 1.
        kinds: in what it differs from a prompt tag.
        tolerated: whether `Settings(patterns="tolerant")` takes it for a prompt tag.
    """

    text: str
    start: int = Field(ge=0)
    line: int = Field(ge=1)
    column: int = Field(ge=1)
    kinds: tuple[NearMissKind, ...]
    tolerated: bool

    @property
    def reason(self) -> str:
        """In what it differs, for people."""
        return "; ".join(NEAR_MISSES[kind] for kind in self.kinds)


class Prompt(Value):
    """A prompt's identity in the registry.

    Args:
        id: a hash of message, text and ordinal; of a refined one, of its parent and its text.
        message_id: the message that it belongs to.
        text: what to draw.
        ordinal: how many prompts with this same text stood before it when it was found.
        parent_id: the id of the prompt that this one was refined from, if it was.
        source: where it comes from: found in a text, or refined by a person or a model.
        feedback: why it was refined, in the words of whoever requested it.
    """

    id: str
    message_id: str
    text: str
    ordinal: int = Field(ge=0)
    parent_id: str | None = None
    source: Source = "streamed"
    feedback: str | None = None

    @classmethod
    def of(cls, message_id: str, match: PromptMatch) -> "Prompt":
        """Return the prompt that a tag of a message's text names."""
        return cls.trusted(
            id=prompt_id(message_id, match.text, match.ordinal),
            message_id=message_id,
            text=match.text,
            ordinal=match.ordinal,
            parent_id=None,
            source="streamed",
            feedback=None,
        )

    def refined(self, text: str, *, feedback: str | None = None, source: Source) -> "Prompt":
        """Return a child of this prompt; the same text gives the same child.

        Args:
            text: the child's text.
            feedback: why it was refined.
            source: who refined it.
        """
        return Prompt(
            id=child_id(self.id, text),
            message_id=self.message_id,
            text=text,
            ordinal=0,
            parent_id=self.id,
            source=source,
            feedback=feedback,
        )


class TagOwner(Value):
    """The owner of a tag that belongs to another prompt than its text and ordinal name.

    Args:
        prompt_id: the id of the prompt that owns the tag.
        text: the prompt as it stands in the tag.
        ordinal: how many tags with this same text stand before it.
    """

    prompt_id: str
    text: str
    ordinal: int = Field(ge=0)
