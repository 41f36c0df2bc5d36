"""The text of messages, from their opening to their write: in virtual time and drawn orders."""

import pytest

from limner.messages import find_prompts
from limner.messages.errors import MessageBusy


def test_each_prompt_of_a_streamed_text_asks_for_a_slot_at_once(open_simulated, story):
    one = open_simulated(seconds=20)
    stream = one.studio.stream("m", owner="alice")
    closed = []
    for character in story:
        stream.feed(character)
        if character == ">":
            closed.append(one.now)
        one.let_pass(0.5)
    result = stream.finish().get()
    asked = [event["t"] for event in one.events("slot_requested")]
    assert all(0 <= b - a < one.SOON for a, b in zip(closed, asked, strict=True))
    assert result.written
    assert one.store.load("m") == (result.text, result.version)
    for match, placement in zip(find_prompts(result.text), result.pictures, strict=True):
        assert result.text[match.end :].startswith(f'<img data-limner="{placement.id}"')
    assert len(one.events("text_written")) == 1
    assert one.events("session_ended")[0]["outcome"] == "written"


def test_a_generation_starts_and_ends_while_the_text_still_streams(open_simulated, story):
    one = open_simulated(seconds=20)
    stream = one.studio.stream("m")
    stream.feed(story[: story.index("-->") + 3])
    one.until("generation_started")
    assert one.studio.progress("m").generating == 1
    assert one.studio.progress("m").state == "streaming"
    one.let_pass(60)
    assert one.studio.progress("m").completed == 1
    assert one.studio.progress("m").state == "streaming"
    stream.feed(story[story.index("-->") + 3 :])
    assert len(stream.finish().get().pictures) == 3
    assert one.events("generation_completed")[0]["t"] < one.time_of("session_sealed")


def test_a_text_without_prompts_is_written_at_once(open_simulated):
    one = open_simulated(latency=lambda lane, tag: 1_000)
    result = one.studio.illustrate("m", "No pictures here.").get()
    assert result.written
    assert one.store.load("m")[0] == "No pictures here."
    assert one.now < one.SOON


def test_a_duplicate_open_is_the_same_session_and_an_open_after_the_seal_the_next(open_simulated):
    one = open_simulated(seconds=60)
    first = one.studio.stream("m")
    assert one.studio.stream("m").session_id == first.session_id
    with pytest.raises(MessageBusy):
        one.studio.illustrate("m", "x")
    first.feed('<!--img-prompt="first"-->')
    done = first.finish()
    second = one.studio.stream("m")
    assert second is not first
    second.feed('once more <!--img-prompt="second"-->')
    later = second.finish()
    one.until("generation_started")
    assert one.studio.status().waiting_sessions == 1
    assert len(done.get().pictures) == 1
    assert later.get().text.startswith("once more")
    opened = [event["seq"] for event in one.events("session_opened")]
    ended = [event["seq"] for event in one.events("session_ended")]
    assert opened[0] < ended[0] < opened[1] < ended[1]


def test_sessions_that_wait_for_one_another_come_in_the_order_of_their_opening(open_simulated):
    one = open_simulated(seconds=60)
    futures = [one.studio.illustrate("m", f'{n} <!--img-prompt="p{n}"-->') for n in range(4)]
    for number, future in enumerate(futures):
        result = future.get()
        assert result.text.startswith(f"{number} ")
        assert result.version == number + 1
    assert one.store.load("m")[0].startswith("3 ")
    assert not one.events("write_conflicted")


def test_a_text_that_is_given_whole_withdraws_what_it_no_longer_holds(open_simulated):
    one = open_simulated(seconds=60, slots=1)
    stream = one.studio.stream("m")
    stream.replace('one <!--img-prompt="a"--> two <!--img-prompt="b"-->')
    one.until("generation_started")
    stream.replace('one <!--img-prompt="b"--> three <!--img-prompt="c"-->')
    one.let_pass(one.draw(3))
    stream.replace('one <!--img-prompt="b"--> three <!--img-prompt="c"--> end')
    result = stream.finish().get()
    assert one.prompts_of(result.pictures) == ["b", "c"]
    assert result.failures == ()
    assert len(one.events("prompt_withdrawn")) == 1
    assert len(one.events("prompt_detected")) == 3


def test_the_final_text_decides_what_is_illustrated(open_simulated):
    one = open_simulated()
    stream = one.studio.stream("m")
    stream.feed('draft <!--img-prompt="a"-->')
    one.let_pass(one.draw(1))
    result = stream.finish('final <!--img-prompt="b"-->').get()
    assert one.prompts_of(result.pictures) == ["b"]
    assert result.text.startswith("final")


def test_chunks_and_whole_texts_come_in_the_order_in_which_they_were_given(open_simulated):
    one = open_simulated()
    stream = one.studio.stream("m")
    for give, text in (
        (stream.feed, "a"),
        (stream.replace, "b"),
        (stream.feed, "c"),
        (stream.replace, "bcd"),
        (stream.feed, "e"),
    ):
        give(text)
        one.let_pass(one.draw(0.005))
    assert stream.characters == 4
    assert stream.finish().get().text == "bcde"


def test_surrogate_halves_in_different_chunks_become_one_character(open_simulated):
    one = open_simulated()
    stream = one.studio.stream("m")
    for chunk in ("a \ud83d", "\ude00 b \ud800", "!"):
        stream.feed(chunk)
        one.let_pass(one.draw(0.005))
    assert stream.finish().get().text == "a \U0001f600 b \ufffd!"


def test_prompts_over_the_limit_are_named_in_the_result(open_simulated):
    one = open_simulated(max_prompts_per_message=2)
    text = "".join(f'<!--img-prompt="{name}"-->' for name in "abcd")
    result = one.studio.illustrate("m", text).get()
    assert one.prompts_of(result.pictures) == ["a", "b"]
    assert result.over_limit == ("c", "d")
