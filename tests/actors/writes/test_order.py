"""What is asked of one message is done in the order in which it was asked; in drawn orders."""

import pykka
import pytest

from limner.messages.errors import SessionCancelled
from limner.messages.session.lifecycle import SessionEnded
from limner.messages.text.marks import marked

TEXT = 'It rained. <!--img-prompt="a roof"--> It stopped.'
OTHER = 'It snowed. <!--img-prompt="a tree"--> It stopped.'


@pytest.fixture
def one(open_simulated):
    return open_simulated()


def stored(one):
    return one.store.load("m")[0]


def cut(text):
    return text.removesuffix(" It stopped.")


def test_a_change_is_made_after_the_stream_that_was_asked_for_before_it(one):
    one.studio.hold("m")
    first, second = one.studio.illustrate("m", TEXT), one.studio.illustrate("m", OTHER)
    edited = one.studio.edit("m", cut)
    assert one.studio.pending("m").waiting == ("session", "session", "edit")
    one.studio.release("m")
    pykka.get_all([first, second])
    assert edited.get().text == stored(one) == cut(second.get().text)


def test_a_change_is_made_after_a_stream_that_overtakes_regenerations(one):
    (roof,) = one.studio.illustrate("m", TEXT).get().pictures
    wish = one.studio.regenerate("m", roof)
    streamed, edited = one.studio.illustrate("m", OTHER), one.studio.edit("m", cut)
    later = one.studio.illustrate("m", TEXT)
    again = one.studio.edit("m", str.upper)
    with pytest.raises(SessionCancelled):
        wish.get()
    assert edited.get().text == cut(streamed.get().text)
    assert again.get().text == stored(one) == later.get().text.upper()


def test_a_change_does_not_wait_for_a_stream_that_is_cancelled_before_it_begins(one):
    one.studio.hold("m")
    first = one.studio.illustrate("m", TEXT)
    second = one.studio.stream("m")
    edited = one.studio.edit("m", cut)
    second.cancel()
    one.let_pass(60)
    assert one.studio.pending("m").waiting == ("session", "edit")
    one.studio.release("m")
    assert edited.get().text == stored(one) == cut(first.get().text)


def test_what_waits_for_a_stream_is_cleared_too(one):
    first, second = one.studio.illustrate("m", TEXT), one.studio.illustrate("m", OTHER)
    edited = one.studio.edit("m", cut)
    assert one.studio.clear("m") == 1
    with pytest.raises(SessionCancelled, match="the edit of message 'm' was cleared"):
        edited.get()
    pykka.get_all([first, second])
    assert stored(one) == second.get().text
    assert len(one.events("edit_cleared")) == 1


def test_closing_does_what_waits_for_a_stream(one):
    one.studio.illustrate("m", TEXT)
    second = one.studio.illustrate("m", OTHER)
    edited = one.studio.edit("m", cut)
    one.studio.close()
    assert edited.get().text == stored(one) == cut(second.get().text)


@pytest.mark.parametrize("changes", [1, 5])
def test_wishes_are_for_the_text_as_the_changes_before_them_leave_it(one, changes):
    one.studio.illustrate("m", TEXT).get()
    for _ in range(changes):
        one.studio.edit("m", lambda text: text + OTHER)
    again = one.studio.illustrate_again("m", only_missing=True)
    assert len(again.get().pictures) == changes
    assert len(marked(stored(one))) == changes + 1


def test_pictures_go_on_being_made_while_a_change_is_held(one):
    (roof,) = one.studio.illustrate("m", TEXT).get().pictures
    one.studio.hold("m")
    edited = one.studio.edit("m", cut)
    wish = one.studio.regenerate("m", roof)
    one.let_pass(60)
    assert len(one.events("generation_completed")) == 2
    assert not wish.done
    one.studio.release("m")
    (new,) = wish.get().pictures
    assert wish.get().text == stored(one) == edited.get().text.replace(roof.id, new.id)


def test_a_hold_lets_those_read_who_waited_for_a_change(one):
    (roof,) = one.studio.illustrate("m", TEXT).get().pictures
    edits = [one.studio.edit("m", lambda text: text + ".") for _ in range(8)]
    wish = one.studio.regenerate("m", roof)
    one.studio.hold("m")
    one.let_pass(60)
    assert len(one.events("generation_completed")) == 2
    one.studio.release("m")
    pykka.get_all([*edits, wish])


def test_what_is_cleared_while_it_is_held_is_not_written_after_all(one):
    (roof,) = one.studio.illustrate("m", TEXT).get().pictures
    for wishes in range(10):
        one.studio.hold("m")
        wish = one.studio.regenerate("m", roof)
        if wishes % 2:
            one.let_pass(one.draw(5))
        else:
            sealed = len(one.events("session_sealed"))
            one.until("session_sealed", times=sealed + 1)  # and its writer is about to ask
        assert one.studio.clear("m") == 1
        one.studio.release("m")
        with pytest.raises(SessionCancelled, match="the regenerations of message 'm' .* cleared"):
            wish.get()
        assert marked(stored(one)) == {roof.id}
    assert one.studio.regenerate("m", roof).get().written


def test_the_end_of_a_session_that_is_not_there_changes_nothing(one):
    ended = SessionEnded(session_id="none", message_id="m", outcome="written")
    one.studio._client.sequencer.tell(ended)
    streamed = one.studio.illustrate("m", TEXT)
    one.studio._client.sequencer.tell(ended)
    assert streamed.get().text == stored(one)
