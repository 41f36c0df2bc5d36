"""The main job on real threads: what virtual time cannot show is here, the rest beside it."""

import asyncio
import threading

import pytest

from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.actors.studio.root import StudioActor
from limner.messages import find_prompts
from limner.messages.errors import (
    SessionFailed,
    SettingsInvalid,
    StreamClosed,
    StudioClosed,
    TextTooLong,
    UnknownMessage,
)

WAIT = 60
PICTURE = Instant().generate(None, None)


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


def test_a_complete_text_is_illustrated(open_studio, story):
    one = open_studio()
    assert len(one.studio.illustrate("m", story).get(timeout=WAIT).pictures) == 3


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


def test_a_call_whose_thread_does_not_come_back_is_abandoned_and_another_thread_goes_on(
    open_studio, story
):
    opened = threading.Event()

    def generate(task, cancelled):
        if task.prompt == "deaf":
            opened.wait(WAIT)
        return PICTURE

    one = open_studio(generator=generate, generation_timeout=0.05, grace=0.05, attempts=1, slots=1)
    result = one.studio.illustrate("m", '<!--img-prompt="deaf"-->').get(timeout=WAIT)
    assert [failure.state for failure in result.failures] == ["failed"]
    assert one.studio.status().abandoned == 1
    assert len(one.studio.illustrate("next", story).get(timeout=WAIT).pictures) == 3
    late = threading.Event()
    one.studio.subscribe(lambda event: late.set() if event["event"] == "generation_late" else None)
    opened.set()
    assert late.wait(WAIT)


def test_a_studio_closes_though_a_thread_of_its_store_does_not_come_back(open_studio, story):
    go = threading.Event()

    class Hanging(MemoryStore):
        def write(self, message_id, *args, **kwargs):
            if message_id == "m":
                go.wait(WAIT)
            return super().write(message_id, *args, **kwargs)

    one = open_studio(store=Hanging(), store_timeout=0.05, lost_threads=1)
    with pytest.raises(SessionFailed, match="not come back"):
        one.studio.illustrate("m", "text").get(timeout=WAIT)
    assert len(one.studio.illustrate("next", story).get(timeout=WAIT).pictures) == 3
    one.studio.close()
    go.set()


def test_a_pattern_that_runs_away_is_given_up_and_the_rest_goes_on(open_studio):
    runaway = r"\[\[((?:\w|\w\w|\d)*)\]\]"
    one = open_studio(patterns=(r"<<(.+?)>>", runaway))
    text = "<<good>> [[" + "a" * 400 + "! ]] <<better>>"
    result = one.studio.illustrate("m", text).get(timeout=WAIT)
    assert [placement.prompt for placement in result.pictures] == ["good", "better"]
    assert result.dropped_patterns == (runaway,)
    assert len(one.events("pattern_dropped")) == 1


def test_what_is_nearly_a_tag_is_in_the_result_and_in_the_log(open_studio):
    one = open_studio()
    text = "One <img-prompt=\"a\">\ntwo <!-- img-prompt='b' -->"
    for result in (
        one.studio.illustrate("m", text).get(timeout=WAIT),
        fed(one.studio.stream("n"), text).interrupt().get(timeout=WAIT),
    ):
        (near,) = result.near_misses
        assert (near.line, near.column, near.kinds) == (2, 5, ("space", "quotes"))
    assert [event["kinds"] for event in one.events("near_misses_found")] == [["space quotes"]] * 2


@pytest.mark.parametrize("only_missing", [True, False])
def test_what_is_nearly_a_tag_is_told_when_a_text_is_illustrated_again(open_studio, only_missing):
    one = open_studio(settle_after=0)
    text = "One <img-prompt=\"a\">\ntwo <!-- img-prompt='b' -->"
    first = one.studio.illustrate("m", text).get(timeout=WAIT)
    again = one.studio.illustrate_again("m", only_missing=only_missing).get(timeout=WAIT)
    (near,) = again.near_misses
    assert near.kinds == ("space", "quotes")
    assert again.text[near.start :].startswith("<!-- img-prompt") or not only_missing
    assert [event["kinds"] for event in one.events("near_misses_found")] == [["space quotes"]] * 2
    regenerated = one.studio.regenerate("m", first.pictures[0]).get(timeout=WAIT)
    assert not regenerated.near_misses


def fed(stream, text):
    stream.feed(text)
    return stream


def test_the_tolerant_patterns_draw_what_is_nearly_a_tag(open_studio):
    one = open_studio(patterns="tolerant")
    result = one.studio.illustrate("m", "<!-- IMG-prompt=&quot;a lamp&quot; ->").get(timeout=WAIT)
    assert [placement.prompt for placement in result.pictures] == ["a lamp"]
    assert not result.near_misses


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
    first = heard[0]["seq"]
    assert first in {2, 3}  # the limiter may not have told of its lane yet
    assert heard == one.events()[first - 1 :]


def test_a_future_can_be_awaited_by_asyncio(open_studio, story):
    one = open_studio()

    async def illustrate():
        future = one.studio.illustrate("m", story)
        return await asyncio.wrap_future(one.studio.concurrent(future))

    assert asyncio.run(illustrate()).written


def test_a_studio_that_cannot_be_opened_says_why_and_leaves_nothing_behind(
    monkeypatch, threads_before
):
    def fail(_):
        raise RuntimeError("not today")

    monkeypatch.setattr(StudioActor, "on_start", fail)
    with pytest.raises(StudioClosed, match="could not be opened: RuntimeError: not today"):
        Studio.open(Settings(), store=MemoryStore(), generator=Instant())
    assert [one for one in threading.enumerate() if one not in threads_before] == []


def test_a_text_that_is_replaced_again_has_no_new_budget(open_studio):
    slow = r"<p>((?:\w|\w\w)*)</p>"
    one = open_studio(patterns=(r"<<(.+?)>>", slow), pattern_timeout=5, pattern_budget=0.05)
    stream = one.studio.stream("m")
    text = ("<p>" + "a" * 26 + "! </p>") * 20
    for number in range(20):
        stream.replace(f"{number} {text} <<cat>>")
    result = stream.finish().get(timeout=WAIT)
    assert result.dropped_patterns == (slow,)
    assert [placement.prompt for placement in result.pictures] == ["cat"]
    assert len(one.events("pattern_dropped")) == 1


def test_a_stream_draws_nothing_of_code_and_thoughts(open_studio):
    one = open_studio(ignore=("code", "think"))
    stream = one.studio.stream("m")
    text = (
        '<think><img-prompt="a"></think>\n<img-prompt="b">\n```\n<img-prompt="c">\n'
        "<IMG-prompt='d'>\n"
    )
    for character in text:
        stream.feed(character)
    result = stream.finish().get(timeout=WAIT)
    assert [placement.prompt for placement in result.pictures] == ["b"]
    assert not result.near_misses
    again = one.studio.illustrate_again("m", "append")
    assert [each.prompt for each in again.get(timeout=WAIT).pictures] == ["b"]
