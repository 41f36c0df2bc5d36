"""Asks that come as a system closes."""

import threading

import pykka

from limner.actors import PooledActor, System

WAIT = 20


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
