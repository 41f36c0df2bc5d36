"""Calls that block, calls that do not come back, and timers."""

import threading

import pytest

from limner.actors import PooledActor, System
from limner.actors.system import CallReturned, Timer
from limner.actors.system.clock import Timers
from limner.actors.system.workers import MAX_ABANDONED, NoThread, TooManyAbandoned, _Worker

WAIT = 60


class Caller(PooledActor):
    """Submits calls, and puts what it hears where a test can wait for it."""

    def __init__(self):
        super().__init__()
        self.heard = []
        self.changed = threading.Condition()

    def on_receive(self, message):
        if callable(message):
            return message(self)
        with self.changed:
            self.heard.append(message)
            self.changed.notify_all()
        return None


def heard(ref, number):
    actor = ref.actor_inbox.actor
    with actor.changed:
        assert actor.changed.wait_for(lambda: len(actor.heard) >= number, WAIT)
    return actor.heard


@pytest.fixture
def system():
    with System("test") as system:
        system.workers.open_pool("lane", 2)
        yield system
    system.close(1)


@pytest.fixture
def caller(system):
    return Caller.start()


def submit(ref, function, **kwargs):
    return ref.ask(lambda actor: actor.call("lane", function, **kwargs))


def test_a_call_tells_what_it_returned(caller):
    call = submit(caller, lambda call: 42, tag="t")
    assert heard(caller, 1) == [CallReturned(call, 42, None)]
    assert call.tag == "t"


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), KeyboardInterrupt()])
def test_whatever_a_call_raises_is_told_and_its_thread_goes_on(caller, system, error):
    def fail(call):
        raise error

    submit(caller, fail)
    submit(caller, lambda call: "next")
    messages = heard(caller, 2)
    assert {message.error for message in messages} == {error, None}
    assert 1 <= system.workers.threads <= 2


def test_no_more_calls_run_at_one_time_than_the_lane_has_threads(caller, system):
    gate, running, most = threading.Event(), [], []

    def work(call):
        running.append(call)
        most.append(len(running))
        if len(running) == 2:
            gate.set()
        gate.wait(WAIT)
        running.remove(call)

    for _ in range(20):
        submit(caller, work)
    heard(caller, 20)
    assert max(most) == 2
    assert system.workers.threads == 2


def test_calls_that_block_each_get_a_thread_at_once(caller, system):
    together = threading.Barrier(2)
    for _ in range(2):
        submit(caller, lambda call: together.wait(WAIT))
    assert all(message.error is None for message in heard(caller, 2))


def test_a_cancelled_call_sees_it_and_still_tells(caller):
    call = submit(caller, lambda call: call.wait(WAIT))
    call.cancel()
    assert call.is_set()
    assert heard(caller, 1)[0].value is True


def test_an_abandoned_call_is_not_heard_of_and_its_thread_is_replaced(caller, system):
    go, entered, late = threading.Event(), threading.Semaphore(0), []
    came_late = threading.Event()

    def deaf(call):
        entered.release()
        go.wait(WAIT)
        return "late"

    def keep(call, value):
        late.append(value)
        came_late.set()

    calls = [submit(caller, deaf, late=keep) for _ in range(2)]
    waiting = submit(caller, lambda call: "waited")
    for _ in range(2):
        assert entered.acquire(timeout=WAIT)
    assert calls[0].abandon()
    assert not calls[0].abandon()
    assert heard(caller, 1)[0].call is waiting
    assert system.workers.abandoned == 1
    go.set()
    assert heard(caller, 2)[1].call is calls[1]
    assert came_late.wait(WAIT)
    assert late == ["late"]


def test_a_call_that_was_abandoned_before_it_began_never_runs(caller, system):
    go, ran = threading.Event(), []
    blocked = [submit(caller, lambda call: go.wait(WAIT)) for _ in range(2)]
    third = submit(caller, ran.append)
    assert third.abandon()
    assert system.workers.abandoned == 0
    go.set()
    submit(caller, lambda call: None)
    assert len(heard(caller, 3)) == 3
    assert ran == []
    assert all(call.over for call in blocked)


def test_the_calls_of_an_actor_that_ends_are_abandoned(caller, system):
    go, entered = threading.Event(), threading.Event()

    def deaf(call):
        entered.set()
        go.wait(WAIT)

    call = submit(caller, deaf)
    assert entered.wait(WAIT)
    caller.stop()
    other = Caller.start()
    assert submit(other, lambda call: "works").pool is call.pool
    assert heard(other, 1)[0].value == "works"
    assert call.is_set()
    assert system.workers.abandoned == 1
    go.set()


def test_the_number_of_abandoned_threads_is_bounded(caller, system):
    go = threading.Event()
    for _ in range(MAX_ABANDONED):
        entered = threading.Event()
        call = submit(caller, lambda call, entered=entered: (entered.set(), go.wait(WAIT)))
        assert entered.wait(WAIT)
        call.abandon()
    submit(caller, lambda call: "refused")
    (refused,) = heard(caller, 1)
    assert isinstance(refused.error, TooManyAbandoned)
    assert str(MAX_ABANDONED) in str(refused.error)
    go.set()


class TestNoThreadCanBeStarted:
    """As when the interpreter ends."""

    @pytest.fixture
    def no_thread(self, monkeypatch):
        """Return a function from which on none can be started."""

        def refuse(worker):
            raise RuntimeError("can't create new thread at interpreter shutdown")

        return lambda: monkeypatch.setattr(_Worker, "start", refuse)

    def test_a_call_that_may_take_long_fails(self, caller, no_thread):
        no_thread()
        begun = []
        submit(caller, begun.append)
        (refused,) = heard(caller, 1)
        assert isinstance(refused.error, NoThread)
        assert "the program ends" in str(refused.error)
        assert not begun

    def test_a_call_of_a_pool_that_says_so_is_run_on_the_callers_thread(
        self, system, caller, no_thread
    ):
        no_thread()
        system.workers.open_pool("store", 1, on_caller=True)
        ran_on = []

        def note_thread(_=None):
            ran_on.append(threading.current_thread())

        def call(actor):
            note_thread()
            actor.call("store", note_thread)

        caller.ask(call)
        (returned,) = heard(caller, 1)
        assert returned.error is None
        assert ran_on[0] is ran_on[1]

    def test_a_call_waits_for_a_thread_that_is_there(self, system, caller, no_thread):
        entered, gate = threading.Event(), threading.Event()
        system.workers.open_pool("narrow", 2)
        caller.ask(
            lambda actor: actor.call("narrow", lambda _: (entered.set(), gate.wait(WAIT))) and None
        )
        assert entered.wait(WAIT)
        no_thread()
        caller.ask(lambda actor: actor.call("narrow", lambda _: "second") and None)
        gate.set()
        assert [returned.error for returned in heard(caller, 2)] == [None, None]


def test_timers_tell_in_the_order_in_which_they_are_due(system, caller):
    clock, timers = system.clock, Timers()
    for due in (60, 20, 40, 0, 20):
        timers.add(due, Timer(clock, caller, (due, len(timers))))
    order = [timers.pop().message for _ in range(5)]
    assert order == [(0, 3), (20, 1), (20, 4), (40, 2), (60, 0)]
    for seconds in (0.06, 0.02, 0.04, 0.0):
        clock.after(seconds, caller, seconds)
    assert sorted(heard(caller, 4)) == [0.0, 0.02, 0.04, 0.06]
    assert clock.now >= 60_000


def test_a_cancelled_timer_says_nothing_and_cancelling_late_or_twice_is_no_error(system, caller):
    clock = system.clock
    timers = [clock.after(WAIT, caller, "never") for _ in range(200)]
    for timer in timers:
        timer.cancel()
        timer.cancel()
    assert len(clock._timers) < 200
    last = clock.after(0.03, caller, "now")
    assert heard(caller, 1) == ["now"]
    last.cancel()


def test_a_timer_to_an_actor_that_has_ended_is_a_dead_letter(system, caller):
    letter = threading.Event()
    system.on_dead_letter = lambda receiver, message: letter.set()
    caller.stop()
    system.clock.after(0, caller, "late")
    assert letter.wait(WAIT)


def test_a_lane_that_gets_more_threads_begins_calls_that_waited_for_one(system, caller):
    system.workers.open_pool("narrow", 1)
    begun, gate = threading.Semaphore(0), threading.Event()

    def work(_):
        begun.release()
        return gate.wait(WAIT)

    caller.ask(lambda actor: [actor.call("narrow", work) for _ in range(3)] and None)
    assert begun.acquire(timeout=WAIT)
    assert not begun.acquire(blocking=False)
    system.workers.open_pool("narrow", 3)
    assert begun.acquire(timeout=WAIT)
    assert begun.acquire(timeout=WAIT)
    gate.set()
    heard(caller, 3)


def test_a_callback_of_a_future_that_raises_is_no_failure_of_who_sets_it(system):
    future = system.future()
    called = []
    future.when_done(lambda: 1 / 0)
    future.when_done(lambda: called.append("second"))
    future.set(5)
    assert called == ["second"]
    assert future.get() == 5
