"""The story of one message or one task: a line a step, in time order, with what it waited for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from limner.messages.events.record import Record, micros, opens_run, stands_for
from limner.messages.unicode import shown
from limner.scripts.inspect.limits import REQUEST_ENDS, SLOT_ENDS, Limits, Waiting
from limner.scripts.inspect.measures import MAX_NAME, span, text
from limner.scripts.inspect.words import many

CLOSEST = 3
"""Ids that are named in place of one that is not there."""


@dataclass(slots=True)
class Told:
    """What of one session has been told and is still of interest."""

    opened: int
    sealed: int | None = None
    awaited: set[str] = field(default_factory=set)
    last: str = ""


class Story:
    """Tells of one message or one task.

    Args:
        message: its id; or
        task: its id.

    Attributes:
        found: whether the log speaks of it.
    """

    def __init__(self, *, message: str | None = None, task: str | None = None) -> None:
        self.found = False
        self._wanted = ("task_id", task) if message is None else ("message_id", message)
        self._of_task = message is None
        self._begin()
        self._runs = 0
        self._run_told = 1

    def _begin(self) -> None:
        self._limits = Limits()
        self._sessions: dict[str, Told] = {}
        self._prompts: dict[str, str] = {}
        self._opened: dict[str, int] = {}
        self._begun: dict[str, int] = {}
        self._began: int | None = None
        self._batches: set[str] = set()  # with the call that is asked for

    def lines(self, events: Iterable[Record]) -> Iterator[str]:
        """Yield the story, a line a step, as the log is read."""
        field, wanted = self._wanted
        for event in events:
            if opens_run(event):
                self._runs += 1
                self._begin()
            ended = self._limits.take(event)
            name, session, now = event["event"], text(event, "session_id"), micros(event)
            if name == "session_opened":
                self._opened[session] = now
            elif name == "session_ended":
                self._opened.pop(session, None)
            if event.get(field) != wanted and not (self._of_task and self._concerns(event, name)):
                continue
            self.found = True
            if self._began is None:
                self._began = now
                if self._runs > 1 and self._runs != self._run_told:
                    self._run_told = self._runs
                    yield f"run {self._runs:,}"
            told = self._sessions.get(session)
            if told is None:
                told = self._sessions[session] = Told(self._opened.get(session, now))
            tell = STEPS.get(name)
            what = tell(self, event, now, told, ended) if tell is not None else named(event)
            if what:
                yield f"{clock(now - self._began)}  {what}{self._whose(event)}"

    def _concerns(self, event: Record, name: str) -> bool:
        """Check whether an event concerns the task, though it does not name it."""
        if name in OF_SESSION:
            return text(event, "session_id") in self._sessions
        if name not in OF_SLOTS:
            return False
        request, requests = text(event, "request_id"), event.get("requests")
        if name == "slot_requested" and isinstance(requests, list) and self._wanted[1] in requests:
            self._batches.add(request)
        known = request in self._batches
        if name in SLOT_ENDS or name in REQUEST_ENDS - {"slot_granted"}:
            self._batches.discard(request)
        return known

    def _whose(self, event: Record) -> str:
        """Return which picture a line of a message's story is about."""
        task = text(event, "task_id")
        if self._of_task or not task or event["event"] in TASK_BEGINS:
            return ""
        return f"  [{self._call(task)}]"

    def _call(self, task: str) -> str:
        prompt = self._prompts.get(task)
        return shown(task, 24) + (f" {prompt}" if prompt else "")

    def opened(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return that the session opens, and for whom."""
        del now, told
        owner = text(event, "owner")
        whose = f" for {shown(owner, 40)}" if owner else ""
        why = " to regenerate" if event.get("kind") == "regeneration" else ""
        return f"the session opens{why}{whose}: {shown(text(event, 'session_id'), 40)}"

    def detected(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return the prompt that was found."""
        task, prompt = text(event, "task_id"), shown(text(event, "prompt"))
        self._prompts[task] = shown(prompt, 40)
        after = f" {span(now - told.opened)} after the opening" if self._of_task else ""
        told.awaited.add(task)
        wanted = event["event"] == "picture_wanted"
        what = "one more picture wanted" if wanted else "prompt found"
        return f"{what}{after}: {prompt}  [{shown(task, 24)}]"

    def sealed(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return what the write will wait for."""
        told.sealed = now
        tasks = event.get("tasks")
        number = len(tasks) if isinstance(tasks, list) else 0
        left = f", {len(told.awaited):,} of them not settled yet" if told.awaited else ""
        reason = shown(text(event, "reason"), 30)
        why = f" ({reason})" if reason != "complete" else ""
        return (
            f"the text is sealed{why} with {many(number, 'picture')}{'' if self._of_task else left}"
        )

    def requested(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return what a request waits behind."""
        del now, told
        before = self._limits.before(text(event, "request_id"))
        lane = shown(text(event, "lane"), 30)
        own, requests = self._limits.inner(event), event.get("requests")
        if stands_for(event) is not None:
            what = f"lane {own or '?'} offers it to lane {lane}, which it is behind"
        elif isinstance(requests, list):
            what = f"a batch of {len(requests):,} asks for a slot of lane {lane}"
        else:
            what = f"asks for a slot of lane {lane}"
        return what + (f": {before}" if before else "")

    def granted(self, event: Record, now: int, told: Told, waits: Waiting | None) -> str:
        """Return how long a request waited, and behind how many."""
        del told
        slot, lane = shown(text(event, "slot_id"), 40), shown(text(event, "lane"), 30)
        what = f"gets slot {slot}"
        if stands_for(event) is not None:
            what = f"lane {lane} grants it too, slot {slot}"
        if waits is None:
            return what
        others = f" behind {waits.ahead:,} other{'' if waits.ahead == 1 else 's'}"
        behind = others if waits.ahead else ""
        halted = self._limits.halted(waits, now)
        idle = f", which granted nothing for {span(halted)} of that" if halted else ""
        return f"{what}: waited {span(now - waits.since)} for lane {lane}{behind}{idle}"

    def unasked(self, event: Record, now: int, told: Told, waits: Waiting | None) -> str:
        """Return that a request ended without a slot."""
        del told
        waited = "" if waits is None else f" after {span(now - waits.since)}"
        is_dropped, lane = event["event"] == "request_dropped", shown(text(event, "lane"), 30)
        if stands_for(event) is None:
            how = "dropped" if is_dropped else "withdrawn"
            return f"the request is {how}{waited}{why(event)}"
        if is_dropped:
            return f"lane {lane} drops it{waited}{why(event)}"
        return f"the offer to lane {lane} is taken back{waited}"

    def asked_back(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return which request preempts the slot."""
        del now, told
        slot, wanted = shown(text(event, "slot_id"), 40), shown(text(event, "wanted"), 40)
        return f"slot {slot} is asked back for request {wanted or '?'}"

    def given_back(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return how a slot has ended."""
        del now, told
        slot, lane = shown(text(event, "slot_id"), 40), shown(text(event, "lane"), 30)
        if stands_for(event) is not None:
            slot = f"{slot} of lane {lane}, which belongs to it,"
        how = {
            "slot_released": "is given back",
            "slot_revoked": "is given back, as was asked",
            "slot_expired": "expires",
        }
        return f"slot {slot} {how[event['event']]}"

    def started(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return that the generator is called."""
        del told
        self._begun[text(event, "task_id")] = now
        return f"the generation starts{attempt(event)} on slot {shown(text(event, 'slot_id'), 40)}"

    def generated(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return that the generator has made a picture."""
        del told
        return f"the picture is made{self._took(event, now)}"

    def failed(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return why a generation failed."""
        del told
        final = ", for good" if event.get("final") is True else ""
        return f"the generation fails{self._took(event, now)}{final}{why(event)}"

    def abandoned(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return that nobody waits for the call any more."""
        del told
        return f"the call is abandoned{self._took(event, now)}"

    def retried(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return how long a task waits before its retry."""
        del now, told
        delay: Any = event.get("delay")
        usable = isinstance(delay, int | float) and 0 <= delay < 1e9
        wait = f" after {span(delay * 1e6)}" if usable else ""
        return f"backs off: will be tried again{wait}"

    def settled(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return how a task was settled."""
        del now
        task = text(event, "task_id")
        told.awaited.discard(task)
        if told.sealed is not None:
            told.last = task
        kept = " with a picture of an earlier session" if event.get("kept") is True else ""
        left = ""
        if told.sealed is not None and told.awaited and not self._of_task:
            left = f"; the write waits for {len(told.awaited):,} more"
        return f"settled as {shown(text(event, 'state'), 30)}{kept}{why(event)}{left}"

    def written(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return what the write waited for, and what it placed."""
        after = ""
        if told.sealed is not None:
            after = f" {span(now - told.sealed)} after the seal"
            if told.last and not self._of_task:
                after += f", last waited for task {self._call(told.last)}"
        placed, unplaced = (event.get(name) for name in ("placed", "unplaced"))
        numbers = [
            len(tasks) if isinstance(tasks, list | dict) else 0 for tasks in (placed, unplaced)
        ]
        what = f"{many(numbers[0], 'picture')} placed" + (
            f", {numbers[1]:,} not" if numbers[1] else ""
        )
        if self._of_task and isinstance(unplaced, dict) and self._wanted[1] in unplaced:
            what = f"this picture not placed: {shown(str(unplaced[self._wanted[1]]), 200)}"
        removed = event.get("removed")
        if isinstance(removed, list) and removed and not self._of_task:
            what += f", {len(removed):,} taken out"
        return f"the text is written{after}; {what}"

    def edited(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return what an edit outside of a session did."""
        del now, told
        numbers = [
            f"{many(len(event[name]), 'picture')} {what}"
            for name, what in (
                ("placed", "put in"),
                ("removed", "taken out"),
                ("unplaced", "not placed"),
            )
            if isinstance(event.get(name), list | dict) and event[name]
        ]
        kind = shown(text(event, "kind"), 30)
        how = {"text_edited": "changes the text", "edit_unneeded": "changes nothing"}
        said = how.get(event["event"], "fails")
        late = ", after it was given up" if event.get("late") is True else ""
        return f"{kind} {said}{late}{why(event)}" + "".join(f", {number}" for number in numbers)

    def skipped(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return why nothing was written."""
        del now, told
        awaited = event.get("awaited")
        left = ""
        if isinstance(awaited, list) and awaited:
            first = ", ".join(self._call(str(task)[:MAX_NAME]) for task in awaited[:3])
            more = f" and {len(awaited) - 3:,} more" if len(awaited) > 3 else ""
            left = f"; it waited for {first}{more}"
        return f"nothing is written{why(event)}{left}"

    def ended(self, event: Record, now: int, told: Told, _: Waiting | None) -> str:
        """Return how the session ended."""
        outcome = shown(text(event, "outcome"), 30)
        return (
            f"the session ends as {outcome}, {span(now - told.opened)} after it opened{why(event)}"
        )

    def _took(self, event: Record, now: int) -> str:
        started = self._begun.pop(text(event, "task_id"), None)
        return "" if started is None else f" after {span(now - started)}"


STEPS: dict[str, Callable[[Story, Record, int, Told, Waiting | None], str]] = {
    "session_opened": Story.opened,
    "prompt_detected": Story.detected,
    "picture_wanted": Story.detected,
    "session_sealed": Story.sealed,
    "slot_requested": Story.requested,
    "slot_granted": Story.granted,
    "request_dropped": Story.unasked,
    "request_withdrawn": Story.unasked,
    "slot_asked_back": Story.asked_back,
    "slot_released": Story.given_back,
    "slot_revoked": Story.given_back,
    "slot_expired": Story.given_back,
    "generation_started": Story.started,
    "generation_completed": Story.generated,
    "generation_failed": Story.failed,
    "call_abandoned": Story.abandoned,
    "generation_retried": Story.retried,
    "task_settled": Story.settled,
    "text_written": Story.written,
    "write_skipped": Story.skipped,
    "text_edited": Story.edited,
    "edit_unneeded": Story.edited,
    "edit_failed": Story.edited,
    "session_ended": Story.ended,
}
TASK_BEGINS = frozenset(["prompt_detected", "picture_wanted"])
OF_SESSION = frozenset(["session_sealed", "text_written", "write_skipped", "session_ended"])
OF_SLOTS = frozenset(["slot_requested", "slot_asked_back", *REQUEST_ENDS, *SLOT_ENDS])


def closest(events: Iterable[Record], wanted: str, *, field: str) -> list[str]:
    """Return the ids in a log that are most like one that is not in it.

    Args:
        events: of the log.
        wanted: the id that somebody asked for.
        field: where the log has such ids, `message_id` or `task_id`.
    """
    matcher = SequenceMatcher(b=wanted[:MAX_NAME], autojunk=False)
    best: list[tuple[float, str]] = []
    names = {"message_id": {"session_opened"}, "task_id": {*TASK_BEGINS, "slot_requested"}}
    for event in events:
        if event["event"] not in names[field]:
            continue
        name = text(event, field)
        least = best[-1][0] if len(best) == CLOSEST else 0.6
        if any(name == known for _, known in best):
            continue
        if wanted and name.startswith(wanted):
            likeness = 2.0 - len(name) / MAX_NAME
        else:
            matcher.set_seq1(name)
            if matcher.real_quick_ratio() <= least or matcher.quick_ratio() <= least:
                continue
            likeness = matcher.ratio()
        if likeness > least:
            best = sorted([*best, (likeness, name)], reverse=True)[:CLOSEST]
    return [name for _, name in best]


def named(event: Record) -> str:
    """Return the name of an event that has no sentence of its own, in words."""
    return shown(event["event"].replace("_", " "), 60) + why(event)


def why(event: Record) -> str:
    """Return the reason that an event gives, after a colon; empty if it gives none."""
    reason: Any = event.get("reason")
    return f": {shown(reason, 200)}" if isinstance(reason, str) and reason else ""


def attempt(event: Record) -> str:
    """Return which attempt it is; empty for the first."""
    number = event.get("attempt")
    return f" (attempt {number:,})" if type(number) is int and number > 1 else ""


def clock(passed: int) -> str:
    """Return the seconds since the story's beginning, as a column."""
    return f"{passed / 1_000_000:+11.3f} s"
