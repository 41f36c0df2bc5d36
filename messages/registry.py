"""What is known of one message: its prompts, their history, their pictures, as one value."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from limner.messages.base import Value
from limner.messages.pictures import Picture, Placement
from limner.messages.prompts import Prompt, TagOwner
from limner.messages.tasks import Task
from limner.messages.text.marks import marked

Version = int | str
"""A store's name for one state of a text; only compared for equality."""


class RegistryUpdate(Value):
    """What a write settles, for the registry.

    Args:
        prompts: the prompts that the tasks were for.
        tasks: the session's tasks, each in a final state.
        placed: pictures that are in the text now.
        removed: ids of placements that this write has taken out of the text on purpose.
        claims: all the tags of the text that are held by another prompt than the one that their
            text and ordinal name; `None` leaves what is known of them.
        anew: whether the text is a new one: then what stood in the old one and not in this has
            no claim on it any more.
    """

    prompts: tuple[Prompt, ...] = ()
    tasks: tuple[Task, ...] = ()
    placed: tuple[Placement, ...] = ()
    removed: tuple[str, ...] = ()
    claims: tuple[TagOwner, ...] | None = None
    anew: bool = False


State = Literal["kept", "pending", "placed", "past"]
"""A picture at a prompt: in no text yet; in one that is being written; in the text; in it once,
and not any more by anybody's wish."""


class Link(Value):
    """One picture at one prompt, and where it stands."""

    placement: Placement
    state: State


class Registry(Value):
    """What is known of one message. Immutable; each change gives the next one.

    It is what any store has to remember beside the text, and can be kept as one JSON document.

    Args:
        prompts: in the order in which they became known; never taken away or changed.
        links: the pictures, oldest first.
        claims: tags that are held by another prompt than their text and ordinal name.
    """

    prompts: tuple[Prompt, ...] = ()
    links: tuple[Link, ...] = ()
    claims: tuple[TagOwner, ...] = ()

    def prompt(self, prompt_id: str) -> Prompt | None:
        """Give a prompt by its id, or `None` if it is not known."""
        return next((one for one in self.prompts if one.id == prompt_id), None)

    def pictures(self, prompt_id: str) -> tuple[Link, ...]:
        """Give the pictures of a prompt, oldest first."""
        return tuple(one for one in self.links if one.placement.prompt_id == prompt_id)

    def kept(self) -> dict[str, Picture]:
        """Give the newest picture of each prompt that is kept but in no text yet."""
        return {
            one.placement.prompt_id: one.placement.picture
            for one in self.links
            if one.state == "kept"
        }

    def line(self, prompt_id: str) -> tuple[Prompt, ...]:
        """Give the history of a prompt: from its root through it to the newest that follows it."""
        known = {prompt.id: prompt for prompt in self.prompts}
        children = {one.parent_id: one for one in self.prompts if one.parent_id is not None}
        line = {prompt.id: prompt for prompt in [*_up(known, prompt_id)][::-1]}
        while line and (child := children.get(next(reversed(line)))) and child.id not in line:
            line[child.id] = child
        return tuple(line.values())

    def add(self, *prompts: Prompt) -> "Registry":
        """Give it with prompts that may be new; one that is known already stays as it is."""
        return self.but(prompts=tuple(self._by_id(prompts).values()))

    def keep(self, task: Task, picture: Picture) -> "Registry":
        """Give it with a finished picture as the newest, in no text yet.

        One that is placed stays so, as a picture is in a text once. One that was is kept again.
        """
        return self.keep_all([(task, picture)])

    def keep_all(self, finished: Iterable[tuple[Task, Picture]]) -> "Registry":
        """Give it with finished pictures and the tasks that they were made for, one by one."""
        links = {one.placement.id: one for one in self.links}
        prompts = self._by_id()
        for task, picture in finished:
            placement = Placement.trusted(
                prompt_id=task.prompt_id, prompt=task.prompt, picture=picture, task_id=task.id
            )
            name = placement.id
            before = links.pop(name, None)  # so that it is the newest
            state: State = "placed" if before and before.state == "placed" else "kept"
            links[name] = Link.trusted(placement=placement, state=state)
            if placement.prompt_id not in prompts:
                prompts[placement.prompt_id] = _named(task.message_id, placement, task.ordinal)
        return self.but(prompts=tuple(prompts.values()), links=tuple(links.values()))

    def settle(self, message_id: str, links: RegistryUpdate, text: str) -> "Registry":
        """Give it after a write.

        Args:
            message_id: whose registry it is.
            links: what the write settles.
            text: the text that was written; in one that is anew the marks say what stands there.
        """
        if not (self.links or self.claims or links.prompts or links.placed or links.claims):
            return self  # as for most texts
        placed = {one.id: one for one in links.placed}
        removed = frozenset(links.removed)
        marks: frozenset[str] | None = None
        known: dict[str, Link] = {}
        for one in self.links:
            name, state = one.placement.id, one.state
            if name in placed:
                state = "placed"
            elif name in removed:
                state = "past"
            elif state == "placed" and links.anew:
                marks = marked(text) if marks is None else marks
                state = "placed" if name in marks else "past"
            same = state == one.state
            known[name] = one if same else Link.trusted(placement=one.placement, state=state)
        prompts = self._by_id(links.prompts)
        for name, placement in placed.items():
            if name not in known:
                known[name] = Link.trusted(placement=placement, state="placed")
            if placement.prompt_id not in prompts:
                prompts[placement.prompt_id] = _named(message_id, placement)
        claims = links.claims if links.claims is not None else () if links.anew else self.claims
        return self.trusted(
            prompts=tuple(prompts.values()), links=tuple(known.values()), claims=claims
        )

    def _by_id(self, more: Iterable[Prompt] = ()) -> dict[str, Prompt]:
        known = {prompt.id: prompt for prompt in self.prompts}
        for prompt in more:
            known.setdefault(prompt.id, prompt)
        return known


def _named(message_id: str, placement: Placement, ordinal: int = 0) -> Prompt:
    """Give the prompt of a placement, for a registry that does not know it any better."""
    return Prompt.trusted(
        id=placement.prompt_id,
        message_id=message_id,
        text=placement.prompt,
        ordinal=ordinal,
        parent_id=None,
        source="streamed",
        feedback=None,
    )


def _up(known: Mapping[str, Prompt], prompt_id: str | None) -> Iterator[Prompt]:
    """Go from a prompt to its root; a registry that another program has bent may have a ring."""
    seen: set[str] = set()
    while prompt_id is not None and prompt_id in known and prompt_id not in seen:
        seen.add(prompt_id)
        yield known[prompt_id]
        prompt_id = known[prompt_id].parent_id
