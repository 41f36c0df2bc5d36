"""What would change, as a unified diff.

The longest common subsequence is not searched, since that may take time that grows with the square
of a text. Lines that are unique in both texts and in the same order are the anchors between which
the rest is compared ("patience diff").
"""

import sys
import unicodedata
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

CONTEXT = 3
"""Lines that are shown before and after a change."""

DEPTH = 8
"""How often the lines between two anchors are divided by anchors of their own."""

COLOURS = {"-": "31", "+": "32", "@": "36"}


class Change(NamedTuple):
    """Lines `start` to `end` of the old text that `first` to `last` of the new one replace."""

    start: int
    end: int
    first: int
    last: int


def show_diff(name: str, before: str, after: str) -> None:
    """Print what would change in a text to standard output.

    On a terminal it is coloured, and without control characters.

    Args:
        name: of the text.
        before: as it is.
        after: as it would be.
    """
    terminal = sys.stdout.isatty()
    for line in unified(name, before, after):
        if terminal:
            colour = "1" if line.startswith(("--- ", "+++ ")) else COLOURS.get(line[:1])
            safe = harmless(line)
            print(f"\x1b[{colour}m{safe}\x1b[0m" if colour else safe)
        else:
            sys.stdout.buffer.write(f"{line}\n".encode(errors="surrogateescape"))
    sys.stdout.flush()


def harmless(line: str) -> str:
    """Return a line with each control character replaced by `�`."""
    return "".join(
        char if char == "\t" or unicodedata.category(char)[0] in "LMNPSZ" else "�" for char in line
    )


def unified(name: str, before: str, after: str) -> Iterator[str]:
    """Yield the lines of a unified diff, as `diff -u` writes and `patch` reads them."""
    old, new = _lines(before), _lines(after)
    found = deque(changes(old, new))
    if not found:
        return
    yield f"--- {name}"
    yield f"+++ {name}"
    while found:
        hunk = [found.popleft()]
        while found and found[0].start - hunk[-1].end <= 2 * CONTEXT:
            hunk.append(found.popleft())
        for line in _hunk(old, new, hunk):
            yield line.removesuffix("\n")
            if not line.endswith("\n"):
                yield "\\ No newline at end of file"


def _lines(text: str) -> list[str]:
    *whole, rest = text.split("\n")
    return [*(f"{line}\n" for line in whole), *([rest] if rest else [])]


def changes(old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    """Yield the changes from the old lines to the new ones, in their order."""
    waiting = [(Change(0, len(old), 0, len(new)), DEPTH)]
    while waiting:
        (start, end, first, last), depth = waiting.pop()
        while start < end and first < last and old[start] == new[first]:
            start, first = start + 1, first + 1
        while start < end and first < last and old[end - 1] == new[last - 1]:
            end, last = end - 1, last - 1
        if start == end and first == last:
            continue
        anchors = _anchors(old, new, Change(start, end, first, last)) if depth else []
        if not anchors:
            yield Change(start, end, first, last)
            continue
        parts = []
        for anchor, new_anchor in [*anchors, (end, last)]:
            parts.append((Change(start, anchor, first, new_anchor), depth - 1))
            start, first = anchor, new_anchor
        waiting += reversed(parts)


def _anchors(old: Sequence[str], new: Sequence[str], within: Change) -> list[tuple[int, int]]:
    """Return pairs of the lines that are unique in both, the most that are in the same order."""
    start, end, first, last = within
    once = Counter(old[start:end])
    again = Counter(new[first:last])
    there = {new[at]: at for at in range(first, last)}
    pairs = [
        (at, there[old[at]])
        for at in range(start, end)
        if once[old[at]] == 1 and again[old[at]] == 1
    ]
    ends: list[int] = []  # the longest increasing run, by patience sorting
    piles: list[int] = []
    before: list[int] = []
    for number, (_, other) in enumerate(pairs):
        pile = bisect_left(ends, other)
        before.append(piles[pile - 1] if pile else -1)
        ends[pile : pile + 1], piles[pile : pile + 1] = [other], [number]
    run: list[tuple[int, int]] = []
    number = piles[-1] if piles else -1
    while number >= 0:
        run.append(pairs[number])
        number = before[number]
    return run[::-1]


def _hunk(old: Sequence[str], new: Sequence[str], hunk: Sequence[Change]) -> Iterator[str]:
    start, first = hunk[0].start, hunk[0].first
    lead = min(CONTEXT, start)
    trail = min(CONTEXT, len(old) - hunk[-1].end)
    body: list[str] = []
    at = start - lead
    for change in hunk:
        body += [f" {line}" for line in old[at : change.start]]
        body += [f"-{line}" for line in old[change.start : change.end]]
        body += [f"+{line}" for line in new[change.first : change.last]]
        at = change.end
    body += [f" {line}" for line in old[at : at + trail]]
    was = _extent(start - lead, at + trail)
    yield f"@@ -{was} +{_extent(first - lead, hunk[-1].last + trail)} @@\n"
    yield from body


def _extent(start: int, end: int) -> str:
    return f"{start + (end > start)},{end - start}"
