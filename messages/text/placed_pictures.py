"""The pictures that stand in a text, in its order, each with where it stands."""

from collections.abc import Mapping

from pydantic import Field

from limner.messages.base import Value
from limner.messages.pictures import Placement
from limner.messages.registry import Registry
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags


class PlacedPicture(Value):
    """A picture in a message's text.

    Args:
        message_id: the message.
        id: the placement's id, `PROMPT:PICTURE`; what `regenerate` and `remove` take.
        placement: the placement; `None` if its registry does not know the picture, as in a text
            that was copied from elsewhere.
        prompt: what it shows, as far as that is known.
        start: where its mark begins in the text, in characters; `None` if it stands in no text.
        end: where it ends.
    """

    message_id: str
    id: str
    placement: Placement | None = None
    prompt: str | None = Field(default=None, repr=False)
    start: int | None = None
    end: int | None = None


def placed_pictures(
    message_id: str, text: str, registry: Registry, notation: Notation
) -> tuple[PlacedPicture, ...]:
    """Return the pictures that stand in a text, in its order; a copy counts again.

    Args:
        message_id: the message.
        text: its text.
        registry: what is known of it.
        notation: how prompts and pictures stand in the text.
    """
    tags = PromptTags(text, registry, message_id=message_id, notation=notation)
    editor = MarkEditor(tags)
    known = {link.placement.id: link.placement for link in registry.links}
    return tuple(
        PlacedPicture(
            message_id=message_id,
            id=found.id,
            placement=known.get(found.id),
            prompt=_prompt(editor, known, found.id),
            start=found.start,
            end=found.end,
        )
        for found in editor.marks
        if found.kind == "picture"
    )


def _prompt(editor: MarkEditor, known: Mapping[str, Placement], name: str) -> str | None:
    if name in known:
        return known[name].prompt
    at = editor.tag_of(name)
    return None if at is None else editor.tags.prompt(at).text
