"""A trace opens in Perfetto, says what the log says, and is written whatever the log holds."""

import json
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter, defaultdict

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.drawn_logs import drawn_log

from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.messages.errors import GenerationFailed
from limner.messages.events.invariants import Audit
from limner.messages.events.span_types import Halt, Session
from limner.messages.events.spans import Spans
from limner.messages.limiter.settings import LaneSettings
from limner.scripts.inspect import trace
from limner.scripts.inspect.reading import LogReader
from limner.scripts.inspect.summary import Summary
from limner.scripts.inspect.trace import OPEN_TO_THE_END, write_trace

SLOTS = 2


class Moody(Instant):
    """A generator that fails as its prompt says."""

    def __init__(self):
        super().__init__()
        self.failed = set()
        self.holding = threading.Event()

    def generate(self, task, cancelled):
        if "broken" in task.prompt:
            raise GenerationFailed("it is broken", retryable=False)
        if "flaky" in task.prompt and task.id not in self.failed:
            self.failed.add(task.id)
            raise GenerationFailed("not at the first time", retryable=True)
        if "held" in task.prompt:
            self.holding.set()
            cancelled.wait(30)
        return super().generate(task, cancelled)


def tag(prompt):
    return f'text <!--img-prompt="{prompt}"--> '


def run_studio(path):
    """Run a studio on several messages at once: retries, failures, a cancellation."""
    settings = Settings(events=path, slots=SLOTS, backoff=0.01, deadline=30)
    generator = Moody()
    with Studio.open(settings, store=MemoryStore(), generator=generator) as studio:
        held = studio.stream("held", owner="carol")
        held.feed(tag("held back"))
        assert generator.holding.wait(30)
        futures = []
        for number in range(6):
            stream = studio.stream(f"msg-{number}", owner="alice")
            for prompt in ("a gull", "a flaky tower", "a broken oar")[: number % 4]:
                stream.feed(tag(f"{prompt} {number}"))
            futures.append(stream.finish())
        for future in futures:
            future.get(timeout=60)
        held.cancel().get(timeout=60)
        studio.illustrate("msg-1", tag("once more")).get(timeout=60)
    return path


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return run_studio(tmp_path_factory.mktemp("logs") / "events.jsonl")


def read(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def write(path, events):
    path.write_bytes(b"".join(json.dumps(event).encode() + b"\n" for event in events))
    return path


def traced(path):
    """Write the trace of a log; give its events and what was said of them."""
    out = path.with_suffix(".trace.json")
    said = write_trace(LogReader(path), out)
    whole = json.loads(out.read_bytes())
    assert whole["displayTimeUnit"] == "ms"
    return whole["traceEvents"], said


FIELDS = {
    "X": {"name": str, "ts": int, "dur": int, "pid": int, "tid": int, "cat": str, "args": dict},
    "i": {"name": str, "ts": int, "pid": int, "tid": int, "s": str, "args": dict},
    "C": {"name": str, "ts": int, "pid": int, "args": dict},
    "M": {"name": str, "pid": int, "tid": int, "args": dict},
    "s": {"name": str, "ts": int, "pid": int, "tid": int, "cat": str, "id": int},
    "f": {"name": str, "ts": int, "pid": int, "tid": int, "cat": str, "id": int, "bp": str},
}


def problems(events):
    """Return what keeps a trace from being one, by the format's own rules."""
    found, tracks, named = [], defaultdict(list), Counter()
    starts, finishes = {}, {}
    for event in events:
        fields = FIELDS.get(event.get("ph"))
        if fields is None:
            found.append(f"no such phase: {event}")
            continue
        found += [
            f"{name} of {event}"
            for name, kind in fields.items()
            if type(event.get(name)) is not kind
        ]
        if event.get("ts", 0) < 0 or event.get("dur", 0) < 0:
            found.append(f"before its time: {event}")
        match event["ph"]:
            case "X":
                tracks[event["pid"], event["tid"]].append(event)
            case "M" if event["name"] == "thread_name":
                named[event["pid"], event["tid"]] += 1
            case "s" | "f":
                side = starts if event["ph"] == "s" else finishes
                if event["id"] in side:
                    found.append(f"twice: {event}")
                side[event["id"]] = event
            case "C":
                found += [f"level of {event}" for value in event["args"].values() if value < 0]
    found += [f"an arrow without an end: {one}" for one in starts.keys() ^ finishes.keys()]
    for number in starts.keys() & finishes.keys():
        if not starts[number]["ts"] <= finishes[number]["ts"]:
            found.append(f"arrow {number} goes back in time")
    for track, spans in tracks.items():
        if named[track] != 1:
            found.append(f"track {track} is named {named[track]} times")
        inside = []
        for span in sorted(spans, key=lambda one: (one["ts"], -one["dur"])):
            end = span["ts"] + span["dur"]
            while inside and inside[-1] <= span["ts"]:
                inside.pop()
            if inside and end > inside[-1]:
                found.append(f"{span} crosses what it is in")
            inside.append(end)
    for number, arrow in [*starts.items(), *finishes.items()]:
        spans = tracks[arrow["pid"], arrow["tid"]]
        if not any(one["ts"] <= arrow["ts"] <= one["ts"] + one["dur"] for one in spans):
            found.append(f"arrow {number} is on no span")
    return found


def named(events, kind, **fields):
    return [
        one
        for one in events
        if one["ph"] == kind and all(one.get(key) == value for key, value in fields.items())
    ]


def tracks_named(events):
    return {
        one["args"]["name"]: (one["pid"], one["tid"])
        for one in named(events, "M", name="thread_name")
    }


def test_a_trace_of_a_real_log_is_one_by_the_rules_of_the_format(log):
    events, _ = traced(log)
    assert problems(events) == []


def test_the_rules_of_the_format_can_be_broken(log):
    events, _ = traced(log)
    first = named(events, "X")[0]
    for broken in (
        {**first, "ts": first["ts"] + 1, "dur": first["dur"] + 1_000_000},
        {**first, "ts": 1.5},
        {**first, "tid": 77},
        {"ph": "s", "name": "picture", "cat": "prompt", "pid": 1, "tid": 1, "id": 9999, "ts": 1},
    ):
        assert problems([*events, broken])


def test_a_trace_has_a_span_for_each_step_that_lasted(log):
    events, said = traced(log)
    happened = Counter(event["event"] for event in read(log))
    count = Counter(span["name"] for span in named(events, "X"))
    slots = [span for span in named(events, "X") if "weight" in span["args"]]
    assert count["streaming"] == happened["session_opened"]
    assert count["writing"] == happened["text_written"] > 0
    assert count["waiting"] == happened["slot_requested"]
    # once with its picture, once in its slot
    assert count["generating"] == 2 * happened["generation_started"]
    assert count["pausing"] == happened["generation_retried"]
    assert len(slots) == happened["slot_granted"]
    assert len(named(events, "i", name="prompt")) == happened["prompt_detected"]
    assert len(named(events, "s")) == happened["generation_completed"]
    assert said == (
        f"{len(named(events, 'X')):,} spans of {happened['session_opened']} sessions"
        f" and {happened['slot_granted']} granted slots"
    )


def test_each_message_and_each_slot_has_a_track_of_its_own(log):
    events, _ = traced(log)
    tracks = tracks_named(events)
    assert len(set(tracks.values())) == len(tracks)
    assert {f"image slot {number}" for number in range(1, SLOTS + 1)} <= tracks.keys()
    assert f"image slot {SLOTS + 1}" not in tracks
    assert {"held", *(f"msg-{number}" for number in range(6))} <= tracks.keys()
    assert {"msg-3 · picture 1", "msg-3 · picture 2", "msg-3 · picture 3"} <= tracks.keys()
    pid, tid = tracks["msg-1"]
    sessions = [
        span for span in named(events, "X", pid=pid, tid=tid) if span["name"].startswith("session ")
    ]
    assert len(sessions) == 2, "a later session of a message is on the same track"


def test_an_arrow_goes_from_the_prompt_to_the_generation_of_its_picture(log):
    events, _ = traced(log)
    tracks = tracks_named(events)
    starts = {one["id"]: one for one in named(events, "s", tid=tracks["msg-2"][1])}
    finishes = [one for one in named(events, "f") if one["id"] in starts]
    names = {tracks[f"msg-2 · picture {number}"][1] for number in (1, 2)}
    assert {one["tid"] for one in finishes} == names
    for finish in finishes:
        at = [
            span["name"]
            for span in named(events, "X", tid=finish["tid"])
            if span["ts"] <= finish["ts"] < span["ts"] + max(1, span["dur"])
        ]
        assert "generating" in at


def test_the_counters_never_pass_the_limit_and_end_at_nothing(log):
    events, _ = traced(log)
    levels = [one["args"]["slots out"] for one in named(events, "C", name="image: slots out")]
    assert max(levels) == SLOTS
    assert levels[-1] == 0
    assert named(events, "C", name="image: waiting")[-1]["args"] == {"waiting": 0}


@pytest.mark.parametrize("scenario", ["rush-hour", "flaky-backend", "chaos"])
def test_a_trace_of_simulated_messages_is_one_by_the_rules_of_the_format(scenario, tmp_path):
    path = tmp_path / "events.jsonl"
    simulate = ["simulate", "--scenario", scenario, "--messages", "150", "--seed", "7"]
    done = subprocess.run(
        [sys.executable, "-m", "limner.scripts.app", *simulate, "--events", str(path)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    events, _ = traced(path)
    assert problems(events) == []
    granted = sum(event["event"] == "slot_granted" for event in read(path))
    assert granted == len([span for span in named(events, "X") if "weight" in span["args"]]) > 0


def test_a_request_that_is_heard_after_its_picture_was_settled_is_no_part_of_it(tmp_path):
    events = one_message(0)
    opened, prompt, request, *_, end = events
    settled = {**prompt, "event": "task_settled", "state": "cancelled"}
    withdrawn = {**request, "t": 0.09, "event": "request_withdrawn"}
    order = [opened, prompt, settled, request, withdrawn, end]
    numbered = [{"seq": number, **event} for number, event in enumerate(order)]
    written, _ = traced(write(tmp_path / "late.jsonl", numbered))
    assert problems(written) == []
    assert named(written, "X", name="waiting") == []


def test_the_time_that_a_failed_write_took_is_shown_as_writing():
    events = [one for one in one_message(0) if one["event"] != "text_written"]
    events[-1] |= {"t": 27, "outcome": "failed"}
    session = next(span for span in Spans(events) if isinstance(span, Session))
    phases = {phase.kind: phase for phase in session.phases}
    assert phases["writing"].end == session.ended == 27_000_000
    assert phases["writing"].start == max(session.sealed, 60_000)


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8, 0.95])
def test_what_is_open_when_a_log_breaks_off_ends_with_it_and_says_so(log, tmp_path, share):
    kept = read(log)
    kept = kept[: int(share * len(kept))]
    events, said = traced(write(tmp_path / "killed.jsonl", kept))
    assert problems(events) == []
    names = Counter(event["event"] for event in kept)
    still = names["session_opened"] - names["session_ended"]
    marked = named(events, "X", name=f"session {OPEN_TO_THE_END}")
    assert len(marked) == still
    assert said.endswith(f"; {still} session{'s' * (still != 1)} open to the end") == (still > 0)
    last = max(round(event["t"] * 1_000_000) for event in kept)
    assert {span["ts"] + span["dur"] for span in marked} <= {last}
    levels = {one["name"]: one["args"] for one in named(events, "C")}
    assert levels == {"image: slots out": {"slots out": 0}, "image: waiting": {"waiting": 0}}


def test_several_runs_are_processes_that_come_after_each_other(log, tmp_path):
    path = tmp_path / "twice.jsonl"
    path.write_bytes(log.read_bytes())
    run_studio(path)
    events, said = traced(path)
    assert problems(events) == []
    assert {one["args"]["name"] for one in named(events, "M", name="process_name")} == {
        "Limner, run 1",
        "Limner, run 2",
    }
    first, second = named(events, "X", pid=1), named(events, "X", pid=2)
    assert max(one["ts"] + one["dur"] for one in first) <= min(one["ts"] for one in second)
    assert " in 2 runs" in said


@pytest.mark.parametrize(
    ("at", "gap"),
    [
        ("2026-01-01T00:01:40+00:00", 90_000_000),  # as the wall has it
        ("2026-01-01T00:00:00+00:00", 1_000_000),  # the same wall time again, as in simulation
        ("2030-01-01T00:00:00+00:00", 1_000_000),  # years later
        ("once upon a time", 1_000_000),
        (None, 1_000_000),
        ("0001-01-01T00:00:00", 1_000_000),
    ],
)
def test_runs_keep_their_distance_on_the_wall_where_that_makes_sense(at, gap):
    events = [
        {"t": 0.0, "at": "2026-01-01T00:00:00+00:00", "event": "studio_opened"},
        {"t": 10.0, "at": "2026-01-01T00:00:10+00:00", "event": "studio_closed"},
        {"t": 0.0, "at": at, "event": "studio_opened"},
    ]
    spans = Spans(events)
    assert list(spans) == []
    assert (spans.runs, spans.last) == (2, 10_000_000 + gap)


def test_an_event_from_before_its_run_began_is_not_put_into_the_run_before():
    first = [{"t": 0, "event": "studio_opened"}, *one_message(0)]
    late = [{"t": 5, "event": "studio_opened"}, *one_message(1)]
    sessions = [span for span in Spans([*first, *late]) if isinstance(span, Session)]
    assert sessions[0].ended == 100_000
    assert sessions[1].opened == 100_000


def test_no_event_that_lacks_a_field_gives_more_than_one_event_less(log, tmp_path):
    whole = read(log)
    for name in {event["event"] for event in whole}:
        place = next(i for i, event in enumerate(whole) if event["event"] == name)
        for key in whole[place].keys() - {"seq", "t", "event"}:
            for value in (None, [], {"a": 1}, 2**70, -1):
                events = list(whole)
                events[place] = {**events[place], key: value}
                list(Spans(events))
            del events[place][key]
            list(Spans(events))
    maimed = [{key: value for key, value in one.items() if key != "task_id"} for one in whole]
    events, said = traced(write(tmp_path / "maimed.jsonl", maimed))
    assert problems(events) == []
    assert "unusable events left out" in said


NAMES = sorted(Spans([])._take)
TEXTS = st.sampled_from(["a", "b", "a~1", "b~2", "</script>", "\u202e", "x" * 10_000, "\ud800"])
VALUES = st.one_of(TEXTS, st.none(), st.integers(-1, 3), st.lists(TEXTS, max_size=1))
EVENTS = st.fixed_dictionaries(
    {
        "event": st.sampled_from([*NAMES * 3, "studio_opened", "dead_letter"]),
        "t": st.one_of(st.integers(0, 20).map(lambda t: t / 4), st.integers(-2, 10**14)),
    },
    optional=dict.fromkeys(
        ("session_id", "message_id", "task_id", "request_id", "slot_id", "lane"),
        st.one_of(TEXTS, TEXTS, TEXTS, VALUES),
    )
    | dict.fromkeys(
        ("weight", "max_concurrent", "seconds", "circuit_seconds", "requests"),
        st.one_of(st.integers(0, 3), VALUES),
    )
    | dict.fromkeys(("prompt", "state", "outcome", "reason", "owner"), VALUES),
)


@given(st.lists(EVENTS, max_size=60))
def test_whatever_a_log_says_its_trace_keeps_the_rules(tmp_path_factory, events):
    path = tmp_path_factory.getbasetemp() / "drawn.jsonl"
    trace_file = path.with_suffix(".json")
    with trace.replacing(trace_file) as file:
        out = trace.Trace(file)
        for span in Spans(events):
            out.take(span)
        out.close()
    assert problems(json.loads(trace_file.read_bytes())["traceEvents"]) == []


def test_clocks_that_disagree_a_little_give_no_negative_time(log, tmp_path):
    events = read(log)
    for number, event in enumerate(events):
        event["t"] = max(0, event["t"] + (-1) ** number * 0.002)
    assert problems(traced(write(tmp_path / "askew.jsonl", events))[0]) == []


def one_message(number):
    """Return the events of one message, after whatever came before."""
    who = {"session_id": f"s{number}", "message_id": f"m{number}"}
    task = {**who, "task_id": f"t{number}"}
    slot = {**task, "lane": "image", "request_id": f"r{number}", "weight": 1}
    events = [
        {"event": "session_opened", **who},
        {"event": "prompt_detected", **task, "prompt": "a gull"},
        {"event": "slot_requested", **slot},
        {"event": "slot_granted", **slot, "slot_id": f"l{number}"},
        {"event": "generation_started", **task, "slot_id": f"l{number}"},
        {"event": "generation_completed", **task},
        {"event": "task_settled", **task, "state": "completed", "reason": None},
        {"event": "slot_released", **slot, "slot_id": f"l{number}"},
        {"event": "session_sealed", **who, "reason": "complete"},
        {"event": "text_written", **who},
        {"event": "session_ended", **who, "outcome": "written", "reason": None},
    ]
    return [{"t": number + place / 100, **event} for place, event in enumerate(events)]


def test_memory_is_bounded_by_what_is_open(tmp_path, monkeypatch):
    monkeypatch.setattr(trace, "REMEMBERED", 100)

    def peak(messages):
        tracemalloc.start()
        with (tmp_path / "trace.json").open("wb") as file:
            out = trace.Trace(file)
            for span in Spans(event for n in range(messages) for event in one_message(n)):
                out.take(span)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(200)
    assert peak(4_000) < 1.3 * peak(400)


def test_sessions_of_one_message_that_overlap_do_not_share_a_track(tmp_path):
    events = one_message(0)
    beside = [{**event, "session_id": "other", "t": event["t"] + 0.05} for event in events]
    mixed = sorted([*events, *beside], key=lambda event: event["t"])
    numbered = [{"seq": number, **event} for number, event in enumerate(mixed)]
    written, _ = traced(write(tmp_path / "beside.jsonl", numbered))
    assert problems(written) == []
    assert len([span for span in Spans(mixed) if isinstance(span, Session)]) == 2


def chained_studio(path):
    """Run a studio whose pictures stand in two lanes, beside calls of its host, and pause it."""
    lanes = {"image": LaneSettings(max_concurrent=2)}
    groups = {"host": LaneSettings(max_concurrent=None, behind="image", min_time=0.001)}
    settings = Settings(events=path, lanes=lanes, lane_groups=groups)
    generator = Instant()
    generator.lane = "host:a"
    with Studio.open(settings, store=MemoryStore(), generator=generator) as studio:
        studio.limiter.pause("image")
        batch = studio.limiter.collect(list, max_size=2, max_time=30, lane="host:b")
        futures = [batch.add(number) for number in range(2)]
        futures.append(studio.limiter.schedule(lambda: 1))
        futures += [studio.illustrate(f"m{n}", tag("one") + tag("two")) for n in range(4)]
        studio.limiter.resume("image")
        for future in futures:
            future.get(timeout=60)
    return path


@pytest.fixture(scope="module")
def chained(tmp_path_factory):
    return chained_studio(tmp_path_factory.mktemp("chained") / "events.jsonl")


def test_what_stands_in_two_lanes_is_traced_once_and_has_a_slot_in_both(chained):
    events, _ = traced(chained)
    assert problems(events) == []
    happened = read(chained)
    count = Counter(span["name"] for span in named(events, "X"))
    assert count["waiting"] == 8
    assert count["generating"] == 2 * 8
    slots = [span for span in named(events, "X") if "weight" in span["args"]]
    assert len(slots) == 2 * 8 + 2 + 1  # the batch has two, the call one
    assert sum(event["event"] == "slot_granted" for event in happened) == len(slots)
    names = set(tracks_named(events))
    assert {"image slot 1", "host:a slot 1", "host:b slot 1", "image halted"} <= names
    pauses = [span for span in named(events, "X") if span["name"] == "paused"]
    assert len(pauses) == 1
    assert {"call-3", "batch-1, a batch of 2"} <= count.keys()


def test_the_log_of_lanes_that_come_and_go_keeps_the_invariants_and_one_summary(chained):
    audit, summary = Audit(), Summary()
    for event in read(chained):
        audit.feed(event)
        summary.feed(event)
    assert audit.finish().violations == ()
    assert summary.values()["waiting"]["number"] == summary.counts["slot_granted"] == 8 + 2
    assert summary.values()["generation"]["number"] == 8
    assert summary.calls == {"in batches": 2, "one by one": 1}
    assert summary.lanes["image"].peak <= 2
    assert summary.counts["lane_dropped"] >= 1


@pytest.mark.parametrize("kind", ["", "chained"])
def test_drawn_logs_of_lanes_that_come_and_go_are_traced_and_summed_up_alike(kind, tmp_path):
    for seed in range(20):
        log, summary = drawn_log(seed, kind=kind), Summary()
        for event in log:
            summary.feed(event)
        own = [e for e in log if e["event"] == "slot_granted" and "~" not in e["request_id"]]
        assert summary.counts["slot_granted"] == len(own)
        assert summary.waits.number <= len(own)
        events, _ = traced(write(tmp_path / f"{seed}.jsonl", log))
        assert problems(events) == []
        asked = [e for e in log if e["event"] == "slot_requested" and "~" not in e["request_id"]]
        assert len(named(events, "X", name="waiting")) <= len(asked)


def test_halts_end_where_they_end():
    def told(*events):
        whole = [
            {"t": t, "event": name, "lane": "image", **fields}
            for t, name, fields in [(0, "lane_opened", {"max_concurrent": None}), *events]
        ]
        halts = [span for span in Spans(whole) if isinstance(span, Halt)]
        return [(one.start / 1e6, one.end / 1e6, one.why) for one in halts]

    pause, forever = {"seconds": 2}, {"seconds": None}
    end = (9, "lane_idle", {})
    assert told((1, "lane_paused", pause), end) == [(1, 3, "paused")]
    assert told((1, "lane_paused", forever), end) == [(1, 9, "paused")]
    assert told((1, "lane_paused", forever), (4, "lane_resumed", {})) == [(1, 4, "paused")]
    assert told((1, "lane_paused", pause), (2, "lane_paused", pause), end) == [(1, 4, "paused")]
    again = told((1, "lane_paused", pause), (7, "lane_paused", pause), end)
    assert again == [(1, 3, "paused"), (7, 9, "paused")]
    circuit = told((1, "circuit_open", {}), (5, "circuit_half_open", {}), (7, "circuit_open", {}))
    assert circuit == [(1, 5, "resting"), (7, 7, "resting")]
    both = told((1, "circuit_open", {}), (2, "lane_paused", pause), (8, "lane_dropped", {}))
    assert both == [(1, 2, "resting"), (2, 8, "paused")]


def test_memory_is_bounded_however_many_lanes_come_and_go(tmp_path, monkeypatch):
    monkeypatch.setattr(trace, "REMEMBERED", 50)
    names = ("lane_opened", "slot_requested", "slot_granted", "slot_released", "lane_dropped")

    def log():
        for number in range(2_000):
            lane = {"lane": f"host:{number}", "max_concurrent": 1, "request_id": "r", "weight": 1}
            for name in names:
                yield {"t": number, "event": name, **lane, "slot_id": f"{number}"}

    spans = Spans(log())
    with (tmp_path / "trace.json").open("wb") as file:
        out = trace.Trace(file)
        for span in spans:
            out.take(span)
            assert len(out._lane_tracks) <= 50
            assert len(out._levels) <= 2
            assert len(spans._lanes) <= 1
        out.close()
    assert out.slots == 2_000
    assert problems(json.loads((tmp_path / "trace.json").read_bytes())["traceEvents"]) == []


def test_a_trace_that_cannot_be_written_leaves_what_was_there(log, tmp_path):
    out = tmp_path / "trace.json"
    out.write_text("before")

    class Failing:
        def __iter__(self):
            yield from read(log)
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_trace(Failing(), out)
    assert out.read_text() == "before"
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(OSError, match="none"):
        write_trace(LogReader(log), tmp_path / "none" / "trace.json")
