"""Gates: what passes them, and what waits for that."""

from concurrent.futures import ThreadPoolExecutor

from limner.actors.system import Gates


def test_calls_pass_a_gate_until_it_is_closed():
    gates = Gates()
    gate = gates.of("m")
    assert gate is gates.of("m")
    assert gate is not gates.of("n")
    assert gate.enter()
    assert gates.close("m") is gate
    assert not gate.enter()
    assert gates.of("m").enter()


def test_closing_waits_for_what_is_inside():
    gates = Gates()
    gate = gates.of("m")
    assert gate.enter()
    assert gate.enter()
    closed = gates.close("m")
    with ThreadPoolExecutor(1) as threads:
        empty = threads.submit(closed.wait_until_empty)
        gate.leave()
        assert not empty.done()
        gate.leave()
        empty.result(timeout=60)


def test_a_gate_that_nobody_holds_is_not_remembered():
    gates = Gates()
    held = [gates.of(str(number)) for number in range(10)]
    assert len(gates) == 10
    del held[3:]
    assert len(gates) == 3
    gates.close("0")
    assert len(gates) == 2
    gates.close("unknown").wait_until_empty()


def test_threads_that_ask_at_once_get_the_same_gate():
    gates = Gates()
    with ThreadPoolExecutor(8) as threads:
        for name in map(str, range(200)):
            got = list(threads.map(lambda _, name=name: gates.of(name), range(8)))
            assert len(set(got)) == 1
