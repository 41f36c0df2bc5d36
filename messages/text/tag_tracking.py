"""Which prompt owns each tag of a text after a host has edited the text."""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from limner.messages.prompts import TagOwner
from limner.messages.registry import Registry
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.tag_owners import History, TagWithMarks, assign_owners


def track_tags(
    text: str,
    changed: str,
    registry: Registry,
    *,
    message_id: str,
    notation: Notation = Notation(),  # noqa: B008  # it is immutable
) -> tuple[TagOwner, ...] | None:
    """Return the tag owners of a changed text: each tag stays with its prompt, wherever it is now.

    The owner of a tag is the first of these:

    - The prompt of the marks directly after the tag, or the prompt of that one's history that has
      the tag's text.
    - The owner of the same tag in the old text. If several tags have the same text, the same tag is
      the one with the same surroundings or neighbours, else the first. If the tag's text was
      changed to one that is in its owner's history, the owner is the prompt that has that text.
    - For a new tag, the first prompt of its text whose history owns no other tag.

    Args:
        text: the text as it was, which UTF-8 can carry.
        changed: the text as it is now.
        registry: what is known of the message.
        message_id: the message.
        notation: how prompts and pictures stand in the text.

    Returns:
        The owners of all tags that belong to another prompt than their text and ordinal name, no
        prompt twice; `None` if nothing about the tags has changed.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
    """
    if changed == text or not (registry.prompts or registry.links or registry.claims):
        return None
    before, after = (
        PromptTags(state, registry, message_id=message_id, notation=notation)
        for state in (text, changed)
    )
    old, new = _blocks(before), _blocks(after)
    pairs = _paired(old, new)
    same = [(block.tag.text, block.marks) for block in old] == [
        (block.tag.text, block.marks) for block in new
    ]
    if same and all(at == was for at, was in pairs.items()):
        return None
    history = History(registry)
    came = {
        at: before.owners[was]
        if old[was].tag.compared == new[at].tag.compared
        else history.with_text(before.owners[was], new[at].tag.compared)
        for at, was in pairs.items()
    }
    return after.owned_by(
        assign_owners([block.tag for block in new], came, history, message_id)
    ).claims


class _Block(NamedTuple):
    """A tag and the text after it.

    Args:
        piece: the text from the tag to the next tag.
        tag: the tag.
        marks: the ids of the marks directly after the tag.
    """

    piece: str
    tag: TagWithMarks
    marks: tuple[str, ...]


def _blocks(tags: PromptTags) -> list[_Block]:
    ends = [*(match.start for match in tags.matches[1:]), len(tags.text)]
    return [
        _Block(tags.text[match.start : end], tag, tuple(marks))
        for match, end, tag, marks in zip(
            tags.matches, ends, tags.with_marks, tags.first_beside, strict=False
        )
    ]


def _paired(old: Sequence[_Block], new: Sequence[_Block]) -> dict[int, int]:
    """Return pairs of tags that are the same in both texts: the old index by the new one.

    Tags that have more in common are paired first: all up to the next tag, then the marks, then the
    prompt, then the position alone. Among equal candidates the neighbours of a pair are paired,
    from both ends of the text (as in Heckel, 1978), then the first with the first.
    """
    keys: tuple[Callable[[_Block], Hashable], ...] = (
        lambda block: block.piece,
        lambda block: (block.tag.compared, block.marks),
        lambda block: block.tag.compared,
        lambda _: None,
    )
    pairs = {-1: -1, len(new): len(old)}
    free = dict.fromkeys(range(len(old)))
    for key in keys:
        was, now = list(map(key, old)), list(map(key, new))
        for step in (1, -1):
            for at in range(len(new))[::step]:
                neighbour = pairs.get(at - step, -2) + step
                if at not in pairs and neighbour in free and was[neighbour] == now[at]:
                    pairs[at] = neighbour
                    del free[neighbour]
        waiting: dict[Hashable, deque[int]] = defaultdict(deque)
        for before in free:
            waiting[was[before]].append(before)
        for at in range(len(new)):
            if at not in pairs and (alike := waiting.get(now[at])):
                pairs[at] = alike.popleft()
                del free[pairs[at]]
    return {at: before for at, before in pairs.items() if 0 <= at < len(new)}
