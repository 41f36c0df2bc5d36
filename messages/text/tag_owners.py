"""Which prompt owns each tag: the marks beside a tag tell more than its text and ordinal."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple

from limner.messages.ids import prompt_id
from limner.messages.registry import Registry
from limner.messages.text.entities import canonical


class TagWithMarks(NamedTuple):
    """A tag, and the marks directly after it.

    Args:
        text: the tag's prompt.
        ordinal: how many tags with this same text stand before it.
        compared: the tag's prompt in the form in which prompts are compared.
        prompts: the ids of the prompts whose marks stand directly after the tag.
    """

    text: str
    ordinal: int
    compared: str
    prompts: tuple[str, ...]


def assign_owners(
    tags: Sequence[TagWithMarks],
    came: Mapping[int, str | None],
    history: "History",
    message_id: str,
) -> list[str]:
    """Return the id of the prompt that owns each tag, no prompt twice.

    The owner is the first of these that owns no tag yet. Each is tried for all tags before the
    next.

    - The owner that the tag is believed to have, if a mark of its history is beside the tag.
    - A prompt whose mark is beside the tag, or one of its history, that has the tag's text.
    - The owner that the tag is believed to have.
    - The first prompt of the tag's text whose history owns no other tag.

    Args:
        tags: the tags in their order.
        came: the owners that the tags are believed to have, by the index of the tag.
        history: of the message's prompts.
        message_id: the message.
    """
    counts: dict[str, Iterator[int]] = defaultdict(count)

    def named(at: int, ordinals: Iterable[int]) -> Iterator[str]:
        names = (prompt_id(message_id, tags[at].text, ordinal) for ordinal in ordinals)
        return (name for name in names if history.root(name) not in roots)

    ways: tuple[Callable[[int], Iterable[str | None]], ...] = (
        lambda at: history.confirmed_owner(came.get(at), tags[at]),
        lambda at: history.shown_by_marks(tags[at]),
        lambda at: (came.get(at),),
        lambda at: named(at, (tags[at].ordinal,)),
        lambda at: named(at, counts[tags[at].text]),
    )
    owners: dict[int, str] = {}
    taken: set[str] = set()
    roots: set[str] = set()
    for way in ways:
        for at in range(len(tags)):
            if at not in owners:
                free = (name for name in way(at) if name is not None and name not in taken)
                if owner := next(free, None):
                    owners[at] = owner
                    taken.add(owner)
                    roots.add(history.root(owner))
    return [owners[at] for at in range(len(tags))]


class History:
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

    def has_text_of(self, one: str, other: str) -> bool:
        """Return whether two known prompts of different histories have the same text."""
        return (
            self.root(one) != self.root(other)
            and one in self._texts
            and self._texts[one] == self._texts.get(other)
        )

    def confirmed_owner(self, owner: str | None, tag: TagWithMarks) -> Iterator[str]:
        """Yield the owner of a tag if a mark of its history stands directly after the tag."""
        if owner is not None and self.root(owner) in map(self.root, tag.prompts):
            yield owner

    def shown_by_marks(self, tag: TagWithMarks) -> Iterator[str | None]:
        """Yield the prompts of a tag's text that the marks directly after the tag name."""
        yield from (name for name in tag.prompts if self._texts.get(name) == tag.compared)
        yield from (self._newest.get((self.root(name), tag.compared)) for name in tag.prompts)
