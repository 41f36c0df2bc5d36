"""Whose an event is, and which events a subscriber gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.errors import SettingsInvalid, UnknownMessage
from limner.messages.events.catalogue import EVENTS
from limner.messages.events.filters import EVERYTHING, filter_of
from limner.messages.events.owners import Owners, SessionOwner


def opened(session, message, owner):
    return {
        "event": "session_opened",
        "session_id": session,
        "message_id": message,
        "owner": owner,
    }


def test_an_event_of_a_session_is_its_owners():
    owners = Owners()
    owners.learn(opened("s", "m", "alice"))
    assert owners.owner_of({"event": "text_written", "session_id": "s"}) == "alice"


def test_an_event_of_a_message_alone_is_its_last_sessions_owners():
    owners = Owners()
    for session, owner in (("s", "alice"), ("t", "bob")):
        owners.learn(opened(session, "m", owner))
    assert owners.owner_of({"event": "text_edited", "message_id": "m"}) == "bob"
    assert owners.owner_of({"event": "text_edited", "message_id": "n"}) is None


@pytest.mark.parametrize("event", ["slot_requested", "picture_wanted"])
def test_a_task_may_have_another_owner_than_its_session(event):
    owners = Owners()
    owners.learn(opened("s", "m", "alice"))
    of = {"session_id": "s", "message_id": "m", "task_id": "t"}
    owners.learn({"event": event, **of, "owner": "bob"})
    assert owners.owner_of({"event": "task_settled", **of}) == "bob"
    assert owners.owner_of({"event": "session_sealed", "session_id": "s"}) == "alice"


def test_a_session_that_is_known_is_not_overwritten_by_hearsay():
    owners = Owners()
    owners.learn(opened("s", "m", "alice"))
    owners.add([SessionOwner("s", "m", "bob"), SessionOwner("t", "n", "carol")])
    assert owners.owner_of({"event": "text_written", "session_id": "s"}) == "alice"
    assert owners.owner_of({"event": "text_written", "session_id": "t"}) == "carol"


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40), st.integers(1, 5))
def test_what_is_remembered_has_a_bound(pairs, limit):
    owners = Owners(limit)
    for session, owner in pairs:
        owners.learn(opened(f"s{session}", f"m{session}", f"o{owner}"))
    assert all(len(known) <= limit for known in owners._known.values())
    if pairs:
        session, owner = pairs[-1]
        record = {"event": "text_written", "session_id": f"s{session}"}
        assert owners.owner_of(record) == f"o{owner}"


NAMES = st.sampled_from(sorted(EVENTS.keys() - {"events_lost"}))


@given(st.frozensets(NAMES, min_size=1, max_size=3), NAMES, st.sampled_from("mn"))
def test_a_filter_passes_what_fits_all_its_parts(events, name, message):
    filtered = filter_of(events, "m", None)
    record = {"event": name, "message_id": message}
    assert filtered.passes(record, Owners()) is (name in events and message == "m")


def test_a_gap_passes_each_filter():
    gap = {"event": "events_lost", "first": 1, "last": 2}
    assert filter_of(["text_written"], "m", "alice").passes(gap, Owners())


def test_no_filter_passes_everything():
    assert filter_of(None, None, None) is EVERYTHING


def test_one_name_is_a_filter_too():
    assert filter_of("text_written", None, None).events == {"text_written"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["text_writen"], "did you mean 'text_written'"),
        ("generation_done", "did you mean 'generation_"),
        (["Slot_Granted"], "did you mean 'slot_granted'"),
        (["…" * 10_000], "prints all"),
        ([3], "prints all"),
        ([], "at least"),
    ],
)
def test_an_unknown_event_is_refused_with_the_nearest(given, said):
    with pytest.raises(SettingsInvalid, match=said) as error:
        filter_of(given, None, None)
    assert len(str(error.value)) < 300


def test_a_message_or_an_owner_that_cannot_be_is_refused():
    with pytest.raises(UnknownMessage):
        filter_of(None, "", None)
    with pytest.raises(SettingsInvalid):
        filter_of(None, None, "x" * 201)
