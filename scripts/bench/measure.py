"""Measures one contender in a process of its own, so that none affects another."""

import tracemalloc
from enum import StrEnum

from limner.actors.generators.instant import Instant
from limner.actors.generators.protocol import Generator
from limner.actors.stores.memory import MemoryStore
from limner.actors.stores.protocol import Store
from limner.messages.base import Value
from limner.scripts.bench.apart import apart
from limner.scripts.bench.asyncio_peer import run_asyncio
from limner.scripts.bench.threads_peer import run_threads
from limner.scripts.bench.workload import (
    PATIENCE,
    Contender,
    Stopwatch,
    Workload,
    resident_bytes,
)


class Name(StrEnum):
    """The contenders."""

    LIMNER = "limner"
    THREADS = "threads"
    ASYNCIO = "asyncio"


class Load(Value):
    """The size of a workload; see `Workload`."""

    messages: int
    chunks: int
    prompts: int
    slots: int

    def workload(self) -> Workload:
        """Return the workload of this size."""
        return Workload(**self.model_dump())


class Figures(Value):
    """The figures of one run of one contender.

    Args:
        contender: the one that ran.
        messages: the number of messages that were live at one time, and written.
        seconds: from before the first was opened until the last was written.
        live_bytes: growth of the memory in use until all were live and fed completely.
    """

    contender: Name
    messages: int
    seconds: float
    live_bytes: int

    @property
    def per_second(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def session_bytes(self) -> float:
        """Bytes that one live message takes."""
        return self.live_bytes / self.messages


def run_limner(work: Workload, store: Store, generator: Generator, stopwatch: Stopwatch) -> None:
    """Illustrate the workload with Limner, through its public surface as a host does."""
    from limner.actors import Studio

    stopwatch.begin()
    with Studio.open(work.settings, store=store, generator=generator) as studio:
        streams = [studio.stream(message_id) for message_id in work.ids]
        for chunks in work.rounds():
            for stream, chunk in zip(streams, chunks, strict=True):
                stream.feed(chunk)
        stopwatch.all_live()
        futures = [stream.finish() for stream in streams]
        for illustrated in reversed(futures):  # the last first: one wait, not one for each
            illustrated.get(timeout=PATIENCE)
        stopwatch.end()


CONTENDERS: dict[Name, Contender] = {
    Name.LIMNER: run_limner,
    Name.THREADS: run_threads,
    Name.ASYNCIO: run_asyncio,
}


def measure(name: Name, load: Load, *, traced: bool = False) -> Figures:
    """Run a contender once in this process, after a small warm-up run.

    Args:
        name: the contender.
        load: the size of the workload.
        traced: whether `live_bytes` counts what Python allocated, by tracemalloc, which slows
            the run several times, instead of the resident set.

    Raises:
        SettingsInvalid: if the load is not possible.
        BenchFailed: if a text is missing, or lacks a picture.
        ThreadsExhausted: if the contender needs more threads than there are.
    """
    run = CONTENDERS[name]
    small = load.model_copy(update={"messages": min(load.messages, 10)})
    run(small.workload(), MemoryStore(), Instant(), Stopwatch(resident_bytes))
    work, store = load.workload(), MemoryStore()
    stopwatch = Stopwatch(traced_bytes if traced else resident_bytes)
    if traced:
        tracemalloc.start()
    try:
        run(work, store, Instant(), stopwatch)
    finally:
        tracemalloc.stop()
    work.check(store)
    return Figures(
        contender=name,
        messages=load.messages,
        seconds=stopwatch.seconds,
        live_bytes=stopwatch.live_bytes,
    )


def traced_bytes() -> int:
    """Return the bytes that Python has allocated since tracing began."""
    return tracemalloc.get_traced_memory()[0]


def measure_apart(name: Name, load: Load, *, traced: bool = False) -> Figures:
    """Run `measure` in a process of its own.

    Raises:
        SettingsInvalid, BenchFailed, ThreadsExhausted: as `measure` does; `BenchFailed` also if the
            process was killed, for example for lack of memory.
    """
    return apart(measure, name, load, traced=traced, limit=None)
