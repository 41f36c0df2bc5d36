"""The limiter's benchmark does the whole work, and its arithmetic is right. Nothing is timed."""

import os
import shutil
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import pytest
from rich.console import Console

from limner.messages.limiter.lane import Lane
from limner.scripts.bench import limiter_slots, limiter_speed
from limner.scripts.bench.apart import apart
from limner.scripts.bench.limiter_lane import (
    BusyLane,
    Cycles,
    Growth,
    Owners,
    cycles,
    growth,
    requests,
    times_the_logarithm,
)
from limner.scripts.bench.limiter_peer import NoPeer, Peer, installed
from limner.scripts.bench.limiter_report import LimiterReport
from limner.scripts.bench.limiter_slots import SlotUse, Spacing, slot_use, spacing
from limner.scripts.bench.limiter_speed import Speed, Way, by_schedule
from limner.scripts.bench.limiter_speed import run as run_limner
from limner.scripts.bench.workload import BenchFailed


def command(*arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "limner.scripts.app", "bench", "limiter", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "PATH": path},
    )


def test_the_command_measures_every_part_and_says_where_bottleneck_is_missing(
    tmp_path: Path,
) -> None:
    done = command(
        *("--jobs", "40", "--cycles", "100", "--waiting", "1000", "--slot-jobs", "8"),
        *("--grants", "3", "--rounds", "1", "--json"),
        path=str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    report = LimiterReport.model_validate_json(done.stdout)
    assert [standing.name.split(",")[1] for standing in report.speed] == [" schedule"] * 4 + [
        " actor"
    ] * 4
    assert report.scheduler[0].name == "uncontended"
    assert len(report.scheduler) == 4
    assert {growth.owners for growth in report.growth} == {Owners.ONE, Owners.EACH}
    assert report.slots is not None
    assert report.spacing is not None
    assert report.spacing.early == 0
    assert report.notes[-1] == "Bottleneck was not run: there is no node here"
    assert [bar.met for bar in report.bars[:2]] == [None, None]


def test_a_part_can_be_measured_alone_and_is_shown_with_its_bars() -> None:
    done = command("--only", "scheduler", "--cycles", "100", "--rounds", "2")
    assert done.returncode == 0, done.stderr
    assert "1,000 waiting, each its own owner" in done.stdout
    assert "from grant to start, p99: not measured" in done.stdout


@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize("at_once", [0, 7])
def test_every_job_is_run_once_and_the_log_tells_of_it(way: Way, at_once: int) -> None:
    speed = run_limner(way, at_once, 50)
    assert (speed.jobs, speed.at_once, speed.way) == (50, at_once, way)
    assert speed.per_second > 0


def test_jobs_that_were_not_all_run_give_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        limiter_speed, "by_schedule", lambda *arguments: by_schedule(*arguments) - 1
    )
    with pytest.raises(BenchFailed, match="not every job"):
        run_limner(Way.SCHEDULE, 0, 10)


def test_a_log_that_does_not_tell_of_every_job_gives_no_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fewer(way: Way, at_once: int, jobs: int, log: Path) -> float:
        log.write_text('{"event":"slot_released"}\n' * (jobs - 1))
        return 1.0

    monkeypatch.setattr(limiter_speed, "timed", fewer)
    with pytest.raises(BenchFailed, match="tells of 9 jobs, where 10 were run"):
        run_limner(Way.ACTOR, 0, 10)


@pytest.mark.parametrize("waiting", [0, 20])
@pytest.mark.parametrize("owners", list(Owners))
def test_the_scheduler_goes_through_its_cycles(waiting: int, owners: Owners) -> None:
    lap = cycles(waiting, owners, 200)
    assert (lap.waiting, lap.owners) == (waiting, owners)
    assert lap.per_second > 0


def test_a_scheduler_that_grants_nothing_gives_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    lane, source = BusyLane(), requests(Owners.ONE)
    lane.fill(list(islice(source, 8)))
    monkeypatch.setattr(Lane, "grant_ready", lambda *_: [])
    with pytest.raises(BenchFailed, match="7 wait and 1 are out, where"):
        lane.cycle(list(islice(source, 2)))


def test_memory_is_that_of_the_requests_which_wait() -> None:
    few, many = growth(100, Owners.EACH, 10), growth(1_000, Owners.EACH, 10)
    assert 0 < few.lane_bytes < few.request_bytes
    assert few.request_bytes / 2 < many.request_bytes < few.request_bytes * 2


def grown(waiting: int, micros: float) -> Growth:
    return Growth(
        waiting=waiting, owners=Owners.ONE, request_bytes=100, lane_bytes=50, micros=micros
    )


def test_a_cost_is_held_against_the_logarithm_of_what_waits() -> None:
    assert times_the_logarithm([grown(1_000, 3), grown(1_000_000, 6)]) == pytest.approx(1)
    assert times_the_logarithm([grown(100, 2), grown(10_000, 8), grown(1_000, 3)]) == pytest.approx(
        2
    )
    assert times_the_logarithm([grown(1_000, 3)]) is None
    assert times_the_logarithm([]) is None


def test_slots_are_used_and_calls_begin_after_their_grants() -> None:
    used = slot_use(6)
    assert used.jobs == 6
    assert 0 < used.use <= 1
    assert 0 <= used.start_median <= used.start_p99


def test_a_grant_that_is_early_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    times = (0, 0.02, 0.039999, 0.0624)
    records = [{"event": "slot_granted", "t": t} for t in times]
    monkeypatch.setattr(limiter_slots, "logged", lambda *_, **__: (1.0, records))
    kept = spacing(4)
    assert (kept.grants, kept.early) == (4, 1)
    assert kept.shortest == pytest.approx(19.999)
    assert kept.mean == pytest.approx(20.8)


def test_what_fails_in_a_process_of_its_own_is_told_in_a_line() -> None:
    assert apart(divmod, 7, 2) == (3, 1)
    with pytest.raises(BenchFailed, match="divmod: ZeroDivisionError"):
        apart(divmod, 1, 0)
    with pytest.raises(BenchFailed, match="_exit was killed"):
        apart(os._exit, 3)
    with pytest.raises(BenchFailed, match=r"sleep took longer than 0\.2 s"):
        apart(time.sleep, 60, limit=0.2)


def speaking(folder: Path, says: str) -> Peer:
    """Return a peer whose node prints a text."""
    node = folder / "node"
    node.write_text(f"#!/bin/sh\n{says}\n")
    node.chmod(0o755)
    return Peer(str(node), folder)


SAID = '"version":"2.19.5","node":"v20.1.0"'


@pytest.mark.parametrize(
    "says",
    [
        "echo nothing",
        "true",
        f'echo \'{{"seconds":0,"sum":45,{SAID}}}\'',
        f'echo \'{{"seconds":"1","sum":45,{SAID}}}\'',
        f'echo \'{{"seconds":1e999,"sum":45,{SAID}}}\'',
        f'echo \'{{"seconds":1,"sum":44,{SAID}}}\'',
        f'echo \'{{"seconds":1,"sum":45,"more":1,{SAID}}}\'',
        f'echo \'{{"seconds":1,"sum":45,{SAID.replace("2.19.5", "2.18.0")}}}\'',
        f'echo \'{{"seconds":1,"sum":45,{SAID.replace("v20", "x")}}}\'',
        "printf '\\033[31mred' >&2; exit 3",
    ],
)
def test_a_peer_that_says_something_else_is_not_believed(tmp_path: Path, says: str) -> None:
    with pytest.raises(BenchFailed, match="^bottleneck") as caught:
        speaking(tmp_path, says).run("schedule", 0, 10)
    assert "\x1b" not in str(caught.value)


def test_a_peer_that_says_what_it_must_is_believed(tmp_path: Path) -> None:
    peer = speaking(tmp_path, f'echo \'{{"seconds":0.5,"sum":45,{SAID}}}\'')
    speed = peer.run("light wrap", 30, 10)
    assert speed.per_second == 20
    assert speed.name == "bottleneck, light wrap, 30 at a time"
    assert peer.version == "v20.1.0"


def test_without_npm_or_the_package_there_is_no_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, reason in (("node", "there is no node"), ("npm", "there is no npm")):
        with pytest.raises(NoPeer, match=reason), installed():
            pass
        program = tmp_path / name
        program.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
        program.chmod(0o755)
    with pytest.raises(NoPeer, match="npm cannot fetch it: no network"), installed():
        pass


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not here")
def test_bottleneck_runs_every_job_in_every_way() -> None:
    try:
        with installed() as peer:
            for way in ("schedule", "wrap", "light schedule", "light wrap"):
                assert peer.run(way, 5, 20).jobs == 20
            assert peer.run("schedule", 0, 20).at_once == 0
            assert peer.version.startswith("v")
    except NoPeer as error:
        pytest.skip(str(error))


def speed(contender: str, way: str, seconds: float, at_once: int = 0) -> Speed:
    return Speed(contender=contender, way=way, at_once=at_once, jobs=1_000, seconds=seconds)


def test_the_report_compares_the_best_way_of_each() -> None:
    report = LimiterReport.of(
        speeds=[
            *(speed("limner", "actor", seconds) for seconds in (0.05, 0.1, 0.2)),
            speed("limner", "actor", 0.5, at_once=30),
            speed("limner", "schedule", 0.25),
            speed("bottleneck", "schedule", 10),
            speed("bottleneck", "wrap", 4),
        ],
        cycles=[
            Cycles(waiting=0, owners=Owners.SEVEN, per_second=100_000),
            Cycles(waiting=1_000, owners=Owners.SEVEN, per_second=99_000),
        ],
        growth=[grown(1_000, 3), grown(1_000_000, 6.3)],
        slots=SlotUse(jobs=400, use=0.98, bare_use=0.99, start_median=0.1, start_p99=2),
        spacing=Spacing(grants=500, early=1, shortest=19.9, mean=20.6, bare_mean=20.2),
        notes=["a note"],
    )
    assert (report.speed[0].median, report.speed[0].slowest) == (10_000, 5_000)
    assert [bar.met for bar in report.bars] == [
        *(True, False),
        *(True, False),
        *(False, None),
        *(True, False),
        *(False, True),
    ]
    console = Console(width=120)
    with console.capture() as captured:
        report.show(console)
    lines = captured.get().splitlines()
    assert "at least 40 x bottleneck, by actor: 40, met" in lines
    assert "at least 40 x bottleneck, by schedule: 16, NOT met" in lines
    assert lines[-4:] == [
        "the best way: bottleneck, wrap, all up front",
        "the best way: limner, actor, all up front",
        "the best way: limner, schedule, all up front",
        "a note",
    ]
