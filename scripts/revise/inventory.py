"""What is where in a text: its prompt tags, their history, their pictures, what has failed."""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import regex

from limner.messages.errors import UnknownPicture
from limner.messages.prompts import Prompt
from limner.messages.registry import Registry
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.marks import Mark
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.reconcile import standing

State = Literal["stands", "unmarked", "missing", "kept", "pending", "past"]
"""What became of a picture: it stands in the text; so it does, but without Limner's mark; another
program has stripped it; it is finished and in no text yet; it is being written; it stood there once
and was taken out on purpose."""

LEAST = 4
"""Characters that the beginning of an id has at least."""

MAX_COMPARED = 2_000
"""Pictures whose ids a mistyped one is compared with."""

MAX_FAMILY = 200
"""Prompts that come from one another, of which a history is made; the next ones begin another."""

_BEGINNING = re.compile(rf"[0-9a-f]{{{LEAST},32}}|[0-9a-f]{{{LEAST},20}}:[0-9a-f]{{0,32}}")
_VALUE = r"""\s*=\s*(?|"([^"]*)"|'([^']*)'|([^\s"'<>]+))"""
_ADDRESS = {
    "html": regex.compile(rf"\ssrc{_VALUE}"),
    "markdown": regex.compile(r"\]\(([^\s()]*)\)<!--"),
}
_REASON = {
    "html": regex.compile(rf"\stitle{_VALUE}"),
    "markdown": regex.compile(r"\[⚠ (.*)\]<!--", regex.DOTALL),
}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """A picture of a prompt.

    Args:
        placement: its id.
        state: what became of it.
        url: its address; empty if it is not known.
        number: how many pictures stand before it in the file, and one; `None` unless it stands.
    """

    placement: str
    state: State
    url: str
    number: int | None


@dataclass(frozen=True)
class Failed:
    """The mark of a picture that could not be made: its id, and why."""

    id: str
    reason: str


@dataclass(frozen=True)
class Spot:
    """A prompt tag and what belongs to it; or what belongs to a prompt whose tag is gone.

    Args:
        line: of the text, from 1; `None` if there is no tag any more.
        prompt_id: of the prompt that holds the tag.
        prompt: what it says; empty if that is not known.
        history: where it comes from, the oldest first, and what was last refined from it.
        pictures: those that stand in the text first.
        failures: what could not be made.
    """

    line: int | None
    prompt_id: str
    prompt: str
    history: tuple[Prompt, ...]
    pictures: tuple[Entry, ...]
    failures: tuple[Failed, ...]


@dataclass(frozen=True)
class Sheet:
    """What is where in one text.

    Args:
        message_id: its message.
        spots: the tags in their order, then what has none any more.
    """

    message_id: str
    spots: tuple[Spot, ...]

    @property
    def pictures(self) -> Iterator[Entry]:
        """All pictures."""
        return (one for spot in self.spots for one in spot.pictures)


class History:
    """The lines of the prompts of a message, each looked for among its own family.

    Args:
        registry: what is known of it.
    """

    def __init__(self, registry: Registry) -> None:
        self._families: dict[str, list[Prompt]] = {}
        for one in registry.prompts:  # a parent comes before its children
            family = self._families.get(one.parent_id or "", [])
            family = self._families[one.id] = family if len(family) < MAX_FAMILY else []
            family.append(one)

    def line(self, prompt_id: str) -> tuple[Prompt, ...]:
        """Give a prompt's line from its root to its tip."""
        family = tuple(self._families.get(prompt_id, ()))
        return Registry.trusted(prompts=family, links=(), claims=()).line(prompt_id)


def inventory(
    message_id: str, text: str, registry: Registry, notation: Notation, *, first: int = 1
) -> Sheet:
    """Say what is where in a text.

    Args:
        message_id: its message.
        text: the text.
        registry: what is known of the message.
        notation: how prompts and pictures stand in it.
        first: the number of the first picture that stands in it.
    """
    tags = PromptTags(text, registry, message_id=message_id, notation=notation)
    page = MarkEditor(tags)
    there = standing(page, [one.placement for one in registry.links if one.state == "placed"])
    history = History(registry)
    links = {one.placement.id: one for one in registry.links}
    by_prompt: dict[str, list[str]] = {}  # the ids of pictures, those that stand first
    failures: dict[str, list[Failed]] = {}
    for name, marks in page.present.items():
        if marks[0].kind == "picture":
            by_prompt.setdefault(marks[0].prompt_id, []).append(name)
        else:
            failed = Failed(name, _reason(text, marks[0]))
            failures.setdefault(marks[0].prompt_id, []).append(failed)
    for name, link in links.items():
        if name not in page.present:
            by_prompt.setdefault(link.placement.prompt_id, []).append(name)
    at_tag: dict[int | None, list[str]] = {}
    for prompt_id in dict.fromkeys([*by_prompt, *failures]):
        at_tag.setdefault(tags.index(prompt_id), []).append(prompt_id)

    number = first

    def entries(prompts: Iterable[str]) -> Iterator[Entry]:
        nonlocal number
        names = [name for prompt_id in prompts for name in by_prompt.get(prompt_id, ())]
        names.sort(
            key=lambda name: page.present[name][0].start if name in page.present else len(text)
        )
        for name in names:
            link = links.get(name)
            marked = name in page.present
            url = link.placement.picture.url if link else _address(text, page.present[name][0])
            state: State = "stands"
            if not marked and link:
                state = "missing" if link.state == "placed" else link.state
                if name in there and link.state == "placed":
                    state = "unmarked"
            yield Entry(name, state, url, number if marked else None)
            number += marked

    spots, line, counted = [], 1, 0
    for at, match in enumerate(tags.matches):
        line += text.count("\n", counted, match.start)
        counted = match.start
        prompts = at_tag.get(at, [])
        spots.append(
            Spot(
                line=line,
                prompt_id=tags.owners[at],
                prompt=tags.prompt(at).text,
                history=history.line(tags.owners[at]),
                pictures=tuple(entries(prompts)),
                failures=tuple(one for each in prompts for one in failures.get(each, ())),
            )
        )
    for prompt_id in at_tag.get(None, []):
        known = tags.known.get(prompt_id)
        spots.append(
            Spot(
                line=None,
                prompt_id=prompt_id,
                prompt=known.text if known else "",
                history=history.line(prompt_id),
                pictures=tuple(entries([prompt_id])),
                failures=tuple(failures.get(prompt_id, ())),
            )
        )
    return Sheet(message_id, tuple(spots))


def find(given: str, sheets: Sequence[Sheet], *, file: str) -> tuple[str, str]:
    """Give the message and the placement of a picture that stands in a text.

    Args:
        given: its number; or a beginning that no other has, of 4 digits at least, of its
            placement's id, of its picture's id, or of both with a colon between.
        sheets: what is where.
        file: what the person calls the file.

    Raises:
        UnknownPicture: if it is no picture that stands there, or may be several.
    """
    everywhere = [(sheet.message_id, one) for sheet in sheets for one in sheet.pictures]
    wanted = given.strip().lower()
    number = int(wanted) if wanted.isdecimal() and wanted.isascii() and len(wanted) < 10 else 0
    found = [
        (message_id, one)
        for message_id, one in everywhere
        if _begins(one.placement, wanted) or (number and one.number == number)
    ]
    found = [each for each in found if each[1].number] or found
    names = list(dict.fromkeys(one.placement for _, one in found))
    if len(names) > 1:
        raise UnknownPicture(f"{given[:60]!r} may be {_listed(names)}; give more of its id")
    if found and not found[0][1].number:
        raise UnknownPicture(f"picture {names[0]} {_WHY_NOT[found[0][1].state]}")
    if len(found) > 1:  # as in a chat whose message was copied
        numbers = _listed([str(one.number) for _, one in found])
        raise UnknownPicture(
            f"picture {names[0]} stands in several messages; name it by its number: {numbers}"
        )
    if found:
        return found[0][0], names[0]
    known = list(dict.fromkeys(one.placement for _, one in everywhere))
    close = get_close_matches(wanted[:60], _ids(known), n=3, cutoff=0.5)
    names = list(dict.fromkeys(name for one in close for name in known if one in name))
    said = f"; the closest is {names[0]}" if names else ""
    raise UnknownPicture(
        f"no picture {given[:60]!r} stands in {file}{said}; limner pictures {file} names all"
    )


_WHY_NOT = {
    "stands": "stands in the text",
    "unmarked": "stands in the text without Limner's mark, so it cannot be told from others",
    "missing": "was taken out by another program; limner reconcile puts it back",
    "kept": "is kept, but stands in no text",
    "pending": "is being written by another process",
    "past": "was taken out; it stands in the text no more",
}


def _begins(name: str, wanted: str) -> bool:
    if not _BEGINNING.fullmatch(wanted):
        return False
    prompt, _, picture = name.partition(":")
    if ":" in wanted:
        first, _, second = wanted.partition(":")
        return prompt.startswith(first) and picture.startswith(second)
    return prompt.startswith(wanted) or picture.startswith(wanted)


def _ids(names: Iterable[str]) -> list[str]:
    """Give what a mistyped id is compared with."""
    some = list(names)[:MAX_COMPARED]
    return [*some, *dict.fromkeys(part for name in some for part in name.split(":"))]


def _listed(names: Sequence[str]) -> str:
    more = f" or {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _address(text: str, mark: Mark) -> str:
    found = _ADDRESS[mark.markup].search(text, mark.start, mark.end)
    return "" if found is None else html.unescape(found[1])


def _reason(text: str, mark: Mark) -> str:
    found = _REASON[mark.markup].search(text, mark.start, mark.end)
    if found is None:
        return ""
    return html.unescape(found[1] if mark.markup == "html" else _ESCAPED.sub(r"\1", found[1]))
