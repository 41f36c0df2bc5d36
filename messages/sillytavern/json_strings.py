"""JSON strings: written as JavaScript writes them; unchanged parts stay as they were written."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from limner.messages.unicode import wellformed

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)"
)

_SAME = 16
"""Characters that two texts must have in common, so that it is no coincidence."""

_REPLACED = 4_096
"""Characters of a replaced piece at most after which a common part is looked for."""

_PIECES = 256
"""Positions from which texts are compared at most; that bounds the work."""


def respelled(raw: str, text: str) -> str:
    """Write a changed string as JSON, with unchanged parts as they were written before.

    Args:
        raw: a string in JSON, with its quotes.
        text: what it shall say. What is the same stays at its beginning and its end, and between
            from 16 characters on.
    """
    old = wellformed(json.loads(raw))
    if old == text:
        return raw
    before = _shared(old, text)
    rest = min(len(old), len(text)) - before
    after = _shared(old[::-1][:rest], text[::-1][:rest])
    runs = [
        _Run(0, 0, before),
        *_runs(old, text, before, after),
        _Run(len(old) - after, len(text) - after, after),
    ]
    inner = raw[1:-1]
    places = _offsets(inner, [at for run in runs for at in (run.old, run.old + run.size)])
    pieces, done = [], 0
    for run, first, last in zip(runs, places[::2], places[1::2], strict=True):
        pieces += [stringified(text[done : run.new])[1:-1], inner[first:last]]
        done = run.new + run.size
    spelled = '"' + "".join(pieces) + '"'
    # two halves of a character that have come together are a whole one now
    return spelled if wellformed(json.loads(spelled)) == text else stringified(text)


def stringified(value: Any) -> str:
    """Return a value as JSON, as `JSON.stringify` writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class _Run(NamedTuple):
    """Characters that two strings have in common: where they begin, and how many they are."""

    old: int
    new: int
    size: int


def _runs(old: str, new: str, before: int, after: int) -> Iterator[_Run]:
    """Yield what two strings have in common between their beginning and their end.

    From where they differ on, the next characters of each string are looked for in the other one.
    If one piece has replaced another, a common part after both pieces is looked for.

    Args:
        old: the one string.
        new: the other.
        before: how many characters they begin with in common.
        after: how many they end with in common.
    """
    at, to = before, before
    end, stop = len(old) - after, len(new) - after
    for _ in range(_PIECES):
        found = _met(old, at, end, new, to, stop)
        if found is None:
            return
        at, to = found
        size = min(_shared(old, new, at, to), end - at, stop - to)
        yield _Run(at, to, size)
        at, to = at + size, to + size


def _met(old: str, at: int, end: int, new: str, to: int, stop: int) -> tuple[int, int] | None:
    """Return where two strings are the same again, from where they differ on."""
    ahead = _SAME
    while ahead < 2 * max(end - at, stop - to):
        if at + _SAME <= end:
            found = new.find(old[at : at + _SAME], to, min(to + ahead, stop))
            if found >= 0:
                return at, found
        if to + _SAME <= stop:
            found = old.find(new[to : to + _SAME], at, min(at + ahead, end))
            if found >= 0:
                return found, to
        ahead *= 2
    blocks: dict[str, int] = {}
    for start in range(at, min(at + _REPLACED, end - _SAME + 1)):
        blocks.setdefault(old[start : start + _SAME], start)
    for start in range(to, min(to + _REPLACED, stop - _SAME + 1)):
        if (found := blocks.get(new[start : start + _SAME], -1)) >= 0:
            return found, start
    return None


def _shared(one: str, other: str, at: int = 0, to: int = 0) -> int:
    """Return how many characters two strings have in common, from a position in each on."""
    done, size = 0, 64
    while size:
        piece = one[at + done : at + done + size]
        if len(piece) == size and other.startswith(piece, to + done):
            done += size
            size *= 2
        else:
            size //= 2
    return done


def _offsets(raw: str, counts: Sequence[int]) -> list[int]:
    """Return where the first characters of a JSON string end, for each of several counts.

    The counts are in order.
    """
    places: list[int] = []
    at = seen = 0
    for escape in _ESCAPE.finditer(raw):
        here = seen + escape.start() - at
        while len(places) < len(counts) and counts[len(places)] <= here:
            places.append(at + counts[len(places)] - seen)
        if len(places) == len(counts):
            break
        seen, at = here + 1, escape.end()
    return places + [at + count - seen for count in counts[len(places) :]]
