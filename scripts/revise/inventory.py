"""The inventory of a text: its prompt tags, their history, pictures and failures."""

import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import regex

from limner.messages.errors import UnknownPicture
from limner.messages.prompts import Prompt
from limner.messages.registry import Registry
from limner.messages.text.images import standing
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.marks import Mark
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags

State = Literal["stands", "unmarked", "missing", "kept", "pending", "past", "lost"]
"""The state of a picture: it stands in the text; it stands there without Limner's mark; another
program has stripped it; it is finished and in no text yet; it is being written; it stood there once
and was removed on purpose; its file is gone, wherever it stands."""

LEAST = 4
"""Characters of an id that must be given, at least."""

MAX_COMPARED = 2_000
"""Pictures whose ids are compared with a mistyped id, at most."""

MAX_FAMILY = 200
"""Prompts refined from one another that share a history, at most; the next begins another."""

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
        state: where it is.
        url: its address; empty if it is not known.
        number: its place among the marked pictures of the file, from 1; `None` for any other.
    """

    placement: str
    state: State
    url: str
    number: int | None


@dataclass(frozen=True)
class Failed:
    """The mark of a picture that could not be made: its id, and the reason."""

    id: str
    reason: str


@dataclass(frozen=True)
class Spot:
    """A prompt tag with its pictures; or the pictures of a prompt whose tag is gone.

    Args:
        line: of the text, from 1; `None` if there is no tag any more.
        prompt_id: of the prompt that holds the tag.
        prompt: its text; empty if that is not known.
        history: the prompts that it was refined from, the oldest first, and those refined from it.
        pictures: the ones that stand in the text first.
        failures: the pictures that could not be made.
    """

    line: int | None
    prompt_id: str
    prompt: str
    history: tuple[Prompt, ...]
    pictures: tuple[Entry, ...]
    failures: tuple[Failed, ...]


@dataclass(frozen=True)
class Sheet:
    """The inventory of one text.

    Args:
        message_id: its message.
        spots: the tags in their order, then the prompts whose tags are gone.
    """

    message_id: str
    spots: tuple[Spot, ...]

    @property
    def pictures(self) -> Iterator[Entry]:
        """All pictures."""
        return (picture for spot in self.spots for picture in spot.pictures)


class History:
    """The history of each prompt of a message, found among the prompts of its own family.

    Args:
        registry: of the message.
    """

    def __init__(self, registry: Registry) -> None:
        self._families: dict[str, list[Prompt]] = {}
        for prompt in registry.prompts:  # a parent comes before its children
            family = self._families.get(prompt.parent_id or "", [])
            family = self._families[prompt.id] = family if len(family) < MAX_FAMILY else []
            family.append(prompt)

    def line(self, prompt_id: str) -> tuple[Prompt, ...]:
        """Return a prompt's line of refinements from its root to its tip."""
        family = tuple(self._families.get(prompt_id, ()))
        return Registry(prompts=family).line(prompt_id)


def inventory(
    message_id: str,
    text: str,
    registry: Registry,
    notation: Notation,
    *,
    first: int = 1,
    lost: Callable[[str], bool] = lambda url: not url,
) -> Sheet:
    """Return the inventory of a text.

    Args:
        message_id: its message.
        text: the text.
        registry: of the message.
        notation: how prompts and pictures stand in it.
        first: the number of the first picture that stands in it.
        lost: returns whether the file of a picture is gone, by its address.
    """
    tags = PromptTags(text, registry, message_id=message_id, notation=notation)
    editor = MarkEditor(tags)
    placed = [link.placement for link in registry.links if link.state == "placed"]
    there = standing(editor, placed)
    history = History(registry)
    links = {link.placement.id: link for link in registry.links}
    by_prompt: dict[str, list[str]] = {}  # the ids of pictures, those that stand first
    failures: dict[str, list[Failed]] = {}
    for name, marks in editor.present.items():
        owner = marks[0].prompt_id
        if owner not in tags.known and (at := editor.tag_of(name)) is not None:
            owner = tags.owners[at]
        if marks[0].kind == "picture":
            by_prompt.setdefault(owner, []).append(name)
        else:
            failures.setdefault(owner, []).append(Failed(name, _reason(text, marks[0])))
    for name, link in links.items():
        if name not in editor.present:
            by_prompt.setdefault(link.placement.prompt_id, []).append(name)
    at_tag: dict[int | None, list[str]] = {}
    for prompt_id in dict.fromkeys([*by_prompt, *failures]):
        at_tag.setdefault(tags.index(prompt_id), []).append(prompt_id)

    number = first

    def entries(prompts: Iterable[str]) -> Iterator[Entry]:
        nonlocal number
        names = [name for prompt_id in prompts for name in by_prompt.get(prompt_id, ())]
        names.sort(
            key=lambda name: editor.present[name][0].start if name in editor.present else len(text)
        )
        for name in names:
            link = links.get(name)
            marked = name in editor.present
            url = link.placement.picture.url if link else address(text, editor.present[name][0])
            state: State = "stands"
            if not marked and link:
                state = "missing" if link.state == "placed" else link.state
                if name in there and link.state == "placed":
                    state = "unmarked"
            if url and state not in ("pending", "past") and lost(url):
                state = "lost"
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
                failures=tuple(
                    failed for prompt_id in prompts for failed in failures.get(prompt_id, ())
                ),
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
    """Return the message and the id of a picture, or of a failure, that stands in a text.

    Args:
        given: a picture's number; or a beginning that no other has, of 4 digits at least, of its
            placement's id, of its picture's id, or of both with a colon between; so of a failure's.
        sheets: the inventory of each message.
        file: its name for people.

    Raises:
        UnknownPicture: if no such picture stands there, or several may be meant.
    """
    everywhere = [(sheet.message_id, entry) for sheet in sheets for entry in sheet.pictures]
    failed = [
        (sheet.message_id, failure.id)
        for sheet in sheets
        for spot in sheet.spots
        for failure in spot.failures
    ]
    wanted = given.strip().lower()
    number = int(wanted) if wanted.isdecimal() and wanted.isascii() and len(wanted) < 10 else 0
    found = [
        (message_id, entry)
        for message_id, entry in everywhere
        if _begins(entry.placement, wanted) or (number and entry.number == number)
    ]
    found = [(message_id, entry) for message_id, entry in found if entry.number] or found
    marks = [(message_id, name) for message_id, name in failed if _begins(name, wanted)]
    if marks and not found:
        several = list(dict.fromkeys(name for _, name in marks))
        if len(marks) == 1:
            return marks[0]
        raise UnknownPicture(f"{given[:60]!r} may be {_listed(several)}; give more of its id")
    names = list(dict.fromkeys(entry.placement for _, entry in found))
    if len(names) > 1:
        raise UnknownPicture(f"{given[:60]!r} may be {_listed(names)}; give more of its id")
    if found and not found[0][1].number:
        raise UnknownPicture(f"picture {names[0]} {_WHY_NOT[found[0][1].state]}")
    if len(found) > 1:  # as in a chat whose message was copied
        numbers = _listed([str(entry.number) for _, entry in found])
        raise UnknownPicture(
            f"picture {names[0]} stands in several messages; name it by its number: {numbers}"
        )
    if found:
        return found[0][0], names[0]
    known = list(dict.fromkeys(entry.placement for _, entry in everywhere))
    close = get_close_matches(wanted[:60], _ids(known), n=3, cutoff=0.5)
    names = list(dict.fromkeys(name for part in close for name in known if part in name))
    hint = f"; the closest is {names[0]}" if names else ""
    raise UnknownPicture(
        f"no picture {given[:60]!r} stands in {file}{hint}; limner pictures {file} names all"
    )


_WHY_NOT = {
    "stands": "stands in the text",
    "unmarked": "stands in the text without Limner's mark, so it cannot be told from others",
    "missing": "was taken out by another program; limner reconcile puts it back",
    "kept": "is kept, but stands in no text",
    "pending": "is being written by another process",
    "past": "was taken out; it stands in the text no more",
    "lost": "has no file any more, and does not stand in the text",
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
    """Return the ids, and the halves of ids, that a mistyped id is compared with."""
    some = list(names)[:MAX_COMPARED]
    return [*some, *dict.fromkeys(part for name in some for part in name.split(":"))]


def _listed(names: Sequence[str]) -> str:
    more = f" or {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def address(text: str, mark: Mark) -> str:
    """Return the address of the picture of a mark; empty if it has none."""
    found = _ADDRESS[mark.markup].search(text, mark.start, mark.end)
    return "" if found is None else html.unescape(found[1])


def _reason(text: str, mark: Mark) -> str:
    found = _REASON[mark.markup].search(text, mark.start, mark.end)
    if found is None:
        return ""
    return html.unescape(found[1] if mark.markup == "html" else _ESCAPED.sub(r"\1", found[1]))
