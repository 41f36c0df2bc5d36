r"""What of a text is not searched for prompts: code, and what a model thinks aloud.

One definition, for whole texts and for streamed ones:

- A *fence* begins with a line of three or more backquotes or tildes, and ends with a line of as
  many or more of the same, or with the text (CommonMark 0.31, 4.5). Before either there may be
  spaces, `>` and the signs of list items. A fence in a quote ends with the quote. A line of a fence
  has at most 1,000 characters.
- *Inline code* begins with backquotes and ends with as many on the same line, at most `max_tag`
  characters later. If there are none, the first ones stand for themselves. A backquote after a
  backslash begins none.
- *Thinking* begins with `<think>` or `<thinking>`, and ends with `</think>` or `</thinking>`, or
  with the text.

What begins first counts: a fence in a tag is a part of the tag. At one start, a region comes before
a mark, and a mark before a tag.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import regex

Ignored = Literal["code", "think"]
"""Kinds of regions."""

MAX_LINE: Final = 1_000
"""Characters of a line that begins or ends a fence."""

OPEN: Final = -1
RULED_OUT: Final = 0

_LINE = re.compile(r"^(?=[ \t>*+.)0-9-]{0,1000}(?:[`~]|\Z))", re.MULTILINE)
_RUN = re.compile(r"(?<![`\\])`")
_ANGLE = re.compile(r"<(?=[tT]|\Z)")
_STARTS: Final = {"fence": _LINE, "inline": _RUN, "think": _ANGLE}
_FENCE = regex.compile(
    r"((?:[ \t>]|(?:[-*+]|\d{1,9}[.)])(?=[ \t]))*+)(?|(`{3,}+)[^`\n]*+|(~{3,}+)[^\n]*+)\n"
)
_THINK = regex.compile(r"<(?i:think(?:ing)?)[ \t]{0,8}>")
_THOUGHT = regex.compile(r"</(?i:think(?:ing)?)[ \t]{0,8}>")
_RUN_OR_END = re.compile(r"`+|\n")
_PREFIX = re.compile(r"[ \t>]*")


class Region(NamedTuple):
    """A region whose end is still to be found.

    Args:
        start: where it begins in the whole text.
        fence: the sign of a fence, as often as it ends the fence; empty for thinking.
        quotes: the `>` before a fence.
        midline: whether the text that is held begins within a line that does not end the fence.
    """

    start: int
    fence: str = ""
    quotes: int = 0
    midline: bool = False


class Starts:
    """The places of a piece of text where a region may begin, in order.

    Args:
        text: the piece.
        before: the character before it; empty where the text begins.
        ignore: the kinds of regions.
    """

    def __init__(self, text: str, before: str, ignore: tuple[Ignored, ...]) -> None:
        self._text = text
        self._before = before
        kinds = [kind for kind in _STARTS if ("think" if kind == "think" else "code") in ignore]
        self._next = dict.fromkeys(kinds, -1)

    def next(self, at: int, until: int) -> tuple[str, int] | None:
        """Return the next place from `at` on, `until` among them, and what may begin there."""
        for kind, known in self._next.items():
            if known < at:
                self._next[kind] = self._find(kind, at)
        kind = min(self._next, key=self._next.__getitem__)
        start = self._next[kind]
        return (kind, start) if start <= until and start < len(self._text) else None

    def passed(self, kind: str, end: int) -> None:
        """Search a kind from `end` on, since it does not begin where it might have."""
        self._next[kind] = self._find(kind, end)

    def _find(self, kind: str, at: int) -> int:
        found = _STARTS[kind].search(self._text, at)
        if found is not None and found.start() == 0 and not self._begins(kind):
            found = _STARTS[kind].search(self._text, 1)
        return len(self._text) if found is None else found.start()

    def _begins(self, kind: str) -> bool:
        """Return whether what stands before the piece lets a region begin with it."""
        if kind == "fence":
            return self._before in {"", "\n"}
        return kind == "think" or self._before not in {"`", "\\"}


def begin(
    kind: str, text: str, start: int, *, max_tag: int, ended: bool
) -> tuple[int, Region | None]:
    """Return the end of the region that begins at a place, or `OPEN`, or `RULED_OUT`.

    With a region, the end is that of its beginning.

    Args:
        kind: what may begin there.
        text: the text.
        start: the place.
        max_tag: characters of inline code at most.
        ended: whether no more text comes.
    """
    if kind == "inline":
        return _inline(text, start, max_tag, ended=ended), None
    pattern = _FENCE if kind == "fence" else _THINK
    stop = start + MAX_LINE
    found = pattern.match(text, start, stop, partial=not ended and len(text) < stop)
    if found is None:
        return RULED_OUT, None
    if found.partial:
        return OPEN, None
    if kind == "think":
        return found.end(), Region(start)
    return found.end(), Region(start, fence=found[2], quotes=found[1].count(">"))


def _inline(text: str, start: int, max_tag: int, *, ended: bool) -> int:
    limit = start + max_tag
    size = 0
    for found in _RUN_OR_END.finditer(text, start):
        if found.end() > limit:
            return RULED_OUT
        if found.end() == len(text) and not ended and found[0] != "\n":
            return OPEN
        if found[0] == "\n":
            return RULED_OUT
        if not size:
            size = len(found[0])
        elif len(found[0]) == size:
            return found.end()
    return RULED_OUT if ended or len(text) >= limit else OPEN


def run_at(text: str, start: int) -> int:
    """Return where the backquotes that begin at a place end."""
    found = _RUN_OR_END.match(text, start)
    return found.end() if found else start + 1


def leave(region: Region, text: str, at: int, *, ended: bool) -> tuple[int, int, Region]:
    """Find the end of a region.

    Args:
        region: the region.
        text: the text.
        at: from where on to search; of a fence, where a line begins unless it is `midline`.
        ended: whether no more text comes.

    Returns:
        The end, or `OPEN`; from where on the text must be held; and the region as it is then.
    """
    if region.fence:
        return _leave_fence(region, text, at, ended=ended)
    found = _THOUGHT.search(text, at, partial=not ended)
    if found is None:
        return OPEN, len(text), region
    return (OPEN, found.start(), region) if found.partial else (found.end(), 0, region)


def _leave_fence(region: Region, text: str, at: int, *, ended: bool) -> tuple[int, int, Region]:
    closing = _closing(region.fence)
    for start, end in _lines(text, at, midline=region.midline):
        line = text[start : min(end, start + MAX_LINE)]
        whole = end < len(text) or ended
        prefix = _PREFIX.match(line)
        assert prefix is not None
        undecided = not whole and len(line) < MAX_LINE
        if undecided and prefix.end() == len(line):
            return OPEN, start, region._replace(midline=False)
        if prefix[0].count(">") < region.quotes:
            return start, 0, region
        found = closing.fullmatch(line, partial=undecided)
        if found is not None and end - start < MAX_LINE:
            if found.partial or undecided:
                return OPEN, start, region._replace(midline=False)
            return end, 0, region
    midline = not text.endswith("\n") if at < len(text) else region.midline
    return OPEN, len(text), region._replace(midline=midline)


def _lines(text: str, at: int, *, midline: bool) -> Iterator[tuple[int, int]]:
    """Yield where each line begins and ends; none that begins at the end of the text."""
    if midline:
        at = text.find("\n", at) + 1
        if not at:
            return
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        yield at, end
        at = end + 1


@lru_cache(maxsize=64)
def _closing(fence: str) -> "regex.Pattern[str]":
    return regex.compile(rf"[ \t>]*+{fence[0]}{{{len(fence)},}}+[ \t]*+\r?")
