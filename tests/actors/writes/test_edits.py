"""One message's queue of writes: edits, removals, holds; in virtual time and drawn orders."""

from contextlib import ExitStack
from threading import Event

import pykka
import pytest
from support.simulated_actors import actor_of

from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import (
    ChatFileStore,
    DocumentStore,
    FileStore,
    MemoryStore,
    PictureFiles,
    SqlStore,
)
from limner.actors.system import CallReturned
from limner.messages import Unwritten
from limner.messages.errors import (
    GenerationFailed,
    MessageBusy,
    SessionCancelled,
    SessionFailed,
    SettingsInvalid,
    StoreFailed,
    StudioClosed,
    TextTooLong,
    UnknownMessage,
    UnknownPicture,
    VersionConflict,
)
from limner.messages.registry import RegistryUpdate
from limner.messages.text.marks import marked

TEXT = 'It rained. <!--img-prompt="a roof"--> It stopped.'


@pytest.fixture
def one(open_simulated):
    one = open_simulated()
    one.first = one.studio.illustrate("m", TEXT).get()
    (one.roof,) = [placement.id for placement in one.first.pictures]
    return one


def stored(one):
    return one.store.load("m")[0]


def test_a_picture_is_removed_and_its_history_stays(one):
    result = one.studio.remove("m", one.first.pictures[0]).get()
    assert result.text == stored(one) == TEXT
    assert result.removed == (one.roof,)
    assert [link.state for link in one.studio.registry("m").links] == ["past"]
    assert one.studio.reconcile("m").get().pictures == ()
    with pytest.raises(UnknownPicture):
        one.studio.remove("m", one.roof).get()
    with pytest.raises(UnknownPicture):
        one.studio.remove("m", "a roof")
    (event,) = one.events("text_edited")
    assert (event["kind"], event["message_id"]) == ("remove", "m")


@pytest.mark.parametrize("kind", ["memory", "sqlite", "files", "documents", "chat"])
def test_a_picture_that_was_stripped_can_be_removed_for_good_in_any_store(store_of, kind):
    store = store_of(kind)
    with Studio.open(Settings(), store=store, generator="instant") as studio:
        (roof,) = studio.illustrate("2", TEXT).get(timeout=60).pictures
        store.write("2", TEXT, expected_version=store.load("2")[1], links=RegistryUpdate())
        removed = studio.remove("2", roof).get(timeout=60)
        assert (removed.text, removed.removed, removed.written) == (TEXT, (roof.id,), True)
        assert store.load("2") == (TEXT, removed.version)
        assert [link.state for link in studio.registry("2").links] == ["past"]
        assert not studio.reconcile("2").get(timeout=60).written
        with pytest.raises(UnknownPicture):
            studio.remove("2", roof).get(timeout=60)


@pytest.fixture
def store_of(tmp_path):
    """Return a function that opens an empty store of a kind that can have a message `2`."""
    with ExitStack() as stack:

        def open_store(kind):
            chat = tmp_path / "chat.jsonl"
            chat.write_text('{"chat_metadata": {}}\n{"mes": "", "is_user": false}\n')
            pictures = PictureFiles(tmp_path / "pictures")
            made = {
                "memory": lambda: MemoryStore(pictures),
                "sqlite": lambda: SqlStore(f"sqlite:///{tmp_path}/texts.db", pictures),
                "files": lambda: FileStore(tmp_path / "texts", pictures),
                "documents": lambda: ConfirmHold(pictures),
                "chat": lambda: ChatFileStore(chat, pictures),
            }[kind]()
            stack.callback(made.close)
            return made

        yield open_store


@pytest.mark.parametrize("kind", ["memory", "sqlite", "files", "documents", "chat"])
def test_a_failure_is_known_and_put_back_by_any_store(store_of, kind):
    class Refuses:
        refused = True

        def generate(self, task, cancelled):
            if self.refused:
                raise GenerationFailed("not \0 now", retryable=False)
            return Instant().generate(task, cancelled)

    generator = Refuses()
    settings = Settings(placeholders=True, settle_after=0)
    store = store_of(kind)
    with Studio.open(settings, store=store, generator=generator) as studio:
        result = studio.illustrate("2", TEXT).get(timeout=30)
        (failed,) = result.failures
        assert [known.id for known in studio.registry("2").failures] == [failed.id]
        store.write("2", TEXT, expected_version=store.load("2")[1], links=RegistryUpdate())
        assert studio.reconcile("2").get(timeout=30).text == result.text
        assert store.load("2")[0] == result.text
        assert not studio.reconcile("2").get(timeout=30).written
        generator.refused = False
        assert len(studio.retry("2", failed.id).get(timeout=30).pictures) == 1
        assert studio.registry("2").failures == ()
        assert not studio.reconcile("2").get(timeout=30).written


class ConfirmHold(DocumentStore):
    """A host's own store: documents in memory."""

    def __init__(self, pictures):
        super().__init__(pictures)
        self.held = {}

    def fetch(self, message_id):
        return self.held.get(message_id)

    def replace(self, message_id, new):
        held = self.held.get(message_id)
        if (held and held.revision) != new.revision:
            return False
        self.held[message_id] = new._replace(revision=(new.revision or 0) + 1)
        return True

    def search(self, name):
        return tuple(self.held)


def test_edits_of_one_message_are_made_one_after_the_other(one):
    marks = [f" {number}" for number in range(20)]
    futures = [one.studio.edit("m", lambda text, mark=mark: text + mark) for mark in marks]
    results = [future.get() for future in futures]
    assert stored(one) == one.first.text + "".join(marks)
    assert [result.version for result in results] == sorted(result.version for result in results)


def test_an_edit_that_changes_nothing_is_not_written(one):
    result = one.studio.edit("m", lambda text: text).get()
    assert not result.written
    assert result.unwritten is Unwritten.UNCHANGED
    assert result.text == one.first.text
    assert one.store.load("m")[1] == one.first.version


def test_what_an_edit_takes_out_stays_out_and_what_it_puts_back_is_there(one):
    one.studio.edit("m", lambda _: TEXT).get()
    assert one.studio.reconcile("m").get().pictures == ()
    one.studio.edit("m", lambda _: one.first.text).get()
    assert [link.state for link in one.studio.registry("m").links] == ["placed"]


def test_a_change_that_fails_fails_alone(one):
    def fail(text):
        raise ValueError(text[:3])

    bad, good = one.studio.edit("m", fail), one.studio.edit("m", str.upper)
    with pytest.raises(ValueError, match="It "):
        bad.get()
    assert good.get().text == one.first.text.upper()
    with pytest.raises(TypeError):
        one.studio.edit("m", lambda _: None).get()
    with pytest.raises(TextTooLong):
        one.studio.edit("m", lambda _: "x" * 2_000_001).get()
    with pytest.raises(UnknownMessage):
        one.studio.edit("nobody", str.upper).get()
    with pytest.raises(UnknownMessage):
        one.studio.edit("", str.upper)


def test_a_change_that_does_not_come_back_is_given_up_and_the_next_is_made(open_simulated):
    one = open_simulated(store_timeout=10)
    one.studio.illustrate("m", "text").get()
    never = one.system.future(about="what never comes")
    stuck = one.studio.edit("m", lambda _: never.get())
    good = one.studio.edit("m", lambda text: text + "!")
    with pytest.raises(StoreFailed, match="10 s"):
        stuck.get()
    assert good.get().text == "text!"
    one.studio.hold("m").get()
    never.set("late")
    one.let_pass(100)
    assert one.store.load("m") == ("text!", good.get().version)


def test_an_edit_of_a_message_that_streams_comes_after_its_write(one):
    stream = one.studio.stream("m")
    stream.feed("Anew")
    edited = one.studio.edit("m", lambda text: text + " and edited")
    one.let_pass(one.draw(20))
    assert not edited.done
    assert stream.finish().get().text == "Anew"
    assert edited.get().text == "Anew and edited"


def test_an_edit_before_a_stream_does_not_undo_the_stream(open_simulated):
    one = open_simulated(latency=lambda lane, _: 5_000_000 * ("store" in lane))
    one.studio.illustrate("m", "old").get()
    edited = one.studio.edit("m", lambda text: text + " edited")
    result = one.studio.illustrate("m", "new text").get()
    assert edited.get().text == "old edited"
    assert result.text == stored(one) == "new text"


def test_what_another_program_writes_while_an_edit_is_made_is_kept(one):
    times = []

    def change(text):
        if not times:
            one.store.write("m", text + " other", expected_version=one.store.load("m")[1])
        times.append(text)
        return text + " mine"

    assert one.studio.edit("m", change).get().text == one.first.text + " other mine"
    assert len(times) == 2


def test_a_text_that_changes_all_the_time_is_a_conflict(one):
    def change(text):
        one.store.write("m", text + ".", expected_version=one.store.load("m")[1])
        return text + "!"

    with pytest.raises(VersionConflict):
        one.studio.edit("m", change).get()


def test_while_a_message_is_held_nothing_of_it_is_written(one):
    assert one.studio.hold("m").get() is None
    edited = one.studio.edit("m", str.upper)
    streamed = one.studio.illustrate("m", TEXT + " Again.")
    other = one.studio.illustrate("n", TEXT)
    one.let_pass(200)
    assert other.done
    assert stored(one) == one.first.text
    pending = one.studio.pending("m")
    assert (pending.held, pending.writing, pending.waiting) == (True, None, ("edit", "session"))
    one.studio.release("m")
    edited.get()
    assert streamed.get().text.endswith("Again.")
    assert stored(one) == streamed.get().text
    assert not one.studio.pending("m").held


def test_a_session_that_is_held_is_not_past_its_deadline(one):
    one.studio.hold("m").get()
    streamed = one.studio.illustrate("m", "new")
    one.let_pass(1_000)
    one.studio.release("m")
    assert streamed.get().written


def test_a_hold_is_in_force_once_nothing_is_under_way(open_simulated):
    one = open_simulated(latency=lambda lane, _: 5_000_000 * ("store" in lane))
    one.studio.illustrate("m", "old").get()
    edited = one.studio.edit("m", lambda text: text + "!")
    one.let_pass(1)
    one.studio.hold("m").get()
    assert edited.done
    assert stored(one) == "old!"


def test_what_waits_can_be_cleared_but_not_what_is_streamed(one):
    one.studio.hold("m").get()
    edits = [one.studio.edit("m", str.upper), one.studio.remove("m", one.roof)]
    streamed = one.studio.illustrate("m", "streamed")
    assert one.studio.clear("m") == 2
    for edit in edits:
        with pytest.raises(SessionCancelled):
            edit.get()
    one.studio.release("m")
    assert streamed.get().text == stored(one) == "streamed"
    assert one.studio.clear("m") == 0


def test_a_picture_that_was_stripped_is_put_back_once(one):
    one.store.write("m", TEXT + " More.", expected_version=one.store.load("m")[1])
    result = one.studio.reconcile("m").get()
    assert [placement.id for placement in result.pictures] == [one.roof]
    assert result.text == stored(one) == one.first.text + " More."
    assert not one.studio.reconcile("m").get().written
    one.store.write("m", "Other.", expected_version=one.store.load("m")[1])
    again = one.studio.reconcile("m").get()
    assert [unplaced.placement.id for unplaced in again.unplaced] == [one.roof]
    assert not again.written


def test_reconciling_a_text_that_is_gone_says_so(one):
    del one.store.texts["m"]
    result = one.studio.reconcile("m").get()
    assert not result.written
    assert [unplaced.placement.id for unplaced in result.unplaced] == [one.roof]


def test_a_text_is_reconciled_by_itself_a_while_after_its_write(open_simulated):
    one = open_simulated(reconcile_after=30)
    first = one.studio.illustrate("m", TEXT).get()
    one.let_pass(10)
    one.store.write("m", TEXT, expected_version=one.store.load("m")[1])
    one.let_pass(40)
    assert marked(stored(one)) == {placement.id for placement in first.pictures}
    assert [event["kind"] for event in one.events("text_edited")] == ["reconcile"]
    one.let_pass(100)
    assert len(one.events("edit_unneeded")) == 0  # what it wrote itself needs no other look


def test_a_text_that_is_written_again_and_again_is_reconciled_all_the_same(open_simulated):
    one = open_simulated(reconcile_after=30)
    first = one.studio.illustrate("m", TEXT).get()
    one.store.write("m", TEXT, expected_version=one.store.load("m")[1])
    for _ in range(5):
        one.let_pass(10)
        one.studio.edit("m", lambda text: text + ".").get()
    assert marked(stored(one)) == {placement.id for placement in first.pictures}
    one.store.write("m", TEXT, expected_version=one.store.load("m")[1])
    one.let_pass(35)  # since the last of those writes
    assert marked(stored(one)) == {placement.id for placement in first.pictures}
    one.let_pass(100)
    assert len(one.events("text_edited", kind="reconcile")) == 2


def test_closing_the_studio_writes_what_is_held_and_refuses_what_comes_then(open_simulated):
    one = open_simulated()
    one.studio.illustrate("m", "text").get()
    one.studio.hold("m").get()
    edited = one.studio.edit("m", str.upper)
    one.studio.close()
    assert edited.get().text == stored(one) == "TEXT"
    with pytest.raises(StudioClosed):
        one.studio.edit("m", str.lower)
    with pytest.raises(StudioClosed):
        one.studio.release("m")


def test_hosts_changes_that_block_keep_nobody_elses_message_waiting(tmp_path):
    go_on = Event()
    settings = Settings(store=f"sqlite:///{tmp_path}/chat.db", pictures=tmp_path, store_timeout=60)
    with Studio.open(settings, generator="instant") as studio:
        for number in range(8):
            studio.illustrate(str(number), "text").get(timeout=30)
        blocked = [
            studio.edit(str(number), lambda text: go_on.wait(60) and text + "!")
            for number in range(8)
        ]
        try:
            assert studio.illustrate("m", TEXT).get(timeout=30).written
        finally:
            go_on.set()
        assert [one.get(timeout=30).text for one in blocked] == ["text!"] * 8


def test_a_hold_is_in_force_between_two_writes_whatever_comes_after_it(open_simulated):
    one = open_simulated(latency=lambda lane, _: 5_000_000 * ("change" in lane))
    one.studio.illustrate("m", "text").get()
    edits = [one.studio.edit("m", lambda text: text + "!") for _ in range(5)]
    one.let_pass(1)
    held = one.studio.hold("m")
    one.studio.release("m")
    before = one.now
    held.get()
    assert one.now - before < 7
    assert edits[-1].get().text == "text!!!!!"


def test_the_log_says_what_an_edit_did_to_which_picture(one):
    one.studio.remove("m", one.roof).get()
    one.studio.edit("m", lambda _: one.first.text).get()
    one.store.write("m", TEXT, expected_version=one.store.load("m")[1])
    one.studio.reconcile("m").get()
    one.store.write("m", "gone", expected_version=one.store.load("m")[1])
    one.studio.reconcile("m").get()
    removed, put_back, reconciled = one.events("text_edited")
    assert removed["removed"] == put_back["placed"] == reconciled["placed"] == [one.roof]
    assert list(one.events("edit_unneeded")[0]["unplaced"]) == [one.roof]


def test_a_sequencer_that_fails_closes_the_studio_and_leaves_nobody_waiting(open_simulated):
    one = open_simulated(audited=False)
    one.studio.illustrate("m", TEXT).get()
    one.studio.hold("m").get()
    waiting = [one.studio.edit("m", str.upper), one.studio.illustrate_again("m")]
    one.let_pass(20)
    (sequencer,) = pykka.ActorRegistry.get_by_class_name("SequencerActor")
    actor_of(sequencer).queues = None
    with pytest.raises(StudioClosed):
        one.studio.pending("m")
    for future in waiting:
        with pytest.raises((StudioClosed, SessionFailed)):
            future.get()
    with pytest.raises(StudioClosed):
        one.studio.edit("m", str.upper)


@pytest.mark.parametrize("stopped", [False, True], ids=["fails", "is stopped"])
def test_an_edit_whose_actor_ends_fails_alone_and_the_next_ones_go_on(open_simulated, stopped):
    one = open_simulated(latency=lambda lane, _: 5_000_000 * ("change" in lane))
    one.studio.illustrate("m", "text").get()
    first, second = (one.studio.edit("m", lambda text, n=n: f"{text}{n}") for n in (1, 2))
    one.let_pass(1)
    (edit,) = pykka.ActorRegistry.get_by_class_name("EditActor")
    if stopped:
        edit.end()
    else:
        actor_of(edit).returned = None
        edit.deliver(CallReturned(None, None, None))
    with pytest.raises(StoreFailed, match="the edit of message 'm' failed"):
        first.get()
    third = one.studio.edit("m", str.upper)
    assert second.get().text == "text2"
    assert third.get().text == stored(one) == "TEXT2"
    (failed,) = one.events("edit_failed")
    assert failed["edit_id"] not in {event["edit_id"] for event in one.events("text_edited")}
    assert one.studio.pending("m").writing is None


class Plain:
    """A store with nothing but what streaming needs."""

    def __init__(self):
        inner = MemoryStore()
        for name in ("load", "write", "keep", "kept", "close"):
            setattr(self, name, getattr(inner, name))


def test_a_store_without_a_registry_streams_and_is_edited_and_says_what_it_lacks():
    with Studio.open(Settings(), store=Plain(), generator="instant") as studio:
        result = studio.illustrate("m", TEXT).get(timeout=60)
        assert len(result.pictures) == 1
        assert studio.edit("m", str.upper).get(timeout=60).text == result.text.upper()
        with pytest.raises(SettingsInvalid, match="Plain keeps no registry"):
            studio.regenerate("m", result.pictures[0])
        with pytest.raises(SettingsInvalid):
            studio.history("0" * 20)


TWO = 'x <!--img-prompt="a"--> y <!--img-prompt="b"--> z'
TWICE = 'x <!--img-prompt="a"--> y <!--img-prompt="a"--> z'


def illustrated(open_simulated, text):
    one = open_simulated()
    one.first = one.studio.illustrate("m", text).get()
    return one, *one.first.pictures


def is_put_back(one, *, stripped):
    """Strip all pictures as another program does, and say whether all come back where they were."""
    text, version = one.store.load("m")
    one.store.write("m", stripped, expected_version=version)
    return one.studio.reconcile("m").get().text == text == stored(one)


def test_an_equal_tag_that_an_edit_puts_first_does_not_take_a_picture(open_simulated):
    one, own, _ = illustrated(open_simulated, TWO)
    equal = '<!--img-prompt="a"--> '
    one.studio.edit("m", lambda text: equal + text).get()
    assert is_put_back(one, stripped=equal + TWO)
    (new,) = one.studio.regenerate("m", own, prompt="c").get().pictures
    before, after = stored(one).split('<!--img-prompt="c"-->')
    assert before == f"{equal}x "
    assert marked(after.partition(" y ")[0]) == {new.id}
    assert is_put_back(one, stripped=equal + TWO.replace('"a"', '"c"'))


def test_a_picture_stays_with_its_tag_when_an_equal_one_before_it_is_taken_out(open_simulated):
    one, _, second = illustrated(open_simulated, TWICE)
    one.studio.edit("m", lambda text: "x" + text[text.index(" y") :]).get()
    stripped = 'x y <!--img-prompt="a"--> z'
    assert is_put_back(one, stripped=stripped)
    (again,) = one.studio.illustrate_again("m", "replace").get().pictures
    assert again.prompt_id == second.prompt_id
    assert marked(stored(one)) == {again.id}
    assert is_put_back(one, stripped=stripped)


def test_undoing_a_refinement_by_an_edit_takes_no_other_tag_from_its_picture(open_simulated):
    one, own, other = illustrated(open_simulated, TWO)
    one.studio.regenerate("m", own, prompt="b").get()
    one.studio.edit("m", lambda _: one.first.text).get()
    assert one.studio.registry("m").claims == ()
    assert is_put_back(one, stripped=TWO)
    assert marked(stored(one)) == {own.id, other.id}


def test_an_edit_that_changes_no_tag_leaves_the_claims(open_simulated):
    one, own, _ = illustrated(open_simulated, TWO)
    one.studio.regenerate("m", own, prompt="b").get()
    claims = one.studio.registry("m").claims
    assert len(claims) == 2
    one.studio.edit("m", lambda text: text.replace(" y ", " and ")).get()
    assert one.studio.registry("m").claims == claims


def test_an_edit_finds_tags_by_the_patterns_of_the_studio(open_simulated):
    one = open_simulated(patterns=[r"\{\{([^{}]*)\}\}"])
    _, second = one.studio.illustrate("m", "x {{a}} y {{a}} z").get().pictures
    one.studio.edit("m", lambda text: text[text.index(" y") :]).get()
    (claim,) = one.studio.registry("m").claims
    assert claim.prompt_id == second.prompt_id


CALLS = {
    "edit": lambda studio, **more: studio.edit("m", lambda text: text + "!", **more),
    "reconcile": lambda studio, **more: studio.reconcile("m", **more),
}


@pytest.mark.parametrize("kind", CALLS)
def test_an_edit_behind_an_open_stream_says_so_and_waits_no_longer_than_it_may(
    open_simulated, kind
):
    one = open_simulated()
    stream = one.studio.stream("m")
    stream.feed("It rained.")
    bounded = CALLS[kind](one.studio, timeout=5)
    free = CALLS[kind](one.studio)
    began = one.now
    with pytest.raises(MessageBusy, match="'m' has waited 5 s for a stream of it that is still"):
        bounded.get()
    assert 5 <= one.now - began < 6
    waits = one.events("edit_waits")
    assert [(event["waits_for"], event["timeout"]) for event in waits] == [
        ("stream", 5),
        ("stream", None),
    ]
    (failed,) = one.events("edit_failed")
    assert failed["edit_id"] == waits[0]["edit_id"]
    one.let_pass(3_600)
    assert not free.done
    written = stream.finish().get()
    assert free.get().text == written.text + ("!" if kind == "edit" else "")


def test_an_edit_that_gets_its_turn_in_time_is_done_and_leaves_no_timer(open_simulated):
    one = open_simulated()
    stream = one.studio.stream("m")
    future = one.studio.edit("m", lambda text: text + "!", timeout=50)
    stream.finish("It rained.")
    assert future.get().text == "It rained.!"
    assert one.studio.edit("m", lambda text: text + "!", timeout=0).get().written
    one.let_pass(100)
    assert one.events("edit_failed") == []


@pytest.mark.parametrize("timeout", [-1, float("nan"), "5", True, 86_401])
def test_a_timeout_that_is_none_is_refused(open_simulated, timeout):
    one = open_simulated()
    with pytest.raises(SettingsInvalid, match="timeout: 0 to 86,400 seconds"):
        one.studio.edit("m", str, timeout=timeout)


def test_what_an_edit_waits_for_is_named_a_hold_too(open_simulated):
    one = open_simulated()
    one.studio.illustrate("m", "It rained.").get()
    one.studio.hold("m").get()
    future = one.studio.edit("m", lambda text: text + "!", timeout=3)
    with pytest.raises(MessageBusy, match="call studio.release"):
        future.get()
    one.studio.release("m")
    one.let_pass(10)
    assert one.studio.text("m") == "It rained."
    assert [event["waits_for"] for event in one.events("edit_waits")] == ["hold"]
