"""What a set of lanes must do, read from its steps alone, and lanes as their actor drives them.

Each lane is read as a plain one, to which everything happens that was told of it. It grants nothing
itself: it is asked which request the lane would have to grant, and each step told is checked on the
way. An offer, and the slot that it gets, is known by its *root*: the request that it stands for in
the end.
"""

from itertools import count

from support.lane_model import Out, PlainLane, first_after, least_important, micros

from limner.messages.limiter.lane_set import LaneSet
from limner.messages.limiter.protocol import ReleaseSlot, RequestSlot
from limner.messages.limiter.refusal import Refusal
from limner.messages.limiter.request_queue import ACTIVE
from limner.messages.limiter.settings import LaneSettings
from limner.messages.validation import group_of

NAMES = count()

BACK = {"slot_released", "slot_revoked", "slot_expired"}
AT_ONCE = {Refusal.HIGH_WATER, Refusal.BLOCKED, Refusal.OWNER_LIMIT}
STATES = {"circuit_open": "open", "circuit_half_open": "half-open", "circuit_closed": "closed"}


def slot_request(name=None, lane="image", **values):
    values = {"session_id": "s", "message_id": "m", "task_id": "t", "reply_to": None} | values
    values.setdefault("revoked", values.get("since") is not None)
    return RequestSlot(request_id=name or f"r{next(NAMES)}", lane=lane, **values)


class Roots(dict):
    """The root of each request, by its id."""

    def of(self, request):
        root = request.request_id
        if request.stands_for is not None:
            root = self[request.stands_for]
        return self.setdefault(request.request_id, root)


class PlainCircuit:
    """A circuit that remembers of each call how often it had opened when the call began."""

    def __init__(self):
        self.state, self.row, self.until, self.probe = "closed", 0, 0, None
        self.opened, self.went = 0, {}
        self.failed_probes = []  # when they failed, since it was closed

    def allows(self, now):
        return self.state == "closed" or (now >= self.until and self.probe is None)

    def granted(self, root):
        self.went[root] = self.opened
        if self.state != "closed":
            self.state, self.probe = "half-open", root

    def ended(self, root, failed, now, settings):
        went = self.went.pop(root, 0)
        if went < self.opened or (self.state != "closed" and root != self.probe):
            return
        self.probe = None
        if failed and self.state != "closed":
            self.failed_probes.append(now)
        elif failed is False:
            self.failed_probes = []
        if failed is not None:
            self.row = self.row + 1 if failed else 0
        if failed:
            self.until = now + micros(settings.circuit_seconds)
        if failed and (self.state != "closed" or self.row >= settings.circuit_failures):
            self.state = "open"
            self.opened += 1
        elif failed is False:
            self.state = "closed"

    def waits_in_vain(self, asked, settings):
        """Return whether a request is to be dropped that has waited since then."""
        if self.state != "open" or settings.circuit_patience is None:
            return False
        probes = len(self.failed_probes)
        return probes >= settings.circuit_patience and asked < self.failed_probes[-1]


class SeenLane(PlainLane):
    """A lane as the steps tell of it."""

    def __init__(self, name, settings, now, further, roots):
        super().__init__(settings, now)
        self.name, self.further, self.roots = name, further, roots
        self.circuit = PlainCircuit()
        self.state = "closed"  # of its circuit, by the last step
        self.claims = set()  # the requests for which slots were revoked
        self.change(settings, now)

    def change(self, settings, now):
        self.reservoir.change(settings, now)
        self.budgets.change(settings.budgets, now)
        self.settings = settings
        if not settings.adapt:
            self.circuit = None
        elif self.circuit is None:
            self.circuit = PlainCircuit()

    def chain(self):
        """Return the lane and those that it stands behind, the nearest first."""
        return [self] if self.further is None else [self, *self.further.chain()]

    def is_full(self, owner):
        return super().is_full(owner) or (self.further is not None and self.further.is_full(owner))

    def owner_allows(self, request, now):
        further = self.further
        allowed = further is None or further.owner_allows(request, now)
        return allowed and super().owner_allows(request, now)

    def may_go(self, request, now):
        return super().may_go(request, now) and (self.circuit is None or self.circuit.allows(now))

    def wanted(self, now):
        """Return the request that the lane itself would grant now, if any."""
        best = self.best(now)
        return best.request if best is not None and self.may_go(best.request, now) else None

    def of(self, root):
        """Return the slot that is out for a request, by its root."""
        return next(slot for slot in self.leases if self.roots.of(slot.request) == root)

    def idle(self):
        return not self.waiting and not self.leases

    def remembered_until(self, now):
        """Return from when on a new lane would be as this one, if it is idle; `None` for never."""
        self.reservoir.fill(now)
        if self.ending or (self.reservoir.left or 0) < (self.settings.reservoir or 0):
            return None
        times = [now, self.paused_until, self.blocked_until, self.budgets.full_at(now)]
        if self.last_grant is not None:
            times.append(self.last_grant + micros(self.settings.min_time))
        if self.circuit is not None and self.circuit.row:
            times.append(self.circuit.until)
        return max(times)

    def next_moment(self, now):
        moments = [super().next_moment(now), self.blocked_until]
        for lane in self.chain():
            if lane.settings.max_wait is not None:
                moments += [wait.asked + micros(lane.settings.max_wait) for wait in self.waiting]
        if self.circuit is not None:
            moments.append(self.circuit.until)
        if self.waiting:
            moments += [time for lane in self.chain() for time in lane.budgets.moments(now)]
        if self.idle():
            moments += [self.paused_until, self.reservoir.due, self.remembered_until(now)]
        return first_after(now, moments)


class SeenLanes:
    """A set of lanes as the steps tell of it."""

    def __init__(self, groups):
        self.groups = dict(groups)
        self.lanes = {}
        self.roots = Roots()
        self.hosts = {}  # that answered the call of a request, by root
        self.own = {}  # the lane of each request that waits or is out, by request
        self.known = {}  # the slot that its holder knows, by request
        self.ends = {}  # how each request of each lane has ended
        self.slots = {}  # how each slot that there ever was has ended; `None` if it is out
        self.ending, self.drained = set(), []
        self.charges = {}  # what calls have taken of budgets, by request and lane

    # What has happened

    def read(self, steps, now, *, said=None, asked=None):
        """Read and check what a call has led to.

        Args:
            steps: what has happened.
            now: the time.
            said: whether the call of a slot that was returned has failed, by root.
            asked: the lane of the request, if the call was one.
        """
        said, granted = said or {}, []
        self.newcomer = None
        before = {name: len(self.waiting_for(lane)) for name, lane in self.lanes.items()}
        for index, step in enumerate(steps):
            name = step.lane.name
            if not hasattr(step, "request"):
                self.lane_changed(step, now)
                continue
            lane, request, root = self.lanes[name], step.request, self.roots.of(step.request)
            match step.event:
                case "slot_requested":
                    self.requested(lane, request, now, self.refused(steps[index:], now))
                case "slot_granted":
                    if lane.further is None:
                        self.check_chain(root, now)
                    self.granted(lane, step.slot, root, now)
                    if lane is self.own[root]:
                        granted.append(step.slot)
                case "request_dropped":
                    self.check_drop(lane, step, now, asked)
                    self.ended(lane, step, root)
                case "request_withdrawn":
                    self.ended(lane, step, root)
                case "request_prioritised":
                    assert self.ends[name, request.request_id] is None, "I5"
                    lane.prioritise(request)
                    if request.priority > ACTIVE:
                        lane.claims.discard(request.request_id)
                case "costs_settled":
                    self.settled(lane, step, root, now)
                case "slot_asked_back":
                    self.asked_back(lane, step, root, now)
                case event if event in BACK:
                    self.came_back(lane, step, root, now, said)
                case event:
                    raise AssertionError(event)
        for slot in granted:
            self.check_expiry(slot)
        self.check_out()
        self.check_room(before)

    # What waits for a lane, wherever it stands

    def waiting_for(self, lane):
        """Return the requests that wait for a lane, in the order in which they came."""
        names = [root for root, own in self.own.items() if lane in own.chain()]
        waits = [self.own_wait(root) for root in names if root not in self.known]
        return sorted((wait for wait in waits if wait), key=lambda wait: wait.asked)

    def own_wait(self, root):
        """Return a request that waits, as it stands in its own lane."""
        waiting = self.own[root].waiting
        return next((wait for wait in waiting if wait.request.request_id == root), None)

    def check_room(self, before):
        """Check that no lane has let one more wait than its bounds allow.

        Args:
            before: how many requests waited for each lane before.
        """
        if self.newcomer is None or self.newcomer.revoked:
            return
        root = self.newcomer.request_id
        if root not in self.own or self.own_wait(root) is None:
            return
        for lane in self.own[root].chain():
            waits, settings = self.waiting_for(lane), lane.settings
            if settings.high_water is not None:
                assert len(waits) <= max(settings.high_water, before.get(lane.name, 0))
            most, owner = settings.max_waiting_per_owner, self.newcomer.owner
            if most is not None and owner is not None:
                assert sum(wait.request.owner == owner for wait in waits) <= most

    def check_overflow(self, lane, victim):
        """Check that a lane is past its high water, and that the right request goes."""
        waits, strategy = self.waiting_for(lane), lane.settings.strategy
        assert len(waits) > lane.settings.high_water
        least = max(wait.request.priority for wait in waits)
        if strategy == "overflow" or (
            strategy == "overflow_priority" and least <= self.newcomer.priority
        ):
            assert victim.request.request_id == self.newcomer.request_id
            return
        assert strategy in {"leak", "overflow_priority"}
        oldest = [wait for wait in waits if wait.request.priority == least]
        firsts = [wait for wait in oldest if wait.asked == oldest[0].asked]
        # of several that came at one time, each may count as the oldest
        may_go = []
        for first in firsts:
            found = least_important([first, *oldest])
            may_go += [
                wait
                for wait in oldest
                if wait is found
                or (
                    wait.request.message_id == found.request.message_id is not None
                    and (wait.request.place, wait.asked) == (found.request.place, found.asked)
                )
            ]
        assert victim in may_go

    def lane_changed(self, step, now):
        name, fields = step.lane.name, step.fields
        if step.event == "lane_opened":
            assert name not in self.lanes
            settings = LaneSettings(**fields)
            behind = settings.behind
            further = None if behind is None else self.lanes[behind]
            self.lanes[name] = SeenLane(name, settings, now, further, self.roots)
            return
        lane = self.lanes[name]
        match step.event:
            case "lane_updated":
                lane.change(LaneSettings(**fields), now)
            case "lane_paused":
                until = (
                    float("inf") if fields["seconds"] is None else now + micros(fields["seconds"])
                )
                lane.pause(max(until, lane.paused_until) if "reason" in fields else until)
            case "budget_corrected":
                until = round(fields["until"] * 1_000_000)
                owner, remaining = fields.get("owner"), fields["remaining"]
                assert lane.budgets.correct(fields["budget"], remaining, until, now, owner)
            case "lane_resumed":
                lane.resume()
            case "lane_ending":
                lane.ending = fields["how"]
            case "lane_idle":
                assert lane.idle()
            case "lane_drained":
                assert all(other.idle() for other in self.lanes.values() if lane in other.chain())
                self.ending.remove(name)
                self.drained.append(name)
            case "lane_dropped":
                assert lane.settings == self.groups[group_of(name)]
                assert lane.idle()
                assert lane.remembered_until(now) == now
                del self.lanes[name]
            case event:
                assert STATES[event] != lane.state
                lane.state = STATES[event]

    def refused(self, steps, now):
        """Return whether a request was refused, and so never waited."""
        first, *rest = steps
        drop = rest[0] if rest else None
        return (
            drop is not None
            and drop.event == "request_dropped"
            and drop.request is first.request
            and drop.lane is first.lane
            and drop.drop.refusal not in AT_ONCE - {Refusal.BLOCKED}
            and (
                drop.drop.refusal is not Refusal.BLOCKED
                or now < self.lanes[drop.drop.lane].blocked_until
            )
        )

    def requested(self, lane, request, now, refused):
        root, name = self.roots.of(request), request.request_id
        if request.stands_for is None:
            self.newcomer = request
        key = lane.name, name
        assert key not in self.ends, "I5"
        self.ends[key] = None
        if request.stands_for is None:
            self.own[root] = lane
        else:
            waiting = [wait.request.request_id for wait in self.nearer(root, lane).waiting]
            assert request.stands_for in waiting
        assert lane in self.own[root].chain()
        if refused:
            return
        lane.enqueue(request, now)

    def ended(self, lane, step, root):
        """Record that a request has ended, once, without a slot."""
        self.end_once(lane, step)
        lane.withdraw(step.request.request_id)
        lane.claims.discard(step.request.request_id)
        if lane is self.own.get(root):
            del self.own[root]

    def end_once(self, lane, step):
        key = lane.name, step.request.request_id
        assert key in self.ends, "I5"
        assert self.ends[key] is None, "I5"
        self.ends[key] = step.event

    def check_chain(self, root, now):
        """Check that a request that is granted was the next in each lane of its chain."""
        for lane in self.own[root].chain():
            of_root = [wait.request for wait in lane.waiting if self.roots.of(wait.request) == root]
            assert len(of_root) == 1
            assert lane.may_go(of_root[0], now) or lane.claims
            assert lane.claims or lane.best(now).request is of_root[0]

    def granted(self, lane, slot, root, now):
        request, settings = slot.request, lane.settings
        (wait,) = (wait for wait in lane.waiting if wait.request is request)
        lane.waiting.remove(wait)
        lane.claims.discard(request.request_id)
        assert self.ends[lane.name, request.request_id] is None, "I5"
        self.ends[lane.name, request.request_id] = "slot_granted"
        assert slot.id not in self.slots, "I5"
        self.slots[slot.id] = None
        if lane.last_grant is not None:
            assert now - lane.last_grant >= micros(settings.min_time), "I4"
        lane.last_grant = now
        assert lane.budgets.allows(request, now), "a budget is overspent"
        taken = lane.budgets.take(request, now)
        self.check_costs(taken, slot)
        lane.leases.append(Out(request, slot.number, now + micros(settings.lease), taken))
        if slot.taken is not None:
            self.charges.setdefault(root, {})[lane.name] = lane, request, taken
        if settings.max_concurrent is not None:
            assert sum(out.request.weight for out in lane.leases) <= settings.max_concurrent, "I3"
        held = sum(out.request.owner == request.owner for out in lane.leases)
        if request.owner is not None and settings.max_per_owner is not None:
            assert held <= settings.max_per_owner
        if lane.reservoir.left is not None:
            lane.reservoir.left -= request.weight
            assert lane.reservoir.left >= 0
        if lane.circuit is not None:
            lane.circuit.granted(root)
        lane.note_next(wait.line, now)
        if lane is self.own[root]:
            self.known[root] = slot

    def check_costs(self, taken, slot):
        """Check that a slot has taken of budgets what the model has."""
        units = {name: of_budget.units for name, of_budget in (slot.taken or {}).items()}
        assert units == {name: took for name, (_, _, took) in taken.items()}

    def settled(self, lane, step, root, now):
        """Record that a call has cost another amount, as the slot says."""
        _, request, taken = self.charges[root].setdefault(lane.name, (lane, step.request, {}))
        costs = {name: of_budget.units for name, of_budget in step.slot.taken.items()}
        assert lane.budgets.settle(taken, request, costs, now)
        self.check_costs(taken, step.slot)

    def check_expiry(self, slot):
        """Check that no holder is told a longer lease than each lane of its chain allows."""
        root = self.roots.of(slot.request)
        if root in self.known:
            outs = [lane.of(root) for lane in self.own[root].chain()]
            if not any(hasattr(out, "asked") for out in outs):
                assert slot.expires_at == min(out.expires_at for out in outs)

    def check_drop(self, lane, step, now, asked):
        """Check why a request, or what stands for it, was dropped, by the lane that says so."""
        request, drop, refusal = step.request, step.drop, step.drop.refusal
        chain, bounding = lane.chain(), self.lanes[drop.lane]
        assert drop.request is request
        assert bounding in chain
        where = "" if bounding is lane else f" in lane {drop.lane}"
        assert drop.reason.partition(": ")[0] == f"{refusal.value}{where}"
        root = self.roots.of(request)
        wait = self.own_wait(root)
        if refusal in AT_ONCE:
            assert bounding in self.lanes[asked].chain()
        match refusal:
            case Refusal.HIGH_WATER:
                self.check_overflow(bounding, wait)
            case Refusal.OWNER_LIMIT:
                assert root == self.newcomer.request_id
                waits = self.waiting_for(bounding)
                of_owner = [other for other in waits if other.request.owner == request.owner]
                assert len(of_owner) > bounding.settings.max_waiting_per_owner
            case Refusal.TOO_HEAVY:
                assert any(not other.can_fit(request, now) for other in chain)
            case Refusal.DEADLINE:
                assert request.refuse_late or request.deadline <= now
            case Refusal.MAX_WAIT:
                assert now - wait.asked >= micros(bounding.settings.max_wait)
            case Refusal.BLOCKED:
                bounding.block(now)
            case Refusal.CIRCUIT_OPEN:
                assert bounding.circuit.waits_in_vain(wait.asked, bounding.settings)
            case _:
                assert refusal.value in [f"the lane is {other.ending}" for other in chain]

    def asked_back(self, lane, step, root, now):
        out, request = lane.of(root), step.request
        assert lane.settings.preempt
        assert request.priority >= 7
        assert request.revocable
        assert not hasattr(out, "asked"), "it is asked back once"
        out.asked = True
        out.expires_at = min(out.expires_at, now + micros(lane.settings.grace))
        assert step.holder is self.known[root]
        (wanted,) = (
            wait.request
            for wait in lane.waiting
            if wait.request.request_id == step.slot.revoked_for
        )
        assert wanted.priority <= 3
        lane.claims.add(wanted.request_id)

    def backing(self, root):
        """Return the lane that has the back end of a call."""
        lane = self.own[root]
        while lane.settings.backs_off == "upstream" and lane.further is not None:
            lane = lane.further
        wanted = lane.settings.backs_off
        if wanted is None:
            wanted = self.hosts.get(root)
        named = [each for each in lane.chain() if wanted in (each.name, each.name.split(":")[-1])]
        return named[-1] if named else lane

    def came_back(self, lane, step, root, now, said):
        slot = step.slot
        assert slot.id in self.slots, "I5"
        assert self.slots[slot.id] is None, "I5"
        self.slots[slot.id] = step.event
        out = lane.of(root)
        assert out.request == slot.request
        if step.event != "slot_expired":
            assert (step.event == "slot_revoked") == hasattr(out, "asked")
        elif lane is self.own[root]:
            assert any(each.of(root).expires_at <= now for each in lane.chain())
        lane.leases.remove(out)
        if lane is self.own[root]:
            assert slot is self.known.pop(root)
        failed = True if step.event == "slot_expired" else said.get(root)
        if lane.circuit is not None:
            own = lane is self.backing(root) or lane.circuit.probe == root
            lane.circuit.ended(root, failed if own else None, now, lane.settings)
        if lane.further is None:
            del self.own[root]

    # What must hold once a call is over

    def check_out(self):
        """Check that each holder's slot is out in each lane of its chain, and no other slot is."""
        for lane in self.lanes.values():
            out = sorted(self.roots.of(slot.request) for slot in lane.leases)
            assert out == sorted(r for r in self.known if lane in self.own[r].chain())

    def check_settled(self, now):
        """Check that nothing is left to be done, now that each lane was checked that was due."""
        for lane in self.lanes.values():
            settings = lane.settings
            assert all(out.expires_at > now for out in lane.leases)
            waits = self.waiting_for(lane)
            if settings.max_wait is not None:
                assert all(now - wait.asked < micros(settings.max_wait) for wait in waits)
            if lane.circuit is not None:
                in_vain = [lane.circuit.waits_in_vain(wait.asked, settings) for wait in waits]
                assert not any(in_vain)
            for wait in lane.waiting:
                most = [each.settings.max_concurrent for each in lane.chain()]
                assert all(each is None or wait.request.weight <= each for each in most)
            self.check_granting(lane, now)
            if lane.circuit is not None or lane.state != "closed":
                assert lane.state == (lane.circuit.state if lane.circuit else "closed")
            if lane.name in self.ending:
                assert not all(
                    other.idle() for other in self.lanes.values() if lane in other.chain()
                )
            group = group_of(lane.name)
            if group in self.groups and lane.idle() and lane.settings == self.groups[group]:
                until = lane.remembered_until(now)
                assert until is None or until > now

    def check_granting(self, lane, now):
        """Check that what a lane would grant is offered upstream, or granted if there is none."""
        if lane.claims:
            return
        wanted = lane.wanted(now)
        if lane.further is None:
            assert wanted is None
            return
        offered = [
            wait.request.stands_for
            for wait in lane.further.waiting
            if wait.request.stands_for is not None
            and self.nearer(self.roots.of(wait.request), lane.further) is lane
        ]
        assert offered == ([] if wanted is None else [wanted.request_id])

    def nearer(self, root, lane):
        """Return the lane of a request's chain that stands right behind another."""
        chain = self.own[root].chain()
        return chain[chain.index(lane) - 1] if lane in chain and chain[0] is not lane else None

    def next_moment(self, now):
        """Return when time alone may change anything next."""
        moments = [lane.next_moment(now) for lane in self.lanes.values()]
        return min((time for time in moments if time is not None), default=None)


class Driven:
    """Lanes as their actor drives them. Each call returns its steps, as lines of text."""

    def __init__(self, groups=None, **lanes):
        groups = {name: LaneSettings(**values) for name, values in (groups or {}).items()}
        lanes = {name: LaneSettings(**values) for name, values in lanes.items()}
        self.lanes = LaneSet(lanes, groups, 0)
        self.now, self.timers, self.slots, self.told = 0, {}, {}, []
        self.done()

    def __getitem__(self, name):
        return self.lanes.lanes[name]

    def done(self):
        lines = []
        for step in self.lanes.take_steps():
            if not hasattr(step, "request"):
                lines.append(f"{step.event} {step.lane.name}")
                continue
            name = step.request.request_id
            reason = "" if step.drop is None else f": {step.drop.reason}"
            if step.event == "slot_asked_back":
                reason = f": {step.slot.revoked_for}"
            lines.append(f"{step.event} {step.lane.name} {name}{reason}")
            if step.event == "slot_granted":
                self.slots[name] = step.slot
        for name in self.lanes.take_changed():
            due = self.lanes.due(name, self.now)
            if due is not None:
                self.timers[name] = min(due, self.timers.get(name, due))
        self.told += lines
        return lines

    def ask(self, name, lane="image", **wanted):
        self.lanes.request(slot_request(name, lane, **wanted), self.now)
        return self.done()

    def give(self, name, failed=None, **said):
        message = ReleaseSlot(slot_id=self.slots[name].id, failed=failed, **said)
        self.lanes.release(message, self.now)
        return self.done()

    def withdraw(self, name):
        self.lanes.withdraw(name, self.now)
        return self.done()

    def update(self, name, **values):
        self.lanes.update(name, LaneSettings(**values), self.now)
        return self.done()

    def pause(self, name, seconds=None):
        self.lanes.pause(name, seconds, self.now)
        return self.done()

    def resume(self, name):
        self.lanes.resume(name, self.now)
        return self.done()

    def end(self, name, *, drop):
        self.lanes.end(name, self.now, drop=drop)
        return self.done()

    def at(self, seconds):
        """Advance the clock to that time; check each lane when it is due."""
        until, lines = micros(seconds), []
        for _ in range(1_000):
            name = min(self.timers, key=self.timers.get, default=None)
            if name is None or self.timers[name] > until:
                self.now = until
                return lines
            self.now = self.timers.pop(name)
            self.lanes.check(name, self.now)
            lines += self.done()
        raise AssertionError("it checks again and again")


def granted(lines):
    """Return the requests that were granted in their own lanes."""
    rows = [line.split() for line in lines]
    return [row[2] for row in rows if row[0] == "slot_granted" and "~" not in row[2]]


def lane_events(lines, name):
    """Return the events of a lane itself."""
    return [
        line.split()[0]
        for line in lines
        if line.startswith(("lane", "circuit")) and line.endswith(f" {name}")
    ]
