"""The summary: the numbers that a person asks for first, in bounded memory."""

import io
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from limner.scripts.inspect.measures import KINDS, LaneUse, Times, span
from limner.scripts.inspect.summary import Summary


def summed(*events):
    summary = Summary()
    for seq, (t, name, fields) in enumerate(events, 1):
        summary.feed({"seq": seq, "t": t, "event": name, **fields})
    return summary


def shown(summary):
    console = Console(file=io.StringIO(), width=120, markup=False, emoji=False, highlight=False)
    console.print(summary.render())
    return console.file.getvalue()


def picture(task="t", **more):
    return {"session_id": "s", "message_id": "m", "task_id": task, **more}


def slot(**more):
    return {"lane": "image", "request_id": "r", "weight": 1, **more}


OPENED = (0, "studio_opened", {"at": "2026-01-01T10:00:00+00:00"})
LANE = (0, "lane_opened", {"lane": "image", "max_concurrent": 4})
STORY = (
    OPENED,
    LANE,
    (1, "session_opened", picture()),
    (1, "prompt_detected", picture(prompt="a \x1b[31mred[/] door")),
    (2, "slot_requested", picture(**slot())),
    (4, "slot_granted", picture(**slot(slot_id="1"))),
    (4, "generation_started", picture(slot_id="1")),
    (5, "generation_failed", picture(final=False, reason="busy")),
    (5, "generation_retried", picture(delay=1)),
    (6, "generation_started", picture(slot_id="1")),
    (8, "generation_completed", picture()),
    (8, "slot_released", picture(**slot(slot_id="1"))),
    (8, "session_sealed", picture(tasks=["t"])),
    (8, "task_settled", picture(state="completed")),
    (9, "text_written", picture(placed=["t"], unplaced={})),
    (9, "session_ended", picture(outcome="written")),
    (10, "studio_closed", {}),
)


def test_the_values_of_a_small_log_are_these():
    found = summed(*STORY).values()
    for name, seconds in (("waiting", 2), ("generation", 2), ("writing", 1)):
        assert found[name]["number"] == 1
        assert found[name]["max"] == seconds
        assert found[name]["p50"] == pytest.approx(seconds, rel=0.01)
    assert found["sessions"] == {"written": 1}
    assert found["tasks"] == {"completed": 1}
    assert found["retries"] == 1
    assert not any(found["open"].values())
    assert found["seconds"] == 10
    used = {"mean": 0.4, "peak": 1, "limit": 4, "share": 0.1, "halted": 0}
    assert found["lanes"] == {"image": used}


def test_the_summary_says_what_a_person_asks_for_and_nothing_that_moves_a_terminal():
    text = shown(summed(*STORY))
    assert "\x1b" not in text
    for part in (
        "17 events of 1 run",
        "1 written",
        "1 completed",
        "a red[/] door",
        "10%",
        "2.00 s",
    ):
        assert part in text


def chained():
    """Return the events of a picture whose lane stands behind another, and of a host's batch."""
    own = {"lane": "host:a", "request_id": "t-1", "weight": 1}
    first, second = ({**own, "lane": "image", "request_id": f"t-1~{n}"} for n in (1, 2))
    batch = {"lane": "host:a", "request_id": "batch-1", "task_id": "batch-1", "weight": 1}
    return (
        OPENED,
        LANE,
        (0, "lane_opened", {"lane": "host:a", "max_concurrent": None, "behind": "image"}),
        (1, "slot_requested", picture(**own)),
        (1, "slot_requested", picture(**first)),
        (2, "request_withdrawn", picture(**first)),
        (3, "slot_requested", picture(**second)),
        (4, "slot_granted", picture(**second, slot_id="image-1")),
        (4, "slot_granted", picture(**own, slot_id="host:a-1")),
        (4, "generation_started", picture(slot_id="host:a-1")),
        (6, "slot_asked_back", picture(**second, slot_id="image-1", wanted="x")),
        (8, "generation_completed", picture()),
        (8, "slot_released", picture(**own, slot_id="host:a-1")),
        (8, "slot_revoked", picture(**second, slot_id="image-1")),
        (8, "slot_requested", {**batch, "requests": ["call-1", "call-2"]}),
        (8, "slot_granted", {**batch, "slot_id": "host:a-2", "requests": ["call-1", "call-2"]}),
        (9, "slot_released", {**batch, "slot_id": "host:a-2"}),
        (9, "slot_requested", {**batch, "request_id": "call-3"}),
        (9, "request_dropped", {**batch, "request_id": "call-3", "reason": "high \x1b[2Jwater"}),
        (9, "lane_dropped", {"lane": "host:a"}),
        (10, "lane_paused", {"lane": "image", "seconds": 5}),
        (12, "lane_resumed", {"lane": "image"}),
        (16, "studio_closed", {}),
    )


def test_what_stands_in_two_lanes_counts_once_and_for_the_use_of_both():
    summary = summed(*chained())
    found = summary.values()
    assert (found["waiting"]["number"], found["waiting"]["max"]) == (2, 3)
    assert (found["generation"]["number"], found["generation"]["max"]) == (1, 4)
    counted = {name: summary.counts[f"slot_{name}"] for name in ("requested", "granted", "revoked")}
    assert counted == {"requested": 3, "granted": 2, "revoked": 1}
    assert summary.counts["request_withdrawn"] == 0
    assert (summary.calls, summary.drops) == ({"in batches": 2}, {"high water": 1})
    image, host = found["lanes"]["image"], found["lanes"]["host:a"]
    assert image == {"mean": 0.25, "peak": 1, "limit": 4, "share": 0.0625, "halted": 2}
    assert (host["mean"], host["limit"], host["share"]) == (5 / 9, None, None)
    assert not any(summary.open.values())
    assert summed(*chained()[:9]).open == {"sessions": 0, "tasks": 0, "requests": 0, "slots": 1}
    assert summed(*chained()[:7]).open["requests"] == 1
    text = shown(summary)
    for part in (
        "2 in batches",
        "1 request dropped",
        "1 high water",
        "1 asked back · 1 revoked",
        "2.00 s",
    ):
        assert part in text


def test_a_lane_that_is_dropped_is_used_no_more_until_it_is_opened_again():
    opened = (0, "lane_opened", {"lane": "host:a", "max_concurrent": 2})
    granted = {"lane": "host:a", "request_id": "r", "slot_id": "s", "weight": 1}
    use = (
        (0, "slot_requested", granted),
        (0, "slot_granted", granted),
        (10, "slot_released", granted),
        (10, "lane_dropped", {"lane": "host:a"}),
    )
    again = [(90 + t, name, fields) for t, name, fields in (opened, *use)]
    summary = summed((0, "studio_opened", {}), opened, *use, *again, (200, "studio_closed", {}))
    lane = summary.values()["lanes"]["host:a"]
    assert (lane["mean"], lane["share"]) == (1, 0.5)


def test_the_lanes_past_those_that_are_told_apart_have_no_limit_together():
    events = [OPENED]
    for number in range(2 * KINDS):
        lane = {"lane": f"host:{number}", "max_concurrent": 1, "request_id": "r", "weight": 1}
        events += [(1, "lane_opened", lane), (1, "slot_granted", {**lane, "slot_id": f"{number}"})]
    summary = summed(*events, (2, "lane_dropped", {"lane": f"host:{number}"}))
    assert len(summary.lanes) == KINDS + 1
    others = summary.values()["lanes"]["others"]
    assert (others["peak"], others["limit"], others["share"]) == (KINDS, None, None)


def test_what_failed_is_named_with_its_reason_and_equal_reasons_are_counted_together():
    events = [OPENED]
    for number in range(3):
        name = {"session_id": f"s{number}", "message_id": f"m{number}"}
        reason = f"the session of message 'm{number}' failed: \x1b[2Jbroken"
        events += [
            (1, "session_opened", name),
            (1, "session_ended", {**name, "outcome": "failed", "reason": reason}),
            (1, "task_settled", {**name, "task_id": "t", "state": "failed", "reason": "busy"}),
        ]
    text = shown(summed(*events))
    assert "3 messages: the session of a message failed: broken (the first: m0)" in text
    assert "3 pictures: busy (the first: m0, t)" in text


def test_reasons_that_differ_in_how_much_was_awaited_are_one():
    events = [OPENED]
    for number in range(1, 4):
        reason = f"message 'm' was not settled 35 s after its seal; waiting for {number} task(s)"
        ended = {"session_id": f"s{number}", "message_id": "m", "outcome": "timed_out"}
        events.append((1, "session_ended", {**ended, "reason": reason}))
    text = shown(summed(*events))
    assert "3 messages: a message was not settled 35 s after its seal; waiting for pict" in text
    assert "3 timed out" in text
    assert "timed_out" not in text


def test_one_of_anything_is_named_in_the_singular():
    counted = ("generation_failed", "keep_failed", "call_abandoned", "generation_late")
    further = ("write_conflicted", "circuit_open", "actor_failed", "dead_letter")
    events = [(1, name, picture(lane="image")) for name in (*counted, *further)]
    failed = (1, "task_settled", picture("q", state="failed", reason="busy"))
    text = " ".join(shown(summed(OPENED, LANE, *events, failed)).split())
    for part in (
        "1 failed generation ·",
        "1 picture not kept at once ·",
        "1 abandoned call ·",
        "1 late picture ·",
        "1 write conflict ·",
        "1 circuit opened ·",
        "1 failed actor ·",
        "1 dead letter",
        "1 picture: busy (m, q)",
    ):
        assert part in text
    assert shown(summed(OPENED)).startswith("1 event of 1 run, 2026-01-01 10:00:00 to")


def test_outcomes_stand_in_an_order_that_is_fixed():
    states = ("cancelled", "skipped", "failed", "written", "cancelled")
    events = [(1, "session_ended", {"outcome": state}) for state in states]
    assert "1 written · 1 failed · 2 cancelled · 1 skipped" in shown(summed(OPENED, *events))


def test_a_picture_that_is_kept_late_counts_as_generated():
    kept_late = (8, "keep_failed", picture(reason="no space left"))
    done = (60, "generation_completed", picture())
    found = summed(*STORY[:10], kept_late, done, *STORY[11:14]).values()
    assert (found["tasks"]["completed"], found["generation"]["number"]) == (1, 1)
    assert found["generation"]["max"] == 2


def test_a_wait_of_no_time_is_told_as_at_once_and_what_was_never_timed_is_not_told():
    request = picture(**slot(slot_id="1"))
    text = shown(summed(OPENED, LANE, (1, "slot_requested", request), (1, "slot_granted", request)))
    assert text.count("at once") == 4
    assert "0 ms" not in text
    assert "generating" not in text


def test_a_limit_that_has_changed_is_told_as_from_to():
    def limit(most):
        return (1, "lane_updated", {"lane": "image", "max_concurrent": most})

    for limits, told in (([2, 8, 3], "2 to 8"), ([None, 3], "3 to none"), ([4], "4"), ([], "4")):
        summary = summed(OPENED, LANE, *map(limit, limits))
        assert summary.lanes["image"].limits == told
        assert f"  {told}  " in shown(summary)


def test_why_requests_were_dropped_is_counted_by_kind():
    reasons = (
        "its back end fails again and again: the circuit of lane 'a' is open",
        "its back end fails again and again in lane image: the circuit",
        "too heavy in lane image",
        "too heavy",
        "too heavy",
    )
    events = [(1, "request_dropped", {"request_id": "r", "reason": one}) for one in reasons]
    text = shown(summed(OPENED, *events))
    assert "3 too heavy · 2 its back end fails again and again\n" in text.replace(" \n", "\n")


def test_from_when_to_when_is_as_long_as_it_says():
    begun = (0.0, "studio_opened", {"at": "2026-01-01T10:00:00+00:00"})
    ended = (82.6, "studio_closed", {"at": "2026-01-01T10:01:22.600000+00:00"})
    assert "1 min 23 s, 2026-01-01 10:00:00 to 2026-01-01 10:01:23" in shown(summed(begun, ended))
    odd = (0.0, "studio_opened", {"at": "9999-12-31T23:59:59.9"})
    assert "9999-12-31 23:59:59" in shown(summed(odd))


def test_a_clock_that_goes_back_gives_no_negative_times():
    ended = (3, "session_ended", picture(outcome="written"))
    assert "-" not in shown(summed((5, "session_opened", picture()), ended))


def test_what_is_open_when_runs_are_killed_is_counted_over_all_of_them():
    assert summed(*STORY[:7], *STORY[:4]).open == {
        "sessions": 2,
        "tasks": 2,
        "slots": 1,
        "requests": 0,
    }
    found = summed(*STORY[:7], *STORY)
    assert (found.runs, found.seconds) == (2, 14)
    assert found.lanes["image"].out == 0


def test_slot_use_is_measured_against_the_limit_that_was_in_force():
    lane = LaneUse(0)
    lane.limit = 2
    lane.change(2)
    lane.pass_to(10)
    lane.limit = 8
    lane.pass_to(20)
    assert (lane.mean, lane.peak, lane.share) == (2, 2, 0.4)
    lane.pass_to(15)  # a clock of another thread
    assert lane.mean == 2
    lane.limit = None
    assert lane.share is None


@given(st.lists(st.integers(0, 10**12), min_size=1), st.floats(0, 1))
def test_a_percentile_is_within_one_percent(durations, share):
    times = Times()
    for duration in durations:
        times.add(duration)
    rank = max(1, -int(-(share * len(durations)) // 1))
    true = sorted(durations)[rank - 1] / 1_000_000
    assert times.percentile(share) == pytest.approx(true, rel=0.01, abs=1e-9)
    assert times.max == max(durations)


def test_memory_is_bounded_by_what_is_open():
    summary = Summary()
    for number in range(5_000):
        for t, name, fields in STORY[1:-1] + chained()[1:-1]:
            own = {
                key: f"{value}{number}" if key.endswith("_id") else value
                for key, value in fields.items()
            }
            summary.feed({"seq": 1, "t": t, "event": name, **own, "reason": f"{number}"})
        summary.feed({"seq": 1, "t": 1, "event": f"new {number}"})
        summary.feed({"seq": 1, "t": 1, "event": "session_ended", "outcome": f"{number}"})
        summary.feed({"seq": 1, "t": 1, "event": "task_settled", "state": "failed", **own})
    held = summary._open
    for name in ("sessions", "tasks", "prompts", "generations", "sealed"):
        assert not getattr(held, name), name
    slots = summary._slots
    assert not any((slots._requests, slots._out, slots._further))
    assert len(summary.sessions) <= KINDS + 1
    assert summary.sessions.total() == 10_000
    assert len(summary.counts) <= 10 * KINDS + 1
    assert len(list(summary._slow_pictures)) == 5


@pytest.mark.parametrize("seed", range(10))
def test_fields_of_any_type_are_summed_without_a_traceback(seed):
    rng = random.Random(seed)
    events = []
    for t, name, fields in STORY * 3:
        odd = rng.choice([None, 7, [], {}, "x" * 5_000, True, -1, 2**70, 0.5])
        events.append((t, name, {**fields, rng.choice([*fields, "weight"]): odd}))
    shown(summed(*events))


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "0 ms"),
        (1_234, "1.23 ms"),
        (999_700, "1.00 s"),
        (59_996_000, "1 min 00 s"),
        (1_500_000, "1.50 s"),
        (61_000_000, "1 min 01 s"),
        (86_400_000_000, "24 h 00 min"),
    ],
)
def test_a_duration_is_told_as_a_person_reads_it(micros, text):
    assert span(micros) == text
