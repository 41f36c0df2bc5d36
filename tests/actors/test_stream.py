"""The host's end of a message, from many threads."""

import threading

import pytest

from limner.messages.errors import StreamClosed

WAIT = 20


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


def test_chunks_and_whole_texts_come_in_the_order_in_which_they_were_given(open_studio):
    one = open_studio()
    stream = one.studio.stream("m")
    stream.feed("a")
    stream.replace("b")
    stream.feed("c")
    stream.replace("bcd")
    stream.feed("e")
    assert stream.characters == 4
    assert stream.finish().get(timeout=WAIT).text == "bcde"


def test_interrupting_a_finished_text_lets_go_of_what_it_waits_for(open_studio):
    from limner.messages.errors import GenerationFailed

    entered = threading.Event()

    def hang(task, cancelled):
        entered.set()
        cancelled.wait(WAIT)
        raise GenerationFailed("cancelled", retryable=False)

    one = open_studio(generator=hang)
    stream = one.studio.stream("m")
    future = stream.finish('text <!--img-prompt="a"-->')
    assert entered.wait(WAIT)
    assert stream.interrupt() is future
    result = future.get(timeout=WAIT)
    assert result.text == 'text <!--img-prompt="a"-->'
    assert [failure.state for failure in result.failures] == ["cancelled"]
    assert one.events("session_sealed")[0]["reason"] == "complete"
