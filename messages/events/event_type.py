"""How an event is declared, and how one that was sent is checked against its declaration."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal, Union, get_args, get_origin

Check = Callable[[object], bool]

JSON_NAMES: dict[object, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    None: "null",
}
"""What JSON calls the types that a field may have; a `float` may be written as an integer."""


@dataclass(frozen=True)
class Field:
    """A field of an event.

    Args:
        name: as it stands in the log.
        type: `str`, `int`, `float`, `bool`, `None`, a `Literal`, a list or a table (`dict[str, …]`)
            of these, or a union.
        meaning: one short sentence.
        unit: of a number; `None` if it is a plain count.
        always: whether each event of the type has it.
    """

    name: str
    type: Any
    meaning: str
    unit: str | None = None
    always: bool = True

    @property
    def optional(self) -> Field:
        """The same field where an event may lack it."""
        return replace(self, always=False)

    @property
    def type_name(self) -> str:
        """The type in JSON's words, such as `array of string` or `integer or null`."""
        return type_name(self.type)

    @property
    def values(self) -> tuple[str, ...]:
        """The values that it may have, if they are few and fixed."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    @cached_property
    def fits(self) -> Check:
        """Whether a value is of the type."""
        return check_of(self.type)


@dataclass(frozen=True)
class EventType:
    """An event that Limner sends.

    Args:
        name: as it stands in the log.
        meaning: one sentence.
        sent_by: roles of the actors that send it; empty if any may.
        fields: what it says beside the fields of each line.
    """

    name: str
    meaning: str
    sent_by: tuple[str, ...]
    fields: tuple[Field, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """Its fields by name."""
        return {field.name: field for field in self.fields}

    def mismatches(self, actor: str, fields: Mapping[str, object]) -> list[str]:
        """Return what does not fit this declaration, a line each.

        Args:
            actor: the role of the sender.
            fields: what the event says beside the fields of each line.
        """
        found = []
        if self.sent_by and actor not in self.sent_by:
            found.append(f"{self.name}: sent by {actor!r}, not by {' or '.join(self.sent_by)}")
        found += [
            f"{self.name}: {name!r} is missing"
            for name, field in self.by_name.items()
            if field.always and name not in fields
        ]
        for name, value in fields.items():
            declared = self.by_name.get(name)
            if declared is None:
                found.append(f"{self.name}: {name!r} is not declared")
            elif not declared.fits(value):
                found.append(f"{self.name}: {name!r} is no {declared.type_name}: {value!r:.80}")
        return found


@dataclass(frozen=True)
class Conversation:
    """Events that tell of one thing, in the order in which they usually come."""

    title: str
    events: tuple[EventType, ...]


def type_name(declared: Any) -> str:
    """Return a type in JSON's words."""
    arguments = get_args(declared)
    if get_origin(declared) is Annotated:
        return type_name(arguments[0])
    if get_origin(declared) in {Union, types.UnionType}:
        members = (None if member is type(None) else member for member in arguments)
        return " or ".join(type_name(member) for member in members)
    if get_origin(declared) is Literal:
        return "string"
    if get_origin(declared) is list:
        return f"array of {type_name(arguments[0])}"
    if get_origin(declared) is dict:
        return f"object of {type_name(arguments[1])}"
    return JSON_NAMES[declared]


def check_of(declared: Any) -> Check:
    """Return a function that tells whether a value is of a type.

    A tuple counts as a list, since the log has no tuples. A bool is no number.

    Raises:
        TypeError: if an event cannot have fields of this type.
    """
    arguments = get_args(declared)
    origin = get_origin(declared)
    if origin is Annotated:
        return check_of(arguments[0])
    if origin in {Union, types.UnionType}:
        members = [check_of(member) for member in arguments]
        return lambda value: any(fits(value) for fits in members)
    if origin is Literal:
        return lambda value: type(value) is str and value in arguments
    if origin is list:
        item = check_of(arguments[0])
        return lambda value: isinstance(value, list | tuple) and all(map(item, value))
    if origin is dict and arguments[0] is str:
        item = check_of(arguments[1])
        return lambda value: (
            isinstance(value, dict)
            and all(isinstance(name, str) for name in value)
            and all(map(item, value.values()))
        )
    if declared is float:
        return lambda value: type(value) in {int, float}
    if declared is None or declared is type(None):
        return lambda value: value is None
    if declared is str:
        return lambda value: isinstance(value, str)
    if declared in {int, bool}:
        return lambda value: type(value) is declared
    raise TypeError(f"a field of an event cannot be a {declared!r}")
