"""The audit of an event log: whether its invariants hold, from the log alone.

- I1: a session has exactly one `session_ended`, and at most one `text_written`.
- I2: `text_written` comes after `session_sealed`, and after `task_settled` of each sealed task.
- I3: at each grant the weights out in its lane, this one counted, are within `max_concurrent`;
  an adaptive one moves only by `limit_changed`, and stays within its bounds.
- I4: at each grant the lane's last grant is at least `min_time` ago.
- I5: each request ends in exactly one grant, drop or withdrawal, each slot in exactly one release,
  revocation or expiry.
- I6: `placed` and `unplaced` of a `text_written` are exactly the session's completed tasks.
- I7: each `generation_started` names a slot that is out.
- I8: `seq` has no gap and no repeat, except for an `events_lost` that names the gap.
- I13: no `generation_started` of a task comes after its `keep_failed` or `generation_completed`:
  a picture that was made is not generated again, whatever becomes of keeping it.
- I14: no request is granted that has waited in its lane since before `circuit_patience` probes of
  the lane's circuit breaker in a row have failed.
- I15: no `text_written` places a task of a request that its session had taken back.
- I16: a `text_written` that places a picture of a prompt leaves no mark of a failure of that
  prompt, except of its own session's tasks.
- I17: a request whose priority was changed has its turn, among those of its owner in its lane, by
  the priority that it has now.
- I18: a message is forgotten while it has no session; until it has another one no picture of it is
  kept or put into its text, and none is taken for kept before one was kept anew.
- I19: at a `cancel_all_done` each stream of the owner has ended that was open at the
  `cancel_all_requested`, but for those that had written by then, or had given that up.
- I20: what a lane drops for its `high_water` by `leak` or `overflow_priority` is of the lowest
  priority of all that waits for it, in the lanes behind it too; by `leak`, the last of its message.
- I21: a session has `max_per_message` pictures in generation at one time at most.
- I22: at each grant, what was granted in the last span of time of a budget is within its amount;
  twice that if it is not sliding. A call counts with what it has cost, once that is settled.

`session_rules` checks I1, I2 and I6, `lane_rules` I3, I4, I5 and I7, `picture_rules` I13
and I15, `circuit_rules` I14, `failure_rules` I16, `priority_rules` I17, `forgetting_rules` I18,
`cancellation_rules` I19, `overflow_rules` I20, `per_message_rules` I21, `budget_rules` I22.

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

from limner.messages.events.budget_rules import BudgetRules
from limner.messages.events.cancellation_rules import CancellationRules
from limner.messages.events.circuit_rules import CircuitRules
from limner.messages.events.failure_rules import FailureRules
from limner.messages.events.findings import Uncheckable, Violation, Violations, show
from limner.messages.events.forgetting_rules import ForgettingRules
from limner.messages.events.lane_rules import LaneRules
from limner.messages.events.overflow_rules import OverflowRules
from limner.messages.events.per_message_rules import PerMessageRules
from limner.messages.events.picture_rules import PictureRules
from limner.messages.events.priority_rules import PriorityRules
from limner.messages.events.record import Record
from limner.messages.events.session_rules import SessionRules

SilentRules = (
    CircuitRules
    | PriorityRules
    | ForgettingRules
    | CancellationRules
    | OverflowRules
    | PerMessageRules
    | BudgetRules
)
"""Rules that find no event that they cannot check."""


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
        self._violations = Violations()
        self._events = self._lost = self._unchecked = 0
        self._open = [0, 0, 0, 0]
        self._next: int
        self._closed: int | None
        self._session_rules: SessionRules
        self._lane_rules: LaneRules
        self._silent: tuple[SilentRules, ...]
        self._checks: dict[str, tuple[Callable[[Record, int], None], ...]]
        self._begin()

    def feed(self, event: Record) -> None:
        """Check the next event."""
        self._events += 1
        seq, name = event["seq"], event["event"]
        try:
            if seq != self._next or name in NUMBERING:
                self._number(event, seq, name)
            self._next = seq + 1
            for check in self._checks.get(name, ()):
                check(event, seq)
        except Uncheckable as error:
            self._session_rules.unreadable(error, event, seq)

    def finish(self) -> Verdict:
        """Return the verdict on all that was fed; nothing is fed after it."""
        self._end_run()
        sessions, tasks, slots, requests = self._open
        return Verdict(
            violations=tuple(self._violations.kept),
            number=self._violations.number,
            open_sessions=sessions,
            open_tasks=tasks,
            open_slots=slots,
            open_requests=requests,
            runs=self._violations.run,
            events=self._events,
            lost=self._lost,
            unchecked=self._unchecked,
        )

    def _begin(self) -> None:
        self._next = 1
        self._closed = None
        self._session_rules = SessionRules(self._violations)
        self._lane_rules = LaneRules(self._violations)
        self._checks = {"studio_closed": (self._close,)}
        # a rule that cannot be checked ends the checks of an event, so those that never are come
        # first
        found = self._violations
        self._silent = (
            CircuitRules(found),
            PriorityRules(found),
            ForgettingRules(found),
            CancellationRules(found),
            OverflowRules(found),
            PerMessageRules(found),
            BudgetRules(found),
        )
        never = PictureRules(found), FailureRules(found), *self._silent
        for rules in (*never, self._session_rules, self._lane_rules):
            for name, check in rules.checks.items():
                self._checks[name] = (*self._checks.get(name, ()), check)

    def _begin_run(self) -> None:
        if self._violations.run:
            self._end_run()
            self._begin()
        self._violations.run += 1

    def _end_run(self) -> None:
        if self._closed is not None:  # what was opened after it
            self._close({"cause": None}, self._closed)
        ends = (*self._session_rules.end(), *self._lane_rules.end())
        self._open = [before + number for before, number in zip(self._open, ends, strict=True)]
        self._unchecked += self._lane_rules.unchecked

    def _close(self, event: Record, seq: int) -> None:
        """Check that nothing is open; slots may be, if the part that failed may be the limiter."""
        self._closed = seq
        self._session_rules.close(seq)
        if event.get("cause") is None:
            self._lane_rules.close(seq)
        self._assume_missing()

    def _assume_missing(self) -> None:
        self._session_rules.assume_missing()
        self._lane_rules.assume_missing()
        for rules in self._silent:
            rules.assume_missing()

    def _number(self, event: Record, seq: int, name: str) -> None:
        """Check I8: a run begins at 1 and goes on by one, but for gaps that are named."""
        add, last = self._violations.add, self._next - 1
        if name == "studio_opened":
            self._begin_run()
            if seq != 1:
                add("I8", f"a run begins with number {seq:,}, not 1", seq)
        elif name == "events_lost":
            self._take_gap(event, seq)
        elif seq == 1 and name == "actor_failed" and event.get("actor") == "studio":
            self._begin_run()  # the root has failed before it could say that it opens
        elif seq == 1 or not self._violations.run:
            self._begin_run()
            add("I8", f"a run begins with {show(name)}, not with studio_opened, number 1", seq)
            self._assume_missing()
        elif seq > last:
            add("I8", f"{seq - last - 1:,} numbers are missing", last, seq)
        else:
            add("I8", "a number comes again, or goes back", last, seq)

    def _take_gap(self, event: Record, seq: int) -> None:
        """Check that a gap begins where the log breaks off and ends just before its own number.

        Some of what is in it may stand in the log all the same, written by a commit that failed
        halfway.
        """
        first, last = (event.get(name) for name in ("first", "last"))
        if type(first) is not int or type(last) is not int:
            self._assume_missing()
            raise Uncheckable("I8", "first" if type(first) is not int else "last")
        if not self._violations.run or (
            first == 1 and (seq < self._next or self._closed is not None)
        ):
            self._begin_run()
        expected = self._next
        if not first <= last == seq - 1:
            what = f"a gap that is named from {first:,} to {last:,} does not end before its number"
            self._violations.add("I8", what, seq)
        elif first > expected:
            what = f"{first - expected:,} numbers are missing before a gap that is named"
            self._violations.add("I8", what, expected - 1, seq)
        elif seq < expected:
            self._violations.add("I8", "a number comes again, or goes back", expected - 1, seq)
        if seq > expected:
            self._lost += seq - expected
            self._assume_missing()


NUMBERING = frozenset(["studio_opened", "events_lost"])
