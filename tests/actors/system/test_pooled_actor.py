"""Pykka's contract where its own suite does not look, and what Limner adds to it."""

import threading
import time

import pykka
import pytest

from limner.actors import PooledActor, System
from limner.actors.system import ActorEnded, current_system

WAIT = 60


@pytest.fixture
def system():
    with System("test") as system:
        yield system
    system.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("test-")]


class Echo(PooledActor):
    def on_receive(self, message):
        return message() if callable(message) else message


class Parent(PooledActor):
    """Runs what it is told with itself, and remembers whose end it heard of."""

    def __init__(self):
        super().__init__()
        self.heard = []
        self.changed = threading.Condition()

    def on_receive(self, message):
        if isinstance(message, ActorEnded):
            with self.changed:
                self.heard.append(message)
                self.changed.notify_all()
            return None
        return message(self)


def wait_for_ends(ref, number):
    parent = ref.actor_inbox.actor
    with parent.changed:
        assert parent.changed.wait_for(lambda: len(parent.heard) >= number, WAIT)
    return parent.heard


def test_an_actor_inherits_the_system_of_the_one_that_starts_it(system):
    parent = Parent.start()
    child = parent.ask(lambda actor: Echo.start())
    assert child.system is system
    assert current_system() is system


def test_without_a_system_named_an_actor_runs_on_the_process_default():
    ref = Echo.start()
    other = Echo.start()
    assert ref.system is other.system
    assert ref.ask("x") == "x"
    ref.stop()
    other.stop()


def test_no_ask_that_races_a_stop_is_left_unanswered(system):
    unanswered = 0
    for _ in range(300):
        ref = Echo.start()
        go = threading.Barrier(3)
        futures = []

        def ask(ref=ref, go=go, futures=futures):
            go.wait()
            futures.extend(ref.ask(n, block=False) for n in range(20))

        askers = [threading.Thread(target=ask) for _ in range(2)]
        for thread in askers:
            thread.start()
        go.wait()
        ref.stop(block=False)
        for thread in askers:
            thread.join()
        for future in futures:
            try:
                future.get(timeout=WAIT)
            except pykka.ActorDeadError:
                pass
            except pykka.Timeout:
                unanswered += 1
    assert unanswered == 0


def test_messages_of_one_sender_come_in_order_from_many_threads(system):
    class Collector(PooledActor):
        def __init__(self):
            super().__init__()
            self.got = []

        def on_receive(self, message):
            if message == "all":
                return self.got
            self.got.append(message)
            return None

    ref = Collector.start()

    def send(sender):
        for number in range(2_000):
            ref.tell((sender, number))

    senders = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join()
    got = ref.ask("all")
    assert len(got) == 8_000
    for name in "abcd":
        assert [number for sender, number in got if sender == name] == list(range(2_000))


@pytest.mark.parametrize("block", [lambda: time.sleep(0.3), lambda: threading.Event().wait(0.3)])
def test_an_actor_that_blocks_does_not_stall_the_others(system, block):
    released = threading.Event()

    def stall():
        released.wait(WAIT)
        block()

    sleepers = [Echo.start() for _ in range(5)]
    for ref in sleepers:
        ref.tell(stall)
    assert Echo.start().ask("awake", timeout=WAIT) == "awake"
    released.set()
    for ref in sleepers:
        assert ref.ask("after", timeout=WAIT) == "after"


def test_actors_that_ask_each_other_in_a_long_chain_do_not_starve(system):
    chain = [Parent.start() for _ in range(30)]

    def pass_on(index):
        def run(actor):
            if index + 1 == len(chain):
                return "end"
            return chain[index + 1].ask(pass_on(index + 1))

        return run

    assert chain[0].ask(pass_on(0), timeout=WAIT) == "end"


def test_an_actor_that_tells_a_dead_one_gets_no_error_but_another_thread_does(system):
    letters = []
    system.on_dead_letter = lambda receiver, message: letters.append((receiver, message))
    dead = Echo.start()
    dead.stop()
    parent = Parent.start()
    assert parent.ask(lambda actor: dead.tell("hello")) is None
    Echo.start().ask("a turn of the one thread, so the letter is read")
    assert letters == [("Echo", "hello")]
    assert system.dead_letters == 1
    with pytest.raises(pykka.ActorDeadError):
        dead.tell("hello")


def test_what_was_told_and_not_handled_at_the_end_is_a_dead_letter(system):
    gate = threading.Event()
    ref = Echo.start()
    ref.tell(lambda: gate.wait(WAIT))
    stopped = ref.stop(block=False)
    ref.tell("too late")
    gate.set()
    assert stopped.get(timeout=WAIT)
    Echo.start().ask("a turn")
    assert system.dead_letters == 1


class BadStart(PooledActor):
    def on_start(self):
        raise RuntimeError("bad start")


class BadStop(PooledActor):
    def on_stop(self):
        raise RuntimeError("bad stop")


class BadReceive(PooledActor):
    def on_receive(self, message):
        raise RuntimeError("bad receive")


class BadFailure(BadReceive):
    def on_failure(self, *_):
        raise ValueError("worse")


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        (Echo, None),
        (BadStart, "bad start"),
        (BadStop, "bad stop"),
        (BadReceive, "bad receive"),
        (BadFailure, "bad receive"),
    ],
)
def test_whoever_starts_an_actor_is_told_how_it_ended(system, child, reason):
    def start(actor):
        ref = child.start()
        if issubclass(child, BadReceive):
            ref.tell("fail")
        elif child is not BadStart:
            ref.end()
        return ref

    parent = Parent.start()
    ref = parent.ask(start)
    (ended,) = wait_for_ends(parent, 1)
    assert ended.ref is ref
    assert (ended.reason and str(ended.reason)) == reason
    assert ended.orphans == ()


class Linked(Parent):
    linked = True
    contains = True


def test_a_linked_actors_children_end_with_it_and_its_starter_hears_of_all(system):
    top = Parent.start()
    middle = top.ask(lambda actor: Linked.start())
    children = [middle.ask(lambda actor: Echo.start()) for _ in range(3)]

    def fail(actor):
        raise BaseException("only my own failure")

    middle.tell(fail)
    heard = wait_for_ends(top, 4)
    assert heard[0].ref is middle
    assert "only my own failure" in str(heard[0].reason)
    assert set(heard[0].orphans) == set(children)
    assert {ended.ref for ended in heard[1:]} == set(children)
    assert top.is_alive()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_an_actor_stops_all_actors_of_its_system_and_no_other(system, error):
    with System("test-other") as other:
        untouched = Echo.start()
    refs = [Linked.start() for _ in range(3)]

    def interrupt(actor):
        raise error

    asked = refs[0].ask(interrupt, block=False)
    with pytest.raises(pykka.ActorDeadError):
        asked.get(timeout=WAIT)
    assert system.supervision.wait_for_all(WAIT)
    assert untouched.ask("here") == "here"
    other.close()


def test_who_is_no_actor_can_watch_one(system):
    heard = []
    ref = BadReceive.start()
    ended = threading.Event()
    system.watch(ref, lambda message: (heard.append(message), ended.set()))
    ref.tell("fail")
    assert ended.wait(WAIT)
    assert str(heard[0].reason) == "bad receive"
    system.watch(ref, heard.append)
    assert len(heard) == 2


def test_a_system_that_closes_just_as_its_watcher_goes_to_sleep_leaves_no_thread():
    for _ in range(15):
        with System("test-brief") as brief:
            released = threading.Event()
            blocker = Echo.start()
            blocker.tell(lambda released=released: released.wait(WAIT))
            assert Echo.start().ask("past the blocked one", timeout=WAIT)
            released.set()
            blocker.ask("after")
        brief.close()
        assert not [t for t in threading.enumerate() if t.name.startswith("test-brief")]


def test_leaving_the_registry_is_no_search(system):
    """Pykka's list is replaced by one on a dict, and still is what the registry says it is."""
    refs = [Echo.start() for _ in range(50)]
    assert [ref for ref in pykka.ActorRegistry.get_all() if ref in refs] == refs
    refs[10].stop()
    assert refs[10] not in pykka.ActorRegistry.get_all()
    assert type(pykka.ActorRegistry._actor_refs).__name__ == "RefList"


def test_a_future_calls_back_and_becomes_a_concurrent_one(system):
    from limner.actors.system import concurrent

    gate = threading.Event()
    future = Echo.start().ask(lambda: gate.wait(WAIT), block=False)
    plain, mapped = concurrent(future), concurrent(future.map(lambda value: [value]))
    assert not plain.done()
    gate.set()
    assert plain.result(timeout=WAIT) is True
    assert mapped.result(timeout=WAIT) == [True]
    failed = concurrent(BadReceive.start().ask("fail", block=False))
    with pytest.raises(RuntimeError, match="bad receive"):
        failed.result(timeout=WAIT)


class Telling(PooledActor):
    """Writes down its name when it hears something; tells others what it is given."""

    def __init__(self, name, order, done=None):
        super().__init__()
        self.name, self.order, self.done = name, order, done

    def on_receive(self, others):
        self.order.append(self.name)
        for other in others:
            other.tell(())
        if self.done is not None:
            self.done.set()


class Patient(Telling):
    patient = True


def test_who_is_patient_lets_others_go_before_that_are_ready(system):
    order, done = [], system.future()
    with system:
        patient = Patient.start("patient", order, done)
        other = Telling.start("other", order)
        first = Telling.start("first", order)
    patient.tell(())
    done.get(timeout=WAIT)
    order.clear()
    patient.actor_inbox.actor.done = done = system.future()
    first.tell([patient, other])
    done.get(timeout=WAIT)
    assert order == ["first", "other", "patient"]


def test_who_is_patient_has_a_turn_though_others_are_always_ready(system):
    class Restless(PooledActor):
        def on_receive(self, message):
            if not done.done:
                self.actor_ref.tell(message)

    done = system.future()
    with system:
        patient = Patient.start("patient", [], done)
        restless = [Restless.start() for _ in range(3)]
    for one in restless:
        one.tell("go on")
    patient.tell(())
    done.get(timeout=WAIT)
