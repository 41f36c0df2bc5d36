"""Putting pictures into a text, each beside its prompt."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import Literal
from urllib.parse import quote

import regex
from pydantic import Field

from limner.messages.base import Value
from limner.messages.ids import prompt_id
from limner.messages.patterns import DEFAULT_PATTERNS, Pattern
from limner.messages.pictures import Placement, PromptMatch, Unplaced
from limner.messages.scanner import MARKS, find_prompts

MAX_ALT = 300
"""Characters of a picture's alternative text, before they are escaped."""

NO_PROMPT = "its prompt is no longer in the text"

_ANOTHER = tuple(regex.compile(rf"\n?{kind.source}", regex.VERSION0) for kind in MARKS)
_ID = re.compile(r"[0-9a-f]{20}:[0-9a-f]{32}")
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_IN_MARKDOWN = re.compile(r"[\\\[\]`]")
_IN_LINK = re.compile(r"[\s\x00-\x1f\x7f-\x9f()<>\"'`\\]")


class Composed(Value):
    """A text with its pictures.

    Args:
        text: the text, each picture directly after its prompt's tag.
        placed: what stands in it, in its order; what stood there before is counted too.
        unplaced: what could not be put in, and why.
    """

    text: str = Field(repr=False)
    placed: tuple[Placement, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()


def mark(placement: Placement, markup: Literal["html", "markdown"]) -> str:
    """Give a picture as it stands in a text, named by its placement, and escaped for there.

    The prompt is its alternative text, on one line and cut to 300 characters.

    Raises:
        ValueError: if the placement's id is not one that `limner.messages.ids` made.
    """
    if not _ID.fullmatch(placement.id):
        raise ValueError(f"{placement.id!r} is not the id of a placement")
    name = f'data-limner="{placement.id}"'
    alt = _BLANK.sub(" ", placement.prompt).strip()
    if len(alt) > MAX_ALT:
        alt = alt[: MAX_ALT - 1] + "…"
    alt = html.escape(alt)
    url = placement.picture.url
    if markup == "html":
        return f'<img {name} alt="{alt}" src="{html.escape(url)}">'
    alt = _IN_MARKDOWN.sub(r"\\\g<0>", alt)
    url = _IN_LINK.sub(lambda found: quote(found[0], safe=""), url)
    return f"![{alt}]({url})<!--{name}-->"


def compose(
    text: str,
    placements: Iterable[Placement],
    *,
    message_id: str,
    patterns: Sequence[str] | Sequence[Pattern] = DEFAULT_PATTERNS,
    markup: Literal["html", "markdown"] = "html",
    max_tag: int = 2_000,
    timeout: float | None = None,
    matches: Sequence[PromptMatch] | None = None,
) -> Composed:
    """Put pictures into a text, each directly after its prompt's tag, and change nothing else.

    Several pictures of one prompt stand in the order given, after those that stood there before.
    A picture whose mark is in the text is not put in again, so composing twice is composing once.
    In Markdown a picture goes on a line of its own where the tag's line begins with `<`, since
    CommonMark (0.31, 4.6) may take the rest of such a line as raw HTML.

    Args:
        text: the text, which UTF-8 can carry.
        placements: the pictures and the prompts that they belong to.
        message_id: the message whose text it is; prompts are named by it.
        patterns: how prompts are found, as for `find_prompts`.
        markup: how a picture is written.
        max_tag: characters of one tag at most.
        timeout: seconds that one match of a pattern may take; by default there is no bound.
        matches: what `find_prompts` gives for this text, if that is known already.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
        ValueError: if a placement's id is not one that `limner.messages.ids` made.
    """
    placements = tuple(placements)
    there = _places(text)
    places = dict(there)
    wanted: dict[str, dict[str, Placement]] = {}  # by prompt, then by their own ids
    for placement in placements:
        if placement.id not in places:
            wanted.setdefault(placement.prompt_id, {}).setdefault(placement.id, placement)

    pieces: list[str] = []
    done = 0
    lead = ""  # what the line at the end of the pieces begins with
    if matches is None and wanted:
        matches = find_prompts(text, patterns, max_tag=max_tag, timeout=timeout)
    for match in matches or ():
        prompt = prompt_id(message_id, match.text, match.ordinal)
        if prompt not in wanted:
            continue
        at = _after_pictures(text, match.end, prompt) if there else match.end
        pieces.append(text[done:at])
        if markup == "markdown":
            lead = _first(lead + text[done : match.start], match.tag)
            if "\n" in text[match.end : at]:
                lead = _first(text[match.end : at])
            if lead == "<":
                pieces.append("\n")
                lead = "!"
        for order, placement in enumerate(wanted[prompt].values(), 1):
            pieces.append(mark(placement, markup))
            places[placement.id] = at, order
        done = at
    pieces.append(text[done:])

    placed = (placement for placement in placements if placement.id in places)
    return Composed(
        text="".join(pieces),
        placed=tuple(sorted(placed, key=lambda placement: places[placement.id])),
        unplaced=tuple(
            Unplaced(placement=placement, reason=NO_PROMPT)
            for placement in placements
            if placement.id not in places
        ),
    )


def _places(text: str) -> dict[str, tuple[int, int]]:
    """Give where the marks in a text end, by the ids of their placements."""
    if "data-limner=" not in text:
        return {}
    return {found[1]: (found.end(), 0) for kind in MARKS for found in kind.compiled.finditer(text)}


def _after_pictures(text: str, at: int, prompt: str) -> int:
    """Give where the prompt's pictures that stand at `at` end; `at` itself if none does."""
    while found := next(filter(None, (kind.match(text, at) for kind in _ANOTHER)), None):
        if not found[1].startswith(prompt + ":"):
            break
        at = found.end()
    return at


def _first(before: str, tag: str = "") -> str:
    """Give the first character of the last line of `before`, or of the tag on it."""
    return (before.rpartition("\n")[2] + tag).lstrip()[:1]
