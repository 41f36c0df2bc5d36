"""The whole main job, on real threads."""

import re
import threading
from itertools import pairwise

import pykka
import pytest

from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.messages import PictureBytes, find_prompts
from limner.messages.errors import (
    AlreadyWritten,
    GenerationFailed,
    MessageBusy,
    SessionCancelled,
    SessionFailed,
    SessionTimedOut,
    SettingsInvalid,
    StoreFailed,
    StreamClosed,
    StudioClosed,
    TextTooLong,
    UnknownMessage,
    VersionConflict,
)

WAIT = 20
PICTURE = Instant().generate(None, None)


class Gate:
    """A generator whose calls wait until they are let through, or are cancelled."""

    def __init__(self):
        self.opened = threading.Event()
        self.entered = threading.Semaphore(0)

    def generate(self, task, cancelled):
        self.entered.release()
        while not self.opened.wait(0.01):
            if cancelled.is_set():
                raise GenerationFailed("cancelled", retryable=False)
        return PICTURE


class Deaf(Gate):
    """A generator that does not look whether it was cancelled."""

    def generate(self, task, cancelled):
        self.entered.release()
        self.opened.wait(WAIT)
        return PICTURE


def failing(*errors):
    """Give a generator that fails with these first, then makes pictures."""
    left = list(errors)

    def generate(task, cancelled):
        if left:
            raise left.pop(0)
        return PICTURE

    return generate


def marks(text):
    return re.findall(r'data-limner="([0-9a-f]{20}:[0-9a-f]{32})"', text)


def test_a_streamed_text_is_written_once_with_each_picture_after_its_tag(open_studio, story):
    one = open_studio()
    stream = one.studio.stream("m", owner="alice")
    for character in story:
        stream.feed(character)
    result = stream.finish().get(timeout=WAIT)
    assert result.written
    assert len(result.pictures) == 3
    assert one.store.load("m") == (result.text, result.version)
    for match, placement in zip(find_prompts(result.text), result.pictures, strict=True):
        assert result.text[match.end :].startswith(f'<img data-limner="{placement.id}"')
    assert len(one.events("text_written")) == 1
    assert one.events("session_ended")[0]["outcome"] == "written"


def test_a_generation_starts_while_the_text_still_streams(open_studio, story):
    gate = Gate()
    one = open_studio(generator=gate)
    stream = one.studio.stream("m")
    stream.feed(story[: story.index("-->") + 3])
    assert gate.entered.acquire(timeout=WAIT)
    assert one.studio.progress("m").generating == 1
    assert one.studio.progress("m").state == "streaming"
    gate.opened.set()
    stream.feed(story[story.index("-->") + 3 :])
    assert len(stream.finish().get(timeout=WAIT).pictures) == 3
    names = one.names()
    assert names.index("generation_started") < names.index("session_sealed")


def test_a_text_without_prompts_is_written_too(open_studio):
    one = open_studio()
    result = one.studio.illustrate("m", "No pictures here.").get(timeout=WAIT)
    assert result.written
    assert one.store.load("m")[0] == "No pictures here."


def test_a_complete_text_is_illustrated(open_studio, story):
    one = open_studio()
    assert len(one.studio.illustrate("m", story).get(timeout=WAIT).pictures) == 3


def test_a_duplicate_open_is_the_same_session_and_an_open_after_the_seal_the_next(open_studio):
    gate = Gate()
    one = open_studio(generator=gate)
    first = one.studio.stream("m")
    assert one.studio.stream("m") is first
    with pytest.raises(MessageBusy):
        one.studio.illustrate("m", "x")
    first.feed('<!--img-prompt="first"-->')
    done = first.finish()
    second = one.studio.stream("m")
    assert second is not first
    second.feed('once more <!--img-prompt="second"-->')
    later = second.finish()
    assert gate.entered.acquire(timeout=WAIT)
    assert one.studio.status().waiting_sessions == 1
    gate.opened.set()
    assert len(done.get(timeout=WAIT).pictures) == 1
    assert later.get(timeout=WAIT).text.startswith("once more")
    opened = [event["seq"] for event in one.events("session_opened")]
    ended = [event["seq"] for event in one.events("session_ended")]
    assert opened[0] < ended[0] < opened[1] < ended[1]


def test_text_after_the_end_is_refused_with_what_to_do(open_studio):
    one = open_studio()
    stream = one.studio.stream("m")
    stream.feed("text")
    future = stream.finish()
    assert stream.finish() is future
    for call in (
        lambda: stream.feed("more"),
        lambda: stream.replace("all"),
        lambda: stream.finish("all"),
    ):
        with pytest.raises(StreamClosed, match="finished.*open it again"):
            call()
    assert future.get(timeout=WAIT).text == "text"


def test_what_is_out_of_bounds_is_refused_at_the_call(open_studio):
    one = open_studio(max_text=10)
    for bad in ("", "x" * 201, "a\nb", "a\ud800", 7):
        with pytest.raises(UnknownMessage):
            one.studio.stream(bad)
    with pytest.raises(SettingsInvalid):
        one.studio.stream("m", owner="")
    with pytest.raises(SettingsInvalid):
        one.studio.stream("m", priority="urgent")
    stream = one.studio.stream("m")
    stream.feed("12345")
    with pytest.raises(TextTooLong, match="11 characters.*10"):
        stream.feed("678901")
    with pytest.raises(TypeError):
        stream.feed(b"bytes")
    with pytest.raises(TextTooLong):
        one.studio.illustrate("n", "x" * 11)
    assert stream.finish().get(timeout=WAIT).text == "12345"


def test_a_text_that_is_given_whole_withdraws_what_it_no_longer_holds(open_studio):
    gate = Gate()
    one = open_studio(generator=gate, slots=1)
    stream = one.studio.stream("m")
    stream.replace('one <!--img-prompt="a"--> two <!--img-prompt="b"-->')
    assert gate.entered.acquire(timeout=WAIT)
    stream.replace('one <!--img-prompt="b"--> three <!--img-prompt="c"-->')
    stream.replace('one <!--img-prompt="b"--> three <!--img-prompt="c"--> end')
    gate.opened.set()
    result = stream.finish().get(timeout=WAIT)
    assert [placement.prompt for placement in result.pictures] == ["b", "c"]
    assert result.failures == ()
    assert len(one.events("prompt_withdrawn")) == 1
    assert len(one.events("prompt_detected")) == 3


def test_the_final_text_decides_what_is_illustrated(open_studio):
    one = open_studio()
    stream = one.studio.stream("m")
    stream.feed('draft <!--img-prompt="a"-->')
    result = stream.finish('final <!--img-prompt="b"-->').get(timeout=WAIT)
    assert [placement.prompt for placement in result.pictures] == ["b"]
    assert result.text.startswith("final")


def test_an_interrupt_writes_what_is_finished_and_lets_go_of_the_rest(open_studio):
    first_done = threading.Event()
    gate = Gate()

    def generate(task, cancelled):
        return PICTURE if task.prompt == "fast" else gate.generate(task, cancelled)

    one = open_studio(generator=generate, slots=2)
    one.studio.subscribe(
        lambda event: first_done.set() if event["event"] == "task_settled" else None
    )
    stream = one.studio.stream("m")
    stream.feed('<!--img-prompt="fast"--><!--img-prompt="slow"--><!--img-prompt="waits"--> and')
    assert first_done.wait(WAIT)
    assert gate.entered.acquire(timeout=WAIT)
    result = stream.interrupt().get(timeout=WAIT)
    assert [placement.prompt for placement in result.pictures] == ["fast"]
    assert {failure.prompt: failure.state for failure in result.failures} == {
        "slow": "cancelled",
        "waits": "cancelled",
    }
    assert one.store.load("m")[0] == result.text
    assert one.events("session_sealed")[0]["reason"] == "interrupted"


def test_a_cancel_writes_nothing_and_gives_its_slots_back(open_studio, story):
    gate = Gate()
    one = open_studio(generator=gate, slots=1)
    stream = one.studio.stream("m")
    stream.feed(story)
    future = stream.finish()
    assert gate.entered.acquire(timeout=WAIT)
    assert stream.cancel().get(timeout=WAIT) is None
    with pytest.raises(SessionCancelled):
        future.get(timeout=WAIT)
    assert one.store.load("m") is None
    assert one.studio.status().lanes["image"].out == 0
    gate.opened.set()
    assert len(one.studio.illustrate("m", story).get(timeout=WAIT).pictures) == 3


def test_a_session_that_waits_for_another_can_be_cancelled(open_studio, story):
    gate = Gate()
    one = open_studio(generator=gate)
    first = one.studio.illustrate("m", story)
    second = one.studio.stream("m")
    second.feed("never")
    assert second.cancel().get(timeout=WAIT) is None
    with pytest.raises(SessionCancelled):
        second.finish().get(timeout=WAIT)
    gate.opened.set()
    assert first.get(timeout=WAIT).written


def test_a_cancel_after_the_write_says_so(open_studio):
    one = open_studio()
    stream = one.studio.stream("m")
    stream.finish("done").get(timeout=WAIT)
    with pytest.raises(AlreadyWritten):
        stream.cancel().get(timeout=WAIT)


def test_a_cancel_during_the_write_says_so(open_studio):
    writing, go = threading.Event(), threading.Event()

    class Slow(MemoryStore):
        def write(self, *args, **kwargs):
            writing.set()
            go.wait(WAIT)
            return super().write(*args, **kwargs)

    one = open_studio(store=Slow())
    stream = one.studio.stream("m")
    future = stream.finish("text")
    assert writing.wait(WAIT)
    refused = stream.cancel()
    go.set()
    with pytest.raises(AlreadyWritten):
        refused.get(timeout=WAIT)
    assert future.get(timeout=WAIT).written


def test_an_idle_stream_is_interrupted(open_studio):
    one = open_studio(idle_timeout=0.05)
    stream = one.studio.stream("m")
    stream.feed('so far <!--img-prompt="a"-->')
    result = stream.future.get(timeout=WAIT)
    assert result.text.startswith("so far")
    assert one.events("session_sealed")[0]["reason"] == "timed_out"
    with pytest.raises(StreamClosed, match="no text for too long|its session has ended"):
        stream.feed("late")


class TestFailures:
    """Each ends as designed, and the next message works."""

    @pytest.fixture
    def works_after(self, open_studio, story):
        def check(one):
            result = one.studio.illustrate("next", story).get(timeout=WAIT)
            assert len(result.pictures) == 3
            assert one.studio.status().lanes["image"].out == 0

        return check

    def test_a_retryable_failure_is_tried_again(self, open_studio, works_after):
        one = open_studio(generator=failing(GenerationFailed("busy"), OSError("reset")))
        result = one.studio.illustrate("m", '<!--img-prompt="a"-->').get(timeout=WAIT)
        assert len(result.pictures) == 1
        assert len(one.events("generation_retried")) == 2
        works_after(one)

    def test_retries_are_bounded(self, open_studio, works_after):
        one = open_studio(generator=failing(*[GenerationFailed("busy")] * 3), attempts=3)
        result = one.studio.illustrate("m", '<!--img-prompt="a"--> text').get(timeout=WAIT)
        assert result.written
        assert result.text == '<!--img-prompt="a"--> text'
        assert [failure.state for failure in result.failures] == ["failed"]
        assert "busy" in result.failures[0].reason
        works_after(one)

    @pytest.mark.parametrize(
        "error",
        [GenerationFailed("refused", retryable=False), SystemExit(3), KeyboardInterrupt()],
        ids=["refused", "SystemExit", "KeyboardInterrupt"],
    )
    def test_what_cannot_be_retried_is_not(self, open_studio, works_after, error):
        one = open_studio(generator=failing(error))
        result = one.studio.illustrate("m", '<!--img-prompt="a"-->').get(timeout=WAIT)
        assert [failure.state for failure in result.failures] == ["failed"]
        assert len(one.events("generation_failed", final=True)) == 1
        works_after(one)

    @pytest.mark.parametrize(
        "given",
        [None, b"bytes", PictureBytes(data=b"no picture"), PictureBytes(data=PICTURE.data[:60])],
        ids=["none", "bytes", "rubbish", "cut"],
    )
    def test_what_is_no_picture_fails_its_task_alone(self, open_studio, works_after, given):
        def generate(task, cancelled):
            return given if task.prompt == "bad" else PICTURE

        one = open_studio(generator=generate)
        text = '<!--img-prompt="bad"--> <!--img-prompt="good"-->'
        result = one.studio.illustrate("m", text).get(timeout=WAIT)
        assert [placement.prompt for placement in result.pictures] == ["good"]
        assert [failure.prompt for failure in result.failures] == ["bad"]
        works_after(one)

    def test_a_call_that_takes_too_long_is_retried(self, open_studio, works_after):
        calls = []

        def generate(task, cancelled):
            calls.append(task.attempts)
            if len(calls) == 1:
                assert cancelled.wait(WAIT)
                raise OSError("gave up")
            return PICTURE

        one = open_studio(generator=generate, generation_timeout=0.05)
        result = one.studio.illustrate("m", '<!--img-prompt="a"-->').get(timeout=WAIT)
        assert len(result.pictures) == 1
        assert calls == [1, 2]
        assert "longer than 0.05 s" in one.events("generation_failed")[0]["reason"]
        works_after(one)

    def test_a_call_that_does_not_come_back_is_abandoned_and_its_slot_returns(
        self, open_studio, works_after
    ):
        deaf = Deaf()

        def generate(task, cancelled):
            return deaf.generate(task, cancelled) if task.prompt == "deaf" else PICTURE

        one = open_studio(
            generator=generate, generation_timeout=0.05, grace=0.05, attempts=1, slots=1
        )
        result = one.studio.illustrate("m", '<!--img-prompt="deaf"-->').get(timeout=WAIT)
        assert [failure.state for failure in result.failures] == ["failed"]
        assert one.studio.status().abandoned == 1
        works_after(one)
        late = threading.Event()
        one.studio.subscribe(
            lambda event: late.set() if event["event"] == "generation_late" else None
        )
        deaf.opened.set()
        assert late.wait(WAIT)
        assert len(one.events("call_abandoned")) == 1

    def test_a_generator_that_hangs_past_the_deadline_times_the_session_out(
        self, open_studio, works_after
    ):
        gate = Gate()
        one = open_studio(generator=gate, deadline=0.1)
        future = one.studio.illustrate("m", '<!--img-prompt="a"-->')
        with pytest.raises(SessionTimedOut) as caught:
            future.get(timeout=WAIT)
        assert caught.value.waiting_for == (one.events("prompt_detected")[0]["task_id"],)
        assert one.store.load("m") is None
        assert one.events("session_ended")[0]["outcome"] == "timed_out"
        gate.opened.set()
        works_after(one)

    def test_what_is_finished_at_the_deadline_is_written_if_so_set(self, open_studio):
        gate = Gate()

        def generate(task, cancelled):
            return PICTURE if task.prompt == "fast" else gate.generate(task, cancelled)

        one = open_studio(generator=generate, deadline=0.1, write_at_deadline=True)
        text = '<!--img-prompt="fast"--><!--img-prompt="slow"-->'
        result = one.studio.illustrate("m", text).get(timeout=WAIT)
        assert [placement.prompt for placement in result.pictures] == ["fast"]

    def test_pictures_of_a_session_that_failed_are_used_first_by_the_next(self, open_studio):
        class Broken(MemoryStore):
            broken = True

            def write(self, *args, **kwargs):
                if self.broken:
                    raise StoreFailed("the disk is full")
                return super().write(*args, **kwargs)

        calls = []

        def generate(task, cancelled):
            calls.append(task.prompt)
            return PICTURE

        store = Broken()
        one = open_studio(store=store, generator=generate)
        text = '<!--img-prompt="a"-->'
        with pytest.raises(SessionFailed, match="the disk is full") as caught:
            one.studio.illustrate("m", text).get(timeout=WAIT)
        assert isinstance(caught.value.cause, StoreFailed)
        store.broken = False
        result = one.studio.illustrate("m", text).get(timeout=WAIT)
        assert len(result.pictures) == 1
        assert calls == ["a"]

    def test_a_host_that_saves_while_it_streams_conflicts_with_nobody(self, open_studio, story):
        one = open_studio()
        stream = one.studio.stream("m")
        stream.feed(story[:30])
        assert one.studio.progress("m").state == "streaming"
        one.store.write("m", story[:30], expected_version=None)
        stream.feed(story[30:])
        result = stream.finish().get(timeout=WAIT)
        assert len(result.pictures) == 3
        assert one.store.load("m")[0] == result.text

    def test_pictures_go_into_a_text_that_was_edited_meanwhile(self, open_studio):
        gate = Gate()
        one = open_studio(generator=gate)
        one.store.write("m", "old", expected_version=None)
        future = one.studio.illustrate("m", 'a <!--img-prompt="a"--> b <!--img-prompt="b"-->')
        assert gate.entered.acquire(timeout=WAIT)
        version = one.store.load("m")[1]
        one.store.write("m", 'edited: <!--img-prompt="b"-->!', expected_version=version)
        gate.opened.set()
        result = future.get(timeout=WAIT)
        assert result.text.startswith('edited: <!--img-prompt="b"--><img ')
        assert [placement.prompt for placement in result.pictures] == ["b"]
        assert [one.placement.prompt for one in result.unplaced] == ["a"]
        assert len(one.events("write_conflicted")) == 1

    def test_a_store_that_always_conflicts_fails_its_session_alone(self, open_studio, works_after):
        class Contested(MemoryStore):
            def write(self, message_id, *args, **kwargs):
                if message_id == "m":
                    raise VersionConflict("somebody was faster")
                return super().write(message_id, *args, **kwargs)

        one = open_studio(store=Contested())
        with pytest.raises(SessionFailed) as caught:
            one.studio.illustrate("m", "text").get(timeout=WAIT)
        assert isinstance(caught.value.cause, VersionConflict)
        works_after(one)

    def test_a_message_that_is_gone_is_not_written(self, open_studio, works_after):
        gate = Gate()
        one = open_studio(generator=gate)
        one.store.write("m", "here", expected_version=None)
        future = one.studio.illustrate("m", '<!--img-prompt="a"-->')
        assert gate.entered.acquire(timeout=WAIT)
        del one.store.texts["m"]
        gate.opened.set()
        result = future.get(timeout=WAIT)
        assert not result.written
        assert "gone" in result.reason
        assert one.store.load("m") is None
        assert one.events("session_ended")[0]["outcome"] == "skipped"
        works_after(one)

    def test_a_store_that_does_not_come_back_is_not_waited_for(self, open_studio, works_after):
        go = threading.Event()

        class Hanging(MemoryStore):
            def write(self, message_id, *args, **kwargs):
                if message_id == "m":
                    go.wait(WAIT)
                return super().write(message_id, *args, **kwargs)

        one = open_studio(store=Hanging(), store_timeout=0.05, lost_threads=1)
        with pytest.raises(SessionFailed, match="not come back"):
            one.studio.illustrate("m", "text").get(timeout=WAIT)
        works_after(one)
        go.set()

    def test_a_store_that_cannot_be_read_fails_its_session_alone(self, open_studio, works_after):
        class Unreadable(MemoryStore):
            def load(self, message_id):
                if message_id == "m":
                    raise StoreFailed("locked")
                return super().load(message_id)

        one = open_studio(store=Unreadable())
        with pytest.raises(SessionFailed, match="locked"):
            one.studio.illustrate("m", "text").get(timeout=WAIT)
        works_after(one)

    @pytest.mark.parametrize("role", ["monitor", "processor", "writer", "session"])
    def test_an_actor_that_fails_ends_its_session_alone(
        self, open_studio, works_after, story, role
    ):
        gate = Gate()
        one = open_studio(generator=gate, slots=2)
        stream = one.studio.stream("m")
        stream.feed(story)
        other = one.studio.illustrate("other", story)
        assert gate.entered.acquire(timeout=WAIT)
        (ref,) = [
            ref
            for ref in pykka.ActorRegistry.get_by_class_name(f"{role.title()}Actor")
            if ref.actor_inbox.actor.message_id == "m"
        ]
        ref.tell(Poison())
        with pytest.raises(SessionFailed, match="poisoned"):
            stream.finish().get(timeout=WAIT)
        gate.opened.set()
        assert len(other.get(timeout=WAIT).pictures) == 3
        works_after(one)
        assert one.store.load("m") is None
        assert one.events("session_ended", message_id="m")[0]["outcome"] == "failed"

    @pytest.mark.parametrize("role", ["Limiter", "Recorder", "Studio"])
    def test_a_part_that_all_need_closes_the_studio_when_it_fails(self, tmp_path, story, role):
        from limner.actors import Settings, Studio

        gate = Gate()
        studio = Studio.open(Settings(grace=1), store=MemoryStore(), generator=gate)
        future = studio.illustrate("m", story)
        waiting = studio.stream("m")
        assert gate.entered.acquire(timeout=WAIT)
        (ref,) = pykka.ActorRegistry.get_by_class_name(f"{role}Actor")
        ref.tell(Poison())
        with pytest.raises((SessionFailed, StudioClosed), match="poisoned"):
            future.get(timeout=WAIT)
        with pytest.raises(StudioClosed):
            waiting.future.get(timeout=WAIT)
        studio.close()
        with pytest.raises(StudioClosed, match="poisoned"):
            studio.stream("n")
        gate.opened.set()


class Poison:
    """A message that no actor survives: it cannot be compared with a type."""

    @property
    def __class__(self):
        raise RuntimeError("poisoned")


def test_leaving_the_studio_interrupts_what_is_unfinished_and_drains(open_studio, story):
    one = open_studio()
    stream = one.studio.stream("m")
    stream.feed("unfinished")
    one.studio.close()
    assert stream.future.get(timeout=0).text == "unfinished"
    assert one.names()[-1] == "studio_closed"
    with pytest.raises(StudioClosed):
        one.studio.stream("n")
    with pytest.raises(StudioClosed):
        one.studio.status()
    with pytest.raises(StreamClosed):
        stream.feed("more")


def test_prompts_over_the_limit_are_named_in_the_result(open_studio):
    one = open_studio(max_prompts_per_message=2)
    text = "".join(f'<!--img-prompt="{name}"-->' for name in "abcd")
    result = one.studio.illustrate("m", text).get(timeout=WAIT)
    assert [placement.prompt for placement in result.pictures] == ["a", "b"]
    assert result.over_limit == ("c", "d")


def test_a_pattern_that_runs_away_is_given_up_and_the_rest_goes_on(open_studio):
    runaway = r"\[\[((?:\w|\w\w|\d)*)\]\]"
    one = open_studio(patterns=(r"<<(.+?)>>", runaway))
    text = "<<good>> [[" + "a" * 400 + "! ]] <<better>>"
    result = one.studio.illustrate("m", text).get(timeout=WAIT)
    assert [placement.prompt for placement in result.pictures] == ["good", "better"]
    assert result.dropped_patterns == (runaway,)
    assert len(one.events("pattern_dropped")) == 1


def test_a_subscriber_that_fails_or_lags_harms_nobody(open_studio, story):
    one = open_studio()
    heard, stuck = [], threading.Event()

    def fail(event):
        raise RuntimeError("a bad subscriber")

    one.studio.subscribe(fail)
    one.studio.subscribe(lambda event: stuck.wait(WAIT))
    unsubscribe = one.studio.subscribe(heard.append)
    one.studio.illustrate("m", story).get(timeout=WAIT)
    unsubscribe()
    stuck.set()
    assert [event["event"] for event in heard][-1:] == ["session_ended"]
    assert heard == one.events()[2:]


def test_surrogate_halves_in_different_chunks_become_one_character(open_studio):
    one = open_studio()
    stream = one.studio.stream("m")
    for chunk in ("a \ud83d", "\ude00 b \ud800", "!"):
        stream.feed(chunk)
    assert stream.finish().get(timeout=WAIT).text == "a \U0001f600 b \ufffd!"


def test_a_future_can_be_awaited_by_asyncio(open_studio, story):
    import asyncio

    one = open_studio()

    async def illustrate():
        future = one.studio.illustrate("m", story)
        return await asyncio.wrap_future(one.studio.concurrent(future))

    assert asyncio.run(illustrate()).written


def test_a_background_message_waits_for_an_active_one(open_studio):
    gate = Gate()
    order = []

    def generate(task, cancelled):
        order.append(task.prompt)
        return gate.generate(task, cancelled)

    one = open_studio(generator=generate, slots=1)
    first = one.studio.illustrate("a", '<!--img-prompt="first"-->')
    assert gate.entered.acquire(timeout=WAIT)
    low = one.studio.illustrate("b", '<!--img-prompt="low"-->', priority="background")
    high = one.studio.illustrate("c", '<!--img-prompt="high"-->')
    while one.studio.status().lanes["image"].waiting < 2:
        threading.Event().wait(0.005)
    gate.opened.set()
    for future in (first, low, high):
        future.get(timeout=WAIT)
    assert order == ["first", "high", "low"]


def test_grants_keep_their_distance(open_studio, story):
    one = open_studio(min_time=0.03, slots=3)
    one.studio.illustrate("m", story).get(timeout=WAIT)
    times = [event["t"] for event in one.events("slot_granted")]
    micros = [round(one * 1_000_000) for one in times]
    assert all(b - a >= 30_000 for a, b in pairwise(micros))


def test_a_lease_that_ends_takes_the_slot_back(open_studio):
    deaf = Deaf()

    def generate(task, cancelled):
        return deaf.generate(task, cancelled) if task.prompt == "deaf" else PICTURE

    one = open_studio(generator=generate, lease=0.1, attempts=1, slots=1)
    result = one.studio.illustrate("m", '<!--img-prompt="deaf"-->').get(timeout=WAIT)
    assert "lease" in result.failures[0].reason
    assert len(one.events("slot_expired")) == 1
    assert one.studio.illustrate("n", '<!--img-prompt="a"-->').get(timeout=WAIT).pictures
    deaf.opened.set()
