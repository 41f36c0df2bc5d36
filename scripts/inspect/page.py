"""`limner inspect --html`: the log as one page, which needs no network and no server.

What the page shows is what `Spans` says lasted, kept in bounds: every session is counted, some
thousand are shown one by one. All that a user or a model wrote goes into the page as data, and
from there into the document as text, never as markup.
"""

import base64
import hashlib
import math
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterator
from heapq import heappush, heappushpop
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from limner.messages.events.span_types import OPEN, Halt, Level, Picture, Session, Span, bounded
from limner.messages.events.spans import Spans
from limner.scripts.inspect.reading import LogReader
from limner.scripts.inspect.trace import replacing
from limner.scripts.inspect.words import many

LATEST = 1_500
"""Sessions shown one by one because they ended last."""
SLOWEST = 500
"""Sessions shown because they took longest."""
TROUBLED = 500
"""Sessions shown because their text was not written, or lacks a picture; the last of them."""
MAX_PICTURES = 50
"""Pictures of one session that are shown one by one."""
MAX_PHASES = 12
"""Phases of one picture that are shown, the last of them."""
MAX_POINTS = 2_000
"""Steps that the use of a lane is shown in."""
MAX_LANES = 8
"""Lanes that are shown."""
MAX_HALTS = 1_000
"""Times in which one lane granted nothing that are shown, the last of them."""
MAX_NAMES = 12
"""Outcomes and states that are counted by name."""
BOUNDS = [step * 10**power for power in range(3, 11) for step in (1, 2, 5)]
"""The bounds of the histograms, in microseconds: from a millisecond to half a day."""
FINENESS = 1.01
"""The ratio of neighbouring durations that quantiles tell apart."""
BRIEF = 1_000
"""Microseconds that a request waits at least to be shown as waiting."""
MARK = "{{data}}"


class Durations:
    """Many durations, of which their distribution is kept."""

    def __init__(self) -> None:
        self.number = 0
        self.longest = 0
        self._fine: Counter[int] = Counter()
        self._bins = [0] * (len(BOUNDS) + 1)

    def add(self, duration: int) -> None:
        """Add a duration, in microseconds."""
        self.number += 1
        self.longest = max(self.longest, duration)
        self._fine[round(math.log(duration + 1, FINENESS))] += 1
        self._bins[bisect_right(BOUNDS, duration)] += 1

    def quantile(self, share: float) -> int:
        """Return the duration that this share of them does not exceed, within one hundredth."""
        left = math.ceil(share * self.number)
        for step in sorted(self._fine):
            left -= self._fine[step]
            if left <= 0:
                return min(self.longest, max(0, round(FINENESS**step) - 1))
        return 0

    def told(self) -> dict[str, Any]:
        """Return what the page shows of the durations."""
        used = [place for place, number in enumerate(self._bins) if number]
        bounds = [0, *BOUNDS, max(self.longest, BOUNDS[-1])]
        return {
            "number": self.number,
            "p50": self.quantile(0.5),
            "p95": self.quantile(0.95),
            "p99": self.quantile(0.99),
            "max": self.longest,
            "bins": [
                [bounds[place], bounds[place + 1], self._bins[place]]
                for place in (range(used[0], used[-1] + 1) if used else ())
            ],
        }


Step = tuple[int, int, int, int, int | None]


class Use:
    """How a lane was used over time, in a bounded number of steps.

    A step is `[start, slot time, most slots, most waiting, limit]`, of which the limit may be
    `None`; it is as short as the changes are, until there are too many. From then on, steps that
    are shorter than ever longer a time are merged. Time without a limit is offered as it is used.
    """

    def __init__(self) -> None:
        self.peak = 0
        self.busy = 0
        self.offered = 0
        self.halts: deque[tuple[int, int, str]] = deque(maxlen=MAX_HALTS)
        self._steps: list[Step] = []
        self._last = Level(0, "", 0, 0, 0, 0)
        self._shortest = 0
        self._briefly = (-BRIEF, 0)

    def change(self, level: Level) -> None:
        """Add a level; the one before it lasted until then."""
        self._until(level.t)
        # between levels that are brief, the fewest that waited did so for longer
        since, fewest = self._briefly
        if level.t - since < BRIEF:
            self._briefly = since, min(fewest, level.waiting)
        else:
            self._briefly = level.t, min(self._last.waiting, level.waiting)
        self._last = level
        self.peak = max(self.peak, level.out)

    def _until(self, t: int) -> None:
        level = self._last
        lasted = max(0, t - level.t)
        self.busy += level.out * lasted
        self.offered += (level.out if level.limit is None else level.limit) * lasted
        if not lasted and not self._steps:
            return
        waiting = level.waiting if lasted >= BRIEF else self._briefly[1]
        step = (level.t, level.out * lasted, level.out, waiting, level.limit)
        if self._steps and level.t - self._steps[-1][0] <= self._shortest:
            self._steps[-1] = merged(self._steps[-1], step)
        else:
            self._steps.append(step)
        if len(self._steps) >= 2 * MAX_POINTS:
            self._thin(t)

    def _thin(self, t: int) -> None:
        self._shortest = max(2 * self._shortest, (t - self._steps[0][0]) // MAX_POINTS)
        thin: list[Step] = []
        for step in self._steps:
            if thin and step[0] - thin[-1][0] < self._shortest:
                thin[-1] = merged(thin[-1], step)
            else:
                thin.append(step)
        self._steps = thin

    def told(self, name: str, last: int) -> dict[str, Any]:
        """Return what the page shows of the lane, up to the last time of the log."""
        self._until(last)
        ends = [*(step[0] for step in self._steps[1:]), last]
        limits = [limit for *_, limit in self._steps]
        return {
            "name": name,
            "peak": self.peak,
            "limit": None if None in limits else max((limit or 0 for limit in limits), default=0),
            "busy": self.busy,
            "offered": self.offered,
            "step": self._shortest,
            "halts": list(self.halts),
            "points": [
                [start, round(time / max(1, end - start), 3), *most]
                for (start, time, *most), end in zip(self._steps, ends, strict=True)
            ],
        }


def merged(one: Step, other: Step) -> Step:
    """Return one step for two that follow each other."""
    limits = one[4], other[4]
    limit = None if None in limits else max(limit or 0 for limit in limits)
    return one[0], one[1] + other[1], max(one[2], other[2]), max(one[3], other[3]), limit


class Digest:
    """What the page shows, in bounded memory however long the log is."""

    def __init__(self) -> None:
        self.sessions = 0
        self.outcomes: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.waits, self.generations, self.lengths = Durations(), Durations(), Durations()
        self.lanes: dict[str, Use] = {}
        self.lanes_left_out = False
        self._latest: deque[tuple[int, bytes]] = deque(maxlen=LATEST)
        self._troubled: deque[tuple[int, bytes]] = deque(maxlen=TROUBLED)
        self._slowest: list[tuple[int, int, bytes]] = []

    def take(self, span: Span) -> None:
        """Add the next span of the log."""
        match span:
            case Session():
                self._session(span)
            case Level() if span.lane in self.lanes or len(self.lanes) < MAX_LANES:
                self.lanes.setdefault(span.lane, Use()).change(span)
            case Level():
                self.lanes_left_out = True
            case Halt() if span.lane in self.lanes:
                self.lanes[span.lane].halts.append((span.start, span.end, span.why))

    def _session(self, session: Session) -> None:
        self.sessions += 1
        length = session.ended - session.opened
        self.lengths.add(length)
        count(self.outcomes, session.outcome)
        for picture in session.pictures.values():
            count(self.states, picture.state)
            for phase in picture.phases:
                if phase.kind == "generating":
                    count(self.attempts, phase.how)
                    self.generations.add(phase.end - phase.start)
                elif phase.kind == "waiting" and phase.how == "granted":
                    self.waits.add(phase.end - phase.start)
        row = orjson.dumps(told(session))
        self._latest.append((self.sessions, row))
        slow = (length, self.sessions, row)
        if len(self._slowest) < SLOWEST:
            heappush(self._slowest, slow)
        else:
            heappushpop(self._slowest, slow)
        states = {picture.state for picture in session.pictures.values()}
        if session.outcome != "written" or states - {"completed"}:
            self._troubled.append((self.sessions, row))

    @property
    def rows(self) -> list[bytes]:
        """The sessions that are shown, each as JSON, in the order in which they ended."""
        slowest = [(number, row) for _, number, row in self._slowest]
        return [row for _, row in sorted({*self._latest, *self._troubled, *slowest})]


def count(names: Counter[str], name: str) -> None:
    """Add one to the count of a name, or to `other` if there are too many names."""
    names[name if name in names or len(names) < MAX_NAMES else "other"] += 1


def told(session: Session) -> dict[str, Any]:
    """Return what the page shows of a session."""
    pictures = list(session.pictures.values())
    states = Counter(picture.state for picture in pictures)
    waits = [
        phase.end - phase.start
        for picture in pictures
        for phase in picture.phases
        if phase.kind == "waiting"
    ]
    return {
        "run": session.run,
        "id": bounded(session.message_id),
        "session": bounded(session.id),
        "owner": session.owner,
        "opened": session.opened,
        "ended": session.ended,
        "outcome": session.outcome,
        "reason": session.reason,
        "prompts": len(pictures),
        "completed": states["completed"],
        "failed": states["failed"],
        "waited": max(waits, default=0),
        "phases": [[phase.kind, phase.start, phase.end] for phase in session.phases],
        "pictures": [shown(picture) for picture in pictures[:MAX_PICTURES]],
    }


def shown(picture: Picture) -> list[Any]:
    """Return what the page shows of a picture."""
    return [
        picture.prompt,
        picture.detected,
        picture.settled,
        picture.state,
        picture.reason,
        [list(phase) for phase in picture.phases[-MAX_PHASES:]],
    ]


def embedded(data: bytes) -> bytes:
    """Return JSON as it may stand within `<script>`, whatever texts are in it."""
    for character in ("<", ">", "&", "\u2028", "\u2029"):
        data = data.replace(character.encode(), f"\\u{ord(character):04x}".encode())
    return data


def template() -> tuple[str, str]:
    """Return the page before and after its data, its style and script allowed by hash."""
    parts = files("limner.scripts.inspect")
    style = parts.joinpath("page.css").read_text("utf-8")
    script = parts.joinpath("page.js").read_text("utf-8")
    html = parts.joinpath("page.html").read_text("utf-8")
    for mark, text in (
        ("{{style-hash}}", sha256(style)),
        ("{{script-hash}}", sha256(script)),
        ("{{style}}", style),
        ("{{script}}", script),
    ):
        html = html.replace(mark, text)
    before, _, after = html.partition(MARK)
    return before, after


def sha256(text: str) -> str:
    """Return the hash by which a Content Security Policy names a text."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def write_page(reader: LogReader, path: Path) -> str:
    """Write a log as one HTML page that is complete in itself.

    Memory and page are bounded, however long the log is: sessions beyond some thousand are counted
    and not shown one by one, which the page says.

    Args:
        reader: of the log; not iterated yet.
        path: of the page, which is replaced when all of it is written.

    Returns:
        One line that says what was written, and what was left out.

    Raises:
        OSError: if the log cannot be read or the page cannot be written.
    """
    spans, digest = Spans(reader), Digest()
    for span in spans:
        digest.take(span)
    rows = digest.rows
    with replacing(path) as file:
        before, after = template()
        file.write(before.encode())
        for piece in pieces(reader, spans, digest, rows):
            file.write(embedded(piece))
        file.write(after.encode())
    parts = [many(digest.sessions, "session")]
    if spans.runs > 1:
        parts[0] += f" in {spans.runs:,} runs"
    if len(rows) < digest.sessions:
        parts.append(f"{len(rows):,} of them one by one, the rest counted")
    if digest.outcomes[OPEN]:
        parts.append(f"{many(digest.outcomes[OPEN], 'session')} open to the end")
    if spans.passed:
        parts.append(f"{many(spans.passed, 'unusable event')} left out")
    return "; ".join(parts)


def pieces(reader: LogReader, spans: Spans, digest: Digest, rows: list[bytes]) -> Iterator[bytes]:
    """Yield the page's data, as JSON in pieces."""
    whole = {
        "began": spans.began,
        "last": spans.last,
        "runs": spans.runs,
        "lines": reader.lines,
        "foreign": reader.foreign,
        "cut": reader.cut,
        "passed": spans.passed,
        "total": digest.sessions,
        "outcomes": dict(digest.outcomes.most_common()),
        "states": dict(digest.states.most_common()),
        "attempts": dict(digest.attempts.most_common()),
        "waits": digest.waits.told(),
        "generations": digest.generations.told(),
        "lengths": digest.lengths.told(),
        "lanes": [use.told(name, spans.last) for name, use in digest.lanes.items()],
        "lanesLeftOut": digest.lanes_left_out,
        "most": {
            "pictures": MAX_PICTURES,
            "latest": LATEST,
            "slowest": SLOWEST,
            "troubled": TROUBLED,
        },
    }
    yield orjson.dumps(whole)[:-1] + b',"sessions":['
    for number, row in enumerate(rows):
        yield (b",\n" if number else b"\n") + row
    yield b"]}"
