"""The log as spans: what lasted, folded from its events.

A session with its pictures, a slot that was out, a level of a lane; held are those that are open
and no more. A trace and a page are made from the same spans.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import NamedTuple

from limner.messages.wellformed import wellformed
from limner.scripts.inspect.reading import Event, micros, opens_run

MICROSECONDS = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST = 100 * 366 * 86_400
"""Seconds after its start up to which a run is believed."""
FURTHEST = 86_400 * MICROSECONDS
"""Microseconds between two runs up to which their distance is kept."""
APART = MICROSECONDS
"""Microseconds between two runs whose distance is not known, or is not kept."""
MOST = 1_000_000
"""Up to which a number of slots is believed."""
MAX_TEXT = 200
"""Characters that are kept of a text."""
OPEN = "open"
"""The outcome, state or end of what was open when its run ended."""


class Unreadable(Exception):
    """An event lacks a field, or has one that is not what it should be."""


class Phase(NamedTuple):
    """A part of a picture's time: it waited, was generated, or paused before a retry."""

    kind: str
    start: int
    end: int
    how: str
    """How it ended."""
    reason: str | None


@dataclass(slots=True)
class Slot:
    """A slot that was out. Times are in microseconds, here and everywhere in this file."""

    run: int
    lane: str
    number: int
    """The lowest of its lane that was free, from 1."""
    message_id: str
    prompt: str
    granted: int
    weight: int
    started: int | None = None
    finished: int | None = None
    ended: int = 0
    how: str = OPEN


@dataclass(slots=True)
class Picture:
    """One wish for one picture, from the prompt to its end."""

    task_id: str
    prompt: str
    detected: int
    settled: int = 0
    state: str = OPEN
    reason: str | None = None
    phases: list[Phase] = field(default_factory=list)
    slot: Slot | None = None
    _kind: str | None = None
    _since: int = 0

    def begin(self, kind: str, t: int) -> None:
        """Begin a phase; one that is under way ends. What comes after it was settled is no part."""
        if self.state != OPEN:
            return
        self.end(t, "ended")
        self._kind = kind
        self._since = max(t, self.phases[-1].end if self.phases else self.detected)

    def end(self, t: int, how: str, reason: str | None = None) -> None:
        """End the phase that is under way, if one is."""
        if self._kind is not None:
            self.phases.append(Phase(self._kind, self._since, max(t, self._since), how, reason))
            if self._kind == "generating" and self.slot is not None:
                self.slot.finished = t
        self._kind = None

    def settle(self, t: int, state: str, reason: str | None = None) -> None:
        """Settle it; what was under way ends."""
        self.end(t, state)
        self.settled = max(t, self.phases[-1].end if self.phases else self.detected)
        self.state, self.reason = state, reason


@dataclass(slots=True)
class Session:
    """One message's session, with its pictures by task."""

    run: int
    id: str
    message_id: str
    owner: str | None
    opened: int
    sealed: int | None = None
    sealed_as: str | None = None
    written: int | None = None
    """When its text was written, or its write was skipped."""
    ended: int = 0
    outcome: str = OPEN
    reason: str | None = None
    pictures: dict[str, Picture] = field(default_factory=dict)

    def end(self, t: int, outcome: str, reason: str | None = None) -> None:
        """End it; its times are in order then, though many clock readings made them."""
        self.outcome, self.reason = outcome, reason
        for picture in self.pictures.values():
            if picture.state == OPEN:
                picture.settle(t, OPEN)
        times = [t, self.opened, self.sealed or 0, self.written or 0]
        self.ended = max(times + [picture.settled for picture in self.pictures.values()])

    @property
    def phases(self) -> Iterator[Phase]:
        """Its own parts, one after the other: it streams, awaits its pictures, is written."""
        sealed = self.ended if self.sealed is None else max(self.opened, self.sealed)
        yield Phase("streaming", self.opened, sealed, self.sealed_as or self.outcome, None)
        settled = max([sealed, *(one.settled for one in self.pictures.values())])
        if sealed < settled:
            yield Phase("settling", sealed, settled, self.outcome, None)
        # a write that failed is told by the session's end alone
        written = self.ended if self.written is None else max(settled, self.written)
        if self.sealed is not None and settled < written:
            yield Phase("writing", settled, written, self.outcome, None)


class Level(NamedTuple):
    """How many slots of a lane are out, by weight, and how many requests wait, from a time on."""

    run: int
    lane: str
    t: int
    out: int
    waiting: int
    limit: int


@dataclass(slots=True)
class _Lane:
    limit: int
    last: int
    weight: int = 0
    waiting: set[str] = field(default_factory=set)
    out: dict[str, Slot] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    numbers: int = 0


class Spans:
    """What lasted in a log, each given when it has ended. To be iterated once.

    Args:
        events: of the log, in its order.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self.runs = 0
        self.passed = 0
        """Events that said too little to be used."""
        self.last = 0
        """The last time that was seen."""
        self.began: str | None = None
        """The wall time of time 0."""
        self._events = events
        self._sessions: dict[str, Session] = {}
        self._lanes: dict[str, _Lane] = {}
        self._offset = 0
        self._before = 0  # when the run before was over, by the log's time
        self._wall: float | None = None
        self._take: dict[str, Callable[[Event, int], Iterator[Session | Slot | Level] | None]] = {
            "lane_opened": self._lane_set,
            "lane_updated": self._lane_set,
            "session_opened": self._session_opened,
            "session_sealed": self._session_sealed,
            "session_ended": self._session_ended,
            "text_written": self._text_written,
            "write_skipped": self._text_written,
            "prompt_detected": self._prompt_detected,
            "task_settled": self._task_settled,
            "slot_requested": self._slot_requested,
            "slot_granted": self._slot_granted,
            "slot_released": self._slot_ended,
            "slot_revoked": self._slot_ended,
            "slot_expired": self._slot_ended,
            "request_dropped": self._request_ended,
            "request_withdrawn": self._request_ended,
            "generation_started": self._generation_started,
            "generation_completed": self._generation_ended,
            "generation_failed": self._generation_ended,
            "call_abandoned": self._generation_ended,
            "generation_retried": self._generation_retried,
        }

    def __iter__(self) -> Iterator[Session | Slot | Level]:
        """Go through the log."""
        for event in self._events:
            try:
                t = _time(event)
                if self.runs == 0 or opens_run(event):
                    yield from self._end_run()
                    self._begin_run(event, t)
                t = max(t + self._offset, self._before)
                self.last = max(self.last, t)
                take = self._take.get(event["event"])
                if take is not None and (spans := take(event, t)) is not None:
                    yield from spans
            except Unreadable:
                self.passed += 1
        yield from self._end_run()

    def _begin_run(self, event: Event, t: int) -> None:
        self.runs += 1
        self._before = self.last
        wall = _wall(event)
        if self._wall is None and wall is not None:
            self._wall = wall - t
            self.began = _text(event, "at")
        if self.runs > 1:
            self._offset = self.last + APART - t
            if wall is not None and self._wall is not None:
                offset = round(wall - t - self._wall)
                if self.last <= offset + t <= self.last + FURTHEST:
                    self._offset = offset

    def _end_run(self) -> Iterator[Session | Slot | Level]:
        for session in self._sessions.values():
            session.end(self.last, OPEN)
            yield session
        for name, lane in self._lanes.items():
            for slot in lane.out.values():
                slot.ended = max(self.last, slot.granted)
                yield slot
            yield Level(self.runs, name, max(self.last, lane.last), 0, 0, 0)
        self._sessions.clear()
        self._lanes.clear()

    def _session(self, event: Event) -> Session | None:
        return self._sessions.get(_need(event, "session_id"))

    def _picture(self, event: Event) -> Picture | None:
        session = self._session(event)
        return None if session is None else session.pictures.get(_need(event, "task_id"))

    def _lane(self, event: Event, t: int) -> tuple[str, _Lane, int]:
        name = bounded(_need(event, "lane"))
        lane = self._lanes.setdefault(name, _Lane(limit=0, last=t))
        lane.last = max(lane.last, t)
        return name, lane, lane.last

    def _level(self, name: str, lane: _Lane) -> Level:
        return Level(self.runs, name, lane.last, lane.weight, len(lane.waiting), lane.limit)

    def _lane_set(self, event: Event, t: int) -> Iterator[Level]:
        limit = _number(event, "max_concurrent")
        name, lane, _ = self._lane(event, t)
        lane.limit = limit
        yield self._level(name, lane)

    def _session_opened(self, event: Event, t: int) -> Iterator[Session]:
        session_id, message_id = _need(event, "session_id"), _need(event, "message_id")
        if (before := self._sessions.pop(session_id, None)) is not None:
            before.end(t, OPEN)
            yield before
        owner = _text(event, "owner")
        self._sessions[session_id] = Session(self.runs, session_id, message_id, owner, t)

    def _session_sealed(self, event: Event, t: int) -> None:
        if (session := self._session(event)) is not None:
            session.sealed, session.sealed_as = t, _text(event, "reason")

    def _text_written(self, event: Event, t: int) -> None:
        if (session := self._session(event)) is not None:
            session.written = t

    def _session_ended(self, event: Event, t: int) -> Iterator[Session]:
        outcome = bounded(_need(event, "outcome"))
        session = self._sessions.pop(_need(event, "session_id"), None)
        if session is not None:
            session.end(t, outcome, _text(event, "reason"))
            yield session

    def _prompt_detected(self, event: Event, t: int) -> None:
        task_id, prompt = _need(event, "task_id"), bounded(_need(event, "prompt"))
        if (session := self._session(event)) is not None and task_id not in session.pictures:
            session.pictures[task_id] = Picture(task_id, prompt, max(t, session.opened))

    def _task_settled(self, event: Event, t: int) -> None:
        state = bounded(_need(event, "state"))
        if (picture := self._picture(event)) is not None:
            picture.settle(t, state, _text(event, "reason"))

    def _slot_requested(self, event: Event, t: int) -> Iterator[Level]:
        request_id = _need(event, "request_id")
        name, lane, t = self._lane(event, t)
        lane.waiting.add(request_id)
        if "session_id" in event and (picture := self._picture(event)) is not None:
            picture.begin("waiting", t)
        yield self._level(name, lane)

    def _slot_granted(self, event: Event, t: int) -> Iterator[Slot | Level]:
        request_id, slot_id = _need(event, "request_id"), _need(event, "slot_id")
        weight = _number(event, "weight")
        name, lane, t = self._lane(event, t)
        lane.waiting.discard(request_id)
        if slot_id in lane.out:
            yield self._end_slot(lane, slot_id, t, OPEN)
        if lane.free:
            number = heappop(lane.free)
        else:
            number = lane.numbers = lane.numbers + 1
        message_id = _text(event, "message_id") or ""
        slot = Slot(self.runs, name, number, message_id, "", t, weight)
        lane.out[slot_id] = slot
        lane.weight += weight
        if "session_id" in event and (picture := self._picture(event)) is not None:
            picture.end(t, "granted")
            picture.slot, slot.prompt = slot, picture.prompt
        yield self._level(name, lane)

    def _slot_ended(self, event: Event, t: int) -> Iterator[Slot | Level]:
        slot_id = _need(event, "slot_id")
        name, lane, t = self._lane(event, t)
        if slot_id in lane.out:
            yield self._end_slot(lane, slot_id, t, event["event"].removeprefix("slot_"))
            yield self._level(name, lane)

    def _end_slot(self, lane: _Lane, slot_id: str, t: int, how: str) -> Slot:
        slot = lane.out.pop(slot_id)
        slot.ended, slot.how = t, how
        lane.weight -= slot.weight
        heappush(lane.free, slot.number)
        return slot

    def _request_ended(self, event: Event, t: int) -> Iterator[Level]:
        request_id = _need(event, "request_id")
        name, lane, t = self._lane(event, t)
        lane.waiting.discard(request_id)
        if "session_id" in event and (picture := self._picture(event)) is not None:
            how = event["event"].removeprefix("request_")
            picture.end(t, how, _text(event, "reason"))
        yield self._level(name, lane)

    def _generation_started(self, event: Event, t: int) -> None:
        if (picture := self._picture(event)) is not None:
            picture.begin("generating", t)
            if picture.slot is not None:
                picture.slot.started = t

    def _generation_ended(self, event: Event, t: int) -> None:
        if (picture := self._picture(event)) is not None:
            picture.end(t, event["event"].rpartition("_")[2], _text(event, "reason"))

    def _generation_retried(self, event: Event, t: int) -> None:
        if (picture := self._picture(event)) is not None:
            picture.begin("pausing", t)


def _time(event: Event) -> int:
    t = event.get("t")
    if isinstance(t, bool) or not isinstance(t, int | float) or not 0 <= t <= LONGEST:
        raise Unreadable
    if not isinstance(event.get("event"), str):
        raise Unreadable
    return micros(event)


def _wall(event: Event) -> float | None:
    """Give the wall time of an event in microseconds since 1970, if it tells one."""
    try:
        at = datetime.fromisoformat(_need(event, "at"))
    except (Unreadable, ValueError):
        return None
    return (at.replace(tzinfo=at.tzinfo or UTC) - EPOCH) / timedelta(microseconds=1)


def _need(event: Event, key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str):
        raise Unreadable
    return value


def _text(event: Event, key: str) -> str | None:
    value = event.get(key)
    return bounded(value) if isinstance(value, str) else None


def bounded(text: str) -> str:
    """Give as much of a text as is kept, as UTF-8 can carry it."""
    return wellformed(text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…")


def _number(event: Event, key: str) -> int:
    value = event.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise Unreadable
    return value
