"""Budgets and deadlines of hosts' calls, through the studio's limiter."""

import threading
from random import Random

import pytest
from support.budget_model import granted_in_any_span

from limner.actors import Budget, time_left
from limner.messages.errors import GenerationFailed, SettingsInvalid, SlotRefused
from limner.messages.limiter.refusal import Refusal

WAIT = 60


def lanes(max_concurrent=9, **budgets):
    return {"api": {"max_concurrent": max_concurrent, "adapt": False, "budgets": budgets}}


def call(one, result=None, **wanted):
    return one.studio.limiter.schedule(lambda: result, lane="api", blocks=False, **wanted)


class TestCosts:
    """A call takes its costs of all budgets with its slot."""

    def test_a_call_waits_until_each_of_its_budgets_has_enough(self, open_simulated):
        budgets = {"requests": Budget(100, per=60), "tokens": Budget(60, per=60)}
        one = open_simulated(lanes=lanes(**budgets))
        call(one, costs={"tokens": 50}).get()
        call(one, costs={"tokens": 40}).get()
        first, second = one.events("slot_granted")
        assert first["costs"] == {"requests": 1, "tokens": 50}
        assert second["t"] - first["t"] == pytest.approx(30, abs=0.001)

    def test_a_cost_of_a_budget_that_no_lane_has_is_refused_at_the_call(self, open_simulated):
        one = open_simulated(lanes=lanes(tokens=Budget(60)))
        with pytest.raises(SettingsInvalid, match=r"no lane .* has a budget 'tokenz'.*'tokens'"):
            call(one, costs={"tokenz": 1})

    @pytest.mark.parametrize("units", [-1, 1.5, True, "7", 10**13])
    def test_a_cost_is_a_whole_number(self, open_simulated, units):
        one = open_simulated(lanes=lanes(tokens=Budget(60)))
        with pytest.raises(SettingsInvalid, match="costs: 'tokens' takes a whole number"):
            call(one, costs={"tokens": units})

    def test_a_cost_that_can_never_fit_is_refused_as_too_heavy(self, open_simulated):
        one = open_simulated(lanes=lanes(tokens=Budget(60)))
        with pytest.raises(SlotRefused, match="too heavy"):
            call(one, costs={"tokens": 61}).get()

    def test_a_lane_upstream_takes_what_it_has_a_budget_of(self, open_simulated):
        settings = lanes(tokens=Budget(60, per=60))
        settings["mine"] = {"behind": "api", "budgets": {"cents": {"amount": 5}}}
        one = open_simulated(lanes=settings)
        limiter = one.studio.limiter
        for _ in range(2):
            limiter.schedule(int, lane="mine", blocks=False, costs={"tokens": 40, "cents": 1}).get()
        grants = [event for event in one.events("slot_granted") if event["lane"] == "api"]
        assert [grant["costs"] for grant in grants] == [{"tokens": 40}, {"tokens": 40}]
        assert grants[1]["t"] - grants[0]["t"] == pytest.approx(20, abs=0.001)

    def test_an_owner_that_has_spent_its_budget_does_not_hold_up_others(self, open_simulated):
        one = open_simulated(lanes=lanes(requests=Budget(1, per=60, each="owner")))
        calls = [call(one, owner=owner) for owner in ("ann", "ann", "bob")]
        for future in calls:
            future.get()
        ann, bob, again = one.events("slot_granted")
        assert bob["t"] - ann["t"] < 1
        assert again["t"] - ann["t"] == pytest.approx(60, abs=0.001)

    def test_a_report_tells_what_is_left_and_until_when(self, open_simulated):
        budgets = {"tokens": Budget(60, per=60), "requests": Budget(9, per=9, each="owner")}
        one = open_simulated(lanes=lanes(**budgets))
        call(one, costs={"tokens": 50}, owner="ann").get()
        left = one.studio.limiter.report("api").budgets
        assert (left["tokens"].amount, left["tokens"].left) == (60, 10)
        assert left["tokens"].full_in == pytest.approx(50, abs=0.1)
        assert left["requests"].owners == {"ann": 8}

    def test_what_was_spent_stays_spent_when_the_amount_changes(self, open_simulated):
        one = open_simulated(lanes=lanes(tokens=Budget(60, window="fixed")))
        call(one, costs={"tokens": 50}).get()
        one.studio.limiter.update("api", budgets={"tokens": Budget(70, window="fixed")})
        assert one.studio.limiter.report("api").budgets["tokens"].left == 20


class TestSettling:
    """A call has cost another amount than it took."""

    def test_a_function_of_the_result_settles_what_the_call_has_cost(self, open_simulated):
        one = open_simulated(lanes=lanes(tokens=Budget(60, per=60)))
        call(one, 5, costs={"tokens": 50}, settle=lambda used: {"tokens": used}).get()
        call(one, costs={"tokens": 55}).get()
        first, second = one.events("slot_granted")
        assert second["t"] - first["t"] < 1
        (settled,) = one.events("costs_settled")
        assert settled["costs"] == {"tokens": 5}

    def test_a_call_that_costs_more_leaves_a_debt(self, open_simulated):
        one = open_simulated(lanes=lanes(tokens=Budget(60, per=60)))
        call(one, 90, costs={"tokens": 50}, settle=lambda used: {"tokens": used}).get()
        call(one, costs={"tokens": 10}).get()
        first, second = one.events("slot_granted")
        assert second["t"] - first["t"] == pytest.approx(40, abs=0.1)

    def test_a_call_may_be_settled_by_its_future_after_its_end(self, open_simulated):
        one = open_simulated(lanes=lanes(tokens=Budget(60, per=60)))
        future = call(one, costs={"tokens": 50})
        future.get()
        one.studio.limiter.settle(future, {"tokens": 20})
        one.studio.limiter.settle(future.name, {"tokens": 10})
        assert one.studio.limiter.report("api").budgets["tokens"].left >= 50
        costs = [settled["costs"]["tokens"] for settled in one.events("costs_settled")]
        assert costs == [20, 10]

    def test_a_settle_that_fails_leaves_the_estimate_and_the_result(self, open_simulated):
        one = open_simulated(lanes=lanes(tokens=Budget(60, per=60)))
        wrong = [lambda _: 1 / 0, lambda _: {"tokens": -1}, lambda _: {"tokenz": 1}]
        for settle in wrong:
            assert call(one, 7, costs={"tokens": 1}, settle=settle).get() == 7
        assert one.events("costs_settled") == []
        assert len(one.events("settle_failed")) == 3

    def test_a_call_that_fails_keeps_its_estimate(self, open_simulated):
        one = open_simulated(lanes=lanes(tokens=Budget(60, per=60)))
        limiter = one.studio.limiter

        def fails():
            raise GenerationFailed("no")

        future = limiter.schedule(
            fails, lane="api", blocks=False, costs={"tokens": 9}, settle=lambda _: {"tokens": 0}
        )
        with pytest.raises(GenerationFailed):
            future.get()
        assert limiter.report("api").budgets["tokens"].left <= 52
        assert one.events("costs_settled") == []

    def test_what_is_no_call_cannot_be_settled(self, open_simulated):
        one = open_simulated(lanes=lanes(tokens=Budget(60, per=60)))
        with pytest.raises(SettingsInvalid, match="settle: give the future"):
            one.studio.limiter.settle(7, {"tokens": 1})
        one.studio.limiter.settle("call-99", {"tokens": 1})
        assert one.studio.limiter.report("api").budgets["tokens"].left == 60


class TestDeadlines:
    """A call with a deadline goes earlier, or not at all."""

    def test_of_an_owners_calls_the_earliest_deadline_goes_first(self, open_simulated):
        one = open_simulated(lanes={"api": {"max_concurrent": 1, "min_time": 1}})
        names = [call(one, deadline=deadline).name for deadline in (50, 40, None, 30)]
        one.let_pass(5)
        order = [grant["request_id"] for grant in one.events("slot_granted")]
        assert order == [names[0], names[3], names[1], names[2]]

    def test_a_call_is_dropped_when_its_deadline_passes(self, open_simulated):
        one = open_simulated(lanes={"api": {"min_time": 9}})
        call(one).get()
        begun = one.now
        with pytest.raises(SlotRefused, match="its deadline is over") as refused:
            call(one, deadline=3).get()
        assert refused.value.reason is Refusal.DEADLINE
        assert one.now - begun == pytest.approx(3, abs=0.1)

    def test_a_call_that_cannot_make_it_is_refused_at_once_if_wished(self, open_simulated):
        one = open_simulated(lanes={"api": {"min_time": 9}})
        call(one).get()
        begun = one.now
        with pytest.raises(SlotRefused, match="no slot before "):
            call(one, deadline=3, refuse_late=True).get()
        assert one.now - begun < 1
        call(one, deadline=10, refuse_late=True).get()

    def test_a_call_can_ask_for_the_time_that_is_left(self, open_simulated):
        one = open_simulated(lanes={"api": {"min_time": 9}})
        limiter = one.studio.limiter
        assert limiter.schedule(time_left, lane="api", blocks=False).get() is None
        left = limiter.schedule(time_left, lane="api", blocks=False, deadline=20).get()
        assert 10 < left <= 12
        assert time_left() is None

    @pytest.mark.parametrize("deadline", [0, -1, float("nan"), "soon", True, 10**9])
    def test_a_deadline_is_in_seconds_from_now(self, open_simulated, deadline):
        one = open_simulated()
        with pytest.raises(SettingsInvalid, match="deadline: seconds from now"):
            one.studio.limiter.schedule(int, deadline=deadline)


def test_a_budget_cannot_be_overspent_by_threads_that_settle_or_never_do(open_studio):
    """64 threads; some settle less, some more, some late, and some lose their slots first."""
    span, amount = 0.5, 200
    settings = lanes(
        max_concurrent=32, tokens=Budget(amount, per=span, window="sliding"), requests=Budget(10**6)
    )
    settings["api"]["lease"] = 0.1
    one = open_studio(lanes=settings)
    limiter = one.studio.limiter
    lost = threading.Event()

    def work(number):
        random = Random(number)
        for _ in range(6):
            used, estimate = random.randrange(1, 16), random.randrange(1, 16)
            kind = random.choice(["settle", "settle", "later", "never", "lost"])
            future = limiter.schedule(
                lost.wait if kind == "lost" and number % 16 == 0 else lambda used=used: used,
                lane="api",
                costs={"tokens": estimate},
                settle=(lambda used: {"tokens": int(used)}) if kind == "settle" else None,
            )
            try:
                future.get(timeout=WAIT)
            except Exception:
                continue
            if kind == "later":
                limiter.settle(future, {"tokens": used})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    lost.set()
    one.studio.close()
    check_never_overspent(one.events(), amount, round(span * 1_000_000))


def check_never_overspent(events, amount, span):
    """Check at each grant that what is known to be granted in the last span is within the amount.

    What a call has cost counts once it is settled, and what it took until then.
    """
    grants, at_grant = {}, 0
    for event in events:
        if event["event"] == "slot_granted" and "costs" in event:
            at = round(event["t"] * 1_000_000)
            grants[event["slot_id"]] = at, event["costs"]["tokens"]
            spent = [units for since, units in grants.values() if since > at - span]
            assert sum(spent) <= amount
            at_grant += 1
        elif event["event"] == "costs_settled":
            at, _ = grants[event["slot_id"]]
            grants[event["slot_id"]] = at, event["costs"]["tokens"]
    assert at_grant > 300
    assert granted_in_any_span(sorted(grants.values()), span) > 0
