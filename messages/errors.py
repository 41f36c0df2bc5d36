"""The errors that Limner raises. Each says what was wrong and what to do."""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from limner.messages.limiter.refusal import Refusal
from limner.messages.unicode import wellformed

MASK = "***"
"""What stands in the place of a password or a key."""

_NAMES = "api-?key|key|token|secret|passw(?:or)?d|pwd|sig(?:nature)?|auth|credential|session"
_MASKED = (
    (re.compile(r"(://)[^/\s@?#]{1,500}@"), rf"\g<1>{MASK}@"),
    (
        re.compile(rf"(?i)([?&;][\w.-]{{0,40}}(?:{_NAMES})[\w.-]{{0,40}}=)[^&\s#;'\"<>]+"),
        rf"\g<1>{MASK}",
    ),
    (
        re.compile(r"(/bot\d+:|/webhooks/\d+/|/services/\w{1,40}/\w{1,40}/)[\w-]{16,}"),
        rf"\g<1>{MASK}",
    ),
    (re.compile(r"(?i)\b(bearer|basic) [\w.~+/-]{8,}=*"), rf"\g<1> {MASK}"),
)
"""Passwords and keys in URLs: before the host, in the query, in the paths of bots' and hooks'
addresses; and those of an `Authorization` header."""


class Reason(NamedTuple):
    """Why a call failed, in two wordings.

    Args:
        public: for everybody, also for readers of the text: only `GenerationFailed`'s own words, or
            a general sentence. The text of any other exception may hold a URL with a key.
        full: for the log, with keys and passwords masked.
    """

    public: str
    full: str


def reason_of(error: BaseException, *, what: str = "the generator") -> Reason:
    """Return why a call failed, for everybody and for the log.

    Args:
        error: that was raised.
        what: was called; it begins the general sentence.
    """
    full = describe(error)
    if isinstance(error, GenerationFailed):
        return Reason(full, full)
    return Reason(f"{what} failed ({_kind(error)}); the event log says more", full)


def _kind(error: BaseException) -> str:
    """Return what kind of error it is, in the operating system's words or by its class."""
    cause = error if isinstance(error, OSError) else error.__cause__
    told = cause.strerror if isinstance(cause, OSError) and type(cause.errno) is int else None
    if isinstance(told, str) and re.fullmatch(r"[A-Za-z ,'()-]{1,100}", told):
        return told
    kind = next(kind for kind in type(error).__mro__ if not kind.__name__.startswith("_"))
    return wellformed(kind.__name__)[:80]


def masked(text: str) -> str:
    """Return a text without the passwords and keys that stand in its URLs."""
    for pattern, instead in _MASKED:
        text = pattern.sub(instead, text)
    return text


def describe(error: BaseException | None, *, limit: int = 500) -> str:
    """Return one line of at most `limit` characters that describes an exception, whatever it is.

    Passwords and keys in URLs are masked.
    """
    try:
        said = str(error)
    except Exception:  # noqa: BLE001  # `__str__` may be any code
        said = "(it cannot say what it was)"
    name = "" if isinstance(error, LimnerError) else f"{type(error).__name__}: "
    line = masked(" ".join(wellformed((name + said)[: 20 * limit]).split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def may_be_retried(error: BaseException) -> bool:
    """Return whether a retry may help: the exception's own `retryable`, and true by default.

    What is no `Exception`, such as a `SystemExit`, is not retried by default.
    """
    try:
        return bool(getattr(error, "retryable", isinstance(error, Exception)))
    except BaseException:  # noqa: BLE001  # `retryable` may be any code
        return True


class LimnerError(Exception):
    """Anything that Limner raises on purpose."""


class SettingsInvalid(LimnerError, ValueError):
    """A setting, a pattern or an argument is out of its bounds."""


class MessageBusy(LimnerError):
    """The message has a session of another kind, which must end first."""


class UnknownMessage(LimnerError, LookupError):
    """No such message, or a message id that cannot be one."""


class UnknownPicture(LimnerError, LookupError):
    """The message has no such placement."""


class UnknownPrompt(LimnerError, LookupError):
    """The registry has no such prompt."""


class StreamClosed(LimnerError):
    """The stream has ended, so it takes no more text."""


class AlreadyWritten(LimnerError):
    """The write is under way or done, so the session can no longer be cancelled."""


class TextTooLong(LimnerError, ValueError):
    """The message has more characters than `Settings.max_text` allows."""


class VersionConflict(LimnerError):
    """The store holds another version of the text than the one that was expected."""


class StoreFailed(LimnerError):
    """The store could not be opened, read or written."""


class GenerationFailed(LimnerError):
    """A generator could not make a picture.

    Args:
        message: what went wrong, in one line.
        retryable: whether the same call may succeed later (a busy back end), or
            never will (a refused prompt).
        retry_after: seconds that the back end asks its callers to wait, if it does.
    """

    def __init__(
        self, message: str, *, retryable: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after


class SlotRefused(LimnerError):
    """The limiter refused or dropped a request for a slot, or the request was withdrawn.

    Args:
        message: what happened, in one line.
        reason: why, as a value to decide on; Limner always names it.
        lane: that refused it: the request's own, or one that it stands behind; named too.
    """

    def __init__(
        self, message: str, reason: Refusal | None = None, lane: str | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.lane = lane

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.reason, self.lane)


RequestDropped = SlotRefused
"""The name that `SlotRefused` had before version 0.2."""


class LeaseEnded(LimnerError, TimeoutError):
    """A call held its slot for longer than its lane's `lease`; its result is not awaited."""


class CallTimedOut(LimnerError, TimeoutError):
    """A host's own call took longer than its `timeout`; its result is not awaited."""


class ResultNotAwaited(LimnerError, TypeError):
    """A call gave a coroutine or the like, which nobody awaits; `limiter.run` would."""

    retryable = False


class SessionTimedOut(LimnerError, TimeoutError):
    """A session's deadline passed before its last task was settled; nothing was written.

    Args:
        message: what happened, in one line.
        waiting_for: ids of the tasks that were still open.
    """

    def __init__(self, message: str, *, waiting_for: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.waiting_for = tuple(waiting_for)


class SessionCancelled(LimnerError):
    """The session was cancelled; nothing was written."""


class SessionFailed(LimnerError):
    """One of a session's actors failed; pictures that were finished are kept.

    Args:
        message: what happened, in one line.
        cause: the exception that ended the actor.
        text: the text that could not be written, without its pictures, so that it is not lost;
            `None` if there was none, or it stands in the store as it was.
    """

    def __init__(
        self, message: str, *, cause: BaseException | None = None, text: str | None = None
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.text = text
        self.__cause__ = cause


class CloseRefused(LimnerError, RuntimeError):
    """`close` was called by what it would wait for, such as a future's callback or a generator."""


class StudioClosed(LimnerError):
    """The studio is closed, or closing, and takes nothing new."""
