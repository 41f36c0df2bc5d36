"""What the end of a call says about its back end: whether it failed, and when to come again."""

from email.utils import mktime_tz, parsedate_tz

from limner.messages.errors import may_be_retried

BUSY = (429, 503)
"""Too Many Requests and Service Unavailable, which may say `Retry-After` (RFC 9110, 10.2.3)."""


def failed(error: BaseException | None) -> bool | None:
    """Say whether a call's end speaks against its back end; `None` if it says nothing.

    An error that no retry can mend is one of what was asked for, not of the back end.
    """
    if error is None:
        return False
    return True if may_be_retried(error) else None


def retry_after(error: BaseException | None, wall: float) -> float | None:
    """Give the seconds for which a back end asks to be left alone, if it does.

    Args:
        error: with a number `retry_after`, as `GenerationFailed` has it; or with a `response`, as
            `requests.HTTPError` has it, whose status is 429 or 503.
        wall: the time of the day, in seconds since 1970, for a `Retry-After` that is a date.
    """
    try:
        seconds = getattr(error, "retry_after", None)
        if seconds is None:
            response = getattr(error, "response", None)
            if getattr(response, "status_code", None) not in BUSY:
                return None
            seconds = _seconds(str(response.headers.get("Retry-After", "")), wall)  # type: ignore[union-attr]
        return float(seconds) if seconds is not None and 0 < float(seconds) < 1e9 else None
    except Exception:  # noqa: BLE001  # it is somebody's object, and a back end's text
        return None


def _seconds(header: str, wall: float) -> float | None:
    header = header.strip()[:100]
    if header.isascii() and header.isdigit():
        return float(header)
    date = parsedate_tz(header)
    return None if date is None else mktime_tz(date) - wall
