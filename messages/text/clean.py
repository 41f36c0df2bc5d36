"""A text as one sends it back to a model: without what is there for pictures."""

import re
from collections.abc import Collection
from typing import Literal, get_args

from limner.messages.errors import SettingsInvalid
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import Tags

Kept = Literal["pictures", "failures", "prompts"]

PASSES = 20
"""How often a text is cleaned at most: what was taken out may have parted a tag."""

_CUT = "\ud800"  # no text that UTF-8 can carry has it
_EMPTIED = re.compile(rf"^[^\S\n]*+(?:{_CUT}[^\S\n]*+)+(?:\n|\Z)", re.MULTILINE)


def clean(
    text: str,
    keep: Collection[Kept] = (),
    *,
    notation: Notation = Notation(),  # noqa: B008  # it is immutable
) -> str:
    """Give a text without pictures, marks of failures and prompt tags, as a model is to see it.

    What remains of pictures and failures that other programs have stripped goes too. A line that
    held nothing else goes with its end; all else stays as it is, the spaces around what was taken
    out too. Cleaning twice is cleaning once.

    Args:
        text: the text, which UTF-8 can carry.
        keep: what is to stay.
        notation: how prompts and pictures stand in the text.

    Raises:
        SettingsInvalid: if `keep` names something else, or a pattern cannot be used.
    """
    if unknown := set(keep) - set(get_args(Kept)):
        raise SettingsInvalid(
            f"cannot keep {min(unknown)!r}; keep may name {', '.join(get_args(Kept))}"
        )
    for _ in range(PASSES):
        cleaned = _cleaned(text, keep, notation)
        if cleaned == text:
            break
        text = cleaned
    return text


def _cleaned(text: str, keep: Collection[Kept], notation: Notation) -> str:
    page = MarkEditor(Tags(text, message_id="", notation=notation), cut=_CUT)
    for mark in page.marks:
        if f"{mark.kind}s" not in keep:
            page.take(mark)
    if "prompts" not in keep:
        for match in page.tags.matches:
            page.take(match)
    return _EMPTIED.sub("", page.composed(()).text).replace(_CUT, "")
