"""Regenerations of one message gather in one session: in virtual time and drawn orders."""

from contextlib import suppress
from functools import partial
from io import BytesIO

import pytest
from PIL import Image

from limner.messages import PictureBytes
from limner.messages.errors import (
    GenerationFailed,
    MessageBusy,
    SessionCancelled,
    SettingsInvalid,
    UnknownMessage,
    UnknownPicture,
    UnknownPrompt,
)
from limner.messages.text import prompt_tags as tags
from limner.messages.text.marks import marked
from limner.scripts.inspect.story import Story

TEXT = 'It rained. <!--img-prompt="a roof"--> It stopped. <!--img-prompt="a street"--> End.'


class Colours:
    """A generator whose pictures differ by their task; some of them fail.

    Args:
        seconds: of virtual time that a picture takes, a number or by prompt.
        refused: prompts that are never drawn.
    """

    def __init__(self, seconds=0, refused=()):
        self.seconds = seconds
        self.refused = set(refused)
        self.prompts = []

    def generate(self, task, cancelled):
        self.prompts.append(task.prompt)
        seconds = self.seconds
        if isinstance(seconds, dict):
            seconds = seconds.get(task.prompt, 0)
        if seconds and cancelled.wait(seconds):
            raise GenerationFailed("cancelled", retryable=False)
        if task.prompt in self.refused:
            raise GenerationFailed("it is refused", retryable=False)
        data = BytesIO()
        Image.new("RGB", (4, 4), tuple(task.seed.to_bytes(4)[:3])).save(data, "PNG")
        return PictureBytes(data=data.getvalue())


class Same(Colours):
    """One that gives every prompt the same picture."""

    def generate(self, task, cancelled):
        return super().generate(task.but(seed=0), cancelled)


@pytest.fixture
def open_written(open_simulated):
    """Return a function that opens a studio with a message `m` that is written already."""

    def open_one(text=TEXT, *, generator=None, **settings):
        generator = generator or Colours()
        one = open_simulated(generator=generator, **settings)
        one.first = one.studio.illustrate("m", text).get()
        one.roof, *others = [placement.id for placement in one.first.pictures]
        one.street = others[0] if others else None
        one.painter = generator
        return one

    return open_one


def stored(one):
    return one.store.load("m")[0]


def order(one, result):
    """Return the ids of the pictures in the stored text, in its order."""
    text = stored(one)
    ids = {link.placement.id for link in one.studio.registry("m").links}
    return sorted((name for name in ids if name in text), key=text.index)


def test_a_picture_is_replaced_by_another_of_its_prompt(open_written):
    one = open_written()
    result = one.studio.regenerate("m", one.roof).get()
    (new,) = result.pictures
    assert result.written
    assert new.id != one.roof
    assert new.prompt == "a roof"
    assert result.removed == (one.roof,)
    assert order(one, result) == [new.id, one.street]
    assert stored(one) == result.text
    assert result.text.replace(new.picture.url, "").replace(new.id, "") == one.first.text.replace(
        one.first.pictures[0].picture.url, ""
    ).replace(one.roof, "")
    assert [event["kind"] for event in one.events("session_opened")] == ["stream", "regeneration"]


@pytest.mark.parametrize(
    ("mode", "new_is_first"),
    [("append-after-image", False), ("append-after-prompt", True)],
)
def test_a_picture_is_appended_where_the_mode_says(open_written, mode, new_is_first):
    one = open_written()
    result = one.studio.regenerate("m", one.roof, mode=mode).get()
    (new,) = [placement.id for placement in result.pictures]
    pair = [new, one.roof] if new_is_first else [one.roof, new]
    assert order(one, result) == [*pair, one.street]


def test_wishes_within_two_seconds_are_written_together_two_seconds_after_the_last(open_written):
    one = open_written(latency=lambda *_: 1_000)
    begun = one.now
    futures = [one.studio.regenerate("m", one.roof)]
    one.let_pass(0.5)
    futures.append(one.studio.regenerate("m", one.street, mode="append-after-image"))
    one.system.run_until(begun + 1.9)
    futures.append(one.studio.regenerate("m", one.roof))
    third = one.now
    results = [future.get() for future in futures]
    assert results[0] == results[1] == results[2]
    assert len(results[0].pictures) == 3
    (opened,) = one.events("session_opened", kind="regeneration")
    (written,) = one.events("text_written", session_id=opened["session_id"])
    assert written["t"] - third == pytest.approx(2, abs=0.1)
    assert len(one.events("text_written")) == 2


def test_the_write_waits_for_the_last_picture(open_written):
    one = open_written()
    one.painter.seconds = {"a roof": 30, "a street": 5}
    first = one.studio.regenerate("m", one.roof)
    one.studio.regenerate("m", one.street)
    one.let_pass(20)
    assert len(one.events("text_written")) == 1
    third = one.studio.regenerate("m", one.street)  # they gather still
    assert first.get() == third.get()
    assert len(first.get().pictures) == 3
    assert len(one.events("text_written")) == 2


def test_applying_writes_at_once(open_written):
    one = open_written(settle_after=600)
    future = one.studio.regenerate("m", one.roof)
    one.let_pass(60)
    assert len(one.events("text_written")) == 1
    before = one.now
    result = one.studio.apply("m").get()
    assert one.now - before < 10
    assert result == future.get()
    assert one.studio.apply("m").get() is None


def test_applying_without_waiting_writes_what_is_finished(open_written):
    one = open_written(settle_after=600)
    one.painter.seconds = {"a street": 100}
    futures = [one.studio.regenerate("m", name) for name in (one.roof, one.street)]
    one.let_pass(30)
    before = one.now
    if one.draw(2) < 1:
        one.studio.apply("m")
        one.let_pass(1)
    result = one.studio.apply("m", wait=False).get()
    assert one.now - before < 10
    assert [future.get() for future in futures] == [result, result]
    assert one.prompts_of(result.pictures) == ["a roof"]
    assert [failure.state for failure in result.failures] == ["cancelled"]


def test_applying_is_of_the_wishes_before_it(open_written):
    one = open_written(settle_after=600, latency=lambda lane, _: 5_000_000 * ("store" in lane))
    first = one.studio.regenerate("m", one.roof)
    one.studio.apply("m")
    one.until("session_sealed", times=2)
    second = one.studio.regenerate("m", one.street)
    applied = one.studio.apply("m")
    assert applied.get() == second.get() != first.get()
    assert one.now < 300


def test_without_a_time_to_settle_the_write_comes_with_the_last_picture(open_written):
    one = open_written(settle_after=0, latency=lambda *_: 1_000)
    one.painter.seconds = 3
    before = one.now
    one.studio.regenerate("m", one.roof).get()
    assert one.now - before == pytest.approx(3, abs=0.1)


def test_a_failed_one_leaves_the_old_picture_where_it_is(open_written):
    one = open_written()
    one.painter.refused.add("a roof")
    bad = one.studio.regenerate("m", one.roof)
    good = one.studio.regenerate("m", one.street)
    result = good.get()
    assert bad.get() == result
    assert [failure.prompt for failure in result.failures] == ["a roof"]
    (new,) = [placement.id for placement in result.pictures]
    assert order(one, result) == [one.roof, new]


def test_nothing_is_written_if_all_fail(open_written):
    one = open_written()
    one.painter.refused.add("a roof")
    result = one.studio.regenerate("m", one.roof).get()
    assert not result.written
    assert result.text == stored(one) == one.first.text
    assert [failure.state for failure in result.failures] == ["failed"]
    assert one.events("session_ended")[-1]["outcome"] == "skipped"


def test_two_wishes_for_one_picture_are_two_pictures(open_written):
    one = open_written()
    one.studio.regenerate("m", one.roof)
    result = one.studio.regenerate("m", one.roof).get()
    new = [placement.id for placement in result.pictures]
    assert len(set(new)) == 2
    assert order(one, result) == [*new, one.street]


def test_a_message_that_streams_cannot_be_regenerated(open_written):
    one = open_written()
    stream = one.studio.stream("m")
    with pytest.raises(MessageBusy):
        one.studio.regenerate("m", one.roof)
    stream.finish(TEXT)
    one.studio.regenerate("m", one.roof)


def test_a_stream_that_opens_cancels_what_gathers(open_written):
    one = open_written()
    one.painter.seconds = 20
    future = one.studio.regenerate("m", one.roof)
    one.let_pass(one.draw(15))
    result = one.studio.stream("m").finish("Anew.").get()
    with pytest.raises(SessionCancelled, match="a stream of it was opened"):
        future.get()
    assert stored(one) == result.text == "Anew."
    ended = one.events("session_ended", outcome="cancelled")
    assert len(ended) == 1
    assert "stream" in ended[0]["reason"]


def test_what_is_wished_after_a_seal_waits_for_the_write(open_written):
    one = open_written()
    one.painter.seconds = 10
    first = one.studio.stream("n").finish('<!--img-prompt="a roof"-->')
    second = one.studio.illustrate_again("n")
    assert not second.done
    assert len(first.get().pictures) == 1
    result = second.get()
    assert len(result.pictures) == 1
    assert result.text.count("<img ") == 2


def test_what_is_wished_while_a_regeneration_is_written_is_of_the_next_session(open_written):
    one = open_written(settle_after=0, latency=lambda lane, _: 5_000_000 * ("store" in lane))
    first = one.studio.regenerate("m", one.roof)
    one.until("session_sealed", times=2)
    one.let_pass(one.draw(4))
    second = one.studio.regenerate("m", one.street)
    assert len(first.get().pictures) == 1
    assert len(second.get().pictures) == 1
    assert first.get() != second.get()
    assert len(one.events("session_opened", kind="regeneration")) == 2


def test_a_picture_that_is_not_there_is_refused_and_the_others_go_on(open_written):
    one = open_written()
    missing = one.studio.regenerate("m", one.roof[:20] + ":" + "0" * 32)
    good = one.studio.regenerate("m", one.roof)
    with pytest.raises(UnknownPicture):
        missing.get()
    assert good.get().written
    with pytest.raises(UnknownPicture):
        one.studio.regenerate("m", "../../etc/passwd")
    with pytest.raises(UnknownMessage):
        one.studio.regenerate("nobody", one.roof).get()
    with pytest.raises(SettingsInvalid):
        one.studio.regenerate("m", one.roof, mode="somewhere")
    with pytest.raises(SettingsInvalid):
        one.studio.regenerate("m", one.roof, prompt=" ")


def test_a_new_prompt_is_drawn_and_stands_in_the_tag(open_written):
    one = open_written()
    result = one.studio.regenerate("m", one.roof, prompt='a roof, "at night"').get()
    (new,) = result.pictures
    assert one.painter.prompts[-1] == new.prompt == 'a roof, "at night"'
    assert '<!--img-prompt="a roof, \\"at night\\""-->' in stored(one)
    assert order(one, result) == [new.id, one.street]
    root, tip = one.studio.history(new.prompt_id)
    assert (root.text, tip.text) == ("a roof", 'a roof, "at night"')
    assert one.studio.history(root.id) == (root, tip)
    assert tip.source == "manual"
    again = one.studio.regenerate("m", new).get()
    assert again.pictures[0].prompt_id == new.prompt_id
    assert one.painter.prompts[-1] == 'a roof, "at night"'


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("replace-image", "NN"),
        ("replace", "NN"),
        ("append-after-image", "ONON"),
        ("append", "ONON"),
        ("append-after-prompt", "NONO"),
    ],
)
def test_a_mode_says_the_same_of_one_picture_and_of_all(open_written, mode, expected):
    one, other = open_written(), open_written()
    again = one.studio.illustrate_again("m", mode).get()
    other.studio.regenerate("m", other.roof, mode=mode)
    single = other.studio.regenerate("m", other.street, mode=mode).get()
    for studio, result in ((one, again), (other, single)):
        before = {placement.id for placement in studio.first.pictures}
        names = order(studio, result)
        assert "".join("NO"[name in before] for name in names) == expected


def test_a_request_is_taken_back_as_long_as_it_gathers_and_the_others_go_on(open_written):
    one = open_written(generator=Colours({"a roof": 5, "a street": 5}))
    roof = one.studio.regenerate("m", one.roof)
    street = one.studio.regenerate("m", one.street)
    one.until("picture_wanted", times=2)
    assert roof.cancel().get() is True
    with pytest.raises(SessionCancelled, match="taken back"):
        roof.get()
    (new,) = [placement.id for placement in street.get().pictures]
    assert order(one, None) == [one.roof, new]
    assert len(one.events("request_taken_back")) == 1
    assert roof.cancel().get() is True
    assert street.cancel().get() is False


def test_a_request_taken_back_that_was_alone_writes_nothing(open_written):
    one = open_written()
    before = stored(one)
    future = one.studio.regenerate("m", one.roof)
    assert future.cancel().get() is True
    one.let_pass(30)
    assert stored(one) == before
    assert one.studio.sessions() == ()


def test_once_it_is_sealed_a_request_is_not_taken_back_any_more(open_written):
    one = open_written(generator=Colours({"a roof": 5}))
    future = one.studio.regenerate("m", one.roof)
    one.until("picture_wanted")
    one.studio.apply("m")
    one.until("session_sealed", times=2)
    assert future.cancel().get() is False
    assert not future.done
    late = one.studio.regenerate("m", one.street)
    assert late.cancel().get() is True
    assert len(future.get().pictures) == 1
    assert len(one.events("session_opened")) == 2


def test_what_was_too_late_to_be_taken_back_is_cancelled_with_its_message(open_written):
    one = open_written(generator=Colours({"a roof": 5}))
    future = one.studio.regenerate("m", one.roof)
    one.until("picture_wanted")
    one.studio.apply("m")
    one.until("session_sealed", times=2)
    assert future.cancel().get() is False
    assert one.studio.cancel("m").get() is True
    with pytest.raises(SessionCancelled):
        future.get()


def test_a_request_is_taken_back_while_the_studio_closes_and_not_after(open_written):
    one = open_written(generator=Colours({"a roof": 5}))
    retried = one.studio.retry("m")
    again = one.studio.illustrate_again("m")
    one.studio._begin_close()
    for future in (retried, again):
        future.cancel().get()
        assert future.done
    one.studio.close()
    assert again.cancel().get() in {True, False}


@pytest.mark.parametrize("mode", ["below", "", "Replace", None, 3, ["append"], {}])
def test_what_is_no_mode_is_refused_with_the_modes_that_there_are(open_written, mode):
    one = open_written()
    for call in (
        lambda: one.studio.illustrate_again("m", mode),
        lambda: one.studio.regenerate("m", one.roof, mode=mode),
    ):
        with pytest.raises(SettingsInvalid, match="append-after-image, append-after-prompt, not"):
            call()


def test_a_picture_that_was_replaced_does_not_come_back_though_it_was_stripped(open_written):
    one = open_written(reconcile_after=5)
    future = one.studio.regenerate("m", one.roof)
    one.let_pass(1.5)
    one.store.write("m", TEXT, expected_version=one.store.load("m")[1])
    result = future.get()
    assert result.removed == (one.roof,)
    one.let_pass(20)
    assert order(one, result) == [result.pictures[0].id, one.street]
    one.store.write("m", TEXT, expected_version=one.store.load("m")[1])
    again = one.studio.illustrate_again("m", "replace").get()
    assert set(again.removed) == {result.pictures[0].id, one.street}
    one.let_pass(20)
    assert order(one, again) == [placement.id for placement in again.pictures]


def test_a_tag_says_its_root_again_and_what_it_cannot_say_is_not_drawn(open_written):
    one = open_written("A [pic:a roof] B.", patterns=(r"\[pic:([a-z ]+)\]",))
    (new,) = one.studio.regenerate("m", one.roof, prompt="a hut").get().pictures
    assert stored(one).startswith("A [pic:a hut]<img")
    root, hut = one.studio.history(new.prompt_id)
    one.studio.regenerate("m", new, prompt=root).get()
    assert stored(one).startswith("A [pic:a roof]<img")
    drawn = list(one.painter.prompts)
    (roof,) = marked(stored(one))
    for prompt in ("NO 7", one.studio.refine(hut.id, "NO 7")):
        with pytest.raises(SettingsInvalid, match="cannot be written in its tag"):
            one.studio.regenerate("m", roof, prompt=prompt).get()
    assert one.painter.prompts == drawn


def test_a_failed_new_prompt_is_retried_with_its_tag(open_written):
    one = open_written(generator=Colours(refused=["a hut"]), placeholders=True)
    one.studio.regenerate("m", one.roof, prompt="a hut").get()
    assert '"a hut"' not in stored(one)
    one.painter.refused.clear()
    one.studio.retry("m").get()
    assert '"a hut"' in stored(one)
    assert '"a roof"-->' not in stored(one)


def test_a_prompt_with_nothing_but_a_failure_is_drawn_in_its_place(open_simulated):
    painter = Colours(refused=["a roof"])
    one = open_simulated(generator=painter, placeholders=True)
    one.studio.illustrate("m", TEXT).get()
    assert "data-limner-failed" in stored(one)
    painter.refused.clear()
    result = one.studio.illustrate_again("m", only_missing=True).get()
    assert one.prompts_of(result.pictures) == ["a roof"]
    assert "data-limner-failed" not in stored(one)


def test_what_is_missing_or_failed_is_drawn_once_however_often_that_is_asked_for(open_simulated):
    painter = Colours(refused=["a roof"])
    one = open_simulated(generator=painter, placeholders=True)
    one.studio.illustrate("m", TEXT + ' <!--img-prompt="a roof"-->').get()
    painter.refused.clear()
    for ask in (one.studio.retry, partial(one.studio.illustrate_again, only_missing=True)):
        futures = [ask("m"), one.studio.retry("m"), ask("m")]
        assert len({id(future.get()) for future in futures}) == 1
    assert stored(one).count("<img ") == 3
    one.studio.edit("m", lambda text: text + ' <!--img-prompt="a hut"-->').get()
    futures = [one.studio.illustrate_again("m", only_missing=True) for _ in range(3)]
    assert one.prompts_of(futures[0].get().pictures) == ["a hut"]
    twice = [one.studio.illustrate_again("m") for _ in range(2)]
    assert len(twice[0].get().pictures) == 8


def test_wishes_that_gather_look_through_the_text_together(open_written, monkeypatch):
    looked = []
    find = tags.find_prompts
    monkeypatch.setattr(tags, "find_prompts", lambda *a, **k: looked.append(1) or find(*a, **k))
    one = open_written(latency=slow_store)
    futures = [one.studio.regenerate("m", one.roof) for _ in range(20)]
    looked.clear()
    for future in futures:
        future.get()
    assert len(looked) <= 4


def test_what_is_no_prompt_and_no_prompts_id_is_refused_in_one_line(open_written):
    one = open_written()
    for given in ([], {}, None, 3):
        with pytest.raises(UnknownPrompt, match="the registry has no prompt"):
            one.studio.refine(given, "a hut")
        with pytest.raises(UnknownPrompt):
            one.studio.history(given)
        with pytest.raises(SettingsInvalid, match="what refine gave, not"):
            one.studio.rewrite("m", given)


def test_a_tag_is_not_rewritten_for_a_picture_that_failed(open_written):
    one = open_written()
    one.painter.refused.add("a hut")
    assert not one.studio.regenerate("m", one.roof, prompt="a hut").get().written
    assert stored(one) == one.first.text


def test_a_refined_prompt_is_a_child_and_can_be_put_into_the_text(open_written):
    one = open_written()
    prompt_id = one.roof.partition(":")[0]
    child = one.studio.refine(prompt_id, "a roof of slate", feedback="greyer", source="model")
    assert one.studio.refine(prompt_id, "a roof of slate") == child
    assert (child.parent_id, child.feedback, child.source) == (prompt_id, "greyer", "model")
    assert stored(one) == one.first.text
    assert one.studio.rewrite("m", child).get().written
    assert '"a roof of slate"' in stored(one)
    again = one.studio.rewrite("m", child).get()
    assert (again.written, again.text) == (False, stored(one))
    result = one.studio.illustrate_again("m", "replace").get()
    assert {placement.prompt for placement in result.pictures} == {"a roof of slate", "a street"}
    assert result.pictures[0].prompt_id == child.id
    back = one.studio.refine(child.id, "a roof")
    assert back.id != prompt_id
    assert [prompt.text for prompt in one.studio.history(prompt_id)] == [
        "a roof",
        "a roof of slate",
        "a roof",
    ]


def test_a_text_that_is_streamed_anew_forgets_the_claims_and_keeps_the_history(open_written):
    one = open_written()
    one.studio.regenerate("m", one.roof, prompt="a hut").get()
    assert one.studio.registry("m").claims
    one.studio.illustrate("m", 'New. <!--img-prompt="a hut"-->').get()
    registry = one.studio.registry("m")
    assert not registry.claims
    assert {prompt.text for prompt in registry.prompts} == {"a roof", "a street", "a hut"}
    assert len(one.studio.history(one.roof.partition(":")[0])) == 2
    assert one.studio.reconcile("m").get().unplaced == ()


def test_every_prompt_is_illustrated_again(open_written):
    one = open_written()
    result = one.studio.illustrate_again("m").get()
    new = [placement.id for placement in result.pictures]
    assert order(one, result) == [one.roof, new[0], one.street, new[1]]
    assert one.studio.illustrate_again("m", only_missing=True).get().pictures == ()


def test_prompts_past_the_limit_are_named(open_written):
    one = open_written(max_prompts_per_message=1)
    assert one.first.over_limit == ("a street",)
    result = one.studio.illustrate_again("m").get()
    assert len(result.pictures) == 1
    assert result.over_limit == ("a street",)


def test_tags_of_the_style_go_to_the_generator_alone(open_written):
    one = open_written(common_tags="Ink, a roof, sepia")
    assert {*one.painter.prompts} == {"Ink, sepia, a roof", "Ink, a roof, sepia, a street"}
    assert {prompt.text for prompt in one.studio.registry("m").prompts} == {"a roof", "a street"}


def test_a_failure_leaves_a_mark_that_a_retry_takes_the_place_of(open_written):
    one = open_written(
        'A <!--img-prompt="a roof"--> B.',
        generator=Colours(refused=["a street"]),
        placeholders=True,
    )
    one.painter.refused.add("a roof")
    one.studio.regenerate("m", one.roof)
    one.studio.regenerate("m", one.roof, mode="append-after-image").get()
    assert stored(one).count("data-limner-failed") == 2
    assert "it is refused" in stored(one)
    assert one.studio.retry("m").get().failures
    assert stored(one).count("data-limner-failed") == 2
    one.painter.refused.clear()
    result = one.studio.retry("m").get()
    assert len(result.pictures) == 2
    assert result.removed == (one.roof,)  # what the first one was to replace
    assert "data-limner-failed" not in stored(one)
    assert stored(one).count("<img ") == 2


def test_the_progress_of_regenerations_can_be_asked_for(open_written):
    one = open_written()
    assert one.studio.progress("m").state == "written"
    one.painter.seconds = {"a street": 60}
    one.studio.regenerate("m", one.roof)
    future = one.studio.regenerate("m", one.street)
    one.let_pass(30)
    progress = one.studio.progress("m")
    assert progress.state == "regenerating"
    assert (progress.completed, progress.generating) == (1, 1)
    future.get()
    assert one.studio.progress("m").state == "written"


def test_a_tag_that_says_the_same_comes_to_be_held_by_the_refined_prompt(open_written):
    one = open_written()
    child = one.studio.refine(one.roof.partition(":")[0], "a  roof", source="model")
    text = stored(one)
    assert one.studio.rewrite("m", child).get().written
    assert stored(one) == text
    assert [claim.prompt_id for claim in one.studio.registry("m").claims] == [child.id]
    assert not one.studio.rewrite("m", child).get().written


@pytest.mark.parametrize("words", ["a roof", "  a roof\n"])
def test_the_same_words_make_no_child(open_written, words):
    one = open_written()
    known = one.studio.registry("m").prompts
    prompt = one.studio.refine(one.roof.partition(":")[0], words, feedback="as it was")
    assert prompt.id == one.roof.partition(":")[0]
    assert one.studio.registry("m").prompts == known


def test_a_child_refined_to_its_own_words_makes_no_child(open_written):
    one = open_written()
    child = one.studio.refine(one.roof.partition(":")[0], "a roof of slate")
    assert one.studio.refine(child.id, "a roof of slate") == child


def test_a_prompt_of_another_message_is_refused(open_written):
    one = open_written()
    one.studio.illustrate("n", TEXT).get()
    prompt = one.studio.registry("n").prompts[0]
    with pytest.raises(SettingsInvalid):
        one.studio.regenerate("m", one.roof, prompt=prompt)
    with pytest.raises(SettingsInvalid):
        one.studio.rewrite("m", prompt)


def slow_store(lane, _):
    return 5_000_000 * ("store" in lane)


def test_what_is_cleared_is_not_written_though_it_came_after_a_seal(open_written):
    one = open_written(settle_after=0, latency=slow_store)
    first = one.studio.regenerate("m", one.roof)
    one.until("session_sealed", times=2)
    second = one.studio.regenerate("m", one.street)
    one.studio.clear("m")
    assert one.studio.pending("m").gathering == 0
    with suppress(SessionCancelled):  # if its write had not begun
        assert first.get().written
    with pytest.raises(SessionCancelled):
        second.get()
    assert one.studio.clear("m") == 0


def test_a_wish_that_was_refused_is_not_pending(open_written):
    one = open_written(settle_after=600)
    with pytest.raises(UnknownPicture):
        one.studio.regenerate("m", one.roof[:20] + ":" + "0" * 32).get()
    assert one.studio.pending("m").gathering == 0
    one.studio.regenerate("m", one.roof)
    assert one.studio.pending("m").gathering == 1
    assert one.studio.clear("m") == 1


def test_a_stream_cancels_what_was_wished_after_the_seal_before_it(open_written):
    one = open_written(settle_after=0, latency=slow_store)
    first = one.studio.regenerate("m", one.roof)
    one.until("session_sealed", times=2)
    one.painter.seconds = 100
    second = one.studio.regenerate("m", one.street)
    streamed = one.studio.illustrate("m", "Anew.")
    assert first.get().written
    assert streamed.get().written
    assert one.now < 90
    with pytest.raises(SessionCancelled):
        second.get()
    assert len(one.events("regeneration_cancelled")) == 1


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_wish_that_is_read_as_the_deadline_passes_is_heard(open_written, asked_before):
    seconds = {"store": 0}

    def latency(lane, _):
        return round(1e6 * seconds["store"]) * lane.startswith("store")

    one = open_written(settle_after=1, deadline=5, write_at_deadline=True, latency=latency)
    futures = []
    if asked_before:
        one.painter.seconds = {"a street": 60}
        futures.append(one.studio.regenerate("m", one.street))
        one.let_pass(0.5)
    seconds["store"] = 10
    futures.append(one.studio.regenerate("m", one.roof))
    results = [future.get() for future in futures]
    assert one.prompts_of(results[-1].pictures) == ["a roof"]
    assert len(one.events("session_opened", kind="regeneration")) == 1


@pytest.mark.parametrize("early", [0, 0.0001, 0.0003, 0.0006])
def test_the_time_to_settle_begins_anew_with_a_wish_that_comes_as_it_ends(open_written, early):
    one = open_written(latency=lambda *_: 1_000)
    one.studio.regenerate("m", one.roof)
    asked = one.now
    one.system.run_until(asked + 2 + early)
    one.studio.regenerate("m", one.street)
    second = one.now
    one.studio.apply("n")
    one.let_pass(30)
    written = one.events("text_written")[1:]
    assert len(written) == 2 or written[0]["t"] - second >= 2


def test_a_prompt_that_is_not_of_the_pictures_line_is_refused_and_harms_no_other(open_written):
    one = open_written()
    street = one.studio.refine(one.street[:20], "a lane at dusk")
    made_up = street.but(id="zz", text="x" * 50_000)
    wrong = [one.studio.regenerate("m", one.roof, prompt=prompt) for prompt in (street, made_up)]
    right = one.studio.regenerate("m", one.street, prompt=street)
    with pytest.raises(SettingsInvalid, match="was not refined from"):
        wrong[0].get()
    with pytest.raises(UnknownPrompt):
        wrong[1].get()
    assert right.get().pictures[0].prompt == "a lane at dusk"
    assert '"a lane at dusk"' in stored(one)


def test_a_picture_of_the_same_bytes_stays_in_the_text(open_written):
    one = open_written(generator=Same(), settle_after=60)
    future = one.studio.regenerate("m", one.roof)
    one.until("task_settled", times=3)
    one.studio.clear("m")
    with pytest.raises(SessionCancelled):
        future.get()
    one.store.write("m", TEXT, expected_version=one.store.load("m")[1])
    assert len(one.studio.reconcile("m").get().pictures) == 2


def test_the_story_of_a_regenerated_message_can_be_read(open_written):
    one = open_written()
    one.studio.regenerate("m", one.roof).get()
    one.studio.remove("m", one.street).get()
    told = "\n".join(Story(message="m").lines(one.events()))
    assert "the session opens to regenerate" in told
    assert "one more picture wanted" in told
    assert "1 picture placed, 1 taken out" in told
    assert "remove changes the text, 1 picture taken out" in told


def test_a_session_that_regenerates_past_its_deadline_writes_nothing(open_written):
    one = open_written(slots=1, deadline=30, generation_timeout=1_000, write_at_deadline=False)
    one.painter.seconds = 500
    future = one.studio.regenerate("m", one.roof)
    with pytest.raises(TimeoutError):
        future.get()
    assert one.events("session_ended")[-1]["outcome"] == "timed_out"
    assert stored(one) == one.first.text


def test_closing_the_studio_writes_what_gathers(open_written):
    one = open_written(settle_after=600)
    future = one.studio.regenerate("m", one.roof)
    one.studio.close()
    assert future.get().written


def test_a_picture_of_a_session_that_failed_is_used_by_the_next(open_written):
    one = open_written(settle_after=60)
    future = one.studio.regenerate("m", one.roof)
    one.until("task_settled", times=3)
    assert one.studio.clear("m") == 1
    with pytest.raises(SessionCancelled):
        future.get()
    before = len(one.painter.prompts)
    result = one.studio.illustrate_again("m", "append").get()
    assert len(result.pictures) == 2
    assert len(one.painter.prompts) == before + 1


def test_a_rewritten_tag_is_drawn_as_it_was_meant_in_another_message(open_written):
    meant = "a <lora:x:0.8> roof, Tom & Jerry"
    one = open_written()
    child = one.studio.refine(one.roof.partition(":")[0], meant)
    text = one.studio.rewrite("m", child).get().text
    assert "a &lt;lora:x:0.8&gt; roof, Tom & Jerry" in text
    one.painter.prompts.clear()
    result = one.studio.illustrate("n", text).get()
    assert meant in one.painter.prompts
    assert meant in [placement.prompt for placement in result.pictures]


def test_each_picture_has_the_attributes_of_the_settings(open_written):
    one = open_written(image_attributes={"width": "50%"}, markup="markdown")
    assert stored(one).count(' width="50%">') == 2
    new = one.studio.regenerate("m", one.roof).get()
    assert (new.removed, stored(one).count(' width="50%">')) == ((one.roof,), 2)


def failing(open_simulated, *refused, text=TEXT, **settings):
    """Return a studio with a message `m` of which some prompts failed, and the failures."""
    painter = Colours(refused=refused)
    one = open_simulated(generator=painter, **{"placeholders": True, **settings})
    one.first, one.painter = one.studio.illustrate("m", text).get(), painter
    painter.refused.clear()
    return one, one.first.failures


@pytest.mark.parametrize("way", ["retry", "regenerate"])
@pytest.mark.parametrize("by_id", [True, False])
def test_one_failure_is_drawn_by_itself(open_simulated, way, by_id):
    one, failures = failing(open_simulated, "a roof", "a street")
    of_roof, of_street = sorted(failures, key=lambda failure: failure.prompt)
    call = getattr(one.studio, way)
    result = call("m", of_street.id if by_id else of_street).get()
    assert one.prompts_of(result.pictures) == ["a street"]
    assert of_roof.id in stored(one)
    assert of_street.id not in stored(one)
    with pytest.raises(UnknownPicture, match="holds no failure"):
        call("m", of_street).get()


def test_the_mark_of_one_failure_is_removed(open_simulated):
    one, failures = failing(open_simulated, "a roof", "a street")
    for failure in failures:
        assert failure.id in stored(one)
        assert one.studio.remove("m", failure).get().text == stored(one)
        assert failure.id not in stored(one)
    assert stored(one) == TEXT
    with pytest.raises(UnknownPicture, match="no mark of the failure"):
        one.studio.remove("m", failures[0].id).get()


def test_what_names_no_failure_is_refused(open_written):
    one = open_written()
    for wrong in (one.roof, one.first.pictures[0], "a roof", 3, one.roof[:-1]):
        with pytest.raises(UnknownPicture, match="PROMPT:TASK"):
            one.studio.retry("m", wrong)


def test_a_failure_that_left_no_mark_is_drawn_beside_its_tag(open_simulated):
    one, (failure,) = failing(open_simulated, "a roof", placeholders=False)
    result = one.studio.retry("m", failure).get()
    assert one.prompts_of(result.pictures) == ["a roof"]
    assert stored(one).index("<img ") < stored(one).index("a street")


@pytest.mark.parametrize(
    "ask",
    [
        lambda studio, _: studio.illustrate_again("m"),
        lambda studio, _: studio.illustrate_again("m", "replace"),
        lambda studio, _: studio.illustrate_again("m", only_missing=True),
        lambda studio, failure: studio.regenerate("m", failure, mode="append-after-prompt"),
        lambda studio, failure: studio.regenerate("m", failure, prompt="a tower"),
        lambda studio, _: studio.illustrate("m", studio.text("m")),
    ],
)
def test_the_mark_goes_when_a_picture_comes_however_it_was_requested(open_simulated, ask):
    one, (failure,) = failing(open_simulated, "a roof")
    assert failure.id in stored(one)
    ask(one.studio, failure).get()
    assert "data-limner-failed" not in stored(one)
    assert stored(one).count("<img ") >= 2


@pytest.mark.parametrize("by_hand", [True, False])
def test_after_an_edit_of_the_tag_what_it_says_is_drawn(open_simulated, by_hand):
    one, (failure,) = failing(open_simulated, "a roof")
    change = lambda text: text.replace('"a roof"', '"a tower"').replace('"a street"', '"a lane"')  # noqa: E731
    if by_hand:
        one.store.write("m", change(stored(one)), expected_version=one.store.load("m")[1])
    else:
        one.studio.edit("m", change).get()
    one.studio.retry("m", failure)
    one.studio.regenerate("m", one.first.pictures[0]).get()
    assert sorted(one.painter.prompts[-2:]) == ["a lane", "a tower"]
    assert "data-limner-failed" not in stored(one)
    assert stored(one).count("<img ") == 2


def test_after_a_rewrite_a_retry_draws_what_the_tag_says(open_simulated):
    one, (failure,) = failing(open_simulated, "a roof")
    tower = one.studio.refine(failure.prompt_id, "a tower")
    one.studio.rewrite("m", tower).get()
    result = one.studio.retry("m").get()
    assert one.prompts_of(result.pictures) == ["a tower"]
    assert "data-limner-failed" not in stored(one)
