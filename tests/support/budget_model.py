"""Slow and obvious models of budgets: lists of all that was taken, read anew at each question."""

from dataclasses import dataclass

MICROSECONDS = 1_000_000
NAMED = {"minute": 60, "hour": 3_600, "day": 86_400}


def span(budget):
    return round(NAMED.get(budget.per, budget.per) * MICROSECONDS)


@dataclass(eq=False)
class Take:
    """Units that were taken at one time; settling may change how many."""

    at: int
    units: int


class PlainBudget:
    """A budget of a lane or of an owner: its takes, in the order in which they came."""

    def __init__(self, budget, now):
        self.budget = budget
        self.since = now
        self.takes = []
        self.amounts = [(now, budget.amount)]
        self.held, self.held_until = 0, now

    def change(self, budget, now):
        """Apply another amount; what was spent stays spent."""
        assert span(budget) == span(self.budget), "the model knows of other amounts alone"
        self.budget = budget
        self.amounts.append((now, budget.amount))

    def take(self, units, now):
        take = Take(now, units)
        self.takes.append(take)
        return take

    def settle(self, take, before, after, now):
        """A call has cost `after` units, not `before`."""
        if after > before:
            self.take(after - before, now)
        elif take in self.takes and self.may_give_back(take, now):
            take.units -= before - after

    def may_give_back(self, take, now):
        return True

    def held_at(self, now):
        return 0 if now >= self.held_until else self.held

    def left(self, now):
        return self.own_left(now) - self.held_at(now)

    def allows(self, units, now):
        return not units or units <= self.left(now)

    def correct(self, remaining, resets_at, now):
        less = self.left(now) - remaining
        if less <= 0:
            return False
        latest = now + span(self.budget)
        until = latest if resets_at is None else max(now + 1, min(latest, resets_at))
        held = self.held_at(now)
        self.held_until = max(until, self.held_until) if held else until
        self.held = held + less
        return True

    def moments(self, now):
        """Return when there may be more than now."""
        return [self.held_until]

    def full_at(self, now):
        """Return when all of it is there if nothing is taken meanwhile."""
        while not self.full(now):
            now = min(moment for moment in self.moments(now) if moment > now)
        return now


class PlainRefilling(PlainBudget):
    """A bucket, of which is computed from the first take on what is missing."""

    def missing(self, now):
        """Return what is missing, in units times microseconds of the span."""
        steps = sorted(
            [(take.at, 0, take.units) for take in self.takes]
            + [(at, 1, amount) for at, amount in self.amounts]
            + [(now, 2, 0)],
            key=lambda step: step[0],
        )
        missing, before, amount = 0, self.since, self.amounts[0][1]
        for at, kind, number in steps:
            if at > now:
                break
            missing, before = max(0, missing - amount * (at - before)), at
            if kind == 0:
                missing = max(0, missing + number * span(self.budget))
            if kind == 1:
                amount = number
        return missing

    def own_left(self, now):
        return (self.budget.amount * span(self.budget) - self.missing(now)) // span(self.budget)

    def full(self, now):
        return self.held_at(now) == 0 and self.missing(now) == 0

    def moments(self, now):
        """Return when each unit more is there."""
        amount, per, missing = self.budget.amount, span(self.budget), self.missing(now)
        steps = [-(-(missing - units * per) // amount) for units in range(missing // per + 1)]
        return [self.held_until, *(now + step for step in steps)]


class PlainFixed(PlainBudget):
    """Spans that follow each other; what was taken too much in one is missing in the next."""

    def number(self, at):
        return (at - self.since) // span(self.budget)

    def own_left(self, now):
        spent = 0
        for number in range(self.number(now) + 1):
            begin = self.since + number * span(self.budget)
            if number:
                before = [amount for at, amount in self.amounts if at < begin]
                spent = max(0, spent - (before or [self.amounts[0][1]])[-1])
            spent += sum(take.units for take in self.takes if self.number(take.at) == number)
        return self.budget.amount - spent

    def may_give_back(self, take, now):
        return self.number(take.at) == self.number(now)

    def full(self, now):
        return self.left(now) == self.budget.amount

    def moments(self, now):
        return [self.held_until, self.since + (self.number(now) + 1) * span(self.budget)]


class PlainSliding(PlainBudget):
    """Groups of what was taken within a 64th of the span; each returns a span after its last."""

    def groups(self):
        groups = []
        for take in self.takes:
            if groups and take.at - groups[-1][0].at < span(self.budget) // 64:
                groups[-1].append(take)
            else:
                groups.append([take])
        return groups

    def own_left(self, now):
        there = [
            take.units
            for group in self.groups()
            for take in group
            if group[-1].at + span(self.budget) > now
        ]
        return self.budget.amount - sum(there)

    def may_give_back(self, take, now):
        (group,) = (group for group in self.groups() if take in group)
        return group[-1].at + span(self.budget) > now

    def full(self, now):
        there = [group for group in self.groups() if group[-1].at + span(self.budget) > now]
        return not there and self.held_at(now) == 0

    def moments(self, now):
        return [self.held_until, *(group[-1].at + span(self.budget) for group in self.groups())]


KINDS = {"refilling": PlainRefilling, "fixed": PlainFixed, "sliding": PlainSliding}


def plain_budget(budget, now):
    return KINDS[budget.window](budget, now)


class PlainBudgets:
    """The budgets of a lane, each of the lane or of its owners."""

    def __init__(self, budgets, now):
        self.budgets, self.of_lane, self.of_owner = {}, {}, {}
        self.change(budgets, now)

    def change(self, budgets, now):
        before, self.budgets = self.budgets, dict(budgets)
        for name in (*before, *budgets):
            old, new = before.get(name), budgets.get(name)
            kept = old and new and (old.window, old.each) == (new.window, new.each)
            if not kept:
                self.of_lane.pop(name, None)
                self.of_owner = {
                    key: plain for key, plain in self.of_owner.items() if key[0] != name
                }
                if new and new.each == "lane":
                    self.of_lane[name] = plain_budget(new, now)
            elif old != new:
                for plain in self.each(name):
                    plain.change(new, now)

    def each(self, name):
        """Return the budget of that name, or those of owners that are not full."""
        of_owners = [plain for key, plain in self.of_owner.items() if key[0] == name]
        return [self.of_lane[name]] if name in self.of_lane else of_owners

    def all(self):
        return [*self.of_lane.values(), *self.of_owner.values()]

    def costs(self, request):
        costs = {name: budget.cost(name) for name, budget in self.budgets.items()}
        costs |= {name: units for name, units in request.costs.items() if name in costs}
        return {
            name: units for name, units in costs.items() if units and self.is_counted(name, request)
        }

    def is_counted(self, name, request):
        """Return whether a request may take of a budget at all."""
        return request.owner is not None or self.budgets[name].each == "lane"

    def can_fit(self, request):
        return all(
            units <= self.budgets[name].amount for name, units in self.costs(request).items()
        )

    def to_charge(self, name, owner, now):
        """Return a budget; that of an owner begins anew once it is full."""
        if name in self.of_lane:
            return self.of_lane[name]
        known = self.of_owner.get((name, owner))
        if known is None or known.full(now):
            known = self.of_owner[name, owner] = plain_budget(self.budgets[name], now)
        return known

    def known(self, name, owner):
        return self.of_lane.get(name) or self.of_owner.get((name, owner))

    def allows(self, request, now):
        return self.lane_allows(request, now) and self.owner_allows(request, now)

    def lane_allows(self, request, now):
        costs = self.costs(request).items()
        return all(
            self.of_lane[name].allows(units, now) for name, units in costs if name in self.of_lane
        )

    def owner_allows(self, request, now):
        costs = [(name, units) for name, units in self.costs(request).items()]
        owned = [(self.of_owner.get((name, request.owner)), units) for name, units in costs]
        return all(plain.allows(units, now) for plain, units in owned if plain is not None)

    def take(self, request, now):
        """Return what was taken: by name, of which budget, the take, and how many units."""
        taken = {}
        for name, units in self.costs(request).items():
            plain = self.to_charge(name, request.owner, now)
            taken[name] = [plain, plain.take(units, now), units]
        return taken

    def settle(self, taken, request, costs, now):
        """Return whether anything has changed."""
        changed = False
        for name, units in costs.items():
            if name not in self.budgets or not self.is_counted(name, request):
                continue
            plain, take, before = taken.get(name, (None, None, 0))
            if units == before:
                continue
            changed = True
            if units > before:
                charged = self.to_charge(name, request.owner, now)
                extra = charged.take(units - before, now)
                taken.setdefault(name, [charged, extra, 0])
            elif plain is self.known(name, request.owner):
                plain.settle(take, before, units, now)
            taken[name][2] = units
        return changed

    def correct(self, name, remaining, resets_at, now, owner=None):
        return self.to_charge(name, owner, now).correct(remaining, resets_at, now)

    def full_at(self, now):
        return max((plain.full_at(now) for plain in self.all()), default=now)

    def moments(self, now):
        return [moment for plain in self.all() for moment in plain.moments(now)]


def granted_in_any_span(grants, span):
    """Return the most units that were granted in a span of time, wherever it begins.

    Args:
        grants: when, and how many units, in their order.
        span: microseconds; of two grants that are so far apart, one is in it.
    """
    most = units = first = 0
    for at, more in grants:
        units += more
        while grants[first][0] + span <= at:
            units -= grants[first][1]
            first += 1
        most = max(most, units)
    return most
