"""Strings in JSON: spelled as JavaScript does, and where one is changed, else as it was spelled."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from limner.messages.unicode import wellformed

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)"
)

_SAME = 16
"""Characters that two texts have to have in common for that to be no chance."""

_REPLACED = 4_096
"""Characters that may have come in place of others, so that what follows them is looked for."""

_PIECES = 256
"""Places that texts are compared from; so the work stays in proportion to their length."""


def respelled(raw: str, text: str) -> str:
    """Spell another string in JSON, as JavaScript does, but what is the same as it was spelled.

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
    """Give a value in JSON, as `JSON.stringify` spells it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class _Run(NamedTuple):
    """Characters that two strings have in common: where they begin, and how many they are."""

    old: int
    new: int
    size: int


def _runs(old: str, new: str, before: int, after: int) -> Iterator[_Run]:
    """Give what two strings have in common between their beginning and their end.

    From where they differ on, it looks for what follows in the one further on in the other, and
    the other way round, and for both if one piece has come in place of another.

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
    """Give where two strings go on together, from where they differ."""
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
    for one in range(at, min(at + _REPLACED, end - _SAME + 1)):
        blocks.setdefault(old[one : one + _SAME], one)
    for one in range(to, min(to + _REPLACED, stop - _SAME + 1)):
        if (found := blocks.get(new[one : one + _SAME], -1)) >= 0:
            return found, one
    return None


def _shared(one: str, other: str, at: int = 0, to: int = 0) -> int:
    """Give how many characters two strings have in common, from a place in each on."""
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
    """Give where the first characters end in the inside of a string in JSON, by their counts.

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
