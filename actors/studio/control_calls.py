"""The studio's calls that show sessions and tasks, wait for them, cancel them, prioritise them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import pykka

from limner.actors.studio.client import SequencerClient
from limner.actors.system import PooledFuture, PooledRef
from limner.messages.errors import SettingsInvalid
from limner.messages.pictures import Illustrated
from limner.messages.session.control import (
    AwaitSession,
    CancelAll,
    CancelMessage,
    CancelTask,
    ReportSession,
    ReportSessions,
    ReportTask,
    ReportTasks,
    SessionRecord,
    SetPriority,
)
from limner.messages.session.lifecycle import OpenStream
from limner.messages.session_status import SessionStatus, TaskStatus, session_status
from limner.messages.tasks import Task
from limner.messages.validation import owner_of, priority_of, task_id_of

Found = tuple[SessionRecord, bool, tuple[Task, ...]]
"""A session, whether it is sealed, and its tasks."""

CANCELLED = "it was cancelled by a call"


class ControlCalls:
    """The studio's calls for sessions and tasks of all messages.

    They work while the studio closes, too: what keeps it from closing can be cancelled.

    Args:
        client: tells the sequencer.
    """

    def __init__(self, client: SequencerClient) -> None:
        self._client = client

    def sessions(self, owner: str | None = None) -> tuple[SessionStatus, ...]:
        """Return the sessions that have not ended, also those that wait for their message.

        Each is as its actors are at about the same moment. Does not wait for pictures.

        Args:
            owner: whose; of all owners if `None`.

        Raises:
            SettingsInvalid: if `owner` cannot be one.
            StudioClosed: if the studio is closed.
        """
        owner = owner_of(owner)
        return tuple(
            session_status(record, sealed=sealed, tasks=tasks)
            for record, sealed, tasks in self._found(self._records())
            if owner in (None, record.opening.owner)
        )

    def tasks(
        self, message_id: str | None = None, owner: str | None = None
    ) -> tuple[TaskStatus, ...]:
        """Return the tasks of the sessions that have not ended, also those that have settled.

        Args:
            message_id: of which message; of all if `None`.
            owner: whose; of all owners if `None`.

        Raises:
            UnknownMessage: if the id cannot be one.
            SettingsInvalid: if `owner` cannot be one.
            StudioClosed: if the studio is closed.
        """
        message_id = None if message_id is None else self._client.message_id(message_id)
        owner = owner_of(owner)
        return tuple(
            self._status(task)
            for _, _, tasks in self._found(self._records(message_id))
            for task in tasks
            if owner in (None, task.owner)
        )

    def task(self, task_id: str) -> TaskStatus | None:
        """Return one task, live or settled; `None` if it is not known, or not any more.

        Of sessions that have ended, the last 1,000 tasks are remembered.

        Args:
            task_id: as events and results name it.

        Raises:
            SettingsInvalid: if that cannot be a task's id.
            StudioClosed: if the studio is closed.
        """
        task_id = task_id_of(task_id)
        for _, _, tasks in self._found(self._records()):
            for task in tasks:
                if task.id == task_id:
                    return self._status(task)
        task = self._ask(ReportTask(task_id=task_id))
        return None if task is None else self._status(task)

    def wait(self, message_id: str) -> pykka.Future[Illustrated | None]:
        """Return a future of the session that the message has now, whoever has opened it.

        It gives what the session gives, or raises why it gives nothing; `None` if the message has
        no session.

        Raises:
            UnknownMessage: if the id cannot be one.
            StudioClosed: if the studio is closed.
        """
        message_id = self._client.message_id(message_id)
        future = self._client.future(f"the session of message {message_id!r}")
        self._send(AwaitSession(message_id=message_id, future=future), future)
        return future

    def cancel(self, message_id: str) -> pykka.Future[bool]:
        """Cancel whatever session a message has, whoever opened it, and those that wait behind it.

        Nothing is written, whether it streams, waits for its pictures, or gathers requests. A
        write that is under way stands. Edits are not cancelled; see `clear`. What was finished is
        kept.

        Returns:
            A future that is done once all of them have ended. It gives whether any was cancelled;
            false if the message had none. It raises `AlreadyWritten` if the write was under way.

        Raises:
            UnknownMessage: if the id cannot be one.
            StudioClosed: if the studio is closed.
        """
        message_id = self._client.message_id(message_id)
        future = self._client.future(f"the cancelling of message {message_id!r}")
        with self._client.lock:
            for stream in self._client.streams(message_id=message_id):
                stream.end("cancelled")
            message = CancelMessage(message_id=message_id, future=future)
            self._client.send_locked(message, future, while_closing=True)
        return future

    def cancel_task(self, task_id: str) -> pykka.Future[bool]:
        """Cancel one picture: its tag is left as it is, and the others go on.

        Returns:
            A future that gives whether the task was open; false if it had settled, or is not known.
            It is done already.

        Raises:
            SettingsInvalid: if that cannot be a task's id.
            StudioClosed: if the studio is closed.
        """
        task_id = task_id_of(task_id)
        future: PooledFuture[bool] = self._client.future(f"the cancelling of task {task_id}")
        message = CancelTask(task_id=task_id, reason=CANCELLED)
        replies = [processor.ask(message, block=False) for _, _, processor in self._live()]
        future.set(any(_reply(reply, default=False) for reply in replies))
        return future

    def cancel_all(
        self, owner: str | None = None, conversation: str | None = None
    ) -> pykka.Future[int]:
        """Cancel sessions of all messages, and requests that gather, as `cancel` does.

        Args:
            owner: whose; of all owners if `None`.
            conversation: of which conversation; of all if `None`. No message has one yet, so a
                name cancels nothing.

        Returns:
            A future that is done once all of them have ended. It gives how many streams and
            requests were cancelled; one whose write was under way is written, and not counted.

        Raises:
            SettingsInvalid: if an argument is out of its bounds.
            StudioClosed: if the studio is closed.
        """
        owner, conversation = owner_of(owner), _conversation_of(conversation)
        future = self._client.future("the cancelling of sessions")
        with self._client.lock:
            if conversation is not None:
                self._client.check_not_over()
                future.set(0)
                return future
            for stream in self._client.streams(owner=owner):
                stream.end("cancelled")
            message = CancelAll(owner=owner, future=future)
            self._client.send_locked(message, future, while_closing=True)
        return future

    def prioritise(self, message_id: str, priority: str | int) -> None:
        """Change the priority of a message's session, and of all that it waits for.

        Its requests that wait for a slot move at once, and keep their age. So do the sessions and
        requests of the message that wait behind it. A message without a session is left alone.

        Args:
            message_id: whose session.
            priority: `active`, `background`, or 0 (first) to 9.

        Raises:
            UnknownMessage: if the id cannot be one.
            SettingsInvalid: if the priority cannot be one.
            StudioClosed: if the studio is closed.
        """
        message_id = self._client.message_id(message_id)
        self._send(SetPriority(message_id=message_id, priority=priority_of(priority)))

    # How it is found out

    def _records(self, message_id: str | None = None) -> tuple[SessionRecord, ...]:
        records: tuple[SessionRecord, ...] = self._ask(ReportSessions(message_id=message_id))
        return records

    def _live(self) -> Iterator[tuple[SessionRecord, bool, PooledRef[Any]]]:
        """Yield the sessions that have begun, whether each is sealed, and its processor."""
        yield from _with_processors(self._records())

    def _found(self, records: Iterable[SessionRecord]) -> Iterator[Found]:
        """Yield sessions with their tasks; all their actors are asked before any has answered."""
        records = tuple(records)
        asked = [
            (record, sealed, processor.ask(ReportTasks(), block=False))
            for record, sealed, processor in _with_processors(records)
        ]
        found = {
            record.opening.session_id: (sealed, _reply(reply, default=()))
            for record, sealed, reply in asked
        }
        for record in records:
            if record.session is None:
                sealed = isinstance(record.opening, OpenStream) and record.opening.stream.ended
                yield record, sealed, ()
            elif record.opening.session_id in found:
                yield record, *found[record.opening.session_id]

    def _status(self, task: Task) -> TaskStatus:
        return TaskStatus.of(task, began=self._client.system.clock.wall_start)

    def _ask(self, message: Any) -> Any:
        try:
            return self._client.sequencer.ask(message)
        except pykka.ActorDeadError:
            raise self._client.closed() from None

    def _send(self, message: Any, future: PooledFuture[Any] | None = None) -> None:
        with self._client.lock:
            self._client.send_locked(message, future, while_closing=True)


def _with_processors(
    records: Iterable[SessionRecord],
) -> Iterator[tuple[SessionRecord, bool, PooledRef[Any]]]:
    asked: list[tuple[SessionRecord, Any]] = []
    for record in records:
        session: Any = record.session
        if session is not None:
            asked.append((record, session.ask(ReportSession(), block=False)))
    for record, reply in asked:
        answer = _reply(reply, default=None)
        if answer is not None:
            sealed, processor = answer
            yield record, sealed, processor


def _reply(reply: pykka.Future[Any], *, default: Any) -> Any:
    """Return what an actor replies; `default` if it has ended, or fails as it answers."""
    answer = default
    with suppress(Exception):  # the failure of an actor is none of its host's call
        answer = reply.get()
    return answer


def _conversation_of(given: object) -> str | None:
    try:
        return owner_of(given)
    except SettingsInvalid:
        raise SettingsInvalid(
            f"a conversation is 1 to 200 printable characters, not {given!r:.80}"
        ) from None
