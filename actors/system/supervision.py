"""Supervision: which actor started which, and who is told when one ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from limner.actors.system.flag import Flag
from limner.actors.system.reference import PooledRef

if TYPE_CHECKING:
    from limner.actors.system.actor import PooledActor


class ActorEnded(NamedTuple):
    """Sent to the actor that started another, when that one has ended, however it ended.

    If the starter has ended too, its own starter is told, and so on upwards.

    Args:
        ref: the actor.
        reason: the exception that it failed with; `None` if it was stopped.
        orphans: the actors that it had started and that were still alive; the one who hears
            this hears of their ends too.
    """

    ref: PooledRef[Any]
    reason: BaseException | None
    orphans: tuple[PooledRef[Any], ...] = ()


class Life(Flag):
    """Whether an actor was stopped, as Pykka's flag says, and its place among the others."""

    __slots__ = ("children", "over", "parent", "reason", "watchers")

    def __init__(self, parent: PooledActor | None) -> None:
        super().__init__()
        self.parent = parent
        self.children: dict[PooledActor, None] | None = None
        self.watchers: tuple[Callable[[ActorEnded], None], ...] = ()
        self.reason: BaseException | None = None
        self.over = False


class Supervision:
    """The living actors of a system, as a tree."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # whoever is told in it may run at once, as a system closes
        self._living: dict[PooledActor, None] = {}
        self._none_living = threading.Condition(self._lock)

    def __len__(self) -> int:
        return len(self._living)

    def adopt(self, actor: PooledActor) -> None:
        """Register a started actor below the one that started it."""
        parent = actor.life.parent
        with self._lock:
            self._living[actor] = None
            if parent is not None:
                if parent.life.children is None:
                    parent.life.children = {}
                parent.life.children[actor] = None

    def bury(self, actor: PooledActor) -> None:
        """Remove an ended actor, tell the actor that started it, and stop those linked to it."""
        life = actor.life
        with self._lock:
            life.over = True
            del self._living[actor]
            children = tuple(life.children or ())
            heir = life.parent
            if heir is not None and heir.life.children is not None:
                heir.life.children.pop(actor, None)
            while heir is not None and heir.life.over:
                heir = heir.life.parent
            for child in children:
                child.life.parent = heir
                if heir is not None:
                    heir.life.children = {**(heir.life.children or {}), child: None}
            life.children = life.parent = None
            watchers, life.watchers = life.watchers, ()
            if not self._living:
                self._none_living.notify_all()
            orphans = tuple(child.actor_ref for child in children)
            ended = ActorEnded(actor.actor_ref, life.reason, orphans)
            if heir is not None:
                # inside the lock, so that no orphan's end is heard of before this
                heir.actor_ref.deliver(ended)
        if actor.linked:
            for orphan in reversed(orphans):
                orphan.end()
        for watcher in watchers:
            watcher(ended)

    def watch(self, ref: PooledRef[Any], watcher: Callable[[ActorEnded], None]) -> None:
        """Call a function when an actor has ended; at once if it has already."""
        life = ref.life
        with self._lock:
            if not life.over:
                life.watchers = (*life.watchers, watcher)
                return
        watcher(ActorEnded(ref, life.reason))

    def stop_all(self) -> None:
        """Stop all actors, the last started one first, without waiting."""
        with self._lock:
            living = list(self._living)
        for actor in reversed(living):
            actor.actor_ref.end()

    def wait_for_all(self, timeout: float) -> bool:
        """Wait `timeout` seconds at most until no actor lives; return whether none does."""
        with self._lock:
            return self._none_living.wait_for(lambda: not self._living, timeout)
