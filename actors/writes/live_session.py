"""A session whose actors have not all ended, and how its end is reported."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from limner.actors.event_log import EventLog
from limner.actors.system import PooledFuture, PooledRef
from limner.messages.base import Address
from limner.messages.errors import SessionFailed, describe
from limner.messages.session.lifecycle import OpenStream, Regenerate, SessionEnded
from limner.messages.writes.protocol import EditEnded

ROLE = "studio"
"""Under which logs have had the events of sessions from the first version on."""


@dataclass(slots=True, eq=False)
class LiveSession:
    """A session whose actors have not all ended.

    Args:
        opening: what it was opened for.
        ref: the session itself.
        actors: the session, then the orphans that it left.
        writer: who waits for its turn.
        ended: how it ended, once it has reported that.
        reason: why its actor failed, if it sent no `SessionEnded`.
        counts: how many of its tasks are in each state, once its processor has ended.
    """

    opening: OpenStream | Regenerate
    ref: PooledRef[Any]
    actors: set[PooledRef[Any]]
    writer: Address | None = None
    ended: SessionEnded | None = None
    reason: BaseException | None = None
    counts: Counter[str] = field(default_factory=Counter)


def failed_end(opening: OpenStream | Regenerate, reason: BaseException | None) -> SessionEnded:
    """Return the end of a session whose actor has ended without reporting."""
    why = "it was stopped" if reason is None else describe(reason)
    return SessionEnded(
        session_id=opening.session_id,
        message_id=opening.message_id,
        outcome="failed",
        error=SessionFailed(
            f"the session of message {opening.message_id!r} failed: {why}", cause=reason
        ),
        heard=None,
    )


def resolve(future: PooledFuture[Any], ended: SessionEnded | EditEnded) -> None:
    """Set a future to what a session or an edit gives, unless it is set."""
    if ended.error is None:
        future.set_if_pending(ended.result)
    else:
        future.fail_if_pending(ended.error)


def report_end(log: EventLog, opening: OpenStream | Regenerate, ended: SessionEnded) -> None:
    """Log how a session has ended, and set the future of a stream."""
    log.tell(
        ROLE,
        "session_ended",
        session_id=opening.session_id,
        message_id=opening.message_id,
        outcome=ended.outcome,
        reason=None if ended.error is None else describe(ended.error),
    )
    if isinstance(opening, OpenStream):
        opening.stream.end(f"its session has ended ({ended.outcome})")
        resolve(opening.stream.future, ended)
