"""The host's end of a message, from many threads."""

import threading

import pytest

from limner.messages.errors import StreamClosed

WAIT = 60


@pytest.mark.parametrize("end", ["finish", "interrupt"])
def test_a_chunk_is_taken_or_refused_but_never_lost(open_studio, end):
    """Threads feed while another one ends the stream."""
    one = open_studio()
    for attempt in range(30):
        stream = one.studio.stream(f"m{attempt}")
        taken, go = [[], []], threading.Barrier(3)

        def feed(number, stream=stream, taken=taken, go=go):
            go.wait()
            for index in range(100_000):
                chunk = f"{number}.{index};"
                try:
                    stream.feed(chunk)
                except StreamClosed:
                    return
                taken[number].append(chunk)

        feeders = [threading.Thread(target=feed, args=(number,)) for number in range(2)]
        for thread in feeders:
            thread.start()
        go.wait()
        while not taken[0] or not taken[1]:
            pass
        text = getattr(stream, end)().get(timeout=WAIT).text
        for thread in feeders:
            thread.join()
        chunks = [f"{chunk};" for chunk in text.split(";")[:-1]]
        for number in range(2):
            assert [one for one in chunks if one.startswith(f"{number}.")] == taken[number]
