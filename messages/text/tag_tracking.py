"""Which prompt holds each tag of a text that was changed as a whole."""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import count
from typing import NamedTuple

from limner.messages.ids import prompt_id
from limner.messages.prompts import TagOwner
from limner.messages.registry import Registry
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import Tags, canonical


def track_tags(
    text: str,
    changed: str,
    registry: Registry,
    *,
    message_id: str,
    notation: Notation = Notation(),  # noqa: B008  # it is immutable
) -> tuple[TagOwner, ...] | None:
    """Give the claims of a changed text: each tag stays with its prompt, wherever it stands now.

    A tag that has marks directly after it is held by their prompt, or by the one of that prompt's
    history that says what the tag says. Any other keeps its holder: of tags that say the same it
    is the one whose surroundings or neighbours are the same, else the first. A tag that says again
    what a prompt of its holder's history said is held by that one. What is new is held by the
    first prompt of its text whose history holds no other tag.

    Args:
        text: the text as it was, which UTF-8 can carry.
        changed: the text as it is now.
        registry: what is known of the message.
        message_id: the message.
        notation: how prompts and pictures stand in the text.

    Returns:
        All claims, no two for one prompt; `None` if nothing about the tags has changed.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
    """
    if changed == text or not (registry.prompts or registry.links or registry.claims):
        return None
    before, after = (
        Tags(one, registry, message_id=message_id, notation=notation) for one in (text, changed)
    )
    old, new = _blocks(before), _blocks(after)
    pairs = _paired(old, new)
    same = [(one.text, one.marks) for one in old] == [(one.text, one.marks) for one in new]
    if same and all(at == was for at, was in pairs.items()):
        return None
    history = _History(registry)
    came = {
        at: before.holders[was]
        if old[was].said == new[at].said
        else history.again(before.holders[was], new[at].said)
        for at, was in pairs.items()
    }
    counts: dict[str, Iterator[int]] = defaultdict(count)

    def named(at: int, ordinals: Iterable[int]) -> Iterator[str]:
        names = (prompt_id(message_id, new[at].text, ordinal) for ordinal in ordinals)
        return (one for one in names if history.root(one) not in roots)

    ways: tuple[Callable[[int], Iterable[str | None]], ...] = (
        lambda at: history.confirmed(came.get(at), new[at]),
        lambda at: history.shown(new[at]),
        lambda at: (came.get(at),),
        lambda at: named(at, (after.matches[at].ordinal,)),
        lambda at: named(at, counts[new[at].text]),
    )
    holders: dict[int, str] = {}
    taken: set[str] = set()
    roots: set[str] = set()
    for way in ways:
        for at in range(len(new)):
            if at not in holders:
                free = (one for one in way(at) if one is not None and one not in taken)
                if holder := next(free, None):
                    holders[at] = holder
                    taken.add(holder)
                    roots.add(history.root(holder))
    return after.held_by([holders[at] for at in range(len(new))]).claims


class _Block(NamedTuple):
    """A tag and what stands after it.

    Args:
        piece: the text from it to the next tag.
        text: its prompt.
        said: its prompt, as it is compared.
        marks: the ids of the marks directly after it.
    """

    piece: str
    text: str
    said: str
    marks: tuple[str, ...]

    @property
    def prompts(self) -> Iterator[str]:
        """Whose marks stand there."""
        return (name.partition(":")[0] for name in self.marks)


def _blocks(tags: Tags) -> list[_Block]:
    marks: list[list[str]] = [[] for _ in tags.matches]
    for name, at in MarkEditor(tags).after.items():
        marks[at].append(name)
    ends = [*(one.start for one in tags.matches[1:]), len(tags.text)]
    return [
        _Block(tags.text[one.start : end], one.text, canonical(one.text), tuple(beside))
        for one, end, beside in zip(tags.matches, ends, marks, strict=False)
    ]


def _paired(old: Sequence[_Block], new: Sequence[_Block]) -> dict[int, int]:
    """Give to tags of the new text which of the old they are, by what both have in common.

    What has more in common goes first: all up to the next tag, then the marks, then the prompt,
    then the place. Of what is alike the neighbours of what is paired are the same, from both ends
    of the text on (as in Heckel, 1978), else the first and the first.
    """
    keys: tuple[Callable[[_Block], Hashable], ...] = (
        lambda one: one.piece,
        lambda one: (one.said, one.marks),
        lambda one: one.said,
        lambda _: None,
    )
    pairs = {-1: -1, len(new): len(old)}
    free = dict.fromkeys(range(len(old)))
    for key in keys:
        was, now = list(map(key, old)), list(map(key, new))
        for step in (1, -1):
            for at in range(len(new))[::step]:
                one = pairs.get(at - step, -2) + step
                if at not in pairs and one in free and was[one] == now[at]:
                    pairs[at] = one
                    del free[one]
        waiting: dict[Hashable, deque[int]] = defaultdict(deque)
        for one in free:
            waiting[was[one]].append(one)
        for at in range(len(new)):
            if at not in pairs and (alike := waiting.get(now[at])):
                pairs[at] = alike.popleft()
                del free[pairs[at]]
    return {at: one for at, one in pairs.items() if 0 <= at < len(new)}


class _History:
    """What the prompts of a registry say, and which of them come of one root."""

    def __init__(self, registry: Registry) -> None:
        self._says: dict[str, str] = {}
        self._parents: dict[str, str | None] = {}
        self._roots: dict[str, str] = {}
        self._newest: dict[tuple[str, str], str] = {}  # of a root, by what it says
        for one in registry.prompts:  # parents come before their children
            root = one.id if one.parent_id is None else self.root(one.parent_id)
            self._roots[one.id] = root
            self._parents[one.id] = one.parent_id
            self._says[one.id] = said = canonical(one.text)
            self._newest[root, said] = one.id

    def root(self, prompt: str) -> str:
        """Give the id of the prompt that a history began with."""
        return self._roots.get(prompt, prompt)

    def again(self, holder: str, said: str) -> str | None:
        """Give the prompt that says something in the history of another: its parent if that did."""
        parent = self._parents.get(holder)
        if parent is not None and self._says.get(parent) == said:
            return parent
        return self._newest.get((self.root(holder), said))

    def confirmed(self, holder: str | None, tag: _Block) -> Iterator[str]:
        """Give the holder of a tag if a mark of its history stands there."""
        if holder is not None and self.root(holder) in map(self.root, tag.prompts):
            yield holder

    def shown(self, tag: _Block) -> Iterator[str | None]:
        """Give the prompts that a tag says, by the marks that stand there."""
        yield from (one for one in tag.prompts if self._says.get(one) == tag.said)
        yield from (self._newest.get((self.root(one), tag.said)) for one in tag.prompts)
