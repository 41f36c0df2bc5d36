"""What ends a message before its time: in virtual time and drawn orders."""

import pytest

from limner.messages import Unwritten
from limner.messages.errors import AlreadyWritten, SessionCancelled, StreamClosed, StudioClosed


def test_an_interrupt_writes_what_is_finished_and_lets_go_of_the_rest(open_simulated):
    one = open_simulated(seconds={"fast": 1, "slow": 100, "slower": 200}, slots=2)
    stream = one.studio.stream("m")
    names = ["fast", "slow", "slower", "waits"]
    stream.feed("".join(f'<!--img-prompt="{name}"-->' for name in names) + " and")
    one.until("task_settled")
    one.let_pass(one.draw(20))
    before = one.now
    result = stream.interrupt().get()
    assert one.now - before < 2
    assert one.prompts_of(result.pictures) == ["fast"]
    states = {failure.prompt: failure.state for failure in result.failures}
    assert states == dict.fromkeys(names[1:], "cancelled")
    assert one.store.load("m")[0] == result.text
    assert one.events("session_sealed")[0]["reason"] == "interrupted"


def test_an_interrupt_before_any_text_leaves_the_text_that_is_there(open_simulated):
    one = open_simulated()
    one.store.write("m", "here", expected_version=None)
    result = one.studio.stream("m").interrupt().get()
    assert (result.written, result.unwritten) == (False, Unwritten.EMPTY)
    assert one.store.load("m")[0] == "here"


def test_interrupting_a_finished_text_lets_go_of_what_it_waits_for(open_simulated):
    one = open_simulated(seconds=100)
    stream = one.studio.stream("m")
    future = stream.finish('text <!--img-prompt="a"-->')
    one.let_pass(one.draw(20))
    before = one.now
    assert stream.interrupt() is future
    result = future.get()
    assert one.now - before < 3
    assert result.text == 'text <!--img-prompt="a"-->'
    assert [failure.state for failure in result.failures] == ["cancelled"]
    assert one.events("session_sealed")[0]["reason"] == "complete"


def test_a_cancel_writes_nothing_and_gives_its_slots_back(open_simulated, story):
    one = open_simulated(seconds=60, slots=1)
    stream = one.studio.stream("m")
    stream.feed(story)
    future = stream.finish()
    one.until("generation_started")
    before = one.now
    assert stream.cancel().get() is None
    assert one.now - before < 1
    with pytest.raises(SessionCancelled):
        future.get()
    assert one.store.load("m") is None
    assert one.studio.status().lanes["image"].out == 0
    assert len(one.studio.illustrate("m", story).get().pictures) == 3


def test_a_session_that_waits_for_another_can_be_cancelled(open_simulated, story):
    one = open_simulated(seconds=60)
    first = one.studio.illustrate("m", story)
    second = one.studio.stream("m")
    second.feed("never")
    one.let_pass(one.draw(1))
    assert second.cancel().get() is None
    assert one.now < 60
    with pytest.raises(SessionCancelled):
        second.finish().get()
    assert first.get().written
    assert len(one.events("session_opened")) == 1


def test_a_cancel_after_the_write_says_so(open_simulated):
    one = open_simulated()
    stream = one.studio.stream("m")
    stream.finish("done").get()
    with pytest.raises(AlreadyWritten):
        stream.cancel().get()


def test_a_cancel_during_the_write_says_so(open_simulated):
    one = open_simulated(latency=lambda lane, tag: 10_000_000)
    stream = one.studio.stream("m")
    future = stream.finish("text")
    one.let_pass(15)  # it was loaded after 10 seconds, and is written after 20
    assert one.store.load("m") is None
    with pytest.raises(AlreadyWritten):
        stream.cancel().get()
    assert future.get().written


def test_a_cancel_at_any_moment_writes_nothing_or_says_that_it_is_written(open_simulated):
    one = open_simulated(seconds=1, latency=lambda lane, tag: int(one.draw(1_000_000)))
    for number in range(10):
        stream = one.studio.stream(f"m{number}")
        stream.feed('text <!--img-prompt="a"-->')
        future = stream.finish()
        one.let_pass(one.draw(4))
        try:
            assert stream.cancel().get() is None
        except AlreadyWritten:
            assert one.store.load(f"m{number}")[0] == future.get().text
        else:
            assert one.store.load(f"m{number}") is None
            with pytest.raises(SessionCancelled):
                future.get()


def test_cancelling_twice_is_as_cancelling_once(open_simulated):
    one = open_simulated()
    for number in range(10):
        stream = one.studio.stream(f"m{number}")
        stream.feed("text")
        one.let_pass(one.draw(0.01))
        first, second = stream.cancel(), stream.cancel()
        assert first.get() is second.get() is None
        with pytest.raises(SessionCancelled):
            stream.future.get()
        assert stream.cancel().get() is None


def test_a_stream_that_is_silent_for_too_long_is_interrupted(open_simulated):
    one = open_simulated(idle_timeout=120)
    stream = one.studio.stream("m")
    stream.feed('so far <!--img-prompt="a"-->')
    one.let_pass(100)
    stream.feed(" and on")
    one.let_pass(100)
    assert not stream.ended
    result = stream.future.get()
    assert result.text.startswith("so far")
    assert result.text.endswith(" and on")
    assert 220 <= one.time_of("session_sealed", reason="timed_out") < 220 + one.SOON
    with pytest.raises(StreamClosed, match="no text for too long|its session has ended"):
        stream.feed("late")


@pytest.mark.parametrize("end", ["interrupt", "close"])
def test_opening_a_message_and_leaving_it_leaves_its_text(open_simulated, end):
    one = open_simulated()
    one.store.write("m", "what was there", expected_version=None)
    stream = one.studio.stream("m")
    one.let_pass(one.draw(0.01))
    (stream.interrupt if end == "interrupt" else one.studio.close)()
    result = stream.future.get()
    assert not result.written
    assert one.store.load("m")[0] == "what was there"


def test_leaving_the_studio_interrupts_what_is_unfinished_and_drains(open_simulated):
    one = open_simulated(seconds=60)
    unfinished = one.studio.stream("m")
    unfinished.feed('unfinished <!--img-prompt="a"-->')
    finished = one.studio.illustrate("n", 'finished <!--img-prompt="b"-->')
    one.until("generation_started")
    one.studio.close()
    assert unfinished.future.get(timeout=0).text == 'unfinished <!--img-prompt="a"-->'
    assert len(finished.get(timeout=0).pictures) == 1
    assert one.names()[-1] == "studio_closed"
    with pytest.raises(StudioClosed):
        one.studio.stream("n")
    with pytest.raises(StudioClosed):
        one.studio.status()
    with pytest.raises(StreamClosed):
        unfinished.feed("more")


def test_text_that_comes_just_before_a_silence_is_noticed_has_ended_it(open_simulated):
    one = open_simulated(idle_timeout=120)
    stream = one.studio.stream("m")
    stream.feed("before")
    one.let_pass(60)
    inbox = stream._monitor.actor_inbox
    one.system.run_until(lambda: not inbox.empty())  # the monitor is about to look
    fed = one.now
    assert 120 <= fed < 120 + one.SOON
    stream.feed(" and after")
    assert stream.future.get().text == "before and after"
    assert 120 <= round(one.time_of("session_sealed") - fed, 6) < 120 + one.SOON
