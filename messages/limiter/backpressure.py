"""What the end of a call tells about its back end: whether it failed, and when to retry."""

from email.utils import mktime_tz, parsedate_tz
from typing import Any

from limner.messages.errors import LimnerError, may_be_retried

BUSY = (429, 503)
"""Too Many Requests and Service Unavailable, which may say `Retry-After` (RFC 9110, 10.2.3)."""


def has_failed(error: BaseException | None) -> bool | None:
    """Return whether the back end of a generator's call failed; `None` if the error does not tell.

    An error that no retry can mend is caused by the request, not by the back end.
    """
    if error is None:
        return False
    return True if may_be_retried(error) else None


def host_call_failed(error: BaseException | None) -> bool | None:
    """Return whether the back end of a host's own call failed; `None` if the error does not tell.

    An error of the host's own, such as a `KeyError`, does not tell. One of Limner's does, one of
    the system or the network (`OSError`, as `requests` and `urllib` raise), and one with a
    response.
    """
    if error is None or isinstance(error, LimnerError | OSError) or _status(error) is not None:
        return has_failed(error)
    return None


def retry_after(error: BaseException | None, wall: float) -> float | None:
    """Return the seconds after which a back end asks to be called again; `None` if it does not.

    Args:
        error: with a number `retry_after`, as `GenerationFailed` has it; or with a response of
            status 429 or 503, as `requests` and `urllib` raise it.
        wall: the wall time, in seconds since 1970, for a `Retry-After` that is a date.
    """
    try:
        seconds = getattr(error, "retry_after", None)
        if seconds is None and error is not None and _status(error) in BUSY:
            headers = getattr(_response(error), "headers", None) or {}
            seconds = _seconds(str(headers.get("Retry-After", "")), wall)
        return float(seconds) if seconds is not None and 0 < float(seconds) < 1e9 else None
    except BaseException:  # noqa: BLE001  # it is somebody's object, and a back end's text
        return None


def _response(error: BaseException) -> Any:
    """Return the response of a back end: `requests` has it beside the error, `urllib` as that."""
    response = getattr(error, "response", None)
    return error if response is None else response


def _status(error: BaseException) -> int | None:
    try:
        response = _response(error)
        status = getattr(response, "status_code", None) or getattr(response, "code", None)
    except BaseException:  # noqa: BLE001
        return None
    return status if type(status) is int else None


def _seconds(header: str, wall: float) -> float | None:
    header = header.strip()[:100]
    if header.isascii() and header.isdigit():
        return float(header)
    date = parsedate_tz(header)
    return None if date is None else mktime_tz(date) - wall
