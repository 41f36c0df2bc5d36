"""Style tags: what a generator gets with every prompt."""

from typing import Literal


def styled(prompt: str, common_tags: str, position: Literal["prefix", "suffix"]) -> str:
    """Return a prompt joined with the style tags that are common to all prompts.

    A style tag that the prompt has already, in whatever case and spacing, is left out, and none is
    added twice. The prompt itself stays as it is.

    Args:
        prompt: what to draw.
        common_tags: style tags separated by commas; empty for none.
        position: whether they stand before the prompt or after it.
    """
    known = {_comparable(tag) for tag in prompt.split(",")} | {""}
    tags = []
    for tag in common_tags.split(","):
        if _comparable(tag) not in known:
            known.add(_comparable(tag))
            tags.append(tag.strip())
    if not tags:
        return prompt
    parts = [*tags, prompt] if position == "prefix" else [prompt, *tags]
    return ", ".join(part for part in parts if part.strip())


def _comparable(tag: str) -> str:
    return " ".join(tag.split()).casefold()
