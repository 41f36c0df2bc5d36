"""A slow and obvious model of a lane, written from the rules and not from the code.

All that waits is one list, all that is out another, and each question looks through them anew. One
thing has a memory: since when an owner's next request has been it.

Where the rules leave an order open, it is settled here: what is dropped at once is named by
priority and then by age; what has waited too long, by age.
"""

from dataclasses import dataclass
from fractions import Fraction
from itertools import count

from support.budget_model import PlainBudgets

from limner.messages.limiter.protocol import RequestSlot

MICROSECONDS = 1_000_000


def micros(seconds):
    return None if seconds is None else round(seconds * MICROSECONDS)


def first_after(now, moments):
    """Return the first of some moments that is later than now; `None` if none ever is."""
    later = [time for time in moments if time is not None and now < time < float("inf")]
    return min(later, default=None)


class PlainReservoir:
    """A reservoir that is filled tick by tick."""

    def __init__(self, settings, now):
        self.settings = settings
        self.left = settings.reservoir
        self.refresh_at = self.increase_at = None
        self.begin_refreshes(now)
        self.begin_increases(now)

    def begin_refreshes(self, now):
        interval = micros(self.settings.reservoir_refresh_interval)
        self.refresh_at = None if interval is None else now + interval

    def begin_increases(self, now):
        interval = micros(self.settings.reservoir_increase_interval)
        self.increase_at = None if interval is None else now + interval

    @property
    def due(self):
        return min((time for time in (self.refresh_at, self.increase_at) if time), default=None)

    def tick(self):
        """Fill it once: a refresh comes before an increase of the same moment."""
        settings = self.settings
        if self.refresh_at == self.due:
            self.left = settings.reservoir_refresh_amount
            self.refresh_at += micros(settings.reservoir_refresh_interval)
        else:
            most = settings.reservoir_increase_maximum
            if most is None:
                self.left += settings.reservoir_increase_amount
            elif self.left < most:
                self.left = min(most, self.left + settings.reservoir_increase_amount)
            self.increase_at += micros(settings.reservoir_increase_interval)

    def fill(self, now):
        while self.due is not None and self.due <= now:
            self.tick()

    def change(self, settings, now):
        self.fill(now)
        before, self.settings = self.settings, settings
        if settings.reservoir != before.reservoir:
            self.left = settings.reservoir
        if settings.reservoir_refresh_interval != before.reservoir_refresh_interval:
            self.begin_refreshes(now)
        if settings.reservoir_increase_interval != before.reservoir_increase_interval:
            self.begin_increases(now)

    def can_fit(self, weight):
        """Return whether it has this weight at any time if nothing is taken from now on.

        One that is never filled may be, by a host.
        """
        if self.left is None or self.due is None:
            return True
        ahead = PlainReservoir(self.settings, 0)
        ahead.left, ahead.refresh_at, ahead.increase_at = (
            self.left,
            self.refresh_at,
            self.increase_at,
        )
        for _ in range(100):
            if weight <= ahead.left:
                return True
            ahead.tick()
        return False


@dataclass
class Wait:
    """A request that waits; `number` tells which came first, `place` which goes first."""

    request: RequestSlot
    number: int
    asked: int
    due: float = 0
    place: Fraction = Fraction(0)

    @property
    def line(self):
        return self.request.owner, self.request.priority


@dataclass
class Out:
    """A request that has a slot."""

    request: RequestSlot
    number: int
    expires_at: int
    taken: dict | None = None


def least_important(waiting):
    """Return what `leak` drops of requests in the order in which they came."""
    lowest = max(wait.request.priority for wait in waiting)
    candidates = [wait for wait in waiting if wait.request.priority == lowest]
    message = candidates[0].request.message_id
    if message is None:
        return candidates[0]
    of_message = [wait for wait in candidates if wait.request.message_id == message]
    furthest = max(wait.request.place for wait in of_message)
    return [wait for wait in of_message if wait.request.place == furthest][-1]


class PlainLane:
    """A lane of which everything is looked up anew. It does not revoke."""

    def __init__(self, settings, now):
        self.settings = settings
        self.reservoir = PlainReservoir(settings, now)
        self.budgets = PlainBudgets(settings.budgets, now)
        self.waiting = []  # in the order in which they asked
        self.leases = []
        self.turn_of = {}  # (owner, priority): their next request, since when, and its turn
        self.turns = count()
        self.last_grant = None
        self.paused_until = 0
        self.blocked_until = 0
        self.ending = None
        self.numbers = self.granted = 0

    # Who is next

    def next_requests(self):
        """Return of each owner and priority the request that goes first."""
        nexts = {}
        for wait in self.waiting:
            if wait.line not in nexts or wait.place < nexts[wait.line].place:
                nexts[wait.line] = wait
        return nexts

    def enqueue(self, request, now):
        """A request waits from now on, behind those of its line or before some of them."""
        self.numbers += 1
        again, ageing = request.since is not None, micros(self.settings.ageing)
        number = -self.numbers if again else self.numbers
        latest = float("inf") if ageing is None else now + ageing
        wait = Wait(request, number, now, min(latest, request.deadline or latest))
        line = self.in_order(wait.line)
        index = 0 if again else len(line)
        if request.deadline is not None and not again:
            while index and line[index - 1].number > 0 and line[index - 1].due > wait.due:
                index -= 1
        self.put_in(wait, line, index)
        self.waiting.append(wait)
        had_deadline = request.deadline is not None and not again and len(line) > 0
        since = self.turn_of[wait.line][1] if had_deadline else now
        self.note_next(wait.line, since, keeps=True, newer=not had_deadline)

    def in_order(self, line):
        waits = [wait for wait in self.waiting if wait.line == line]
        return sorted(waits, key=lambda wait: wait.place)

    def put_in(self, wait, line, index):
        """Give a request its place among those of its line."""
        if not line:
            wait.place = Fraction(0)
        elif index == 0:
            wait.place = line[0].place - 1
        elif index == len(line):
            wait.place = line[-1].place + 1
        else:
            wait.place = (line[index - 1].place + line[index].place) / 2

    def note_next(self, line, since, *, keeps=False, newer=True):
        """Record that another request may be the next one of its line, since then at most.

        It keeps the turn of the one before, if that was not granted a slot and came at one time.
        """
        wait = self.next_requests().get(line)
        if wait is None:
            self.turn_of.pop(line, None)
        elif self.turn_of.get(line, (None,))[0] is not wait:
            since = max(since, wait.asked) if newer else since
            if wait.request.since is not None:
                since = wait.request.since
            _, before, turn = self.turn_of.get(line, (None, None, None))
            if since != before or not keeps:
                turn = next(self.turns)
            self.turn_of[line] = wait, since, turn

    def is_full(self, owner):
        most = self.settings.max_per_owner
        held = sum(slot.request.owner == owner for slot in self.leases)
        return most is not None and owner is not None and held >= most

    def standing(self, line, now):
        """Return the level of a line's next request, since when it is on it, and its turn."""
        _, since, turn = self.turn_of[line]
        level, ageing = line[1], micros(self.settings.ageing)
        while ageing is not None and level > 0 and now - since >= ageing:
            level -= 1
            since += ageing
        return level, since, turn

    def best(self, now):
        lines = [line for line in self.turn_of if not self.is_full(line[0])]
        while lines:
            line = min(lines, key=lambda line: self.standing(line, now))
            wait = self.turn_of[line][0]
            if self.owner_allows(wait.request, now):
                return wait
            lines = [other for other in lines if other[0] != line[0]]
        return None

    def owner_allows(self, request, now):
        """Return whether its owner's own budgets allow a request."""
        return self.budgets.owner_allows(request, now)

    # What may be given

    def may_go(self, request, now):
        settings = self.settings
        out = sum(slot.request.weight for slot in self.leases)
        self.reservoir.fill(now)
        return (
            now >= self.paused_until
            and (settings.max_concurrent is None or out + request.weight <= settings.max_concurrent)
            and (self.reservoir.left is None or request.weight <= self.reservoir.left)
            and self.budgets.allows(request, now)
            and (self.last_grant is None or now - self.last_grant >= micros(settings.min_time))
        )

    def grants(self, now):
        given = []
        while (wait := self.best(now)) is not None and self.may_go(wait.request, now):
            request = wait.request
            self.waiting.remove(wait)
            self.granted += 1
            taken = self.budgets.take(request, now)
            lease = micros(self.settings.lease)
            self.leases.append(Out(request, self.granted, now + lease, taken))
            self.last_grant = now
            if self.reservoir.left is not None:
                self.reservoir.left -= request.weight
            self.note_next(wait.line, now)
            given.append(request.request_id)
        return given

    # What is told to it

    def request(self, request, now):
        """Return what is granted, and what is dropped with the reason."""
        refused = self.refused(request, now)
        if refused:
            return [], [(request.request_id, refused)]
        self.enqueue(request, now)
        granted = self.grants(now)
        waits = any(wait.request is request for wait in self.waiting)
        return granted, self.overflow(request, now) if waits else []

    def refused(self, request, now):
        if self.ending == "stopped" or (self.ending and not request.revoked):
            return f"the lane is {self.ending}"
        if now < self.blocked_until:
            self.block(now)
            return "blocked"
        if not self.can_fit(request, now):
            return "too heavy"
        return "its deadline is over" if self.late(request, now) else None

    def late(self, request, now):
        return request.deadline is not None and request.deadline <= now

    def can_fit(self, request, now):
        most, weight = self.settings.max_concurrent, request.weight
        self.reservoir.fill(now)
        fits = (most is None or weight <= most) and self.reservoir.can_fit(weight)
        return fits and self.budgets.can_fit(request)

    def block(self, now):
        penalty = self.settings.penalty
        if penalty is None:
            penalty = 15 * self.settings.min_time or 5
        self.blocked_until = now + micros(penalty)

    def overflow(self, request, now):
        settings, itself = self.settings, request.request_id
        if request.revoked:
            return []
        of_owner = [wait for wait in self.waiting if wait.request.owner == request.owner]
        most = settings.max_waiting_per_owner
        if most is not None and request.owner is not None and len(of_owner) > most:
            return self.drop([itself], "too many of its owner wait")
        if settings.high_water is None or len(self.waiting) <= settings.high_water:
            return []
        if settings.strategy == "block":
            self.block(now)
            return self.drop(self.by_priority(), "blocked")
        least = least_important(self.waiting).request
        if settings.strategy == "overflow" or (
            settings.strategy == "overflow_priority" and least.priority <= request.priority
        ):
            return self.drop([itself], "high water")
        return self.drop([least.request_id], "high water")

    def by_priority(self):
        return [
            wait.request.request_id
            for wait in sorted(self.waiting, key=lambda wait: wait.request.priority)
        ]

    def drop(self, request_ids, reason):
        for request_id in request_ids:
            self.withdraw(request_id)
        return [(request_id, reason) for request_id in request_ids]

    def withdraw(self, request_id):
        gone = [wait for wait in self.waiting if wait.request.request_id == request_id]
        self.waiting = [wait for wait in self.waiting if wait not in gone]
        for wait in gone:
            if self.turn_of[wait.line][0] is wait:
                self.note_next(wait.line, self.turn_of[wait.line][1], keeps=True)

    def prioritise(self, request):
        """A request that waits has another priority: it keeps its age, or takes over a turn."""
        (place,) = (
            place
            for place, wait in enumerate(self.waiting)
            if wait.request.request_id == request.request_id
        )
        before = self.waiting[place]
        moved = Wait(request, before.number, before.asked, before.due)
        line = self.in_order(moved.line)
        index = len(line)
        while index and line[index - 1].number > moved.number:
            index -= 1
        self.put_in(moved, line, index)
        self.waiting[place] = moved
        was_next, since, _ = self.turn_of[before.line]
        if was_next is before:
            self.note_next(before.line, since, keeps=True)
        if self.next_requests()[moved.line] is moved:
            _, since, _ = self.turn_of.get(moved.line, (None, moved.asked, None))
            self.note_next(moved.line, since, keeps=True)

    def release(self, request_id):
        self.leases = [slot for slot in self.leases if slot.request.request_id != request_id]

    def expired(self, now):
        over = sorted(
            (slot for slot in self.leases if slot.expires_at <= now),
            key=lambda slot: (slot.expires_at, slot.number),
        )
        for slot in over:
            self.release(slot.request.request_id)
        return [slot.request.request_id for slot in over]

    def overdue(self, now):
        hopeless = []
        # a refresh may have left less than there was, when the next one was taken in
        while now >= self.paused_until and (best := self.best(now)):
            weight, most = best.request.weight, self.settings.max_concurrent
            out = sum(slot.request.weight for slot in self.leases)
            if most is not None and out + weight > most:
                break
            if self.can_fit(best.request, now):
                break
            hopeless += self.drop([best.request.request_id], "too heavy")
        max_wait = micros(self.settings.max_wait)
        late = (
            []
            if max_wait is None
            else [wait for wait in self.waiting if now - wait.asked >= max_wait]
        )
        late.sort(key=lambda wait: (wait.asked, wait.request.priority))
        names = [wait.request.request_id for wait in late]
        dropped = hopeless + self.drop(names, "waited too long")
        over = [wait.request for wait in self.waiting if self.late(wait.request, now)]
        over = sorted((request.deadline, request.request_id) for request in over)
        return dropped + self.drop([name for _, name in over], "its deadline is over")

    def update(self, settings, now):
        self.reservoir.change(settings, now)
        self.budgets.change(settings.budgets, now)
        self.settings = settings
        heavy = [
            wait.request.request_id
            for wait in sorted(self.waiting, key=lambda wait: wait.request.priority)
            if not self.can_fit(wait.request, now)
        ]
        return self.drop(heavy, "too heavy")

    def pause(self, until):
        self.paused_until = float("inf") if until is None else until

    def resume(self):
        self.paused_until, self.ending = 0, None

    def drain(self):
        self.ending = self.ending or "draining"

    def stop(self):
        self.ending = "stopped"
        return self.drop(self.by_priority(), "the lane is stopped")

    def next_moment(self, now):
        """Return when time alone may change anything next: each such moment, needed or not."""
        moments = [slot.expires_at for slot in self.leases]
        if self.waiting:
            settings = self.settings
            self.reservoir.fill(now)
            moments += [self.paused_until, self.reservoir.due, *self.budgets.moments(now)]
            moments += [wait.request.deadline for wait in self.waiting]
            if self.last_grant is not None:
                moments.append(self.last_grant + micros(settings.min_time))
            if settings.max_wait is not None:
                moments += [wait.asked + micros(settings.max_wait) for wait in self.waiting]
        return first_after(now, moments)
