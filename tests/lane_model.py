"""A slow and obvious model of a lane, written from the rules and not from the code.

All that waits is one list, all that is out another, and each question looks through them anew. The
turns of the owners are the one thing that has a memory: a list of owners for each level.

Where the rules leave an order open, it is settled here:

- What comes to a level at one moment comes in the order in which the requests came, one that was
  revoked before all others; so also when a change of the settings moves many at once.
- What is dropped at once is named by priority and then by age; what has waited too long, by age.
"""

from dataclasses import dataclass

from limner.messages.slots import RequestSlot

MICROSECONDS = 1_000_000


def micros(seconds):
    return None if seconds is None else round(seconds * MICROSECONDS)


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
        return min((one for one in (self.refresh_at, self.increase_at) if one), default=None)

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

    def ever(self, weight):
        """Say whether it has this weight at any time if nothing is taken from now on.

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
    """A request that waits: `number` says who came first."""

    request: RequestSlot
    number: int
    asked: int

    @property
    def line(self):
        return self.request.owner, self.request.priority


@dataclass
class Out:
    """A request that has a slot."""

    request: RequestSlot
    number: int
    expires_at: int


class PlainLane:
    """A lane of which everything is looked up anew. It does not revoke."""

    def __init__(self, settings, now):
        self.settings = settings
        self.reservoir = PlainReservoir(settings, now)
        self.waiting = []  # in the order in which they asked
        self.out = []
        self.turns = [[] for _ in range(10)]  # the owners on each level, in turn
        self.next_of = {}  # (owner, priority): their next request
        self.since = {}  # and from when its age counts
        self.level_of = {}  # (owner, priority): the level of their next request; none if aside
        self.last_grant = None
        self.paused_until = 0
        self.blocked_until = 0
        self.ending = None
        self.numbers = self.granted = 0

    # Who is next

    def next_requests(self):
        """Give of each owner and priority the request that has waited longest."""
        nexts = {}
        for one in self.waiting:
            if one.line not in nexts or one.number < nexts[one.line].number:
                nexts[one.line] = one
        return nexts

    def level(self, one, moment):
        ageing = micros(self.settings.ageing)
        lifted = 0 if ageing is None else (moment - self.since[one.line]) // ageing
        return max(0, one.request.priority - lifted)

    def is_full(self, owner):
        most = self.settings.max_per_owner
        held = sum(one.request.owner == owner for one in self.out)
        return most is not None and owner is not None and held >= most

    def arrange(self, moment):
        """Let each owner stand in the lines of the levels that its next requests are on."""
        nexts = self.next_requests()
        for line, one in nexts.items():
            if self.next_of.get(line) is not one:  # it has become the next one just now
                self.since[line] = moment if one.request.since is None else one.request.since
        self.next_of = nexts
        for line in [line for line in self.level_of if line not in nexts]:
            self.move(line, None)
        for line, one in sorted(nexts.items(), key=lambda item: item[1].number):
            self.move(line, None if self.is_full(line[0]) else self.level(one, moment))

    def move(self, line, level):
        owner, before = line[0], self.level_of.pop(line, None)
        if level is not None:
            self.level_of[line] = level
        stands_on = {at for (name, _), at in self.level_of.items() if name == owner}
        if before is not None and before not in stands_on:
            self.turns[before].remove(owner)
        if level is not None and owner not in self.turns[level]:
            self.turns[level].append(owner)

    def next_lift(self):
        """Say when a next request comes to a better level."""
        ageing = micros(self.settings.ageing)
        if ageing is None:
            return None
        return min(
            (
                self.since[line] + (line[1] - level + 1) * ageing
                for line, level in self.level_of.items()
                if level > 0
            ),
            default=None,
        )

    def pass_time(self, now):
        """Let all that comes to a better level up to now do so, one moment after another."""
        while (due := self.next_lift()) is not None and due <= now:
            self.arrange(due)

    def best(self, now):
        self.pass_time(now)
        nexts = self.next_requests()
        for level, turns in enumerate(self.turns):
            if turns:
                on_level = [
                    one
                    for line, one in nexts.items()
                    if line[0] == turns[0] and self.level_of.get(line) == level
                ]
                return min(on_level, key=lambda one: one.number)
        return None

    # What may be given

    def may_go(self, request, now):
        settings = self.settings
        out = sum(one.request.weight for one in self.out)
        self.reservoir.fill(now)
        return (
            now >= self.paused_until
            and (settings.max_concurrent is None or out + request.weight <= settings.max_concurrent)
            and (self.reservoir.left is None or request.weight <= self.reservoir.left)
            and (self.last_grant is None or now - self.last_grant >= micros(settings.min_time))
        )

    def grants(self, now):
        given = []
        while (one := self.best(now)) is not None and self.may_go(one.request, now):
            request = one.request
            turns = self.turns[self.level_of[one.line]]
            turns.append(turns.pop(0))
            self.waiting.remove(one)
            self.granted += 1
            self.out.append(Out(request, self.granted, now + micros(self.settings.lease)))
            self.last_grant = now
            if self.reservoir.left is not None:
                self.reservoir.left -= request.weight
            self.arrange(now)
            given.append(request.request_id)
        return given

    # What is told to it

    def request(self, request, now):
        """Give what is granted, and what is dropped with the reason."""
        self.pass_time(now)
        refused = self.refused(request, now)
        if refused:
            return [], [(request.request_id, refused)]
        self.numbers += 1
        again = request.since is not None
        number = -self.numbers if again else self.numbers
        self.waiting.append(Wait(request, number, now))
        self.arrange(now)
        granted = self.grants(now)
        waits = any(one.request is request for one in self.waiting)
        return granted, self.overflow(request, now) if waits else []

    def refused(self, request, now):
        if self.ending:
            return f"the lane is {self.ending}"
        if now < self.blocked_until:
            self.block(now)
            return "blocked"
        return None if self.can_ever_give(request.weight, now) else "too heavy"

    def can_ever_give(self, weight, now):
        most = self.settings.max_concurrent
        self.reservoir.fill(now)
        return (most is None or weight <= most) and self.reservoir.ever(weight)

    def block(self, now):
        penalty = self.settings.penalty
        if penalty is None:
            penalty = 15 * self.settings.min_time or 5
        self.blocked_until = now + micros(penalty)

    def overflow(self, request, now):
        settings, itself = self.settings, request.request_id
        if request.since is not None:  # its slot was revoked
            return []
        of_owner = [one for one in self.waiting if one.request.owner == request.owner]
        most = settings.max_waiting_per_owner
        if most is not None and request.owner is not None and len(of_owner) > most:
            return self.drop([itself], "too many of its owner wait", now)
        if settings.high_water is None or len(self.waiting) <= settings.high_water:
            return []
        if settings.strategy == "block":
            self.block(now)
            return self.drop(self.by_priority(), "blocked", now)
        others = [one.request for one in self.waiting if one.request is not request]
        if not others or settings.strategy == "overflow":
            return self.drop([itself], "high water", now)
        least = max(others, key=lambda one: one.priority)  # the first of them, which is the oldest
        if settings.strategy == "overflow_priority" and least.priority <= request.priority:
            return self.drop([itself], "high water", now)
        return self.drop([least.request_id], "high water", now)

    def by_priority(self):
        return [
            one.request.request_id
            for one in sorted(self.waiting, key=lambda one: one.request.priority)
        ]

    def drop(self, request_ids, reason, now):
        for request_id in request_ids:
            self.withdraw(request_id, now)
        return [(request_id, reason) for request_id in request_ids]

    def withdraw(self, request_id, now):
        self.pass_time(now)
        self.waiting = [one for one in self.waiting if one.request.request_id != request_id]
        self.arrange(now)

    def release(self, request_id, now):
        self.pass_time(now)
        self.out = [one for one in self.out if one.request.request_id != request_id]
        self.arrange(now)

    def expired(self, now):
        over = sorted(
            (one for one in self.out if one.expires_at <= now),
            key=lambda one: (one.expires_at, one.number),
        )
        for one in over:
            self.release(one.request.request_id, now)
        return [one.request.request_id for one in over]

    def overdue(self, now):
        hopeless = []
        # a refresh may have left less than there was, when the next one was taken in
        while now >= self.paused_until and (best := self.best(now)):
            weight, most = best.request.weight, self.settings.max_concurrent
            out = sum(one.request.weight for one in self.out)
            if most is not None and out + weight > most:
                break
            if self.can_ever_give(weight, now):
                break
            hopeless += self.drop([best.request.request_id], "too heavy", now)
        max_wait = micros(self.settings.max_wait)
        late = (
            [] if max_wait is None else [one for one in self.waiting if now - one.asked >= max_wait]
        )
        late.sort(key=lambda one: (one.asked, one.request.priority))
        names = [one.request.request_id for one in late]
        return hopeless + self.drop(names, "waited too long", now)

    def update(self, settings, now):
        self.pass_time(now)
        self.reservoir.change(settings, now)
        self.settings = settings
        self.arrange(now)
        heavy = [
            one.request.request_id
            for one in sorted(self.waiting, key=lambda one: one.request.priority)
            if not self.can_ever_give(one.request.weight, now)
        ]
        return self.drop(heavy, "too heavy", now)

    def pause(self, until):
        self.paused_until = float("inf") if until is None else until

    def resume(self):
        self.paused_until = 0

    def drain(self):
        self.ending = self.ending or "draining"

    def stop(self, now):
        self.ending = "stopped"
        return self.drop(self.by_priority(), "the lane is stopped", now)

    def next_moment(self, now):
        """Say when time alone may change anything next: each such moment, needed or not."""
        moments = [one.expires_at for one in self.out]
        if self.waiting:
            settings = self.settings
            self.reservoir.fill(now)
            moments += [self.paused_until, self.reservoir.due, self.next_lift()]
            if self.last_grant is not None:
                moments.append(self.last_grant + micros(settings.min_time))
            if settings.max_wait is not None:
                moments += [one.asked + micros(settings.max_wait) for one in self.waiting]
        return min(
            (one for one in moments if one is not None and now < one < float("inf")), default=None
        )
