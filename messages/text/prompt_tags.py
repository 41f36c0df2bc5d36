"""The prompt tags of a text, and which prompt holds each."""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from limner.messages.errors import SettingsInvalid
from limner.messages.ids import prompt_id
from limner.messages.prompts import Prompt, PromptMatch, TagOwner
from limner.messages.registry import Registry
from limner.messages.text.notation import Notation
from limner.messages.text.patterns import compile_patterns
from limner.messages.text.scanner import find_prompts, prompt_of

PASSES = 16
"""How often a text is decoded at most: other programs that encode do it a few times."""

_ENDS_EARLY = re.compile(r"[<>]|(?<=-)-")
_ENDS_ATTRIBUTE = re.compile(r"""[<>="'`]|(?<=-)-""")
_SYMBOL = re.compile(r"[!-%'-/:<-@[-`{-~]")
_BEFORE_QUOTE = re.compile(r'["\\]')


def decoded(text: str) -> str:
    """Decode the HTML entities of a text again and again until nothing changes, 16 times at most.

    However often another program has encoded or decoded a text, this gives the same.
    """
    for _ in range(PASSES):
        plain = html.unescape(text) if "&" in text else text
        if plain == text:
            break
        text = plain
    return text


def canonical(text: str) -> str:
    """Give a prompt's text as it is compared: decoded, each run of white space one space."""
    return " ".join(decoded(text).split())


class Tags:
    """The prompt tags of a text, and which prompt holds each.

    A tag that a claim names is held by the claim's prompt; any other by the prompt that its text
    and ordinal name.

    Args:
        text: the text, which UTF-8 can carry.
        registry: what is known of the message; without one no tag is claimed.
        message_id: the message whose text it is.
        notation: how prompts stand in it.
        matches: what `find_prompts` gives for this text, if that is known already.

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
        claims = {(one.text, one.ordinal): one.prompt_id for one in self.registry.claims}
        self.holders = tuple(
            claims.get((one.text, one.ordinal)) or self._default(one) for one in self.matches
        )

    def holder(self, match: PromptMatch) -> str:
        """Give the id of the prompt that holds one of the tags."""
        return self.holders[self.matches.index(match)]

    def of(self, prompt: str) -> PromptMatch | None:
        """Give the tag that the pictures of a prompt belong beside, by the prompt's id.

        It is the tag that the prompt holds; else that of its nearest relative in the history, a
        descendant before others; else the one that says the same after decoding, as another
        program may have encoded or decoded the text. `None` if there is none of these.
        """
        at = self.index(prompt)
        return None if at is None else self.matches[at]

    def index(self, prompt: str) -> int | None:
        """Give which of `matches` `of` gives, counted from 0."""
        if prompt in self._held:
            return self._held[prompt]
        if prompt in self._of_kin:
            return self._of_kin[prompt]
        return self._of_decoded.get(prompt)

    @property
    def claims(self) -> tuple[TagOwner, ...]:
        """All tags that are held by another prompt than their text and ordinal name."""
        return tuple(
            TagOwner(prompt_id=holder, text=match.text, ordinal=match.ordinal)
            for match, holder in zip(self.matches, self.holders, strict=True)
            if holder != self._default(match)
        )

    def prompt(self, at: int) -> Prompt:
        """Give the prompt that holds a tag: as it is known, else as the tag has it."""
        holder = self.holders[at]
        if known := self.known.get(holder):
            return known
        named = Prompt.of(self.message_id, self.matches[at])
        if named.id == holder:
            return named
        return named.but(id=holder, ordinal=self._ordinals.get(holder, named.ordinal))

    @cached_property
    def known(self) -> dict[str, Prompt]:
        """The prompts that the registry knows, by their ids."""
        return {one.id: one for one in self.registry.prompts}

    def rewritten(self, changes: Mapping[int, Prompt]) -> "Tags":
        r"""Give the text with other prompts in some of its tags, which these hold then.

        Each prompt is escaped for its tag: `\"` and `\\` as the scanner reads them; `<`, `>` and
        `--` as HTML entities, so that no tag or comment ends early; in an element also `=`, quotes
        and backquotes, so that no attribute comes of it; other symbols and ends of lines only
        where the tag's pattern takes them in no other way. A tag that says the same already is
        left as it is. The other tags stay with the prompts that held them.

        Args:
            changes: the new prompts, each by which of `matches` it goes into.

        Raises:
            SettingsInvalid: if a prompt cannot be written in its tag, so that it alone would be
                read from there.
        """
        holders, pieces, done = list(self.holders), [], 0
        expected = [(one.start, one.end, one.text) for one in self.matches]
        shift = 0
        for at, match in enumerate(self.matches):
            tag, said = match.tag, match.text
            if at in changes:
                holders[at] = changes[at].id
                if canonical(changes[at].text) != canonical(said):
                    tag, said = self._written(match, changes[at].text)
                    pieces += [self.text[done : match.start], tag]
                    done = match.end
            start = match.start + shift
            shift += len(tag) - len(match.tag)
            expected[at] = start, start + len(tag), said
        made = self.held_by(holders)
        made.text = "".join([*pieces, self.text[done:]])
        if pieces:
            made.matches = tuple(_found(made.text, self.notation))
        if [(one.start, one.end, one.text) for one in made.matches] != expected:
            raise _unwritable(next(iter(changes.values())).text)
        return made

    def held_by(self, holders: Sequence[str]) -> "Tags":
        """Give the same tags as they are held by other prompts, whose ids are given for each."""
        made = Tags.__new__(Tags)
        made.text, made.matches, made.notation = self.text, self.matches, self.notation
        made.registry, made.message_id = self.registry, self.message_id
        made.holders = tuple(holders)
        return made

    def _default(self, match: PromptMatch) -> str:
        return prompt_id(self.message_id, match.text, match.ordinal)

    @cached_property
    def _ordinals(self) -> dict[str, int]:
        """The ordinals by which the tags name prompts, by these prompts' ids."""
        return {self._default(match): match.ordinal for match in self.matches}

    @cached_property
    def _held(self) -> dict[str, int]:
        """The first tag of each holder, by its id."""
        held: dict[str, int] = {}
        for at, holder in enumerate(self.holders):
            held.setdefault(holder, at)
        return held

    @cached_property
    def _of_kin(self) -> dict[str, int]:
        return self._spread(self._held)

    @cached_property
    def _of_decoded(self) -> dict[str, int]:
        """The tags that say what a prompt or its nearest relative says, once both are decoded."""
        alike: dict[str, list[int]] = {}
        for at, match in enumerate(self.matches):
            alike.setdefault(canonical(match.text), []).append(at)
        claimed = {one.prompt_id: one.ordinal for one in self.registry.claims}
        found: dict[str, int] = {}
        for prompt in self.registry.prompts:
            tags = alike.get(canonical(prompt.text), ())
            ordinal = claimed.get(prompt.id, prompt.ordinal)
            if ordinal < len(tags):
                found[prompt.id] = tags[ordinal]
        return self._spread(found)

    def _spread(self, held: Mapping[str, int]) -> dict[str, int]:
        """Give to each prompt that holds nothing what the nearest of its relatives holds."""
        parents = {one.id: one.parent_id for one in self.registry.prompts}
        children: dict[str, list[str]] = {}
        order = []
        for name, parent in parents.items():
            if parent is not None:
                children.setdefault(parent, []).append(name)
            if parent is None or parent not in parents:
                order.append(parent or name)
        order = list(dict.fromkeys(order))
        for name in order:  # it grows; a ring, which another program has bent, has no beginning
            order.extend(children.get(name, ()))
        nearest: dict[str, tuple[int, int]] = {}
        for name in reversed(order):
            if name in held:
                nearest[name] = 0, held[name]
            parent = parents.get(name)
            if parent is not None and name in nearest:
                far, at = nearest[name]
                if parent not in nearest or far + 1 < nearest[parent][0]:
                    nearest[parent] = far + 1, at
        for name in order:
            parent = parents.get(name)
            if parent is not None and parent in nearest:
                nearest.setdefault(name, nearest[parent])
        return {**{name: at for name, (_, at) in nearest.items()}, **held}

    def _written(self, match: PromptMatch, prompt: str) -> tuple[str, str]:
        """Give a tag with another prompt in it, and the prompt as it is read from there."""
        wanted = canonical(prompt)
        for before, after in self._frames(match):
            in_comment = before.rfind("<!--") > before.rfind("-->")
            in_element = not in_comment and bool(set("<=") & set(before))
            for said in _ways(prompt, _ENDS_ATTRIBUTE if in_element else _ENDS_EARLY):
                tag = f"{before}{said}{after}"
                read = _found(tag, self.notation)
                if len(read) == 1 and read[0].tag == tag and canonical(read[0].text) == wanted:
                    return tag, read[0].text
        raise _unwritable(prompt)

    def _frames(self, match: PromptMatch) -> Iterator[tuple[str, str]]:
        """Give what stands before the prompt in a tag and after it."""
        for pattern in compile_patterns(self.notation.patterns):
            try:
                found = pattern.compiled.fullmatch(
                    match.tag, timeout=self.notation.timeout, concurrent=False
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


def _found(text: str, notation: Notation) -> list[PromptMatch]:
    return find_prompts(text, notation.patterns, max_tag=notation.max_tag, timeout=notation.timeout)


def _entity(found: "re.Match[str]") -> str:
    return {"<": "&lt;", ">": "&gt;", '"': "&quot;"}.get(found[0], f"&#{ord(found[0])};")


def _ways(prompt: str, ends: "re.Pattern[str]") -> Iterator[str]:
    """Give the ways to write a prompt in a tag that `ends` would end, the plainest first."""
    plain = ends.sub(_entity, prompt.strip())
    for way in (
        _BEFORE_QUOTE.sub(r"\\\g<0>", plain),
        _BEFORE_QUOTE.sub(_entity, plain),
        _SYMBOL.sub(_entity, prompt.strip()),
    ):
        yield way
        yield " ".join(way.split())


def _unwritable(prompt: str) -> SettingsInvalid:
    shown = " ".join(prompt.split())
    shown = shown if len(shown) <= 80 else shown[:79] + "…"
    return SettingsInvalid(
        f"the prompt {shown!r} cannot be written in its tag; shorten or reword it"
    )
