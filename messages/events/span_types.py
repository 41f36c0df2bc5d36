"""What lasted in a log: a session with its pictures, a slot, a level of a lane, a halt of it.

A trace and a page are made from the same spans. Times are in microseconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from limner.messages.unicode import wellformed

MAX_TEXT = 200
"""Characters that are kept of a text."""
OPEN = "open"
"""The outcome, state or end of what was open when its run ended."""


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
    """A slot that was out."""

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
    """A task: one request for one picture, from the prompt to its end."""

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
        """Start a phase and end the one under way; ignored once the picture is settled."""
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
        """Settle the picture; a phase that is under way ends."""
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
        """End the session; its times are in order then, though several clocks were read."""
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
        settled = max([sealed, *(picture.settled for picture in self.pictures.values())])
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
    limit: int | None
    """Slots that may be out, by weight; `None` for any."""


class Halt(NamedTuple):
    """A time in which a lane granted nothing: it was `paused`, or its circuit open (`resting`)."""

    run: int
    lane: str
    start: int
    end: int
    why: str


Span = Session | Slot | Level | Halt


def bounded(text: str) -> str:
    """Return the part of a text that is kept, as UTF-8 can carry it."""
    return wellformed(text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…")
