"""Which prompt owns each tag of a text after a host has edited the text."""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

from limner.messages.ids import prompt_id
from limner.messages.prompts import TagOwner
from limner.messages.registry import Registry
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags, canonical


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
    same = [(tag.text, tag.marks) for tag in old] == [(tag.text, tag.marks) for tag in new]
    if same and all(at == was for at, was in pairs.items()):
        return None
    history = _History(registry)
    came = {
        at: before.owners[was]
        if old[was].compared == new[at].compared
        else history.with_text(before.owners[was], new[at].compared)
        for at, was in pairs.items()
    }
    counts: dict[str, Iterator[int]] = defaultdict(count)

    def named(at: int, ordinals: Iterable[int]) -> Iterator[str]:
        names = (prompt_id(message_id, new[at].text, ordinal) for ordinal in ordinals)
        return (name for name in names if history.root(name) not in roots)

    ways: tuple[Callable[[int], Iterable[str | None]], ...] = (
        lambda at: history.confirmed_owner(came.get(at), new[at]),
        lambda at: history.shown_by_marks(new[at]),
        lambda at: (came.get(at),),
        lambda at: named(at, (after.matches[at].ordinal,)),
        lambda at: named(at, counts[new[at].text]),
    )
    owners: dict[int, str] = {}
    taken: set[str] = set()
    roots: set[str] = set()
    for way in ways:
        for at in range(len(new)):
            if at not in owners:
                free = (name for name in way(at) if name is not None and name not in taken)
                if owner := next(free, None):
                    owners[at] = owner
                    taken.add(owner)
                    roots.add(history.root(owner))
    return after.owned_by([owners[at] for at in range(len(new))]).claims


class _Block(NamedTuple):
    """A tag and the text after it.

    Args:
        piece: the text from the tag to the next tag.
        text: the tag's prompt.
        compared: the tag's prompt in the form in which prompts are compared.
        marks: the ids of the marks directly after the tag.
    """

    piece: str
    text: str
    compared: str
    marks: tuple[str, ...]

    @property
    def prompts(self) -> Iterator[str]:
        """The ids of the prompts whose marks stand directly after the tag."""
        return (name.partition(":")[0] for name in self.marks)


def _blocks(tags: PromptTags) -> list[_Block]:
    marks: list[list[str]] = [[] for _ in tags.matches]
    for name, at in MarkEditor(tags).tag_before.items():
        marks[at].append(name)
    ends = [*(match.start for match in tags.matches[1:]), len(tags.text)]
    return [
        _Block(tags.text[match.start : end], match.text, canonical(match.text), tuple(beside))
        for match, end, beside in zip(tags.matches, ends, marks, strict=False)
    ]


def _paired(old: Sequence[_Block], new: Sequence[_Block]) -> dict[int, int]:
    """Return pairs of tags that are the same in both texts: the old index by the new one.

    Tags that have more in common are paired first: all up to the next tag, then the marks, then the
    prompt, then the position alone. Among equal candidates the neighbours of a pair are paired,
    from both ends of the text (as in Heckel, 1978), then the first with the first.
    """
    keys: tuple[Callable[[_Block], Hashable], ...] = (
        lambda tag: tag.piece,
        lambda tag: (tag.compared, tag.marks),
        lambda tag: tag.compared,
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


class _History:
    """The texts of a registry's prompts, and which of them have the same root."""

    def __init__(self, registry: Registry) -> None:
        self._texts: dict[str, str] = {}
        self._parents: dict[str, str | None] = {}
        self._roots: dict[str, str] = {}
        self._newest: dict[tuple[str, str], str] = {}  # by root and text
        for prompt in registry.prompts:  # parents come before their children
            root = prompt.id if prompt.parent_id is None else self.root(prompt.parent_id)
            self._roots[prompt.id] = root
            self._parents[prompt.id] = prompt.parent_id
            self._texts[prompt.id] = compared = canonical(prompt.text)
            self._newest[root, compared] = prompt.id

    def root(self, prompt: str) -> str:
        """Return the id of the root of a prompt's history."""
        return self._roots.get(prompt, prompt)

    def with_text(self, owner: str, compared: str) -> str | None:
        """Return the prompt in the history of `owner` that has a text: its parent, else the newest.

        Args:
            owner: the prompt's id.
            compared: the text, in the form in which prompts are compared.
        """
        parent = self._parents.get(owner)
        if parent is not None and self._texts.get(parent) == compared:
            return parent
        return self._newest.get((self.root(owner), compared))

    def confirmed_owner(self, owner: str | None, tag: _Block) -> Iterator[str]:
        """Yield the owner of a tag if a mark of its history stands directly after the tag."""
        if owner is not None and self.root(owner) in map(self.root, tag.prompts):
            yield owner

    def shown_by_marks(self, tag: _Block) -> Iterator[str | None]:
        """Yield the prompts of a tag's text that the marks directly after the tag name."""
        yield from (name for name in tag.prompts if self._texts.get(name) == tag.compared)
        yield from (self._newest.get((self.root(name), tag.compared)) for name in tag.prompts)
