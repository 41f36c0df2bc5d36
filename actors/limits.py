"""The limiter as a host sees it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial, wraps
from itertools import count
from typing import Any, Generic, ParamSpec, TypeVar

import pykka

from limner.actors.calls import AddToBatch, BatchTerms, ScheduleCall, Terms, wish_for
from limner.actors.system import PooledFuture, PooledRef, System
from limner.messages.errors import SettingsInvalid, StudioClosed
from limner.messages.limiting import (
    EndLane,
    LaneReport,
    PauseLane,
    ReportLane,
    ResumeLane,
    StateOf,
    TaskPlace,
    UpdateLane,
    WaitingRequest,
)
from limner.messages.opening import MAX_NAME, owner_of, priority_of
from limner.messages.settings import LaneSettings, group_of

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")

MAX_SECONDS = 86_400
"""Seconds of a pause at most."""

MAX_THREADS = 256
"""Worker threads of a lane that has no limit of its own."""


def threads_of(settings: LaneSettings) -> int:
    """Give how many calls of a lane run at one time at most."""
    return min(settings.max_concurrent or MAX_THREADS, MAX_THREADS)


class Limiter:
    """A studio's limiter. Safe to use from any thread.

    Args:
        ref: the actor.
        system: what it runs on.
        lanes: the settings in force, by the lane's name.
        groups: those of lane groups, whose lanes are named `group:key`.
        workers: the name of the worker threads of each lane and group.
        caller: the actor that runs a host's own calls.
    """

    def __init__(
        self,
        ref: PooledRef[Any],
        system: System,
        lanes: Mapping[str, LaneSettings],
        groups: Mapping[str, LaneSettings],
        workers: Mapping[str, str],
        caller: PooledRef[Any],
    ) -> None:
        self.ref = ref
        self._system = system
        self._lanes = dict(lanes)
        self._groups = dict(groups)
        self._workers = workers
        self._caller = caller
        self._lock = system.lock()
        self._numbers = count(1)

    def update(self, lane: str = "image", **changes: Any) -> LaneSettings:
        """Change settings of a lane while it runs; they hold from the next grant on.

        Slots that are out stay out: with a lower `max_concurrent` the lane grants again once
        enough of them are back.

        Args:
            lane: which lane, or the name of a lane group for all its lanes. A lane of a group that
                has settings of its own keeps them, and is kept itself when it is idle.
            changes: any fields of `LaneSettings`; the others stay as they are.

        Returns:
            The settings in force now.

        Raises:
            SettingsInvalid: if there is no such lane or setting, or a value is out of bounds.
            StudioClosed: if the studio is closed.
        """
        with self._lock:
            self._check(lane, group=True)
            known = self._groups if lane in self._groups else self._lanes
            before = known.get(lane) or self.report(lane).settings
            settings = LaneSettings(**{**before.model_dump(), **changes})
            if settings.behind != before.behind:
                raise SettingsInvalid("behind: a lane stands where it did when it was opened")
            self._system.workers.open_lane(self._workers_of(lane), threads_of(settings))
            if lane in known:
                known[lane] = settings
            self.ref.deliver(UpdateLane(lane=lane, settings=settings))
        return settings

    def pause(self, lane: str = "image", *, seconds: float | None = None) -> None:
        """Grant nothing in a lane, for so many seconds or until it is resumed.

        Raises:
            SettingsInvalid: if there is no such lane, or the seconds are not above 0.
            StudioClosed: if the studio is closed.
        """
        self._check(lane)
        if seconds is not None and not 0 < seconds <= MAX_SECONDS:
            raise SettingsInvalid(f"a pause is above 0 and up to {MAX_SECONDS:,} s, not {seconds}")
        self.ref.deliver(PauseLane(lane=lane, seconds=seconds))

    def resume(self, lane: str = "image") -> None:
        """Grant again in a lane that was paused."""
        self._check(lane)
        self.ref.deliver(ResumeLane(lane=lane))

    def drain(self, lane: str = "image") -> pykka.Future[None]:
        """Take no request any more; what waits is still granted.

        The future is done once nothing waits and nothing is out.
        """
        return self._end(lane, drop=False)

    def stop(self, lane: str = "image") -> pykka.Future[None]:
        """Take no request any more, and drop what waits.

        The future is done once nothing is out.
        """
        return self._end(lane, drop=True)

    def report(self, lane: str = "image") -> LaneReport:
        """Say how it looks in a lane."""
        self._check(lane)
        report: LaneReport = self._ask(ReportLane(lane=lane))
        return report

    def counts(self, lane: str = "image") -> dict[str, int]:
        """Give how many requests wait, slots are out, and how many of each other end there were."""
        return self.report(lane).counts

    def waiting(
        self, lane: str = "image", *, owner: str | None = None, priority: int | None = None
    ) -> tuple[WaitingRequest, ...]:
        """Give what waits, by priority, the oldest first; of one owner or priority if named."""
        return tuple(
            one
            for one in self.report(lane).waiting
            if owner in (None, one.owner) and priority in (None, one.priority)
        )

    def state_of(self, task_id: str) -> TaskPlace | None:
        """Say whether a task waits or has a slot; `None` if neither."""
        place: TaskPlace | None = self._ask(StateOf(task_id=task_id))
        return place

    def forecast(self, lane: str = "image", *, priority: str | int = "active") -> float | None:
        """Give the seconds that a request would wait, about.

        From how long slots were held lately, how many there are, and what waits with this priority
        or a better one; `None` before any slot came back.
        """
        report, level = self.report(lane), priority_of(priority)
        settings = report.settings
        ahead = sum(one.weight for one in report.waiting if one.priority <= level)
        if settings.max_concurrent is None:
            return ahead * settings.min_time
        if report.weight_out + ahead < settings.max_concurrent:
            return 0.0
        if report.held_for is None:
            return None
        rounds = (report.weight_out + ahead + 1 - settings.max_concurrent) / settings.max_concurrent
        return max(rounds * report.held_for, (ahead + 1) * settings.min_time)

    def schedule(
        self,
        call: Callable[[], T],
        *,
        lane: str = "image",
        priority: str | int = "active",
        owner: str | None = None,
        weight: int = 1,
        blocks: bool = True,
    ) -> pykka.Future[T]:
        """Run a host's own call on a worker thread once it has a slot.

        Args:
            call: what to run; it may block.
            lane: whose slot.
            priority: `active`, `background`, or 0 (first) to 9.
            owner: on whose behalf, up to 200 characters.
            weight: of the slot, 1 or more.
            blocks: whether the call may block; one that returns at once needs no thread of its own.

        Returns:
            What the call returns or raises; `RequestDropped` if it got no slot.

        Raises:
            SettingsInvalid: if lane, priority, owner or weight cannot be one.
            StudioClosed: if the studio is closed.
        """
        terms = self._terms(lane, priority, owner, weight, blocks=blocks)
        future: PooledFuture[T] = self._system.future(about="a scheduled call")
        name = f"call-{next(self._numbers)}"
        self._hand_over(ScheduleCall(name, call, future, terms))
        self.ref.deliver(wish_for(name, terms, self._caller))
        return future

    def collect(
        self,
        call: Callable[[list[Item]], Sequence[T]],
        *,
        max_size: int,
        max_time: float,
        lane: str = "image",
        priority: str | int = "active",
        owner: str | None = None,
        weight: int = 1,
        blocks: bool = True,
    ) -> Batches[Item, T]:
        """Gather items for a back end that takes several in a call: one slot grants a batch.

        Args:
            call: what to run with the items of a batch, in the order in which they came; it gives
                as many results, of which one that is an exception is raised to who added the item.
            max_size: items of a batch, 1 or more; a batch of so many asks for its slot at once.
            max_time: seconds after which a batch asks for its slot that is not full; 0 or more.
            lane: whose slot.
            priority: `active`, `background`, or 0 (first) to 9.
            owner: on whose behalf, up to 200 characters.
            weight: of a batch's slot, 1 or more.
            blocks: whether the call may block.

        Raises:
            SettingsInvalid: if one of these cannot be.
            StudioClosed: if the studio is closed.
        """
        if type(max_size) is not int or max_size < 1:
            raise SettingsInvalid(f"max_size: a whole number from 1, not {max_size!r:.80}")
        if not 0 <= max_time <= MAX_SECONDS:
            raise SettingsInvalid(f"max_time: 0 to {MAX_SECONDS:,} seconds, not {max_time!r:.80}")
        terms = self._terms(lane, priority, owner, weight, blocks=blocks)
        return Batches(self, BatchTerms(call, terms, max_size, max_time))

    def limited(
        self, *, lane: str = "image", priority: str | int = "active", owner: str | None = None
    ) -> Callable[[Callable[P, T]], Callable[P, pykka.Future[T]]]:
        """Give a decorator: each call of the function goes through `schedule`, and gives a future.

        Raises:
            SettingsInvalid, StudioClosed: as `schedule` does, when the function is called.
        """

        def decorate(function: Callable[P, T]) -> Callable[P, pykka.Future[T]]:
            @wraps(function)
            def scheduled(*args: P.args, **kwargs: P.kwargs) -> pykka.Future[T]:
                call = partial(function, *args, **kwargs)
                return self.schedule(call, lane=lane, priority=priority, owner=owner)

            return scheduled

        return decorate

    def add(self, batches: BatchTerms, item: Any) -> PooledFuture[Any]:
        """Add an item to what is gathered; see `collect`."""
        self._check(batches.terms.lane)
        future: PooledFuture[Any] = self._system.future(about="a call in a batch")
        name = f"call-{next(self._numbers)}"
        self._hand_over(AddToBatch(name, batches, item, future))
        return future

    def _terms(
        self, lane: str, priority: str | int, owner: str | None, weight: int, *, blocks: bool
    ) -> Terms:
        self._check(lane)
        if type(weight) is not int or weight < 1:
            raise SettingsInvalid(f"weight: a whole number from 1, not {weight!r:.80}")
        worker_lane = self._workers_of(lane) if blocks else None
        return Terms(lane, worker_lane, priority_of(priority), owner_of(owner), weight)

    def _hand_over(self, wish: ScheduleCall | AddToBatch) -> None:
        """Tell the caller; if it has ended before it could hear that, fail the future."""
        self._caller.deliver(wish)
        if not self._caller.is_alive():
            wish.future.give_up(closed())

    def _workers_of(self, lane: str) -> str:
        return self._workers[group_of(lane)]

    def _end(self, lane: str, *, drop: bool) -> pykka.Future[None]:
        self._check(lane)
        done: PooledFuture[None] = self._system.future(about=f"the end of lane {lane!r}")
        self.ref.deliver(EndLane(lane=lane, drop=drop, done=done))
        if not self.ref.is_alive():
            done.give_up(closed())
        return done

    def _ask(self, question: object) -> Any:
        try:
            return self.ref.ask(question)
        except pykka.ActorDeadError:
            raise closed() from None

    def _check(self, lane: str, *, group: bool = False) -> None:
        if lane not in self._lanes and not (group and lane in self._groups):
            check_lane(lane, self._lanes, self._groups)
        if not self.ref.is_alive():
            raise closed()


class Batches(Generic[Item, T]):
    """Gathers items for one call; made by `Limiter.collect`. Safe to use from any thread."""

    def __init__(self, limiter: Limiter, terms: BatchTerms) -> None:
        self._limiter = limiter
        self._terms = terms

    def add(self, item: Item) -> pykka.Future[T]:
        """Add an item; give what the call of its batch returns for it.

        Raises:
            StudioClosed: if the studio is closed.
        """
        return self._limiter.add(self._terms, item)


def closed() -> StudioClosed:
    """Make the error of who comes too late."""
    return StudioClosed("the studio is closed, and its lanes with it")


def check_lane(lane: object, lanes: Collection[str], groups: Collection[str]) -> None:
    """Say so if there is no such lane, and none of the name can be made.

    Raises:
        SettingsInvalid: if so.
    """
    if lane in lanes:
        return
    if isinstance(lane, str) and ":" in lane and group_of(lane) in groups:
        if len(lane) <= MAX_NAME and lane.isprintable() and not lane.endswith(":"):
            return
        raise SettingsInvalid(
            f"a lane's name is its group, ':' and a key, {MAX_NAME} printable characters at most,"
            f" not {lane!r:.80}"
        )
    known = ", ".join((*map(repr, lanes), *(f"'{group}:KEY'" for group in groups)))
    raise SettingsInvalid(f"there is no lane {lane!r:.80}, only {known}")
