"""The log as spans: what lasted, folded from its events. Held are those that are open, no more.

A request that is offered upstream counts in that lane alone: a picture waits as long as
its own request does, and is generated in its own slot.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

from limner.messages.events.halts import Halts
from limner.messages.events.record import Record, micros, opens_run, stands_for
from limner.messages.events.span_types import (
    OPEN,
    Halt,
    Level,
    Picture,
    Session,
    Slot,
    Span,
    bounded,
)

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


class Unreadable(Exception):
    """An event lacks a field, or has one that is not what it should be."""


@dataclass(slots=True)
class _Lane:
    limit: int | None
    last: int
    halts: Halts = field(default_factory=Halts)
    halted: tuple[int, str] | None = None
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

    def __init__(self, events: Iterable[Record]) -> None:
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
        self._take: dict[str, Callable[[Record, int], Iterator[Span] | None]] = {
            "lane_opened": self._lane_set,
            "lane_updated": self._lane_set,
            "limit_changed": self._lane_set,
            "lane_dropped": self._lane_dropped,
            "lane_paused": self._lane_told,
            "lane_resumed": self._lane_told,
            "circuit_open": self._lane_told,
            "circuit_half_open": self._lane_told,
            "circuit_closed": self._lane_told,
            "session_opened": self._session_opened,
            "session_sealed": self._session_sealed,
            "session_ended": self._session_ended,
            "text_written": self._text_written,
            "write_skipped": self._text_written,
            "prompt_detected": self._prompt_detected,
            "picture_wanted": self._prompt_detected,
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
            "keep_failed": self._generation_ended,
            "call_abandoned": self._generation_ended,
            "generation_retried": self._generation_retried,
        }

    def __iter__(self) -> Iterator[Span]:
        """Yield the spans of the log."""
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

    def _begin_run(self, event: Record, t: int) -> None:
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

    def _end_run(self) -> Iterator[Span]:
        for session in self._sessions.values():
            session.end(self.last, OPEN)
            yield session
        for name, lane in self._lanes.items():
            lane.last = max(self.last, lane.last)
            for slot in lane.out.values():
                slot.ended = max(lane.last, slot.granted)
                yield slot
            yield from self._end_lane(name, lane)
        self._sessions.clear()
        self._lanes.clear()

    def _end_lane(self, name: str, lane: _Lane) -> Iterator[Halt | Level]:
        yield from self._end_halt(name, lane, lane.last)
        yield Level(self.runs, name, lane.last, 0, 0, 0)

    def _session(self, event: Record) -> Session | None:
        return self._sessions.get(_need(event, "session_id"))

    def _picture(self, event: Record) -> Picture | None:
        session = self._session(event)
        return None if session is None else session.pictures.get(_need(event, "task_id"))

    def _lane(self, event: Record, t: int) -> tuple[str, _Lane, int]:
        name = bounded(_need(event, "lane"))
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(limit=0, last=t)
        lane.last = max(lane.last, t)
        return name, lane, lane.last

    def _level(self, name: str, lane: _Lane) -> Level:
        return Level(self.runs, name, lane.last, lane.weight, len(lane.waiting), lane.limit)

    def _lane_set(self, event: Record, t: int) -> Iterator[Halt | Level]:
        limit = None
        if event.get("max_concurrent", 0) is not None:
            limit = _number(event, "max_concurrent")
        name, lane, _ = self._lane(event, t)
        lane.limit = limit
        yield from self._lane_told(event, t)
        yield self._level(name, lane)

    def _lane_told(self, event: Record, t: int) -> Iterator[Halt]:
        name, lane, t = self._lane(event, t)
        ends = lane.halts.until(lane.halted[0]) if lane.halted is not None else t
        lane.halts.take(event, t)
        why = lane.halts.why(t) if lane.halts.until(t) > t else None
        if lane.halted is not None and (why != lane.halted[1] or ends < t):
            yield Halt(self.runs, name, lane.halted[0], int(min(t, ends)), lane.halted[1])
            lane.halted = None
        if lane.halted is None and why is not None:
            lane.halted = (t, why)

    def _end_halt(self, name: str, lane: _Lane, t: int) -> Iterator[Halt]:
        if lane.halted is not None:
            start, why = lane.halted
            lane.halted = None
            yield Halt(self.runs, name, start, int(min(t, lane.halts.until(start))), why)

    def _lane_dropped(self, event: Record, t: int) -> Iterator[Halt | Level]:
        name, lane, _ = self._lane(event, t)
        if not lane.out:
            yield from self._end_lane(name, lane)
            del self._lanes[name]

    def _session_opened(self, event: Record, t: int) -> Iterator[Session]:
        session_id, message_id = _need(event, "session_id"), _need(event, "message_id")
        if (before := self._sessions.pop(session_id, None)) is not None:
            before.end(t, OPEN)
            yield before
        owner = _text(event, "owner")
        self._sessions[session_id] = Session(self.runs, session_id, message_id, owner, t)

    def _session_sealed(self, event: Record, t: int) -> None:
        if (session := self._session(event)) is not None:
            session.sealed, session.sealed_as = t, _text(event, "reason")

    def _text_written(self, event: Record, t: int) -> None:
        if (session := self._session(event)) is not None:
            session.written = t

    def _session_ended(self, event: Record, t: int) -> Iterator[Session]:
        outcome = bounded(_need(event, "outcome"))
        session = self._sessions.pop(_need(event, "session_id"), None)
        if session is not None:
            session.end(t, outcome, _text(event, "reason"))
            yield session

    def _prompt_detected(self, event: Record, t: int) -> None:
        task_id, prompt = _need(event, "task_id"), bounded(_need(event, "prompt"))
        if (session := self._session(event)) is not None and task_id not in session.pictures:
            session.pictures[task_id] = Picture(task_id, prompt, max(t, session.opened))

    def _task_settled(self, event: Record, t: int) -> None:
        state = bounded(_need(event, "state"))
        if (picture := self._picture(event)) is not None:
            picture.settle(t, state, _text(event, "reason"))

    def _slot_requested(self, event: Record, t: int) -> Iterator[Level]:
        request_id = _need(event, "request_id")
        name, lane, t = self._lane(event, t)
        lane.waiting.add(request_id)
        if (picture := self._own_picture(event)) is not None:
            picture.begin("waiting", t)
        yield self._level(name, lane)

    def _own_picture(self, event: Record) -> Picture | None:
        """Return the picture of a request in its own lane; none for a request upstream."""
        if "session_id" not in event or stands_for(event) is not None:
            return None
        return self._picture(event)

    def _slot_granted(self, event: Record, t: int) -> Iterator[Slot | Level]:
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
        if "session_id" not in event:
            slot.prompt = _call(event)
        elif (picture := self._picture(event)) is not None:
            slot.prompt = picture.prompt
            if stands_for(event) is None:
                picture.end(t, "granted")
                picture.slot = slot
        yield self._level(name, lane)

    def _slot_ended(self, event: Record, t: int) -> Iterator[Slot | Level]:
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

    def _request_ended(self, event: Record, t: int) -> Iterator[Level]:
        request_id = _need(event, "request_id")
        name, lane, t = self._lane(event, t)
        lane.waiting.discard(request_id)
        if (picture := self._own_picture(event)) is not None:
            how = event["event"].removeprefix("request_")
            picture.end(t, how, _text(event, "reason"))
        yield self._level(name, lane)

    def _generation_started(self, event: Record, t: int) -> None:
        if (picture := self._picture(event)) is not None:
            picture.begin("generating", t)
            if picture.slot is not None:
                picture.slot.started = t

    def _generation_ended(self, event: Record, t: int) -> None:
        if (picture := self._picture(event)) is not None:
            picture.end(t, event["event"].rpartition("_")[2], _text(event, "reason"))

    def _generation_retried(self, event: Record, t: int) -> None:
        if (picture := self._picture(event)) is not None:
            picture.begin("pausing", t)


def _time(event: Record) -> int:
    t = event.get("t")
    if isinstance(t, bool) or not isinstance(t, int | float) or not 0 <= t <= LONGEST:
        raise Unreadable
    if not isinstance(event.get("event"), str):
        raise Unreadable
    return micros(event)


def _wall(event: Record) -> float | None:
    """Return the wall time of an event in microseconds since 1970, if it has one."""
    try:
        at = datetime.fromisoformat(_need(event, "at"))
    except (Unreadable, ValueError):
        return None
    return (at.replace(tzinfo=at.tzinfo or UTC) - EPOCH) / timedelta(microseconds=1)


def _need(event: Record, key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str):
        raise Unreadable
    return value


def _text(event: Record, key: str) -> str | None:
    value = event.get(key)
    return bounded(value) if isinstance(value, str) else None


def _call(event: Record) -> str:
    """Return the name of a host's own call, or of a batch of calls."""
    requests = event.get("requests")
    name = _text(event, "task_id") or ""
    return f"{name}, a batch of {len(requests):,}" if isinstance(requests, list) else name


def _number(event: Record, key: str) -> int:
    value = event.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
        raise Unreadable
    return value
