"""Reconciling that comes by itself, a while after each write."""

from __future__ import annotations

from functools import partial
from typing import Any

from limner.actors.system import PooledRef, System, Timer
from limner.messages.settings import Settings
from limner.messages.text.reconcile import reconcile
from limner.messages.writes.protocol import EditText, ReconcileDue


class Reconciler:
    """The timers of the reconciling that comes by itself, if that is set.

    A timer that runs is not set anew by another write, or a text that is written often would
    never be reconciled; the time since that write counts for the next timer.

    Args:
        settings: how long after a write; may be replaced.
        system: whose clock.
        reply_to: is told `ReconcileDue`.
    """

    def __init__(self, settings: Settings, system: System, reply_to: PooledRef[Any]) -> None:
        self.settings = settings
        self._system = system
        self._reply_to = reply_to
        self._timers: dict[str, Timer] = {}
        self._written_again: dict[str, int] = {}

    def text_written(self, message_id: str) -> None:
        """Start the timer of a message whose text was written."""
        after = self.settings.reconcile_after
        if after is None:
            return
        if message_id in self._timers:
            self._written_again[message_id] = self._system.clock.now
        else:
            self._start(message_id, after)

    def due(self, message_id: str) -> EditText | None:
        """Return the reconciling that is due; `None` if it is not wanted any more."""
        after = self.settings.reconcile_after
        if after is None or self._timers.pop(message_id, None) is None:
            return None
        since = self._written_again.pop(message_id, None)
        if since is not None:
            passed = (self._system.clock.now - since) / 1_000_000
            self._start(message_id, max(0.0, after - passed))
        return self.edit(message_id)

    def edit(self, message_id: str) -> EditText:
        """Return a reconciling that nobody waits for."""
        notation = self.settings.notation.but(clock=self._system.cpu_clock)
        change = partial(reconcile, message_id=message_id, notation=notation)
        return EditText(
            edit_id=self._system.new_id(),
            message_id=message_id,
            kind="reconcile",
            change=change,
            future=self._system.future(about=f"the reconciling of {message_id!r}"),
        )

    def stop(self) -> None:
        """Stop all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._written_again.clear()

    def _start(self, message_id: str, seconds: float) -> None:
        self._timers[message_id] = self._system.clock.after(
            seconds, self._reply_to, ReconcileDue(message_id=message_id)
        )
