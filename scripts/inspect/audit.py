"""The audit of an event log: whether the invariants I1 to I8 hold, from the log alone.

One pass, in memory bounded by what is open. Of what has ended, only the last `REMEMBERED` names
are kept, to name the earlier event when one comes again; that it came again is noticed anyway, as
it is then the end of nothing that is open.

Where the log itself says that events are missing (`events_lost`, or its beginning cut off),
silence proves nothing: from there on only what the events themselves prove is a violation, and
`Verdict.unchecked` counts the grants whose limits may have changed unseen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, ItemsView
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, NamedTuple, TypeGuard, TypeVar

from limner.scripts.display import shown
from limner.scripts.inspect.reading import Event, micros

KEPT = 1_000
"""Violations that are kept, of all that are counted."""

PROOF = 200
"""Numbers that prove one violation, at most."""

REMEMBERED = 10_000
"""Names of what has ended that are remembered, of each kind."""

MAX_NAME = 1_000
"""Characters of an id; what is longer is none."""

SETTLED = frozenset(["completed", "failed", "cancelled"])
UNWRITTEN = frozenset(["skipped", "cancelled", "timed_out"])

T = TypeVar("T")


class Violation(NamedTuple):
    """A rule that does not hold, and the events that prove it.

    Args:
        rule: `I1` to `I8`.
        text: what is wrong, in one sentence that may be shown.
        seqs: numbers of the events that prove it, ascending; `PROOF` at most.
        run: the how-manieth run of the log it is in, from 1.
    """

    rule: str
    text: str
    seqs: tuple[int, ...]
    run: int = 1

    def __str__(self) -> str:
        seqs = ", ".join(str(seq) for seq in self.seqs[:20])
        more = f" and {len(self.seqs) - 20} more" if len(self.seqs) > 20 else ""
        run = f", run {self.run}" if self.run > 1 else ""
        return f"{self.rule} {self.text} (seq {seqs}{more}{run})"


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


class Uncheckable(Exception):
    """An event lacks what a rule needs, or has it of a wrong type."""

    def __init__(self, rule: str, field: str) -> None:
        super().__init__(rule, field)
        self.rule = rule
        self.field = field


class Found:
    """The violations so far."""

    def __init__(self) -> None:
        self.kept: list[Violation] = []
        self.number = 0
        self.run = 0

    def say(self, rule: str, text: str, *seqs: int) -> None:
        """Take one."""
        self.number += 1
        if len(self.kept) < KEPT:
            proof = tuple(islice(sorted(set(seqs)), PROOF))
            self.kept.append(Violation(rule, text, proof, max(self.run, 1)))


class Recent(Generic[T]):
    """Remembers at least the last `REMEMBERED` things by name, and twice as many at most."""

    def __init__(self) -> None:
        self._young: dict[str, T] = {}
        self._old: dict[str, T] = {}

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())

    def __setitem__(self, name: str, thing: T) -> None:
        self._young[name] = thing
        if len(self._young) >= REMEMBERED:
            self._old, self._young = self._young, {}

    def get(self, name: str) -> T | None:
        """Give what has this name, if it is remembered."""
        thing = self._young.get(name)
        return self._old.get(name) if thing is None else thing

    def pop(self, name: str) -> T | None:
        """Give it, and forget it."""
        old = self._old.pop(name, None) if self._old else None
        return self._young.pop(name, old)

    def items(self) -> ItemsView[str, T]:
        """Give all, with their names."""
        return (self._old | self._young).items()


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


class Sessions:
    """I1, I2 and I6: one end, one write after all that was promised, which names each picture."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.doubt = False
        self.open: dict[str, Session] = {}
        self.doubted: Recent[Session] = Recent()
        self.late: Recent[Session] = Recent()
        self.ended: Recent[tuple[str, int, int | None]] = Recent()
        self.checks: dict[str, Callable[[Event, int], None]] = {
            "session_opened": self.session_opened,
            "prompt_detected": self.prompt_detected,
            "session_sealed": self.session_sealed,
            "task_settled": self.task_settled,
            "text_written": self.text_written,
            "session_ended": self.session_ended,
        }

    def lose(self) -> None:
        """Take it that events may be missing up to now."""
        self.doubt = True
        for name, session in self.open.items():
            session.doubtful = True
            self.doubted[name] = session
        self.open.clear()

    def session_opened(self, event: Event, seq: int) -> None:
        """Begin."""
        name = text(event, "session_id", "I1")
        before = self.open.get(name) or self.doubted.pop(name)
        ended = self.ended.get(name)
        if before is not None and before.opened:
            self.found.say("I1", f"session {call(name)} is opened twice", before.opened, seq)
        elif ended is not None:
            self.found.say("I1", f"session {call(name)} is opened after its end", ended[1], seq)
        self.open[name] = Session(seq)

    def session_of(self, event: Event, name: str, seq: int, rule: str) -> Session:
        """Give a session that is open or may be; accuse who speaks of one that is not."""
        session = self.open.get(name) or self.doubted.get(name)
        if session is None:
            ended = self.ended.get(name)
            if ended is not None or not self.doubt:
                what = f"{call(event['event'])} of session {call(name)}, which"
                if ended is None:
                    self.found.say(rule, f"{what} is not open", seq)
                else:
                    self.found.say(rule, f"{what} has ended as {call(ended[0])}", ended[1], seq)
            # whatever else comes of it proves nothing that was not said now
            session = self.doubted[name] = Session(0, doubtful=True)
        return session

    def prompt_detected(self, event: Event, seq: int) -> None:
        """Count a task that is open."""
        name, task = event.get("session_id"), event.get("task_id")
        if is_name(name) and is_name(task):
            session = self.session_of(event, name, seq, "I1")
            if task not in session.settled:
                session.detected.add(task)

    def session_sealed(self, event: Event, seq: int) -> None:
        """Take the promise."""
        name = text(event, "session_id", "I2")
        session = self.session_of(event, name, seq, "I2")
        if session.sealed is not None:
            what = f"session {call(name)} is sealed twice"
            self.found.say("I2", what, session.sealed[1], seq)
        else:
            session.sealed = (frozenset(names(event, "tasks", "I2")), seq)

    def task_settled(self, event: Event, seq: int) -> None:
        """Take an outcome, once."""
        if event.get("session_id") is None:
            return  # of a call that a host runs without a session
        name = text(event, "session_id", "I2")
        task = text(event, "task_id", "I2")
        session = self.session_of(event, name, seq, "I2")
        if task in session.settled:
            before = session.settled[task][1]
            self.found.say("I2", f"task {call(task)} is settled twice", before, seq)
            return
        session.detected.discard(task)
        state = event.get("state")
        known = isinstance(state, str) and state in SETTLED
        session.settled[task] = (state if known else "", seq)
        if not known:
            raise Uncheckable("I6", "state")

    def text_written(self, event: Event, seq: int) -> None:
        """Take the one write; a store that was given up may still write after the end."""
        name = text(event, "session_id", "I1")
        ended, late = self.ended.get(name), self.late.pop(name)
        before = ended[2] if ended is not None else None
        session = late
        if late is None and before is None:
            session = self.session_of(event, name, seq, "I1")
            before = None if session.written is None else session.written.seq
        if session is None or before is not None:
            what = f"the text of session {call(name)} is written twice"
            self.found.say("I1", what, seq if before is None else before, seq)
            return
        try:
            said = (*names(event, "placed", "I6"), *names(event, "unplaced", "I6"))
        except Uncheckable as error:
            said = None
            self.unreadable(error, event, seq)
        session.written = Write(said, seq, session.sealed is not None, len(session.settled))
        if late is not None:
            self.judge(late, name)
            if ended is not None:
                self.ended[name] = (ended[0], ended[1], seq)

    def unreadable(self, error: Uncheckable, event: Event, seq: int) -> None:
        """Say that a rule cannot be checked."""
        what = f"{call(event['event'])} cannot be checked: no usable {error.field!r}"
        self.found.say(error.rule, what, seq)

    def session_ended(self, event: Event, seq: int) -> None:
        """Judge a session, and drop it."""
        name = text(event, "session_id", "I1")
        before = self.ended.get(name)
        if before is not None and name not in self.open:
            self.found.say("I1", f"session {call(name)} ends twice", before[1], seq)
            return
        session = self.session_of(event, name, seq, "I1")
        self.open.pop(name, None)
        self.doubted.pop(name)
        outcome = event.get("outcome")
        outcome = outcome[:MAX_NAME] if isinstance(outcome, str) else ""
        written = None if session.written is None else session.written.seq
        if written is None and outcome == "written" and not session.doubtful:
            what = f"session {call(name)} ends as written, but its text was not written"
            self.found.say("I1", what, session.opened, seq)
        elif written is not None and outcome in UNWRITTEN:
            what = f"session {call(name)} ends as {outcome}, but its text was written"
            self.found.say("I1", what, written, seq)
        self.judge(session, name)
        self.ended[name] = (outcome, seq, written)
        if written is None and outcome == "failed":
            self.late[name] = session
        if not outcome:
            raise Uncheckable("I1", "outcome")

    def judge(self, session: Session, name: str) -> None:
        """Say what is wrong with a session's write, once all that is to come has come."""
        write = session.written
        if write is None:
            return
        if session.sealed is None:
            if not session.doubtful:
                self.accuse("I2", name, "was written, but it was not sealed", write.seq)
        elif not write.sealed:
            seqs = (write.seq, session.sealed[1])
            self.accuse("I2", name, "was written before it was sealed", *seqs)
        else:
            self.judge_totals(session, session.sealed, write, name)
        if write.said is not None:
            self.judge_pictures(session, write.said, write.seq, name)

    def judge_totals(
        self, session: Session, sealed: tuple[frozenset[str], int], write: Write, name: str
    ) -> None:
        """See that each sealed task had settled before the write."""
        settled = session.settled
        absent = sealed[0] - settled.keys()
        if absent and not session.doubtful:
            what = f"was written, but not settled: {some(absent)}"
            self.accuse("I2", name, what, sealed[1], write.seq)
        late = {task for task in islice(settled, write.settled, None) if task in sealed[0]}
        if late:
            what = f"was written before it was settled: {some(late)}"
            proof = (settled[task][1] for task in late)
            self.accuse("I2", name, what, sealed[1], write.seq, *proof)

    def judge_pictures(self, session: Session, said: tuple[str, ...], at: int, name: str) -> None:
        """See that the write names each finished picture, once, and no other."""
        settled = session.settled
        completed = {task for task, (state, _) in settled.items() if state == "completed"}
        if len(said) == len(completed) and completed.issuperset(said):
            return
        wrongly = {one for one in {*said} - completed if one in settled or not session.doubtful}
        for wrong, what in (
            (completed - {*said}, "leaves out what was completed"),
            (wrongly, "names what was not completed"),
            ({one for one, times in Counter(said).items() if times > 1}, "names more than once"),
        ):
            if wrong:
                proof = (settled[task][1] for task in wrong if task in settled)
                self.accuse("I6", name, f"{what}: {some(wrong)}", at, *proof)

    def accuse(self, rule: str, name: str, what: str, *seqs: int) -> None:
        """Say what is wrong with the write of a session."""
        self.found.say(rule, f"the text of session {call(name)} {what}", *seqs)

    def close(self, closed: int) -> None:
        """See that nothing is open, as the studio has closed."""
        for name, session in self.open.items():
            what = f"session {call(name)} is open when the studio has closed"
            self.found.say("I1", what, session.opened, closed)
        self.doubted = Recent()  # whose ends were lost

    def end(self) -> tuple[int, int]:
        """Judge what is open at the end of a run; count sessions and tasks."""
        left = (*self.open.items(), *self.doubted.items())
        for name, session in left:
            self.judge(session, name)
        return len(left), sum(len(session.detected) for _, session in left)


@dataclass(slots=True)
class Lane:
    """A lane: what is in force, since which event, and what is out."""

    name: str
    since: int = 0
    known: bool = False
    max_concurrent: int | None = None
    min_time: int = 0
    last_grant: tuple[int, int] | None = None
    weight: int = 0
    out: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Slot:
    """A slot that is out."""

    lane: str
    weight: int
    granted: int


class Lanes:
    """I3, I4, I5 and I7: the limits at each grant, one end for each request and slot."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.doubt = False
        self.unchecked = 0
        self.lanes: dict[str, Lane] = {}
        self.requests: dict[str, tuple[str, int]] = {}
        self.slots: dict[str, Slot] = {}
        self.doubted_requests: Recent[tuple[str, int]] = Recent()
        self.doubted_slots: Recent[Slot] = Recent()
        self.ended_requests: Recent[int] = Recent()
        self.ended_slots: Recent[int] = Recent()
        self.checks: dict[str, Callable[[Event, int], None]] = {
            "lane_opened": self.lane_set,
            "lane_updated": self.lane_set,
            "slot_requested": self.slot_requested,
            "slot_granted": self.slot_granted,
            "request_dropped": self.request_ended,
            "request_withdrawn": self.request_ended,
            "slot_released": self.slot_ended,
            "slot_revoked": self.slot_ended,
            "slot_expired": self.slot_ended,
            "generation_started": self.generation_started,
        }

    def lose(self) -> None:
        """Take it that events may be missing up to now: limits, grants, ends."""
        self.doubt = True
        for name, request in self.requests.items():
            self.doubted_requests[name] = request
        for name, slot in self.slots.items():
            self.doubted_slots[name] = slot
        self.requests.clear()
        self.slots.clear()
        for lane in self.lanes.values():
            lane.known = False
            lane.weight = 0
            lane.out.clear()

    def lane_set(self, event: Event, seq: int) -> None:
        """Take what is in force from now on."""
        name = text(event, "lane", "I3")
        lane = self.lanes.setdefault(name, Lane(name))
        most, least = event.get("max_concurrent", ""), event.get("min_time")
        lane.since, lane.known = seq, False
        if most is not None and (type(most) is not int or most < 0):
            raise Uncheckable("I3", "max_concurrent")
        if not isinstance(least, int | float) or isinstance(least, bool) or not 0 <= least < 1e9:
            raise Uncheckable("I4", "min_time")
        lane.known, lane.max_concurrent, lane.min_time = True, most, round(least * 1_000_000)

    def slot_requested(self, event: Event, seq: int) -> None:
        """Take a request that waits."""
        name = text(event, "request_id", "I5")
        before = self.requests.get(name) or self.doubted_requests.get(name)
        ended = self.ended_requests.get(name)
        if before is not None:
            self.found.say("I5", f"request {call(name)} is made twice", before[1], seq)
        elif ended is not None:
            self.found.say("I5", f"request {call(name)} is made again after its end", ended, seq)
        self.requests[name] = (text(event, "lane", "I5"), seq)

    def request_ended(self, event: Event, seq: int) -> None:
        """See that a request waited, in its lane, and take it out."""
        name = text(event, "request_id", "I5")
        request = self.requests.pop(name, None) or self.doubted_requests.pop(name)
        if request is not None:
            if request[0] != event.get("lane"):
                what = f"{call(event['event'])} of request {call(name)} in another lane"
                self.found.say("I5", what, request[1], seq)
        elif (ended := self.ended_requests.get(name)) is not None:
            what = f"{call(event['event'])} of request {call(name)}, which has ended"
            self.found.say("I5", what, ended, seq)
        elif not self.doubt:
            what = f"{call(event['event'])} of request {call(name)}, which does not wait"
            self.found.say("I5", what, seq)
        self.ended_requests[name] = seq

    def slot_granted(self, event: Event, seq: int) -> None:
        """End the request; see that the limits hold; take the slot as out."""
        self.request_ended(event, seq)
        name = text(event, "slot_id", "I5")
        before = self.slots.get(name)
        if before is not None:
            self.found.say("I5", f"slot {call(name)} is granted twice", before.granted, seq)
            return
        where = text(event, "lane", "I3")
        weight = event.get("weight")
        usable = weight if type(weight) is int and weight >= 1 else 0
        self.slots[name] = Slot(where, usable, seq)
        lane = self.lanes.get(where)
        if lane is None:
            lane = self.lanes[where] = Lane(where)
            if not self.doubt:
                self.found.say("I3", f"a grant in lane {call(where)}, which was not opened", seq)
        lane.out[name] = seq
        if not usable:
            raise Uncheckable("I3", "weight")
        lane.weight += usable
        now, last = micros(event), lane.last_grant
        lane.last_grant = (now, seq)
        if not lane.known:
            self.unchecked += 1
            return
        if lane.max_concurrent is not None and lane.weight > lane.max_concurrent:
            self.found.say(
                "I3",
                f"{lane.weight:,} out in lane {call(where)}, of {lane.max_concurrent:,}",
                lane.since,
                *islice(lane.out.values(), PROOF - 2),
                seq,
            )
        if last is not None and now - last[0] < lane.min_time:
            what = (
                f"a grant in lane {call(where)} {now - last[0]:,} µs after the one before,"
                f" not {lane.min_time:,}"
            )
            self.found.say("I4", what, lane.since, last[1], seq)

    def slot_ended(self, event: Event, seq: int) -> None:
        """See that a slot was out, in its lane, and take it back."""
        name = text(event, "slot_id", "I5")
        slot = self.slots.pop(name, None)
        if slot is not None:
            lane = self.lanes[slot.lane]
            del lane.out[name]
            lane.weight -= slot.weight
        else:
            slot = self.doubted_slots.pop(name)
        if slot is not None:
            if slot.lane != event.get("lane"):
                what = f"{call(event['event'])} of slot {call(name)} in another lane"
                self.found.say("I5", what, slot.granted, seq)
        elif (ended := self.ended_slots.get(name)) is not None:
            what = f"{call(event['event'])} of slot {call(name)}, which has ended"
            self.found.say("I5", what, ended, seq)
        elif not self.doubt:
            what = f"{call(event['event'])} of slot {call(name)}, which is not out"
            self.found.say("I5", what, seq)
        self.ended_slots[name] = seq

    def generation_started(self, event: Event, seq: int) -> None:
        """See that a generation has a slot."""
        name = text(event, "slot_id", "I7")
        if name in self.slots or self.doubted_slots.get(name) is not None:
            return
        ended = self.ended_slots.get(name)
        if ended is not None:
            what = f"a generation starts on slot {call(name)}, which has ended"
            self.found.say("I7", what, ended, seq)
        elif not self.doubt:
            what = f"a generation starts on slot {call(name)}, which is not out"
            self.found.say("I7", what, seq)

    def close(self, closed: int) -> None:
        """See that nothing is out and nothing waits, as the studio has closed."""
        for name, (_, requested) in self.requests.items():
            what = f"request {call(name)} waits when the studio has closed"
            self.found.say("I5", what, requested, closed)
        for name, slot in self.slots.items():
            what = f"slot {call(name)} is out when the studio has closed"
            self.found.say("I5", what, slot.granted, closed)
        self.doubted_requests, self.doubted_slots = Recent(), Recent()

    def end(self) -> tuple[int, int]:
        """Count the slots and the requests that are open at the end of a run."""
        return (
            len(self.slots) + len(self.doubted_slots),
            len(self.requests) + len(self.doubted_requests),
        )


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
        self._checks: dict[str, Callable[[Event, int], None]]
        self._begin()

    def feed(self, event: Event) -> None:
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

    def _close(self, event: Event, seq: int) -> None:
        """See that nothing is open; but for slots, if a part failed that may be the limiter."""
        self._closed = seq
        self._sessions.close(seq)
        if event.get("cause") is None:
            self._lanes.close(seq)
        self._lose()

    def _lose(self) -> None:
        self._sessions.lose()
        self._lanes.lose()

    def _number(self, event: Event, seq: int, name: str) -> None:
        """I8: a run begins at 1 and goes on by one, but for gaps that are named."""
        say, last = self._found.say, self._next - 1
        if name == "studio_opened":
            self._begin_run()
            if seq != 1:
                say("I8", f"a run begins with number {seq:,}, not 1", seq)
        elif name == "events_lost":
            self._take_gap(event, seq)
        elif seq == 1 or not self._found.run:
            self._begin_run()
            say("I8", f"a run begins with {call(name)}, not with studio_opened, number 1", seq)
            self._lose()
        elif seq > last:
            say("I8", f"{seq - last - 1:,} numbers are missing", last, seq)
        else:
            say("I8", "a number comes again, or goes back", last, seq)

    def _take_gap(self, event: Event, seq: int) -> None:
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


def is_name(value: object) -> TypeGuard[str]:
    """Say whether a value can be an id."""
    return type(value) is str and len(value) <= MAX_NAME


def text(event: Event, field: str, rule: str) -> str:
    """Give an id that a rule needs.

    Raises:
        Uncheckable: if there is none.
    """
    value = event.get(field)
    if type(value) is str and len(value) <= MAX_NAME:
        return value
    raise Uncheckable(rule, field)


def names(event: Event, field: str, rule: str) -> tuple[str, ...]:
    """Give the ids in a list, or those that a table is by.

    Raises:
        Uncheckable: if there are none.
    """
    value = event.get(field)
    if isinstance(value, list | dict) and all(is_name(one) for one in value):
        return tuple(value)
    raise Uncheckable(rule, field)


def call(name: str) -> str:
    """Name something that the log names, as it may be shown."""
    return shown(name, 60) or "''"


def some(tasks: set[str] | frozenset[str]) -> str:
    """Name the first of some tasks."""
    more = f" and {len(tasks) - 3:,} more" if len(tasks) > 3 else ""
    return ", ".join(map(call, sorted(tasks)[:3])) + more
