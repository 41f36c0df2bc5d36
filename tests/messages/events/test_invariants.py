"""The audit: correct logs pass, drawn ones and real ones; falsified ones are each caught."""

import copy
import random
import threading
from collections import Counter

import orjson
import pytest
from support.drawn_logs import Run, drawn_log, with_gap

from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.messages.errors import GenerationFailed
from limner.messages.events import findings
from limner.messages.events.invariants import Audit

WAIT = 60
PICTURE = Instant().generate(None, None)


def verdict(events):
    audit = Audit()
    for event in events:
        audit.feed(event)
    return audit.finish()


# --- drawn correct logs ---


def test_two_hundred_drawn_correct_logs_each_pass():
    events = lost = open_sessions = unchecked = 0
    names, retracted = Counter(), 0
    for seed in range(200):
        log = drawn_log(seed)
        names.update(event["event"] for event in log)
        retracted += sum("~2" in event.get("request_id", "") for event in log)
        found = verdict(log)
        assert found.passed, (seed, [str(one) for one in found.violations])
        events += found.events
        lost += found.lost
        open_sessions += found.open_sessions
        unchecked += found.unchecked
    # the logs that are drawn hold what makes an audit hard
    assert events > 10_000
    assert min(lost, open_sessions, unchecked) > 50
    assert min(retracted, names["lane_dropped"], names["slot_asked_back"]) > 50
    assert min(names["circuit_open"], names["lane_paused"]) > 50


# --- real logs ---


def flaky():
    left = iter(range(10**6))

    def generate(task, cancelled):
        number = next(left)
        if number % 4 == 1:
            raise GenerationFailed("busy", retryable=number % 8 == 1)
        return PICTURE

    return generate


def together():
    """Return a generator whose first two calls wait for each other, so that two slots are out."""
    both, number = threading.Barrier(2), iter(range(10**6))

    def generate(task, cancelled):
        if next(number) < 2:
            both.wait(WAIT)
        return PICTURE

    return generate


def real_log(path, *, generator=None, runs=1):
    for _ in range(runs):
        settings = Settings(events=path, slots=2, min_time=0.001, backoff=0.001)
        generator = generator or flaky()
        with Studio.open(settings, store=MemoryStore(), generator=generator) as studio:
            texts = ["".join(f'<!--img-prompt="{one} {n}"-->' for one in "abc") for n in range(5)]
            results = [studio.illustrate(f"m{n}", text) for n, text in enumerate(texts)]
            stream = studio.stream("left")
            stream.feed('<!--img-prompt="x"-->')
            results.append(stream.interrupt())
            studio.stream("forgotten").cancel()
            for result in results:
                result.get(timeout=WAIT)
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_a_real_log_of_several_runs_passes(tmp_path):
    found = verdict(real_log(tmp_path / "events", runs=3))
    assert found.passed, found.violations
    assert found.runs == 3
    assert (found.open_sessions, found.open_slots, found.open_requests) == (0, 0, 0)


def test_a_real_write_after_its_session_was_given_up_passes(tmp_path):
    class Slow(MemoryStore):
        blocks = True
        opened = threading.Event()

        def write(self, *arguments, **named):
            self.opened.wait(WAIT)
            return super().write(*arguments, **named)

    store, path, written = Slow(), tmp_path / "events", threading.Event()
    settings = Settings(events=path, store_timeout=0.05)
    with Studio.open(settings, store=store, generator=Instant()) as studio:

        def look(event):
            if event["event"] == "text_written":
                written.set()

        studio.subscribe(look)
        future = studio.illustrate("m", '<!--img-prompt="a"-->')
        with pytest.raises(Exception, match="has not come back"):
            future.get(timeout=WAIT)
        store.opened.set()
        assert written.wait(WAIT)
    events = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    names = [event["event"] for event in events]
    assert names.index("session_ended") < names.index("text_written")
    assert verdict(events).passed
    twice = [*events, events[names.index("text_written")]]
    assert "I1" in rules(verdict(renumbered(twice)))
    unsettled = [event for event in events if event["event"] != "task_settled"]
    assert "I2" in rules(verdict(renumbered(unsettled)))


# --- falsified logs: each edits a correct one, and gives the events that prove it ---


def rules(found):
    return {one.rule for one in found.violations}


def renumbered(events):
    return [{**event, "seq": seq} for seq, event in enumerate(events, 1)]


def at(events, name, start=0, **fields):
    for index in range(start, len(events)):
        if events[index]["event"] == name and fields.items() <= events[index].items():
            return index
    raise LookupError(name)


def a_session(events):
    """Return what one session said of its writing: its tasks all settled as completed."""
    for index in range(len(events)):
        if events[index]["event"] == "text_written" and len(events[index]["placed"]) >= 2:
            name = events[index]["session_id"]
            own = [one for one in events if one.get("session_id") == name]
            return {
                one: next((event for event in own if event["event"] == one), None)
                for one in ("session_opened", "session_sealed", "text_written", "session_ended")
            } | {"settled": [event for event in own if event["event"] == "task_settled"]}
    raise LookupError


def moved(events, event, after):
    events.remove(event)
    events.insert(events.index(after) + 1, event)


def put_before(events, event, before):
    events.remove(event)
    events.insert(events.index(before), event)


def again(events, one, after=None, **changes):
    other = {**copy.deepcopy(one), **changes}
    events.insert(events.index(after or one) + 1, other)
    return other


def closed(events):
    return events[at(events, "studio_closed")]


def i1_no_end(events):
    one = a_session(events)
    events.remove(one["session_ended"])
    return [one["session_opened"], closed(events)]


def i1_two_ends(events):
    one = a_session(events)["session_ended"]
    return [one, again(events, one)]


def i1_two_ends_far_apart(events):
    one = a_session(events)["session_ended"]
    return [one, again(events, one, events[-2])]


def i1_two_writes(events):
    one = a_session(events)["text_written"]
    return [one, again(events, one, version=2)]


def i1_a_write_after_the_end(events):
    one = a_session(events)
    return [one["text_written"], again(events, one["text_written"], one["session_ended"])]


def i1_written_but_ended_as_cancelled(events):
    one = a_session(events)
    one["session_ended"]["outcome"] = "cancelled"
    return [one["text_written"], one["session_ended"]]


def i1_ended_as_written_but_not_written(events):
    one = a_session(events)
    events.remove(one["text_written"])
    return [one["session_opened"], one["session_ended"]]


def i1_an_end_that_names_no_session(events):
    one = a_session(events)["session_ended"]
    del one["session_id"]
    return [one]


def i1_never_opened(events):
    one = a_session(events)
    events.remove(one["session_opened"])
    name = one["session_ended"]["session_id"]
    return [next(e for e in events if e.get("session_id") == name and "prompt" in e)]


def i1_opened_twice(events):
    one = a_session(events)["session_opened"]
    return [one, again(events, one)]


def i1_opened_again_after_its_end(events):
    one = a_session(events)
    return [one["session_ended"], again(events, one["session_opened"], one["session_ended"])]


def i1_a_prompt_after_the_end(events):
    one = a_session(events)
    prompt = next(event for event in events if "prompt" in event)
    own = {"session_id": one["session_ended"]["session_id"], "task_id": "late"}
    return [one["session_ended"], again(events, prompt, one["session_ended"], **own)]


def i2_sealed_twice(events):
    one = a_session(events)["session_sealed"]
    return [one, again(events, one, tasks=[])]


def i2_settled_after_the_end(events):
    one = a_session(events)
    late = again(events, one["settled"][0], one["session_ended"], task_id="late")
    return [one["session_ended"], late]


def i2_written_too_early(events):
    one = a_session(events)
    put_before(events, one["text_written"], one["settled"][-1])
    if events.index(one["session_sealed"]) > events.index(one["text_written"]):
        put_before(events, one["session_sealed"], one["text_written"])
    return [one["session_sealed"], one["text_written"], one["settled"][-1]]


def i2_never_settled(events):
    one = a_session(events)
    events.remove(one["settled"][0])
    return [one["session_sealed"], one["text_written"]]


def i2_never_sealed(events):
    one = a_session(events)
    events.remove(one["session_sealed"])
    return [one["text_written"]]


def i2_sealed_too_late(events):
    one = a_session(events)
    moved(events, one["session_sealed"], one["text_written"])
    return [one["text_written"], one["session_sealed"]]


def i2_a_task_that_was_sealed_but_not_known(events):
    one = a_session(events)
    one["session_sealed"]["tasks"].append("another")
    return [one["session_sealed"], one["text_written"]]


def i2_settled_twice(events):
    one = a_session(events)["settled"][0]
    return [one, again(events, one)]


def i2_a_seal_without_a_list(events):
    one = a_session(events)["session_sealed"]
    one["tasks"] = 3
    return [one]


def out_at(events, index):
    out = {}
    for event in events[: index + 1]:
        if event["event"] == "slot_granted":
            out[event["slot_id"]] = event
        elif event["event"] in {"slot_released", "slot_revoked", "slot_expired"}:
            out.pop(event["slot_id"], None)
    return [*out.values()]


def full(events):
    """Return the place of a grant that takes the last slot, and one given back before the next."""
    for index, event in enumerate(events):
        if event["event"] == "slot_granted" and len(out_at(events, index)) == 2:
            return index
    raise LookupError


def i3_a_slot_given_back_too_late(events):
    first = full(events)
    index = at(events, "slot_granted", first + 1)
    ends = [
        one
        for one in events[first:index]
        if one["event"] in {"slot_released", "slot_revoked", "slot_expired"}
    ]
    for one in ends:
        moved(events, one, events[index])
        index -= 1
    return [events[at(events, "lane_opened")], *out_at(events, index)]


def i3_a_limit_that_was_lower(events):
    lane = events[at(events, "lane_opened")]
    lane["max_concurrent"] = 1
    return [lane, *out_at(events, full(events))]


def i3_a_limit_that_was_lowered(events):
    index = full(events)
    lane = again(events, events[at(events, "lane_opened")], events[index - 1])
    lane.update(event="lane_updated", max_concurrent=1)
    return [lane, *out_at(events, index + 1)]


def i3_a_weight_that_was_heavier(events):
    index = at(events, "slot_granted")
    events[index]["weight"] = 3
    return [events[at(events, "lane_opened")], events[index]]


def i3_a_lane_that_was_not_opened(events):
    del events[at(events, "lane_opened")]
    return [events[at(events, "slot_granted")]]


def i3_a_weight_that_is_none(events):
    one = events[at(events, "slot_granted")]
    one["weight"] = "1"
    return [one]


def two_grants(events):
    first = at(events, "slot_granted")
    return events[first], events[at(events, "slot_granted", first + 1)]


def i4_a_microsecond_too_early(events):
    lane = events[at(events, "lane_opened")]
    first, second = two_grants(events)
    gap = round(lane["min_time"] * 1_000_000)
    second["t"] = (round(first["t"] * 1_000_000) + gap - 1) / 1_000_000
    return [lane, first, second]


def i4_a_longer_time_between(events):
    lane = events[at(events, "lane_opened")]
    lane["min_time"] = 3_600
    return [lane, *two_grants(events)]


def i4_a_longer_time_from_then_on(events):
    first, second = two_grants(events)
    lane = again(events, events[at(events, "lane_opened")], first)
    lane.update(event="lane_updated", min_time=3_600)
    return [lane, first, second]


def i4_a_time_that_went_back(events):
    lane = events[at(events, "lane_opened")]
    first, second = two_grants(events)
    second["t"] = first["t"] - 5
    return [lane, first, second]


def i4_a_time_between_that_is_none(events):
    lane = events[at(events, "lane_opened")]
    lane["min_time"] = None
    return [lane]


def i5_granted_twice(events):
    one = events[at(events, "slot_granted")]
    return [one, again(events, one, slot_id="image-9999")]


def i5_never_given_back(events):
    index = at(events, "slot_released")
    slot = events.pop(index)["slot_id"]
    return [events[at(events, "slot_granted", slot_id=slot)], closed(events)]


def i5_given_back_twice(events):
    one = events[at(events, "slot_released")]
    return [one, again(events, one)]


def i5_given_back_and_expired(events):
    one = events[at(events, "slot_released")]
    return [one, again(events, one, events[-2], event="slot_expired")]


def i5_granted_without_a_request(events):
    index = at(events, "slot_granted")
    request = events[index]["request_id"]
    grant = events[index]
    del events[at(events, "slot_requested", request_id=request)]
    return [grant]


def i5_granted_and_withdrawn(events):
    one = events[at(events, "slot_granted")]
    return [one, again(events, one, event="request_withdrawn")]


def i5_a_request_without_an_end(events):
    one = events[at(events, "slot_requested")]
    return [again(events, one, request_id="another"), closed(events)]


def i5_requested_twice(events):
    one = events[at(events, "slot_requested")]
    return [one, again(events, one)]


def i5_requested_again_after_its_end(events):
    one = events[at(events, "slot_granted")]
    request = events[at(events, "slot_requested", request_id=one["request_id"])]
    return [one, again(events, request, one)]


def i5_one_slot_granted_to_two(events):
    first, second = two_grants(events)
    second["slot_id"] = first["slot_id"]
    moved(events, second, first)
    request = events[at(events, "slot_requested", request_id=second["request_id"])]
    put_before(events, request, first)
    return [first, second]


def i5_withdrawn_without_a_request(events):
    one = events[at(events, "slot_requested")]
    return [again(events, one, event="request_withdrawn", request_id="another")]


def i5_given_back_without_a_grant(events):
    one = events[at(events, "slot_released")]
    return [again(events, one, slot_id="image-9999")]


def i5_given_back_in_another_lane(events):
    one = events[at(events, "slot_released")]
    one["lane"] = "another"
    return [events[at(events, "slot_granted", slot_id=one["slot_id"])], one]


def i5_granted_in_another_lane(events):
    one = events[at(events, "slot_granted")]
    one["lane"] = "another"
    return [events[at(events, "slot_requested", request_id=one["request_id"])], one]


def i6_a_picture_left_out(events):
    one = a_session(events)
    task = one["text_written"]["placed"].pop()
    return [one["text_written"], *(e for e in one["settled"] if e["task_id"] == task)]


def i6_a_picture_too_many(events):
    one = a_session(events)["text_written"]
    one["unplaced"]["another"] = "gone"
    return [one]


def i6_a_picture_that_had_failed(events):
    one = a_session(events)
    task = one["text_written"]["placed"][0]
    settled = next(event for event in one["settled"] if event["task_id"] == task)
    settled["state"] = "failed"
    return [one["text_written"], settled]


def i6_a_picture_named_twice(events):
    one = a_session(events)
    task = one["text_written"]["placed"][0]
    one["text_written"]["unplaced"][task] = "gone"
    return [one["text_written"], *(e for e in one["settled"] if e["task_id"] == task)]


def i6_a_write_without_a_list(events):
    one = a_session(events)["text_written"]
    one["placed"] = "all"
    return [one]


def i6_a_state_that_is_none(events):
    one = a_session(events)["settled"][0]
    one["state"] = ["completed"]
    return [one]


def a_start(events):
    index = at(events, "generation_started")
    return events[index], events[at(events, "slot_granted", slot_id=events[index]["slot_id"])]


def i7_a_slot_that_never_was(events):
    one, _ = a_start(events)
    one["slot_id"] = "image-9999"
    return [one]


def i7_started_before_the_grant(events):
    one, granted = a_start(events)
    put_before(events, one, granted)
    return [one]


def i7_started_after_the_release(events):
    index = at(events, "slot_released")
    released = events[index]
    one = events[at(events, "generation_started", slot_id=released["slot_id"])]
    moved(events, one, released)
    return [released, one]


def i7_no_slot_named(events):
    one, _ = a_start(events)
    del one["slot_id"]
    return [one]


FALSIFIED = {
    name: do
    for name, do in list(globals().items())
    if name[:3] in {f"i{number}_" for number in range(1, 8)}
}


# --- the same of lanes that stand behind each other, and of lanes that come and go


def of_lane(events, lane):
    return [event for event in events if event.get("lane") == lane]


def out_in(events, lane, last):
    """Return the grants of what is out in a lane, after an event."""
    return [one for one in out_at(events, events.index(last)) if one["lane"] == lane]


def chain_i3_a_limit_of_the_further_lane_that_was_lower(events):
    lane = events[at(events, "lane_opened", lane="image")]
    lane["max_concurrent"] = 1
    for one in of_lane(events, "image"):
        if one["event"] == "slot_granted" and len(out_in(events, "image", one)) == 2:
            return [lane, *out_in(events, "image", one)]
    raise LookupError


def chain_i3_granted_in_a_lane_that_was_dropped(events):
    drop = at(events, "lane_dropped")
    lane = events[drop]["lane"]
    events.remove(events[at(events, "lane_opened", drop, lane=lane)])
    return [events[at(events, "slot_granted", drop, lane=lane)]]


def chain_i3_out_since_before_the_lane_was_dropped(events):
    drop = at(events, "lane_dropped")
    lane = events[drop]["lane"]
    opened = events[at(events, "lane_opened", drop, lane=lane)]
    granted = events[at(events, "slot_granted", drop, lane=lane)]
    before = [one for one in of_lane(events[:drop], lane) if one["event"] == "slot_granted"][-1]
    moved(events, events[at(events, "slot_released", slot_id=before["slot_id"])], granted)
    opened["max_concurrent"] = 1
    return [opened, before, granted]


def chain_i4_a_lane_dropped_too_early(events):
    drop = events[at(events, "lane_dropped")]
    opened = events[at(events, "lane_opened", lane=drop["lane"])]
    opened["min_time"] = 3_600
    grants = [one for one in of_lane(events, drop["lane"]) if one["event"] == "slot_granted"]
    return [opened, [one for one in grants if events.index(one) < events.index(drop)][-1], drop]


def chain_i4_the_further_lane_a_microsecond_too_early(events):
    lane = events[at(events, "lane_opened", lane="image")]
    first, second = [one for one in of_lane(events, "image") if one["event"] == "slot_granted"][:2]
    gap = round(lane["min_time"] * 1_000_000)
    second["t"] = (round(first["t"] * 1_000_000) + gap - 1) / 1_000_000
    return [lane, first, second]


def chain_i5_a_further_slot_never_given_back(events):
    granted = events[at(events, "slot_granted", lane="image")]
    index = next(
        index
        for index, one in enumerate(events)
        if one["event"] in {"slot_released", "slot_revoked", "slot_expired"}
        and one["slot_id"] == granted["slot_id"]
    )
    del events[index]
    return [granted, closed(events)]


def chain_i5_an_offer_taken_back_and_granted(events):
    granted = events[at(events, "slot_granted", lane="image")]
    return [granted, again(events, granted, event="request_withdrawn")]


def chain_i5_an_offer_made_again_under_the_same_name(events):
    granted = events[at(events, "slot_granted", lane="image")]
    request = events[at(events, "slot_requested", request_id=granted["request_id"])]
    return [granted, again(events, request, granted)]


def chain_i5_an_offer_without_an_end(events):
    one = events[at(events, "slot_requested", lane="image")]
    return [again(events, one, request_id="another~1"), closed(events)]


def chain_i5_an_offer_granted_in_its_own_lane(events):
    granted = events[at(events, "slot_granted", lane="image")]
    granted["lane"] = "host"
    return [
        events[at(events, "slot_requested", request_id=granted["request_id"])],
        granted,
    ]


def chain_i5_a_lane_dropped_with_a_slot_out(events):
    drop = events[at(events, "lane_dropped")]
    index = events.index(drop)
    last = [one for one in of_lane(events[:index], drop["lane"]) if "slot_id" in one][-1]
    moved(events, last, drop)
    return [events[at(events, "slot_granted", slot_id=last["slot_id"])], drop]


def chain_i7_started_after_the_slot_was_asked_back_and_given_back(events):
    asked = events[at(events, "slot_asked_back")]
    index = at(events, "slot_asked_back")
    ended = events[at(events, "slot_released", index, task_id=asked["task_id"])]
    started = events[at(events, "generation_started", slot_id=ended["slot_id"])]
    moved(events, started, ended)
    return [ended, started]


CHAINED = {name: do for name, do in list(globals().items()) if name.startswith("chain_i")}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Correct logs to falsify: a real one, and drawn ones."""
    # pictures of the real one never fail, so that each session has what is falsified
    real = real_log(tmp_path_factory.mktemp("real") / "events", generator=together())
    logs = [real, *(drawn_log(seed, kind="plain") for seed in range(4))]
    assert all(verdict(log).passed for log in logs)
    return logs


@pytest.fixture(scope="module")
def chained():
    """Correct logs of lanes that stand behind others, and of some that come and go."""
    logs = [drawn_log(seed, kind="chained") for seed in range(40)]
    assert all(verdict(log).passed for log in logs)
    return logs


def caught(rule, falsify, base):
    """Falsify a log; see that it is caught with its proof."""
    events = copy.deepcopy(base)
    proof = falsify(events)
    for seq, event in enumerate(events, 1):
        event["seq"] = seq
    found = verdict(events)
    assert not found.passed
    proven = {(one.rule, one.seqs) for one in found.violations}
    seqs = tuple(sorted(event["seq"] for event in proof))
    assert (rule, seqs) in proven, [str(one) for one in found.violations]


@pytest.mark.parametrize("name", sorted(FALSIFIED))
def test_a_falsified_log_is_caught_by_its_rule_with_the_events_that_prove_it(name, bases):
    for base in bases:
        caught(name[:2].upper(), FALSIFIED[name], base)


@pytest.mark.parametrize("name", sorted(CHAINED))
def test_a_falsified_log_of_several_lanes_is_caught_by_its_rule(name, chained):
    number = 0
    for base in chained:
        try:
            caught(name[6:8].upper(), CHAINED[name], base)
        except LookupError:
            continue  # what is to be falsified did not happen in this one
        number += 1
    assert number > 4


def test_each_rule_has_at_least_three_falsified_logs():
    number = [sum(name.startswith(f"i{rule}_") for name in FALSIFIED) for rule in range(1, 8)]
    assert min(number) >= 3
    assert len(NUMBERING) >= 3


def i8_a_line_missing(events):
    del events[9]
    return (9, 11)


def i8_a_line_twice(events):
    events.insert(9, events[9])
    return (10, 10)


def i8_two_lines_changed_over(events):
    events[9], events[10] = events[10], events[9]
    return (9, 11)


def i8_the_beginning_cut_off(events):
    del events[:5]
    return (6,)


def i8_a_run_that_begins_at_two(events):
    for event in events:
        event["seq"] += 1
    return (2,)


def i8_a_gap_named_too_small(events):
    lost = {"seq": 13, "t": 0, "event": "events_lost", "first": 11, "last": 12}
    events[:] = [*events[:9], lost, *({**one, "seq": one["seq"] + 1} for one in events[12:])]
    return (9, 13)


def i8_a_gap_named_without_its_end(events):
    events.append({"seq": len(events) + 1, "t": 0, "event": "events_lost", "first": 3})
    return (len(events),)


def i8_a_gap_that_comes_again(events):
    here = len(events)
    events.append({"seq": here, "t": 0, "event": "events_lost", "first": 2, "last": here - 1})
    return (here,)


def i8_a_gap_that_ends_elsewhere(events):
    here = len(events) + 1
    lost = {"seq": here, "t": 0, "event": "events_lost", "first": here - 1, "last": here + 5}
    events.append(lost)
    return (here,)


def i8_an_opening_that_is_missing(events):
    events += copy.deepcopy(events[1:])
    return (2, len(events) // 2 + 1)


NUMBERING = {name: do for name, do in list(globals().items()) if name.startswith("i8_")}


@pytest.mark.parametrize("name", sorted(NUMBERING))
def test_a_falsified_numbering_is_caught(name, bases):
    for base in bases:
        events = copy.deepcopy(base)
        proof = tuple(sorted(set(NUMBERING[name](events))))
        found = [one.seqs for one in verdict(events).violations if one.rule == "I8"]
        assert proof in found


def test_no_violation_of_another_rule_is_told_of_a_log_whose_beginning_is_cut_off(bases):
    for base in bases:
        for cut in range(1, len(base), 7):
            found = verdict(copy.deepcopy(base[cut:]))
            assert [one.rule for one in found.violations] == ["I8"], (cut, found.violations)


def test_grants_exactly_min_time_apart_pass(bases):
    events = copy.deepcopy(bases[1])
    i4_a_microsecond_too_early(events)
    second = two_grants(events)[1]
    assert rules(verdict(events)) == {"I4"}
    second["t"] += 0.000_001
    assert verdict(events).passed


@pytest.mark.parametrize("seed", range(20))
def test_a_named_gap_anywhere_accuses_nobody_falsely(seed):
    rng = random.Random(seed)
    for _ in range(20):
        events = with_gap(rng, Run(rng, "r").play(killed=rng.random() < 0.5))
        assert verdict(events).passed


def test_what_the_events_prove_after_a_named_gap_is_still_caught():
    def event(seq, name, **fields):
        return {"seq": seq, "t": seq, "event": name, **fields}

    lane = {"lane": "image", "max_concurrent": 1, "min_time": 0}
    events = [
        event(1, "studio_opened"),
        event(2, "lane_opened", **lane),
        event(3, "session_opened", session_id="s"),
        event(6, "events_lost", first=4, last=5),
        event(7, "text_written", session_id="s", placed=[], unplaced={}),
        event(8, "text_written", session_id="s", placed=[], unplaced={}),
        event(9, "slot_granted", request_id="r1", slot_id="1", lane="image", weight=1),
        event(10, "slot_granted", request_id="r1", slot_id="2", lane="image", weight=1),
        event(11, "lane_updated", **lane),
        event(12, "slot_granted", request_id="r3", slot_id="3", lane="image", weight=1),
        event(13, "slot_released", slot_id="3", lane="image"),
        event(14, "generation_started", slot_id="3"),
    ]
    found = verdict(events)
    assert [(one.rule, one.seqs) for one in found.violations] == [
        ("I1", (7, 8)),
        ("I5", (9, 10)),
        ("I3", (9, 10, 11, 12)),
        ("I7", (13, 14)),
    ]
    assert (found.lost, found.unchecked) == (2, 2)


def test_what_is_open_across_a_named_gap_is_counted_until_the_studio_closes():
    def open_at(number):
        return verdict(log[:number]).open_sessions, verdict(log[:number]).open_requests

    lost = {"event": "events_lost", "first": 4, "last": 4}
    log = [
        {"seq": 1, "event": "studio_opened"},
        {"seq": 2, "event": "session_opened", "session_id": "s"},
        {"seq": 3, "event": "slot_requested", "request_id": "r", "lane": "image"},
        {"seq": 5, **lost},
        {"seq": 6, "event": "request_withdrawn", "request_id": "r", "lane": "image"},
        {"seq": 7, "event": "studio_closed"},
    ]
    log = [{"t": 0, **event} for event in log]
    assert [open_at(number) for number in (3, 4, 5, 6)] == [(1, 1), (1, 1), (1, 0), (0, 0)]
    assert verdict(log).passed


def test_a_run_that_was_killed_is_counted_and_no_violation(bases):
    for base in bases:
        for cut in range(2, len(base) - 1, 5):
            found = verdict(base[:cut])
            assert found.passed, found.violations
            slots = len(out_at(base, cut - 1))
            assert found.open_slots == slots
            twice = verdict([*base[:cut], *base])
            assert twice.passed
            assert (twice.runs, twice.open_slots) == (2, slots)


def test_a_log_is_judged_in_bounded_memory_and_violations_are_counted_past_those_kept():
    audit = Audit()
    audit.feed({"seq": 1, "t": 0, "event": "studio_opened"})
    for seq in range(2, 60_002):
        name = f"{seq // 2}"
        event = "session_opened" if seq % 2 == 0 else "session_ended"
        audit.feed({"seq": seq, "t": 0, "event": event, "session_id": name, "outcome": "failed"})
        audit.feed({"seq": seq, "t": 0, "event": "slot_released", "slot_id": name, "lane": "x"})
    assert len(audit._session_rules.open) == 0
    sessions, lanes = audit._session_rules, audit._lane_rules
    for recent in (sessions.ended, sessions.late, lanes.ended_slots):
        assert len(recent) <= 2 * findings.REMEMBERED
    found = audit.finish()
    assert len(found.violations) == findings.KEPT
    assert found.number > 60_000


def test_an_end_that_comes_again_long_after_is_still_noticed(monkeypatch):
    monkeypatch.setattr(findings, "REMEMBERED", 2)
    log = [{"event": "studio_opened"}]
    for number in (*range(20), 0):
        whose = {"session_id": f"{number}", "outcome": "cancelled"}
        log += [{"event": "session_opened", **whose}, {"event": "session_ended", **whose}]
    del log[-2]
    found = verdict([{"seq": seq, "t": 0, **event} for seq, event in enumerate(log, 1)])
    assert [(one.rule, one.seqs) for one in found.violations] == [("I1", (42,))]


def test_a_part_that_failed_leaves_its_slots_out_without_being_accused():
    events = [
        {"event": "studio_opened"},
        {"event": "lane_opened", "lane": "image", "max_concurrent": None, "min_time": 0.0},
        {"event": "slot_requested", "lane": "image", "request_id": "r"},
        {"event": "slot_granted", "lane": "image", "request_id": "r", "slot_id": "s", "weight": 9},
        {"event": "studio_closed", "cause": "RuntimeError: poisoned"},
        {"event": "actor_failed", "actor": "studio"},
    ]
    events = [{"seq": seq, "t": 0, **event} for seq, event in enumerate(events, 1)]
    assert verdict(events).passed
    events[4]["cause"] = None
    assert [(one.rule, one.seqs) for one in verdict(events).violations] == [("I5", (4, 5))]


@pytest.mark.parametrize("field", ["session_id", "task_id", "lane", "request_id", "slot_id"])
@pytest.mark.parametrize("value", [None, 7, [], {}, "x" * 10_000, "\x1b[2J", True])
def test_fields_of_any_type_give_lines_and_never_a_traceback(field, value, bases):
    for base in bases[:2]:
        events = [{**event, field: value} if field in event else event for event in base]
        for one in verdict(events).violations:
            assert "\x1b" not in str(one)
            assert "\n" not in str(one)
            assert len(str(one)) < 600


@pytest.mark.parametrize("seed", range(5))
def test_scrambled_fields_give_violations_and_never_a_traceback(seed, bases):
    rng = random.Random(seed)
    for base in bases:
        events = copy.deepcopy(base)
        for event in rng.sample(events, 30):
            field = rng.choice(
                [name for name in event if name not in {"seq", "t", "event"}] or [""]
            )
            event[field] = rng.choice([None, -1, 2**70, 0.5, "", "image", [1], {"a": 1}, [None]])
        assert verdict(events).runs == 1


def test_a_violation_is_one_line_with_rule_sentence_numbers_and_run(bases):
    events = copy.deepcopy(bases[1])
    i1_two_ends(events)
    found = verdict([*copy.deepcopy(bases[1]), *renumbered(events)])
    (one,) = found.violations
    assert one.run == 2
    name = events[one.seqs[0] - 1]["session_id"]
    assert str(one) == f"I1 session {name} ends twice (seq {one.seqs[0]}, {one.seqs[1]}, run 2)"


@pytest.mark.parametrize("made", ["keep_failed", "generation_completed"])
def test_a_picture_that_was_made_is_not_generated_again(made):
    events = [
        {"event": "studio_opened"},
        {"event": "session_opened", "session_id": "s"},
        {"event": made, "session_id": "s", "task_id": "t"},
        {"event": "generation_started", "session_id": "s", "task_id": "other", "slot_id": "1"},
        {"event": "generation_started", "session_id": "s", "task_id": "t", "slot_id": "1"},
        {"event": "session_ended", "session_id": "s", "outcome": "failed"},
        {"event": "generation_started", "session_id": "s", "task_id": "t", "slot_id": "1"},
    ]
    events = [{"seq": seq, "t": 0, **event} for seq, event in enumerate(events, 1)]
    found = [violation for violation in verdict(events).violations if violation.rule == "I13"]
    assert [violation.seqs for violation in found] == [(3, 5)]


def test_a_late_picture_does_not_forbid_the_call_that_replaces_it():
    events = [
        {"event": "studio_opened"},
        {"event": "generation_late", "session_id": "s", "task_id": "t"},
        {"event": "generation_started", "session_id": "s", "task_id": "t", "slot_id": "1"},
    ]
    events = [{"seq": seq, "t": 0, **event} for seq, event in enumerate(events, 1)]
    assert "I13" not in {violation.rule for violation in verdict(events).violations}


def test_a_picture_of_a_request_that_was_taken_back_is_in_no_text():
    def broken(*placed, session="s"):
        events = [
            {"event": "studio_opened"},
            {"event": "request_taken_back", "session_id": "s", "tasks": ["a", "b"]},
            {"event": "text_written", "session_id": session, "placed": list(placed)},
        ]
        events = [{"seq": seq, "t": 0, **event} for seq, event in enumerate(events, 1)]
        found = [violation for violation in verdict(events).violations if violation.rule == "I15"]
        return [violation.seqs for violation in found]

    assert broken("c", "b") == [(2, 3)]
    assert broken("c") == broken("a", session="other") == broken(None, 3, ["a"]) == []


def write_with_failures(failed, *, own=()):
    """Return a log of a write that places a picture of prompt `p`, task `t`."""
    tasks = {"t": "p", "u": "q", **dict.fromkeys(own, "p")}
    events = [
        {"event": "studio_opened"},
        *(
            {"event": "picture_wanted", "session_id": "s", "task_id": task, "prompt_id": prompt}
            for task, prompt in tasks.items()
        ),
        {"event": "text_written", "session_id": "s", "placed": ["t"], "failures": failed},
    ]
    return [{"seq": seq, "t": 0, **event} for seq, event in enumerate(events, 1)]


def test_the_mark_of_a_failure_goes_with_a_write_that_places_a_picture_of_its_prompt():
    def broken(*args, **named):
        found = verdict(write_with_failures(*args, **named)).violations
        return [violation.seqs for violation in found if violation.rule == "I16"]

    assert broken(["p:before"]) == [(2, 4)]
    assert broken(["q:before", "r:before"]) == []
    assert broken(["p:v"], own=["v"]) == []
    assert broken([]) == broken(None) == broken([3, ""]) == []


def circuit_events(*events, patience=2):
    """Return a log of lane `image` whose circuit has these events at each second."""
    opened = {"event": "lane_opened", "max_concurrent": 3, "min_time": 0}
    rest = [{"event": name, "request_id": request} for name, request in events]
    log = [{"event": "studio_opened"}, {**opened, "circuit_patience": patience}, *rest]
    return [
        {"seq": seq, "t": float(seq), "lane": "image", "weight": 1, "slot_id": f"s{seq}", **event}
        for seq, event in enumerate(log, 1)
    ]


FAILED_PROBE = (("circuit_half_open", None), ("circuit_open", None))
GIVEN_UP = (("circuit_open", None), *FAILED_PROBE, *FAILED_PROBE)


def rules_broken(events):
    return [
        (violation.rule, violation.seqs)
        for violation in verdict(events).violations
        if violation.rule == "I14"
    ]


def test_what_waited_while_two_probes_failed_is_not_granted():
    waits = ("slot_requested", "r1")
    assert rules_broken(circuit_events(waits, *GIVEN_UP, ("slot_granted", "r1"))) == [
        ("I14", (8, 9))
    ]


@pytest.mark.parametrize(
    ("events", "patience"),
    [
        ((("slot_requested", "r1"), *GIVEN_UP[:3], ("slot_granted", "r1")), 2),
        ((("slot_requested", "r1"), *GIVEN_UP, ("slot_granted", "r1")), None),
        ((("slot_requested", "r1"), *GIVEN_UP, ("slot_granted", "r1")), 3),
        ((*GIVEN_UP, ("slot_requested", "r1"), ("slot_granted", "r1")), 2),
        (
            (
                ("slot_requested", "r1"),
                *GIVEN_UP[:3],
                ("circuit_closed", None),
                *GIVEN_UP[:3],
                ("slot_granted", "r1"),
            ),
            2,
        ),
    ],
    ids=["one probe", "no patience", "more patience", "it came after", "it worked between"],
)
def test_a_circuit_that_has_not_given_up_may_grant(events, patience):
    assert rules_broken(circuit_events(*events, patience=patience)) == []
