"""Asks that come as a system closes."""

import threading

import pykka

from limner.actors import PooledActor, System

WAIT = 60


class Echo(PooledActor):
    def on_receive(self, message):
        return message


def test_an_ask_that_races_the_closing_of_its_system_is_answered():
    for _ in range(60):
        with System("late") as system:
            refs = [Echo.start() for _ in range(3)]
        go, unanswered = threading.Barrier(3), []

        def ask(refs=refs, go=go, unanswered=unanswered):
            go.wait()
            for number in range(30):
                try:
                    assert refs[number % 3].ask(number, timeout=WAIT) == number
                except pykka.ActorDeadError:
                    pass
                except pykka.Timeout:
                    unanswered.append(number)

        askers = [threading.Thread(target=ask) for _ in range(2)]
        for thread in askers:
            thread.start()
        go.wait()
        system.close()
        for thread in askers:
            thread.join()
        assert unanswered == []
        assert not [t for t in threading.enumerate() if t.name.startswith("late-")]


class Blocker(PooledActor):
    def on_receive(self, message):
        entered, go = message
        entered.set()
        go.wait(WAIT)


class PatientEcho(Echo):
    patient = True


def test_what_comes_to_a_patient_actor_as_its_system_closes_is_not_left_lying():
    with System("late-patient", max_threads=1) as system:
        patient, blocker = PatientEcho.start(), Blocker.start()
    assert patient.ask("has had a turn", timeout=WAIT)
    patient.stop(timeout=WAIT)
    entered, go = threading.Event(), threading.Event()
    blocker.tell((entered, go))
    assert entered.wait(WAIT)
    patient.deliver("too late")  # behind the turn that blocks, and before the end of the thread
    closing = threading.Thread(target=system.dispatcher.close)
    closing.start()
    while system.dispatcher._ready.qsize() < 2:
        closing.join(0.001)
    go.set()
    closing.join(WAIT)
    assert system.dead_letters == 1
    system.close()
