"""The audit of an event log: whether the invariants I1 to I8 hold, from the log alone.

One pass, in memory bounded by what is open. Of what has ended, only the last `REMEMBERED` names
are kept, to name the earlier event when one comes again; that it came again is noticed anyway, as
it is then the end of nothing that is open.

Where the log itself says that events are missing (`events_lost`, or its beginning cut off),
silence proves nothing: from there on only what the events themselves prove is a violation, and
`Verdict.unchecked` counts the grants whose limits may have changed unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from limner.messages.events.findings import Found, Uncheckable, Violation, call
from limner.messages.events.lane_rules import Lanes
from limner.messages.events.record import Record
from limner.messages.events.session_rules import Sessions


@dataclass(frozen=True)
class Verdict:
    """What the audit of a whole log has found.

    Args:
        violations: the first `KEPT` of them.
        number: how many there are in all.
        open_sessions, open_tasks, open_slots, open_requests: what was open when a run ended.
        runs: how many runs the log holds.
        events: how many events.
        lost: events that the log says are missing from it.
        unchecked: grants after such a gap, whose limits are not known.
    """

    violations: tuple[Violation, ...]
    number: int
    open_sessions: int
    open_tasks: int
    open_slots: int
    open_requests: int
    runs: int
    events: int
    lost: int = 0
    unchecked: int = 0

    @property
    def passed(self) -> bool:
        """Whether every invariant holds."""
        return not self.number


class Audit:
    """Checks a log as it is read: feed it each event, in order, then ask for its verdict."""

    def __init__(self) -> None:
        self._found = Found()
        self._events = self._lost = self._unchecked = 0
        self._open = [0, 0, 0, 0]
        self._next: int
        self._closed: int | None
        self._sessions: Sessions
        self._lanes: Lanes
        self._checks: dict[str, Callable[[Record, int], None]]
        self._begin()

    def feed(self, event: Record) -> None:
        """Check the next event."""
        self._events += 1
        seq, name = event["seq"], event["event"]
        try:
            if seq != self._next or name in NUMBERING:
                self._number(event, seq, name)
            self._next = seq + 1
            check = self._checks.get(name)
            if check is not None:
                check(event, seq)
        except Uncheckable as error:
            self._sessions.unreadable(error, event, seq)

    def finish(self) -> Verdict:
        """Give the verdict on all that was fed; nothing is fed after it."""
        self._end_run()
        sessions, tasks, slots, requests = self._open
        return Verdict(
            violations=tuple(self._found.kept),
            number=self._found.number,
            open_sessions=sessions,
            open_tasks=tasks,
            open_slots=slots,
            open_requests=requests,
            runs=self._found.run,
            events=self._events,
            lost=self._lost,
            unchecked=self._unchecked,
        )

    def _begin(self) -> None:
        self._next = 1
        self._closed = None
        self._sessions = Sessions(self._found)
        self._lanes = Lanes(self._found)
        self._checks = {
            **self._sessions.checks,
            **self._lanes.checks,
            "studio_closed": self._close,
        }

    def _begin_run(self) -> None:
        if self._found.run:
            self._end_run()
            self._begin()
        self._found.run += 1

    def _end_run(self) -> None:
        if self._closed is not None:  # what was opened after it
            self._close({"cause": None}, self._closed)
        ends = (*self._sessions.end(), *self._lanes.end())
        self._open = [one + more for one, more in zip(self._open, ends, strict=True)]
        self._unchecked += self._lanes.unchecked

    def _close(self, event: Record, seq: int) -> None:
        """See that nothing is open; but for slots, if a part failed that may be the limiter."""
        self._closed = seq
        self._sessions.close(seq)
        if event.get("cause") is None:
            self._lanes.close(seq)
        self._lose()

    def _lose(self) -> None:
        self._sessions.lose()
        self._lanes.lose()

    def _number(self, event: Record, seq: int, name: str) -> None:
        """I8: a run begins at 1 and goes on by one, but for gaps that are named."""
        say, last = self._found.say, self._next - 1
        if name == "studio_opened":
            self._begin_run()
            if seq != 1:
                say("I8", f"a run begins with number {seq:,}, not 1", seq)
        elif name == "events_lost":
            self._take_gap(event, seq)
        elif seq == 1 and name == "actor_failed" and event.get("actor") == "studio":
            self._begin_run()  # the root has failed before it could say that it opens
        elif seq == 1 or not self._found.run:
            self._begin_run()
            say("I8", f"a run begins with {call(name)}, not with studio_opened, number 1", seq)
            self._lose()
        elif seq > last:
            say("I8", f"{seq - last - 1:,} numbers are missing", last, seq)
        else:
            say("I8", "a number comes again, or goes back", last, seq)

    def _take_gap(self, event: Record, seq: int) -> None:
        """See that a gap begins where the log breaks off, and ends just before its own number.

        Some of what is in it may stand in the log all the same, written by a commit that failed
        halfway.
        """
        first, last = (event.get(name) for name in ("first", "last"))
        if type(first) is not int or type(last) is not int:
            self._lose()
            raise Uncheckable("I8", "first" if type(first) is not int else "last")
        if not self._found.run or (first == 1 and (seq < self._next or self._closed is not None)):
            self._begin_run()
        expected = self._next
        if not first <= last == seq - 1:
            what = f"a gap that is named from {first:,} to {last:,} does not end before its number"
            self._found.say("I8", what, seq)
        elif first > expected:
            what = f"{first - expected:,} numbers are missing before a gap that is named"
            self._found.say("I8", what, expected - 1, seq)
        elif seq < expected:
            self._found.say("I8", "a number comes again, or goes back", expected - 1, seq)
        if seq > expected:
            self._lost += seq - expected
            self._lose()


NUMBERING = frozenset(["studio_opened", "events_lost"])
