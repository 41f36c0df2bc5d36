"""Each picture of a message is told to its host once, as it finishes."""

import logging
import threading

import pykka
import pytest
from PIL import Image

from limner.actors import Settings, SimulatedSystem, Studio
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.messages import Failure, Placement, find_prompts
from limner.messages.errors import GenerationFailed, SettingsInvalid

ROOF, STREET = '<!--img-prompt="a roof"-->', '<!--img-prompt="a street"-->'
TEXT = f"It rained. {ROOF} It stopped. {STREET} End."
TWICE = f"It rained. {ROOF} And again. {ROOF} End."


class Refusing:
    """A generator that draws no street."""

    def __init__(self):
        self.refused = {"a street"}

    def generate(self, task, cancelled):
        if task.prompt in self.refused:
            raise GenerationFailed("it is refused", retryable=False)
        return Instant().generate(task, cancelled)


def prompts_of(told):
    return [outcome.prompt for outcome in told]


def test_each_picture_is_told_as_it_finishes(open_simulated):
    one = open_simulated(seconds={"a roof": 20, "a street": 5})
    told = []
    stream = one.studio.stream("m", on_picture=told.append)
    stream.feed(TEXT)
    one.let_pass(10)
    assert prompts_of(told) == ["a street"]
    result = stream.finish().get()
    one.let_pass(1)
    assert prompts_of(told) == ["a street", "a roof"]
    assert sorted(told, key=lambda placement: placement.prompt) == list(result.pictures)
    assert all(placement.picture.url and placement.picture.media_type for placement in told)


def test_a_failure_is_told_as_one(open_simulated):
    one = open_simulated(generator=Refusing())
    told = []
    result = one.studio.illustrate("m", TEXT, on_picture=told.append).get()
    one.let_pass(1)
    kinds = {outcome.prompt: type(outcome) for outcome in told}
    assert kinds == {"a roof": Placement, "a street": Failure}
    assert [outcome for outcome in told if isinstance(outcome, Failure)] == list(result.failures)


def test_equal_prompts_are_told_apart_by_their_ordinal(open_simulated):
    one = open_simulated(seconds=1)
    told = []
    result = one.studio.illustrate("m", TWICE, on_picture=told.append).get()
    one.let_pass(1)
    assert sorted(placement.ordinal for placement in told) == [0, 1]
    for match, placement in zip(find_prompts(TWICE), result.pictures, strict=True):
        assert (placement.prompt, placement.ordinal) == (match.text, match.ordinal)
    links = one.store.registry("m").links
    assert sorted(link.placement.ordinal for link in links) == [0, 1]


def test_what_an_interrupt_cancels_is_told_once_as_cancelled(open_simulated):
    one = open_simulated(seconds={"a roof": 1, "a street": 60})
    told = []
    stream = one.studio.stream("m", on_picture=told.append)
    stream.feed(TEXT)
    one.let_pass(10)
    stream.interrupt().get()
    one.let_pass(120)
    assert [getattr(outcome, "state", "there") for outcome in told] == ["there", "cancelled"]


def test_a_picture_that_comes_late_is_not_told_again(open_simulated):
    one = open_simulated(seconds={"a street": 3}, deaf=["a street"], grace=5)
    told = []
    stream = one.studio.stream("m", on_picture=told.append)
    stream.feed(STREET)
    one.until("generation_started")
    stream.interrupt()
    one.until("generation_late")
    one.let_pass(1)
    assert [outcome.state for outcome in told] == ["cancelled"]


def test_a_picture_that_is_tried_again_is_told_once(open_simulated):
    tries = []

    def flaky(task, cancelled):
        tries.append(task.prompt)
        if len(tries) < 3:
            raise ConnectionError("try again")
        return Instant().generate(task, cancelled)

    one = open_simulated(generator=flaky, attempts=3, backoff=0.1)
    told = []
    one.studio.illustrate("m", ROOF, on_picture=told.append).get()
    one.let_pass(1)
    assert len(tries) == 3
    assert [type(outcome) for outcome in told] == [Placement]


def test_a_kept_picture_that_is_used_again_is_told(open_simulated):
    one = open_simulated(seconds=1)
    stream = one.studio.stream("m")
    stream.feed(ROOF)
    one.until("task_settled")
    stream.cancel().get()
    told = []
    one.studio.illustrate("m", ROOF, on_picture=told.append).get()
    one.let_pass(1)
    assert prompts_of(told) == ["a roof"]
    assert one.events("task_settled", kept=True)


def test_a_prompt_that_is_withdrawn_is_not_told(open_simulated):
    one = open_simulated(seconds=30)
    told = []
    stream = one.studio.stream("m", on_picture=told.append)
    stream.replace(TEXT)
    one.until("generation_started")
    stream.replace(STREET)
    stream.finish().get()
    one.let_pass(1)
    assert prompts_of(told) == ["a street"]


def test_a_cancelled_stream_tells_of_what_was_open(open_simulated):
    one = open_simulated(seconds=60)
    told = []
    stream = one.studio.stream("m", on_picture=told.append)
    stream.feed(TEXT)
    one.until("generation_started")
    stream.cancel().get()
    one.let_pass(1)
    assert [outcome.state for outcome in told] == ["cancelled"] * 2
    assert list(stream.pictures()) == told


def test_a_callback_that_comes_later_gets_what_was_there_first(open_simulated):
    one = open_simulated(seconds={"a roof": 1, "a street": 60})
    stream = one.studio.stream("m")
    stream.feed(TEXT)
    one.let_pass(10)
    first, second = [], []
    for told in (first, second):
        one.studio.stream("m", on_picture=told.append)
    stream.finish().get()
    one.let_pass(1)
    assert prompts_of(first) == prompts_of(second) == ["a roof", "a street"]


def test_the_same_callback_is_not_called_twice(open_simulated):
    one = open_simulated(seconds=1)
    told = []
    tell = told.append
    for piece in (TEXT[:20], TEXT[20:]):
        one.studio.stream("m", on_picture=tell).feed(piece)
    one.studio.stream("m", on_picture=tell).finish().get()
    one.let_pass(1)
    assert sorted(prompts_of(told)) == ["a roof", "a street"]


def test_a_session_that_waits_for_another_tells_its_own(open_simulated):
    one = open_simulated(seconds=5)
    first, second = [], []
    done = one.studio.illustrate("m", ROOF, on_picture=first.append)
    after = one.studio.illustrate("m", STREET, on_picture=second.append)
    done.get()
    after.get()
    one.let_pass(1)
    assert (prompts_of(first), prompts_of(second)) == (["a roof"], ["a street"])


# Regenerations


def test_each_regeneration_is_told_of_its_own_picture(open_simulated):
    one = open_simulated(seconds=1, settle_after=2)
    roof, street = one.studio.illustrate("m", TEXT).get().pictures
    first, second = [], []
    done = one.studio.regenerate("m", roof, on_picture=first.append)
    one.studio.regenerate("m", street, prompt="a lane", on_picture=second.append)
    done.get()
    one.let_pass(1)
    assert (prompts_of(first), prompts_of(second)) == (["a roof"], ["a lane"])


def test_all_pictures_drawn_again_are_told(open_simulated):
    one = open_simulated(seconds=1, settle_after=1)
    one.studio.illustrate("m", TEXT).get()
    told = []
    one.studio.illustrate_again("m", on_picture=told.append).get()
    one.let_pass(1)
    assert sorted(prompts_of(told)) == ["a roof", "a street"]


def test_a_retry_that_joins_another_is_told_too(open_simulated):
    generator = Refusing()
    one = open_simulated(generator=generator, placeholders=True, settle_after=2)
    one.studio.illustrate("m", TEXT).get()
    generator.refused.clear()
    first, second = [], []
    done = one.studio.retry("m", on_picture=first.append)
    one.let_pass(one.draw(3))
    again = one.studio.retry("m", on_picture=second.append)
    done.get()
    again.get()
    one.let_pass(1)
    assert prompts_of(first) == ["a street"]
    assert prompts_of(second) in (["a street"], [])  # nothing, if the first was written before
    if len(one.events("session_opened", kind="regeneration")) == 1:
        assert second == first


def test_a_request_that_is_refused_tells_nothing(open_simulated):
    one = open_simulated(seconds=1, settle_after=0)
    one.studio.illustrate("m", "No tag.").get()
    told = []
    future = one.studio.regenerate("m", f"{'0' * 20}:{'0' * 32}", on_picture=told.append)
    with pytest.raises(LookupError):
        future.get()
    one.let_pass(1)
    assert told == []


@pytest.mark.parametrize("given", [3, "print", [print]])
def test_what_cannot_be_called_is_refused(open_simulated, given):
    studio = open_simulated().studio
    with pytest.raises(SettingsInvalid, match="on_picture"):
        studio.stream("m", on_picture=given)
    with pytest.raises(SettingsInvalid, match="on_picture"):
        studio.illustrate("m", TEXT, on_picture=given)


def test_a_coroutine_function_is_refused_with_what_to_do(open_simulated):
    async def tell(outcome): ...

    with pytest.raises(SettingsInvalid, match="call_soon_threadsafe"):
        open_simulated().studio.stream("m", on_picture=tell)


# Iterating


def test_pictures_are_iterated_until_the_session_has_ended(open_simulated):
    one = open_simulated(seconds={"a roof": 20, "a street": 5})
    stream = one.studio.stream("m")
    stream.feed(TEXT)
    future = stream.finish()
    assert prompts_of(stream.pictures()) == ["a street", "a roof"]
    assert future.get(timeout=0).written
    assert prompts_of(stream.pictures()) == ["a street", "a roof"]


def test_each_iterator_gets_all_pictures(open_simulated):
    one = open_simulated(seconds={"a roof": 20, "a street": 5})
    stream = one.studio.stream("m")
    stream.feed(TEXT)
    first = stream.pictures()
    assert next(first).prompt == "a street"
    second = stream.pictures()
    assert next(second).prompt == "a street"
    stream.finish()
    assert prompts_of(first) == prompts_of(second) == ["a roof"]


def test_an_iterator_that_times_out_goes_on_where_it_was(open_simulated):
    one = open_simulated(seconds=20)
    stream = one.studio.stream("m")
    stream.feed(ROOF)
    pictures = stream.pictures(timeout=5)
    with pytest.raises(pykka.Timeout):
        next(pictures)
    one.let_pass(20)
    assert next(pictures).prompt == "a roof"
    stream.finish().get()
    assert list(pictures) == []


def test_iterating_ends_with_the_studio(open_simulated):
    one = open_simulated(seconds=5)
    stream = one.studio.stream("m")
    stream.feed(ROOF)
    pictures = stream.pictures()
    one.studio.close()
    assert [outcome.state for outcome in pictures] == ["cancelled"]


def test_iterating_ends_with_a_studio_that_fails(open_simulated):
    one = open_simulated(seconds=5, audited=False)
    stream = one.studio.stream("m")
    stream.feed(ROOF)
    one.until("generation_started")
    one.studio._client.sequencer.tell(None)
    one.studio._client.sequencer.stop(block=False)
    assert len(list(stream.pictures())) <= 1
    assert stream.future.done


# Threads


def test_a_slow_callback_loses_nothing_of_another_message(open_studio, story):
    one = open_studio(slots=2)
    going_on, slow, quick = threading.Event(), [], []

    def wait(outcome):
        slow.append(outcome)
        going_on.wait(20)

    futures = [
        one.studio.illustrate(f"slow-{number}", story, on_picture=wait) for number in range(3)
    ]
    futures += [
        one.studio.illustrate(f"quick-{number}", story, on_picture=quick.append)
        for number in range(10)
    ]
    for future in futures:
        assert len(future.get(timeout=60).pictures) == 3
    assert len(slow) <= 3
    going_on.set()
    one.studio.close()
    assert len(quick) == 30
    assert len(slow) == 9


def test_a_callback_has_a_thread_of_its_own_and_may_ask_the_studio(open_studio, story):
    one = open_studio()
    seen, all_seen = [], threading.Event()

    def ask(outcome):
        state = one.studio.progress("m").state
        seen.append((threading.current_thread(), state))
        if len(seen) == 3:
            all_seen.set()

    one.studio.illustrate("m", story, on_picture=ask).get(timeout=60)
    assert all_seen.wait(20)
    assert len({thread for thread, _ in seen}) == 1
    assert seen[0][0] is not threading.main_thread()


def test_a_message_without_pictures_has_no_thread(open_studio, threads_before):
    one = open_studio()
    one.studio.illustrate("m", "None.", on_picture=print).get(timeout=60)
    names = [thread.name for thread in threading.enumerate() if thread not in threads_before]
    assert not [name for name in names if name.endswith("outlet")]


def test_a_callback_that_raises_is_logged_once_and_called_again(open_studio, story, caplog):
    one = open_studio()
    told = []

    def fail(outcome):
        told.append(outcome)
        raise ValueError("no such page")

    with caplog.at_level(logging.ERROR, "limner"):
        result = one.studio.illustrate("m", story, on_picture=fail).get(timeout=60)
        one.studio.close()
    assert len(told) == len(result.pictures) == 3
    assert ["on_picture" in record.message for record in caplog.records] == [True]


def test_many_threads_iterate_over_the_same_pictures(open_studio, story):
    one = open_studio(slots=1)
    stream = one.studio.stream("m")
    told = [[] for _ in range(8)]
    threads = [
        threading.Thread(target=lambda to=to: to.extend(stream.pictures(timeout=20))) for to in told
    ]
    for thread in threads:
        thread.start()
    stream.feed(story)
    stream.finish().get(timeout=60)
    for thread in threads:
        thread.join(20)
    assert all(to == told[0] for to in told)
    assert len(told[0]) == 3


# The event


def test_a_completed_generation_tells_of_picture_and_message(open_studio, tmp_path):
    folder = tmp_path / "pictures"
    one = open_studio(store=f"files:{tmp_path / 'texts'}", pictures=folder, slots=1)
    one.studio.illustrate("m", TEXT).get(timeout=60)
    completed = one.events("generation_completed")
    for number, event in enumerate(completed, 1):
        assert event["url"].startswith("file:")
        with Image.open(event["path"]) as image:
            assert event["media_type"] == Image.MIME[image.format]
        assert (event["finished"], event["failed"], event["total"]) == (number, 0, 2)
    assert [event["prompt"] for event in completed] == ["a roof", "a street"]


def test_failed_tasks_are_counted_in_the_event(open_simulated):
    one = open_simulated(generator=Refusing(), slots=1)
    one.studio.illustrate("m", STREET + ROOF).get()
    (event,) = one.events("generation_completed")
    assert event["finished"] == 1
    assert event["total"] == 2
    assert event["failed"] == len(one.events("generation_failed", final=True))
    assert "path" not in event


def test_what_was_withdrawn_is_in_no_total(open_simulated):
    one = open_simulated(seconds=5)
    stream = one.studio.stream("m")
    stream.replace(TEXT)
    one.until("generation_started")
    stream.replace(STREET)
    stream.finish().get()
    (event,) = one.events("generation_completed")
    assert (event["finished"], event["total"]) == (1, 1)


def test_a_host_on_a_simulated_system_is_told_too():
    with SimulatedSystem(1) as system:
        told = []
        settings = Settings(pattern_timeout=None)
        with Studio.open(settings, store=MemoryStore(), generator="instant", system=system) as one:
            one.illustrate("m", TEXT, on_picture=told.append).get()
        assert len(told) == 2
        system.close()
