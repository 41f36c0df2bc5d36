"""When a lane has to grant the requests that wait in it, by the event log."""

import pytest

from limner.messages.limiter.settings import LaneSettings
from limner.messages.settings import Settings
from limner.scripts.simulate.promptness import TURNS, Promptness


class Log:
    """An event log that is written by hand, from a studio with some lanes."""

    def __init__(self, **lanes):
        self.promptness = Promptness(Settings(), timers_late=False)
        self.found = []
        self.say(0, "studio_opened")
        for name, settings in {"image": LaneSettings(), **lanes}.items():
            self.lane(0, "lane_opened", name, settings)

    def say(self, t, event, **fields):
        self.found += self.promptness.feed({"t": t, "event": event, **fields})
        return self

    def lane(self, t, event, name, settings=None):
        return self.say(t, event, lane=name, **(settings.model_dump() if settings else {}))

    def wants(self, t, name, weight=1, lane="image", **more):
        more = {"task_id": name, "owner": None, **more}
        return self.say(t, "slot_requested", request_id=name, weight=weight, lane=lane, **more)

    def gets(self, t, name, weight=1, lane="image", **more):
        slot = {"request_id": name, "task_id": name, "slot_id": f"slot of {name}"}
        return self.say(t, "slot_granted", weight=weight, lane=lane, **slot, **more)

    def gives(self, t, name, lane="image", how="released"):
        slot = {"request_id": name, "task_id": name, "slot_id": f"slot of {name}"}
        return self.say(t, f"slot_{how}", lane=lane, **slot)

    def after(self, t):
        """Return the problems found by a time."""
        return self.say(t, "something_new").found


IS_FREE = "is free, a request waits, and nothing is granted"


def late(t, lane="image", what=IS_FREE):
    """Return the one line on what should have happened by a time."""
    return [f"late: lane {lane} {what} at {t:.3f} s"]


def test_a_request_that_fits_is_granted_at_once():
    assert Log().wants(1, "a").after(1) == []
    assert Log().wants(1, "a").after(1.000001) == late(1)
    assert Log().wants(1, "a").gets(1, "a").after(20) == []
    dropped = {"request_id": "a", "lane": "image"}
    assert Log().wants(1, "a").say(1, "request_dropped", **dropped).after(99) == []


def test_a_request_that_does_not_fit_waits_for_a_slot_to_come_back():
    full = Log().wants(1, "a", 3).gets(1, "a", 3).wants(2, "b")
    assert full.after(99) == []
    assert full.gives(100, "a").after(120) == late(100)


def test_without_a_limit_whatever_waits_is_granted():
    log = Log(more=LaneSettings(max_concurrent=None))
    for number in range(9):
        log.wants(1, f"{number}", 9, "more").gets(1, f"{number}", 9, "more")
    assert log.after(40) == []
    assert log.wants(50, "a", 100, "more").after(99) == late(50, "more")


def test_the_heaviest_may_be_the_first_so_that_lighter_ones_are_not_expected():
    log = Log().wants(1, "a", 1).gets(1, "a", 1).wants(2, "b", 3).wants(2, "c", 1)
    assert log.after(99) == []


def test_a_pause_ends_after_its_seconds_or_when_the_lane_is_resumed():
    def paused(seconds):
        return Log().say(1, "lane_paused", lane="image", seconds=seconds).wants(2, "a")

    assert paused(30).after(31 + TURNS) == []
    assert paused(30).after(32 + TURNS) == late(31 + TURNS)
    assert paused(None).after(9_999) == []
    assert paused(None).say(50, "lane_resumed", lane="image").after(99) == late(50)
    # as soon as the lane is looked at again, all that it can grant is granted
    assert paused(30).wants(33, "b").after(34) == late(33)
    assert paused(30).gets(20, "a").found == ["slot of a is granted while its lane is paused"]


def test_an_open_circuit_lets_one_call_through_then_the_others():
    settings = LaneSettings(circuit_seconds=20)
    log = Log(host=settings).say(1, "circuit_open", lane="host", failures=9)
    log.wants(2, "a", lane="host").wants(2, "b", lane="host")
    assert log.after(24) == []
    log.gets(25, "a", lane="host").say(25, "circuit_half_open", lane="host", failures=9)
    assert log.after(90) == []
    assert log.gives(100, "a", "host").after(120) == late(100, "host")


def test_an_empty_reservoir_is_waited_for_and_not_passed():
    settings = LaneSettings(reservoir=2, reservoir_refresh_amount=2, reservoir_refresh_interval=60)

    def spent():
        log = Log(host=settings)
        for name in "ab":
            log.wants(1, name, lane="host").gets(1, name, lane="host").gives(1, name, "host")
        return log.wants(2, "c", lane="host")

    assert spent().after(60 + TURNS) == []
    assert spent().after(61 + TURNS) == late(60 + TURNS, "host")
    assert spent().gets(3, "c", lane="host").found == ["slot of c takes 1 of a reservoir with 0"]
    assert spent().gets(60, "c", lane="host").found == []


def test_an_owner_that_may_have_no_more_is_passed_over():
    log = Log(host=LaneSettings(max_per_owner=1))
    log.wants(1, "a", lane="host", owner="o").gets(1, "a", lane="host")
    log.wants(1, "b", lane="host", owner="o")
    assert log.after(50) == []
    assert log.wants(60, "c", lane="host", owner="p").after(80) == late(60, "host")
    log.gets(81, "b", lane="host")
    assert log.found[1:] == ["slot of b is granted to o, who may have no more in its lane"]


def test_nothing_is_expected_of_an_unknown_owner_under_a_limit_per_owner():
    log = Log(host=LaneSettings(max_per_owner=1))
    unknown = {"request_id": "a", "task_id": "a", "weight": 2, "lane": "host"}
    assert log.say(1, "slot_requested", **unknown).after(99) == []
    assert Log().say(1, "slot_requested", **{**unknown, "lane": "image"}).after(99) == late(1)


def test_a_chained_lane_offers_what_it_could_grant_upstream():
    def chain(**further):
        inner = LaneSettings(behind="further")
        return Log(further=LaneSettings(**further), host=inner).wants(1, "a", lane="host")

    what = "is free, a request waits, and nothing is offered to lane further"
    assert chain().after(20) == late(1, "host", what)
    assert chain().wants(1, "a~1", lane="further").after(20) == late(1, "further")
    full = chain(max_concurrent=1).wants(1, "x", lane="further").gets(1, "x", lane="further")
    assert full.wants(1, "a~1", lane="further").after(50) == []
    withdrawn = {"request_id": "a~1", "lane": "further"}
    assert full.say(60, "request_withdrawn", **withdrawn).after(80) == late(60, "host", what)


def test_a_chained_lane_passes_over_an_owner_that_is_full_upstream():
    lanes = {
        "further": LaneSettings(max_per_owner=1),
        "host": LaneSettings(behind="further"),
    }
    log = Log(**lanes).wants(1, "x", lane="further", owner="o").gets(1, "x", lane="further")
    assert log.wants(2, "a", lane="host", owner="o").after(50) == []
    what = "is free, a request waits, and nothing is offered to lane further"
    assert log.gives(60, "x", "further").after(80) == late(60, "host", what)


def test_a_grant_that_time_made_possible_may_wait_for_a_timer():
    """The limiter may wait for a timer, of which the log tells nothing."""
    lanes = {
        "further": LaneSettings(max_per_owner=1),
        "host": LaneSettings(behind="further", max_concurrent=4, min_time=3),
    }

    def log(wanted_at, full_at):
        """The heavy request is passed over once its owner has a slot upstream."""
        log = Log(**lanes).wants(1, "x", 2, "host").wants(1, "x~1", 2, "further")
        log.gets(1, "x~1", 2, "further").gets(1, "x", 2, "host")
        log.wants(2, "heavy", 3, "host", owner="o").wants(wanted_at, "light", lane="host")
        return log.wants(full_at, "y", lane="further", owner="o").gets(full_at, "y", lane="further")

    what = "is free, a request waits, and nothing is offered to lane further"
    assert log(2, 5).after(4 + TURNS) == []
    assert log(2, 5).after(40) == late(4 + TURNS, "host", what)
    assert log(4, 5).after(40) == late(5, "host", what)  # it was looked at then
    assert log(2, 20).after(40) == late(20, "host", what)  # no timer is as late as that


def test_slots_revoked_for_a_request_are_not_expected_to_go_elsewhere():
    log = Log(host=LaneSettings(max_concurrent=3, preempt=True))
    for name in "xyz":
        log.wants(1, name, lane="host").gets(1, name, lane="host")
    log.wants(2, "heavy", 2, "host")
    for name in "xy":
        slot = {"request_id": name, "task_id": name, "slot_id": f"slot of {name}"}
        log.say(2, "slot_asked_back", lane="host", wanted="heavy", **slot)
    log.wants(2, "light", lane="host").gives(3, "x", "host", "revoked")
    assert log.after(6) == []
    assert log.after(18) == ["late: slot of y is out though it was asked back at 17.000 s"]
    # then it is promised, goes before all others, and fits
    assert log.gives(20, "y", "host", "revoked").after(40)[1:] == late(20, "host")


def test_between_two_grants_the_time_that_is_set_passes():
    log = Log(host=LaneSettings(min_time=30))
    log.wants(1, "a", lane="host").gets(1, "a", lane="host").wants(2, "b", lane="host")
    assert log.after(31 + TURNS) == []
    assert log.after(32 + TURNS) == late(31 + TURNS, "host")


@pytest.mark.parametrize("how", ["request_dropped", "slot_granted"])
def test_a_request_waits_no_longer_than_it_may(how):
    log = Log(host=LaneSettings(max_concurrent=1, max_wait=30))
    log.wants(1, "a", lane="host").gets(1, "a", lane="host")
    log.wants(5, "b", lane="host").wants(6, "c", lane="host")
    ended = {"request_id": "b", "task_id": "b", "slot_id": "s", "weight": 1}
    log.say(35, how, lane="host", **ended)
    what = "has a request that waits for longer than it may"
    assert log.after(36 + TURNS) == []
    assert log.after(37 + TURNS) == late(36 + TURNS, "host", what)


def test_a_lane_is_dropped_only_when_it_is_idle():
    log = Log()
    settings = LaneSettings(max_concurrent=1)
    log.lane(1, "lane_opened", "host:a", settings).wants(1, "a", lane="host:a")
    log.gets(1, "a", lane="host:a").gives(2, "a", "host:a").lane(2, "lane_dropped", "host:a")
    assert log.after(50) == []
    log.lane(60, "lane_opened", "host:a", settings).wants(60, "b", lane="host:a")
    log.gets(60, "b", lane="host:a").lane(61, "lane_dropped", "host:a")
    assert log.found == ["lane host:a is dropped, and is not idle"]


def test_a_session_has_more_time_after_each_edit_before_its_write():
    settings = Settings()
    whole = settings.store_timeout + settings.grace + TURNS
    due = settings.store_timeout + whole
    log = Log().say(0, "session_opened", session_id="s", message_id="m", owner=None)
    log.say(0, "session_sealed", session_id="s", message_id="m", tasks=[])
    assert log.after(due) == []
    log.say(due, "edit_unneeded", message_id="n")
    log.say(due, "text_edited", message_id="m")
    assert log.after(due + whole) == []
    [found] = log.after(due + whole + 1)
    assert found == (
        f"late: session s has all that it waits for, and does not end at {due + whole:.3f} s"
    )
