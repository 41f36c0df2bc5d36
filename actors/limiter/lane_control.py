"""The lanes of a limiter as a host controls them, and what it asks of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pykka

from limner.actors.limiter.call_messages import SendBatches
from limner.actors.limiter.pools import threads_of
from limner.actors.system import (
    CallFuture,
    PooledFuture,
    PooledRef,
    System,
)
from limner.messages.errors import SettingsInvalid, StudioClosed
from limner.messages.limiter.control import (
    AwaitIdle,
    ChangeReservoir,
    DropLane,
    EndLane,
    ForecastLane,
    LaneReport,
    ObserveLimits,
    OpenLane,
    PauseLane,
    ReportLane,
    ReportRunning,
    ResumeLane,
    RunningCall,
    StateOf,
    TaskPlace,
    UpdateLane,
    WaitingRequest,
)
from limner.messages.limiter.http_answers import answer_of_error, answer_of_value, headers_of
from limner.messages.limiter.protocol import PrioritiseRequest
from limner.messages.limiter.rate_limit_headers import RateLimit, rate_limits
from limner.messages.limiter.reservoir import MICROSECONDS
from limner.messages.limiter.settings import MAX_WEIGHT, LaneSettings
from limner.messages.settings import Settings
from limner.messages.validation import (
    check_lane,
    group_of,
    owner_of,
    priority_of,
    seconds_of,
    weight_of,
)


class LaneControl:
    """The part of a limiter that changes lanes, and tells of them. Safe to use from any thread.

    Args:
        ref: the limiter's actor.
        system: that it runs on.
        lanes: the settings in force, by the lane's name.
        groups: those of lane groups, whose lanes are named `group:key`.
        workers: the name of the thread pool of each lane and group.
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
        self._workers = dict(workers)
        first = next(iter(workers))
        self._suffix = workers[first].removeprefix(first)
        self._caller = caller
        self._lock = system.lock()

    def update(self, lane: str = "image", **changes: Any) -> LaneSettings:
        """Change settings of a lane while it runs; they are in force from the next grant on.

        Slots that are out stay out, each until the end of its own lease: with a lower
        `max_concurrent` the lane grants again once enough of them are back. A lower `high_water`
        drops no request that waits. A `reservoir` that is named is what is left now.

        Args:
            lane: which lane, or the name of a lane group for all its lanes. A lane of a group that
                has settings of its own keeps them, and is kept itself when it is idle, until they
                are those of the group again.
            changes: any fields of `LaneSettings` but `behind`; the others stay as they are.

        Returns:
            The settings in force now.

        Raises:
            SettingsInvalid: if there is no such lane or setting, or a value is out of bounds.
            StudioClosed: if the studio is closed.
        """
        with self._lock:
            self._check(lane, group=True)
            known = self._groups if lane in self._groups else self._lanes
            before = known.get(lane) or self._report(lane).settings
            settings = LaneSettings(**{**before.model_dump(), **changes})
            if settings.behind != before.behind:
                raise SettingsInvalid("behind: a lane stands where it did when it was opened")
            self._system.workers.open_pool(self._workers_of(lane), threads_of(settings))
            if lane in known:
                known[lane] = settings
            refill = "reservoir" in changes
            self.ref.deliver(UpdateLane(lane=lane, settings=settings, refill=refill))
        return settings

    def open_lane(self, lane: str, settings: LaneSettings) -> None:
        """Open one more lane while the limiter runs.

        Args:
            lane: its name: 1 to 64 letters, digits, `_`, `.` or `-`.
            settings: of it; it may stand behind any lane that is there.

        Raises:
            SettingsInvalid: if there is a lane or group of that name, or one of these cannot be.
            StudioClosed: if the studio is closed.
        """
        if not isinstance(settings, LaneSettings):
            raise SettingsInvalid(f"settings: LaneSettings(…), not {settings!r:.80}")
        with self._lock:
            if lane in self._lanes or lane in self._groups:
                raise SettingsInvalid(f"there is a lane {lane!r:.80} already; change it by update")
            lanes = {**self._lanes, lane: settings}
            if "image" not in lanes:
                lanes["image"] = LaneSettings()
            Settings(lanes=lanes, lane_groups=self._groups)  # raises
            if settings.behind is not None:
                self._check(settings.behind)
            if not self.ref.is_alive():
                raise closed()
            pool = f"{lane}{self._suffix}"
            self._system.workers.open_pool(pool, threads_of(settings))
            self._workers[lane], self._lanes[lane] = pool, settings
            self.ref.deliver(OpenLane(lane=lane, settings=settings))

    def drop_lane(self, lane: str) -> None:
        """Drop a lane that is not needed any more; its threads are kept for one of its name.

        Await `drain(lane)` before, so that nothing waits there or runs. Pictures whose generator
        names the lane fail from then on.

        Args:
            lane: no lane of a group; those come and go by themselves.

        Raises:
            SettingsInvalid: if there is no such lane, it is not idle, or a lane or a lane group
                stands behind it.
            StudioClosed: if the studio is closed.
        """
        with self._lock:
            self._check(lane)
            if lane not in self._lanes:
                raise SettingsInvalid(f"lane {lane!r:.80} is of a group, and goes when it is idle")
            for name, other in (*self._lanes.items(), *self._groups.items()):
                if other.behind == lane:
                    raise SettingsInvalid(f"lane {lane!r} stays, since {name!r} stands behind it")
            if not self._ask(DropLane(lane=lane)):
                raise SettingsInvalid(f"lane {lane!r} is not idle; await limiter.drain({lane!r})")
            del self._lanes[lane]

    def change_reservoir(self, lane: str = "image", *, by: int) -> int:
        """Add to what is left of a lane's reservoir, or take from it, in one step.

        Nothing that happens meanwhile is lost, as it may be with `report` and `update`.

        Args:
            lane: which lane.
            by: the weight to add, down to -1,000,000,000 and up to 1,000,000,000; never less than
                0 is left.

        Returns:
            What is left then.

        Raises:
            SettingsInvalid: if there is no such lane, it has no reservoir, or the weight is none.
            StudioClosed: if the studio is closed.
        """
        self._check(lane)
        if type(by) is not int or abs(by) > MAX_WEIGHT:
            raise SettingsInvalid(f"by: a whole number up to {MAX_WEIGHT:,}, not {by!r:.80}")
        left = self._ask(ChangeReservoir(lane=lane, by=by))
        if left is None:
            raise SettingsInvalid(f"lane {lane!r} has no reservoir; give it one with update")
        return int(left)

    def prioritise(self, name: str | CallFuture[Any], priority: str | int) -> None:
        """Change the priority of a request that waits; one that is over is ignored.

        Args:
            name: the future of a call, or the `request_id` of one of `waiting`.
            priority: from now on: `active`, `background`, or 0 (first) to 9.

        Raises:
            SettingsInvalid: if that is no name, or no priority.
            StudioClosed: if the studio is closed.
        """
        given = name.name if isinstance(name, CallFuture) else name
        if not isinstance(given, str):
            raise SettingsInvalid(f"prioritise: a call's future or name, not {given!r:.80}")
        level = priority_of(priority)
        if not self.ref.is_alive():
            raise closed()
        self.ref.deliver(PrioritiseRequest(name=given, priority=level))

    def idle(self, lane: str | None = None) -> pykka.Future[None]:
        """Wait until nothing waits and nothing is out, while the lane takes requests as before.

        A batch counts once it has requested its slot.

        Args:
            lane: which lane, with those behind it; all lanes if `None`.

        Returns:
            Done at the first moment at which that is so, at once if it is so now.

        Raises:
            SettingsInvalid: if there is no such lane.
            StudioClosed: if the studio is closed; through the future if it closes meanwhile.
        """
        if lane is not None:
            self._check(lane)
        elif not self.ref.is_alive():
            raise closed()
        done: PooledFuture[None] = self._system.future(about=f"the idleness of {lane or 'all'}")
        self.ref.deliver(AwaitIdle(lane=lane, done=done))
        if not self.ref.is_alive():
            done.fail_if_pending(closed())
        return done

    def pause(self, lane: str = "image", *, seconds: float | None = None) -> None:
        """Grant nothing in a lane; slots that are out stay out.

        Args:
            lane: which lane.
            seconds: for how long, above 0 and up to 86,400; until it is resumed by default.

        Raises:
            SettingsInvalid: if there is no such lane, or the seconds are out of bounds.
            StudioClosed: if the studio is closed.
        """
        self._check(lane)
        if seconds is not None:
            seconds = seconds_of("seconds", seconds)
            if not seconds:
                raise SettingsInvalid("seconds: a pause is above 0, not 0")
        self.ref.deliver(PauseLane(lane=lane, seconds=seconds))

    def observe(self, lane: str, answer: object) -> tuple[RateLimit, ...]:
        """Learn from an answer what its back end has left of its limits.

        Calls that pass `schedule` or `collect`, and generators, are heard without this: it is for
        answers that a call does not return, and of calls that did not pass the limiter. A budget of
        the lane with the same name is put down at once if less is left, and up at the reset alone.
        Without such a budget, the lane pauses until the reset if nothing is left, `pause_maximum`
        at most. Read are the headers `x-ratelimit-*`, `anthropic-ratelimit-*`, `RateLimit` and
        `RateLimit-Policy`, also of answers that succeeded. Whatever is no such header is no error.

        Args:
            lane: of the call.
            answer: of any HTTP library, an exception that has one, or its headers, as a mapping or
                pairs.

        Returns:
            What was read: name, limit, what remains, and seconds until the reset.

        Raises:
            SettingsInvalid: if there is no such lane.
            StudioClosed: if the studio is closed.
        """
        self._check(lane)
        found = answer_of_value(answer)
        if found is None and isinstance(answer, BaseException):
            found = answer_of_error(answer)
        clock = self._system.clock
        wall = (clock.wall_start + clock.now) / MICROSECONDS
        limits = rate_limits(headers_of(answer), wall)
        if limits:
            host = None if found is None else found.host
            self.ref.deliver(ObserveLimits(lane=lane, limits=limits, host=host))
        return limits

    def resume(self, lane: str = "image") -> None:
        """Grant again in a lane that was paused; open one again that was drained or stopped.

        Raises:
            SettingsInvalid: if there is no such lane.
            StudioClosed: if the studio is closed.
        """
        self._check(lane)
        self.ref.deliver(ResumeLane(lane=lane))

    def drain(self, lane: str = "image") -> pykka.Future[None]:
        """Refuse new requests in a lane and in those behind it; what waits is still granted.

        A batch that gathers requests its slot at once. A picture that is retried then requests a
        slot anew, and fails. It refuses requests until `resume`. One that is paused is not drained
        before it is resumed.

        Returns:
            Done once nothing waits and nothing is out.

        Raises:
            SettingsInvalid: if there is no such lane.
            StudioClosed: if the studio is closed; through the future if it closes meanwhile.
        """
        return self._end(lane, drop=False)

    def stop(self, lane: str = "image") -> pykka.Future[None]:
        """Refuse requests in a lane and in those behind it, and drop what waits.

        What has a slot goes on. It refuses requests until `resume`.

        Returns:
            Done once nothing is out.

        Raises:
            SettingsInvalid: if there is no such lane.
            StudioClosed: if the studio is closed; through the future if it closes meanwhile.
        """
        return self._end(lane, drop=True)

    def report(self, lane: str = "image") -> LaneReport:
        """Return the state of a lane, with the requests that wait.

        That takes the limiter some microseconds for each request that waits, while it grants
        nothing. `counts` and `forecast` do not list them.

        Raises:
            SettingsInvalid: if there is no such lane.
            StudioClosed: if the studio is closed.
        """
        self._check(lane)
        return self._report(lane, waiting=True)

    def counts(self, lane: str = "image") -> dict[str, int]:
        """Return how many requests wait, slots are out, and how many there were of each other end.

        Raises:
            SettingsInvalid: if there is no such lane.
            StudioClosed: if the studio is closed.
        """
        self._check(lane)
        return self._report(lane).counts

    def waiting(
        self,
        lane: str = "image",
        *,
        owner: str | None = None,
        priority: str | int | None = None,
    ) -> tuple[WaitingRequest, ...]:
        """Return the requests that wait, by priority, the oldest first.

        Args:
            lane: which lane.
            owner: only of this owner, if given.
            priority: only of this priority, if given: `active`, `background`, or 0 to 9.

        Raises:
            SettingsInvalid: if lane, owner or priority cannot be one.
            StudioClosed: if the studio is closed.
        """
        self._check(lane)
        level = None if priority is None else priority_of(priority)
        return self._report(lane, waiting=True, owner=owner_of(owner), priority=level).waiting

    def running(self, lane: str | None = None) -> tuple[RunningCall, ...]:
        """Return hosts' own calls that have a slot, the oldest first.

        Args:
            lane: only of this lane, if given.

        Raises:
            SettingsInvalid: if there is no such lane.
            StudioClosed: if the studio is closed.
        """
        if lane is not None:
            self._check(lane)
        found: tuple[RunningCall, ...] = self._ask(ReportRunning(lane=lane))
        return found

    def state_of(self, task_id: str) -> TaskPlace | None:
        """Return whether a task waits or has a slot, in its own lane; `None` if neither.

        That takes longer the more requests wait.

        Raises:
            StudioClosed: if the studio is closed.
        """
        place: TaskPlace | None = self._ask(StateOf(task_id=str(task_id)))
        return place

    def forecast(
        self,
        lane: str = "image",
        *,
        priority: str | int = "active",
        owner: str | None = None,
        weight: int = 1,
    ) -> float | None:
        """Return the seconds after which a request that comes now can expect to be granted.

        All that is known counts, in the lane and in those that it stands behind: pauses, an open
        circuit, the penalty of a blocked lane, `min_time`, when reservoirs are filled, what waits
        ahead, and how long slots were held lately. It is never less than the rules allow if all
        slots came back at once, and exact for a lane of its own whose slots are all held for as
        long. It takes the limiter some milliseconds at most, and does not list what waits.

        Args:
            lane: which lane.
            priority: of the request: `active`, `background`, or 0 to 9.
            owner: of the request, up to 200 characters.
            weight: of the request, 1 or more.

        Returns:
            `None` for never: the lane is drained or stopped, paused until it is resumed, or never
            has enough. `None` too if that is not known, as no slot was released yet.

        Raises:
            SettingsInvalid: if lane, priority, owner or weight cannot be one.
            StudioClosed: if the studio is closed.
        """
        self._check(lane)
        question = ForecastLane(
            lane=lane,
            priority=priority_of(priority),
            owner=owner_of(owner),
            weight=weight_of(weight),
        )
        seconds: float | None = self._ask(question)
        return seconds

    def _workers_of(self, lane: str) -> str:
        return self._workers[group_of(lane)]

    def _end(self, lane: str, *, drop: bool) -> pykka.Future[None]:
        self._check(lane)
        done: PooledFuture[None] = self._system.future(about=f"the end of lane {lane!r}")
        self.ref.deliver(EndLane(lane=lane, drop=drop, gathering=True, done=done))
        self._caller.deliver(SendBatches(lane, self._with_those_behind(lane)))
        if not self.ref.is_alive():
            done.fail_if_pending(closed())
        return done

    def _with_those_behind(self, lane: str) -> frozenset[str]:
        """Return the names of a lane and of the lanes and groups behind it."""
        names = {lane}
        behind = {name: of.behind for name, of in (*self._lanes.items(), *self._groups.items())}
        for name in behind:
            upstream: str | None = name
            while upstream is not None and upstream != lane:
                upstream = behind.get(upstream)
            if upstream is not None:
                names.add(name)
        return frozenset(names)

    def _ask(self, question: object) -> Any:
        try:
            return self.ref.ask(question)
        except pykka.ActorDeadError:
            raise closed() from None

    def _report(self, lane: str, **wanted: Any) -> LaneReport:
        report: LaneReport = self._ask(ReportLane(lane=lane, **wanted))
        return report

    def _check(self, lane: str, *, group: bool = False) -> None:
        if not group or lane not in tuple(self._groups):
            check_lane(lane, self._lanes, self._groups)
        if not self.ref.is_alive():
            raise closed()


def closed() -> StudioClosed:
    """Return the error of a call to a closed studio."""
    return StudioClosed("the studio is closed, and its lanes with it")
