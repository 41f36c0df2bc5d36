"""The order of one message, as plainly as its rules can be said: a list of all that was asked.

It stands beside `messages/writes/message_queue.py` and was written from the rules at its head, not
from its code. Everything that was ever asked for keeps its line here, with how far it is; each
decision is made by reading the whole list again. What follows is told as plain tuples.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class Line:
    """One thing that was asked for, with its place in the order in which all was asked for.

    A stream or an edit is `waiting`, `live`, `over` or `cancelled`; a request is `waiting`, `told`
    to a session, or `answered`; a hold is `waiting` or `answered`.
    """

    what: str
    name: str
    asked: Any
    place: float
    status: str = "waiting"
    cleared: bool = False
    written: Any = None
    over_at: float | None = None


@dataclass(eq=False)
class Session:
    """The session that the message has."""

    kind: str
    name: str
    began: float
    place: float | None
    due: bool = False
    writes: bool = False
    over: bool = False
    withdrawn: bool = False


class QueueModel:
    """Decides as `MessageQueue` is to decide; `told` is what has followed since it was emptied."""

    def __init__(self):
        self.lines = []
        self.told = []
        self.now = 0.0
        self.held = self.closed = self.failed = False
        self.session = None
        self.reads_after = None

    # the list, read in one way or another

    def all(self, *whats, status="waiting"):
        return [line for line in self.lines if line.what in whats and line.status == status]

    @property
    def streams(self):
        return self.all("stream")

    @property
    def requests(self):
        return self.all("request", "apply")

    @property
    def edits(self):
        return self.all("edit")

    @property
    def regenerates(self):
        return self.session is not None and self.session.kind == "regeneration"

    @property
    def takes_more(self):
        """A request may be for the session that there is: nothing else comes before it."""
        return self.regenerates and not self.streams and not self.requests

    @property
    def writing(self):
        if self.all("edit", status="live"):
            return self.all("edit", status="live")[0].name
        session = self.session
        return session.name if session and session.writes and not session.over else None

    @property
    def writes_to_come(self):
        """What is to be written, in order: (place, kind, who, whether it may be begun)."""
        writes = [(edit.place, edit.asked.kind, edit, True) for edit in self.edits]
        writes += [(stream.place, "session", stream, False) for stream in self.streams]
        session = self.session
        if session and session.place is not None and not (session.writes or session.over):
            writes.append((session.place, "session", session, session.due))
        return sorted(writes, key=lambda write: write[0])

    @property
    def idle(self):
        waits = self.streams or self.requests or self.edits
        return not (waits or self.session or self.writing or self.held)

    @property
    def kinds(self):
        return tuple(kind for _, kind, _, _ in self.writes_to_come)

    @property
    def sessions_waiting(self):
        return len(self.streams) + len(self.requests)

    def gathering(self, is_pending):
        open_requests = self.all("request", status="told") + self.all("request")
        return [line for line in open_requests if not line.cleared and is_pending(line.asked)]

    # what is asked for

    def ask(self, what, name, asked):
        self.now += 1
        line = Line(what, name, asked, self.now)
        self.lines.append(line)
        return line

    def open_stream(self, name, asked):
        line = self.ask("stream", name, asked)
        if self.closed:
            self.cancel(line, "STUDIO_CLOSED")
            return
        line.status = "being opened"
        if self.takes_more:
            self.told.append(("withdraw", "OVERTAKEN", False))
        for request in self.requests:
            self.cancel(request, "OVERTAKEN")
        line.status = "waiting"
        self.go_on()

    def request(self, name, asked):
        goes_on = self.takes_more
        line = self.ask("request", name, asked)
        if self.closed:
            self.cancel(line, "STUDIO_CLOSED")
        elif goes_on:
            self.tell_request(line)
        else:
            self.go_on()

    def apply(self, name, asked):
        goes_on, others_wait = self.takes_more, bool(self.requests)
        line = self.ask("apply", name, asked)
        if goes_on:
            self.tell_request(line)
        elif others_wait:
            pass
        elif self.closed:
            self.cancel(line, "STUDIO_CLOSED")
        else:
            self.cancel(line, "nothing")

    def queue_edit(self, name, asked):
        line = self.ask("edit", name, asked)
        if self.closed:
            self.cancel(line, "STUDIO_CLOSED")
        else:
            self.go_on()

    def cancel_stream(self, name):
        if self.session and self.session.kind == "stream" and self.session.name == name:
            self.told.append(("cancel writing",))
        for stream in self.streams:
            if stream.name == name:
                self.cancel(stream, "BY_ITS_STREAM")
                self.go_on()

    def hold(self, name, asked):
        self.ask("hold", name, asked)
        if not self.closed:
            self.held = True
        self.let_read_if_due()
        self.go_on()

    def release(self):
        self.held = False
        self.go_on()

    def clear(self, is_pending):
        cleared = self.gathering(is_pending)
        if cleared and self.regenerates:
            self.told.append(("withdraw", "CLEARED", True))
            if not self.session.writes:
                self.session.withdrawn, self.session.place = True, None
        for line in cleared:
            line.cleared = True
        for request in self.requests:
            self.cancel(request, "CLEARED")
        edits = self.edits
        for edit in edits:
            self.cancel(edit, "CLEARED")
        self.let_read_if_due()
        self.go_on()
        return len(cleared) + len(edits)

    def close(self):
        self.closed, self.held = True, False
        if self.regenerates:
            self.told.append(("hurry",))
        self.go_on()

    def fail(self):
        self.closed, self.failed, self.held, self.reads_after = True, True, False, None
        for line in self.all("stream", "edit") + self.requests:
            self.cancel(line, "STUDIO_CLOSED")
        if self.session is not None:
            self.session.due = False
        self.go_on()

    # what sessions and edits tell

    def request_turn(self, name):
        self.now += 1
        session = self.session
        if session is None or session.name != name:
            return
        if session.over or session.writes or session.withdrawn or self.failed:
            return
        session.due = True
        if session.place is None:
            streams = [stream.place for stream in self.streams]
            session.place = min([self.now, *streams]) - 0.5
        self.go_on()

    def await_edits(self):
        if not self.regenerates or self.session.over or self.failed:
            return
        first_stream = min([stream.place for stream in self.streams], default=float("inf"))
        before = [edit for edit in self.edits if edit.place < first_stream]
        self.reads_after = before + self.all("edit", status="live")
        self.let_read_if_due()

    def session_finished(self, name):
        if self.session and self.session.name == name:
            self.session.over, self.reads_after = True, None
            self.go_on()

    def session_terminated(self, name, heard, ended):
        if self.session is None or self.session.name != name:
            return
        streams_wait = bool(self.streams)
        for line in self.all("request", "apply", status="told"):
            opened_for = line.name == name
            if heard is None or line.name in heard or opened_for:
                line.status = "answered"
                self.told.append(("answer", line.name, ended))
            elif self.failed:
                self.cancel(line, "STUDIO_CLOSED")
            elif line.cleared:
                self.cancel(line, "CLEARED")
            elif streams_wait:
                self.cancel(line, "OVERTAKEN")
            else:
                line.status = "waiting"
        self.session = self.reads_after = None
        for line in self.lines:
            line.cleared = False
            if line.what == "stream" and line.name == name:
                line.status = "over"
        self.go_on()

    def edit_over(self, name, written):
        self.now += 1
        for edit in self.all("edit", status="live"):
            if edit.name == name:
                edit.status, edit.written, edit.over_at = "over", written, self.now
                self.let_read_if_due()
                self.go_on()

    # what follows

    def cancel(self, line, why):
        line.status = "answered" if line.what in ("request", "apply") else "cancelled"
        if line.what == "apply" and why != "STUDIO_CLOSED":
            self.told.append(("nothing to apply", line.name))
        else:
            self.told.append(("cancel", line.name, why))

    def tell_request(self, line):
        line.status = "told"
        self.told.append(("pass on", line.name))

    def let_read_if_due(self):
        if self.reads_after is None:
            return
        if self.held or all(edit.status in ("over", "cancelled") for edit in self.reads_after):
            self.reads_after = None
            self.told.append(("let read",))

    def go_on(self):
        """Begin all that may begin."""
        self.now += 1
        if self.session is None:
            self.begin_session()
        if self.writing is None:
            for hold in self.all("hold"):
                hold.status = "answered"
                self.told.append(("held", hold.name))
            if not self.held and self.writes_to_come:
                self.begin_write(*self.writes_to_come[0])

    def begin_session(self):
        if self.streams:
            first = self.streams[0]
            first.status = "live"
            self.session = Session("stream", first.name, self.now, first.place)
            self.told.append(("begin session", first.name))
            return
        for line in self.requests:
            if self.session is None and line.what == "apply":
                self.cancel(line, "nothing")
                continue
            if self.session is None:
                self.session = Session("regeneration", line.name, self.now, None)
                self.told.append(("begin session", line.name))
            self.tell_request(line)
        if self.session and self.closed:
            self.told.append(("hurry",))

    def begin_write(self, _place, kind, who, may_begin):
        if not may_begin:
            return
        if kind == "session":
            who.writes = True
            newer = [
                edit
                for edit in self.all("edit", status="over")
                if edit.written is not None and edit.over_at > who.began
            ]
            newest = max(newer, key=lambda edit: edit.over_at, default=None)
            self.told.append(("give turn", newest and newest.written))
        else:
            who.status = "live"
            self.told.append(("begin edit", who.name))
