"""What hosts ask of all sessions: what there is, to wait for one, to cancel, to prioritise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from limner.actors.system import PooledFuture
from limner.actors.writes.live_session import LiveSession, resolve
from limner.messages.errors import AlreadyWritten, SessionCancelled
from limner.messages.pictures import Illustrated
from limner.messages.session.control import SessionRecord
from limner.messages.session.lifecycle import OpenStream, Regenerate, SessionEnded
from limner.messages.session.task_history import TaskHistory
from limner.messages.writes.message_queue import MessageQueue

Sessions = Sequence[OpenStream | Regenerate]


class SessionControl:
    """The sequencer's part that answers questions about sessions. Owned by the sequencer.

    Args:
        sessions: the sessions whose actors have not all ended, by message id.
        queues: the queues of all messages that are not idle, by message id.
    """

    def __init__(self, sessions: dict[str, LiveSession], queues: dict[str, MessageQueue]) -> None:
        self._sessions = sessions
        self._queues = queues
        self._waiting: dict[str, list[PooledFuture[Any]]] = {}  # by session id
        self.history = TaskHistory()

    def records(self, message_id: str | None) -> tuple[SessionRecord, ...]:
        """Return the sessions of a message, or of all, that have not ended; then what waits."""
        names = list(self._queues) if message_id is None else [message_id]
        found = []
        for name in names:
            session, queue = self._sessions.get(name), self._queues.get(name)
            if session is not None and session.ended is None:
                writing = queue is not None and queue.writing == session.opening.session_id
                found.append(SessionRecord(session.opening, session.ref, writing))
            if queue is not None:
                found += [SessionRecord(opening, None, False) for opening in queue.openings]
        return tuple(found)

    def wait(self, message_id: str, future: PooledFuture[Any]) -> None:
        """Set a future once the session of a message has ended; to `None` if it has none."""
        session = self._sessions.get(message_id)
        if session is None:
            future.set_if_pending(None)
        else:
            self._waiting.setdefault(session.opening.session_id, []).append(future)

    def session_over(self, ended: SessionEnded) -> None:
        """Set the futures of those who wait for a session."""
        for future in self._waiting.pop(ended.session_id, ()):
            resolve(future, ended)


def when_cancelled(meant: Sessions, then: Callable[[int, bool], None]) -> None:
    """Call a function once all that was meant to be cancelled has ended.

    Args:
        meant: what it was opened for.
        then: gets how many were cancelled, and whether one was written.
    """
    futures = [
        opening.stream.future if isinstance(opening, OpenStream) else opening.future
        for opening in meant
    ]

    def one_ended() -> None:
        if all(future.done for future in futures):
            conclude()  # twice, if two end at once: the first answer stands

    def conclude() -> None:
        results = [_result(future) for future in futures]
        cancelled = sum(isinstance(result, SessionCancelled) for result in results)
        written = any(isinstance(result, Illustrated) and result.written for result in results)
        then(cancelled, written)

    if not futures:
        conclude()
    for future in futures:
        future.when_done(one_ended)


def _result(future: PooledFuture[Any]) -> object:
    try:
        return future.get(timeout=0)
    except Exception as error:  # noqa: BLE001  # it is counted, and is its own caller's
        return error


def answer_message(future: PooledFuture[Any], message_id: str, meant: Sessions) -> None:
    """Set the future of a `CancelMessage` once all of it has ended."""

    def then(cancelled: int, written: bool) -> None:
        if written and not cancelled:
            future.fail_if_pending(AlreadyWritten(f"message {message_id!r} is written already"))
        else:
            future.set_if_pending(cancelled > 0)

    when_cancelled(meant, then)


def answer_all(future: PooledFuture[Any], meant: Sessions, answered: Callable[[int], None]) -> None:
    """Set the future of a `CancelAll` once all of it has ended.

    Args:
        future: is given how many were cancelled.
        meant: what was to be cancelled.
        answered: is called with that number before, once or twice; from any thread.
    """

    def then(cancelled: int, _: bool) -> None:
        if not future.done:
            answered(cancelled)
            future.set_if_pending(cancelled)

    when_cancelled(meant, then)
