"""Checks that nothing waits longer than the settings allow, and that no actor fails by itself.

The audit cannot check that, since a real machine may be slow; in virtual time it can be checked.
"""

from collections.abc import Hashable, Iterator
from heapq import heappop, heappush

from limner.messages.events.record import Record, micros, stands_for
from limner.messages.settings import Settings
from limner.scripts.simulate.lanes import UNKNOWN, Lane, Request
from limner.scripts.simulate.parameters import LATENESS

TURNS = 10
"""Seconds that the turns of a simulation's actors may take between two timers."""

PARTS = frozenset(["StudioActor", "LimiterActor", "CallerActor", "SequencerActor", "RecorderActor"])
LANE_EVENTS = ("lane_", "slot_", "request_", "circuit_", "limit_")
EDIT_ENDS = frozenset(["text_edited", "edit_unneeded", "edit_failed"])
OURS = "InjectedFailure"
"""How the reason begins if the simulation made an actor fail."""


class Promptness:
    """Checks the times in an event log, and that no actor fails unless it is made to.

    It expects events with a due time, and reports the expectations that are not met.

    Args:
        settings: of the studio.
        timers_late: whether timers may be late.
        keeps_hang: whether the store may not come back when it is to keep a picture.
    """

    def __init__(self, settings: Settings, *, timers_late: bool, keeps_hang: bool = False) -> None:
        self._settings = settings
        self._keep_timeout = min(settings.store_timeout, settings.generation_timeout)
        self._hang = self._keep_timeout if keeps_hang else 0
        self._late = LATENESS if timers_late else 0
        self._begin(0)

    def feed(self, event: Record) -> Iterator[str]:
        """Check the next event, and yield a line for each problem."""
        now, name = micros(event), event["event"]
        while self._due and self._due[0][0] < now:
            due, _, key = heappop(self._due)
            at, what = self._expected.get(key, (0, ""))
            if at == due:
                del self._expected[key]
                yield f"late: {what} at {due / 1e6:.3f} s"
        if name == "actor_failed" and not str(event.get("reason")).startswith(OURS):
            yield f"{event.get('failed')} failed by itself: {event.get('reason')}"
        if name in {"studio_opened", "studio_closed"} or event.get("failed") in PARTS:
            self._begin(now)
        elif "lane" in event and name.startswith(LANE_EVENTS):
            yield from self._lane(event, name, now)
        elif "session_id" in event:
            self._session(event, name, now, event["session_id"])
        elif name in EDIT_ENDS:
            self._edit_ended(now, self._session_of.get(event["message_id"], ""))

    def _begin(self, now: int) -> None:
        self._began = now
        self._due: list[tuple[int, int, Hashable]] = []
        self._made = 0
        self._expected: dict[Hashable, tuple[int, str]] = {}
        self._lanes: dict[str, Lane] = {}
        self._where: dict[str, Lane] = {}  # requests that wait
        self._slots: dict[str, dict[str, None]] = {}  # that are out, by task
        self._owners: dict[str, str | None] = {}  # by session
        self._tasks: dict[str, dict[str, bool]] = {}  # whether they have settled, by session
        self._sealed: dict[str, set[str]] = {}
        self._session_of: dict[str, str] = {}  # by message

    def _expect(self, key: Hashable, at: int, seconds: float, timers: int, what: str) -> None:
        """Expect something within some seconds, during which some timers have to fire."""
        self._expect_by(self._latest(at, seconds, timers), key, what)

    def _latest(self, at: int, seconds: float, timers: int) -> int:
        return at + round((seconds + timers * self._late + TURNS) * 1_000_000)

    def _expect_by(self, due: int, key: Hashable, what: str) -> None:
        """Expect something by a time."""
        if self._expected.get(key, (None,))[0] != due:
            self._made += 1
            self._expected[key] = due, what
            heappush(self._due, (due, self._made, key))

    def _met(self, *key: Hashable) -> None:
        self._expected.pop(key, None)

    def _met_all(self, task: str) -> None:
        """Expect nothing of a task any more, but that it returns its slots."""
        for kind in ("retry", "keep", "call"):
            self._met(kind, task)

    def _lane(self, event: Record, name: str, now: int) -> Iterator[str]:
        if name == "lane_opened":
            # the lanes that there are from the beginning are made with the limiter
            made = now if ":" in event["lane"] else self._began
            lane = Lane(event, made, self._lanes.get(event["behind"] or ""))
            self._lanes[lane.name] = lane
        lane_or_none = self._lanes.get(event["lane"])
        if lane_or_none is None:
            return  # the limiter has failed, and this was sent before
        lane = lane_or_none
        lane.halts.take(event, now)
        if name.startswith(("slot_", "request_")):
            yield from self._slot(lane, event, name, now)
        elif name == "lane_updated":
            lane.change(event, now)
            self._met("lane", lane.name)
        elif name == "reservoir_changed":
            lane.set_reservoir(event["left"], now)
        elif name == "limit_changed":
            lane.move_limit(event["max_concurrent"])
        elif name == "lane_dropped":
            if lane.waiting or lane.out:
                yield f"lane {lane.name} is dropped, and is not idle"
            del self._lanes[lane.name]
            self._met("lane", lane.name)
            return
        self._judge(lane, now, is_checked=True)
        for downstream in self._lanes.values():
            if downstream.further is lane:
                self._judge(downstream, now)

    def _slot(self, lane: Lane, event: Record, name: str, now: int) -> Iterator[str]:
        request, slot = event["request_id"], event.get("slot_id", "")
        inner = stands_for(event)
        match name:
            case "slot_requested":
                lane.add_request(request, Request(self._owner(event, inner), event["weight"], now))
                self._where[request] = lane
                if inner is not None and inner in self._where:
                    self._where[inner].offer = request
                self._met("retry", event["task_id"])
            case "request_withdrawn" | "request_dropped":
                self._end_request(lane, request, inner)
            case "slot_granted":
                waiting = self._end_request(lane, request, inner)
                if waiting is not None:
                    yield from lane.grant(slot, waiting, now)
                self._met("lane", lane.name)
                self._granted(lane, event, slot, now, is_own=inner is None)
            case "slot_asked_back":
                lane.revoke(slot, event["wanted"])
                what = f"{slot} is out though it was asked back"
                self._expect(("back", slot), now, lane.settings.grace, 1, what)
            case "slot_released" | "slot_revoked" | "slot_expired":
                if event.get("overloaded"):
                    yield from lane.overload(slot)
                lane.end_slot(slot)
                self._slot_ended(event.get("task_id", ""), slot, now, expired="expired" in name)

    def _owner(self, event: Record, inner: str | None) -> str | None:
        """Return the owner of a request, or `UNKNOWN`."""
        if inner is not None and inner in self._where:
            return self._where[inner].waiting[inner].owner
        return event.get("owner", self._owners.get(event.get("session_id", ""), UNKNOWN))

    def _end_request(self, lane: Lane, request: str, inner: str | None) -> Request | None:
        self._where.pop(request, None)
        if inner is not None and inner in self._where:
            downstream = self._where[inner]
            downstream.offer = None if downstream.offer == request else downstream.offer
        return lane.end_request(request)

    def _granted(self, lane: Lane, event: Record, slot: str, now: int, *, is_own: bool) -> None:
        """Expect a slot to be used, and to be returned."""
        task, settings = event["task_id"], self._settings
        self._slots.setdefault(task, {})[slot] = None
        lease = lane.settings.lease
        self._expect(("lease", slot), now, lease, 1, f"{slot} is out past its lease")
        if "session_id" not in event:
            return  # a host call may take any time
        if is_own:
            # the store may still be loading, and an earlier call keep its thread
            seconds = settings.store_timeout + settings.generation_timeout + settings.grace
            self._expect(("use", slot), now, seconds, 3, f"{slot} is out and not used")
        tasks = self._tasks.get(event["session_id"])
        if tasks is None:
            self._expect_returned(task, now, 0)
        elif tasks.get(task):
            self._expect_returned(task, now, settings.grace)

    def _slot_ended(self, task: str, slot: str, now: int, *, expired: bool) -> None:
        out = self._slots.get(task, {})
        out.pop(slot, None)
        if not out:
            self._slots.pop(task, None)
        for kind in ("lease", "back", "slot", "use"):
            self._met(kind, slot)
        if expired and ("call", task) in self._expected:
            what = f"the call for task {task} goes on though {slot} has expired"
            self._expect(("call", task), now, 0, 0, what)

    def _judge(self, lane: Lane, now: int, *, is_checked: bool = False) -> None:
        """Expect a lane to grant what it can, and to drop what has waited too long.

        A grant that only time has made possible may be late. A grant that is possible when the
        limiter checks the lane has to come in the same turn. The same holds if the last event
        made it possible, and not the time since the lane was last checked.
        """
        if is_checked:
            lane.checked_at = now
        done = "granted" if lane.further is None else f"offered to lane {lane.further.name}"
        what = f"lane {lane.name} is free, a request waits, and nothing is {done}"
        key, free_at = ("lane", lane.name), lane.free_at(now)
        if free_at is None:
            self._met(*key)
        elif free_at > now:
            self._expect(key, free_at, 0, 1, what)
        elif is_checked:
            self._expect_by(now, key, what)
        elif key not in self._expected:
            due, brought_at = now, lane.free_at(lane.checked_at)
            if brought_at is not None and brought_at > lane.checked_at:
                due = max(now, self._latest(brought_at, 0, 1))
            self._expect_by(due, key, what)
        key, dropped_at = ("wait", lane.name), lane.dropped_at(now)
        if dropped_at is None:
            self._met(*key)
        elif dropped_at > now or key not in self._expected:
            what = f"lane {lane.name} has a request that waits for longer than it may"
            self._expect(key, dropped_at, 0, 1, what)

    def _expect_returned(self, task: str, now: int, seconds: float) -> None:
        """Expect the slots that a task no longer uses to be returned."""
        for slot in self._slots.get(task, ()):
            what = f"{slot} is out though its task does not use it"
            self._expect(("slot", slot), now, seconds, 1 if seconds else 0, what)

    def _expect_keep(self, task: str, now: int, delay: float) -> None:
        """Expect another try to keep a picture; until then the task has its slot."""
        self._met("call", task)
        for slot in self._slots.get(task, ()):
            self._met("slot", slot)
        what = f"task {task} does not try again to keep its picture"
        self._expect(("keep", task), now, delay + self._keep_timeout, 2, what)

    def _session(self, event: Record, name: str, now: int, session: str) -> None:
        settings, task = self._settings, event.get("task_id", "")
        if name == "session_opened":
            self._tasks[session] = {}
            self._session_of[event["message_id"]] = session
            self._owners[session] = event["owner"]
        tasks = self._tasks.get(session)
        if tasks is None:
            return  # it has ended
        match name:
            case "prompt_detected" | "picture_wanted":
                tasks[task] = False
            case "generation_started":
                self._met("use", event["slot_id"])
                what = f"the call for task {task} does not end"
                seconds = settings.generation_timeout + settings.grace + self._hang
                self._expect(("call", task), now, seconds, 2, what)
            case "keep_failed" if event["delay"] is not None and not tasks.get(task):
                self._expect_keep(task, now, event["delay"])
            case "generation_completed" | "generation_failed" | "call_abandoned":
                self._met("keep", task)
                self._met("call", task)
                self._expect_returned(task, now, settings.grace)
            case "generation_retried" if settings.max_per_message is None:  # else it may wait
                what = f"task {task} is not tried again"
                self._expect(("retry", task), now, event["delay"], 1, what)
            case "task_settled":
                tasks[task] = True
                self._met_all(task)
                self._expect_returned(task, now, settings.grace)
            case "session_sealed":
                self._sealed[session] = set(event["tasks"])
                seconds = settings.deadline + settings.store_timeout + settings.grace
                what = f"session {session} is past its deadline"
                self._expect(("deadline", session), now, seconds, 3, what)
            case "session_ended":
                for task_id in self._tasks.pop(session, ()):
                    self._met_all(task_id)
                    self._expect_returned(task_id, now, 0)
                self._owners.pop(session, None)
                self._sealed.pop(session, None)
                self._met("deadline", session)
                self._met("write", session)
                return
        if name in {"session_sealed", "task_settled"} and self._is_complete(session):
            seconds = 2 * settings.store_timeout + settings.grace  # it may still be loading
            what = f"session {session} has all that it waits for, and does not end"
            self._expect(("write", session), now, seconds, 3, what)

    def _edit_ended(self, now: int, session: str) -> None:
        """Extend the time of a session that may have waited for an edit, and may again."""
        settings = self._settings
        for key in (("deadline", session), ("write", session)):
            due, what = self._expected.get(key, (0, ""))
            if due:
                self._expect(key, now, settings.store_timeout + settings.grace, 3, what)
                later, _ = self._expected[key]
                self._expect_by(max(due, later), key, what)

    def _is_complete(self, session: str) -> bool:
        """Return whether all tasks that a session's write waits for have settled."""
        sealed, tasks = self._sealed.get(session), self._tasks[session]
        return sealed is not None and all(tasks.get(task_id) for task_id in sealed)
