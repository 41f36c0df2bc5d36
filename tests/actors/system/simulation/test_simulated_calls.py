"""Calls and faults in simulated time: latencies, hangs, failures in the middle of a message."""

from contextlib import closing

from support.simulated_actors import Note, actor_of

from limner.actors import SimulatedSystem
from limner.actors.system import CallReturned, Faults, InjectedFailure

SECOND = 1_000_000


def test_a_call_takes_its_latency_and_is_run_at_its_end():
    with closing(SimulatedSystem(1, latency=lambda pool, tag: 3 * SECOND)) as system, system:
        system.workers.open_pool("lane", 1)
        ref = Note.start()
        ran = []

        def call(actor, tag):
            actor.call(
                "lane",
                lambda call: ran.append(("run", call.tag, system.clock.now)),
                begun=lambda call: ran.append(("begun", call.tag, system.clock.now)),
                tag=tag,
            )

        ref.tell(lambda actor: [call(actor, "a"), call(actor, "b")])
        system.run_until(lambda: len(actor_of(ref).heard) == 2)
        assert [(name, tag) for name, tag, _ in ran] == [
            ("begun", "a"),
            ("run", "a"),
            ("begun", "b"),  # one at a time, since the lane has one thread
            ("run", "b"),
        ]
        times = [at for _, _, at in ran]
        assert times[1] - times[0] == 3 * SECOND
        assert times[3] - times[2] == 3 * SECOND


def test_a_call_whose_beginning_fails_ends_with_that(system):
    ref = Note.start()

    def begun(_):
        raise ValueError("not now")

    ref.tell(lambda actor: actor.call("lane", lambda _: 1, begun=begun) and None)
    system.run_until(lambda: actor_of(ref).heard)
    (returned,) = actor_of(ref).what()
    assert isinstance(returned, CallReturned)
    assert str(returned.error) == "not now"


def hanging(*, inattentive=0.0):
    system = SimulatedSystem(
        1, latency=lambda pool, tag: None, faults=Faults(inattentive=inattentive)
    )
    system.workers.open_pool("lane", 1)
    return system


def test_a_call_that_hangs_comes_back_once_it_is_cancelled_if_it_takes_notice():
    with closing(hanging()) as system, system:
        ref = Note.start()
        call = ref.ask(lambda actor: actor.call("lane", lambda call: call.is_set()))
        system.run_until(100)
        assert actor_of(ref).heard == []
        ref.tell(lambda _: call.cancel())
        system.run_until(101)
        assert actor_of(ref).what() == [CallReturned(call, True, None)]


def test_a_call_that_hangs_and_takes_no_notice_is_abandoned_and_its_place_is_free():
    with closing(hanging(inattentive=1)) as system, system:
        ref = Note.start()
        call, waiting = ref.ask(
            lambda actor: [actor.call("lane", lambda _: None) for _ in range(2)]
        )
        ref.tell(lambda _: call.cancel())
        system.run_until(100)
        assert not call.over
        assert waiting.thread is None
        assert ref.ask(lambda _: call.abandon())
        system.run_until(200)
        assert system.workers.abandoned == 1
        assert waiting.thread is not None
        assert actor_of(ref).heard == []


def test_what_comes_back_late_is_handed_to_who_wants_it():
    with (
        closing(
            SimulatedSystem(1, latency=lambda *_: 10 * SECOND, faults=Faults(inattentive=1))
        ) as system,
        system,
    ):
        system.workers.open_pool("lane", 1)
        late = []
        ref = Note.start()
        call = ref.ask(
            lambda actor: actor.call(
                "lane", lambda _: "picture", late=lambda call, value: late.append(value)
            )
        )
        system.run_until(1)
        ref.tell(lambda _: call.abandon())
        system.run_until(20)
        assert late == ["picture"]
        assert actor_of(ref).heard == []
        assert system.workers.abandoned == 0


def test_a_call_may_wait_in_virtual_time_for_its_cancelling(system):
    ref = Note.start()

    def work(call):
        began = system.clock.now
        return call.wait(30), round((system.clock.now - began) / SECOND)

    calls = [ref.ask(lambda actor: actor.call("lane", work)) for _ in range(2)]
    system.clock.after(10, ref, lambda _: calls[1].set())
    system.run_until(lambda: len(actor_of(ref).heard) == 2)
    values = {returned.call: returned.value for returned in actor_of(ref).what()}
    assert values[calls[0]] == (False, 30)
    assert values[calls[1]][0] is True
    assert values[calls[1]][1] <= 10


def test_an_actor_can_be_made_to_fail_in_the_middle_of_a_message():
    class Teller(Note):
        def on_receive(self, message):
            for number in range(10):
                self.hears.tell(number)

    heard_before_failing = set()
    for seed in range(60):
        with (
            closing(SimulatedSystem(seed, faults=Faults(failure={"Teller": 1.0}))) as system,
            system,
        ):
            hears, teller = Note.start(), Teller.start()
            actor_of(teller).hears = hears
            teller.tell("go")
            ended = []
            system.watch(teller, ended.append)
            system.run_until(1)
            assert isinstance(ended[0].reason, InjectedFailure)
            assert system.injected_failures == 1
            heard_before_failing.add(len(actor_of(hears).heard))
    assert heard_before_failing == set(range(4))


def test_timers_can_be_late():
    late = []
    for seed in range(40):
        faults = Faults(late_timer=0.5, lateness=4)
        with closing(SimulatedSystem(seed, faults=faults)) as system, system:
            ref = Note.start()
            system.clock.after(1, ref, "x")
            system.run_until(6)
            late.append(actor_of(ref).heard[0][1] / SECOND - 1)
    assert 8 < sum(one < 0.01 for one in late) < 32
    assert 1 < max(late) < 4.1


def test_a_lane_that_gets_more_threads_begins_more_calls(system):
    system.workers.open_pool("narrow", 1)
    ref = Note.start()
    begun = []

    def work(call):
        return call.wait()

    ref.tell(lambda actor: [actor.call("narrow", work, begun=begun.append) for _ in range(3)])
    system.run_until(1)
    assert len(begun) == 1
    system.workers.open_pool("narrow", 3)
    system.run_until(2)
    assert len(begun) == 3
