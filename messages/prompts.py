"""Prompts: as a text has them, as the registry knows them, and which tag is whose."""

from typing import Literal

from pydantic import Field

from limner.messages.base import Value
from limner.messages.ids import child_id, prompt_id

Source = Literal["streamed", "manual", "model"]


class PromptMatch(Value):
    """One prompt tag found in a text.

    Args:
        text: the prompt, trimmed and unescaped.
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


class Prompt(Value):
    """A prompt's identity in the registry.

    Args:
        id: a hash of message, text and ordinal; of a refined one, of its parent and its text.
        message_id: whose prompt it is.
        text: what is to be drawn.
        ordinal: how many prompts with this same text stood before it when it was found.
        parent_id: of the prompt that this one was refined from.
        source: where it comes from.
        feedback: why it was refined, in the words of who asked for that.
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
        """Give the prompt that a match in a message's text stands for."""
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
        """Give the child of this prompt that says `text`; the same text is the same child."""
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
    """A tag of a text that is held by a prompt which its text and ordinal do not name.

    Args:
        prompt_id: of the prompt that holds it.
        text: the prompt as the tag has it.
        ordinal: how many tags with this same text stand before it.
    """

    prompt_id: str
    text: str
    ordinal: int = Field(ge=0)
