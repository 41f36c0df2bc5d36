"""Whenever there is room and a request may have it, it is granted: over drawn loads and changes."""

from contextlib import closing

import pytest
from support.invariants import violations
from support.quick import first_is_quick

from limner.actors import PooledActor, SimulatedSystem
from limner.actors.event_log import EventLog
from limner.actors.limiter.limiter import LimiterActor
from limner.actors.system import ActorEnded
from limner.messages.limiter.control import PauseLane, ResumeLane, UpdateLane
from limner.messages.limiter.protocol import (
    ReleaseSlot,
    RequestDropped,
    RequestSlot,
    SessionGone,
    SlotExpired,
    SlotGranted,
    SlotRevoked,
    WithdrawRequest,
)
from limner.messages.limiter.settings import LaneSettings

SEEDS = 1_000
AT_ONCE = 100
"""Seeds a test, so that one sees how far it is."""
PROMPT = 2_000_000
"""Microseconds within which what may be granted is: far more than the turns of all actors take."""
LOAD = 60
"""Seconds for which requests come and lanes change."""
THE_REST = 1_500
"""Seconds in which all is over then: 160 requests of ten seconds, five at a time, and a lease."""


class Draws:
    """What a seed draws."""

    def __init__(self, system):
        self.random = system.random("load").random

    def upto(self, most):
        return self.random() * most

    def among(self, *values):
        return values[int(self.random() * len(values))]

    def chance(self, share):
        return self.random() < share


def drawn_settings(draws, **fixed):
    values = {
        "max_concurrent": draws.among(None, 1, 2, 3, 5),
        "min_time": draws.among(0, 0, 0.1, 1),
        "max_per_owner": draws.among(None, None, 1, 2),
        "high_water": draws.among(None, None, 3, 10),
        "strategy": draws.among("leak", "overflow_priority", "overflow", "block"),
        "penalty": draws.among(None, 1),
        "max_wait": draws.among(None, None, 20),
        "lease": draws.among(2, 10, 600),
        "grace": draws.among(0.5, 3),
        "preempt": draws.among(False, True),
        "ageing": draws.among(None, 5, 60),
        "circuit_failures": draws.among(2, 5),
        "circuit_seconds": draws.among(1, 10),
        "adapt": draws.among(True, False),
    }
    if draws.chance(0.3):
        values |= {"reservoir": 4, "reservoir_refresh_amount": 4, "reservoir_refresh_interval": 3}
    elif draws.chance(0.2):
        values |= {
            "reservoir": 0,
            "reservoir_increase_amount": 1,
            "reservoir_increase_interval": 0.5,
            "reservoir_increase_maximum": 4,
        }
    return LaneSettings(**values | fixed)


class Going:
    """What a requester is told by its own timer: a slot is used, or a request no more wanted."""

    def __init__(self, message):
        self.message = message


class Requester(PooledActor):
    """Requests slots and holds them for a while; some never return one, some die with it."""

    def __init__(self, limiter, draws, number, names):
        super().__init__()
        self.limiter, self.draws = limiter, draws
        self.owner = draws.among(None, "a", "b", "c")
        self.names = names
        self.left = draws.among(1, 3, 8)
        self.session = f"session-{number}"
        self.deadly = draws.chance(0.15)
        self.deaf = draws.chance(0.1)
        self.fails = draws.among(0.0, 0.3, 1.0)

    def on_receive(self, message):
        draws = self.draws
        match message:
            case "begin" if self.left:
                self.left -= 1
                self.ask()
                self.later(draws.among(0, 0, draws.upto(10)), "begin")
            case SlotGranted():
                if self.deadly and draws.chance(0.3):
                    raise RuntimeError("drawn")
                if not self.deaf:
                    failed = draws.chance(self.fails)
                    release = ReleaseSlot(
                        slot_id=message.slot_id,
                        failed=draws.among(failed, failed, None),
                        retry_after=draws.among(None, 2) if failed else None,
                    )
                    self.later(draws.among(0, draws.upto(5)), Going(release))
            case SlotRevoked():
                if not self.deaf:
                    release = ReleaseSlot(slot_id=message.slot_id)
                    self.later(draws.among(0, draws.upto(4)), Going(release))
            case Going():
                self.limiter.tell(message.message)
            case SlotExpired() | RequestDropped():
                pass

    def ask(self):
        draws = self.draws
        name = f"{self.session}-{self.left}"
        self.limiter.tell(
            RequestSlot(
                request_id=name,
                session_id=self.session,
                message_id=self.session,
                task_id=name,
                lane=draws.among(*self.names),
                owner=self.owner,
                priority=draws.among(3, 7, int(draws.upto(10))),
                weight=draws.among(1, 1, 1, 2, 3),
                revocable=draws.chance(0.8),
                reply_to=self.actor_ref,
            )
        )
        if draws.chance(0.2):
            self.later(draws.upto(8), Going(WithdrawRequest(request_id=name)))

    def later(self, seconds, message):
        self.system.clock.after(seconds, self.actor_ref, message)


class Host(PooledActor):
    """Starts the limiter and the requesters, changes lanes; tells of those that have died."""

    def __init__(self, log, draws, lanes, groups):
        super().__init__()
        self.draws = draws
        self.lanes = lanes
        self.groups = groups
        self.limiter = LimiterActor.start(log, lanes, groups)
        self.sessions = {}
        names = [*lanes, *(f"{group}:{key}" for group in groups for key in "xyz")]
        for number in range(draws.among(1, 5, 20)):
            requester = Requester.start(self.limiter, draws, number, names)
            self.sessions[requester.actor_urn] = f"session-{number}"
            self.system.clock.after(draws.upto(LOAD / 2), requester, "begin")
        self.system.clock.after(LOAD, self.actor_ref, "over")
        for _ in range(draws.among(0, 2, 8)):
            self.system.clock.after(draws.upto(LOAD), self.actor_ref, "change")

    def on_receive(self, message):
        draws = self.draws
        match message:
            case ActorEnded():
                session = self.sessions.get(message.ref.actor_urn)
                if session is not None:
                    self.limiter.tell(SessionGone(session_id=session))
            case "change":
                name = draws.among(*self.lanes)
                behind = self.lanes[name].behind
                self.limiter.tell(
                    draws.among(
                        UpdateLane(lane=name, settings=drawn_settings(draws, behind=behind)),
                        PauseLane(lane=name, seconds=draws.among(None, 3)),
                        ResumeLane(lane=name),
                    )
                )
            case "over":
                pass
            case "open all":
                for name in self.lanes:
                    self.limiter.tell(ResumeLane(lane=name))
                for name, settings in (self.lanes | self.groups).items():
                    plain = LaneSettings(
                        max_concurrent=5, behind=settings.behind, lease=10, adapt=False
                    )
                    self.limiter.tell(UpdateLane(lane=name, settings=plain))


class Log(PooledActor):
    """Keeps the events of the limiter, as they are in an event log."""

    def __init__(self):
        super().__init__()
        self.events = []

    def on_receive(self, event):
        fields = {"seq": len(self.events) + 1, "t": event.t / 1e6, "event": event.event}
        self.events.append(fields | event.fields | {"task_id": event.task_id})


def has_room(lane, request, now, last_grant):
    """Return whether a lane's own limits allow a request, if it is its turn."""
    settings, out = lane.settings, sum(slot.request.weight for slot in lane.leases)
    of_owner = sum(slot.request.owner == request.owner for slot in lane.leases)
    return (
        not lane.paused(now)
        and (lane.circuit is None or lane.circuit.state == "closed")
        and (settings.max_concurrent is None or out + request.weight <= settings.max_concurrent)
        and now >= last_grant.get(lane.name, -1e9) + settings.min_time * 1_000_000
        and (settings.reservoir is None or settings.reservoir_refresh_interval is None)
        and (settings.reservoir_increase_interval is None)
        and (
            settings.max_per_owner is None
            or request.owner is None
            or of_owner < settings.max_per_owner
        )
        and all(slot.revoked_for is None for slot in lane.leases)
    )


def kept_waiting(limiter, now, events):
    """Return the lanes in which all that may be next has room, and none is granted."""
    last = {}
    for event in reversed(events):
        if event["event"] == "slot_granted":
            last.setdefault(event["lane"], round(event["t"] * 1e6))
    lanes = limiter.lanes.lanes
    for lane in lanes.values():
        own = [queued.request for queued in lane.all_waiting()]
        if not own:
            continue
        path = [lane]
        while path[-1].settings.behind is not None:
            path.append(lanes[path[-1].settings.behind])
        others = [queued.request for further in path[1:] for queued in further.all_waiting()]
        if (
            any(request.stands_for is None for request in others)
            or len({request.task_id for request in others}) > 1
        ):
            continue  # another has its turn there
        if all(has_room(each, request, now, last) for request in own for each in path):
            yield lane.name


def run(seed):
    with closing(SimulatedSystem(seed)) as system, system:
        draws = Draws(system)
        lanes = {"image": drawn_settings(draws)}
        groups = {}
        if draws.chance(0.5):
            lanes["alone"] = drawn_settings(draws)
        if draws.chance(0.5):
            lanes["inner"] = drawn_settings(draws, behind="image")
            if draws.chance(0.3):
                lanes["far"] = drawn_settings(draws, behind="inner")
        if draws.chance(0.4):
            groups["host"] = drawn_settings(draws, behind=draws.among(None, "image"))
        log = EventLog(system.clock, on=True)
        log.recorder = Log.start()
        events = log.recorder.actor_inbox.actor.events
        host = Host.start(log, draws, lanes, groups)
        ref = host.actor_inbox.actor.limiter
        limiter = ref.actor_inbox.actor
        since = {}

        def over():
            now = system.clock.now
            kept = set(kept_waiting(limiter, now, events)) if ref.actor_inbox.empty() else ()
            for name in since.keys() - kept:
                del since[name]
            for name in kept:
                first = since.setdefault(name, now)
                assert now - first < PROMPT, f"seed {seed}: {name} is free and grants nothing"
            return now >= LOAD * 1_000_000

        system.run_until(over)
        host.tell("open all")
        system.run_until(LOAD + THE_REST)
        left = limiter.lanes
        for lane in left.lanes.values():
            assert lane.idle, f"seed {seed}: {lane.waiting} wait, {len(lane.leases)} are out"
        assert set(left.lanes) == set(lanes), "a lane of a group is left"
        assert violations(events, closed=False) == []
        return len(events)


@pytest.mark.parametrize("first", first_is_quick(range(0, SEEDS, AT_ONCE)))
def test_what_may_be_granted_is_and_nothing_is_left_in_the_end(first):
    assert sum(run(seed) for seed in range(first, first + AT_ONCE)) > 10 * AT_ONCE
