"""How far a message is, while its session lives and after; and what its text is."""

import pytest

from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.messages.errors import (
    GenerationFailed,
    SessionCancelled,
    SessionFailed,
    StoreFailed,
    StudioClosed,
    UnknownMessage,
    UnknownPicture,
)

ROOF, STREET = '<!--img-prompt="a roof"-->', '<!--img-prompt="a street"-->'
TEXT = f"It rained. {ROOF} It stopped. {STREET} End."


def refusing(task, cancelled):
    if task.prompt == "a street":
        raise GenerationFailed("it is refused", retryable=False)
    return Instant().generate(task, cancelled)


def test_progress_counts_what_there_is_and_what_is_finished(open_simulated):
    one = open_simulated(seconds={"a roof": 1, "a street": 60})
    stream = one.studio.stream("m")
    assert one.studio.progress("m").total == 0
    stream.feed(TEXT)
    one.let_pass(10)
    progress = one.studio.progress("m")
    assert (progress.state, progress.finished, progress.total) == ("streaming", 1, 2)
    stream.finish()
    assert one.studio.progress("m").state == "settling"


def test_a_written_message_is_remembered_with_its_counts(open_simulated):
    one = open_simulated(generator=refusing)
    stream = one.studio.stream("m")
    stream.feed(TEXT)
    result = stream.finish().get()
    progress = one.studio.progress("m")
    assert progress.state == "written"
    assert progress.finished == len(result.pictures) == 1
    assert progress.failed == len(result.failures) == 1
    assert progress.total == 2
    assert progress.characters == len(TEXT)


def test_a_cancelled_message_is_remembered_as_cancelled(open_simulated):
    one = open_simulated(seconds={"a roof": 1, "a street": 60})
    stream = one.studio.stream("m")
    stream.feed(TEXT)
    one.let_pass(10)
    stream.cancel().get()
    progress = one.studio.progress("m")
    assert (progress.state, progress.finished, progress.cancelled) == ("cancelled", 1, 1)


def test_a_failed_message_is_remembered_as_failed(open_simulated):
    class Broken(MemoryStore):
        def write(self, *args, **named):
            raise OSError("no space left on device")

    one = open_simulated(store=Broken(), seconds=1)
    with pytest.raises((SessionFailed, StoreFailed)):
        one.studio.illustrate("m", TEXT).get()
    progress = one.studio.progress("m")
    assert (progress.state, progress.finished, progress.total) == ("failed", 2, 2)


def test_an_interrupted_message_is_written(open_simulated):
    one = open_simulated(seconds={"a roof": 1, "a street": 60})
    stream = one.studio.stream("m")
    stream.feed(TEXT)
    one.let_pass(10)
    stream.interrupt().get()
    progress = one.studio.progress("m")
    assert (progress.state, progress.finished, progress.cancelled) == ("written", 1, 1)


def test_a_regeneration_is_the_last_session(open_simulated):
    one = open_simulated(seconds=2, settle_after=1)
    roof, _ = one.studio.illustrate("m", TEXT).get().pictures
    future = one.studio.regenerate("m", roof)
    one.until("picture_wanted")
    assert one.studio.progress("m").state == "regenerating"
    future.get()
    progress = one.studio.progress("m")
    assert (progress.state, progress.finished, progress.total) == ("written", 1, 1)


def test_a_refused_regeneration_leaves_what_was_known(open_simulated):
    one = open_simulated(seconds=1, settle_after=0)
    one.studio.illustrate("m", TEXT).get()
    with pytest.raises(UnknownPicture):
        one.studio.regenerate("m", f"{'0' * 20}:{'0' * 32}").get()
    one.let_pass(5)
    assert one.studio.progress("m").finished == 2


def test_cancelled_regenerations_are_told_as_cancelled(open_simulated):
    one = open_simulated(seconds=60, settle_after=1)
    (roof,) = one.studio.illustrate("m", ROOF).get().pictures
    future = one.studio.regenerate("m", roof)
    one.until("generation_started", times=2)
    one.studio.clear("m")
    with pytest.raises(SessionCancelled):
        future.get()
    assert one.studio.progress("m").state == "cancelled"


def test_a_message_that_never_was_is_unknown(open_simulated):
    studio = open_simulated().studio
    assert studio.progress("m").state == "unknown"
    assert studio.progress("m").total == 0
    with pytest.raises(UnknownMessage):
        studio.progress("")


def test_what_was_withdrawn_is_in_no_count(open_simulated):
    one = open_simulated(seconds=5)
    stream = one.studio.stream("m")
    stream.replace(TEXT)
    one.until("generation_started")
    stream.replace(STREET)
    one.let_pass(1)
    assert one.studio.progress("m").total == 1
    stream.finish().get()
    assert one.studio.progress("m").total == 1


@pytest.mark.parametrize("store", ["sqlite:///{}/chat.db", "files:{}/texts"])
def test_the_store_knows_a_message_after_a_restart(tmp_path, store):
    settings = Settings(store=store.format(tmp_path), placeholders=True)
    with Studio.open(settings, generator=refusing) as studio:
        written = studio.illustrate("m", TEXT).get(timeout=60).text
    with Studio.open(settings, generator=refusing) as studio:
        progress = studio.progress("m")
        assert (progress.state, progress.finished, progress.failed) == ("written", 1, 1)
        assert studio.text("m") == written
        assert studio.progress("n").state == "unknown"


def test_kept_pictures_of_a_cancelled_message_outlive_a_restart(tmp_path):
    settings = Settings(store=f"sqlite:///{tmp_path}/chat.db")
    with Studio.open(settings, generator="instant") as studio:
        stream = studio.stream("m")
        stream.feed(ROOF)
        next(stream.pictures(timeout=20))
        stream.cancel().get(timeout=60)
    with Studio.open(settings, generator="instant") as studio:
        progress = studio.progress("m")
        assert (progress.state, progress.finished) == ("cancelled", 1)


def test_the_stored_text_is_read(open_simulated):
    one = open_simulated(seconds=1)
    result = one.studio.illustrate("m", TEXT).get()
    assert one.studio.text("m") == result.text
    edited = one.studio.edit("m", str.upper).get()
    assert one.studio.text("m") == edited.text


def test_a_text_that_is_not_there_is_an_error_that_says_so(open_simulated):
    one = open_simulated(seconds=60)
    stream = one.studio.stream("m")
    stream.feed(TEXT)
    for name in ("m", "n", "", "x" * 201, 3):
        with pytest.raises(UnknownMessage):
            one.studio.text(name)


def test_a_store_that_cannot_be_read_is_named(open_simulated):
    class Broken(MemoryStore):
        def load(self, message_id):
            raise OSError("the disk is gone")

    studio = open_simulated(store=Broken()).studio
    for call in (studio.text, studio.progress):
        with pytest.raises(StoreFailed, match="the disk is gone"):
            call("m")


def test_a_closed_studio_tells_neither(open_simulated):
    one = open_simulated(seconds=1)
    one.studio.illustrate("m", TEXT).get()
    one.studio.close()
    for call in (one.studio.text, one.studio.progress):
        with pytest.raises(StudioClosed):
            call("m")


def test_an_ended_message_has_its_owner_for_later_subscribers(open_simulated):
    one = open_simulated(seconds=1, events=None, heard=False)
    for owner in ("alice", "bob"):
        one.studio.illustrate(owner, TEXT, owner=owner).get()
    heard = []
    one.studio.subscribe(heard.append, owner="alice")
    for name in ("alice", "bob"):
        one.studio.edit(name, str.upper).get()
    one.let_pass(1)
    assert [(event["event"], event["message_id"]) for event in heard] == [("text_edited", "alice")]
