"""What a subscriber gets: of some events, of one message, of one owner."""

import pytest

from limner.messages.errors import SettingsInvalid, StudioClosed

TEXT = 'It was late. <!--img-prompt="a lamp"-->'


def test_a_subscriber_gets_the_events_that_it_names(open_simulated, story):
    one = open_simulated(seconds=1)
    heard = []
    one.studio.subscribe(heard.append, events=["generation_completed", "text_written"])
    one.studio.illustrate("m", story).get()
    one.let_pass(1)
    assert [event["event"] for event in heard] == ["generation_completed"] * 3 + ["text_written"]


def test_a_subscriber_of_a_message_gets_its_events_alone(open_simulated, story):
    one = open_simulated(seconds=1)
    heard = []
    one.studio.subscribe(heard.append, message_id="m")
    futures = [one.studio.illustrate(name, story) for name in ("m", "n")]
    for future in futures:
        future.get()
    one.let_pass(1)
    assert heard == [event for event in one.events() if event.get("message_id") == "m"]
    assert {"slot_granted", "text_written"} <= {event["event"] for event in heard}


def test_a_subscriber_of_an_owner_gets_what_carries_no_owner_too(open_simulated, story):
    one = open_simulated(seconds=1)
    heard = []
    one.studio.subscribe(heard.append, owner="alice")
    futures = [one.studio.illustrate(owner, story, owner=owner) for owner in ("alice", "bob")]
    for future in futures:
        future.get()
    one.studio.edit("alice", str.upper).get()
    one.studio.edit("bob", str.upper).get()
    one.let_pass(1)
    assert heard == [event for event in one.events() if event.get("message_id") == "alice"]
    assert "text_edited" in {event["event"] for event in heard}


def test_an_owners_session_is_known_though_it_opened_before(open_simulated, story):
    one = open_simulated(seconds=5, events=None, heard=False)
    streams = [one.studio.stream(owner, owner=owner) for owner in ("alice", "bob")]
    for stream in streams:
        stream.feed(story)
    one.let_pass(1)
    heard = []
    one.studio.subscribe(heard.append, owner="alice")
    for stream in streams:
        stream.finish().get()
    one.let_pass(1)
    assert {event.get("message_id") for event in heard} == {"alice"}
    assert "text_written" in {event["event"] for event in heard}


def test_a_regeneration_in_anothers_session_is_its_own_owners(open_simulated):
    one = open_simulated(seconds=1, settle_after=2)
    (placement,) = one.studio.illustrate("m", TEXT, owner="alice").get().pictures
    heard = []
    one.studio.subscribe(heard.append, owner="bob")
    first = one.studio.regenerate("m", placement, owner="alice")
    one.let_pass(0.5)
    one.studio.regenerate("m", placement, owner="bob")
    first.get()
    one.let_pass(1)
    names = [event["event"] for event in heard]
    assert names[0] == "picture_wanted"
    assert "task_settled" in names
    assert {event["task_id"] for event in heard} == {heard[0]["task_id"]}


def test_an_owner_hears_of_its_own_calls(open_simulated):
    one = open_simulated()
    heard = []
    one.studio.subscribe(heard.append, owner="alice")
    calls = [one.studio.limiter.schedule(lambda: 1, owner=owner) for owner in ("alice", "bob")]
    for call in calls:
        call.get()
    one.let_pass(1)
    assert {"slot_requested", "slot_granted", "slot_released"} == {
        event["event"] for event in heard
    }
    assert len({event["task_id"] for event in heard}) == 1


def test_a_subscription_with_an_unknown_event_is_refused(open_simulated):
    one = open_simulated()
    with pytest.raises(SettingsInvalid, match="text_written"):
        one.studio.subscribe(print, events=["text_writen"])


def test_a_closed_studio_takes_no_subscriber(open_simulated):
    one = open_simulated()
    one.studio.close()
    for owner in (None, "alice"):
        with pytest.raises(StudioClosed):
            one.studio.subscribe(print, owner=owner)
