"""A store fails, hangs, or is edited by the host: in virtual time and drawn orders."""

import pytest

from limner.actors.stores import MemoryStore
from limner.messages import Unwritten
from limner.messages.errors import SessionFailed, StoreFailed, VersionConflict

TEXT = '<!--img-prompt="a"--> text'


def naming_versions(version):
    """Return a store that calls every version this."""

    class Odd(MemoryStore):
        def write(self, *args, **kwargs):
            super().write(*args, **kwargs)
            return version

    return Odd()


def test_pictures_of_a_session_that_failed_are_used_first_by_the_next(open_simulated):
    class Broken(MemoryStore):
        broken = True

        def write(self, *args, **kwargs):
            if self.broken:
                raise StoreFailed("the disk is full")
            return super().write(*args, **kwargs)

    store = Broken()
    one = open_simulated(store=store)
    with pytest.raises(SessionFailed, match="the disk is full") as caught:
        one.studio.illustrate("m", TEXT).get()
    assert isinstance(caught.value.cause, StoreFailed)
    assert caught.value.text == TEXT
    store.broken = False
    stream = one.studio.stream("m")
    one.let_pass(one.draw(2))  # the kept pictures are known before the prompt is, or after it
    stream.feed(TEXT)
    assert len(stream.finish().get().pictures) == 1
    assert len(one.events("generation_started")) == 1


def test_a_host_that_saves_while_it_streams_conflicts_with_nobody(open_simulated, story):
    one = open_simulated()
    stream = one.studio.stream("m")
    stream.feed(story[:30])
    one.let_pass(one.draw(2))
    one.store.write("m", story[:30], expected_version=None)
    one.let_pass(one.draw(2))
    stream.feed(story[30:])
    result = stream.finish().get()
    assert len(result.pictures) == 3
    assert one.store.load("m")[0] == result.text


def test_pictures_go_into_a_text_that_was_edited_meanwhile(open_simulated):
    one = open_simulated(seconds=60)
    one.store.write("m", "old", expected_version=None)
    future = one.studio.illustrate("m", 'a <!--img-prompt="a"--> b <!--img-prompt="b"-->')
    one.until("generation_started")
    version = one.store.load("m")[1]
    one.store.write("m", 'edited: <!--img-prompt="b"-->!', expected_version=version)
    result = future.get()
    assert result.text.startswith('edited: <!--img-prompt="b"--><img ')
    assert one.prompts_of(result.pictures) == ["b"]
    assert one.prompts_of(unplaced.placement for unplaced in result.unplaced) == ["a"]
    assert len(one.events("write_conflicted")) == 1


def test_a_store_that_always_conflicts_fails_its_session_alone(open_simulated, works_after):
    class Contested(MemoryStore):
        def write(self, message_id, *args, **kwargs):
            if message_id == "m":
                raise VersionConflict("somebody was faster")
            return super().write(message_id, *args, **kwargs)

    one = open_simulated(store=Contested())
    with pytest.raises(SessionFailed) as caught:
        one.studio.illustrate("m", "text").get()
    assert isinstance(caught.value.cause, VersionConflict)
    assert caught.value.text == "text"
    works_after(one)


def test_a_message_that_is_gone_is_not_written(open_simulated, works_after):
    one = open_simulated(seconds=60)
    one.store.write("m", "here", expected_version=None)
    future = one.studio.illustrate("m", TEXT)
    one.until("generation_started")
    del one.store.texts["m"]
    result = future.get()
    assert not result.written
    assert result.unwritten is Unwritten.GONE
    assert "gone" in result.reason
    assert one.store.load("m") is None
    assert one.events("session_ended")[0]["outcome"] == "skipped"
    works_after(one)


@pytest.mark.parametrize("write_at_deadline", [True, False])
@pytest.mark.parametrize("hangs", ["load", "write"])
def test_a_store_that_does_not_come_back_is_not_waited_for(
    open_simulated, works_after, hangs, write_at_deadline
):
    takes = iter([1_000, None] if hangs == "write" else [None])

    def latency(lane, tag):
        return next(takes, 1_000) if lane.startswith("store") else 1_000

    one = open_simulated(latency=latency, store_timeout=60, write_at_deadline=write_at_deadline)
    with pytest.raises(SessionFailed, match=f"not come back from .* {hangs} ") as caught:
        one.studio.illustrate("m", TEXT).get()
    assert isinstance(caught.value.cause, StoreFailed)
    assert caught.value.text == (TEXT if hangs == "write" else None)
    assert 60 <= one.time_of("session_ended") < 60 + one.SOON
    assert one.studio.status().abandoned == 1
    works_after(one)


def test_a_store_that_cannot_be_read_fails_its_session_alone(open_simulated, works_after):
    class Unreadable(MemoryStore):
        def load(self, message_id):
            if message_id == "m":
                raise StoreFailed("locked")
            return super().load(message_id)

    one = open_simulated(store=Unreadable())
    with pytest.raises(SessionFailed, match="locked"):
        one.studio.illustrate("m", "text").get()
    works_after(one)


@pytest.mark.parametrize("version", [2**70, "v\ud800"])
def test_whatever_name_a_store_gives_a_version_can_be_logged(open_simulated, version):
    one = open_simulated(store=naming_versions(version))
    assert one.studio.illustrate("m", TEXT).get().version == version
    assert len(one.events("text_written")) == 1


@pytest.mark.parametrize("version", [None, 1.5, True])
def test_a_store_that_gives_no_version_fails_its_session_with_the_reason(open_simulated, version):
    one = open_simulated(store=naming_versions(version))
    with pytest.raises(SessionFailed, match="gave no version"):
        one.studio.illustrate("m", TEXT).get()


def test_a_deadline_that_passes_during_the_write_does_not_undo_it(open_simulated):
    one = open_simulated(latency=lambda lane, tag: 200_000_000, store_timeout=900)
    future = one.studio.illustrate("m", "text")
    one.let_pass(310)  # it was loaded after 200 seconds, and is written after 400
    assert one.store.load("m") is None
    assert future.get().written
    assert one.events("session_ended")[0]["outcome"] == "written"
