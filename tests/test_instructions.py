"""The count of instructions counts, on each Python, also what was compiled before."""

import threading

from support.instructions import grows_in_proportion, steps_of


def work(size):
    return [number for number in range(size) if number % 3]


def test_a_call_that_was_made_before_is_counted_again():
    work(10)
    first = steps_of(lambda: work(1_000))
    assert first > 3_000
    assert abs(steps_of(lambda: work(1_000)) - first) < 100


def test_what_grows_in_proportion_is_told_from_what_does_not():
    assert grows_in_proportion(work, 1_000)
    assert not grows_in_proportion(lambda size: [work(size) for _ in range(size)], 40)


def test_other_threads_are_not_counted():
    thread, stop = None, threading.Event()

    def spin():
        while not stop.is_set():
            work(100)

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        assert steps_of(lambda: stop.wait(0.1)) < 1_000
    finally:
        stop.set()
        thread.join()
