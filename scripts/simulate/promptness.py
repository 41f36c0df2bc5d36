"""That nobody waits for longer than the settings allow, and that no actor fails by itself.

The audit cannot ask for that, as a real machine may be slow, but in virtual time it is sure.
"""

from collections.abc import Hashable, Iterator
from heapq import heappop, heappush

from limner.messages.events.record import Record as Event
from limner.messages.events.record import micros, stands_for
from limner.messages.settings import Settings
from limner.scripts.simulate.lanes import UNKNOWN, Lane, Request
from limner.scripts.simulate.parameters import LATENESS

TURNS = 10
"""Seconds that the turns of a simulation's actors may take, where nobody waits for a timer."""

PARTS = frozenset(["StudioActor", "LimiterActor", "CallerActor", "SequencerActor", "RecorderActor"])
EDIT_ENDS = frozenset(["text_edited", "edit_unneeded", "edit_failed"])
OURS = "InjectedFailure"
"""What an actor says that it failed with, if the simulation made it fail."""


class Promptness:
    """What the times of an event log must show, and that no actor fails unless it is made to.

    Feed it each event, in order.

    Args:
        settings: of the studio.
        timers_late: whether timers are.
    """

    def __init__(self, settings: Settings, *, timers_late: bool) -> None:
        self._settings = settings
        self._late = LATENESS if timers_late else 0
        self._begin(0)

    def feed(self, event: Event) -> Iterator[str]:
        """Take the next event, and give what is wrong, a line each."""
        now, name = micros(event), event["event"]
        while self._due and self._due[0][0] < now:
            due, _, key = heappop(self._due)
            at, what = self._promises.get(key, (0, ""))
            if at == due:
                del self._promises[key]
                yield f"late: {what} at {due / 1e6:.3f} s"
        if name == "actor_failed" and not str(event.get("reason")).startswith(OURS):
            yield f"{event.get('failed')} failed by itself: {event.get('reason')}"
        if name in {"studio_opened", "studio_closed"} or event.get("failed") in PARTS:
            self._begin(now)
        elif name.startswith(("lane_", "slot_", "request_", "circuit_")):
            yield from self._lane(event, name, now)
        elif "session_id" in event:
            self._session(event, name, now, event["session_id"])
        elif name in EDIT_ENDS:
            self._edit_ended(now, self._session_of.get(event["message_id"], ""))

    def _begin(self, now: int) -> None:
        self._began = now
        self._due: list[tuple[int, int, Hashable]] = []
        self._made = 0
        self._promises: dict[Hashable, tuple[int, str]] = {}
        self._lanes: dict[str, Lane] = {}
        self._where: dict[str, Lane] = {}  # requests that wait
        self._slots: dict[str, dict[str, None]] = {}  # that are out, by task
        self._owners: dict[str, str | None] = {}  # by session
        self._tasks: dict[str, dict[str, bool]] = {}  # whether they have settled, by session
        self._sealed: dict[str, set[str]] = {}
        self._session_of: dict[str, str] = {}  # by message

    def _promise(self, key: Hashable, at: int, seconds: float, timers: int, what: str) -> None:
        """Expect something within so many seconds, in which so many timers have to fire."""
        self._promise_by(self._latest(at, seconds, timers), key, what)

    def _latest(self, at: int, seconds: float, timers: int) -> int:
        return at + round((seconds + timers * self._late + TURNS) * 1_000_000)

    def _promise_by(self, due: int, key: Hashable, what: str) -> None:
        """Expect something before time has passed on from there."""
        if self._promises.get(key, (None,))[0] != due:
            self._made += 1
            self._promises[key] = due, what
            heappush(self._due, (due, self._made, key))

    def _keep(self, *key: Hashable) -> None:
        self._promises.pop(key, None)

    def _lane(self, event: Event, name: str, now: int) -> Iterator[str]:
        if name == "lane_opened":
            # the lanes that there are from the beginning are made with the limiter
            made = now if ":" in event["lane"] else self._began
            lane = Lane(event, made, self._lanes.get(event["behind"] or ""))
            self._lanes[lane.name] = lane
        lane_or_none = self._lanes.get(event["lane"])
        if lane_or_none is None:
            return  # the limiter has failed, and this was said before
        lane = lane_or_none
        lane.halts.take(event, now)
        if name.startswith(("slot_", "request_")):
            yield from self._slot(lane, event, name, now)
        elif name == "lane_updated":
            lane.change(event, now)
            self._keep("lane", lane.name)
        elif name == "lane_dropped":
            if lane.waiting or lane.out:
                yield f"lane {lane.name} is dropped, and is not idle"
            del self._lanes[lane.name]
            self._keep("lane", lane.name)
            return
        self._judge(lane, now, is_looked_at=True)
        for one in self._lanes.values():
            if one.further is lane:
                self._judge(one, now)

    def _slot(self, lane: Lane, event: Event, name: str, now: int) -> Iterator[str]:
        request, slot = event["request_id"], event.get("slot_id", "")
        inner = stands_for(event)
        match name:
            case "slot_requested":
                lane.ask(request, Request(self._owner(event, inner), event["weight"], now))
                self._where[request] = lane
                if inner is not None and inner in self._where:
                    self._where[inner].offer = request
                self._keep("retry", event["task_id"])
            case "request_withdrawn" | "request_dropped":
                self._end_request(lane, request, inner)
            case "slot_granted":
                asked = self._end_request(lane, request, inner)
                if asked is not None:
                    yield from lane.grant(slot, asked, now)
                self._keep("lane", lane.name)
                self._granted(lane, event, slot, now, is_own=inner is None)
            case "slot_asked_back":
                lane.ask_back(slot, event["wanted"])
                what = f"{slot} is out though it was asked back"
                self._promise(("back", slot), now, lane.settings.grace, 1, what)
            case "slot_released" | "slot_revoked" | "slot_expired":
                lane.end_slot(slot)
                self._slot_ended(event.get("task_id", ""), slot, now, expired="expired" in name)

    def _owner(self, event: Event, inner: str | None) -> str | None:
        """Give the owner of a request, if the log tells it."""
        if inner is not None and inner in self._where:
            return self._where[inner].waiting[inner].owner
        return event.get("owner", self._owners.get(event.get("session_id", ""), UNKNOWN))

    def _end_request(self, lane: Lane, request: str, inner: str | None) -> Request | None:
        self._where.pop(request, None)
        if inner is not None and inner in self._where:
            of = self._where[inner]
            of.offer = None if of.offer == request else of.offer
        return lane.end_request(request)

    def _granted(self, lane: Lane, event: Event, slot: str, now: int, *, is_own: bool) -> None:
        """Expect a slot to be used, and to come back."""
        task, settings = event["task_id"], self._settings
        self._slots.setdefault(task, {})[slot] = None
        lease = lane.settings.lease
        self._promise(("lease", slot), now, lease, 1, f"{slot} is out past its lease")
        if "session_id" not in event:
            return  # it is of a call that a host makes, which takes as long as it does
        if is_own:
            # the store may still be loading, and an earlier call keep its thread
            seconds = settings.store_timeout + settings.generation_timeout + settings.grace
            self._promise(("use", slot), now, seconds, 3, f"{slot} is out and not used")
        tasks = self._tasks.get(event["session_id"])
        if tasks is None:
            self._expect_back(task, now, 0)
        elif tasks.get(task):
            self._expect_back(task, now, settings.grace)

    def _slot_ended(self, task: str, slot: str, now: int, *, expired: bool) -> None:
        out = self._slots.get(task, {})
        out.pop(slot, None)
        if not out:
            self._slots.pop(task, None)
        for kind in ("lease", "back", "slot", "use"):
            self._keep(kind, slot)
        if expired and ("call", task) in self._promises:
            what = f"the call for task {task} goes on though {slot} has expired"
            self._promise(("call", task), now, 0, 0, what)

    def _judge(self, lane: Lane, now: int, *, is_looked_at: bool = False) -> None:
        """Expect a lane to grant what it can, and to drop what has waited for too long.

        What time brings may be late. But what the limiter can grant as it looks at a lane, it
        grants in the same turn; and so too if what has just happened is what makes it possible,
        and not the time since it was looked at last.
        """
        if is_looked_at:
            lane.looked_at = now
        done = "granted" if lane.further is None else f"offered to lane {lane.further.name}"
        what = f"lane {lane.name} is free, a request waits, and nothing is {done}"
        key, free_at = ("lane", lane.name), lane.free_at(now)
        if free_at is None:
            self._keep(*key)
        elif free_at > now:
            self._promise(key, free_at, 0, 1, what)
        elif is_looked_at:
            self._promise_by(now, key, what)
        elif key not in self._promises:
            due, brought_at = now, lane.free_at(lane.looked_at)
            if brought_at is not None and brought_at > lane.looked_at:
                due = max(now, self._latest(brought_at, 0, 1))
            self._promise_by(due, key, what)
        key, dropped_at = ("wait", lane.name), lane.dropped_at(now)
        if dropped_at is None:
            self._keep(*key)
        elif dropped_at > now or key not in self._promises:
            what = f"lane {lane.name} has a request that waits for longer than it may"
            self._promise(key, dropped_at, 0, 1, what)

    def _expect_back(self, task: str, now: int, seconds: float) -> None:
        """Expect the slots of a task that does not use them any more."""
        for slot in self._slots.get(task, ()):
            what = f"{slot} is out though its task does not use it"
            self._promise(("slot", slot), now, seconds, 1 if seconds else 0, what)

    def _session(self, event: Event, name: str, now: int, session: str) -> None:
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
                self._keep("use", event["slot_id"])
                what = f"the call for task {task} does not end"
                seconds = settings.generation_timeout + settings.grace
                self._promise(("call", task), now, seconds, 2, what)
            case "generation_completed" | "generation_failed" | "call_abandoned":
                self._keep("call", task)
                self._expect_back(task, now, settings.grace)
            case "generation_retried":
                what = f"task {task} is not tried again"
                self._promise(("retry", task), now, event["delay"], 1, what)
            case "task_settled":
                tasks[task] = True
                self._keep("retry", task)
                self._keep("call", task)
                self._expect_back(task, now, settings.grace)
            case "session_sealed":
                self._sealed[session] = set(event["tasks"])
                seconds = settings.deadline + settings.store_timeout + settings.grace
                what = f"session {session} is past its deadline"
                self._promise(("deadline", session), now, seconds, 3, what)
            case "session_ended":
                for one in self._tasks.pop(session, ()):
                    self._keep("call", one)
                    self._keep("retry", one)
                    self._expect_back(one, now, 0)
                self._owners.pop(session, None)
                self._sealed.pop(session, None)
                self._keep("deadline", session)
                self._keep("write", session)
                return
        if name in {"session_sealed", "task_settled"} and self._is_complete(session):
            seconds = 2 * settings.store_timeout + settings.grace  # it may still be loading
            what = f"session {session} has all that it waits for, and does not end"
            self._promise(("write", session), now, seconds, 3, what)

    def _edit_ended(self, now: int, session: str) -> None:
        """Give a session more time that may have waited for its turn to write, and may again."""
        settings = self._settings
        for key in (("deadline", session), ("write", session)):
            due, what = self._promises.get(key, (0, ""))
            if due:
                self._promise(key, now, settings.store_timeout + settings.grace, 3, what)
                later, _ = self._promises[key]
                self._promise_by(max(due, later), key, what)

    def _is_complete(self, session: str) -> bool:
        """Say whether a session has all that its write waits for."""
        sealed, tasks = self._sealed.get(session), self._tasks[session]
        return sealed is not None and all(tasks.get(one) for one in sealed)
