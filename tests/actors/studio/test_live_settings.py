"""Settings that change while a studio is open: what is asked for then has them, nothing else."""

import threading

import pytest

from limner.messages.errors import SettingsInvalid, StudioClosed, TextTooLong

TAG = '<!--img-prompt="{}"-->'
ONE = f"It rained. {TAG.format('a roof')}"


def test_settings_are_not_assigned(open_studio):
    one = open_studio()
    before = one.studio.settings
    with pytest.raises(AttributeError, match=r"studio\.update_settings\(") as refused:
        one.studio.settings = before.model_copy(update={"deadline": 1})
    assert "\n" not in str(refused.value)
    assert one.studio.settings is before


def test_a_session_keeps_the_settings_that_it_was_opened_with(open_simulated):
    one = open_simulated(seconds=1, common_tags="ink")
    early = one.studio.stream("early")
    one.let_pass(1)
    now = one.studio.update_settings(common_tags="oil", common_tags_position="suffix")
    assert one.studio.settings is now
    late = one.studio.stream("late")
    for stream, prompt in ((early, "a roof"), (late, "a lamp")):
        stream.feed(TAG.format(prompt))
        stream.finish().get()
    assert sorted(prompts_drawn(one)) == ["a lamp, oil", "ink, a roof"]


def prompts_drawn(one):
    maker = one.studio._root.actor_inbox.actor.context.maker
    return maker.generator.prompts


def test_a_stream_that_waits_for_its_message_keeps_its_settings_too(open_simulated):
    one = open_simulated(seconds=3, common_tags="ink", max_text=60)
    first = one.studio.illustrate("m", ONE)
    waiting = one.studio.stream("m")
    one.studio.update_settings(
        patterns=[r"\[draw (.*?)\]"], max_text=1_000, common_tags="", markup="markdown"
    )
    waiting.feed(TAG.format("a lamp"))
    with pytest.raises(TextTooLong):
        waiting.feed("x" * 100)
    first.get()
    result = waiting.finish().get()
    assert [placement.prompt for placement in result.pictures] == ["a lamp"]
    assert "<img " in result.text
    after = one.studio.illustrate("n", f"{ONE * 3} [draw a street]").get()
    assert [placement.prompt for placement in after.pictures] == ["a street"]
    assert "![a street](" in after.text
    assert prompts_drawn(one) == ["ink, a roof", "ink, a lamp", "a street"]


def test_edits_requests_and_what_comes_by_itself_have_the_new_ones(open_simulated):
    one = open_simulated(reconcile_after=None)
    text = one.studio.illustrate("m", ONE).get().text
    one.studio.update_settings(max_text=len(text), markup="markdown", reconcile_after=3)
    with pytest.raises(TextTooLong):
        one.studio.edit("m", lambda text: text + "x").get()
    one.studio.update_settings(max_text=10_000, settle_after=0)
    one.store.write("m", ONE, expected_version=one.store.load("m")[1])
    result = one.studio.illustrate_again("m", "append-after-image").get()
    assert "![a roof](" in result.text
    one.store.write("m", ONE, expected_version=result.version)
    one.let_pass(10)
    assert "![a roof](" in one.studio.text("m")


def test_an_update_is_an_event_that_tells_what_changed(open_studio):
    one = open_studio(common_tags="ink")
    one.studio.update_settings(common_tags="my words", deadline=9, markup="html")
    (event,) = one.events("settings_updated")
    assert event["changed"] == ["common_tags", "deadline"]
    assert event["values"] == {"deadline": 9}
    assert "my words" not in str(event)


def test_what_is_refused_changes_nothing_and_is_told(open_studio):
    one = open_studio()
    before = one.studio.settings
    for changes in ({"deadline": 9, "slots": 1}, {"deadline": -1}, {"deadlin": 3}):
        with pytest.raises(SettingsInvalid):
            one.studio.update_settings(**changes)
    assert one.studio.settings is before
    assert one.events("settings_updated") == []
    assert {event["call"] for event in one.events("call_refused")} == {"update_settings"}
    one.studio.close()
    with pytest.raises(StudioClosed):
        one.studio.update_settings(deadline=9)


def test_threads_that_update_lose_nothing_and_sessions_see_whole_values(open_studio):
    drawn = []

    def draw(task, cancelled):
        from limner.actors.generators import Instant

        drawn.append(task.prompt)
        return Instant().generate(task, cancelled)

    one = open_studio(generator=draw, common_tags="a")
    styles = [("a", "prefix"), ("b", "suffix")]

    def restyle():
        for number in range(40):
            tags, position = styles[number % 2]
            one.studio.update_settings(common_tags=tags, common_tags_position=position)

    def count(name):
        for number in range(1, 41):
            one.studio.update_settings(**{name: number})

    names = ["max_revocations", "max_prompts_per_message", "attempts"]
    threads = [threading.Thread(target=count, args=[name]) for name in names]
    threads.append(threading.Thread(target=restyle))
    for thread in threads:
        thread.start()
    futures = [one.studio.illustrate(f"m{number}", ONE) for number in range(40)]
    for thread in threads:
        thread.join()
    for future in futures:
        future.get(timeout=20)
    assert [getattr(one.studio.settings, name) for name in names] == [40] * 3
    assert set(drawn) <= {"a, a roof", "a roof, b"}
    assert len(one.events("settings_updated")) == 160
