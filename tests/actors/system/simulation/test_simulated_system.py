"""The simulated system: one actor at a time, virtual time, everything drawn from the seed."""

import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pykka
import pytest
from support.simulated_actors import Note, actor_of

from limner.actors import SimulatedSystem, System
from limner.actors.system import SimulationStuck

SECOND = 1_000_000


def test_nothing_happens_until_somebody_waits(system):
    ref = Note.start()
    ref.tell("a")
    assert actor_of(ref).heard == []
    assert ref.ask(lambda actor: actor.what()) == ["a"]


def test_a_timer_comes_at_its_virtual_time_in_no_real_time(system):
    ref = Note.start()
    system.clock.after(86_400, ref, "tomorrow")
    system.clock.after(3_600, ref, "soon")
    system.run_until(lambda: len(actor_of(ref).heard) == 2)
    (first, at), (second, then) = actor_of(ref).heard
    assert (first, second) == ("soon", "tomorrow")
    assert 0 <= at - 3_600 * SECOND < 1_000
    assert 0 <= then - 86_400 * SECOND < 1_000


def test_a_cancelled_timer_says_nothing_and_the_clock_does_not_stop_for_it(system):
    ref = Note.start()
    system.clock.after(10, ref, "never").cancel()
    system.run_until(100)
    assert actor_of(ref).heard == []
    assert system.clock.now == 100 * SECOND


def test_timers_of_one_time_come_in_the_order_of_their_making(system):
    ref = Note.start()
    for number in range(20):
        system.clock.after(1, ref, number)
    system.run_until(2)
    assert actor_of(ref).what() == list(range(20))


def test_running_until_a_time_stops_there_though_there_is_more_to_do(system):
    ref = Note.start()

    def again(actor):
        actor.actor_ref.tell(again)

    ref.tell(again)
    system.run_until(0.01)
    assert 10_000 <= system.clock.now < 11_000


def test_what_is_told_is_heard_in_order_and_one_message_a_turn(system):
    refs = [Note.start() for _ in range(5)]
    for number in range(50):
        for ref in refs:
            ref.tell(number)
    for ref in refs:
        assert ref.ask(lambda actor: actor.what()) == list(range(50))


def test_seeds_draw_different_orders():
    def order(seed):
        with closing(SimulatedSystem(seed)) as system, system:
            heard = []
            refs = [Note.start() for _ in range(6)]
            for index, ref in enumerate(refs):
                ref.tell(lambda _, index=index: heard.append(index))
            system.run_until(lambda: len(heard) == 6)
            return tuple(heard)

    assert len({order(seed) for seed in range(20)}) > 10
    assert order(3) == order(3)


def test_an_actor_may_wait_for_another_one_and_for_several_at_once(system):
    last = Note.start()
    middle = Note.start()

    def ask_both(_):
        slow = middle.ask(lambda _: last.ask(lambda _: 40), block=False)
        return last.ask(lambda _: 2) + slow.get()

    assert Note.start().ask(ask_both) == 42


def test_waits_need_not_end_in_the_order_in_which_they_began(system):
    first, second = system.future(), system.future()
    ended = []

    def wait(future, name):
        def waiting(_):
            future.get()
            ended.append(name)

        return waiting

    one, two, three = Note.start(), Note.start(), Note.start()
    asked = [
        one.ask(wait(first, "first"), block=False),
        two.ask(wait(second, "second"), block=False),
    ]
    system.run_until(1)
    three.tell(lambda _: first.set(None))
    asked[0].get()
    three.tell(lambda _: second.set(None))
    asked[1].get()
    assert ended == ["first", "second"]


def test_a_wait_may_time_out_in_virtual_time(system):
    with pytest.raises(pykka.Timeout, match="5 seconds of virtual time"):
        system.future().get(timeout=5)
    assert system.clock.now == 5 * SECOND

    def wait(actor):
        try:
            actor.system.future().get(timeout=7)
        except pykka.Timeout:
            return actor.system.clock.now

    assert 12 * SECOND <= Note.start().ask(wait) < 12.1 * SECOND


def test_mapped_and_stopped_futures_wait_in_the_simulation_too(system):
    ref = Note.start()
    assert ref.ask(lambda _: 20, block=False).map(lambda value: value + 1).get() == 21
    assert ref.stop() is True
    assert ref.stop() is False
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("too late")


def test_who_waits_for_whom_is_said_when_nothing_is_left_to_do(system):
    class Silent(Note):
        pass

    silent, asking = Silent.start(), Note.start()
    never = system.future(about="a word")
    silent.tell(lambda _: never.get())
    with pytest.raises(SimulationStuck) as stuck:
        asking.ask(lambda _: silent.ask("hello?"))
    text = str(stuck.value)
    assert f"the driver awaits {asking}'s reply to function" in text
    assert f"{asking} awaits {silent}'s reply to str" in text
    assert f"{silent} awaits a word" in text


def test_a_livelock_is_told_from_work():
    with closing(SimulatedSystem(1, max_turns=1_000)) as system, system:
        ref = Note.start()

        def again(actor):
            actor.actor_ref.tell(again)

        ref.tell(again)
        with pytest.raises(SimulationStuck, match=r"1,000 turns were taken .* one of Note"):
            system.future().get()


def test_a_failed_predicate_names_itself(system):
    def the_moon_is_blue():
        return False

    with pytest.raises(SimulationStuck, match="the_moon_is_blue"):
        system.run_until(the_moon_is_blue)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_in_an_actor_is_raised_at_the_driver(system, error):
    def interrupt(_):
        raise error

    ref = Note.start()
    ref.tell(interrupt)
    with pytest.raises(error):
        system.run_until(1)
    assert not ref.is_alive()


def test_another_base_exception_stops_all_as_in_pykka(system):
    refs = [Note.start() for _ in range(3)]

    def fail(_):
        raise BaseException("out")

    refs[0].tell(fail)
    system.run_until(1)
    assert not any(ref.is_alive() for ref in refs)


def test_a_subscriber_is_called_between_turns_and_may_wait(system):
    got = []
    ref = Note.start()
    outlet = system.outlet(lambda thing: got.append((thing, ref.ask(lambda _: "ok"))), lost=None)
    ref.tell(lambda _: [outlet.put(number) for number in range(3)])
    system.run_until(lambda: len(got) == 3)
    assert got == [(0, "ok"), (1, "ok"), (2, "ok")]


def test_a_subscriber_that_raises_is_called_again(system):
    got = []

    def callback(thing):
        got.append(thing)
        raise ValueError

    outlet = system.outlet(callback, lost=None)
    outlet.put(1)
    outlet.put(2)
    system.run_until(1)
    assert got == [1, 2]


def test_closing_ends_what_still_waits_and_leaves_nothing_behind():
    system = SimulatedSystem(1)
    raised = []

    def wait_for_ever(actor):
        try:
            actor.system.future().get()
        except BaseException as error:
            raised.append(type(error).__name__)
            raise

    with system:
        refs = [Note.start() for _ in range(3)]
    for ref in refs[:2]:
        ref.tell(wait_for_ever)
    system.run_until(1)
    system.close()
    system.close()
    assert raised == ["SimulationClosed"] * 2
    assert not any(ref.is_alive() for ref in refs)
    assert pykka.ActorRegistry.get_all() == []
    assert not [one for one in threading.enumerate() if one.name.startswith("simulation")]


def test_a_late_ask_is_answered_after_the_closing():
    system = SimulatedSystem(1)
    ref = system.start(Note)
    system.close()
    with pytest.raises(pykka.ActorDeadError):
        ref.ask("hello")


def test_randomness_is_a_stream_a_purpose(system):
    other = SimulatedSystem(1)
    system.random("a").random()
    assert system.random("b").random() == other.random("b").random()
    assert system.random("b") is system.random("b")
    assert SimulatedSystem(2).random("b").random() != SimulatedSystem(1).random("b").random()
    assert system.new_id() == other.new_id()
    other.close()


def test_a_real_system_beside_it_is_none_of_its_business(system):
    other = System("other")
    try:
        assert other.start(Note).ask(lambda _: 5) == 5
    finally:
        other.close()


def test_what_is_asked_after_each_turn_must_not_wait(system):
    ref = Note.start()
    with pytest.raises(
        SimulationStuck, match=r"asks after each turn waits for Note .* reply to str"
    ):
        system.run_until(lambda: ref.ask("how are you?"))
    assert ref.ask(lambda actor: actor.what()) == ["how are you?"]


def test_a_subscriber_gets_each_thing_once_though_it_waits_meanwhile(system):
    got = []
    ref = Note.start()

    def callback(thing):
        if thing < 3:
            ref.ask(lambda _: outlet.put(thing + 1))
        got.append(thing)

    outlet = system.outlet(callback, lost=None)
    outlet.put(0)
    system.run_until(1)
    assert got == [0, 1, 2, 3]


def test_a_subscriber_may_end_its_own_subscription(system):
    got = []

    def callback(thing):
        got.append(thing)
        outlet.close()

    outlet = system.outlet(callback, lost=None)
    outlet.put(0)
    outlet.put(1)
    system.run_until(1)
    assert got == [0, 1]


def test_a_closed_simulation_does_nothing_more_and_says_so():
    system = SimulatedSystem(1)
    never = system.future()
    system.close()
    with pytest.raises(SimulationStuck, match="is closed"):
        never.get()
    with pytest.raises(SimulationStuck, match="is closed"):
        system.run_until(5)
    with pytest.raises(RuntimeError, match="is closed"):
        system.start(Note)
    with pytest.raises(pykka.Timeout):
        never.get(timeout=0)


def test_only_one_drives_a_simulation(system):
    ref = Note.start()
    with pytest.raises(SimulationStuck, match="close it from outside"):
        ref.ask(lambda actor: actor.system.close())
    other = SimulatedSystem(2)
    asking = other.start(Note)
    with pytest.raises(SimulationStuck, match="somebody else drives"):
        ref.ask(lambda _: asking.ask(lambda _: ref.ask("back to the first")))
    other.close()


def test_an_actor_that_will_not_let_go_is_made_to_when_the_simulation_closes():
    system = SimulatedSystem(1)

    def stubborn(actor):
        while True:
            try:
                actor.system.future().get()
            except Exception:
                continue

    ref = system.start(Note)
    ref.tell(stubborn)
    system.run_until(1)
    system.close()
    assert not ref.is_alive()


def test_closing_is_not_bound_to_so_many_turns():
    system = SimulatedSystem(1, max_turns=20)
    refs = [system.start(Note) for _ in range(50)]
    system.close()
    assert not any(ref.is_alive() for ref in refs)


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -1, 1e12])
def test_a_time_that_is_none_is_refused(system, time):
    with pytest.raises(ValueError, match="a time is from 0 to"):
        system.run_until(time)


CTRL_C = """
import signal, sys, threading, time
from contextlib import closing
from limner.actors import PooledActor, SimulatedSystem

class Busy(PooledActor):
    def on_receive(self, message):
        self.actor_ref.tell(message)

armed, interrupted = False, 0

def interrupt(*_):
    global armed
    if armed:
        armed = False
        raise KeyboardInterrupt

with closing(SimulatedSystem(1)) as system:
    system.start(Busy).tell("go")
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.0031)
    end = time.monotonic() + 2
    while time.monotonic() < end:
        try:
            armed = True
            system.run_until(system.clock.now / 1e6 + 0.00001)
            armed = False
        except KeyboardInterrupt:
            interrupted += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
print(interrupted, threading.active_count())
"""


def test_ctrl_c_at_any_moment_leaves_the_simulation_as_it_can_go_on():
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    interrupted, threads = map(int, done.stdout.split())
    assert interrupted > 5
    assert threads == 1


PROGRAM = """
from contextlib import closing
from hashlib import sha256
from pathlib import Path
import sys, tempfile
from limner.scripts.simulate.scenario import load_scenario
from limner.scripts.simulate.run import simulate

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "events.jsonl"
    for seed in (3, 10, 291):
        report = simulate(load_scenario("chaos"), seed, events=path)
        assert report.passed, report.problems
    print(sha256(path.read_bytes()).hexdigest(), len(path.read_bytes().splitlines()))
"""


def test_the_log_of_a_seed_does_not_depend_on_the_hashes_of_a_process():
    said = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(said) == 1
    assert int(said.pop().split()[1]) > 500
