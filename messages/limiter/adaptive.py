"""A limit of concurrent calls that follows what the back end can bear. No clock.

*Additive increase, multiplicative decrease* (AIMD), as TCP shares a line (Chiu and Jain, 1989;
RFC 5681) and as Netflix's `concurrency-limits` bounds calls. The rule, for a limit L:

- Calls that succeed are taken in *rounds* of L, at least `ROUND`. A round in which the lane was
  full adds `increase` to L. While the lane is not full, L stays: nothing shows that more would go
  well. Until L has fallen once, such a round doubles it.
- A call that was too much for the back end multiplies L by `decrease` at once. Too much is: a
  status 429, 503 or 529, an error with a `retry_after`, or a time-out. Calls that were granted
  before L fell last do not count any more, as they tell of the L before.
- Latency, as in TCP Vegas (Brakmo and Peterson, 1995): a round that took longer on average than
  `latency` times the baseline multiplies L by `latency * baseline / average`, at least `HALF`, so
  that the next is about short enough. One that took longer than `NEAR` of the way there leaves L as
  it is, so that L comes to rest. The baseline is the average of the first round. It follows faster
  rounds by `LEARNING` of the difference, and slower ones only while the lane is not full or L is at
  its minimum, where there is no queue of ours in the back end.
- L is kept from `minimum` to `maximum`. The lane grants up to L rounded down.

An example, with a back end that bears 4 calls, `increase=1` and `decrease=0.9`. L is 4.5, so that
4 go. Twenty succeed, and L is 5.5. A fifth call goes and is answered with 429. L falls to 4.95, so
that 4 go. The limit is 4 or 5 for ever after, and a call in twenty or so is refused.
"""

from pydantic import Field, ValidationInfo, field_validator

from limner.messages.base import Value

LEARNING = 0.1
"""The share of a round in the baseline of how long calls take."""

ROUND = 20
"""Calls of a round, at least."""

NEAR = 0.7
"""The part of the way from the baseline to the longest time allowed, past which L does not grow."""

HALF = 0.5
"""What a slow round leaves of the limit, at least."""


class Adaptive(Value):
    """Bounds and speed of a limit that adapts; `max_concurrent="adaptive"` has the defaults."""

    minimum: int = Field(default=1, ge=1, le=1_000_000)
    """The summed weight that may always be out; no request of the lane may weigh more."""

    maximum: int = Field(default=100, ge=1, le=1_000_000)
    """The summed weight that may ever be out."""

    start: int = Field(default=4, ge=1, le=1_000_000)
    """The limit at first, put between minimum and maximum."""

    increase: float = Field(default=1.0, gt=0, le=100, allow_inf_nan=False)
    """What is added while as many calls succeed as the limit allows."""

    decrease: float = Field(default=0.9, ge=0.1, le=0.99, allow_inf_nan=False)
    """What the limit is multiplied by when the back end has too much to do."""

    latency: float | None = Field(default=2.0, gt=1, le=100, allow_inf_nan=False)
    """How many times the usual time calls may take before that counts as too much; `None` for any.
    """

    @field_validator("maximum")
    @classmethod
    def _in_order(cls, maximum: int, info: ValidationInfo) -> int:
        minimum = info.data.get("minimum", 1)
        if maximum < minimum:
            raise ValueError(f"the maximum is {minimum} or more, as the minimum is")
        return maximum


class AdaptiveLimit:
    """The limit of one lane. It is mutable; its lane owns it.

    Args:
        rule: its bounds and speed.
        start: the limit at first; by default that of the rule.

    Attributes:
        value: the limit, not rounded.
        baseline: microseconds that calls usually take; `None` before the first round.
    """

    __slots__ = (
        "_calls",
        "_fallen",
        "_last",
        "_round",
        "_took",
        "_was_full",
        "baseline",
        "rule",
        "value",
    )

    def __init__(self, rule: Adaptive, start: int | None = None) -> None:
        self.rule = rule
        self.value = float(rule.start if start is None else start)
        self.baseline: float | None = None
        self._fallen = False
        self._last = 0
        self._was_full = False
        self.change(rule)
        self._begin_round()

    @property
    def first(self) -> int:
        """The limit that a new lane begins with."""
        return min(self.rule.maximum, max(self.rule.minimum, self.rule.start))

    @property
    def limit(self) -> int:
        """The summed weight that may be out."""
        return int(self.value)

    def change(self, rule: Adaptive) -> None:
        """Apply another rule; the limit stays as it is, within the bounds."""
        self.rule = rule
        self.value = min(float(rule.maximum), max(float(rule.minimum), self.value))

    def succeeded(self, number: int, last: int, took: int, *, full: bool) -> None:
        """Record a call that went well.

        Args:
            number: of the call in its lane.
            last: the number of the call that was granted last.
            took: microseconds from its grant to its end.
            full: whether the lane could grant no more, this one counted.
        """
        if number <= self._last:
            return
        self._calls += 1
        self._took += took
        self._was_full = self._was_full or full
        if self._calls >= self._round:
            self._end_round(last)

    def overloaded(self, number: int, last: int) -> None:
        """Record a call that was too much for the back end.

        Args:
            number: of the call in its lane.
            last: the number of the call that was granted last.
        """
        if number > self._last:
            self._fall(self.rule.decrease, last)

    def _fall(self, factor: float, last: int) -> None:
        self._fallen = True
        self._last = last
        self.value = max(float(self.rule.minimum), self.value * factor)
        self._begin_round()

    def _begin_round(self) -> None:
        self._round = max(ROUND, self.limit)
        self._calls = self._took = 0
        self._was_full = False

    def _end_round(self, last: int) -> None:
        """Move the limit by how a round went."""
        rule, full = self.rule, self._was_full
        average = self._took / self._calls
        grows = full
        if rule.latency is not None:
            before = self.baseline = average if self.baseline is None else self.baseline
            if average < before or not full or self.value <= rule.minimum:
                self.baseline += LEARNING * (average - before)
            if average > rule.latency * before:
                self._fall(max(HALF, rule.latency * before / average), last)
                return
            grows = full and average <= before * (1 + NEAR * (rule.latency - 1))
        if grows:
            more = rule.increase if self._fallen else max(rule.increase, self.value)
            self.value = min(float(rule.maximum), self.value + more)
        self._begin_round()
