"""What a summary measures with: distributions, the slowest few, the use of a lane."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from limner.messages.events.halts import Halts
from limner.messages.events.record import Record
from limner.messages.unicode import shown

NAMED = 5
"""Of the slowest and the failed, how many are named."""

KINDS = 30
"""Different outcomes, states and reasons that are told apart; the rest are counted together."""

MAX_NAME = 1_000
"""Characters of an id or a name that are looked at."""

OTHERS = "others"

STEP = math.log(1.02)


class Times:
    """A distribution of durations, in microseconds; a percentile is within 1 %."""

    def __init__(self) -> None:
        self.number = 0
        self.max = 0
        self._buckets: Counter[int] = Counter()

    def add(self, duration: int) -> None:
        """Add a duration; one below 0 counts as 0, since clocks of threads may differ a little."""
        self.number += 1
        self.max = max(self.max, duration)
        self._buckets[int(math.log(duration) / STEP) if duration > 0 else -1] += 1

    def percentile(self, share: float) -> float:
        """Return the seconds that `share`, 0 to 1, of them took at most; 0 if there are none."""
        rank = max(1, math.ceil(share * self.number))
        if rank >= self.number:
            return self.max / 1_000_000
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                middle = math.exp((bucket + 0.5) * STEP) if bucket >= 0 else 0
                return min(middle, self.max) / 1_000_000
        return 0.0

    def values(self) -> dict[str, float]:
        """Return the number of durations, and p50, p95, p99 and max in seconds."""
        shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        found = {name: self.percentile(share) for name, share in shares.items()}
        return {"number": self.number, **found, "max": self.max / 1_000_000}


class Slowest:
    """The few that took longest."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._number = 0

    def add(self, duration: int, *names: str) -> None:
        """Add a duration, with the names that it is shown by; one below 0 counts as 0."""
        duration = max(0, duration)
        if len(self._heap) < NAMED or duration > self._heap[0][0]:
            self._number += 1
            one = (duration, -self._number, "  ".join(shown(name, 48) for name in names))
            push = heapq.heappush if len(self._heap) < NAMED else heapq.heappushpop
            push(self._heap, one)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter([(took, name) for took, _, name in sorted(self._heap, reverse=True)])


class LaneUse:
    """How much of a lane was out over time, against its limit, while there was the lane."""

    def __init__(self, now: int) -> None:
        self.out = 0
        self.peak = 0
        self.limit: int | None = None
        self._least, self._most = math.inf, -math.inf
        self.there = True
        self.halts = Halts()
        self._now = now
        self._halted = 0
        self._spent = 0
        self._used = 0
        self._allowed = 0

    def pass_to(self, now: int) -> None:
        """Add the time up to now to the averages."""
        took = now - self._now
        if took > 0:
            self._now = now
            if not self.there:
                return
            self._spent += took
            self._used += self.out * took
            self._allowed += (self.out if self.limit is None else self.limit) * took

    def restart(self, now: int) -> None:
        """Start with nothing out, for another run, whose clock begins anew."""
        self.leave(self._now)
        self.out, self._now = 0, now

    def leave(self, now: int) -> None:
        """Record that the lane is dropped, until it is opened again."""
        self.pass_to(now)
        self._halted += self.halts.spent(now)
        self.there, self.halts = False, Halts()

    def set_limit(self, limit: int | None) -> None:
        """Set how much may be out from now on; `None` for any."""
        self.limit = limit
        bound = math.inf if limit is None else limit
        self._least, self._most = min(self._least, bound), max(self._most, bound)

    @property
    def limits(self) -> str:
        """The limit in words, or the lowest and the highest, if it has changed."""
        if self._least == self._most:
            return _bound(self._least)
        if self._least < self._most:
            return f"{_bound(self._least)} to {_bound(self._most)}"
        return "none" if self.limit is None else _bound(self.limit)

    def change(self, weight: int) -> None:
        """Add a granted weight, or subtract a released one, which is negative."""
        self.there = self.there or weight > 0
        self.out = max(0, self.out + weight)
        self.peak = max(self.peak, self.out)

    @property
    def halted(self) -> int:
        """For how many microseconds it was paused, or left its back end alone."""
        return self._halted + self.halts.spent(self._now)

    @property
    def state(self) -> str:
        """How it is now in a word, if not as usual."""
        return self.halts.why(self._now)

    @property
    def mean(self) -> float:
        """How much was out, averaged over time."""
        return self._used / self._spent if self._spent else 0.0

    @property
    def share(self) -> float | None:
        """How much of what the limit allowed was out, 0 to 1; `None` for no time or no limit."""
        limited = self.limit is not None and self._allowed
        return self._used / self._allowed if limited else None


@dataclass(slots=True)
class Open:
    """What is under way in the run that is read: when it began, by name."""

    sessions: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, set[str]] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    sealed: dict[str, int] = field(default_factory=dict)

    def counts(self) -> Counter[str]:
        """Return how many sessions and tasks are open."""
        return Counter(
            sessions=len(self.sessions),
            tasks=sum(map(len, self.tasks.values())),
        )


def text(event: Record, field: str) -> str:
    """Return a field that is a text; an empty text if it is none."""
    value = event.get(field)
    return value[:MAX_NAME] if isinstance(value, str) else ""


def count(counter: Counter[str], name: str, kinds: int = KINDS, *, number: int = 1) -> None:
    """Add to a counter that has at most `kinds` names; further names count as `others`."""
    counter[name if name in counter or len(counter) < kinds else OTHERS] += number


def span(micros: float) -> str:
    """Return a duration in words, from microseconds."""
    if micros < 999_500:  # which has three digits in either unit
        return f"{micros / 1_000:.3g} ms"
    seconds = micros / 1_000_000
    if seconds < 59.995:
        return f"{seconds:.2f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def _bound(limit: float) -> str:
    return "none" if limit == math.inf else f"{limit:,.0f}"
