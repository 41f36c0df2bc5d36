"""Pictures as they stand in texts, found by address, and messages that are forgotten."""

from threading import Event

import pytest

from limner.actors.stores import MemoryStore, PictureFiles, SqlStore
from limner.messages import Forgotten, clean
from limner.messages.errors import (
    MessageBusy,
    SessionCancelled,
    SettingsInvalid,
    StoreFailed,
    StudioClosed,
    UnknownMessage,
    UnknownPicture,
)

ONE = 'It rained. <!--img-prompt="a roof"--> It stopped.'
TWO = f'{ONE} <!--img-prompt="a lamp"-->'


@pytest.fixture
def files(tmp_path):
    return PictureFiles(tmp_path / "pictures", "/pictures")


@pytest.fixture
def sql(tmp_path, files):
    store = SqlStore(f"sqlite:///{tmp_path}/chat.db", files)
    yield store
    store.close()


def drawn(task, cancelled):
    """Return a picture that is another one for each prompt and message."""
    from limner.actors.stores.conformance.fixtures import png
    from limner.messages import PictureBytes

    return PictureBytes(data=png(hash((task.prompt, task.message_id)) % 2**24))


def same(task, cancelled):
    from limner.actors.stores.conformance.fixtures import png
    from limner.messages import PictureBytes

    return PictureBytes(data=png(7))


def test_placements_come_in_the_order_of_the_text_with_position(open_studio, sql):
    one = open_studio(store=sql, generator=drawn)
    result = one.studio.illustrate("m", TWO).get(timeout=60)
    pictures = one.studio.placements("m")
    assert [picture.prompt for picture in pictures] == ["a roof", "a lamp"]
    assert [picture.placement for picture in pictures] == list(result.pictures)
    for picture in pictures:
        mark = result.text[picture.start : picture.end]
        assert mark.startswith("<img ")
        assert picture.id in mark
    assert one.studio.placements("unknown") == ()
    with pytest.raises(UnknownMessage):
        one.studio.placements("")


def test_the_registry_has_its_prompts_in_the_order_of_the_text(open_simulated):
    one = open_simulated(seconds={"a roof": 5, "a lamp": 1})
    one.studio.illustrate("m", TWO).get()
    assert [prompt.text for prompt in one.store.registry("m").prompts] == ["a lamp", "a roof"]
    roof, lamp = one.studio.registry("m").prompts
    assert (roof.text, lamp.text) == ("a roof", "a lamp")
    child = one.studio.refine(roof.id, "a slate roof")
    assert one.studio.registry("m").prompts == (roof, child, lamp)


def test_a_registry_is_told_though_its_text_cannot_be_read(open_studio):
    one = open_studio(generator=drawn)
    one.studio.illustrate("m", TWO).get(timeout=60)
    known = one.store.registry("m")

    def unreadable(message_id):
        raise StoreFailed("the text is not UTF-8")

    one.store.load = unreadable
    assert one.studio.registry("m") == known


def test_a_picture_that_the_registry_does_not_know_is_named_all_the_same(open_studio, sql):
    one = open_studio(store=sql, generator=drawn)
    text = one.studio.illustrate("m", ONE).get(timeout=60).text
    sql.write("copy", text, expected_version=None)
    (picture,) = one.studio.placements("copy")
    assert picture.placement is None
    assert picture.prompt == "a roof"
    assert text[picture.start : picture.end].startswith("<img ")


def test_a_picture_is_found_by_its_address(open_studio, sql):
    one = open_studio(store=sql, generator=drawn)
    one.studio.illustrate("m", TWO).get(timeout=60)
    for picture in one.studio.placements("m"):
        url = picture.placement.picture.url
        for given in (url, f"https://example.org{url}", f"http://[::1]:80{url}?v=1#top"):
            assert one.studio.placement_of(given) == picture
    one.studio.edit("m", clean).get(timeout=60)
    gone = one.studio.placement_of(url)
    assert (gone.message_id, gone.start, gone.id) == ("m", None, picture.id)


@pytest.mark.parametrize(
    "url",
    ["", "/", "x" * 100_000, "http://[", None, 7, "/pictures/%27 OR 1=1.png", f"/{'0' * 32}.png"],
)
def test_an_address_that_is_no_pictures_is_refused_in_one_line(open_studio, url):
    studio = open_studio().studio
    with pytest.raises(UnknownPicture) as raised:
        studio.placement_of(url)
    assert len(str(raised.value)) < 200
    assert "\n" not in str(raised.value)


def test_a_message_that_is_forgotten_keeps_its_text_alone(open_studio, sql, files):
    one = open_studio(store=sql, generator=drawn)
    result = one.studio.illustrate("m", TWO, owner="ann").get(timeout=60)
    other = one.studio.illustrate("other", ONE).get(timeout=60)
    forgotten = one.studio.forget("m").get(timeout=60)
    ids = {placement.picture.id for placement in result.pictures}
    assert (forgotten.message_id, forgotten.prompts) == ("m", 2)
    assert {*forgotten.pictures} == ids
    assert one.studio.registry("m").prompts == ()
    assert one.store.load("m")[0] == result.text
    left = {path.stem for path in files.directory.iterdir()}
    assert left == {placement.picture.id for placement in other.pictures}
    (event,) = one.events("message_forgotten")
    assert (event["message_id"], event["prompts"], {*event["pictures"]}) == ("m", 2, ids)
    assert one.studio.forget("m").get(timeout=60) == Forgotten(message_id="m")
    assert one.studio.task(result.pictures[0].task_id) is None


def test_a_picture_that_another_message_has_stays(open_studio, sql, files):
    one = open_studio(store=sql, generator=same)
    one.studio.illustrate("m", ONE).get(timeout=60)
    other = one.studio.illustrate("other", ONE).get(timeout=60)
    assert one.studio.forget("m").get(timeout=60).pictures == ()
    (picture,) = (placement.picture for placement in other.pictures)
    assert not files.lost(picture)
    assert one.studio.forget("other").get(timeout=60).pictures == (picture.id,)
    assert files.lost(picture)


def test_a_live_message_is_not_forgotten(open_simulated):
    one = open_simulated(seconds=60)
    stream = one.studio.stream("m")
    stream.feed(ONE)
    with pytest.raises(MessageBusy):
        one.studio.forget("m")
    stream.finish()
    with pytest.raises(MessageBusy):
        one.studio.forget("m").get()
    assert stream.future.get().written
    one.studio.hold("m").get()
    with pytest.raises(MessageBusy, match="held"):
        one.studio.forget("m").get()
    one.studio.release("m")
    one.let_pass(5)
    assert one.studio.forget("m").get().prompts == 1


def test_a_stream_that_opens_while_its_message_is_forgotten_waits(open_simulated):
    one = open_simulated(seconds=1, latency=lambda lane, tag: 2_000_000)
    one.studio.illustrate("m", ONE).get()
    one.let_pass(10)
    forgetting = one.studio.forget("m")
    again = one.studio.illustrate("m", ONE)
    edited = one.studio.edit("m", lambda text: text + "!")
    assert forgetting.get().prompts == 1
    assert len(again.get().pictures) == 1
    assert edited.get().text.endswith("!")
    names = [event["event"] for event in one.events() if event.get("message_id") == "m"]
    assert names.index("message_forgotten") < names.index("session_opened", 2)
    assert len(one.studio.registry("m").links) == 1


def test_a_call_from_before_brings_nothing_back(open_simulated):
    one = open_simulated(seconds={"a roof": 400}, deaf=["a roof"])
    stream = one.studio.stream("m")
    stream.feed(ONE)
    one.until("generation_started")
    stream.cancel()
    with pytest.raises(SessionCancelled):
        stream.future.get()
    one.studio.forget("m").get()
    one.until("generation_discarded")
    one.let_pass(60)
    assert one.events("generation_late") == []
    assert not one.store.kept("m")
    (discarded,) = one.events("generation_discarded")
    assert (discarded["message_id"], len(discarded["picture_id"])) == ("m", 32)


def test_a_picture_of_another_session_is_kept_though_one_from_before_is_not(open_simulated):
    one = open_simulated(seconds={"a roof": 400, "a lamp": 1}, deaf=["a roof"])
    stream = one.studio.stream("m")
    stream.feed(ONE)
    one.until("generation_started")
    stream.cancel()
    with pytest.raises(SessionCancelled):
        stream.future.get()
    one.studio.forget("m").get()
    result = one.studio.illustrate("m", '<!--img-prompt="a lamp"-->').get()
    one.until("generation_discarded")
    assert [placement.prompt for placement in one.studio.placements("m")] == ["a lamp"]
    assert len(result.pictures) == 1
    assert not one.store.kept("m")


class KeepsSlowly(MemoryStore):
    """A store whose `keep` waits until a test ends that."""

    def __init__(self):
        super().__init__()
        self.keeping, self.go_on = Event(), Event()

    def keep(self, task, data, picture):
        self.keeping.set()
        assert self.go_on.wait(60)
        return super().keep(task, data, picture)


def cancelled_while_it_keeps(open_studio, **settings):
    """Open a studio, and cancel a session while its one picture is being kept."""
    one = open_studio(store=KeepsSlowly(), grace=0.1, **settings)
    stream = one.studio.stream("m")
    stream.feed(ONE)
    assert one.store.keeping.wait(60)
    stream.cancel()
    with pytest.raises(SessionCancelled):
        stream.future.get(timeout=60)
    return one


def test_a_message_is_forgotten_after_what_is_being_kept(open_studio):
    one = cancelled_while_it_keeps(open_studio)
    begun = Event()
    one.store.forget = lambda message_id: begun.set() or MemoryStore.forget(one.store, message_id)
    forgetting = one.studio.forget("m")
    assert not begun.wait(0.2)
    one.store.go_on.set()
    forgotten = forgetting.get(timeout=60)
    assert (forgotten.prompts, len(forgotten.pictures)) == (1, 1)
    assert not one.store.kept("m")


def test_a_store_that_keeps_for_too_long_fails_the_forgetting(open_studio):
    one = cancelled_while_it_keeps(open_studio, store_timeout=0.3)
    with pytest.raises(StoreFailed, match="has not come back in 0.3 s"):
        one.studio.forget("m").get(timeout=60)
    one.store.go_on.set()
    one.store.keeping.clear()
    assert one.studio.illustrate("m", ONE).get(timeout=60).pictures


def test_all_messages_of_an_owner_are_forgotten(open_studio, sql):
    one = open_studio(store=sql, generator=drawn)
    for name, owner in (("a", "ann"), ("b", "bob"), ("c", "ann"), ("d", None)):
        one.studio.illustrate(name, ONE, owner=owner).get(timeout=60)
    gone = one.studio.forget_owner("ann").get(timeout=60)
    assert [forgotten.message_id for forgotten in gone] == ["a", "c"]
    assert [len(one.studio.registry(name).links) for name in "abcd"] == [0, 1, 0, 1]
    assert one.studio.forget_owner("ann").get(timeout=60) == ()
    for bad in (None, "", "x" * 201):
        with pytest.raises(SettingsInvalid):
            one.studio.forget_owner(bad)


def test_an_owner_with_a_live_session_is_not_forgotten(open_simulated):
    one = open_simulated(seconds=60)
    one.studio.illustrate("a", ONE, owner="ann").get()
    one.let_pass(10)
    live = one.studio.illustrate("b", ONE, owner="ann")
    with pytest.raises(MessageBusy, match="cancel_all"):
        one.studio.forget_owner("ann")
    one.studio.cancel_all(owner="ann").get()
    with pytest.raises(SessionCancelled):
        live.get()
    one.let_pass(10)
    assert [gone.message_id for gone in one.studio.forget_owner("ann").get()] == ["a"]


class Forgetful(MemoryStore):
    """A host's store from before stores could forget."""

    forget = None


def test_a_store_that_cannot_forget_is_named_in_one_line(open_studio):
    studio = open_studio(store=Forgetful()).studio
    for call in (lambda: studio.forget("m"), lambda: studio.forget_owner("ann")):
        with pytest.raises(SettingsInvalid, match="Forgetful cannot forget; give it the methods"):
            call()


def test_a_store_that_fails_to_forget_fails_that_call_alone(open_studio):
    class Failing(MemoryStore):
        def forget(self, message_id):
            raise OSError("no space left")

    one = open_studio(store=Failing())
    one.studio.illustrate("m", ONE).get(timeout=60)
    with pytest.raises(OSError, match="no space left"):
        one.studio.forget("m").get(timeout=60)
    assert one.events("edit_failed")[0]["kind"] == "forget"
    assert one.studio.illustrate("m", ONE).get(timeout=60).written


def test_a_closed_studio_forgets_nothing(open_studio):
    studio = open_studio().studio
    studio.close()
    for call in (lambda: studio.forget("m"), lambda: studio.forget_owner("ann")):
        with pytest.raises(StudioClosed):
            call()


def test_how_a_forgotten_message_ended_is_forgotten_too(open_studio, story):
    one = open_studio()
    one.studio.illustrate("m", story, owner="ann").get(timeout=60)
    assert one.studio.progress("m").total == 3
    one.studio.forget("m").get(timeout=60)
    forgotten = one.studio.progress("m")
    one.store.delete("m")
    assert one.studio.progress("m").state == "unknown"
    assert forgotten.state == "written"  # by what the store still knows: its text
