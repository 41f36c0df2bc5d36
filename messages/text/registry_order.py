"""The prompts of a registry in the order of the text."""

from limner.messages.registry import Registry
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags


def in_text_order(
    registry: Registry, text: str, *, message_id: str, notation: Notation
) -> Registry:
    """Return a registry whose prompts come in the order of their tags.

    Prompts that were refined from one prompt stay together, oldest first, at the first tag of any
    of them. Those without a tag in the text come last, in the order in which they became known.

    Args:
        registry: what is known of the message.
        text: its text.
        message_id: the message.
        notation: how prompts stand in the text.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
    """
    tags = PromptTags(text, registry, message_id=message_id, notation=notation)
    roots = _roots(registry)
    places: dict[str, int] = {}  # of the first tag, by the root's id
    for prompt in registry.prompts:
        at, root = tags.index(prompt.id), roots[prompt.id]
        if at is not None:
            places[root] = min(at, places.get(root, at))
    last = len(tags.matches)
    ordered = sorted(
        registry.prompts, key=lambda prompt: places.get(roots[prompt.id], last)
    )  # which keeps the order of what is at one place
    return registry.but(prompts=tuple(ordered))


def _roots(registry: Registry) -> dict[str, str]:
    """Return the id of the root of each prompt, by the prompt's id."""
    parents = {prompt.id: prompt.parent_id for prompt in registry.prompts}
    roots: dict[str, str] = {}
    for name in parents:
        line: dict[str, None] = {}
        above: str | None = name
        # a registry that another program has damaged may have a circle of parents
        while above in parents and above not in roots and above not in line:
            line[above] = None
            above = parents[above]
        if line:
            root = roots.get(above or "", next(reversed(line)))
            roots.update(dict.fromkeys(line, root))
    return roots
