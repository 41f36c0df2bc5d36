"""The registry of one message: its prompts, their history and their pictures, as one value."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from limner.messages.base import Value
from limner.messages.ids import owner_id
from limner.messages.pictures import MarkedFailure, Picture, Placement
from limner.messages.prompts import Prompt, TagOwner
from limner.messages.tasks import Task
from limner.messages.text.marks import failures_marked, marked

Version = int | str
"""A store's name for one state of a text; versions are only compared for equality."""


class RegistryUpdate(Value):
    """The changes of the registry that a store commits together with a text.

    Args:
        prompts: the prompts that the tasks were for.
        tasks: the session's tasks, each in a final state.
        placed: the pictures that are in the text now.
        removed: ids of the placements that this write has taken out of the text on purpose.
        claims: the owners of all tags of the text that belong to another prompt than their text
            and ordinal name; `None` leaves the known owners as they are.
        anew: whether the text replaces the old one as a whole. Then pictures of the old text that
            are not in the new one become `past`, failures whose marks are not in it are forgotten,
            and the known tag owners are dropped.
        failures: the failures that this write has left marks of in the text.
        answered: ids of failures that are over: a picture came, or their marks were taken out.
    """

    prompts: tuple[Prompt, ...] = ()
    tasks: tuple[Task, ...] = ()
    placed: tuple[Placement, ...] = ()
    removed: tuple[str, ...] = ()
    claims: tuple[TagOwner, ...] | None = None
    anew: bool = False
    failures: tuple[MarkedFailure, ...] = ()
    answered: tuple[str, ...] = ()

    @property
    def without_failures(self) -> set[str]:
        """The fields that an earlier Limner does not know, if they are empty."""
        return {name for name in ("failures", "answered") if not getattr(self, name)}


State = Literal["kept", "pending", "placed", "past"]
"""The state of a picture at a prompt. `kept`: in no text yet. `pending`: in a text that is being
written. `placed`: in the text. `past`: it was in the text, and was taken out on purpose."""


class Link(Value):
    """One picture at one prompt, and its state."""

    placement: Placement
    state: State


class Registry(Value):
    """The prompts and pictures of one message. Immutable: each change returns a new registry.

    A store keeps it beside the text. It can be kept as one JSON document.

    Args:
        prompts: in the order in which they became known; never removed or changed.
        links: the pictures, oldest first.
        claims: the owners of tags that belong to another prompt than their text and ordinal name.
        owners: on whose behalf pictures were requested: hashes of their names, sorted.
        failures: those whose marks are in the text, or should be; in the order of the writes.
    """

    prompts: tuple[Prompt, ...] = ()
    links: tuple[Link, ...] = ()
    claims: tuple[TagOwner, ...] = ()
    owners: tuple[str, ...] = ()
    failures: tuple[MarkedFailure, ...] = ()

    def prompt(self, prompt_id: str) -> Prompt | None:
        """Return a prompt by its id, or `None` if it is not known."""
        return next((prompt for prompt in self.prompts if prompt.id == prompt_id), None)

    def pictures(self, prompt_id: str) -> tuple[Link, ...]:
        """Return the pictures of a prompt, oldest first."""
        return tuple(link for link in self.links if link.placement.prompt_id == prompt_id)

    def kept(self) -> dict[str, Picture]:
        """Return the newest kept picture of each prompt that has one, by the prompt's id."""
        return {
            link.placement.prompt_id: link.placement.picture
            for link in self.links
            if link.state == "kept"
        }

    def with_kept(self, sound: Mapping[str, Picture]) -> "Registry":
        """Return this registry, of what is kept only with pictures that are sound.

        Args:
            sound: of each prompt that has one, by the prompt's id: its newest kept picture whose
                bytes are not lost.
        """
        return self.but(
            links=tuple(
                link
                for link in self.links
                if link.state != "kept"
                or (
                    (found := sound.get(link.placement.prompt_id)) is not None
                    and found.id == link.placement.picture.id
                )
            )
        )

    def line(self, prompt_id: str) -> tuple[Prompt, ...]:
        """Return the history of a prompt: from its root, over itself, to its newest descendant.

        Empty if the prompt is not known.
        """
        known = {prompt.id: prompt for prompt in self.prompts}
        children = {
            prompt.parent_id: prompt for prompt in self.prompts if prompt.parent_id is not None
        }
        line = {prompt.id: prompt for prompt in [*_ancestors(known, prompt_id)][::-1]}
        while line and (child := children.get(next(reversed(line)))) and child.id not in line:
            line[child.id] = child
        return tuple(line.values())

    def add(self, *prompts: Prompt) -> "Registry":
        """Return the registry with further prompts; one that is known already stays as it is."""
        return self.but(prompts=tuple(self._by_id(prompts).values()))

    def keep(self, task: Task, picture: Picture) -> "Registry":
        """Return the registry with a finished picture as the newest one, in state `kept`.

        A picture that is `placed` stays so, since it can be in a text only once. One that is
        `past` becomes `kept` again.
        """
        return self.keep_all([(task, picture)])

    def keep_all(self, finished: Iterable[tuple[Task, Picture]]) -> "Registry":
        """Return the registry after `keep` of several pictures, in order.

        Args:
            finished: tasks and the pictures that were made for them.
        """
        finished = tuple(finished)
        links = {link.placement.id: link for link in self.links}
        prompts = self._by_id()
        for task, picture in finished:
            placement = Placement.trusted(
                prompt_id=task.prompt_id,
                prompt=task.prompt,
                picture=picture,
                task_id=task.id,
                ordinal=task.ordinal,
            )
            name = placement.id
            before = links.pop(name, None)  # so that it comes last, as the newest
            state: State = "placed" if before and before.state == "placed" else "kept"
            links[name] = Link.trusted(placement=placement, state=state)
            if placement.prompt_id not in prompts:
                prompts[placement.prompt_id] = _prompt_of(task.message_id, placement)
        return self.but(
            prompts=tuple(prompts.values()),
            links=tuple(links.values()),
            owners=self._owners_with(task for task, _ in finished),
        )

    def settle(self, message_id: str, links: RegistryUpdate, text: str) -> "Registry":
        """Return the registry after a write.

        Args:
            message_id: the message whose registry it is.
            links: the changes that belong to the write.
            text: the text that was written; if it is `anew`, its marks tell which pictures are
                in it.
        """
        settles = links.prompts or links.placed or links.claims or links.tasks or links.failures
        if not (self.links or self.claims or self.failures or settles):
            return self  # as for most texts
        placed = {placement.id: placement for placement in links.placed}
        removed = frozenset(links.removed)
        marks: frozenset[str] | None = None
        known: dict[str, Link] = {}
        for link in self.links:
            name, state = link.placement.id, link.state
            if name in placed:
                state = "placed"
            elif name in removed:
                state = "past"
            elif state == "placed" and links.anew:
                marks = marked(text) if marks is None else marks
                state = "placed" if name in marks else "past"
            same = state == link.state
            known[name] = link if same else Link.trusted(placement=link.placement, state=state)
        prompts = self._by_id(links.prompts)
        for name, placement in placed.items():
            if name not in known:
                known[name] = Link.trusted(placement=placement, state="placed")
            if placement.prompt_id not in prompts:
                prompts[placement.prompt_id] = _prompt_of(message_id, placement)
        claims = links.claims if links.claims is not None else () if links.anew else self.claims
        return self.trusted(
            prompts=tuple(prompts.values()),
            links=tuple(known.values()),
            claims=claims,
            owners=self._owners_with(links.tasks),
            failures=self._failures_after(links, text),
        )

    def _failures_after(self, links: RegistryUpdate, text: str) -> tuple[MarkedFailure, ...]:
        """Return the failures whose marks should be in the text after a write."""
        if not (self.failures or links.failures):
            return ()
        left = self.failures
        if left and links.anew:
            marks = failures_marked(text)
            left = tuple(failed for failed in left if failed.id in marks)
        failures = {failed.id: failed for failed in (*left, *links.failures)}
        for name in links.answered:
            failures.pop(name, None)
        return tuple(failures.values())

    def _owners_with(self, tasks: Iterable[Task]) -> tuple[str, ...]:
        new = {owner_id(task.owner) for task in tasks if task.owner is not None}
        return self.owners if new <= {*self.owners} else tuple(sorted(new.union(self.owners)))

    def _by_id(self, more: Iterable[Prompt] = ()) -> dict[str, Prompt]:
        known = {prompt.id: prompt for prompt in self.prompts}
        for prompt in more:
            known.setdefault(prompt.id, prompt)
        return known


def _prompt_of(message_id: str, placement: Placement) -> Prompt:
    """Return the prompt of a placement, as far as the placement tells."""
    return Prompt.trusted(
        id=placement.prompt_id,
        message_id=message_id,
        text=placement.prompt,
        ordinal=placement.ordinal,
        parent_id=None,
        source="streamed",
        feedback=None,
    )


def _ancestors(known: Mapping[str, Prompt], prompt_id: str | None) -> Iterator[Prompt]:
    """Yield a prompt, its parent, and so on up to its root."""
    # a registry that another program has damaged may have a circle of parents
    seen: set[str] = set()
    while prompt_id is not None and prompt_id in known and prompt_id not in seen:
        seen.add(prompt_id)
        yield known[prompt_id]
        prompt_id = known[prompt_id].parent_id
