"""What a generator raised: its traceback on `logging`, once a kind; whether a call was wrong."""

import inspect
import logging
import traceback
from collections.abc import Callable
from types import TracebackType

from limner.actors.generators.protocol import Generator
from limner.messages.errors import GenerationFailed, LimnerError, SettingsInvalid, describe, masked
from limner.messages.unicode import wellformed

logger = logging.getLogger("limner.generators")

MAX_KINDS = 100
"""Kinds of failures that are logged, at most; a kind is what was raised, and where."""

MAX_TRACEBACK = 20_000
"""Characters of a traceback that are logged, at most."""

WRAPPERS = ("limner.actors.picture_maker", "limner.actors.generators.opening")
"""Modules that call a generator."""


def check_signature(call: Callable[..., object], name: str) -> None:
    """Check that a callable takes `(task, cancelled)`, if that can be seen.

    Args:
        call: the callable.
        name: what an error calls it.

    Raises:
        SettingsInvalid: if it cannot be called so; says what its signature is.
    """
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):
        return  # such as of what is written in C
    try:
        signature.bind("task", "cancelled")
    except TypeError as error:
        raise SettingsInvalid(
            f"generator: {name} has the signature {_shown(signature)}, so it cannot be called with"
            f" (task, cancelled): {error}"
        ) from None


def called_wrongly(error: BaseException, generator: Generator) -> GenerationFailed | None:
    """Return the failure of a call with arguments that the generator does not take.

    A `TypeError` from within the generator is none.
    """
    if not isinstance(error, TypeError) or _place(error.__traceback__)[0] not in WRAPPERS:
        return None
    try:
        signature = _shown(inspect.signature(generator.generate))
    except (TypeError, ValueError):
        signature = "that cannot be seen"
    failure = GenerationFailed(
        f"the generator cannot be called with (task, cancelled): {describe(error, limit=200)};"
        f" its signature is {signature}",
        retryable=False,
    )
    failure.__cause__ = error
    return failure


class FailureLog:
    """Logs the traceback of each kind of failure of one generator, once."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[object, ...], object] = {}

    def log(self, error: BaseException, generator: object) -> None:
        """Log a failure, unless it is of a kind that was logged, or explains itself.

        What Limner or a generator raises on purpose, a `LimnerError`, has all in its words; it is
        logged if another exception caused it.
        """
        cause = error.__cause__ if isinstance(error, LimnerError) else error
        if cause is None:
            return
        kind = (type(error), type(cause), _place(cause.__traceback__))
        own = object()
        if len(self._kinds) < MAX_KINDS and self._kinds.setdefault(kind, own) is own:
            # as text, since handlers print what an exception itself says, with the keys in it
            logger.error(
                "generator %s failed; further failures of this kind are not logged: %s\n%s",
                masked(_name(generator)),
                describe(error),
                _traceback(error),
            )


def _place(trace: TracebackType | None) -> tuple[str, int]:
    """Return the module and the line in which an exception was raised."""
    if trace is None:
        return "", 0
    while trace.tb_next is not None:
        trace = trace.tb_next
    return str(trace.tb_frame.f_globals.get("__name__")), trace.tb_lineno


def _traceback(error: BaseException) -> str:
    """Return the traceback with passwords and keys in URLs masked; of a long one the end."""
    said = "".join(traceback.format_exception(error)).rstrip()
    return masked(wellformed(said[-MAX_TRACEBACK:]))


def _name(generator: object) -> str:
    try:
        return f"{generator!r:.80}"
    except Exception:  # noqa: BLE001  # `__repr__` may be any code
        return type(generator).__name__


def _shown(signature: inspect.Signature) -> str:
    shown = " ".join(str(signature).split())
    return shown if len(shown) <= 120 else f"{shown[:119]}…"
