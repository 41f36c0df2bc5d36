"""The prompt tags of a text, and which prompt owns each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from limner.messages.errors import SettingsInvalid
from limner.messages.ids import prompt_id
from limner.messages.prompts import Prompt, PromptMatch, TagOwner
from limner.messages.registry import Registry
from limner.messages.text.entities import canonical, decoded_once, encoded, entity
from limner.messages.text.marks import Mark, find_marks
from limner.messages.text.notation import Notation
from limner.messages.text.patterns import compile_patterns
from limner.messages.text.scanner import find_prompts, prompt_of
from limner.messages.text.tag_owners import History, TagWithMarks, assign_owners

_ENDS_EARLY = "[<>]|(?<=-)-"
_ENDS_ATTRIBUTE = """[<>="'`]|(?<=-)-"""
_SYMBOL = r"[!-%'-/:<-@[-`{-~]"
_BEFORE_QUOTE = re.compile(r'["\\]')
_SPACE = re.compile(r"[ \t\r\n]{1,10}")


class PromptTags:
    """The prompt tags of a text, and which prompt owns each.

    A tag belongs to the prompt of a mark directly after it that has the tag's text, since another
    program may have removed an equal tag before it. Any other tag belongs to the prompt that
    `Registry.claims` names for it, else to the prompt that its text and ordinal name.

    Args:
        text: the text, which UTF-8 can carry.
        registry: what is known of the message; by default, nothing.
        message_id: the message whose text it is.
        notation: how prompts stand in it.
        matches: what `find_prompts` returns for this text, if that is known already.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
    """

    def __init__(
        self,
        text: str,
        registry: Registry | None = None,
        *,
        message_id: str,
        notation: Notation = Notation(),  # noqa: B008  # it is immutable
        matches: Sequence[PromptMatch] | None = None,
    ) -> None:
        self.text = text
        self.registry = registry or Registry()
        self.message_id = message_id
        self.notation = notation
        self.matches = tuple(_found(text, notation) if matches is None else matches)
        claims = self._claimed()
        owners = tuple(
            claims.get((match.text, match.ordinal)) or self._default(match)
            for match in self.matches
        )
        self.owners = self._confirmed(owners)
        """For each of `matches`, the id of the prompt that owns it."""

    @cached_property
    def marks(self) -> list[Mark]:
        """The marks of the text, in its order."""
        return find_marks(self.text, self.matches)

    @cached_property
    def marks_after(self) -> tuple[tuple[Mark, ...], ...]:
        """For each tag the marks directly after it, each directly after the one before.

        Each may be on a line of its own; before an image of the auto-illustrator extension may be
        any white space, as the extension has it.
        """
        starts = {found.start: found for found in self.marks}
        foreign = {
            _past_space(self.text, found.start): found for found in self.marks if found.foreign
        }
        after = []
        for match in self.matches:
            marks = []
            end = match.end
            while (
                (found := starts.get(end))
                or (found := starts.get(next_line(self.text, end)))
                or (foreign and (found := foreign.get(_past_space(self.text, end))))
            ):
                marks.append(found)
                end = found.end
            after.append(tuple(marks))
        return tuple(after)

    @cached_property
    def tag_before(self) -> dict[str, int]:
        """By each mark's id, the index of the tag that it first stands beside, whoever owns it."""
        before: dict[str, int] = {}
        for at, marks in enumerate(self.marks_after):
            for found in marks:
                if found.kind != "leftover":
                    before.setdefault(found.id, at)
        return before

    @cached_property
    def first_beside(self) -> tuple[tuple[str, ...], ...]:
        """For each tag the ids of the marks, leftovers too, that stand first beside it."""
        first: list[list[str]] = [[] for _ in self.matches]
        seen: set[str] = set()
        for at, marks in enumerate(self.marks_after):
            for found in marks:
                if found.id not in seen:
                    seen.add(found.id)
                    first[at].append(found.id)
        return tuple(map(tuple, first))

    @cached_property
    def with_marks(self) -> tuple[TagWithMarks, ...]:
        """For each tag its text, and the prompts whose marks stand beside it."""
        return tuple(
            TagWithMarks(
                match.text,
                match.ordinal,
                canonical(match.text),
                tuple(name.partition(":")[0] for name in names),
            )
            for match, names in zip(self.matches, self.first_beside, strict=True)
        )

    def _confirmed(self, owners: tuple[str, ...]) -> tuple[str, ...]:
        """Return the owners, where marks directly after the tags may name others."""
        if not self.registry.prompts or "data-limner" not in self.text:
            return owners
        for owner, names in zip(owners, self.first_beside, strict=True):
            prompts = {name.partition(":")[0] for name in names}
            if owner not in prompts and not prompts.isdisjoint(self.known):
                history = History(self.registry)
                came = dict(enumerate(owners))
                return tuple(assign_owners(self.with_marks, came, history, self.message_id))
        return owners

    def owner_of(self, match: PromptMatch) -> str:
        """Return the id of the prompt that owns a tag."""
        return self.owners[self.matches.index(match)]

    def of(self, prompt: str) -> PromptMatch | None:
        """Return the tag that the pictures of a prompt belong beside, if there is one.

        It is the tag that the prompt owns; else that of its nearest relative in the history, a
        descendant before others; else the tag that has the same text after decoding, since another
        program may have encoded or decoded the text.

        Args:
            prompt: the prompt's id.
        """
        at = self.index(prompt)
        return None if at is None else self.matches[at]

    def index(self, prompt: str) -> int | None:
        """Return the index in `matches` of the tag that `of` returns."""
        if prompt in self._owned:
            return self._owned[prompt]
        if prompt in self._of_relatives:
            return self._of_relatives[prompt]
        return self._of_decoded.get(prompt)

    @property
    def claims(self) -> tuple[TagOwner, ...]:
        """The owners of all tags that belong to another prompt than their text and ordinal name."""
        return tuple(
            TagOwner(prompt_id=owner, text=match.text, ordinal=match.ordinal)
            for match, owner in zip(self.matches, self.owners, strict=True)
            if owner != self._default(match)
        )

    def prompt(self, at: int) -> Prompt:
        """Return the prompt that owns a tag: as the registry has it, else as the tag has it.

        Args:
            at: the index of the tag.
        """
        owner = self.owners[at]
        if known := self.known.get(owner):
            return known
        named = Prompt.of(self.message_id, self.matches[at])
        if named.id == owner:
            return named
        return named.but(id=owner, ordinal=self._ordinals.get(owner, named.ordinal))

    @cached_property
    def known(self) -> dict[str, Prompt]:
        """The prompts that the registry knows, by their ids."""
        return {prompt.id: prompt for prompt in self.registry.prompts}

    def rewritten(self, changes: Mapping[int, Prompt]) -> "PromptTags":
        r"""Return the text with other prompts written into some of its tags, which own these then.

        Each prompt is escaped for its tag: `\"` and `\\` as the scanner reads them; `<`, `>` and
        `--` as HTML entities, so that no tag or comment ends early; in an element also `=`, quotes
        and backquotes, so that they begin no attribute. Other symbols and line ends are escaped
        only where the tag's pattern accepts them in no other way. A tag that has the same text
        already stays as it is. The other tags keep their owners.

        Args:
            changes: the new prompts by the index of their tags.

        Raises:
            SettingsInvalid: if a prompt cannot be written into its tag in a way that the scanner
                reads exactly this prompt from it.
        """
        owners, pieces, done = list(self.owners), [], 0
        expected = [(match.start, match.end, match.text) for match in self.matches]
        shift = 0
        for at, match in enumerate(self.matches):
            tag, said = match.tag, match.text
            if at in changes:
                owners[at] = changes[at].id
                if _on_one_line(changes[at].text) != _on_one_line(said):
                    tag, said = self._written(match, changes[at].text)
                    pieces += [self.text[done : match.start], tag]
                    done = match.end
            start = match.start + shift
            shift += len(tag) - len(match.tag)
            expected[at] = start, start + len(tag), said
        made = self.owned_by(owners)
        made.text = "".join([*pieces, self.text[done:]])
        if pieces:
            made.matches = tuple(_found(made.text, self.notation))
        if [(match.start, match.end, match.text) for match in made.matches] != expected:
            raise _unwritable(next(iter(changes.values())).text)
        return made

    def owned_by(self, owners: Sequence[str]) -> "PromptTags":
        """Return the same tags with other owners.

        Args:
            owners: the id of the owner of each of `matches`.
        """
        made = PromptTags.__new__(PromptTags)
        made.text, made.matches, made.notation = self.text, self.matches, self.notation
        made.registry, made.message_id = self.registry, self.message_id
        made.owners = tuple(owners)
        return made

    def _claimed(self) -> dict[tuple[str, int], str]:
        """Return the owners that the registry's claims name, by text and ordinal of their tags.

        Versions up to 0.1 recorded a tag's text as it stands in the tag, with its entities. Such a
        claim counts for the tag that says the same once decoded, unless a tag has its very text.
        """
        claims = {(owner.text, owner.ordinal): owner.prompt_id for owner in self.registry.claims}
        encoded_before = [(text, ordinal) for text, ordinal in claims if "&" in text]
        if encoded_before:
            tags = {(match.text, match.ordinal) for match in self.matches}
            for text, ordinal in encoded_before:
                if (text, ordinal) not in tags:
                    claims.setdefault((decoded_once(text), ordinal), claims[text, ordinal])
        return claims

    def _default(self, match: PromptMatch) -> str:
        return prompt_id(self.message_id, match.text, match.ordinal)

    @cached_property
    def _ordinals(self) -> dict[str, int]:
        """The ordinals of the tags, by the ids of the prompts that text and ordinal name."""
        return {self._default(match): match.ordinal for match in self.matches}

    @cached_property
    def _owned(self) -> dict[str, int]:
        """The index of the first tag of each owner, by the owner's id."""
        owned: dict[str, int] = {}
        for at, owner in enumerate(self.owners):
            owned.setdefault(owner, at)
        return owned

    @cached_property
    def _of_relatives(self) -> dict[str, int]:
        return self._nearest(self._owned)

    @cached_property
    def _of_decoded(self) -> dict[str, int]:
        """By a prompt's id, the tag that has its text, or its nearest relative's, once decoded."""
        alike: dict[str, list[int]] = {}
        for at, match in enumerate(self.matches):
            alike.setdefault(canonical(match.text), []).append(at)
        claimed = {owner.prompt_id: owner.ordinal for owner in self.registry.claims}
        found: dict[str, int] = {}
        for prompt in self.registry.prompts:
            tags = alike.get(canonical(prompt.text), ())
            ordinal = claimed.get(prompt.id, prompt.ordinal)
            if ordinal < len(tags) and self.owners[tags[ordinal]] not in self.known:
                found[prompt.id] = tags[ordinal]
        return self._nearest(found)

    def _nearest(self, owned: Mapping[str, int]) -> dict[str, int]:
        """Return the tag of each prompt: its own, else that of its nearest relative.

        Args:
            owned: indexes of tags by the ids of the prompts that have one of their own.
        """
        parents = {prompt.id: prompt.parent_id for prompt in self.registry.prompts}
        children: dict[str, list[str]] = {}
        order = []
        for name, parent in parents.items():
            if parent is not None:
                children.setdefault(parent, []).append(name)
            if parent is None or parent not in parents:
                order.append(parent or name)
        order = list(dict.fromkeys(order))
        for name in order:  # it grows; a circle of parents, after damage, has no beginning
            order.extend(children.get(name, ()))
        nearest: dict[str, tuple[int, int]] = {}
        for name in reversed(order):
            if name in owned:
                nearest[name] = 0, owned[name]
            parent = parents.get(name)
            if parent is not None and name in nearest:
                far, at = nearest[name]
                if parent not in nearest or far + 1 < nearest[parent][0]:
                    nearest[parent] = far + 1, at
        for name in order:
            parent = parents.get(name)
            if parent is not None and parent in nearest:
                nearest.setdefault(name, nearest[parent])
        return {**{name: at for name, (_, at) in nearest.items()}, **owned}

    def _written(self, match: PromptMatch, prompt: str) -> tuple[str, str]:
        """Return a tag with another prompt in it, and the prompt as it is read from the tag."""
        wanted = _on_one_line(prompt)
        for before, after in self._frames(match):
            in_comment = before.rfind("<!--") > before.rfind("-->")
            in_element = not in_comment and bool(set("<=") & set(before))
            for said in _ways(prompt, _ENDS_ATTRIBUTE if in_element else _ENDS_EARLY):
                tag = f"{before}{said}{after}"
                read = _found(tag, self.notation)
                if len(read) == 1 and read[0].tag == tag and _on_one_line(read[0].text) == wanted:
                    return tag, read[0].text
        raise _unwritable(prompt)

    def _frames(self, match: PromptMatch) -> Iterator[tuple[str, str]]:
        """Yield what stands in a tag before the prompt and after it, for each matching pattern."""
        for pattern in compile_patterns(self.notation.patterns):
            try:
                found = pattern.compiled.fullmatch(
                    match.tag, timeout=self.notation.timeout, concurrent=True
                )
            except TimeoutError:
                continue
            if found is None or prompt_of(found) != match.text:
                continue
            spans = (found.span(group) for group in range(1, found.re.groups + 1))
            start, end = next(span for span in spans if span[0] >= 0)
            group = match.tag[start:end]
            start += len(group) - len(group.lstrip())
            end -= len(group) - len(group.rstrip())
            yield match.tag[:start], match.tag[end:]


def next_line(text: str, at: int) -> int:
    """Return where the next line begins if a line ends at `at`, else `at` itself."""
    return at + (2 if text.startswith("\r\n", at) else text.startswith("\n", at))


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _found(text: str, notation: Notation) -> list[PromptMatch]:
    return find_prompts(
        text,
        notation.patterns,
        max_tag=notation.max_tag,
        timeout=notation.timeout,
        budget=notation.new_budget(),
        ignore=notation.ignore,
    )


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _ways(prompt: str, ends: str) -> Iterator[str]:
    """Yield the ways to escape a prompt for a tag, the plainest first.

    Args:
        prompt: the prompt's text.
        ends: a regular expression of what would end the tag early.
    """
    plain = encoded(prompt.strip(), ends)
    for way in (
        _BEFORE_QUOTE.sub(r"\\\g<0>", plain),
        _BEFORE_QUOTE.sub(lambda found: entity(found[0]), plain),
        encoded(prompt.strip(), _SYMBOL),
    ):
        yield way
        yield _on_one_line(way)


def _unwritable(prompt: str) -> SettingsInvalid:
    shown = " ".join(prompt.split())
    shown = shown if len(shown) <= 80 else shown[:79] + "…"
    return SettingsInvalid(
        f"the prompt {shown!r} cannot be written in its tag; shorten or reword it"
    )
