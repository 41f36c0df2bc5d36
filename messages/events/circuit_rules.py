"""The audit of circuit breakers: I14."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from limner.messages.events.findings import Violations, is_name, show
from limner.messages.events.record import Record, micros


@dataclass(slots=True)
class Circuit:
    """The circuit of a lane, as the log tells of it.

    Args:
        patience: probes in a row that may fail, with the last one; `None` for any number.
        half_open: whether a probe is under way.
        failed_probes: in a row.
        gave_up: when the last of too many has failed, and the number of that event.
    """

    patience: int | None = None
    half_open: bool = False
    failed_probes: int = 0
    gave_up: tuple[int, int] | None = None


class CircuitRules:
    """I14: nothing is granted that waited while too many probes in a row failed.

    Where events are missing, nothing is known of the circuits any more.
    """

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.circuits: dict[str, Circuit] = {}
        self.waiting: dict[str, int] = {}
        self.checks: dict[str, Callable[[Record, int], None]] = {
            "lane_opened": self.lane_set,
            "lane_updated": self.lane_set,
            "circuit_open": self.circuit_open,
            "circuit_half_open": self.circuit_half_open,
            "circuit_closed": self.circuit_closed,
            "slot_requested": self.slot_requested,
            "slot_granted": self.slot_granted,
            "request_dropped": self.request_ended,
            "request_withdrawn": self.request_ended,
        }

    def assume_missing(self) -> None:
        """Assume that events may be missing up to now."""
        self.circuits.clear()
        self.waiting.clear()

    def lane_set(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Remember the patience that is in force; it begins anew with each change."""
        lane, patience = event.get("lane"), event.get("circuit_patience")
        if is_name(lane):
            known = type(patience) is int and patience > 0
            self.circuits[lane] = Circuit(patience if known else None)

    def circuit_open(self, event: Record, seq: int) -> None:
        """Count a probe that has failed."""
        circuit = self.circuits.get(str(event.get("lane")))
        if circuit is None:
            return
        circuit.failed_probes += circuit.half_open
        circuit.half_open = False
        if circuit.patience is not None and circuit.failed_probes >= circuit.patience:
            circuit.gave_up = micros(event), seq

    def circuit_half_open(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Remember that a probe goes."""
        circuit = self.circuits.get(str(event.get("lane")))
        if circuit is not None:
            circuit.half_open = True

    def circuit_closed(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Forget the probes that have failed."""
        circuit = self.circuits.get(str(event.get("lane")))
        if circuit is not None:
            circuit.half_open, circuit.failed_probes, circuit.gave_up = False, 0, None

    def slot_requested(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Remember since when a request waits."""
        name = event.get("request_id")
        if is_name(name):
            self.waiting[name] = micros(event)

    def slot_granted(self, event: Record, seq: int) -> None:
        """Check that a request had not waited in vain."""
        name = event.get("request_id")
        if not is_name(name):
            return
        since = self.waiting.pop(name, None)
        circuit = self.circuits.get(str(event.get("lane")))
        if since is None or circuit is None or circuit.gave_up is None:
            return
        gave_up, at = circuit.gave_up
        if since < gave_up:
            what = f"request {show(name)} is granted, though it waited when its circuit gave up"
            self.violations.add("I14", what, at, seq)

    def request_ended(self, event: Record, seq: int) -> None:  # noqa: ARG002
        """Forget a request that waits no longer."""
        name = event.get("request_id")
        if is_name(name):
            self.waiting.pop(name, None)
