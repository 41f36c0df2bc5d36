"""The log as Trace Event JSON, which Perfetto and `chrome://tracing` open.

The format is Google's *Trace Event Format*. All spans are complete events (`X`) that nest on
their track: a message has a track with its session's phases, and below it as many tracks as it
had pictures at one time; each slot of a lane has one.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from limner.messages.events.span_types import (
    MAX_TEXT,
    OPEN,
    Halt,
    Level,
    Picture,
    Session,
    Slot,
    Span,
    bounded,
)
from limner.messages.events.spans import Spans
from limner.messages.unicode import wellformed
from limner.scripts.inspect.reading import LogReader
from limner.scripts.inspect.words import many

REMEMBERED = 50_000
"""Messages, and slots of lanes, whose tracks are remembered for what comes later on them."""
FIRST_BLOCK = 1_000_000
"""The number of the first track of a message; those of the lanes are below."""
BLOCK = 64
"""Tracks that a message takes at a time."""
OPEN_TO_THE_END = "open when the log ended"


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that replaces another when all of it is written, and not before.

    Args:
        path: of the file to be replaced, or made.

    Raises:
        OSError: if it cannot be written; then `path` is as it was.
    """
    temporary = path.parent / f".limner-{secrets.token_hex(8)}.part"
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_trace(reader: LogReader, path: Path) -> str:
    """Write a log as a trace that Perfetto and `chrome://tracing` open.

    Memory is bounded by what is open in the log at one time.

    Args:
        reader: of the log; not iterated yet.
        path: of the trace, which is replaced when all of it is written.

    Returns:
        One line that says what was written, and what was left out.

    Raises:
        OSError: if the log cannot be read or the trace cannot be written.
    """
    spans = Spans(reader)
    with replacing(path) as file:
        trace = Trace(file)
        for span in spans:
            trace.take(span)
        trace.close()
    spanned = f"{many(trace.spans, 'span')} of {many(trace.sessions, 'session')}"
    parts = [f"{spanned} and {many(trace.slots, 'granted slot')}"]
    if spans.runs > 1:
        parts[0] += f" in {spans.runs:,} runs"
    if trace.open:
        parts.append(f"{many(trace.open, 'session')} open to the end")
    if spans.passed:
        parts.append(f"{many(spans.passed, 'unusable event')} left out")
    return "; ".join(parts)


@dataclass(slots=True)
class _Track:
    """The tracks of a message: its own, and those of its pictures, in blocks."""

    blocks: list[int]
    ended: int = 0
    rows: int = 0
    """Pictures that have a track, at one time."""


class Trace:
    """A trace that is being written.

    Args:
        file: which it is written to.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.spans = self.sessions = self.slots = self.open = 0
        self._file = file
        self._events = 0
        self._arrows = 0
        self._runs = 0
        self._next_block = FIRST_BLOCK
        self._tracks: dict[str, _Track] = {}
        self._lane_tracks: dict[tuple[str, str], int] = {}
        self._lanes = 0
        self._levels: dict[tuple[str, str], int] = {}
        file.write(b'{"displayTimeUnit":"ms","traceEvents":[')

    def close(self) -> None:
        """Write the end of the trace."""
        self._file.write(b"\n]}\n")

    def take(self, span: Span) -> None:
        """Write the next span of the log."""
        match span:
            case Session():
                self.session(span)
            case Slot():
                self.slot(span)
            case Level():
                self.level(span)
            case Halt():
                self.halt(span)

    def session(self, session: Session) -> None:
        """Write a session and its pictures."""
        self.sessions += 1
        self.open += session.outcome == OPEN
        pid, track = self._run(session.run), self._track(session)
        tid = track.blocks[0]
        told = {
            "message": bounded(session.message_id),
            "session": bounded(session.id),
            "owner": session.owner,
            "outcome": session.outcome,
            "reason": session.reason,
        }
        outcome = OPEN_TO_THE_END if session.outcome == OPEN else session.outcome
        self._span(pid, tid, f"session {outcome}", session.opened, session.ended, told)
        for phase in session.phases:
            self._span(pid, tid, phase.kind, phase.start, phase.end, {"ended": phase.how})
        ends: list[int] = []
        for picture in sorted(session.pictures.values(), key=lambda picture: picture.detected):
            row = next((i for i, end in enumerate(ends) if end <= picture.detected), len(ends))
            ends[row : row + 1] = [picture.settled]
            self._picture(pid, tid, self._row(pid, track, row, session), picture)

    def slot(self, slot: Slot) -> None:
        """Write a slot from its grant to its end."""
        self.slots += 1
        pid = self._run(slot.run)
        tid = self._lane_track(pid, slot.lane, f"slot {slot.number}")
        told = {
            "message": slot.message_id,
            "prompt": slot.prompt,
            "weight": slot.weight,
            "ended": OPEN_TO_THE_END if slot.how == OPEN else slot.how,
        }
        name = slot.message_id or slot.prompt or "granted"
        self._span(pid, tid, name, slot.granted, slot.ended, told)
        if slot.started is not None:
            started = min(max(slot.started, slot.granted), slot.ended)
            finished = slot.ended if slot.finished is None else min(slot.finished, slot.ended)
            self._span(pid, tid, "generating", started, max(started, finished), {})

    def halt(self, halt: Halt) -> None:
        """Write a time in which a lane granted nothing."""
        pid = self._run(halt.run)
        tid = self._lane_track(pid, halt.lane, "halted")
        self._span(pid, tid, halt.why, halt.start, halt.end, {})

    def level(self, level: Level) -> None:
        """Write how full a lane is, if that has changed."""
        pid = self._run(level.run)
        for name, value in (("slots out", level.out), ("waiting", level.waiting)):
            if self._levels.get((level.lane, name), 0) != value:
                self._levels[level.lane, name] = value
                if not value:
                    del self._levels[level.lane, name]
                counter = {"ph": "C", "name": f"{level.lane}: {name}", "pid": pid, "tid": 0}
                self._write({**counter, "ts": level.t, "args": {name: value}})

    def _run(self, run: int) -> int:
        """Return the process of a run, which begins with tracks of its own."""
        if run != self._runs:
            self._runs = run
            self._tracks.clear()
            self._lane_tracks.clear()
            self._lanes = 0
            self._levels.clear()
            self._meta("process_name", run, 0, name=f"Limner, run {run}")
            self._meta("process_sort_index", run, 0, sort_index=run)
        return run

    def _lane_track(self, pid: int, lane: str, what: str) -> int:
        """Return the track of a slot or of the halts of a lane."""
        tid = self._lane_tracks.pop((lane, what), None)
        if tid is None:
            self._lanes += 1
            tid = self._lanes if self._lanes < FIRST_BLOCK else self._block()
            self._name(pid, tid, f"{lane} {what}")
        self._lane_tracks[lane, what] = tid
        if len(self._lane_tracks) > REMEMBERED:
            del self._lane_tracks[next(iter(self._lane_tracks))]
        return tid

    def _track(self, session: Session) -> _Track:
        """Return the tracks of a message; new ones if another session of it still has them."""
        key = session.message_id
        if len(key) > MAX_TEXT:
            key = blake2b(wellformed(key).encode()).hexdigest()
        track = self._tracks.pop(key, None)
        if track is None or track.ended > session.opened:
            track = _Track([self._block()])
            name = bounded(session.message_id) or "message"
            self._name(session.run, track.blocks[0], name)
        track.ended = session.ended
        self._tracks[key] = track
        if len(self._tracks) > REMEMBERED:
            del self._tracks[next(iter(self._tracks))]
        return track

    def _row(self, pid: int, track: _Track, row: int, session: Session) -> int:
        """Return the track of a picture, by how many pictures of its message are above it."""
        block, place = divmod(row + 1, BLOCK)
        while block >= len(track.blocks):
            track.blocks.append(self._block())
        tid = track.blocks[block] + place
        if row == track.rows:
            track.rows += 1
            self._name(pid, tid, f"{bounded(session.message_id)} · picture {row + 1}")
        return tid

    def _block(self) -> int:
        self._next_block += BLOCK
        return self._next_block - BLOCK

    def _picture(self, pid: int, above: int, tid: int, picture: Picture) -> None:
        told = {"task": bounded(picture.task_id), "state": picture.state, "reason": picture.reason}
        name = picture.prompt or "picture"
        self._span(pid, tid, name, picture.detected, picture.settled, told)
        at = {"pid": pid, "cat": "prompt"}
        prompt = {"ph": "i", "s": "t", "name": "prompt", "tid": above, "ts": picture.detected}
        self._write({**at, **prompt, "args": {"prompt": picture.prompt}})
        for phase in picture.phases:
            how = OPEN_TO_THE_END if phase.how == OPEN else phase.how
            why = {"ended": how, "reason": phase.reason}
            self._span(pid, tid, phase.kind, phase.start, phase.end, why)
        made = picture.phases[-1] if picture.phases else None
        if picture.state == "completed" and made is not None and made.kind == "generating":
            self._arrows += 1
            arrow = {**at, "name": "picture", "id": self._arrows}
            self._write({**arrow, "ph": "s", "tid": above, "ts": picture.detected})
            self._write({**arrow, "ph": "f", "bp": "e", "tid": tid, "ts": made.start})

    def _span(
        self, pid: int, tid: int, name: str, start: int, end: int, told: dict[str, Any]
    ) -> None:
        self.spans += 1
        args = {key: value for key, value in told.items() if value is not None}
        span = {"ph": "X", "cat": "limner", "name": name, "pid": pid, "tid": tid}
        self._write({**span, "ts": start, "dur": end - start, "args": args})

    def _name(self, pid: int, tid: int, name: str) -> None:
        self._meta("thread_name", pid, tid, name=name)
        self._meta("thread_sort_index", pid, tid, sort_index=tid)

    def _meta(self, kind: str, pid: int, tid: int, **args: Any) -> None:
        self._write({"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": args})

    def _write(self, event: dict[str, Any]) -> None:
        self._file.write((b",\n" if self._events else b"\n") + orjson.dumps(event))
        self._events += 1
