"""The order of one message: its sessions, requests for pictures, edits and holds. No clock.

The rules, which a test holds against a plain reading of them:

- A message has one session at a time. A stream that is opened while it has one waits for the end
  of that session and of the streams opened before.
- Writes happen one at a time, in the order in which they were asked for. A stream has its place
  from its opening on, though it writes much later; an edit has its place when it is asked for. So
  an edit comes after each stream opened before it, and never delays one of those.
- Requests for pictures gather in a regeneration session, which takes its place as its write is
  due: directly before the first stream that waits, so after the edits in front of that. Its read
  of the text waits for the edits that are in front then, unless writes are held.
- A stream that is opened goes before requests: those that wait are cancelled, and so is a session
  that still gathers. One that has sealed is written first.
- Requests that come after their session has sealed are the first of the next one. When that session
  has ended they are passed on, or cancelled if a stream waits by then or they were cleared.
- A session has an answer for the request that it was opened for, whatever it has heard.
- A request that is taken back is told to the session that may have it, and is of no later one.
- A message is forgotten only while nothing else is asked for of it; what comes then waits.
- While writes are held none begins; what is under way goes on, and pictures go on being made.
- Once the studio has failed nothing begins.
- Duplicate, late and unknown reports are ignored.

What follows from each step is appended to `steps`, for the one owner to carry out in order.
"""

from collections.abc import Callable
from typing import Any

from limner.messages.registry import Version
from limner.messages.session.lifecycle import (
    ApplyNow,
    Opening,
    OpenStream,
    Regenerate,
    SessionEnded,
)
from limner.messages.writes.protocol import EditText, WaitsFor
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
    PassOn,
    Prioritise,
    Refuse,
    Request,
    SealNow,
    Step,
    TakeBack,
    WithdrawRegeneration,
)


class Turn:
    """The place of the session's write.

    Args:
        session_id: whose.
        due: whether the session waits for it; else the place is only kept.
    """

    __slots__ = ("due", "session_id")

    def __init__(self, session_id: str, *, due: bool) -> None:
        self.session_id = session_id
        self.due = due


class MessageQueue:
    """What is asked for of one message, in its order. Mutable, owned by one actor.

    Args:
        steps: what the owner is to carry out; may be shared by several queues.
    """

    __slots__ = (
        "_awaited",
        "_cleared",
        "_closing",
        "_failed",
        "_forgetting",
        "_holds",
        "_order",
        "_passed_on",
        "_requests",
        "_session_finished",
        "_withdrawn",
        "_written",
        "edit",
        "held",
        "session",
        "steps",
        "writing",
    )

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.session: OpenStream | Regenerate | None = None
        """What the session that has not ended was opened for."""
        self.writing: str | None = None
        """The id of the session or edit that writes."""
        self.edit: EditText | None = None
        """The edit that is under way."""
        self.held = False
        self._order: list[EditText | OpenStream | Turn] = []
        self._requests: tuple[Request, ...] = ()
        self._passed_on: dict[str, Request] = {}
        self._cleared: dict[str, CancelReason] = {}
        self._forgetting = False
        self._session_finished = self._withdrawn = self._closing = self._failed = False
        self._written: Version | None = None
        self._awaited: set[str] | None = None
        self._holds: tuple[Any, ...] = ()

    # What is asked for

    def open_stream(self, opening: OpenStream) -> None:
        """Begin the session of a stream, or queue it; requests give way to it."""
        if self._closing:
            self.steps.append(Cancel(opening, CancelReason.STUDIO_CLOSED))
            return
        if self._gathers:
            self.steps.append(WithdrawRegeneration(CancelReason.OVERTAKEN))
        self._cancel_requests(CancelReason.OVERTAKEN)
        self._order.append(opening)
        self._begin_next()

    def request(self, request: Regenerate) -> None:
        """Add a request to those that gather, begin a session for it, or queue it."""
        if self._closing:
            self.steps.append(Cancel(request, CancelReason.STUDIO_CLOSED))
        elif self._gathers:
            self._pass_on(request)
        else:
            self._requests = (*self._requests, request)
            self._begin_next()

    def apply(self, request: ApplyNow) -> None:
        """Apply what gathers: it is written in its turn."""
        if self._gathers:
            self._pass_on(request)
        elif self._requests:
            self._requests = (*self._requests, request)
        elif self._closing:
            self.steps.append(Cancel(request, CancelReason.STUDIO_CLOSED))
        else:
            self.steps.append(NothingToApply(request))

    def queue_edit(self, edit: EditText) -> None:
        """Begin an edit, or queue it."""
        if self._closing:
            self.steps.append(Cancel(edit, CancelReason.STUDIO_CLOSED))
            return
        self._order.append(edit)
        self._advance()

    def waits_for(self, edit_id: str) -> WaitsFor | None:
        """Return what an edit waits for; `None` if it does not wait."""
        for place, operation in enumerate(self._order):
            if isinstance(operation, EditText) and operation.edit_id == edit_id:
                ahead = self._order[:place]
                if any(not isinstance(other, EditText) for other in ahead):
                    streams = isinstance(self.session, OpenStream) or any(
                        isinstance(other, OpenStream) for other in ahead
                    )
                    return "stream" if streams else "session"
                if self.held:
                    return "hold"
                return "session" if self.edit is None and not ahead else "edit"
        return None

    def give_up_edit(self, edit_id: str) -> None:
        """Remove an edit that waits, and will not be done."""
        self._order = [
            operation
            for operation in self._order
            if not (isinstance(operation, EditText) and operation.edit_id == edit_id)
        ]
        self._edit_is_over(edit_id)
        self._advance()

    def cancel_stream(self, session_id: str) -> None:
        """Cancel a stream, whether its session has begun or not; one that has ended is ignored."""
        if isinstance(self.session, OpenStream) and self.session.session_id == session_id:
            self.steps.append(CancelStream())
            return
        for place, operation in enumerate(self._order):
            if isinstance(operation, OpenStream) and operation.session_id == session_id:
                del self._order[place]
                self.steps.append(Cancel(operation, CancelReason.BY_ITS_STREAM))
                self._begin_next()
                return

    def cancel(
        self,
        is_meant: Callable[[Opening], bool],
        is_pending: Callable[[Regenerate], bool] = lambda _: True,
    ) -> tuple[OpenStream | Regenerate, ...]:
        """Cancel streams and requests, whether their session has begun or not; edits stay.

        Args:
            is_meant: whether a stream or a request is to be cancelled.
            is_pending: whether a request has no outcome yet.

        Returns:
            Those that were meant. One that is being written is among them, and is written.
        """
        session = self.session
        meant: list[OpenStream | Regenerate] = []
        if isinstance(session, OpenStream) and not self._session_finished and is_meant(session):
            self.steps.append(CancelStream())
            meant.append(session)
        elif isinstance(session, Regenerate):
            meant += self._cancel_gathering(session, is_meant, is_pending)
        for request in self._requests:
            if isinstance(request, Regenerate) and is_meant(request):
                self._cancel(request, CancelReason.BY_CALL)
                meant.append(request)
        self._requests = tuple(request for request in self._requests if request not in meant)
        for operation in self._order:
            if isinstance(operation, OpenStream) and is_meant(operation):
                self.steps.append(Cancel(operation, CancelReason.BY_CALL))
                meant.append(operation)
        self._order = [operation for operation in self._order if operation not in meant]
        self._begin_next()
        return tuple(meant)

    def _cancel_gathering(
        self,
        session: Regenerate,
        is_meant: Callable[[Opening], bool],
        is_pending: Callable[[Regenerate], bool],
    ) -> list[Regenerate]:
        """Cancel requests that a session has; the whole session if they are all it has."""
        wanted = [
            request
            for name, request in self._passed_on.items()
            if isinstance(request, Regenerate)
            and is_pending(request)
            # what came too late to be taken back is written, unless the whole session is cancelled
            and self._cleared.get(name, CancelReason.TAKEN_BACK) is CancelReason.TAKEN_BACK
        ]
        meant = [request for request in wanted if is_meant(request)]
        if len(meant) < len(wanted) or self._session_finished:
            for request in meant:
                self.take_back(request.session_id)
        elif meant:
            self._withdraw(session.session_id, CancelReason.BY_CALL)
            self._cleared |= {request.session_id: CancelReason.BY_CALL for request in meant}
        return meant

    def take_back(self, name: str, future: Any = None) -> None:
        """Cancel one request for pictures; one that its session has sealed stays.

        Args:
            name: of the request.
            future: is told by the session where it is too late.
        """
        for request in self._requests:
            if isinstance(request, Regenerate) and request.session_id == name:
                self._requests = tuple(other for other in self._requests if other is not request)
                self._cancel(request, CancelReason.TAKEN_BACK)
                return
        reason = self._cleared.get(name, CancelReason.TAKEN_BACK)
        if name in self._passed_on and reason is CancelReason.TAKEN_BACK:
            self._cleared |= {name: reason}
            self.steps.append(TakeBack(name, future))

    def prioritise(self, priority: int) -> None:
        """Set the priority of the session and of all that waits for one, 0 (first) to 9."""
        if self.session is not None and not self._session_finished:
            self.session = self.session.but(priority=priority)
            self.steps.append(Prioritise(priority))
        self._order = [
            operation.but(priority=priority) if isinstance(operation, OpenStream) else operation
            for operation in self._order
        ]
        self._requests = tuple(_with_priority(request, priority) for request in self._requests)
        self._passed_on = {
            name: _with_priority(request, priority) for name, request in self._passed_on.items()
        }

    def forget(self, edit: EditText) -> None:
        """Begin to forget the message, unless anything of it is under way, waits, or is held."""
        if self._closing:
            self.steps.append(Cancel(edit, CancelReason.STUDIO_CLOSED))
        elif not self.idle:
            self.steps.append(Refuse(edit))
        else:
            self.edit, self.writing, self._forgetting = edit, edit.edit_id, True
            self.steps.append(BeginEdit(edit))

    def hold(self, future: Any) -> None:
        """Begin no write until `release`; a studio that closes holds nothing."""
        self.held = not self._closing
        self._holds = (*self._holds, future)
        if self.held:
            self._let_read()
        self._advance()

    def release(self) -> None:
        """Begin writes again."""
        self.held = False
        self._advance()

    def clear(self, is_pending: Callable[[Regenerate], bool]) -> int:
        """Cancel edits and requests that wait, and a regeneration that does not write yet.

        Args:
            is_pending: whether a request has no outcome yet.

        Returns:
            How many of them had no outcome yet; one that is being written is counted, and written.
        """
        gathering = self.gathering(is_pending)
        if gathering and isinstance(self.session, Regenerate):
            self._withdraw(self.session.session_id, CancelReason.CLEARED)
        self._cleared |= {request.session_id: CancelReason.CLEARED for request in gathering}
        self._cancel_requests(CancelReason.CLEARED)
        edits = [operation for operation in self._order if isinstance(operation, EditText)]
        self._order = [
            operation for operation in self._order if not isinstance(operation, EditText)
        ]
        for edit in edits:
            self.steps.append(Cancel(edit, CancelReason.CLEARED))
            self._edit_is_over(edit.edit_id)
        self._advance()
        return len(gathering) + len(edits)

    def close(self) -> None:
        """Refuse what is new, hold nothing, and apply what gathers."""
        self._closing, self.held = True, False
        if isinstance(self.session, Regenerate):
            self.steps.append(SealNow())
        self._advance()

    def fail(self) -> None:
        """Refuse what is new, and cancel all that has not begun."""
        self._closing, self._failed, self.held = True, True, False
        turns = []
        for operation in self._order:
            if isinstance(operation, Turn):
                operation.due = False
                turns.append(operation)
            else:
                self.steps.append(Cancel(operation, CancelReason.STUDIO_CLOSED))
        self._order = [*turns]
        self._cancel_requests(CancelReason.STUDIO_CLOSED)
        self._awaited = None  # a session that is to end reads nothing
        self._advance()

    # What sessions and edits tell

    def request_turn(self, session_id: str) -> None:
        """Queue the session's write; begin it if its turn has come."""
        session = self.session
        if session is None or session.session_id != session_id or self._session_finished:
            return
        if self.writing == session_id or self._withdrawn or self._failed:
            return
        for operation in self._order:
            if isinstance(operation, Turn):
                operation.due = True
                break
        else:
            self._order.insert(self._first_stream(), Turn(session_id, due=True))
        self._advance()

    def await_edits(self) -> None:
        """Allow the regeneration session to read, now or once the edits before are over."""
        if not isinstance(self.session, Regenerate) or self._session_finished or self._failed:
            return
        ahead = self._order[: self._first_stream()]
        edits = {operation.edit_id for operation in ahead if isinstance(operation, EditText)}
        if self.edit is not None:
            edits.add(self.edit.edit_id)
        self._awaited = edits
        if self.held or not edits:
            self._let_read()

    def session_finished(self, session_id: str) -> None:
        """Begin the next write: the session has written, or will not."""
        if self.session is None or self.session.session_id != session_id:
            return
        self._session_finished = True
        self._awaited = None
        self._remove_turn()
        if self.writing == session_id:
            self.writing = None
        self._advance()

    def session_terminated(self, ended: SessionEnded) -> None:
        """Begin the next session: the last actor of this one has ended.

        Args:
            ended: how it ended; it has an answer for the requests that it has heard.
        """
        if self.session is None or self.session.session_id != ended.session_id:
            return
        self.session_finished(ended.session_id)
        late: list[Request] = []
        for name, request in self._passed_on.items():
            # the first one is never late: a session that had its name again would be no new one
            if ended.heard is None or name in ended.heard or name == ended.session_id:
                self.steps.append(Answer(request, ended))
            elif self._failed:
                self._cancel(request, CancelReason.STUDIO_CLOSED)
            elif name in self._cleared:
                self._cancel(request, self._cleared[name])
            elif self._streams_wait:
                self._cancel(request, CancelReason.OVERTAKEN)
            else:
                late.append(request)
        self.session, self._passed_on, self._cleared = None, {}, {}
        self._session_finished = self._withdrawn = False
        self._requests = (*late, *self._requests)
        self._begin_next()

    def edit_over(self, edit_id: str, written: Version | None) -> None:
        """Begin the next write: the edit has ended.

        Args:
            edit_id: which one.
            written: the version that it wrote; `None` if it wrote nothing.
        """
        if self.edit is None or self.edit.edit_id != edit_id:
            return
        if written is not None:
            self._written = written
        self.writing = self.edit = None
        self._edit_is_over(edit_id)
        if self._forgetting:
            self._forgetting = False
            self._begin_next()
        else:
            self._advance()

    # What it is like

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, nothing waits, and nothing is held."""
        return not (
            self._order or self.held or self._requests or self.writing or self.session is not None
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """What waits to be written, in its order: `session`, or the kind of an edit."""
        return tuple(
            operation.kind if isinstance(operation, EditText) else "session"
            for operation in self._order
        )

    @property
    def sessions_waiting(self) -> int:
        """How many streams and requests wait for a session of their own."""
        return len(self._requests) + sum(
            isinstance(operation, OpenStream) for operation in self._order
        )

    @property
    def openings(self) -> tuple[OpenStream | Regenerate, ...]:
        """What waits for a session of its own, in its order."""
        return (
            *(operation for operation in self._order if isinstance(operation, OpenStream)),
            *(request for request in self._requests if isinstance(request, Regenerate)),
        )

    def gathering(self, is_pending: Callable[[Regenerate], bool]) -> list[Regenerate]:
        """Return the requests that have no outcome yet, and were not cleared."""
        return [
            request
            for request in (*self._passed_on.values(), *self._requests)
            if isinstance(request, Regenerate)
            and request.session_id not in self._cleared
            and is_pending(request)
        ]

    @property
    def _streams_wait(self) -> bool:
        return any(isinstance(operation, OpenStream) for operation in self._order)

    @property
    def _gathers(self) -> bool:
        """Whether a further request may be for the session that there is."""
        return (
            isinstance(self.session, Regenerate) and not self._requests and not self._streams_wait
        )

    def _first_stream(self) -> int:
        """Return the place of the first stream that has not begun; the end if there is none."""
        for place, operation in enumerate(self._order):
            if isinstance(operation, OpenStream):
                return place
        return len(self._order)

    # What follows

    def _advance(self) -> None:
        """Begin the next write, if it may begin."""
        if self.writing is not None:
            return
        for future in self._holds:
            self.steps.append(ConfirmHold(future))
        self._holds = ()
        if self.held or not self._order:
            return
        first = self._order[0]
        if isinstance(first, EditText):
            self.edit, self.writing = first, first.edit_id
            self.steps.append(BeginEdit(first))
        elif isinstance(first, Turn) and first.due:
            self.writing = first.session_id
            self.steps.append(GiveTurn(self._written))
        else:
            return
        del self._order[0]

    def _begin_next(self) -> None:
        """Begin the next session, if there is none; and the next write, if it may begin."""
        if self.session is None and not self._forgetting:
            place = self._first_stream()
            if place < len(self._order):
                opening = self._order[place]
                assert isinstance(opening, OpenStream)
                self._order[place] = Turn(opening.session_id, due=False)
                self.session, self._written = opening, None
                self.steps.append(BeginSession(opening))
            elif self._requests:
                self._begin_regeneration()
        self._advance()

    def _begin_regeneration(self) -> None:
        requests, self._requests = self._requests, ()
        for request in requests:
            if self.session is None and isinstance(request, ApplyNow):
                self.steps.append(NothingToApply(request))  # what it was for is written already
                continue
            if self.session is None:
                assert isinstance(request, Regenerate)
                self.session, self._written = request, None
                self.steps.append(BeginSession(request))
            self._pass_on(request)
        if self._closing and self.session is not None:
            self.steps.append(SealNow())

    def _pass_on(self, request: Request) -> None:
        name = request.name if isinstance(request, ApplyNow) else request.session_id
        self._passed_on[name] = request
        self.steps.append(PassOn(request))

    def _cancel_requests(self, reason: CancelReason) -> None:
        requests, self._requests = self._requests, ()
        for request in requests:
            self._cancel(request, reason)

    def _cancel(self, request: Request, reason: CancelReason) -> None:
        """Cancel a request; an `ApplyNow` for what is cancelled has nothing to apply."""
        if isinstance(request, ApplyNow) and reason is not CancelReason.STUDIO_CLOSED:
            self.steps.append(NothingToApply(request))
        else:
            self.steps.append(Cancel(request, reason))

    def _withdraw(self, session_id: str, reason: CancelReason) -> None:
        """Tell the regeneration session to write nothing, unless it writes already."""
        self.steps.append(WithdrawRegeneration(reason, sealed_too=True))
        if self.writing != session_id:
            self._withdrawn = True
            self._remove_turn()

    def _remove_turn(self) -> None:
        self._order = [operation for operation in self._order if not isinstance(operation, Turn)]

    def _edit_is_over(self, edit_id: str) -> None:
        """Allow the regeneration session to read, if it waited for this edit alone."""
        if self._awaited is not None:
            self._awaited.discard(edit_id)
            if not self._awaited:
                self._let_read()

    def _let_read(self) -> None:
        if self._awaited is not None:
            self._awaited = None
            self.steps.append(LetRead())


def _with_priority(request: Request, priority: int) -> Request:
    return request.but(priority=priority) if isinstance(request, Regenerate) else request
