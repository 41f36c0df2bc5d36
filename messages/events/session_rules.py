"""The audit of sessions: I1, I2 and I6."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from limner.messages.events.findings import (
    MAX_NAME,
    Recent,
    Uncheckable,
    Violations,
    first_few,
    is_name,
    needed_id,
    needed_ids,
    show,
)
from limner.messages.events.record import Record

SETTLED = frozenset(["completed", "failed", "cancelled"])

UNWRITTEN = frozenset(["skipped", "cancelled", "timed_out"])


class Write(NamedTuple):
    """What a `text_written` says, and when.

    Args:
        said: the tasks that it names, or `None` if that cannot be read.
        seq: number of the event.
        sealed: whether the session was sealed before.
        settled: how many tasks had settled before.
    """

    said: tuple[str, ...] | None
    seq: int
    sealed: bool
    settled: int


@dataclass(slots=True)
class Session:
    """A session that may still write.

    Args:
        opened: number of the first event of it.
        doubtful: whether events of it may be missing.
        detected: tasks that have not settled.
        settled: state and number of the event, by task.
        sealed: the tasks that were sealed, and the number of the event.
        written: what the write says.
    """

    opened: int
    doubtful: bool = False
    detected: set[str] = field(default_factory=set)
    settled: dict[str, tuple[str, int]] = field(default_factory=dict)
    sealed: tuple[frozenset[str], int] | None = None
    written: Write | None = None


class SessionRules:
    """I1, I2 and I6: one end, one write after all that was promised, which names each picture."""

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.doubt = False
        self.open: dict[str, Session] = {}
        self.doubted: Recent[Session] = Recent()
        self.late: Recent[Session] = Recent()
        self.ended: Recent[tuple[str, int, int | None]] = Recent()
        self.checks: dict[str, Callable[[Record, int], None]] = {
            "session_opened": self.session_opened,
            "prompt_detected": self.prompt_detected,
            "picture_wanted": self.prompt_detected,
            "session_sealed": self.session_sealed,
            "task_settled": self.task_settled,
            "text_written": self.text_written,
            "session_ended": self.session_ended,
        }

    def assume_missing(self) -> None:
        """Assume that events may be missing up to now."""
        self.doubt = True
        for name, session in self.open.items():
            session.doubtful = True
            self.doubted[name] = session
        self.open.clear()

    def session_opened(self, event: Record, seq: int) -> None:
        """Add a session."""
        name = needed_id(event, "session_id", "I1")
        before = self.open.get(name) or self.doubted.pop(name)
        ended = self.ended.get(name)
        if before is not None and before.opened:
            self.violations.add("I1", f"session {show(name)} is opened twice", before.opened, seq)
        elif ended is not None:
            self.violations.add(
                "I1", f"session {show(name)} is opened after its end", ended[1], seq
            )
        self.open[name] = Session(seq)

    def known_session(self, event: Record, name: str, seq: int, rule: str) -> Session:
        """Return a session that is open or may be; add a violation if it is not."""
        session = self.open.get(name) or self.doubted.get(name)
        if session is None:
            ended = self.ended.get(name)
            if ended is not None or not self.doubt:
                what = f"{show(event['event'])} of session {show(name)}, which"
                if ended is None:
                    self.violations.add(rule, f"{what} is not open", seq)
                else:
                    self.violations.add(
                        rule, f"{what} has ended as {show(ended[0])}", ended[1], seq
                    )
            # whatever else comes of it proves nothing that was not said now
            session = self.doubted[name] = Session(0, doubtful=True)
        return session

    def prompt_detected(self, event: Record, seq: int) -> None:
        """Add a task that is open."""
        name, task = event.get("session_id"), event.get("task_id")
        if is_name(name) and is_name(task):
            session = self.known_session(event, name, seq, "I1")
            if task not in session.settled:
                session.detected.add(task)

    def session_sealed(self, event: Record, seq: int) -> None:
        """Store the tasks that were sealed."""
        name = needed_id(event, "session_id", "I2")
        session = self.known_session(event, name, seq, "I2")
        if session.sealed is not None:
            what = f"session {show(name)} is sealed twice"
            self.violations.add("I2", what, session.sealed[1], seq)
        else:
            session.sealed = (frozenset(needed_ids(event, "tasks", "I2")), seq)

    def task_settled(self, event: Record, seq: int) -> None:
        """Store how a task has settled, once."""
        if event.get("session_id") is None:
            return  # of a call that a host runs without a session
        name = needed_id(event, "session_id", "I2")
        task = needed_id(event, "task_id", "I2")
        session = self.known_session(event, name, seq, "I2")
        if task in session.settled:
            before = session.settled[task][1]
            self.violations.add("I2", f"task {show(task)} is settled twice", before, seq)
            return
        session.detected.discard(task)
        state = event.get("state")
        state = state if isinstance(state, str) and state in SETTLED else ""
        session.settled[task] = (state, seq)
        if not state:
            raise Uncheckable("I6", "state")

    def text_written(self, event: Record, seq: int) -> None:
        """Store the one write; a store that was given up may still write after the end."""
        name = needed_id(event, "session_id", "I1")
        ended, late = self.ended.get(name), self.late.pop(name)
        before = ended[2] if ended is not None else None
        session = late
        if late is None and before is None:
            session = self.known_session(event, name, seq, "I1")
            before = None if session.written is None else session.written.seq
        if session is None or before is not None:
            what = f"the text of session {show(name)} is written twice"
            self.violations.add("I1", what, seq if before is None else before, seq)
            return
        try:
            said = (*needed_ids(event, "placed", "I6"), *needed_ids(event, "unplaced", "I6"))
        except Uncheckable as error:
            said = None
            self.unreadable(error, event, seq)
        session.written = Write(said, seq, session.sealed is not None, len(session.settled))
        if late is not None:
            self.check_write(late, name)
            if ended is not None:
                self.ended[name] = (ended[0], ended[1], seq)

    def unreadable(self, error: Uncheckable, event: Record, seq: int) -> None:
        """Add the violation that a rule cannot be checked."""
        what = f"{show(event['event'])} cannot be checked: no usable {error.field!r}"
        self.violations.add(error.rule, what, seq)

    def session_ended(self, event: Record, seq: int) -> None:
        """Check a session that has ended, and forget it."""
        name = needed_id(event, "session_id", "I1")
        before = self.ended.get(name)
        if before is not None and name not in self.open:
            self.violations.add("I1", f"session {show(name)} ends twice", before[1], seq)
            return
        session = self.known_session(event, name, seq, "I1")
        self.open.pop(name, None)
        self.doubted.pop(name)
        outcome = event.get("outcome")
        outcome = outcome[:MAX_NAME] if isinstance(outcome, str) else ""
        written = None if session.written is None else session.written.seq
        if written is None and outcome == "written" and not session.doubtful:
            what = f"session {show(name)} ends as written, but its text was not written"
            self.violations.add("I1", what, session.opened, seq)
        elif written is not None and outcome in UNWRITTEN:
            what = f"session {show(name)} ends as {outcome}, but its text was written"
            self.violations.add("I1", what, written, seq)
        self.check_write(session, name)
        self.ended[name] = (outcome, seq, written)
        if written is None and outcome == "failed":
            self.late[name] = session
        if not outcome:
            raise Uncheckable("I1", "outcome")

    def check_write(self, session: Session, name: str) -> None:
        """Check a session's write, once no more events of it can come."""
        write = session.written
        if write is None:
            return
        if session.sealed is None:
            if not session.doubtful:
                self.add_violation("I2", name, "was written, but it was not sealed", write.seq)
        elif not write.sealed:
            seqs = (write.seq, session.sealed[1])
            self.add_violation("I2", name, "was written before it was sealed", *seqs)
        else:
            self.check_totals(session, session.sealed, write, name)
        if write.said is not None:
            self.check_pictures(session, write.said, write.seq, name)

    def check_totals(
        self, session: Session, sealed: tuple[frozenset[str], int], write: Write, name: str
    ) -> None:
        """Check that each sealed task had settled before the write."""
        settled = session.settled
        absent = sealed[0] - settled.keys()
        if absent and not session.doubtful:
            what = f"was written, but not settled: {first_few(absent)}"
            self.add_violation("I2", name, what, sealed[1], write.seq)
        late = {task for task in islice(settled, write.settled, None) if task in sealed[0]}
        if late:
            what = f"was written before it was settled: {first_few(late)}"
            proof = (settled[task][1] for task in late)
            self.add_violation("I2", name, what, sealed[1], write.seq, *proof)

    def check_pictures(self, session: Session, said: tuple[str, ...], at: int, name: str) -> None:
        """Check that the write names each finished picture once, and no other."""
        settled = session.settled
        completed = {task for task, (state, _) in settled.items() if state == "completed"}
        if len(said) == len(completed) and completed.issuperset(said):
            return
        wrongly = {task for task in {*said} - completed if task in settled or not session.doubtful}
        for wrong, what in (
            (completed - {*said}, "leaves out what was completed"),
            (wrongly, "names what was not completed"),
            ({task for task, times in Counter(said).items() if times > 1}, "names more than once"),
        ):
            if wrong:
                proof = (settled[task][1] for task in wrong if task in settled)
                self.add_violation("I6", name, f"{what}: {first_few(wrong)}", at, *proof)

    def add_violation(self, rule: str, name: str, what: str, *seqs: int) -> None:
        """Add a violation by the write of a session."""
        self.violations.add(rule, f"the text of session {show(name)} {what}", *seqs)

    def close(self, closed: int) -> None:
        """Check that nothing is open, as the studio has closed."""
        for name, session in self.open.items():
            what = f"session {show(name)} is open when the studio has closed"
            self.violations.add("I1", what, session.opened, closed)
        self.doubted = Recent()  # whose ends were lost

    def end(self) -> tuple[int, int]:
        """Check what is open at the end of a run; return how many sessions and tasks that is."""
        left = (*self.open.items(), *self.doubted.items())
        for name, session in left:
            self.check_write(session, name)
        return len(left), sum(len(session.detected) for _, session in left)
