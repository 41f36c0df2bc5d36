"""What happens in lanes, as `LaneSet` returns it in order, for the limiter to tell."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from limner.messages.limiter.lane import Drop, Lane
from limner.messages.limiter.leases import Slot
from limner.messages.limiter.protocol import RequestSlot


class Step(NamedTuple):
    """Something that has happened to a request, in one lane.

    Args:
        event: its name in the event log.
        lane: where.
        request: to which.
        slot: that it has or had.
        drop: why it was dropped.
        holder: of a slot that is revoked: the slot that its holder knows.
    """

    event: str
    lane: Lane
    request: RequestSlot
    slot: Slot | None = None
    drop: Drop | None = None
    holder: Slot | None = None


class LaneStep(NamedTuple):
    """Something that has happened to a lane.

    Args:
        event: its name in the event log.
        lane: to which.
        fields: of the event.
    """

    event: str
    lane: Lane
    fields: Mapping[str, Any]


def fields_of(lane: Lane) -> dict[str, Any]:
    """Return the settings of a lane as events have them: `max_concurrent` is the limit in force."""
    fields = lane.settings.as_fields()
    rule = lane.settings.adaptive
    if rule is not None:
        fields["adaptive"] = {"minimum": rule.minimum, "maximum": rule.maximum}
        fields["max_concurrent"] = lane.limit
    return fields
