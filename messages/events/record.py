"""One line of an event log, as it was read: whatever stands in it."""

import re
from typing import Any

import orjson

Record = dict[str, Any]
"""One line of the log as it was read."""

MAX_LINE = 16 * 2**20
"""Bytes of one line; a longer one is foreign."""

MAX_TIME = 1e12
"""Seconds; a `t` that is not within is no time."""


def opens_run(event: Record) -> bool:
    """Check whether an event is the first one of a run."""
    return bool(event["event"] == "studio_opened")


def micros(event: Record) -> int:
    """Return an event's time in integer microseconds, from which it was written."""
    t: float = event["t"]
    return round(t * 1_000_000)


def stands_for(event: Record) -> str | None:
    """Return the request that an event's request stands for in a lane upstream, if any.

    Where a lane is behind another, its request is offered there as a request of its own: it is the
    same request, and waits and holds once. Logs of version 0.1 have no field for that; there the
    offers of `R` are named `R~1`, `R~2` and so on.
    """
    named = event.get("stands_for")
    if type(named) is str:
        return named
    request = event.get("request_id")
    if type(request) is str and "~" in request:
        inner, _, number = request.rpartition("~")
        if number.isdecimal():
            return inner
    return None


def parse(line: bytes) -> Record | None:
    """Parse one line.

    Args:
        line: without or with its end; of more than `MAX_LINE` bytes it is foreign.

    Returns:
        The event; or `None` for a foreign line, one that is no JSON object with an integer
        `seq`, a string `event` and a finite number `t`.
    """
    if len(line) > MAX_LINE:
        return None
    try:
        event = orjson.loads(line)
        t = event["t"]
        if (
            type(event["seq"]) is int
            and type(event["event"]) is str
            and (type(t) is float or type(t) is int)
            and -MAX_TIME < t < MAX_TIME
        ):
            return event  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError):
        pass
    return None


def may_begin_log(line: bytes) -> bool:
    """Check whether a file that begins with a line may be an event log.

    Args:
        line: the first one, or its beginning; empty if the file is.

    Returns:
        True for an event, for the beginning of one, which a crash or a full disk may have left, and
        for an empty line, which is written after such a beginning.
    """
    return not line.strip(b"\r\n") or _CUT.match(line) is not None or parse(line) is not None


_CUT = re.compile(rb'\{ ?"seq": ?[0-9]')
