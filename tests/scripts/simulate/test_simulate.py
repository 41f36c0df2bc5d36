"""`limner simulate`, as it is used."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import orjson
import pykka
import pytest
from support.invariants import violations
from support.quick import first_is_quick

from limner.messages.errors import SlotRefused, StudioClosed
from limner.messages.pictures import Illustrated
from limner.scripts.app import run
from limner.scripts.signals import interrupted_between_steps
from limner.scripts.simulate import seeds as seeds_module
from limner.scripts.simulate.calls import complaint, unanswered
from limner.scripts.simulate.draws import Draws
from limner.scripts.simulate.expectations import broken_expectations
from limner.scripts.simulate.parameters import draw_parameters
from limner.scripts.simulate.plans import plan_message
from limner.scripts.simulate.run import simulate
from limner.scripts.simulate.scenario import load_scenario
from limner.scripts.simulate.seeds import run_seeds

COMMAND = [sys.executable, "-m", "limner.scripts.app", "simulate"]
SEEDS = 120
AT_ONCE = 60


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    return tmp_path


def test_the_same_seed_gives_the_same_log_byte_for_byte(folder):
    arguments = ["simulate", "--scenario", "chaos", "--messages", "150", "--seed", "7"]
    for name in ("a", "b"):
        assert run([*arguments, "--events", name]) == 0
    first = (folder / "a").read_bytes()
    assert first == (folder / "b").read_bytes()
    assert run([*arguments, "--events", "a"]) == 0  # in place of what was there
    assert first == (folder / "a").read_bytes()
    assert run([*arguments[:-1], "8", "--events", "b"]) == 0
    assert first != (folder / "b").read_bytes()


def test_the_log_is_one_that_another_reading_of_the_invariants_accepts(folder):
    assert (
        run(["simulate", "--messages", "60", "--scenario", "flaky-backend", "--events", "a"]) == 0
    )
    events = [orjson.loads(line) for line in (folder / "a").read_bytes().splitlines()]
    assert violations(events) == []
    names = {event["event"] for event in events}
    assert {"generation_failed", "generation_retried", "call_abandoned", "studio_closed"} <= names


def test_a_seed_is_reported_as_a_person_reads_it(capsys):
    assert run(["simulate", "--scenario", "quiet", "--seed", "4"]) == 0
    said = capsys.readouterr().out
    for part in (
        "seed 4: 100 messages",
        "hosts: 100 written",
        "waiting for a slot",
        "p99",
        "messages  100 written",
        "audit: passed, I1 to I8 and I13 to I22 hold",
    ):
        assert part in said


def search(seeds, number):
    """Run seeds of `chaos`, and return those that failed."""
    before = set(threading.enumerate())
    results = list(run_seeds(load_scenario("chaos"), seeds))
    assert sorted(result.seed for result in results) == sorted(seeds)
    assert len(results) == number
    assert pykka.ActorRegistry.get_all() == []
    assert [thread for thread in threading.enumerate() if thread not in before] == []
    return {
        f"limner simulate --scenario chaos --seed {result.seed}": result.problems
        for result in results
        if result.problems
    }


def test_the_chaos_has_all_that_lanes_do(folder):
    scenario, happened = load_scenario("chaos"), Counter()
    for seed in range(20):
        assert simulate(scenario, seed, events=folder / f"{seed}").problems == []
        for line in (folder / f"{seed}").read_bytes().splitlines():
            event = orjson.loads(line)
            name, request = event["event"], event.get("request_id", "")
            happened[name] += 1
            happened[f"{name} further on"] += "~" in request
            happened[f"{name} of a batch"] += bool(event.get("requests"))
            happened[f"{name} of a call"] += request.startswith("call-")
    further = ("slot_granted", "request_withdrawn", "slot_expired")
    for name in (
        *("lane_opened", "lane_dropped", "lane_updated", "lane_paused", "lane_resumed"),
        *("circuit_open", "circuit_half_open", "circuit_closed"),
        *("slot_asked_back", "slot_revoked", "slot_granted of a batch", "slot_granted of a call"),
        *(f"{name} further on" for name in further),
    ):
        assert happened[name] > 0, name


def test_what_a_host_may_complain_of_its_own_calls():
    def ended(value):
        future = pykka.ThreadingFuture()
        if isinstance(value, BaseException):
            future.set_exception((type(value), value, None))
        elif value is not None:
            future.set(value)
        return future

    assert complaint(7, ended(7)) is None
    assert complaint(7, ended(SlotRefused("high water"))) is None
    assert complaint(7, ended(8)) == "call 7 of a host gave 8"
    assert complaint(7, ended(KeyError("x"))) == "call 7 of a host raised KeyError('x')"
    answered = {1: ended(1), 2: ended(StudioClosed("over"))}
    assert unanswered(answered) is None
    left = unanswered({**answered, 3: ended(None)})
    assert left == "1 calls of hosts were never answered, such as 3"


def test_parts_that_fail_at_any_moment_close_their_studio_and_no_more():
    scenario = load_scenario("chaos", ["messages=3", "faults.part_fails=1"])
    for seed in range(12):
        assert simulate(scenario, seed).problems == []


@pytest.mark.parametrize("first", first_is_quick(range(0, SEEDS, AT_ONCE)))
def test_no_seed_of_a_fixed_set_breaks_anything(first):
    assert search(range(first, first + AT_ONCE), AT_ONCE) == {}


FOUND = {
    221: "a prompt that failed before the text was replaced",
    817: "another one",
    115: "a host's call whose answer was lost as the caller failed",
    3_000_004_825: "a lane that waits for a late timer while what may be granted in it changes",
    4667: "a studio whose root fails as it opens, as the seeds were drawn then",
}


@pytest.mark.parametrize("seed", FOUND, ids=FOUND.get)
def test_a_seed_that_once_failed_passes(seed):
    assert simulate(load_scenario("chaos"), seed).problems == []


def test_a_scenario_without_faults_ends_every_message_well():
    for seed in range(6):
        report = simulate(load_scenario("quiet", ["messages=40"]), seed)
        assert report.passed
        assert report.outcomes == {"written": 40}


def test_a_run_on_real_threads_is_audited_too(capsys):
    before = set(threading.enumerate())
    values = ("generation.median=0.01", "arrivals.every=0.01", "texts.rate=100000")
    arguments = [word for value in values for word in ("--set", value)]
    assert run(["simulate", "--real", "--messages", "30", *arguments]) == 0
    assert "audit: passed" in capsys.readouterr().out
    assert set(threading.enumerate()) <= before


def test_many_seeds_are_summed_up_and_failing_ones_named(capsys):
    assert run(["simulate", "--scenario", "chaos", "--messages", "5", "--seeds", "0..9"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("10 seeds, ")
    assert said.endswith("no seed failed\n")


def test_what_fails_is_named_with_the_command_that_repeats_it(capsys):
    # more turns than a simulation may take without an end
    arguments = ["--messages", "3", "--set", "texts.rate=1", "--set", "texts.prompts=0"]
    impossible = [*arguments, "--set", "texts.words=[1000, 1000]", "--set", "patience.deadline=1"]
    from limner.scripts.simulate import run as simulation

    before, simulation.TURNS_A_MESSAGE = simulation.TURNS_A_MESSAGE, 1
    try:
        assert run(["simulate", *impossible, "--seeds", "4..4"]) == 1
    finally:
        simulation.TURNS_A_MESSAGE = before
    said = capsys.readouterr().out
    assert "seed 4 failed; repeat it with: limner simulate --messages 3 --set texts.rate=1" in said
    assert "--seed 4\n" in said
    assert "stuck: 103 turns were taken" in said
    assert said.endswith("\n1 seed failed\n")


def test_a_log_that_is_cut_short_is_a_problem(folder):
    program = 'ulimit -f 8; exec "$@"'
    done = subprocess.run(
        ["bash", "-c", program, "bash", *COMMAND, "--messages", "60", "--events", "a"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the event log is incomplete" in done.stdout


def test_a_log_is_written_to_where_a_link_leads(folder):
    (folder / "link").symlink_to("target")
    assert run(["simulate", "--messages", "3", "--events", "link"]) == 0
    assert (folder / "link").is_symlink()
    assert (folder / "target").stat().st_size > 500


def test_output_that_cannot_be_written_gets_one_line():
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        done = subprocess.run(
            [*COMMAND, "--messages", "3"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_standard_output_that_is_closed_gets_one_line():
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "--messages", "3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("limner: standard output is closed")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--first"], "go with --seeds"),
        (["--events", "precious.txt/a/b"], "cannot be written"),
        (["--set", "arrivals.hours=[nan]"], "arrivals.hours"),
        (["--set", "messages=1\nabout='x'"], "give one value"),
        (["--seeds", "5..1"], "write two numbers as in 0..999"),
        (["--seeds", "a..b"], "write two numbers as in 0..999"),
        (["--seeds", "0..99999999"], "write two numbers as in 0..999"),
        (["--seeds", "0..1", "--seed", "3"], "--seeds goes without"),
        (["--scenario", "nonesuch"], "there is no scenario 'nonesuch'"),
        (["--messages", "0"], "messages: "),
        (["--messages", "many"], "valid integer"),
        (["--events", "precious.txt"], "no event log"),
        (["--events", "."], "is not a file"),
    ],
)
def test_a_wrong_use_gets_one_line(folder, capsys, arguments, said):
    (folder / "precious.txt").write_text("my only copy\n")
    assert run(["simulate", *arguments]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert (folder / "precious.txt").read_text() == "my only copy\n"


def the_progress(process):
    """Wait until several lines of progress were printed."""
    assert process.stderr.readline().startswith("simulating: ")


def its_first_process(process):
    """Wait until it has just begun to start processes."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("there is no /proc that tells the processes of a process")
    # the first is Python's own, which removes what processes leave
    while process.poll() is None and len(children.read_text().split()) < 2:
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("how", "seen"),
    [
        (["--messages", "1000000"], the_progress),
        (["--messages", "1000000", "--real"], the_progress),
        (["--seeds", "0..99999"], the_progress),
        (["--seeds", "0..99999"], its_first_process),
    ],
)
def test_ctrl_c_ends_it_at_once_and_leaves_nothing(how, seen, tmp_path):
    with subprocess.Popen(
        [*COMMAND, "--scenario", "chaos", *how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        try:
            seen(process)
            os.killpg(process.pid, signal.SIGINT)
            # to the end of both streams, which every process that it has started holds too
            out, err = process.communicate(timeout=60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    said = [line for line in err.splitlines() if not line.startswith("simulating: ")]
    assert said == ["limner: interrupted"]
    assert "Traceback" not in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["submit", "wait"])
def test_ctrl_c_does_not_break_into_the_pool_of_processes(place, monkeypatch):
    """The pool may hold a lock there, which would never be released."""
    passed = []

    def interrupted(original):
        def call(*arguments):
            if not passed:  # the third one would end this process
                signal.raise_signal(signal.SIGINT)
                passed.append(place)
            return original(*arguments)

        return call

    if place == "wait":
        monkeypatch.setattr(seeds_module, "wait", interrupted(seeds_module.wait))
    else:
        pool = seeds_module.ProcessPoolExecutor
        monkeypatch.setattr(pool, "submit", interrupted(pool.submit))
    with interrupted_between_steps() as step, pytest.raises(KeyboardInterrupt):
        list(run_seeds(load_scenario("quiet"), range(1_000), 2, step))
    assert passed


def planned(**overrides):
    given = [f"{name.replace('__', '.')}={value}" for name, value in overrides.items()]
    draws = Draws(1)
    params = draw_parameters(load_scenario("quiet", ["texts.prompts=3", *given]), draws)
    return plan_message(1, (), params, draws("plans"))


def ended(plan):
    """Return the result of a plan in a studio on the real system."""
    from limner.actors import Settings, Studio
    from limner.actors.generators import Instant
    from limner.actors.stores import MemoryStore

    with Studio.open(Settings(), store=MemoryStore(), generator=Instant()) as studio:
        return studio.illustrate(plan.message_id, plan.text).get(timeout=60)


def test_what_a_host_may_complain_of():
    plan = planned()
    good = ended(plan)

    def complaints(result, **flags):
        flags = {"faultless": True, "may_be_cut": False, **flags}
        return " ".join(broken_expectations(plan, result, **flags))

    assert complaints(good) == ""
    assert "prompts" in complaints(
        good.but(pictures=good.pictures[1:], text=plan.text.replace(plan.text, without(good, 0)))
    )
    assert "2 times in the text" in complaints(good.but(text=good.text + marks(good)[0]))
    assert "not what was streamed" in complaints(good.but(text=good.text + "!"))
    assert "not what was streamed" in complaints(good.but(text=good.text[:-1]))
    assert complaints(good.but(text=good.text[:-1]), may_be_cut=True) == ""
    assert "raised ValueError" in complaints(ValueError("x"))
    assert complaints(good.but(written=False)) == ""
    assert isinstance(good, Illustrated)


def marks(result):
    from limner.messages.text.compose import mark

    return [mark(placement, "html") for placement in result.pictures]


def without(result, index):
    return result.text.replace(marks(result)[index], "")
