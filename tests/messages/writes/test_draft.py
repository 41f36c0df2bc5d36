"""What a write makes of a text, whatever happens to the text meanwhile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drawn_texts import scan, tag

from limner.actors.stores.compare_and_set import CONFLICTS, write_draft
from limner.messages.errors import StoreFailed, UnknownMessage, VersionConflict
from limner.messages.ids import picture_id, prompt_id, task_id
from limner.messages.picture_requests import PictureRequest
from limner.messages.pictures import Picture, Unwritten
from limner.messages.prompts import Prompt
from limner.messages.registry import Registry
from limner.messages.session.totals import RequestsSealed, StreamSealed
from limner.messages.settings import Settings
from limner.messages.tasks import Task, TaskState
from limner.messages.text.compose import Composed
from limner.messages.text.marks import mark
from limner.messages.text.reconcile import reconcile
from limner.messages.writes.draft import Draft, edit_draft, regeneration_draft, stream_draft
from limner.messages.writes.protocol import EditText

TEXT = f"It rained. {tag('a roof')} It stopped."
PROMPT = Prompt(id=prompt_id("m", "a roof", 0), message_id="m", text="a roof", ordinal=0)
PICTURE = Picture(id=picture_id(b"a"), url="p/a.png", media_type="image/png", width=1, height=1)
TASK = Task(
    id=task_id("s", PROMPT.id, 0),
    session_id="s",
    message_id="m",
    prompt_id=PROMPT.id,
    prompt=PROMPT.text,
    state=TaskState.COMPLETED,
    picture=PICTURE,
)
SETTINGS = Settings()
LOCKED, GONE = object(), object()


class Store:
    """A store of one message.

    Args:
        text: what it holds; `None` if nothing.
        meanwhile: what others do before each write in turn: a text that they write, or `GONE`, or
            `LOCKED`, or nothing.
        version: what it gives for each write in place of one.
    """

    def __init__(self, text=None, *meanwhile, **gives):
        self.text = text
        self.version = None if text is None else 1
        self.meanwhile = list(meanwhile)
        self.gives = gives
        self.loads = 0
        self.written = []
        self.updates = []
        self.last = 1

    def load(self, message_id):
        self.loads += 1
        return None if self.text is None else (self.text, self.version)

    def change(self, text):
        self.last += 1
        self.text, self.version = (None, None) if text is GONE else (text, self.last)

    def write(self, message_id, text, *, expected_version, links):
        other = self.meanwhile.pop(0) if self.meanwhile else None
        if other is LOCKED:
            raise VersionConflict("it is locked")
        if other is not None:
            self.change(other)
        if self.version != expected_version:
            raise VersionConflict(f"{self.version} is not {expected_version}")
        self.change(text)
        self.written.append(text)
        self.updates.append(links)
        return self.gives.get("version", self.version)


def write(store, draft, *, version=None, given_up=lambda: False):
    """Return what a draft's future gives, and the conflicts on the way."""
    conflicts = []
    written = write_draft(
        store,
        draft,
        version=version,
        log_event=lambda event, **fields: conflicts.append(event),
        given_up=given_up,
    )
    return draft.result(written), conflicts


def stream(text=TEXT, *tasks):
    matches = tuple(scan(text, SETTINGS.notation))
    totals = StreamSealed(task_ids=frozenset(), text=text, matches=matches)
    return stream_draft("m", totals, tasks, SETTINGS)


def picture(text=TEXT):
    """Return a stream's draft with the picture that its one prompt has got."""
    return stream(text, TASK)


def request(place="append"):
    request = PictureRequest(prompt=PROMPT, place=place, target=PROMPT.id)
    totals = RequestsSealed(task_ids=frozenset([TASK.id]), requests={TASK.id: request})
    return regeneration_draft("m", totals, (TASK,), SETTINGS)


def edit(change, kind="edit"):
    return edit_draft(EditText(edit_id="e", message_id="m", kind=kind, change=change, future=None))


def upper(text, registry):
    return Composed(text=text.upper())


def illustrated(text):
    at = text.index("-->") + 3
    return text[:at] + mark(PLACED, "html") + text[at:]


PLACED = write(Store(), picture())[0].pictures[0]

# a stream


@given(st.text(max_size=20), st.data())
def test_a_streamed_text_takes_the_place_of_its_own_beginning(text, data):
    begun = data.draw(st.sampled_from([text[:at] for at in range(len(text) + 1)]))
    store = Store("old", begun)
    result, conflicts = write(store, stream(text), version=1)
    assert store.text == result.text == text
    assert (result.written, result.version, len(conflicts)) == (True, store.version, 1)
    assert store.updates[0].anew


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_streamed_text_leaves_a_newer_one(text, newer):
    store = Store("old", newer)
    result, _ = write(store, stream(text), version=1)
    kept = text if text.startswith(newer) else newer
    assert store.text == result.text == kept
    assert store.updates[0].anew == text.startswith(newer)


def test_a_stream_takes_the_place_of_what_was_there_before_it():
    store = Store("something else")
    result, conflicts = write(store, stream(), version=1)
    assert (store.text, result.written, conflicts, store.loads) == (TEXT, True, [], 0)


def test_pictures_go_into_a_newer_text_where_it_has_their_prompts():
    newer = f"Rewritten: {tag('a roof')}."
    store = Store("old", newer)
    result, _ = write(store, picture(), version=1)
    assert store.text == illustrated(newer)
    assert [placed.id for placed in result.pictures] == [PLACED.id]
    store = Store("old", "Without it.")
    result, _ = write(store, picture(), version=1)
    assert store.text == "Without it."
    assert [lost.placement.id for lost in result.unplaced] == [PLACED.id]
    assert store.updates[0].tasks == (TASK,)


def test_a_stream_creates_its_message_also_if_a_host_does_so_meanwhile():
    store = Store(None)
    assert write(store, picture())[0].written
    assert store.text == illustrated(TEXT)
    for meanwhile in (TEXT[:20], LOCKED):
        store = Store(None, meanwhile)
        assert write(store, picture())[0].written
        assert store.text == illustrated(TEXT)


@pytest.mark.parametrize("draft", [picture, request, lambda: edit(upper)])
def test_what_is_deleted_meanwhile_is_not_made_again(draft):
    store = Store(TEXT, GONE)
    draft = draft()
    written = write_draft(
        store, draft, version=1, log_event=lambda *_, **__: None, given_up=lambda: False
    )
    assert (store.text, store.written) == (None, [])
    assert (written.gone, written.version) == (True, None)


def test_a_stream_of_a_message_that_is_deleted_keeps_its_pictures_and_says_so():
    result, _ = write(Store(TEXT, GONE), picture(), version=1)
    assert result.unwritten is Unwritten.GONE
    assert (result.pictures, result.written) == ((), False)
    assert [lost.placement.id for lost in result.unplaced] == [PLACED.id]


# a regeneration


def test_a_regeneration_goes_into_the_text_that_the_store_has_by_now():
    newer = f"Newer. {tag('a roof')}"
    store = Store(TEXT, newer)
    result, conflicts = write(store, request(), version="not looked at")
    assert store.text == result.text == illustrated(newer)
    assert len(conflicts) == 1
    assert not store.updates[0].anew


@pytest.mark.parametrize("meanwhile", [(None,), (TEXT, GONE)])
def test_a_regeneration_of_a_message_that_is_gone_writes_nothing(meanwhile):
    store = Store(*meanwhile)
    result, _ = write(store, request())
    assert store.written == []
    assert (result.written, result.unwritten) == (False, Unwritten.GONE)
    assert [lost.placement.id for lost in result.unplaced] == [PLACED.id]
    assert result.pictures == ()


def test_a_regeneration_that_changes_nothing_but_the_registry_is_written():
    store = Store(illustrated(TEXT))
    result, _ = write(store, request())
    assert store.written == [illustrated(TEXT)]
    assert result.written


def test_a_regeneration_that_came_to_nothing_writes_nothing():
    totals = RequestsSealed(task_ids=frozenset(), requests={})
    store = Store(TEXT)
    result, _ = write(store, regeneration_draft("m", totals, (), SETTINGS))
    assert (store.written, result.text, result.unwritten) == ([], TEXT, Unwritten.UNCHANGED)


# an edit


def test_an_edit_changes_the_text_that_there_is_when_it_is_written():
    store = Store("old", "new")
    result, _ = write(store, edit(upper))
    assert store.text == result.text == "NEW"


@pytest.mark.parametrize("kind", ["edit", "remove", "rewrite"])
@pytest.mark.parametrize("meanwhile", [(None,), ("old", GONE)])
def test_an_edit_of_a_message_that_is_gone_is_told_so(kind, meanwhile):
    store = Store(*meanwhile)
    with pytest.raises(UnknownMessage):
        write(store, edit(upper, kind))
    assert store.written == []


@pytest.mark.parametrize("meanwhile", [(None,), ("old", GONE)])
def test_a_reconciling_of_a_message_that_is_gone_has_nothing_to_change(meanwhile):
    def change(text, registry):
        if text is None:
            return reconcile(text, registry, message_id="m", notation=SETTINGS.notation)
        return upper(text, registry)

    store = Store(*meanwhile)
    result, _ = write(store, edit(change, "reconcile"))
    assert (store.written, result.written, result.unwritten) == ([], False, Unwritten.UNCHANGED)


@pytest.mark.parametrize(
    "change", [lambda text, _: None, lambda text, _: Composed(text=text)], ids=["none", "same"]
)
def test_what_changes_nothing_is_not_written(change):
    store = Store("text")
    result, _ = write(store, edit(change))
    assert (store.written, result.text, result.written) == ([], "text", False)
    assert result.unwritten is Unwritten.UNCHANGED


@pytest.mark.parametrize(
    "settles", [{"placed": (PLACED,)}, {"removed": (PLACED.id,)}, {"claims": ()}], ids=str
)
def test_what_settles_something_is_written_though_the_text_stays(settles):
    store = Store("text")
    result, _ = write(store, edit(lambda text, _: Composed(text=text, **settles)))
    assert store.written == ["text"]
    assert result.written


@given(st.booleans(), st.booleans())
def test_a_draft_that_changes_nothing_is_written_if_it_always_is(even_if_unchanged, needs_stored):
    plain = edit(lambda text, _: None)
    draft = Draft(
        "m",
        lambda text, _: Composed(text="text"),
        plain.update,
        plain.result,
        needs_stored=needs_stored,
        even_if_unchanged=even_if_unchanged,
    )
    store = Store("text")
    result, _ = write(store, draft, version=1)
    # what is not composed on the stored text cannot tell that it is the same
    assert result.written == bool(store.written) == (even_if_unchanged or not needs_stored)


def test_a_change_is_given_the_registry_or_an_empty_one_if_the_store_has_none():
    registries = []

    def change(text, registry):
        registries.append(registry)

    write(Store("text"), edit(change))

    class Knowing(Store):
        add = prompt = pictures_of = prompts_of = Store.load

        def registry(self, message_id):
            return Registry().add(PROMPT)

    write(Knowing("text"), edit(change))
    assert registries == [Registry(), Registry().add(PROMPT)]


# conflicts


@pytest.mark.parametrize("lock", [False, True], ids=["others write", "others lock"])
@pytest.mark.parametrize("conflicts", range(CONFLICTS + 2))
@pytest.mark.parametrize("draft", [stream, request, lambda: edit(upper)])
def test_a_write_goes_back_so_often_and_no_more(draft, conflicts, lock):
    others = [LOCKED if lock else f"{n} {tag('a roof')}" for n in range(conflicts)]
    store = Store(f"old {tag('a roof')}", *others)
    draft = draft()
    if conflicts < CONFLICTS:
        result, logged = write(store, draft, version=1)
        assert result.written
        assert logged == ["write_conflicted"] * conflicts
        assert len(store.written) == 1
        return
    with pytest.raises(VersionConflict, match=f"changed {CONFLICTS} times"):
        write(store, draft, version=1)
    assert store.written == []


@pytest.mark.parametrize("draft", [stream, request, lambda: edit(upper)])
@pytest.mark.parametrize("tries", range(3))
def test_what_is_given_up_is_not_written_from_then_on(draft, tries):
    asked = []

    def given_up():
        asked.append(None)
        return len(asked) > tries

    store = Store(f"old {tag('a roof')}", *[f"{n} {tag('a roof')}" for n in range(tries)])
    with pytest.raises(StoreFailed, match="given up"):
        write(store, draft(), version=1, given_up=given_up)
    assert store.written == []
    assert len(asked) == tries + 1


@pytest.mark.parametrize("none", [None, True, 1.5, (1,)])
def test_a_store_that_gives_no_version_has_failed_but_may_have_written(none):
    with pytest.raises(StoreFailed, match="may be written"):
        write(Store("text", version=none), edit(upper))


@pytest.mark.parametrize("version", ["", "etag", 0, -1])
def test_a_version_is_a_number_or_a_text(version):
    assert write(Store("text", version=version), edit(upper))[0].version == version
