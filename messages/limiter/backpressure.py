"""What the end of a call tells about its back end: whether it failed, and when to retry.

Generators' calls and hosts' own calls are read by the same rules. A back end says "later" with a
status of `BUSY` (429, 503, 529), in an exception or in an answer that a call returns, and may say
when: `retry-after-ms` in milliseconds (as OpenAI and Azure send it), else `Retry-After` in seconds,
whole (RFC 9110, 10.2.3) or with a fraction, or as an HTTP date. Without a time, the call counts as
failed and the lane does not pause.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from email.utils import mktime_tz, parsedate_tz
from typing import NamedTuple

from limner.messages.errors import LimnerError, Reason, may_be_retried, reason_of
from limner.messages.limiter.http_answers import (
    PLAIN,
    HttpAnswer,
    answer_of_error,
    answer_of_value,
)
from limner.messages.limiter.rate_limit_headers import RateLimit, rate_limits

LONGEST = 1e9
"""Seconds that a back end may ask for; more is no time. A lane waits for `pause_maximum` at most.
"""

TIMEOUTS = frozenset(
    ["Timeout", "TimeoutException", "APITimeoutError", "ConnectTimeoutError", "ReadTimeoutError"]
)
"""Names of the time-outs of `requests`, `httpx`, `openai`, `botocore` and `urllib3`, which are no
`TimeoutError`."""

_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,20})?", re.ASCII)


class Verdict(NamedTuple):
    """What the end of a call tells about its back end.

    Args:
        failed: whether it failed; `None` if the call does not tell.
        error: how, if it did.
        retry_after: seconds after which it asks to be called again.
        overloaded: whether it had too much to do: by its status, or since it took too long.
        limits: what it says is left of its limits, of any status.
        host: that answered; `None` if that is not known.
    """

    failed: bool | None = False
    error: Reason | None = None
    retry_after: float | None = None
    overloaded: bool = False
    limits: tuple[RateLimit, ...] = ()
    host: str | None = None


GOOD = Verdict()
"""Of a call that returned, and not with an answer that says otherwise."""

UNTOLD = Verdict(failed=None)
"""Of a call that does not tell, such as one that was cancelled."""


def verdict_of_error(error: BaseException, wall: float, *, own: bool = False) -> Verdict:
    """Return what an exception tells about the back end of a call.

    Args:
        error: that was raised.
        wall: the wall time, in seconds since 1970.
        own: whether the call was a host's own, whose errors may be of its own making.
    """
    failed = host_call_failed(error) if own else has_failed(error)
    reason = reason_of(error, what="the call" if own else "the generator") if failed else None
    answer, pause = answer_of_error(error), retry_after(error, wall)
    return Verdict(
        failed,
        reason,
        pause,
        pause is not None or is_overload(error),
        () if answer is None else rate_limits(answer.headers, wall),
        None if answer is None else answer.host,
    )


def verdict_of_value(value: object, wall: float) -> Verdict:
    """Return what the value that a call has returned tells about its back end.

    Args:
        value: tells nothing, unless it is an HTTP answer with a status of `BUSY`.
        wall: the wall time, in seconds since 1970.
    """
    answer = None if type(value) in PLAIN else answer_of_value(value)
    if answer is None:
        return GOOD
    limits = rate_limits(answer.headers, wall) if answer.headers else ()
    if not answer.busy:
        return Verdict(limits=limits, host=answer.host) if limits else GOOD
    said = f"the back end answered with status {answer.status}"
    pause = retry_after_of(answer, wall)
    return Verdict(True, Reason(said, said), pause, True, limits, answer.host)


def verdict_of_batch(
    results: Iterable[tuple[object, BaseException | None]], wall: float
) -> Verdict:
    """Return what the results of a batch tell: the worst of them.

    Args:
        results: of each item, or the exception that it got instead. An exception counts if it says
            that the back end is busy.
        wall: the wall time, in seconds since 1970.
    """
    worst = GOOD
    for value, error in results:
        if error is None:
            verdict = verdict_of_value(value, wall)
        elif is_overload(error) or retry_after(error, wall) is not None:
            verdict = verdict_of_error(error, wall, own=True)
        else:
            continue
        if verdict is GOOD:
            continue
        later = max(worst.retry_after or 0.0, verdict.retry_after or 0.0)
        worst = Verdict(
            True if worst.failed or verdict.failed else worst.failed,
            worst.error or verdict.error,
            later or None,
            worst.overloaded or verdict.overloaded,
            verdict.limits or worst.limits,
            verdict.host or worst.host,
        )
    return worst


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
    the system or the network (`OSError`, as `requests` and `urllib` raise), and one with an HTTP
    status.
    """
    known = error is None or isinstance(error, LimnerError | OSError) or is_timeout(error)
    if known or answer_of_error(error) is not None:
        return has_failed(error)
    return None


def is_overload(error: BaseException) -> bool:
    """Return whether an exception says that the back end has too much to do: busy, or too late."""
    if is_timeout(error):
        return True
    answer = answer_of_error(error)
    return answer is not None and answer.busy


def is_timeout(error: BaseException) -> bool:
    """Return whether an exception is a time-out, by its type."""
    kinds = type(error).__mro__
    return isinstance(error, TimeoutError) or any(kind.__name__ in TIMEOUTS for kind in kinds)


def retry_after(error: BaseException | None, wall: float) -> float | None:
    """Return the seconds after which a back end asks to be called again; `None` if it does not.

    Args:
        error: with a number or a `timedelta` as `retry_after`, as `GenerationFailed` has it; or
            with an HTTP answer whose status is in `BUSY`.
        wall: the wall time, in seconds since 1970, for a `Retry-After` that is a date.
    """
    try:
        said = getattr(error, "retry_after", None)
        if isinstance(said, timedelta):
            said = said.total_seconds()
        if said is not None:
            return _bounded(float(said))
    except BaseException:  # noqa: BLE001  # it is somebody's object
        return None
    answer = answer_of_error(error)
    return None if answer is None else retry_after_of(answer, wall)


def retry_after_of(answer: HttpAnswer, wall: float) -> float | None:
    """Return the seconds after which an answer asks to be called again; `None` if it does not."""
    return _seconds(answer.headers, wall) if answer.busy else None


def _seconds(headers: Mapping[str, str], wall: float) -> float | None:
    """Return what the first header of a time says that can be read."""
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        text = headers.get(name, "")
        if _NUMBER.fullmatch(text):
            return _bounded(float(text) / 1_000)
    text = headers.get("retry-after", "")[:100]
    if _NUMBER.fullmatch(text):
        return _bounded(float(text))
    try:
        date = parsedate_tz(text)
        return None if date is None else _bounded(mktime_tz(date) - wall)
    except (ValueError, OverflowError):
        return None


def _bounded(seconds: float) -> float | None:
    return seconds if 0 < seconds < LONGEST else None
