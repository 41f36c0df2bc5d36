"""The baselines do the whole work, and the report's arithmetic is right. Nothing is timed here."""

import json
import resource
import subprocess
import sys
import threading

import pykka
import pytest
from rich.console import Console

from limner.actors.generators.instant import Instant
from limner.actors.generators.protocol import Cancelled
from limner.actors.stores.memory import MemoryStore
from limner.messages.errors import GenerationFailed, SettingsInvalid
from limner.messages.pictures import PictureBytes
from limner.messages.tasks import Task
from limner.messages.text.scanner import find_prompts
from limner.scripts.bench import asyncio_peer
from limner.scripts.bench.asyncio_peer import run_asyncio
from limner.scripts.bench.measure import CONTENDERS, Figures, Load, Name, measure, measure_apart
from limner.scripts.bench.report import Report
from limner.scripts.bench.threads_messages import ReleaseSlot, RequestSlot, SlotGranted, StreamEnded
from limner.scripts.bench.threads_peer import Limiter, run_threads, tell_if_alive
from limner.scripts.bench.workload import (
    BenchFailed,
    Contender,
    Stopwatch,
    Workload,
    resident_bytes,
)

LOAD = Load(messages=20, chunks=12, prompts=1, slots=2)
PEERS = pytest.mark.parametrize("peer", [run_threads, run_asyncio])


def command(*arguments: str, address_space: int | None = None) -> subprocess.CompletedProcess[str]:
    def bound() -> None:
        if address_space is not None:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
            resource.setrlimit(resource.RLIMIT_STACK, (8 * 2**20, 8 * 2**20))

    return subprocess.run(
        [sys.executable, "-m", "limner.scripts.bench.stream", *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=bound,
    )


@PEERS
def test_a_peer_writes_every_text_with_its_pictures(peer: Contender) -> None:
    work, store, stopwatch = LOAD.workload(), MemoryStore(), Stopwatch(resident_bytes)
    peer(work, store, Instant(), stopwatch)
    work.check(store)
    assert set(store.texts) == set(work.ids)
    assert stopwatch.seconds > 0


@PEERS
def test_a_peer_takes_several_prompts_and_none(peer: Contender) -> None:
    for prompts in (0, 3):
        work = Workload(messages=3, chunks=50, prompts=prompts, slots=1)
        store = MemoryStore()
        peer(work, store, Instant(), Stopwatch(resident_bytes))
        work.check(store)


@PEERS
def test_a_peer_writes_what_was_fed_and_adds_but_pictures(peer: Contender) -> None:
    work, store = Workload(messages=2, chunks=30, prompts=0, slots=1), MemoryStore()
    peer(work, store, Instant(), Stopwatch(resident_bytes))
    assert tuple(store.texts[message_id] for message_id in work.ids) == work.texts


@PEERS
def test_a_peer_leaves_no_thread(peer: Contender) -> None:
    before = set(threading.enumerate())
    peer(LOAD.workload(), MemoryStore(), Instant(), Stopwatch(resident_bytes))
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=30)
    assert set(threading.enumerate()) <= before


def test_an_actor_whose_session_has_failed_is_told_in_vain() -> None:
    limiter = Limiter.start(1)
    limiter.stop()
    tell_if_alive(limiter, StreamEnded())


@PEERS
def test_a_peer_raises_what_its_generator_raised(peer: Contender) -> None:
    def refuse(task: Task, cancelled: Cancelled) -> PictureBytes:
        raise GenerationFailed(f"no {task.prompt}")

    generator = Instant()
    generator.generate = refuse  # type: ignore[method-assign]
    with pytest.raises((GenerationFailed, ExceptionGroup)) as caught:
        peer(LOAD.workload(), MemoryStore(), generator, Stopwatch(resident_bytes))
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert "a lighthouse at dusk" in str(error)


class Holder(pykka.ThreadingActor):
    def __init__(self) -> None:
        super().__init__()
        self.granted = 0

    def on_receive(self, message: object) -> int:
        self.granted += isinstance(message, SlotGranted)
        return self.granted


def test_the_limiter_of_threads_grants_its_slots_and_no_more() -> None:
    limiter, holder = Limiter.start(2), Holder.start()

    def granted() -> object:
        limiter.ask("an answer comes after all that was told before", timeout=30)
        return holder.ask("so does this", timeout=30)

    try:
        for _ in range(4):
            limiter.tell(RequestSlot(holder))
        assert granted() == 2
        limiter.tell(ReleaseSlot())
        assert granted() == 3
        for _ in range(3):
            limiter.tell(ReleaseSlot())
        assert granted() == 4
        for _ in range(3):
            limiter.tell(RequestSlot(holder))
        assert granted() == 6
    finally:
        limiter.stop()
        holder.stop()


def test_asyncio_reads_on_when_the_loop_turns_between_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asyncio_peer, "TURN", 1)
    work, store = Workload(messages=3, chunks=50, prompts=3, slots=1), MemoryStore()
    run_asyncio(work, store, Instant(), Stopwatch(resident_bytes))
    work.check(store)


def test_a_contender_that_does_not_do_the_work_has_no_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(CONTENDERS, Name.ASYNCIO, lambda work, store, generator, stopwatch: None)
    with pytest.raises(BenchFailed, match="message-0 was not written"):
        measure(Name.ASYNCIO, LOAD)


def test_the_rounds_of_a_workload_are_its_texts_chunk_by_chunk() -> None:
    work = Workload(messages=3, chunks=60, prompts=3, slots=1)
    rounds = list(work.rounds())
    assert {len(chunk) for chunks in rounds for chunk in chunks} == {4}
    assert len(rounds) == 60
    assert tuple(map("".join, zip(*rounds, strict=True))) == work.texts


def test_each_text_of_a_workload_holds_its_prompts_and_prose_about_them() -> None:
    work = Workload(messages=3, chunks=60, prompts=3, slots=1)
    for number, text in enumerate(work.texts):
        found = find_prompts(text)
        assert [match.text for match in found] == [
            f"a lighthouse at dusk {number}.{which}" for which in range(3)
        ]
        assert found[0].start > 0
        assert found[-1].end < len(text)


def test_prompts_that_do_not_fit_are_refused_with_what_would_do() -> None:
    with pytest.raises(SettingsInvalid, match="3 prompts do not fit into 12 chunks") as caught:
        Workload(messages=1, chunks=12, prompts=3, slots=1)
    needed = int(str(caught.value).split("at least ")[1].split()[0])
    Workload(messages=1, chunks=needed, prompts=3, slots=1)
    with pytest.raises(SettingsInvalid):
        Workload(messages=1, chunks=needed - 1, prompts=3, slots=1)


def test_a_text_that_is_missing_or_lacks_a_picture_fails_the_check() -> None:
    work, store = Workload(messages=2, chunks=50, prompts=3, slots=1), MemoryStore()
    run_asyncio(work, store, Instant(), Stopwatch(resident_bytes))
    whole = store.texts[work.ids[1]]
    store.texts[work.ids[1]] = work.texts[1]
    with pytest.raises(BenchFailed, match="message-1 holds 0 pictures where 3 belong"):
        work.check(store)
    store.texts[work.ids[1]] = store.texts[work.ids[0]]
    with pytest.raises(BenchFailed, match="message-1"):
        work.check(store)
    store.texts[work.ids[1]] = whole
    work.check(store)
    del store.texts[work.ids[0]]
    with pytest.raises(BenchFailed, match="message-0 was not written"):
        work.check(store)


def test_memory_is_what_grew_until_all_were_live() -> None:
    readings = iter([1_000, 26_000])
    stopwatch = Stopwatch(lambda: next(readings))
    run_asyncio(LOAD.workload(), MemoryStore(), Instant(), stopwatch)
    assert stopwatch.live_bytes == 25_000


def test_a_contender_is_measured_in_a_process_of_its_own() -> None:
    here = measure(Name.ASYNCIO, LOAD, traced=True)
    apart = measure_apart(Name.ASYNCIO, LOAD, traced=True)
    assert here.messages == apart.messages == 20
    assert 0 < apart.session_bytes < 1_000_000


def figures(name: Name, *runs: tuple[float, int]) -> list[Figures]:
    return [
        Figures(contender=name, messages=100, seconds=seconds, live_bytes=live)
        for seconds, live in runs
    ]


def test_the_report_takes_medians_and_compares_them() -> None:
    report = Report.of(
        LOAD,
        [
            *figures(Name.LIMNER, (0.1, 2_000_000), (0.05, 1_000_000), (1.0, 9_000_000)),
            *figures(Name.THREADS, (4, 20_000_000), (5, 20_000_000), (50, 20_000_000)),
            *figures(Name.ASYNCIO, (0.05, 1_000_000)),
        ],
        traced=figures(Name.LIMNER, (9, 1_500_000)),
        notes=["threads ran with fewer"],
    )
    limner, threads, asyncio = report.standings
    assert report.rounds == 3
    assert (limner.median, limner.slowest, limner.fastest) == (1_000, 100, 2_000)
    assert (threads.median, asyncio.median) == (20, 2_000)
    assert (limner.times_threads, limner.times_asyncio) == (50, 0.5)
    assert (asyncio.times_threads, asyncio.times_asyncio) == (100, 1)
    assert (limner.session_kb, limner.traced_kb, threads.traced_kb) == (20, 15, None)
    assert [bar.met for bar in report.bars] == [True, False, True]


@pytest.mark.parametrize(
    ("limner", "met"),
    [((0.05, 2_400_000), [True, True, True]), ((0.0501, 2_400_001), [False, True, False])],
)
def test_a_bar_is_met_when_it_is_just_reached(limner: tuple[float, int], met: list[bool]) -> None:
    report = Report.of(
        LOAD,
        [
            *figures(Name.LIMNER, limner),
            *figures(Name.THREADS, (1.0, 1)),
            *figures(Name.ASYNCIO, (0.04, 1)),
        ],
    )
    assert [bar.met for bar in report.bars] == met


def test_the_printed_report_has_a_line_for_each_bar_and_note() -> None:
    console = Console(width=100)
    report = Report.of(
        LOAD,
        [*figures(Name.LIMNER, (1.0, 2_500_000)), *figures(Name.ASYNCIO, (1.0, 1))],
        notes=["a note"],
    )
    with console.capture() as captured:
        report.show(console)
    lines = captured.get().splitlines()
    assert "at least 20 x threads: not measured" in lines
    assert "at least 0.6 x asyncio: 1, met" in lines
    assert "at most 24 KB a live session: 25, NOT met" in lines
    assert lines[-1] == "a note"


def test_the_command_prints_its_report_as_json() -> None:
    done = command(
        *("--messages", "20", "--chunks", "12", "--prompts", "1", "--rounds", "2"),
        *("--only", "asyncio", "--only", "threads", "--json"),
    )
    assert done.returncode == 0, done.stderr
    report = Report.model_validate_json(done.stdout)
    assert [standing.contender for standing in report.standings] == [Name.THREADS, Name.ASYNCIO]
    assert report.rounds == 2
    assert json.loads(done.stdout)["bars"][0]["met"] is None


def test_prompts_that_do_not_fit_are_one_line_and_status_2() -> None:
    done = command("--chunks", "12", "--only", "asyncio")
    assert done.returncode == 2
    assert "do not fit" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="bounds the threads by their address space")
def test_without_room_for_the_threads_it_runs_with_fewer_and_says_so() -> None:
    done = command(
        *("--messages", "200", "--chunks", "12", "--prompts", "1", "--rounds", "1"),
        *("--only", "threads", "--json"),
        address_space=2 * 2**30,
    )
    assert done.returncode == 0, done.stderr
    report = Report.model_validate_json(done.stdout)
    (threads,) = report.standings
    assert threads.messages < 200
    assert report.notes == (f"threads ran with {threads.messages} messages instead of 200",)
