"""What a second pair of eyes broke on real threads, each kept from breaking again."""

import asyncio
import contextlib
import threading

import pytest

from limner.actors import Settings, Studio, System
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.actors.system import PooledActor
from limner.messages.errors import (
    SessionFailed,
    StudioClosed,
)

WAIT = 60
PICTURE = Instant().generate(None, None)
TEXT = '<!--img-prompt="a"--> text'


def test_text_that_lies_in_an_idle_stream_is_taken_before_it_is_sealed(open_studio):
    one = open_studio(idle_timeout=0.001)
    for number in range(50):
        stream = one.studio.stream(f"m{number}")
        fed = []
        try:
            for index in range(200):
                stream.feed(f"{index};")
                fed.append(f"{index};")
        except Exception:
            pass
        result = stream.future.get(timeout=WAIT)
        assert result.text == "".join(fed)


@pytest.mark.parametrize("text", [None, b"bytes", ["a", "list"], 7])
def test_what_is_no_text_is_refused_at_the_call_and_leaves_no_session(open_studio, text):
    one = open_studio()
    with pytest.raises(TypeError):
        one.studio.illustrate("m", text)
    stream = one.studio.stream("n")
    with pytest.raises(TypeError):
        stream.replace(text)
    if text is not None:
        with pytest.raises(TypeError):
            stream.finish(text)
    assert stream.finish("text").get(timeout=WAIT).written
    assert one.studio.illustrate("m", "text").get(timeout=WAIT).written


def test_closing_while_texts_are_given_loses_none_and_empties_none(tmp_path):
    for _ in range(30):
        store = MemoryStore()
        store.write("m", "old", expected_version=None)
        studio = Studio.open(Settings(), store=store, generator=Instant())
        go, futures = threading.Barrier(2), []

        def give(go=go, studio=studio, futures=futures):
            go.wait()
            with contextlib.suppress(StudioClosed):
                futures.append(studio.illustrate("m", "new"))

        host = threading.Thread(target=give)
        host.start()
        go.wait()
        studio.close()
        host.join()
        written = bool(futures) and not isinstance(error_of(futures[0]), StudioClosed)
        assert store.load("m")[0] == ("new" if written else "old")


def error_of(future):
    try:
        future.get(timeout=WAIT)
    except StudioClosed as error:
        return error
    return None


def test_a_done_callback_may_call_back_into_the_studio(open_studio):
    one = open_studio()
    called = threading.Event()

    def callback(future):
        assert one.studio.status().actors >= 3
        called.set()

    one.studio.concurrent(one.studio.illustrate("m", TEXT)).add_done_callback(callback)
    assert called.wait(WAIT)
    assert one.studio.illustrate("n", TEXT).get(timeout=WAIT).written


def test_many_futures_can_be_awaited_at_once(open_studio):
    one = open_studio()

    async def all_of_them():
        futures = [one.studio.illustrate(f"m{n}", TEXT) for n in range(50)]
        return await asyncio.gather(
            *(asyncio.wrap_future(one.studio.concurrent(f)) for f in futures)
        )

    assert all(result.written for result in asyncio.run(all_of_them()))


def test_two_studios_on_one_system_each_have_their_slots():
    together = threading.Barrier(3)

    def generate(task, cancelled):
        together.wait(WAIT)
        return PICTURE

    system = System("shared")
    try:
        with (
            Studio.open(
                Settings(slots=3), store=MemoryStore(), generator=generate, system=system
            ) as a,
            Studio.open(
                Settings(slots=1), store=MemoryStore(), generator=Instant(), system=system
            ) as b,
        ):
            futures = [a.illustrate(f"m{n}", TEXT) for n in range(3)]
            assert b.illustrate("x", TEXT).get(timeout=WAIT).pictures
            assert all(future.get(timeout=WAIT).pictures for future in futures)
    finally:
        system.close()


def test_sessions_that_fail_on_several_dispatcher_threads_close_nothing():
    """An orphan's end must not be heard of before the end of the one that it lost."""

    system = System("many", threads=4)
    try:
        with Studio.open(
            Settings(), store=MemoryStore(), generator=Instant(), system=system
        ) as studio:
            for number in range(300):
                stream = studio.stream(f"m{number}")
                stream.feed(TEXT)
                sequencer = studio._client.sequencer.actor_inbox.actor
                while f"m{number}" not in sequencer.sessions:
                    pass
                ref = sequencer.sessions[f"m{number}"].ref
                ref.tell(Broken())
                with pytest.raises(SessionFailed):
                    stream.future.get(timeout=WAIT)
            assert studio.illustrate("last", TEXT).get(timeout=WAIT).written
    finally:
        system.close()


class Broken:
    """A message that no actor survives."""

    @property
    def __class__(self):
        raise RuntimeError("broken")


def test_a_blocked_actor_stalls_nobody_however_quick_the_next_message_is():
    with System("stall") as system:
        for _ in range(5):
            go = threading.Event()

            class Blocker(PooledActor):
                def on_receive(self, message):
                    message.wait(WAIT)

            class Echo(PooledActor):
                def on_receive(self, message):
                    return message

            blocker, echo = Blocker.start(), Echo.start()
            echo.ask("warm")
            blocker.tell(go)
            assert echo.ask("answered", timeout=WAIT / 4) == "answered"
            go.set()
            blocker.stop()
            echo.stop()
    system.close()


def test_a_message_with_an_odd_equality_harms_no_thread():
    class Odd:
        def __eq__(self, other):
            raise BaseException("odd")

        __hash__ = object.__hash__

    class Gone(PooledActor):
        def on_failure(self, *_):
            raise BaseException("out of a hook")

        def on_receive(self, message):
            raise RuntimeError

    with System("odd") as system:
        for _ in range(3):
            ref = Gone.start()
            ref.deliver("fail")
            ref.actor_stopped.wait(WAIT)
            ref.deliver(Odd())

        class Echo(PooledActor):
            def on_receive(self, message):
                return message

        assert Echo.start().ask("here", timeout=WAIT) == "here"
    system.close()
