"""What an audit finds, and how it names it: shared by its parts."""

from __future__ import annotations

from collections.abc import ItemsView
from itertools import islice
from typing import Generic, NamedTuple, TypeGuard, TypeVar

from limner.messages.events.record import Record
from limner.messages.unicode import shown

KEPT = 1_000
"""Violations that are kept, of all that are counted."""

PROOF = 200
"""Numbers that prove one violation, at most."""

REMEMBERED = 10_000
"""Names of what has ended that are remembered, of each kind."""

MAX_NAME = 1_000
"""Characters of an id; what is longer is none."""

T = TypeVar("T")


class Violation(NamedTuple):
    """A rule that does not hold, and the events that prove it.

    Args:
        rule: its name, such as `I1`.
        text: what is wrong, in one sentence that may be shown.
        seqs: numbers of the events that prove it, ascending; `PROOF` at most.
        run: the how-manieth run of the log it is in, from 1.
    """

    rule: str
    text: str
    seqs: tuple[int, ...]
    run: int = 1

    def __str__(self) -> str:
        seqs = ", ".join(str(seq) for seq in self.seqs[:20])
        more = f" and {len(self.seqs) - 20} more" if len(self.seqs) > 20 else ""
        run = f", run {self.run}" if self.run > 1 else ""
        return f"{self.rule} {self.text} (seq {seqs}{more}{run})"


class Uncheckable(Exception):
    """An event lacks what a rule needs, or has it of a wrong type."""

    def __init__(self, rule: str, field: str) -> None:
        super().__init__(rule, field)
        self.rule = rule
        self.field = field


class Violations:
    """The violations so far."""

    def __init__(self) -> None:
        self.kept: list[Violation] = []
        self.number = 0
        self.run = 0

    def add(self, rule: str, text: str, *seqs: int) -> None:
        """Add a violation."""
        self.number += 1
        if len(self.kept) < KEPT:
            proof = tuple(islice(sorted(set(seqs)), PROOF))
            self.kept.append(Violation(rule, text, proof, max(self.run, 1)))


class Recent(Generic[T]):
    """Remembers at least the last `REMEMBERED` things by name, and twice as many at most."""

    def __init__(self) -> None:
        self._young: dict[str, T] = {}
        self._old: dict[str, T] = {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def __setitem__(self, name: str, thing: T) -> None:
        self._young[name] = thing
        if len(self._young) >= REMEMBERED:
            self._old, self._young = self._young, {}

    def get(self, name: str) -> T | None:
        """Return the value of a name, if it is remembered."""
        thing = self._young.get(name)
        return self._old.get(name) if thing is None else thing

    def pop(self, name: str) -> T | None:
        """Return the value of a name, if it is remembered, and forget it."""
        old = self._old.pop(name, None) if self._old else None
        return self._young.pop(name, old)

    def items(self) -> ItemsView[str, T]:
        """Return all values with their names."""
        return (self._old | self._young).items()


def is_name(value: object) -> TypeGuard[str]:
    """Check whether a value can be an id."""
    return type(value) is str and len(value) <= MAX_NAME


def needed_id(event: Record, field: str, rule: str) -> str:
    """Return an id that a rule needs.

    Raises:
        Uncheckable: if there is none.
    """
    value = event.get(field)
    if type(value) is str and len(value) <= MAX_NAME:
        return value
    raise Uncheckable(rule, field)


def needed_ids(event: Record, field: str, rule: str) -> tuple[str, ...]:
    """Return the ids in a list, or the keys of a table, that a rule needs.

    Raises:
        Uncheckable: if there are none.
    """
    value = event.get(field)
    if isinstance(value, list | dict) and all(map(is_name, value)):
        return tuple(value)
    raise Uncheckable(rule, field)


def show(name: str) -> str:
    """Return a name from the log as it may be shown."""
    return shown(name, 60) or "''"


def first_few(tasks: set[str] | frozenset[str]) -> str:
    """Return the names of the first three tasks, and how many more there are."""
    more = f" and {len(tasks) - 3:,} more" if len(tasks) > 3 else ""
    return ", ".join(map(show, sorted(tasks)[:3])) + more
