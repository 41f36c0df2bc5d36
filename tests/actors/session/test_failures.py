"""What fails ends as designed, and the next message works: in virtual time and drawn orders."""

import pykka
import pytest

from limner.actors.generators import Instant
from limner.messages import PictureBytes
from limner.messages.errors import (
    GenerationFailed,
    SessionFailed,
    SessionTimedOut,
    StudioClosed,
)

MINUTES = 60
PICTURE = Instant().generate(None, None)
TEXT = '<!--img-prompt="a"--> text'


def quick(lane, tag):
    """Return the microseconds of a call whose time matters to nobody."""
    return 1_000


def failing(*errors):
    """Return a generator that fails with these first, then makes pictures."""
    left = list(errors)

    def generate(task, cancelled):
        if left:
            raise left.pop(0)
        return PICTURE

    return generate


def states_of(failures):
    return [failure.state for failure in failures]


class Poison:
    """A message that no actor survives: it cannot be compared with a type."""

    @property
    def __class__(self):
        raise RuntimeError("poisoned")


class TestGenerators:
    """One fails, gives rubbish, takes too long or does not come back."""

    def test_a_retryable_failure_is_tried_again_after_its_backoff(
        self, open_simulated, works_after
    ):
        one = open_simulated(
            generator=failing(GenerationFailed("busy"), OSError("reset")), backoff=10
        )
        result = one.studio.illustrate("m", TEXT).get()
        assert len(result.pictures) == 1
        first, second = one.events("generation_retried")
        assert 5 <= first["delay"] <= 10 <= second["delay"] <= 20
        _, *again = [event["t"] for event in one.events("slot_requested")]
        for event, t in zip((first, second), again, strict=True):
            assert 0 <= round(t - event["t"] - event["delay"], 6) < one.SOON
        works_after(one)

    def test_retries_are_bounded(self, open_simulated, works_after):
        one = open_simulated(generator=failing(*[GenerationFailed("busy")] * 3), attempts=3)
        result = one.studio.illustrate("m", TEXT).get()
        assert result.written
        assert result.text == TEXT
        assert states_of(result.failures) == ["failed"]
        assert "busy" in result.failures[0].reason
        assert len(one.events("generation_started")) == 3
        works_after(one)

    @pytest.mark.parametrize(
        "error",
        [GenerationFailed("refused", retryable=False), SystemExit(3), KeyboardInterrupt()],
        ids=["refused", "SystemExit", "KeyboardInterrupt"],
    )
    def test_what_cannot_be_retried_is_not(self, open_simulated, works_after, error):
        one = open_simulated(generator=failing(error))
        result = one.studio.illustrate("m", TEXT).get()
        assert states_of(result.failures) == ["failed"]
        assert len(one.events("generation_failed", final=True)) == 1
        works_after(one)

    @pytest.mark.parametrize(
        "given",
        [None, b"bytes", PictureBytes(data=b"no picture"), PictureBytes(data=PICTURE.data[:60])],
        ids=["none", "bytes", "rubbish", "cut"],
    )
    def test_what_is_no_picture_fails_its_task_alone(self, open_simulated, works_after, given):
        def generate(task, cancelled):
            return given if task.prompt == "bad" else PICTURE

        one = open_simulated(generator=generate)
        text = '<!--img-prompt="bad"--> <!--img-prompt="good"-->'
        result = one.studio.illustrate("m", text).get()
        assert one.prompts_of(result.pictures) == ["good"]
        assert one.prompts_of(result.failures) == ["bad"]
        works_after(one)

    @pytest.mark.parametrize("said", ["half a character \ud800", "many lines\n" * 1_000])
    def test_whatever_is_said_of_a_failure_can_be_logged(self, open_simulated, works_after, said):
        one = open_simulated(generator=failing(GenerationFailed(said, retryable=False)))
        (failure,) = one.studio.illustrate("m", TEXT).get().failures
        failure.reason.encode()
        assert len(failure.reason) <= 500
        works_after(one)

    def test_an_exception_that_cannot_even_say_what_it_was_fails_its_task_alone(
        self, open_simulated, works_after
    ):
        class Mute(Exception):
            def __str__(self):
                raise RuntimeError

            @property
            def retryable(self):
                raise RuntimeError

        one = open_simulated(generator=failing(Mute()), attempts=1)
        (failure,) = one.studio.illustrate("m", TEXT).get().failures
        assert failure.reason == "the generator failed (Mute); the event log says more"
        (logged,) = one.events("generation_failed")
        assert logged["reason"] == "Mute: (it cannot say what it was)"
        works_after(one)

    def test_a_call_that_takes_too_long_is_retried(self, open_simulated, works_after):
        calls = []

        def generate(task, cancelled):
            calls.append(task.attempts)
            if len(calls) == 1:
                assert cancelled.wait(10 * MINUTES)
                raise OSError("gave up")
            return PICTURE

        one = open_simulated(generator=generate, latency=quick, generation_timeout=120)
        result = one.studio.illustrate("m", TEXT).get()
        assert len(result.pictures) == 1
        assert calls == [1, 2]
        assert "longer than 120 s" in one.events("generation_failed")[0]["reason"]
        took = one.time_of("generation_failed") - one.time_of("generation_started", attempt=1)
        assert 120 - one.SOON < took < 120 + one.SOON
        works_after(one)

    def test_a_call_that_does_not_come_back_is_abandoned_and_its_slot_returns(
        self, open_simulated, works_after
    ):
        one = open_simulated(
            seconds={"deaf": 15 * MINUTES},
            deaf=["deaf"],
            latency=quick,
            generation_timeout=120,
            grace=5,
            attempts=1,
            slots=1,
        )
        result = one.studio.illustrate("m", '<!--img-prompt="deaf"-->').get()
        assert states_of(result.failures) == ["failed"]
        assert one.studio.status().abandoned == 1
        for event in ("call_abandoned", "slot_released"):
            took = one.between("generation_started", event)
            assert 125 - one.SOON < took < 125 + one.SOON
        works_after(one)
        one.until("generation_late")
        assert one.now >= 15 * MINUTES
        assert one.studio.status().abandoned == 0
        assert len(one.events("call_abandoned")) == 1

    def test_a_picture_that_comes_too_late_is_placed_all_the_same(self, open_simulated):
        one = open_simulated(seconds=15 * MINUTES, deaf=["deaf"], attempts=1)
        text = '<!--img-prompt="deaf"-->'
        assert one.studio.illustrate("m", text).get().pictures == ()
        one.until("text_edited")
        assert one.store.load("m")[0].count("<img data-limner") == 1
        assert one.store.kept("m") == {}
        assert len(one.events("generation_started")) == 1

    def test_a_session_past_its_deadline_writes_nothing_if_so_set(
        self, open_simulated, works_after
    ):
        one = open_simulated(
            seconds={"a": 60 * MINUTES},
            deadline=300,
            generation_timeout=3_600,
            write_at_deadline=False,
        )
        future = one.studio.illustrate("m", TEXT)
        with pytest.raises(SessionTimedOut) as caught:
            future.get()
        assert caught.value.waiting_for == (one.events("prompt_detected")[0]["task_id"],)
        assert one.store.load("m") is None
        assert one.events("session_ended")[0]["outcome"] == "timed_out"
        assert 300 <= one.between("session_sealed", "write_skipped") < 300 + one.SOON
        works_after(one)

    def test_what_is_finished_at_the_deadline_is_written(self, open_simulated):
        one = open_simulated(seconds={"slow": 60 * MINUTES}, latency=quick, deadline=300)
        text = '<!--img-prompt="fast"--><!--img-prompt="slow"-->'
        result = one.studio.illustrate("m", text).get()
        assert one.prompts_of(result.pictures) == ["fast"]
        (failure,) = result.failures
        assert failure.prompt == "slow"
        assert failure.reason.startswith("it was not finished 300 s after the text's end")
        assert 300 <= one.between("session_sealed", "text_written") < 300 + one.SOON


class TestActors:
    """One fails in the middle of its work."""

    @pytest.mark.parametrize("role", ["monitor", "processor", "writer", "session"])
    def test_one_of_a_session_ends_that_session_alone(
        self, open_simulated, works_after, story, role
    ):
        one = open_simulated(seconds=60, slots=2)
        stream = one.studio.stream("m")
        stream.feed(story)
        other = one.studio.illustrate("other", story)
        one.until("generation_started")
        one.let_pass(one.draw(70))
        (ref,) = [
            ref
            for ref in pykka.ActorRegistry.get_by_class_name(f"{role.title()}Actor")
            if ref.actor_inbox.actor.message_id == "m"
        ]
        ref.tell(Poison())
        with pytest.raises(SessionFailed, match="poisoned"):
            stream.finish().get()
        assert len(other.get().pictures) == 3
        works_after(one)
        assert one.store.load("m") is None
        assert one.events("session_ended", message_id="m")[0]["outcome"] == "failed"

    @pytest.mark.parametrize("role", ["Limiter", "Recorder", "Studio"])
    def test_one_that_all_need_closes_the_studio(self, open_simulated, story, role):
        one = open_simulated(seconds=60, audited=False)
        future = one.studio.illustrate("m", story)
        waiting = one.studio.stream("m")
        one.until("generation_started")
        one.let_pass(one.draw(20))
        (ref,) = pykka.ActorRegistry.get_by_class_name(f"{role}Actor")
        ref.tell(Poison())
        with pytest.raises((SessionFailed, StudioClosed), match="poisoned"):
            future.get()
        with pytest.raises(StudioClosed):
            waiting.future.get()
        one.studio.close()
        with pytest.raises(StudioClosed, match="poisoned"):
            one.studio.stream("n")

    @pytest.mark.parametrize("part", ["recorder", "limiter"])
    def test_one_that_fails_while_the_studio_leaves_does_not_keep_it(self, open_simulated, part):
        one = open_simulated(audited=False)
        actor = getattr(one.studio._root.actor_inbox.actor, part).actor_inbox.actor
        leave = actor.on_stop

        def fail():
            leave()
            raise OSError("at the last moment")

        actor.on_stop = fail
        one.studio.close()
        assert not one.studio._root.is_alive()
