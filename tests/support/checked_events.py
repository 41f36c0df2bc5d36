"""Events as they are sent, checked against the catalogue: in tests alone, as it takes time."""

from collections import deque

from limner.actors.event_log import EventLog
from limner.messages.events.catalogue import mismatches

MISMATCHES = deque(maxlen=20)
"""What did not fit, of the test that runs; from any thread."""


def check_what_is_sent(patch):
    """Put the check before the one way that all events take to the recorder."""
    put = EventLog.put

    def checked_put(log, event):
        MISMATCHES.extend(mismatches(record_of(event)))
        put(log, event)

    patch.setattr(EventLog, "put", checked_put)


def record_of(event):
    """Return an event as the recorder would write it, with any number and time of day."""
    ids = {
        name: value
        for name in ("session_id", "message_id", "task_id")
        if (value := getattr(event, name)) is not None
    }
    common = {"seq": 1, "t": event.t / 1_000_000, "at": "", "actor": event.actor}
    return {**common, **ids, "event": event.event, **event.fields}
