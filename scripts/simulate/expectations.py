"""What may be expected of a simulation, beside what the event log proves by itself.

A host expects things of its message's end. And nobody is to wait for longer than the settings
allow: the audit cannot ask for that, as a real machine may be slow, but in virtual time it is sure.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from heapq import heappop, heappush

from limner.actors.actor import LimnerActor
from limner.actors.system import PooledRef, Timer
from limner.messages.composition import NO_PROMPT, mark
from limner.messages.errors import LimnerError, SessionTimedOut
from limner.messages.pictures import Illustrated
from limner.messages.scanner import find_prompts
from limner.messages.settings import Settings
from limner.scripts.inspect.reading import Event, micros
from limner.scripts.simulate.parameters import LATENESS
from limner.scripts.simulate.plans import Plan

TURNS = 10
"""Seconds that the turns of a simulation's actors may take, where nobody waits for a timer."""

PARTS = frozenset(["StudioActor", "LimiterActor", "RecorderActor"])
OURS = "InjectedFailure"
"""What an actor says that it failed with, if the simulation made it fail."""


def broken(
    plan: Plan, ended: Illustrated | BaseException, *, faultless: bool, may_be_cut: bool
) -> Iterator[str]:
    """Give what a host may complain of, a line each.

    Args:
        plan: what the host has done.
        ended: what the future of its session gave or raised.
        faultless: whether nothing could go wrong.
        may_be_cut: whether the stream took no more text before the host had ended it.
    """
    name = plan.message_id
    if not isinstance(ended, Illustrated):
        if not isinstance(ended, LimnerError):
            yield f"{name}: its future raised {ended!r}"
        elif faultless and not isinstance(ended, SessionTimedOut):
            yield f"{name}: it was not written though nothing went wrong: {ended}"
        return
    if not plan.is_plain or not ended.written or (may_be_cut and plan.repeats):
        return
    text = ended.text
    for placement in ended.pictures:
        picture = mark(placement, "html")
        if text.count(picture) != 1:
            yield f"{name}: the picture {placement} is {text.count(picture)} times in the text"
        text = text.replace(picture, "")
    if text != plan.text and not (may_be_cut and plan.text.startswith(text)):
        yield f"{name}: its text is not what was streamed, but for the pictures"
        return
    asked = Counter(match.text for match in find_prompts(text))
    answered = Counter(
        (
            *(placement.prompt for placement in ended.pictures),
            *(one.placement.prompt for one in ended.unplaced if one.reason != NO_PROMPT),
            *ended.over_limit,
        )
    )
    failed = Counter(failure.prompt for failure in ended.failures)
    if plan.repeats:  # a prompt that the text held for a while may have failed before it was gone
        failed &= asked - answered
    if asked != answered + failed:
        names, given = sorted(asked.elements()), sorted((answered + failed).elements())
        yield f"{name}: it has the prompts {names}, and answers were given for {given}"
    if faultless and (ended.failures or ended.unplaced):
        yield f"{name}: {len(ended.failures)} of its pictures failed though nothing went wrong"


def left_set(timers: Iterable[Timer]) -> Iterator[str]:
    """Give the timers that are still set for one of Limner's actors that has ended, a line each.

    None is where no actor was made to fail.
    """
    for timer in timers:
        ref = timer.ref
        if (
            isinstance(ref, PooledRef)
            and issubclass(ref.actor_class, LimnerActor)
            and ref.life.over
        ):
            kind = type(timer.message).__name__
            yield f"a timer is left: {kind} is set for a {ref.actor_class.__name__} that has ended"


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
        self._begin()

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
            self._begin()
        elif name.startswith(("lane_", "slot_", "request_")):
            self._lane(event, name, now)
        elif "session_id" in event:
            self._session(event, name, now, event["session_id"])

    def _begin(self) -> None:
        self._due: list[tuple[int, int, Hashable]] = []
        self._made = 0
        self._promises: dict[Hashable, tuple[int, str]] = {}
        self._lanes: dict[str, Lane] = {}
        self._slots: dict[str, dict[str, None]] = {}  # that are out, by task
        self._tasks: dict[str, dict[str, bool]] = {}  # whether they have settled, by session
        self._sealed: dict[str, set[str]] = {}

    def _promise(self, key: Hashable, at: int, seconds: float, timers: int, what: str) -> None:
        """Expect something within so many seconds, in which so many timers have to fire."""
        self._made += 1
        due = at + round((seconds + timers * self._late + TURNS) * 1_000_000)
        self._promises[key] = due, what
        heappush(self._due, (due, self._made, key))

    def _keep(self, *key: Hashable) -> None:
        self._promises.pop(key, None)

    def _lane(self, event: Event, name: str, now: int) -> None:
        lane = self._lanes.setdefault(event["lane"], Lane())
        task, slot = event.get("task_id", ""), event.get("slot_id", "")
        match name:
            case "lane_opened" | "lane_updated":
                lane.settings = event
            case "slot_requested":
                lane.waiting[event["request_id"]] = None
                self._keep("retry", task)
            case "request_withdrawn" | "request_dropped":
                lane.waiting.pop(event["request_id"], None)
            case "slot_granted":
                lane.waiting.pop(event["request_id"], None)
                lane.out[slot] = event["weight"]
                lane.last_grant = now
                self._slots.setdefault(task, {})[slot] = None
                lease = lane.settings["lease"]
                self._promise(("lease", slot), now, lease, 1, f"{slot} is out past its lease")
                # the store may still be loading, and an earlier call keep its thread
                settings = self._settings
                seconds = settings.store_timeout + settings.generation_timeout + settings.grace
                self._promise(("use", slot), now, seconds, 3, f"{slot} is out and not used")
                tasks = self._tasks.get(event["session_id"])
                if tasks is None:
                    self._expect_back(task, now, 0)
                elif tasks.get(task):
                    self._expect_back(task, now, self._settings.grace)
            case "slot_released" | "slot_revoked" | "slot_expired":
                lane.out.pop(slot, None)
                out = self._slots.get(task, {})
                out.pop(slot, None)
                if not out:
                    self._slots.pop(task, None)
                self._keep("lease", slot)
                self._keep("slot", slot)
                self._keep("use", slot)
                if name == "slot_expired" and ("call", task) in self._promises:
                    what = f"the call for task {task} goes on though {slot} has expired"
                    self._promise(("call", task), now, 0, 0, what)
        if name in {"slot_granted", "lane_updated"}:
            self._keep("lane", event["lane"])
        free_at = lane.free_at(now)
        if free_at is None:
            self._keep("lane", event["lane"])
        elif ("lane", event["lane"]) not in self._promises:
            what = f"lane {event['lane']} is free, a request waits, and nothing is granted"
            self._promise(("lane", event["lane"]), free_at, 0, 1, what)

    def _expect_back(self, task: str, now: int, seconds: float) -> None:
        """Expect the slots of a task that does not use them any more."""
        for slot in self._slots.get(task, ()):
            what = f"{slot} is out though its task does not use it"
            self._promise(("slot", slot), now, seconds, 1 if seconds else 0, what)

    def _session(self, event: Event, name: str, now: int, session: str) -> None:
        settings, task = self._settings, event.get("task_id", "")
        if name == "session_opened":
            self._tasks[session] = {}
        tasks = self._tasks.get(session)
        if tasks is None:
            return  # it has ended
        match name:
            case "prompt_detected":
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
                self._sealed.pop(session, None)
                self._keep("deadline", session)
                self._keep("write", session)
                return
        if name in {"session_sealed", "task_settled"} and self._is_complete(session):
            seconds = 2 * settings.store_timeout + settings.grace  # it may still be loading
            what = f"session {session} has all that it waits for, and does not end"
            self._promise(("write", session), now, seconds, 3, what)

    def _is_complete(self, session: str) -> bool:
        """Say whether a session has all that its write waits for."""
        sealed, tasks = self._sealed.get(session), self._tasks[session]
        return sealed is not None and all(tasks.get(one) for one in sealed)


class Lane:
    """A lane, as the log shows it."""

    def __init__(self) -> None:
        self.settings: Event = {"max_concurrent": 1, "min_time": 0, "lease": 0}
        self.waiting: dict[str, None] = {}
        self.out: dict[str, int] = {}
        self.last_grant: int | None = None

    def free_at(self, now: int) -> int | None:
        """When a request of weight 1 can be granted; `None` if none waits or the lane is full.

        Where owners or a reservoir have limits of their own it is not said.
        """
        most = self.settings["max_concurrent"]
        if not self.waiting or (most is not None and sum(self.out.values()) >= most):
            return None
        if any(self.settings[name] is not None for name in ("reservoir", "max_per_owner")):
            return None
        if self.last_grant is None:
            return now
        least = round(float(self.settings["min_time"]) * 1_000_000)
        return max(now, self.last_grant + least)
