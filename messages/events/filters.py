"""Which events a subscriber gets."""

from collections.abc import Iterable
from difflib import get_close_matches

from limner.messages.base import Value
from limner.messages.errors import SettingsInvalid
from limner.messages.events.catalogue import EVENTS
from limner.messages.events.owners import Owners, Record
from limner.messages.validation import message_id_of, owner_of


class EventFilter(Value):
    """Which events a subscriber gets. An `events_lost` passes each filter.

    Args:
        events: by their names; all if `None`.
        message_id: of one message; of all, and of none, if `None`.
        owner: of one owner; of all, and of none, if `None`.
    """

    events: frozenset[str] | None = None
    message_id: str | None = None
    owner: str | None = None

    def passes(self, record: Record, owners: Owners) -> bool:
        """Return whether a subscriber gets an event."""
        if record["event"] == "events_lost":
            return True
        return (
            (self.events is None or record["event"] in self.events)
            and (self.message_id is None or record.get("message_id") == self.message_id)
            and (self.owner is None or owners.owner_of(record) == self.owner)
        )


EVERYTHING = EventFilter()
"""The filter that each event passes."""


def filter_of(
    events: Iterable[str] | None, message_id: str | None, owner: str | None
) -> EventFilter:
    """Return the filter that a host names.

    Args:
        events: names of events, or one name; all if `None`.
        message_id: of one message.
        owner: of one owner.

    Raises:
        SettingsInvalid: if there is no such event, if no event is named, or if an owner cannot be
            one.
        UnknownMessage: if a message id cannot be one.
    """
    names = None
    if events is not None:
        names = frozenset([events] if isinstance(events, str) else events)
        if not names:
            raise SettingsInvalid("events: name one event at least, or leave it out for all")
        for name in sorted(names - EVENTS.keys(), key=str):
            near = get_close_matches(name[:100].lower(), EVENTS, n=1) if type(name) is str else []
            hint = f"did you mean {near[0]!r}?" if near else "`limner events` prints all"
            raise SettingsInvalid(f"events: there is no event {name!r:.80}; {hint}")
    if names is None and message_id is None and owner is None:
        return EVERYTHING
    return EventFilter(
        events=names,
        message_id=None if message_id is None else message_id_of(message_id),
        owner=owner_of(owner),
    )
