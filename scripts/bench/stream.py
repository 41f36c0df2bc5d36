"""`limner bench stream`: many messages streamed at one time, compared with threads and asyncio."""

from collections.abc import Callable, Iterable
from typing import Annotated

import typer
from rich.console import Console

from limner.messages.errors import LimnerError, SettingsInvalid
from limner.scripts.bench.measure import Figures, Load, Name, measure_apart
from limner.scripts.bench.report import Report
from limner.scripts.bench.workload import ThreadsExhausted


def contest(
    load: Load,
    *,
    threads_messages: int,
    rounds: int,
    names: Iterable[Name],
    traced: bool,
    say: Callable[[str], None],
) -> Report:
    """Run each contender once a round, each round in another order; return the report.

    If the machine cannot start the threads for `threads_messages` messages, that contender runs
    with half as many, and so on; the report notes it.

    Raises:
        SettingsInvalid: if the load is not possible.
        BenchFailed: if a contender did not do the work.
    """
    load.workload()
    loads = dict.fromkeys(names, load)
    if Name.THREADS in loads and threads_messages != load.messages:
        loads[Name.THREADS] = load.model_copy(update={"messages": threads_messages})

    def run(name: Name, *, traced: bool = False) -> Figures:
        while True:
            try:
                return measure_apart(name, loads[name], traced=traced)
            except ThreadsExhausted as error:
                fewer = loads[name].messages // 2
                if not fewer:
                    raise
                say(f"{error}; trying {fewer:,}")
                loads[name] = loads[name].model_copy(update={"messages": fewer})

    figures = []
    order = list(loads)
    for turn in range(rounds):
        for name in order:
            say(f"round {turn + 1} of {rounds}: {name} ...")
            figures.append(run(name))
            say(f"    {figures[-1].per_second:,.0f} messages a second")
        order = [*order[1:], order[0]]
    allocations = []
    for name in loads if traced else ():
        say(f"tracemalloc: {name} ...")
        allocations.append(run(name, traced=True))
    notes = [
        f"{name} ran with {changed.messages:,} messages instead of {load.messages:,}"
        for name, changed in loads.items()
        if changed != load
    ]
    return Report.of(load, figures, traced=allocations, notes=notes)


def run(
    messages: Annotated[
        int, typer.Option(min=1, max=100_000, help="Messages that are live at one time.")
    ] = 2_000,
    chunks: Annotated[
        int, typer.Option(min=0, max=100_000, help="Chunks of a message, of four characters each.")
    ] = 230,
    prompts: Annotated[int, typer.Option(min=0, max=100, help="Prompts of a message.")] = 3,
    slots: Annotated[
        int, typer.Option(min=1, max=1_000, help="Pictures in generation at one time.")
    ] = 64,
    rounds: Annotated[
        int, typer.Option(min=1, max=1_000, help="Runs of each contender; the median counts.")
    ] = 3,
    only: Annotated[
        list[Name] | None, typer.Option(help="Run this contender alone; may be repeated.")
    ] = None,
    threads_messages: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100_000,
            help="Messages for the contender that takes four threads a message;"
            " by default as many as for the others.",
        ),
    ] = None,
    tracemalloc: Annotated[
        bool,
        typer.Option(
            "--tracemalloc",
            help="Measure memory by tracemalloc too, in one more, slow run of each.",
        ),
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the report as one JSON object.")
    ] = False,
) -> Report:
    """Stream many messages at one time, and compare Limner with threads and with asyncio.

    Each contender runs in a process of its own, one after another: Limner through its public
    surface, the same topology with a Pykka thread an actor, and careful asyncio by hand. Pictures
    are instant and kept in memory, so that what is measured is the runtime. Memory is the growth
    of the resident set until all messages are live and fed whole, in KB of 1,000 bytes.
    """
    try:
        report = contest(
            Load(messages=messages, chunks=chunks, prompts=prompts, slots=slots),
            threads_messages=threads_messages or messages,
            rounds=rounds,
            names=only or list(Name),
            traced=tracemalloc,
            say=Console(stderr=True, highlight=False).print,
        )
    except SettingsInvalid as error:
        raise typer.BadParameter(str(error)) from error
    except LimnerError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from error
    if json:
        print(report.model_dump_json(indent=2))
    else:
        report.show(Console(highlight=False))
    return report


def main() -> None:
    """Run the benchmark as a command of its own."""
    typer.run(run)


if __name__ == "__main__":
    main()
