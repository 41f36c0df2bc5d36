"""`limner events`: the catalogue of events."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from limner.messages.events.catalogue import CONVERSATIONS, EVENTS, ON_EVERY_LINE
from limner.messages.events.event_type import EventType, Field
from limner.scripts.reference.printing import (
    DONE,
    INDENT,
    MISUSED,
    print_json,
    print_text,
    unknown_names,
    wrapped,
)


def events(names: Sequence[str] = (), *, as_json: bool = False) -> int:
    """Print events of the catalogue.

    Args:
        names: of which events; of all if none is named.
        as_json: whether to print JSON.

    Returns:
        The exit status: 0 done, 2 an unknown name.
    """
    if unknown_names("event", names, EVENTS):
        return MISUSED
    wanted = frozenset(names or EVENTS)
    if as_json:
        print_json(as_values(wanted))
    else:
        print_text(as_lines(wanted, whole=not names))
    return DONE


def as_values(wanted: frozenset[str]) -> dict[str, Any]:
    """Return events as JSON has them."""
    return {
        "every_line": [_field_value(field) for field in ON_EVERY_LINE],
        "events": [
            {
                "name": event.name,
                "conversation": group.title,
                "meaning": event.meaning,
                "sent_by": list(event.sent_by) or None,
                "fields": [_field_value(field) for field in event.fields],
            }
            for group in CONVERSATIONS
            for event in group.events
            if event.name in wanted
        ],
    }


def _field_value(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "type": field.type_name,
        "values": list(field.values) or None,
        "unit": field.unit,
        "always": field.always,
        "meaning": field.meaning,
    }


def as_lines(wanted: frozenset[str], *, whole: bool) -> Iterator[str]:
    """Yield events as lines of text.

    Args:
        wanted: names of the events.
        whole: whether it is the whole catalogue, with titles and what each line has.
    """
    if whole:
        yield "On every line of an event log"
        yield ""
        yield from _field_lines(ON_EVERY_LINE)
    first = not whole
    for group in CONVERSATIONS:
        if whole:
            yield from ("", "", group.title)
        for event in group.events:
            if event.name in wanted:
                if not first:
                    yield ""
                first = False
                yield from _event_lines(event)


def _event_lines(event: EventType) -> Iterator[str]:
    yield f"{event.name} (from {', '.join(event.sent_by) or 'any actor'})"
    yield from wrapped(event.meaning, indent=INDENT)
    yield from _field_lines(event.fields)


def _field_lines(fields: Iterable[Field]) -> Iterator[str]:
    for field in fields:
        said = [" or ".join(field.values) or field.type_name]
        if field.unit is not None:
            said.append(field.unit)
        if not field.always:
            said.append("optional")
        yield from wrapped(f"- {field.name} ({', '.join(said)}): {field.meaning}", indent=INDENT)
