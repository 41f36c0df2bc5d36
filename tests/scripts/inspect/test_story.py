"""The story of a message or a task: a line a step, with what it waited for."""

import random

import pytest

from limner.scripts.inspect.story import Story, closest


def numbered(*events):
    return [
        {"seq": seq, "t": t, "event": name, **fields}
        for seq, (t, name, fields) in enumerate(events, 1)
    ]


def of(task=None, message="m", **more):
    return {"session_id": f"s-{message}", "message_id": message, "task_id": task, **more}


def slot(name, number=0, **more):
    return {"lane": "image", "request_id": f"{name}-{number}", "weight": 1, "priority": 3, **more}


LOG = numbered(
    (0, "studio_opened", {}),
    (0, "lane_opened", {"lane": "image", "max_concurrent": 1}),
    (0.5, "slot_requested", of("x", "other", **slot("x"))),
    (0.5, "slot_granted", of("x", "other", **slot("x", slot_id="image-1"))),
    (0.6, "slot_requested", of("y", "other", **slot("y"))),
    (0.7, "slot_requested", of("z", "other", **slot("z", priority=7))),
    (1.0, "session_opened", of(owner="alice")),
    (1.0, "prompt_detected", of("t1", prompt="a \x1b[31mred\x1b[0m door")),
    (1.0, "prompt_detected", of("t2", prompt="a gull")),
    (1.25, "slot_requested", of("t1", **slot("t1", 1))),
    (1.5, "slot_released", of("x", "other", **slot("x", slot_id="image-1"))),
    (1.5, "request_withdrawn", of("y", "other", **slot("y"))),
    (2.05, "slot_granted", of("t1", **slot("t1", 1, slot_id="image-2"))),
    (2.05, "generation_started", of("t1", slot_id="image-2", attempt=1)),
    (3.0, "session_sealed", of(tasks=["t1", "t2"], reason="complete")),
    (3.05, "generation_failed", of("t1", reason="busy", final=False)),
    (3.05, "generation_retried", of("t1", delay=0.5)),
    (3.1, "task_settled", of("t2", state="failed", reason="no \x9b2Jcolour")),
    (4.0, "task_settled", of("t1", state="completed")),
    (4.5, "text_written", of(placed=[], unplaced={"t1": "its prompt is gone"})),
    (4.5, "session_ended", of(outcome="written")),
    (4.6, "quite_new", of("t1", reason="because")),
)


def test_a_message_has_a_line_a_step_with_what_it_waited_for():
    story = Story(message="m")
    lines = list(story.lines(LOG))
    assert story.found
    assert len(lines) == len([event for event in LOG if event.get("message_id") == "m"])
    for part in (
        "+0.000 s  the session opens for alice: s-m",
        "+0.000 s  prompt found: a red door",
        "+0.250 s  asks for a slot of lane image: behind 1 other, 1 of 1 out  [t1 a red door]",
        "+1.050 s  gets slot image-2: waited 800 ms for lane image behind 1 other",
        "the generation starts on slot image-2",
        "the text is sealed with 2 pictures, 2 of them not settled yet",
        "the generation fails after 1.00 s: busy",
        "backs off: will be tried again after 500 ms",
        "settled as failed: no colour; the write waits for 1 more  [t2 a gull]",
        "the text is written 1.50 s after the seal, last waited for task t1 a red door",
        "the session ends as written, 3.50 s after it opened",
        "quite new: because",
    ):
        assert any(part in line for line in lines), (part, lines)
    assert not any("\x1b" in line or "\x9b" in line or "other:" in line for line in lines)


def test_a_task_has_its_own_steps_and_what_its_session_said_of_all():
    lines = list(Story(task="t1").lines(LOG))
    assert not any("gull" in line or "opens" in line for line in lines)
    for part in ("prompt found", "is sealed", "this picture not placed: its prompt is gone"):
        assert any(part in line for line in lines), part
    assert "the session ends as written, 3.50 s after it opened" in lines[-2]


INNER = slot("t1", 1, lane="host:a")
OFFER = slot("t1", "1~1")
CHAIN = numbered(
    (0, "studio_opened", {}),
    (0, "lane_opened", {"lane": "image", "max_concurrent": 2}),
    (0, "lane_opened", {"lane": "host:a", "max_concurrent": None, "behind": "image"}),
    (1.0, "lane_paused", {"lane": "image", "seconds": 3}),
    (2.0, "session_opened", of()),
    (2.0, "slot_requested", of("t1", **INNER)),
    (2.0, "slot_requested", of("t1", **OFFER)),
    (3.0, "request_withdrawn", of("t1", **OFFER)),
    (3.5, "slot_requested", of("t1", **{**OFFER, "request_id": "t1-1~2"})),
    (5.0, "slot_granted", of("t1", **{**OFFER, "request_id": "t1-1~2"}, slot_id="image-4")),
    (5.0, "slot_granted", of("t1", **INNER, slot_id="host:a-9")),
    (6.0, "slot_asked_back", of("t1", **INNER, slot_id="host:a-9", wanted="t8-1")),
    (7.0, "slot_revoked", of("t1", **INNER, slot_id="host:a-9")),
    (7.0, "slot_released", of("t1", **{**OFFER, "request_id": "t1-1~2"}, slot_id="image-4")),
    (8.0, "slot_requested", {"task_id": "batch-1", **slot("b", requests=["call-1", "call-2"])}),
    (8.5, "request_dropped", {"task_id": "batch-1", **slot("b"), "reason": "high water"}),
    (9.0, "slot_requested", {"task_id": "call-3", **slot("c")}),
)


def test_a_task_in_two_lanes_is_told_once_with_what_each_lane_did():
    assert list(Story(task="t1").lines(CHAIN)) == [
        "     +0.000 s  asks for a slot of lane host:a: 0 of no limit out",
        (
            "     +0.000 s  lane host:a offers it to lane image, which it is behind:"
            " 0 of 2 out, and it is paused"
        ),
        "     +1.000 s  the offer to lane image is taken back after 1.00 s",
        (
            "     +1.500 s  lane host:a offers it to lane image, which it is behind:"
            " 0 of 2 out, and it is paused"
        ),
        (
            "     +3.000 s  lane image grants it too, slot image-4: waited 1.50 s for lane image,"
            " which granted nothing for 500 ms of that"
        ),
        "     +3.000 s  gets slot host:a-9: waited 3.00 s for lane host:a",
        "     +4.000 s  slot host:a-9 is asked back for request t8-1",
        "     +5.000 s  slot host:a-9 is given back, as was asked",
        "     +5.000 s  slot image-4 of lane image, which belongs to it, is given back",
    ]


def test_a_call_of_a_host_is_told_by_its_own_name_or_in_its_batch():
    told = list(Story(task="call-2").lines(CHAIN))
    assert (
        told
        == list(Story(task="batch-1").lines(CHAIN))
        == [
            "     +0.000 s  a batch of 2 asks for a slot of lane image: 0 of 2 out",
            "     +0.500 s  the request is dropped after 500 ms: high water",
        ]
    )
    assert len(list(Story(task="call-3").lines(CHAIN))) == 1
    assert closest(CHAIN, "call-4", field="task_id") == ["call-3"]


def test_memory_of_a_story_is_bounded_by_what_is_open_however_many_lanes_come_and_go():
    story = Story(task="t")
    for number in range(1_000):
        lane = slot("r", lane=f"host:{number}", slot_id="s", requests=["t"])
        names = ("lane_opened", "slot_requested", "slot_granted", "slot_released", "lane_dropped")
        assert len(list(story.lines(numbered(*((0, name, lane) for name in names))))) == 3
    limits = story._limits
    assert not any((limits.lanes, limits.waiting, limits.out, story._batches))


def test_each_run_of_a_message_is_told():
    lines = list(Story(message="m").lines([*LOG, *LOG]))
    assert lines.count("run 2") == 1
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 + 1 :]


def test_of_an_unknown_id_the_closest_are_named():
    events = numbered(*((0, "session_opened", of(message=f"msg-{n}")) for n in range(100)))
    story = Story(message="msg-1234")
    assert not list(story.lines(events))
    assert not story.found
    assert closest(events, "msg-420", field="message_id")[0] in {"msg-42", "msg-40", "msg-20"}
    assert closest(events, "nothing like it", field="message_id") == []
    assert len(closest(events, "msg", field="message_id")) == 3
    assert closest(LOG, "t", field="task_id") == ["t2", "t1"]


@pytest.mark.parametrize("seed", range(20))
def test_fields_of_any_type_are_told_without_a_traceback(seed):
    rng = random.Random(seed)
    for wanted in ({"message": "m"}, {"task": "t1"}):
        events = [dict(event) for event in LOG]
        for event in rng.sample(events, 15):
            field = rng.choice(
                [name for name in event if name not in {"seq", "t", "event"}] or [""]
            )
            event[field] = rng.choice([None, 7, [], {}, [[]], True, -1, 2**70, 1e300, "\x1b[2J"])
        for line in Story(**wanted).lines(events):
            assert line.isprintable()
