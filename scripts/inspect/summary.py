"""The summary of an event log: what a person wants to know first, in bounded memory.

Times come from buckets on a logarithmic scale, so a percentile is within 1 % of the true one
however many there were; the slowest and the failed are a few, and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from limner.messages.events.record import Record, micros, stands_for
from limner.messages.unicode import shown
from limner.scripts.inspect.measures import (
    KINDS,
    NAMED,
    OTHERS,
    LaneUse,
    Open,
    Slowest,
    Times,
    count,
    span,
    text,
)
from limner.scripts.inspect.slots import Slots
from limner.scripts.inspect.words import (
    CALLS,
    OPEN,
    SLOTS,
    TROUBLE,
    listed,
    many,
    moments,
    worded,
)


class Summary:
    """Counts and times of a log; feed it each event, in order.

    A request that is offered upstream counts for the use of that lane alone.

    Attributes:
        sessions: ended sessions by outcome.
        tasks: settled tasks by state.
        kept: tasks that were settled with a picture of an earlier session.
        reasons: why tasks failed or were cancelled, and sessions were not written.
        calls: hosts' own calls, and batches of them, that were granted a slot.
        drops: why requests were dropped.
        waits: of requests, until their grant.
        generations: of generations that made a picture, from start to end.
        writes: of sessions, from seal to write.
        retries: generations that were tried again.
        counts: events by name.
        lanes: slot use by lane.
        runs: runs begun.
        events: events read.
        lost: events that the log says are missing.
    """

    def __init__(self) -> None:
        self.sessions: Counter[str] = Counter()
        self.tasks: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.generations, self.writes = Times(), Times()
        self._slots = Slots()
        self.lanes, self.waits = self._slots.lanes, self._slots.waits
        self.calls, self.drops = self._slots.calls, self._slots.drops
        self.runs = self.events = self.lost = self.kept = 0
        self._before = self._begun = self._now = 0
        self._at = ("", "")
        self._open = Open()
        self._left: Counter[str] = Counter()
        self._failed: dict[str, str] = {}
        self._slow_pictures, self._slow_messages = Slowest(), Slowest()
        self._takes: dict[str, Callable[[Record, int], Any]] = {
            "session_opened": self._session_opened,
            "prompt_detected": self._prompt_detected,
            "picture_wanted": self._prompt_detected,
            "session_sealed": self._session_sealed,
            "text_written": self._text_written,
            "session_ended": self._session_ended,
            "task_settled": self._task_settled,
            "generation_started": self._generation_started,
            "generation_completed": self._generation_completed,
            "generation_failed": self._generation_failed,
            "keep_failed": self._generation_completed,
            "call_abandoned": self._generation_failed,
            "events_lost": self._events_lost,
            **self._slots.takes,
        }

    def feed(self, event: Record) -> None:
        """Add the next event; what it lacks is left out."""
        self.events += 1
        name = event["event"]
        take = self._takes.get(name)
        now = micros(event)
        if name == "studio_opened" or not self.runs:
            self._begin_run(now)
        self._at = (self._at[0] or text(event, "at"), text(event, "at"))
        self._now = max(self._now, now)
        if name in IN_ONE_LANE or stands_for(event) is None:
            count(self.counts, name, 10 * KINDS)
        if take is not None:
            take(event, now)

    @property
    def retries(self) -> int:
        """How many generations were tried again."""
        return self.counts["generation_retried"]

    @property
    def open(self) -> dict[str, int]:
        """What is still open, in runs that ended without being closed: sessions, tasks, …."""
        return {name: now + self._left[name] for name, now in self.open_now().items()}

    def open_now(self) -> Counter[str]:
        """Return what is open in the run that is read."""
        return Counter({**self._open.counts(), **self._slots.counts()})

    def values(self) -> dict[str, Any]:
        """Return all as plain values: counts, and seconds."""
        return {
            "runs": self.runs,
            "events": self.events,
            "lost": self.lost,
            "seconds": self.seconds,
            "sessions": dict(self.sessions),
            "tasks": dict(self.tasks),
            "waiting": self.waits.values(),
            "generation": self.generations.values(),
            "writing": self.writes.values(),
            "lanes": {
                name: {
                    "mean": lane.mean,
                    "peak": lane.peak,
                    "limit": lane.limit,
                    "share": lane.share,
                    "halted": lane.halted / 1_000_000,
                }
                for name, lane in self._lanes_now().items()
            },
            "retries": self.retries,
            "open": self.open,
        }

    def render(self) -> Any:
        """Return what a person reads, for rich."""
        from rich.console import Group
        from rich.text import Text

        parts: list[Any] = [Text(self._heading(), "bold"), Text(), self._counted()]
        if any(times.number for times in (self.waits, self.generations, self.writes)):
            parts += [Text(), self._timed()]
        if self.lanes:
            parts += [Text(), self._used()]
        for title, lines in (
            ("slowest pictures", list(slowest(self._slow_pictures))),
            ("slowest messages", list(slowest(self._slow_messages))),
            ("failed", self._failures()),
        ):
            if lines:
                parts += [Text(), Text(title, "bold")]
                parts += [Text(f"  {line}") for line in lines]
        return Group(*parts)

    def _heading(self) -> str:
        took = f", {span(self.seconds * 1e6)}" if self.seconds else ""
        were = "was" if self.lost == 1 else "were"
        lost = f"; {many(self.lost, 'event')} {were} lost" if self.lost else ""
        counted = f"{many(self.events, 'event')} of {many(self.runs, 'run')}"
        return f"{counted}{took}{moments(*self._at)}{lost}"

    def _counted(self) -> Any:
        rows = {
            "messages": listed(self.sessions),
            "pictures": listed(self.tasks)
            + (f" ({self.kept:,} from an earlier session)" if self.kept else ""),
            "hosts' calls": worded(self.calls, CALLS),
            "retries": f"{self.retries:,}",
            "slots": worded(self.counts, SLOTS),
            "dropped": listed(dict(self.drops.most_common())),
            "trouble": worded(self.counts, TROUBLE),
            "still open": worded(self.open, OPEN),
        }
        return table([], [(name, text) for name, text in rows.items() if text])

    def _timed(self) -> Any:
        rows = []
        for name, times in (
            ("waiting for a slot", self.waits),
            ("generating", self.generations),
            ("from seal to write", self.writes),
        ):
            if times.number:
                found = times.values()
                seconds = [found[name] for name in ("p50", "p95", "p99", "max")]
                told = [span(took * 1e6) if took else "at once" for took in seconds]
                rows.append((name, f"{times.number:,}", *told))
        return table(["", "number", "p50", "p95", "p99", "max"], rows)

    def _used(self) -> Any:
        rows = []
        for name, lane in self._lanes_now().items():
            share = "-" if lane.share is None else f"{lane.share:.0%}"
            halted = span(lane.halted) if lane.halted else "-"
            used = f"{lane.mean:.2f}", f"{lane.peak:,}", lane.limits, share, halted
            rows.append((shown(name, 30), *used))
        return table(["lane", "mean out", "peak", "limit", "used", "halted"], rows)

    def _failures(self) -> list[str]:
        lines = []
        for reason, number in self.reasons.most_common(2 * NAMED):
            kind, _, why = reason.partition(": ")
            if reason == OTHERS:
                lines.append(f"{number:,} for other reasons")
                continue
            first = "" if number == 1 else "the first: "
            lines.append(f"{many(number, kind)}: {why} ({first}{self._failed[reason]})")
        if left := len(self.reasons) - len(lines):
            lines.append(f"and {many(left, 'further reason')}")
        return lines

    def _lanes_now(self) -> dict[str, LaneUse]:
        for lane in self.lanes.values():
            lane.pass_to(self._now)
        return self.lanes

    @property
    def seconds(self) -> float:
        """How long the runs took together."""
        return (self._before + self._now - self._begun) / 1_000_000

    def _begin_run(self, now: int) -> None:
        self._before += self._now - self._begun
        for lane in self._lanes_now().values():
            lane.restart(now)
        self._left.update(self.open_now())
        self._open = Open()
        self._slots.restart()
        self._begun = self._now = now
        self.runs += 1

    def _session_opened(self, event: Record, now: int) -> None:
        self._open.sessions[text(event, "session_id")] = now

    def _prompt_detected(self, event: Record, now: int) -> None:
        del now
        task = text(event, "task_id")
        self._open.tasks.setdefault(text(event, "session_id"), set()).add(task)
        self._open.prompts[task] = shown(text(event, "prompt"), 48)

    def _session_sealed(self, event: Record, now: int) -> None:
        self._open.sealed[text(event, "session_id")] = now

    def _text_written(self, event: Record, now: int) -> None:
        sealed = self._open.sealed.pop(text(event, "session_id"), None)
        if sealed is not None:
            self.writes.add(now - sealed)

    def _session_ended(self, event: Record, now: int) -> None:
        session, message = text(event, "session_id"), text(event, "message_id")
        outcome = text(event, "outcome")
        count(self.sessions, shown(outcome, 30))
        opened = self._open.sessions.pop(session, None)
        if opened is not None:
            self._slow_messages.add(now - opened, message, outcome.replace("_", " "))
        self._open.sealed.pop(session, None)
        for task in self._open.tasks.pop(session, ()):
            self._open.prompts.pop(task, None)
            self._open.generations.pop(task, None)
        if outcome in {"failed", "timed_out"}:
            reason = text(event, "reason").replace(f"message {message!r}", "a message")
            self._fail("message", reason, shown(message, 48))

    def _task_settled(self, event: Record, now: int) -> None:
        del now
        state, task = text(event, "state"), text(event, "task_id")
        count(self.tasks, shown(state, 30))
        if event.get("kept") is True:
            self.kept += 1
        prompt = self._open.prompts.pop(task, task)
        self._open.generations.pop(task, None)
        self._open.tasks.get(text(event, "session_id"), set()).discard(task)
        if state == "failed":
            message = shown(text(event, "message_id"), 48)
            self._fail("picture", text(event, "reason"), f"{message}, {shown(prompt, 48)}")

    def _fail(self, kind: str, reason: str, name: str) -> None:
        why = AWAITED.sub("waiting for pictures", shown(reason, 160)) or "no reason given"
        reason = f"{kind}: {why}"
        count(self.reasons, reason)
        if reason in self.reasons:
            self._failed.setdefault(reason, name)

    def _generation_started(self, event: Record, now: int) -> None:
        self._open.generations[text(event, "task_id")] = now

    def _generation_completed(self, event: Record, now: int) -> None:
        task = text(event, "task_id")
        started = self._open.generations.pop(task, None)
        if started is not None:
            self.generations.add(now - started)
            prompt = self._open.prompts.get(task, task)
            self._slow_pictures.add(now - started, text(event, "message_id"), prompt)

    def _generation_failed(self, event: Record, now: int) -> None:
        del now
        self._open.generations.pop(text(event, "task_id"), None)

    def _events_lost(self, event: Record, now: int) -> None:
        del now
        first, last = event.get("first"), event.get("last")
        if type(first) is int and type(last) is int and first <= last:
            self.lost += last - first + 1


AWAITED = re.compile(r"waiting for \d+ (?:task\(s\)|pictures?)")
"""A part of a reason that tells apart what failed for the same one."""

IN_ONE_LANE = frozenset(["slot_asked_back", "slot_revoked"])
"""What happens to a slot in one lane only, wherever that stands."""


def slowest(found: Slowest) -> Iterator[str]:
    """Yield a line for each that took any time."""
    yield from (f"{span(took)}  {name}" for took, name in found if took)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Any:
    """Return a table whose first column holds names, the others values."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    for index in range(max(2, len(headings))):
        if index:
            made.add_column(justify="right" if headings else "left")
        else:
            made.add_column(style="bold", no_wrap=True)
    if headings:
        made.add_row(*(Text(heading, "bold") for heading in headings))
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made
