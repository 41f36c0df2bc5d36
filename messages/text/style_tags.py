"""Tags of style: what goes to a generator with every prompt."""

from typing import Literal


def styled(prompt: str, common_tags: str, position: Literal["prefix", "suffix"]) -> str:
    """Join a prompt and the tags that are common to all, separated by commas, none of these twice.

    A common tag that the prompt has already, in whatever case and spacing, is left out. The prompt
    itself stays as it is.

    Args:
        prompt: what is to be drawn.
        common_tags: separated by commas; empty for none.
        position: whether they stand before the prompt or after it.
    """
    known = {_same(one) for one in prompt.split(",")} | {""}
    tags = []
    for one in common_tags.split(","):
        if _same(one) not in known:
            known.add(_same(one))
            tags.append(one.strip())
    if not tags:
        return prompt
    parts = [*tags, prompt] if position == "prefix" else [prompt, *tags]
    return ", ".join(part for part in parts if part.strip())


def _same(tag: str) -> str:
    return " ".join(tag.split()).casefold()
