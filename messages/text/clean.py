"""Remove pictures and prompt tags from a text before it is sent to a model."""

import re
from collections.abc import Collection
from typing import Literal, get_args

from limner.messages.errors import SettingsInvalid
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags

Kept = Literal["pictures", "failures", "prompts"]

PASSES = 20
"""How often a text is cleaned at most: removing a mark may join the two parts of a tag."""

_CUT = "\ud800"  # half a character, which no text that UTF-8 can carry contains
_EMPTIED = re.compile(rf"^[^\S\n]*+(?:{_CUT}[^\S\n]*+)+(?:\n|\Z)", re.MULTILINE)


def clean(
    text: str,
    keep: Collection[Kept] = (),
    *,
    notation: Notation = Notation(),  # noqa: B008  # it is immutable
) -> str:
    """Return a text without pictures, marks of failures and prompt tags, for a model to read.

    Leftovers of marks that other programs have stripped are removed too. A line that contained
    nothing else is removed with its line end. All else stays as it is, also the spaces around what
    was removed. Cleaning a text twice gives the same as cleaning it once.

    Args:
        text: the text, which UTF-8 can carry.
        keep: what to keep: `pictures`, `failures`, `prompts`.
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
    editor = MarkEditor(PromptTags(text, message_id="", notation=notation), cut=_CUT)
    for mark in editor.marks:
        if f"{mark.kind}s" not in keep:
            editor.remove(mark)
    if "prompts" not in keep:
        for match in editor.tags.matches:
            editor.remove(match)
    return _EMPTIED.sub("", editor.composed(()).text).replace(_CUT, "")
