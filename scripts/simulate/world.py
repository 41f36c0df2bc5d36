"""The world of a simulation, which its hosts share."""

from __future__ import annotations

from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from limner.actors import CallFuture, Studio, System
from limner.actors.system import PooledFuture
from limner.messages.errors import StudioClosed
from limner.scripts.simulate.backend import Backend, FaultyStore
from limner.scripts.simulate.cancels import Given
from limner.scripts.simulate.draws import Draws
from limner.scripts.simulate.parameters import Parameters
from limner.scripts.simulate.picture_callbacks import PictureCallbacks

TRIES = 100
"""Studios that may fail while they open before that is a problem."""

RECENT = 8
"""Messages that came last, for calls that are for any message."""


@dataclass
class World:
    """What hosts share: a studio, its store, and the problems and outcomes that they report."""

    system: System
    params: Parameters
    draws: Draws
    events: Path
    backend: Backend
    store: FaultyStore
    problems: list[str] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    crowded: set[str] = field(default_factory=set)
    uncertain: set[str] = field(default_factory=set)
    calls: dict[int, CallFuture[int]] = field(default_factory=dict)
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=RECENT))
    left: int = 0
    arriving: bool = True
    reopening: bool = False

    def __post_init__(self) -> None:
        self.over: PooledFuture[None] = self.system.future(about="the last host")
        self._counting = self.system.lock()  # on real threads several hosts run at once
        self.given = Given()
        self.picture_callbacks = PictureCallbacks(self.system.lock())
        self.studio = self.open_with_retries()

    def open_with_retries(self) -> Studio:
        """Open a studio; if a part of it fails at once, open another one."""
        for _ in range(TRIES):
            with suppress(StudioClosed):
                return self.open()
        return self.open()

    def open(self) -> Studio:
        """Open a studio."""
        settings = self.params.settings.but(events=self.events)
        return Studio.open(settings, store=self.store, generator=self.backend, system=self.system)

    def reopen(self) -> None:
        """Open another studio in place of one that has closed, as a host would."""
        if self.reopening:
            return
        self.reopening = True
        try:
            self.studio.close()
            self.count("studios reopened")
            self.studio = self.open()
        except StudioClosed:
            pass  # a host that needs one tries again
        finally:
            self.reopening = False

    def count(self, outcome: str) -> None:
        """Count an outcome."""
        with self._counting:
            self.outcomes[outcome] += 1
