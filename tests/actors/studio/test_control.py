"""Sessions and tasks as a host sees them, waits for them, cancels and prioritises them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from limner.actors.session.processor import ProcessorActor
from limner.messages import SessionStatus, TaskState
from limner.messages.errors import (
    AlreadyWritten,
    MessageBusy,
    SessionCancelled,
    SessionFailed,
    SettingsInvalid,
    StudioClosed,
    UnknownMessage,
)

ONE = '<!--img-prompt="one"-->'
TWO = f'{ONE} <!--img-prompt="two"-->'


def states(one, message_id=None):
    return [
        session.state
        for session in one.studio.sessions()
        if message_id in (None, session.message_id)
    ]


def test_sessions_tell_kind_state_owner_priority_and_counts(open_simulated):
    one = open_simulated(seconds=60, slots=1)
    stream = one.studio.stream("m", owner="ann", priority="background")
    stream.feed(TWO)
    one.until("generation_started")
    (session,) = one.studio.sessions()
    assert session == SessionStatus(
        session_id=stream.session_id,
        message_id="m",
        kind="stream",
        state="streaming",
        owner="ann",
        priority=7,
        characters=len(TWO),
        queued=1,
        generating=1,
    )
    assert one.studio.sessions(owner="bob") == ()
    assert one.studio.sessions(owner="ann") == (session,)
    stream.finish()
    one.studio.illustrate("m", "again")
    assert states(one) == ["settling", "waiting"]
    stream.future.get()


def test_a_regeneration_gathers_and_then_settles(open_simulated):
    one = open_simulated(seconds=60, settle_after=5)
    (placement,) = one.studio.illustrate("m", ONE).get().pictures
    again = one.studio.regenerate("m", placement, owner="bob")
    one.until("picture_wanted")
    (session,) = one.studio.sessions()
    assert (session.kind, session.state, session.owner) == ("regeneration", "gathering", "bob")
    one.studio.apply("m")
    one.until("session_sealed", times=2)
    assert states(one) in (["settling"], ["writing"])
    again.get()
    assert states(one) in ([], ["writing"])


def test_a_task_is_known_with_its_states_while_it_lives_and_after(open_simulated):
    one = open_simulated(seconds=30)
    stream = one.studio.stream("m", owner="ann")
    stream.feed(ONE)
    one.until("generation_started")
    (task,) = one.studio.tasks("m")
    assert one.studio.tasks(owner="bob") == one.studio.tasks("other") == ()
    assert task.state is TaskState.GENERATING
    assert one.studio.task(task.task_id) == task
    stream.finish().get()
    one.let_pass(30)
    assert one.studio.tasks() == ()
    settled = one.studio.task(task.task_id)
    assert settled.picture.media_type == "image/png"
    entered = [(entry.state.value, entry.at) for entry in settled.history]
    assert [state for state, _ in entered] == ["detected", "queued", "generating", "completed"]
    assert entered == sorted(entered, key=lambda entry: entry[1])
    assert 29 < entered[3][1] - entered[2][1] < 33
    assert one.studio.task("f" * 20) is None


@pytest.mark.parametrize("bad", ["", "x" * 20, None, 5, "../../etc", "F" * 20])
def test_what_is_no_task_id_is_refused_in_one_line(open_studio, bad):
    one = open_studio()
    for call in (one.studio.task, one.studio.cancel_task):
        with pytest.raises(SettingsInvalid, match="a task's id is 20 hexadecimal digits") as raised:
            call(bad)
        assert "\n" not in str(raised.value)


def test_who_waits_gets_what_the_session_gives(open_simulated):
    one = open_simulated(seconds=10)
    assert one.studio.wait("m").get() is None
    stream = one.studio.stream("m")
    stream.feed(ONE)
    waiting = [one.studio.wait("m") for _ in range(2)]
    result = stream.finish().get()
    assert [future.get() for future in waiting] == [result, result]
    one.let_pass(10)
    assert one.studio.wait("m").get() is None


def test_cancelling_ends_a_message_in_each_state(open_simulated):
    one = open_simulated(seconds=60, settle_after=5)
    (placement,) = one.studio.illustrate("g", ONE).get().pictures
    one.studio.stream("streamed").feed(ONE)
    futures = [
        one.studio.stream("streamed").future,
        one.studio.illustrate("sealed", ONE),
        one.studio.regenerate("g", placement),
    ]
    one.let_pass(one.draw(4))
    answers = [one.studio.cancel(name) for name in ("streamed", "sealed", "g")]
    assert [answer.get() for answer in answers] == [True, True, True]
    for future in futures:
        with pytest.raises(SessionCancelled):
            future.get()
    assert one.store.load("streamed") is one.store.load("sealed") is None
    assert len(one.events("text_written")) == 1
    one.let_pass(10)
    assert one.studio.cancel("streamed").get() is False
    assert one.studio.cancel("never was").get() is False


def test_cancelling_takes_those_that_wait_behind_too(open_simulated):
    one = open_simulated(seconds=60)
    futures = [one.studio.illustrate("m", f"{n} {ONE}") for n in range(3)]
    other = one.studio.illustrate("other", ONE)
    one.let_pass(one.draw(2))
    assert one.studio.cancel("m").get() is True
    for future in futures:
        with pytest.raises(SessionCancelled):
            future.get()
    assert other.get().written


def test_a_write_that_is_under_way_stands(open_simulated):
    one = open_simulated(latency=lambda lane, tag: 5_000_000 if lane.startswith("store") else 1)
    future = one.studio.illustrate("m", "No picture.")
    while states(one, "m") != ["writing"]:
        one.let_pass(0.1)
    answer = one.studio.cancel("m")
    with pytest.raises(AlreadyWritten):
        answer.get()
    assert future.get().written


def test_cancelling_twice_and_from_many_threads_is_no_error(open_studio):
    one = open_studio(generator=lambda task, cancelled: cancelled.wait(30), lost_threads=0)
    streams = [one.studio.stream(f"m{number}", owner="ann") for number in range(8)]
    for stream in streams:
        stream.feed(ONE)
    with ThreadPoolExecutor(8) as pool:
        futures = pool.map(one.studio.cancel, [f"m{number % 8}" for number in range(32)])
        answers = [future.get(timeout=60) for future in futures]
    assert set(answers) <= {True, False}
    for stream in streams:
        with pytest.raises(SessionCancelled):
            stream.future.get(timeout=60)


def test_one_picture_is_cancelled_and_the_others_are_written(open_simulated):
    one = open_simulated(seconds=60, slots=1)
    future = one.studio.illustrate("m", TWO)
    one.until("generation_started")
    two = next(task for task in one.studio.tasks("m") if task.prompt == "two")
    assert one.studio.cancel_task(two.task_id).get() is True
    assert one.studio.cancel_task(two.task_id).get() is False
    assert one.studio.cancel_task("0" * 20).get() is False
    result = future.get()
    assert one.prompts_of(result.pictures) == ["one"]
    (failure,) = result.failures
    assert (failure.prompt, failure.state) == ("two", "cancelled")
    assert failure.reason == "it was cancelled by a call"


def test_all_of_an_owner_are_cancelled_and_nobody_elses(open_simulated):
    one = open_simulated(seconds=60, settle_after=5)
    (placement,) = one.studio.illustrate("g", ONE).get().pictures
    anns = [
        one.studio.illustrate("a", ONE, owner="ann"),
        one.studio.illustrate("b", ONE, owner="ann"),
        one.studio.regenerate("g", placement, owner="ann"),
    ]
    bobs = [
        one.studio.illustrate("b", f"then {ONE}", owner="bob"),
        one.studio.regenerate("g", placement, owner="bob"),
    ]
    one.let_pass(one.draw(4))
    assert one.studio.cancel_all(owner="ann").get() == 3
    for future in anns:
        with pytest.raises(SessionCancelled):
            future.get()
    assert [future.get().written for future in bobs] == [True, True]
    assert one.studio.cancel_all(owner="ann").get() == 0
    asked, answered = one.events("cancel_all_requested"), one.events("cancel_all_done")
    assert [(call["owner"], call["cancellation"]) for call in asked] == [("ann", 1), ("ann", 2)]
    assert [(call["cancellation"], call["cancelled"]) for call in answered] == [(1, 3), (2, 0)]
    ends = [event["seq"] for event in one.events("session_ended") if event["message_id"] == "a"]
    assert asked[0]["seq"] < ends[0] < answered[0]["seq"]
    assert one.studio.cancel_all(conversation="a talk").get() == 0


def test_everything_can_be_cancelled_while_the_studio_closes(open_studio):
    one = open_studio(generator=lambda task, cancelled: cancelled.wait(30))
    stream = one.studio.stream("m")
    stream.feed(ONE)
    future = stream.finish()
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(one.studio.close)
        while not one.studio._client.closing:
            pass
        assert one.studio.cancel_all().get(timeout=60) in (0, 1)
        closing.result(timeout=20)
    with pytest.raises((SessionCancelled, StudioClosed)):
        future.get(timeout=1)


def test_a_closed_studio_refuses_each_call_in_one_line(open_studio):
    studio = open_studio().studio
    studio.close()
    calls = (
        studio.sessions,
        studio.tasks,
        lambda: studio.task("0" * 20),
        lambda: studio.wait("m"),
        lambda: studio.cancel("m"),
        lambda: studio.cancel_task("0" * 20),
        studio.cancel_all,
        lambda: studio.prioritise("m", 3),
    )
    for call in calls:
        with pytest.raises(StudioClosed, match="the studio is closed"):
            call()


@pytest.mark.parametrize("bad", ["", "x" * 201, None, 7, "a\nb"])
def test_a_bad_message_id_is_refused_at_each_call(open_studio, bad):
    studio = open_studio().studio
    for call in (studio.wait, studio.cancel, lambda name: studio.prioritise(name, 3)):
        with pytest.raises(UnknownMessage):
            call(bad)
    for priority in (-1, 10, "soon", None, True):
        with pytest.raises(SettingsInvalid):
            studio.prioritise("m", priority)


def test_a_message_that_is_prioritised_goes_before_what_came_earlier(open_simulated):
    one = open_simulated(seconds=20, slots=1)
    one.studio.illustrate("first", ONE)
    one.until("generation_started")
    later = [
        one.studio.illustrate(name, ONE.replace("one", name), priority="background")
        for name in "abc"
    ]
    one.until("slot_requested", times=4)
    one.studio.prioritise("c", "active")
    one.until("request_prioritised")
    (session,) = (session for session in one.studio.sessions() if session.message_id == "c")
    assert session.priority == 3
    assert [task.priority for task in one.studio.tasks("c")] == [3]
    for future in later:
        future.get()
    started = [event["message_id"] for event in one.events("generation_started")]
    assert started[1] == "c"


def test_prompts_that_come_later_have_the_new_priority(open_simulated):
    one = open_simulated(seconds=20)
    stream = one.studio.stream("m", priority="background")
    one.until("session_opened")
    one.studio.prioritise("m", 1)
    one.let_pass(one.draw(0.01))
    stream.feed(TWO)  # which may be found before the session hears of its priority
    one.until("slot_requested", times=2)
    one.let_pass(1)
    assert [task.priority for task in one.studio.tasks("m")] == [1, 1]
    stream.finish().get()
    one.studio.prioritise("m", 2)
    one.studio.prioritise("unknown", 2)


def test_a_session_that_waits_begins_with_its_new_priority(open_simulated):
    one = open_simulated(seconds=20)
    one.studio.illustrate("m", ONE)
    later = one.studio.illustrate("m", ONE.replace("one", "two"), priority=9)
    one.studio.prioritise("m", 0)
    later.get()
    opened = one.events("session_opened")
    assert opened[1]["priority"] == 0


def test_the_handle_of_another_caller_cancels_nothing(open_simulated):
    one = open_simulated(seconds=20)
    first = one.studio.stream("m", owner="ann")
    second = one.studio.stream("m")
    assert second.session_id == first.session_id
    first.feed("a ")
    second.feed(ONE)
    assert second.characters == first.characters
    with pytest.raises(MessageBusy, match=r"studio\.cancel"):
        second.cancel()
    assert not first.ended
    result = second.finish().get()
    assert first.ended
    assert result.text.startswith("a ")


def test_a_handle_whose_session_has_ended_cancels_no_later_one(open_simulated):
    one = open_simulated(seconds=5)
    old = one.studio.stream("m")
    old.finish("one").get()
    one.let_pass(10)
    new = one.studio.stream("m")
    new.feed(ONE)
    with pytest.raises(AlreadyWritten):
        old.cancel().get()
    assert new.finish().get().written


def test_a_stream_opened_again_for_another_owner_is_refused(open_simulated):
    one = open_simulated()
    stream = one.studio.stream("m", owner="ann")
    with pytest.raises(MessageBusy, match="another owner"):
        one.studio.stream("m", owner="bob")
    assert one.studio.stream("m").session_id == stream.session_id
    assert one.studio.stream("m", owner="ann").session_id == stream.session_id
    stream.finish("x").get()


def test_a_stream_opened_again_with_another_priority_is_moved(open_simulated):
    one = open_simulated(seconds=20)
    stream = one.studio.stream("m", priority="background")
    one.studio.stream("m")
    one.let_pass(1)
    assert one.studio.sessions()[0].priority == 7
    one.studio.stream("m", priority="active")
    one.let_pass(1)
    assert one.studio.sessions()[0].priority == 3
    stream.finish("x").get()


def test_what_is_refused_at_a_call_is_an_event(open_simulated):
    one = open_simulated()
    one.studio.stream("m")
    with pytest.raises(MessageBusy):
        one.studio.illustrate("m", "x")
    with pytest.raises(SettingsInvalid):
        one.studio.stream("n", owner="y" * 100_000)
    with pytest.raises(UnknownMessage):
        one.studio.cancel("z" * 100_000)
    with pytest.raises(TypeError):
        one.studio.illustrate("m", 5)
    refused = one.events("call_refused")
    assert [event["call"] for event in refused] == ["illustrate", "stream", "cancel", "illustrate"]
    assert [event["error"] for event in refused][:3] == [
        "MessageBusy",
        "SettingsInvalid",
        "UnknownMessage",
    ]
    assert [event.get("message_id") for event in refused] == ["m", "n", None, "m"]
    assert all(0 < len(event["reason"]) <= 500 for event in refused)
    one.studio.cancel("m").get()


def test_a_processor_that_fails_as_it_cancels_a_picture_fails_its_session(
    open_simulated, works_after, monkeypatch
):
    """Its failure would else be the question's alone, and its writer would wait for ever."""
    one = open_simulated(seconds=60)
    stream = one.studio.stream("m")
    stream.feed('<!--img-prompt="a"-->')
    one.until("generation_started")
    (task,) = one.studio.tasks("m")

    def fail(*_, **__):
        raise RuntimeError("in the middle of it")

    with monkeypatch.context() as patch:
        patch.setattr(ProcessorActor, "tell_settled", fail)
        assert one.studio.cancel_task(task.task_id).get()
        with pytest.raises(SessionFailed, match="in the middle of it"):
            stream.finish().get()
    works_after(one)


def test_an_actor_that_fails_as_it_answers_raises_nothing_in_its_host(
    open_simulated, works_after, monkeypatch
):
    one = open_simulated(seconds=60)
    stream = one.studio.stream("m")
    stream.feed('<!--img-prompt="a"-->')
    one.until("generation_started")
    (task,) = one.studio.tasks("m")

    def fail(*_):
        raise RuntimeError("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(ProcessorActor, "cancel_one", fail)
        assert not one.studio.cancel_task(task.task_id).get()
    assert stream.finish().get().pictures
    works_after(one)
