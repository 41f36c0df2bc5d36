"""How often a host's own call is tried, which errors are tried again, and how long one may take."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from limner.messages.errors import SettingsInvalid, may_be_retried
from limner.messages.limiter.backpressure import Verdict, host_call_failed
from limner.messages.limiter.http_answers import answer_of_error

MOST_ATTEMPTS = 1_000
LONGEST = 86_400
"""Seconds of a call, and of the pause that a back end asks for before the next, at most."""

MAX_REVOCATIONS = 3
"""How often the slot of one call is revoked, at most, as a picture's by default."""

AGAIN = frozenset([408, 425, 429])
"""Statuses below 500 of which a retry may help: Request Timeout, Too Early (RFC 9110, RFC 8470),
and Too Many Requests."""

NAME = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_NUMBERED = re.compile(r"(?:call|batch)-\d+")


class CallRules(NamedTuple):
    """How a host's own call is tried.

    Args:
        attempts: how often it is called at most.
        retry_on: the errors after which it is called again; `None` for the usual reading.
        timeout: seconds that each call may take; `None` for the lane's lease.
        preemptible: whether its slot may be revoked for an active request.
        takes_cancelled: whether it is called with `cancelled`.
    """

    attempts: int = 1
    retry_on: tuple[type[BaseException], ...] | None = None
    timeout: float | None = None
    preemptible: bool = False
    takes_cancelled: bool = False

    def tries_again(self, calls: int, error: BaseException | None, verdict: Verdict) -> bool:
        """Return whether a call is made again.

        Args:
            calls: how many were made.
            error: that the last one raised; `None` if it returned an answer that says later.
            verdict: what its end tells about the back end.
        """
        if calls >= self.attempts:
            return False
        if error is None:
            return bool(verdict.failed)
        if self.retry_on is not None:
            return isinstance(error, self.retry_on)
        if not may_be_retried(error) or not host_call_failed(error):
            return False
        answer = answer_of_error(error)
        return answer is None or answer.status >= 500 or answer.status in AGAIN


ONCE = CallRules()


def rules_of(
    call: object, attempts: object, retry_on: object, timeout: object, *, preemptible: bool
) -> CallRules:
    """Return the rules of a call.

    Args:
        call: takes `cancelled` if it has a parameter of that name.
        attempts: 1 to 1,000.
        retry_on: types of exceptions; `None` for the usual reading.
        timeout: seconds, above 0 and up to 86,400; `None` for the lane's lease.
        preemptible: whether its slot may be revoked.

    Raises:
        SettingsInvalid: if one of these cannot be.
    """
    takes = takes_cancelled(call)
    plain = retry_on is None and timeout is None and not preemptible
    if plain and attempts == 1 and type(attempts) is int:
        return CallRules(takes_cancelled=True) if takes else ONCE
    if type(attempts) is not int or not 1 <= attempts <= MOST_ATTEMPTS:
        raise SettingsInvalid(
            f"attempts: a whole number from 1 to {MOST_ATTEMPTS:,}, not {attempts!r:.80}"
        )
    kinds: tuple[Any, ...] | None = None
    if retry_on is not None:
        several = isinstance(retry_on, Iterable) and not isinstance(retry_on, type)
        kinds = tuple(retry_on) if several and isinstance(retry_on, Iterable) else (retry_on,)
        if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
            raise SettingsInvalid(f"retry_on: types of exceptions, not {retry_on!r:.80}")
    seconds: float | None = None
    if timeout is not None:
        number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
        seconds = float(timeout) if number and isinstance(timeout, int | float) else 0
        if not 0 < seconds <= LONGEST:
            raise SettingsInvalid(
                f"timeout: seconds above 0 and up to {LONGEST:,}, not {timeout!r:.80}"
            )
    return CallRules(attempts, kinds, seconds, bool(preemptible), takes)


def takes_cancelled(call: Any) -> bool:
    """Return whether a callable written in Python has a parameter `cancelled`."""
    try:
        given, inner = (), call
        code = getattr(call, "__code__", None)
        if code is None:
            given = getattr(call, "keywords", None) or ()
            inner = getattr(call, "func", call)
            code = getattr(inner, "__code__", None)
        if code is None and not isinstance(inner, type):
            code = getattr(vars(type(inner)).get("__call__"), "__code__", None)
        parameters = 0 if code is None else code.co_argcount + code.co_kwonlyargcount
        if code is None or not parameters or "cancelled" in given:
            return False
        return "cancelled" in code.co_varnames[:parameters]
    except Exception:  # noqa: BLE001  # attributes may be any code
        return False


def name_of(name: object) -> str:
    """Return the name that a host gives to a call.

    Raises:
        SettingsInvalid: if it cannot be one, or is of the form of those that Limner gives.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name) or _NUMBERED.fullmatch(name):
        raise SettingsInvalid(
            "name: 1 to 100 letters, digits, '_', '.', ':' or '-', and not as call-1 or batch-1,"
            f" not {name!r:.120}"
        )
    return name
