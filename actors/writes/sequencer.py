"""The sequencer: the one owner of each message's order.

Hears `OpenStream`, `Regenerate`, `ApplyNow`, `EditText`, `HoldWrites`, `ReleaseWrites`,
`ClearWrites`, `ReportPending`, `CancelSession`, `ReportProgress`, `ReportStatus` and
`UpdateSettings` from hosts, and all of `messages/session/control.py` that is for it; `TasksEnded`
and `PictureLate` from processors, `RequestTurn` from writers, `AwaitEdits` and `SessionEnded` from
sessions, `EditEnded` from edits, `ReconcileDue` and `EditWaitOver` from its timers, `ActorEnded`
of all that it started; `CloseStudio`,
`InterruptSessions` and `FailSessions` from the root. Starts a session or an edit when its
`MessageQueue` says that it may begin; tells writers `TurnGiven`, regeneration sessions what they
gather, the limiter `SessionGone`, the root `SessionsOver`, or `SessionsLeft` if it fails.

Started by the root, once a studio. Ends by itself once the studio closes and nothing is left to be
written. Sessions and edits fail alone; if it fails itself, all of them fail, and the studio closes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

from limner.actors.base import LimnerActor
from limner.actors.context import StudioContext
from limner.actors.session.regeneration import RegenerationActor
from limner.actors.session.session import SessionActor
from limner.actors.system import ActorEnded, PooledRef
from limner.actors.writes.edit_waits import EditWaits
from limner.actors.writes.editor import EditActor, names_of
from limner.actors.writes.live_session import (
    ROLE,
    LiveSession,
    failed_end,
    report_end,
    resolve,
)
from limner.actors.writes.reconciler import Reconciler
from limner.actors.writes.session_control import SessionControl, answer_all, answer_message
from limner.messages.errors import (
    SessionCancelled,
    StoreFailed,
    StudioClosed,
    describe,
)
from limner.messages.events.owners import SessionOwner
from limner.messages.limiter.protocol import SessionGone
from limner.messages.live_settings import changed_settings, plain_values
from limner.messages.pictures import Illustrated
from limner.messages.session.control import (
    AwaitSession,
    CancelAll,
    CancelMessage,
    ReportSessions,
    ReportTask,
    SetPriority,
    TakeBackRequest,
    TasksEnded,
)
from limner.messages.session.ended_messages import EndedMessages, counts_of, progress_of
from limner.messages.session.lifecycle import (
    ApplyNow,
    CancelSession,
    OpenStream,
    Regenerate,
    ReportProgress,
    SessionEnded,
    WithdrawSession,
)
from limner.messages.session.processing import StudioCloses
from limner.messages.settings import Settings
from limner.messages.status import Forgotten, Pending, Progress
from limner.messages.studio.protocol import (
    CloseStudio,
    FailSessions,
    InterruptSessions,
    ReportOwners,
    ReportStatus,
    SessionsLeft,
    SessionsOver,
    UpdateSettings,
)
from limner.messages.writes.message_queue import MessageQueue
from limner.messages.writes.protocol import (
    AwaitEdits,
    ClearWrites,
    EditEnded,
    EditsOver,
    EditText,
    EditWaitOver,
    ForgetMessage,
    HoldWrites,
    PictureLate,
    ReconcileDue,
    ReleaseWrites,
    ReportPending,
    RequestTurn,
    TurnGiven,
)
from limner.messages.writes.steps import (
    Answer,
    BeginEdit,
    BeginSession,
    Cancel,
    CancelReason,
    CancelStream,
    ConfirmHold,
    GiveTurn,
    LetRead,
    NothingToApply,
    Operation,
    PassOn,
    Prioritise,
    Refuse,
    SealNow,
    Step,
    TakeBack,
    WithdrawRegeneration,
)

OfOneMessage = (
    OpenStream
    | RequestTurn
    | SessionEnded
    | Regenerate
    | ApplyNow
    | AwaitEdits
    | EditText
    | EditEnded
    | EditWaitOver
    | ReconcileDue
    | PictureLate
    | HoldWrites
    | ReleaseWrites
    | CancelSession
    | AwaitSession
    | CancelMessage
    | TakeBackRequest
    | SetPriority
)
OF_ONE_MESSAGE = get_args(OfOneMessage)


class SequencerActor(LimnerActor):
    """Starts sessions and edits in each message's order, and sets their futures."""

    role = ROLE

    def __init__(
        self, context: StudioContext, *, root: PooledRef[Any], limiter: PooledRef[Any]
    ) -> None:
        super().__init__(context.log)
        self.root = root
        self.context = context
        self.limiter = limiter
        self.steps: list[Step] = []
        self.queues: dict[str, MessageQueue] = {}
        self.sessions: dict[str, LiveSession] = {}
        self.session_of: dict[PooledRef[Any], LiveSession] = {}
        self.edits: dict[PooledRef[Any], EditText] = {}
        self.edit_waits = EditWaits(context.log, self.actor_ref)
        self.reconciler = Reconciler(context.settings, self.system, self.actor_ref)
        self.control = SessionControl(self.sessions, self.queues)
        self.ended = EndedMessages()
        self.cancellations = 0
        self.closing = False
        self.interrupting = False
        self.cause: BaseException | None = None

    def on_stop(self) -> None:
        """Leave the sessions that have not ended to the root, which hears of their ends."""
        self.reconciler.stop()
        self.edit_waits.stop()
        if self.sessions:
            ends = [
                (session.opening, session.ended or failed_end(session.opening, self.life.reason))
                for session in self.sessions.values()
            ]
            self.root.tell(SessionsLeft(ends=tuple(ends)))

    def on_failure(self, *_: object) -> None:
        """Leave the sessions to the root, as at any end."""
        self.on_stop()

    def on_receive(self, message: object) -> Any:
        """Handle one message."""
        match message:
            case _ if isinstance(message, OF_ONE_MESSAGE):
                self.dispatch(message)
                self.carry_out(message.message_id)
            case ActorEnded():
                self.actor_ended(message)
            case CloseStudio():
                self.close()
            case InterruptSessions():
                self.interrupt()
            case FailSessions():
                self.fail(message.cause)
            case UpdateSettings():
                self.update_settings(message.settings)
            case ReportStatus():
                waiting = sum(queue.sessions_waiting for queue in self.queues.values())
                return len(self.sessions), waiting
            case ReportOwners():
                return self.owners()
            case ReportProgress():
                return self.progress_of(message.message_id)
            case ReportSessions():
                return self.control.records(message.message_id)
            case ReportTask():
                return self.control.history.task(message.task_id)
            case TasksEnded():
                self.tasks_ended(message)
            case CancelAll():
                self.cancel_all(message)
            case ReportPending():
                message.future.set_if_pending(self.pending(message.message_id))
            case ClearWrites():
                cleared = self.queue(message.message_id).clear(is_pending)
                self.carry_out(message.message_id)
                message.future.set_if_pending(cleared)
            case _:
                return super().on_receive(message)
        return None

    def dispatch(self, message: OfOneMessage) -> None:
        """Tell the queue of a message what is asked for, or what has happened."""
        queue = self.queue(message.message_id)
        match message:
            case OpenStream():
                queue.open_stream(message)
            case RequestTurn():
                self.turn_requested(message)
            case SessionEnded():
                self.session_ended(message)
            case Regenerate():
                queue.request(message)
            case ApplyNow():
                queue.apply(message)
            case AwaitEdits():
                queue.await_edits()
            case ForgetMessage():
                queue.forget(message)
            case EditText():
                self.edit_waits.add(queue, message)
            case EditWaitOver():
                self.edit_waits.end(queue, message.edit_id)
            case EditEnded():
                self.edit_ended(message)
            case ReconcileDue():
                edit = self.reconciler.due(message.message_id)
                if edit is not None:
                    self.edit_waits.add(queue, edit)
            case PictureLate() if not self.closing:
                self.edit_waits.add(queue, self.reconciler.edit(message.message_id))
            case HoldWrites():
                self.log_write_event("writes_held", message_id=message.message_id)
                queue.hold(message.future)
            case ReleaseWrites():
                self.release(message.message_id)
            case CancelSession():
                queue.cancel_stream(message.session_id)
            case AwaitSession():
                self.control.wait(message.message_id, message.future)
            case CancelMessage():
                meant = queue.cancel(lambda _: True, is_pending)
                answer_message(message.future, message.message_id, meant)
            case TakeBackRequest():
                queue.take_back(message.name, message.future)
            case SetPriority():
                queue.prioritise(message.priority)

    def queue(self, message_id: str) -> MessageQueue:
        """Return the queue of a message, made anew if it has none."""
        queue = self.queues.get(message_id)
        if queue is None:
            queue = self.queues[message_id] = MessageQueue(self.steps)
            if self.closing:
                queue.close()
        return queue

    def log_write_event(self, event: str, **fields: Any) -> None:
        """Log what became of an edit or a hold, under the role of edits."""
        self.log.tell(EditActor.role, event, **fields)

    # What queues decide

    def carry_out(self, message_id: str) -> None:
        """Carry out what a message's queue has decided; drop a queue that is idle."""
        steps = self.steps
        while steps:
            self.carry_out_step(message_id, steps.pop(0))
        queue = self.queues.get(message_id)
        if queue is not None and queue.idle:
            del self.queues[message_id]
            self.leave_if_done()

    def carry_out_step(self, message_id: str, step: Step) -> None:
        """Carry out one thing that a queue has decided."""
        match step:
            case BeginSession():
                self.begin_session(step.opening)
            case GiveTurn():
                session = self.sessions[message_id]
                assert session.writer is not None
                session.writer.tell(TurnGiven.trusted(written=step.written))
            case PassOn():
                self.sessions[message_id].ref.tell(step.request)
            case SealNow():
                apply = ApplyNow(name="", message_id=message_id, future=self.system.future())
                self.sessions[message_id].ref.tell(apply)
            case LetRead():
                self.sessions[message_id].ref.tell(EditsOver())
            case WithdrawRegeneration():
                withdrawal = WithdrawSession(reason=step.reason, sealed_too=step.sealed_too)
                self.sessions[message_id].ref.tell(withdrawal)
            case CancelStream():
                opening = self.sessions[message_id].opening
                cancellation = CancelSession(message_id=message_id, session_id=opening.session_id)
                self.sessions[message_id].ref.tell(cancellation)
            case TakeBack():
                take_back = TakeBackRequest(
                    message_id=message_id, name=step.name, future=step.future
                )
                self.sessions[message_id].ref.tell(take_back)
            case Prioritise():
                self.prioritise(self.sessions[message_id], step.priority)
            case Refuse():
                self.edit_waits.refuse(step.edit)
            case BeginEdit():
                self.edit_waits.remove(step.edit)
                ref = EditActor.start(self.context, step.edit, sequencer=self.actor_ref)
                self.edits[ref] = step.edit
            case Cancel():
                self.cancel(step.operation, step.reason)
            case Answer():
                resolve(step.request.future, step.ended)
            case NothingToApply():
                step.request.future.set_if_pending(None)
            case ConfirmHold():
                step.future.set_if_pending(None)

    def cancel_all(self, message: CancelAll) -> None:
        """Cancel the sessions and requests of an owner, or of everybody."""
        self.cancellations += 1
        whose = {"owner": message.owner, "cancellation": self.cancellations}
        self.log_event("cancel_all_requested", **whose)
        meant: list[OpenStream | Regenerate] = []
        for message_id, queue in list(self.queues.items()):
            meant += queue.cancel(
                lambda opening: message.owner in (None, opening.owner), is_pending
            )
            self.carry_out(message_id)
        answer_all(
            message.future,
            meant,
            lambda cancelled: self.log_event("cancel_all_done", **whose, cancelled=cancelled),
        )

    def prioritise(self, session: LiveSession, priority: int) -> None:
        """Tell a session its priority from now on."""
        opening = session.opening = session.opening.but(priority=priority)
        self.log_event(
            "session_prioritised",
            session_id=opening.session_id,
            message_id=opening.message_id,
            priority=priority,
        )
        session.ref.tell(SetPriority(message_id=opening.message_id, priority=priority))

    def begin_session(self, opening: OpenStream | Regenerate) -> None:
        """Start the session of a message that has none."""
        regenerates = isinstance(opening, Regenerate)
        context = self.context
        if opening.settings is not None:
            context = replace(context, settings=opening.settings)
        most = context.settings.max_per_message
        self.log_event(
            "session_opened",
            session_id=opening.session_id,
            message_id=opening.message_id,
            owner=opening.owner,
            priority=opening.priority,
            kind="regeneration" if regenerates else "stream",
            **({} if most is None else {"max_per_message": most}),
        )
        actor: type[SessionActor | RegenerationActor]
        actor = RegenerationActor if regenerates else SessionActor
        ref = actor.start(context, opening, sequencer=self.actor_ref, limiter=self.limiter)
        session = LiveSession(opening, ref, {ref})
        self.sessions[opening.message_id] = self.session_of[ref] = session
        if self.closing:
            ref.tell(StudioCloses())
        if self.interrupting:
            self.interrupt_session(session)

    def cancel(self, operation: Operation, why: CancelReason) -> None:
        """Fail the future of what will not be done."""
        if isinstance(operation, EditText):
            self.edit_waits.remove(operation)
        if why is CancelReason.STUDIO_CLOSED:
            error: Exception = self.closed()
        elif isinstance(operation, EditText):
            self.log_write_event("edit_cleared", **names_of(operation))
            error = SessionCancelled(
                f"the {operation.kind} of message {operation.message_id!r} was cleared"
            )
        elif isinstance(operation, OpenStream):
            error = SessionCancelled(f"message {operation.message_id!r} was cancelled")
        else:
            self.log_event(
                "regeneration_cancelled", message_id=operation.message_id, reason=why.value
            )
            error = SessionCancelled(
                f"the regeneration of {operation.message_id!r} was cancelled: {why}"
            )
        if isinstance(operation, OpenStream):
            operation.stream.end(str(error))
            operation.stream.future.fail_if_pending(error)
        else:
            operation.future.fail_if_pending(error)

    # Sessions

    def turn_requested(self, message: RequestTurn) -> None:
        """Remember the writer, and ask for its turn."""
        session = self.sessions.get(message.message_id)
        if session is not None and session.opening.session_id == message.session_id:
            session.writer = message.reply_to
            self.queue(message.message_id).request_turn(message.session_id)

    def session_ended(self, message: SessionEnded) -> None:
        """Begin the next write, once a session has written or will not.

        One that has failed keeps its turn until its actors have ended: it may fail while it writes.
        """
        session = self.sessions.get(message.message_id)
        if session is None or session.opening.session_id != message.session_id:
            return
        if session.ended is None:
            session.ended = message
            if message.result is not None and message.result.written and not self.closing:
                self.reconciler.text_written(message.message_id)
            if message.outcome != "failed":  # else its write may be under way until it is gone
                self.queue(message.message_id).session_finished(message.session_id)

    def actor_ended(self, message: ActorEnded) -> None:
        """Conclude a session once its last actor has ended, or an edit that has failed."""
        edit = self.edits.pop(message.ref, None)
        if edit is not None:
            self.edit_failed(edit, message.reason)
        session = self.session_of.pop(message.ref, None)
        if session is None:
            return
        session.actors.discard(message.ref)
        for orphan in message.orphans:
            session.actors.add(orphan)
            self.session_of[orphan] = session
        if message.ref is session.ref:
            session.reason = session.reason or message.reason
        if not session.actors:
            self.conclude(session)

    def conclude(self, session: LiveSession) -> None:
        """Tell how a session has ended, and begin what waited for it."""
        opening = session.opening
        ended = session.ended or failed_end(opening, session.reason)
        self.limiter.tell(SessionGone(session_id=opening.session_id))
        report_end(self.log, opening, ended)
        self.control.session_over(ended)
        self.ended.add(opening, ended, session.counts)
        del self.sessions[opening.message_id]
        self.queue(opening.message_id).session_terminated(ended)
        self.carry_out(opening.message_id)

    def tasks_ended(self, message: TasksEnded) -> None:
        """Remember the tasks of a session, and how many of them ended how."""
        self.control.history.add(message.tasks)
        if message.tasks:
            session = self.sessions.get(message.tasks[0].message_id)
            if session is not None:
                session.counts = counts_of(message.tasks)

    def progress_of(self, message_id: str) -> PooledRef[Any] | Progress | None:
        """Return how a message has ended, or the session that regenerates pictures of it.

        `None` if neither is known.
        """
        session = self.sessions.get(message_id)
        if session is None or not isinstance(session.opening, Regenerate):
            return self.ended.progress(message_id)
        if session.ended is not None:
            return progress_of(session.opening, session.ended, session.counts)
        return session.ref

    def owners(self) -> tuple[SessionOwner, ...]:
        """Return for whom each live session is, then for whom the last one of each message was."""
        openings = [session.opening for session in self.sessions.values()]
        live = tuple(
            SessionOwner(opening.session_id, opening.message_id, opening.owner)
            for opening in openings
        )
        return live + self.ended.owners()[::-1]  # what is newer counts

    # Edits

    def edit_ended(self, message: EditEnded) -> None:
        """Set the future of an edit, and let the next one write."""
        queue = self.queue(message.message_id)
        edit = queue.edit
        if edit is None or edit.edit_id != message.edit_id:
            return
        result = message.result
        written = result.version if isinstance(result, Illustrated) and result.written else None
        if isinstance(result, Forgotten):
            self.control.history.forget(edit.message_id)
            self.ended.forget(edit.message_id)
        queue.edit_over(edit.edit_id, written)
        resolve(edit.future, message)
        if written is not None and edit.kind != "reconcile" and not self.closing:
            # not after a reconciling, or two programs that differ would never stop
            self.reconciler.text_written(edit.message_id)

    def edit_failed(self, edit: EditText, reason: BaseException | None) -> None:
        """Fail an edit whose actor has ended without reporting."""
        queue = self.queues.get(edit.message_id)
        if queue is None or queue.edit is not edit:
            return  # it has told how it ended
        why = "it was stopped" if reason is None else describe(reason)
        error = StoreFailed(
            f"the {edit.kind} of message {edit.message_id!r} failed: {why}; "
            "the text may still be written"
        )
        self.log_write_event("edit_failed", **names_of(edit), reason=describe(error))
        queue.edit_over(edit.edit_id, None)
        edit.future.fail_if_pending(error)
        self.carry_out(edit.message_id)

    def release(self, message_id: str) -> None:
        """Begin writes of a message again, if they are held."""
        queue = self.queues.get(message_id)
        if queue is not None and queue.held:
            self.log_write_event("writes_released", message_id=message_id)
            queue.release()

    def pending(self, message_id: str) -> Pending:
        """Return what waits to be written of a message."""
        queue = self.queues.get(message_id)
        if queue is None:
            return Pending(message_id=message_id)
        writing = None if queue.writing is None else queue.edit.kind if queue.edit else "session"
        return Pending(
            message_id=message_id,
            held=queue.held,
            writing=writing,
            waiting=queue.kinds,
            gathering=len(queue.gathering(is_pending)),
        )

    def update_settings(self, settings: Settings) -> None:
        """Begin edits and reconcilings with other settings from now on."""
        changed = changed_settings(self.context.settings, settings)
        self.context = replace(self.context, settings=settings)
        self.reconciler.settings = settings
        values = plain_values(settings, changed)
        self.log_event("settings_updated", changed=changed, values=values)

    # The end

    def close(self) -> None:
        """Refuse what is new, hold nothing, and end once all is written."""
        self.closing = True
        self.reconciler.stop()
        for session in self.sessions.values():
            if session.ended is None:
                session.ref.tell(StudioCloses())
        for message_id, queue in list(self.queues.items()):
            queue.close()
            self.carry_out(message_id)
        self.leave_if_done()

    def interrupt(self) -> None:
        """Have each text written with what is finished, also those whose sessions begin later."""
        self.interrupting = True
        for session in self.sessions.values():
            self.interrupt_session(session)

    def interrupt_session(self, session: LiveSession) -> None:
        """Have the text of a session written with what is finished."""
        opening = session.opening
        if isinstance(opening, OpenStream):
            opening.stream.interrupt()
            return
        future = self.system.future()
        session.ref.tell(
            ApplyNow(name="", message_id=opening.message_id, waits=False, future=future)
        )

    def fail(self, cause: BaseException) -> None:
        """End all sessions as failed, because a shared actor has failed."""
        self.closing, self.cause = True, cause
        self.reconciler.stop()
        for message_id, queue in list(self.queues.items()):
            queue.fail()
            self.carry_out(message_id)
        for session in self.sessions.values():
            session.reason = session.reason or cause
            session.ref.end()
        self.leave_if_done()

    def leave_if_done(self) -> None:
        """End once the studio closes and nothing is left to be written."""
        if self.closing and not self.queues:
            self.root.tell(SessionsOver())
            self.stop()

    def closed(self) -> StudioClosed:
        """Return the error of what comes after the closing."""
        return StudioClosed(f"the studio is closed{f': {self.cause}' if self.cause else ''}")


def is_pending(request: Regenerate) -> bool:
    """Return whether a request has no outcome yet."""
    return not request.future.done
