"""The command line: what can be asked for, and how a wrong use is told.

What a command needs is imported when it is run, so that `--help` and `--version` are quick.
"""

import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]  # which typer has no public name for

# a paragraph a line, as it is wrapped for the terminal that it is shown on
LIMNER = """\
Illustrate text while it is still being written.

A text asks for a picture with a tag such as <!--img-prompt="a lighthouse at dusk"-->. Limner \
finds these tags as the text comes in, has the pictures made, and writes the text once, each \
picture beside its tag.

\b
limner illustrate story.md
some-llm "tell me a story" | limner illustrate - -o story.md
"""
ILLUSTRATE = """\
Illustrate a text, also one that another program is still writing.

\b
limner illustrate story.md
limner illustrate story.md -o out/story.md --rate 60
some-llm "tell me a story" | limner illustrate - -o story.md

A text asks for a picture with <!--img-prompt="…"-->, <img-prompt="…"> or <img_prompt="…">. \
Each picture is begun the moment its tag is complete. The text is written once, when the last \
picture is settled, and but for the pictures it stays byte for byte as it was.

Ctrl-C writes what is finished by then; a second Ctrl-C writes nothing. A setting that no option \
gives is taken from the environment (LIMNER_SLOTS=2), then from a TOML file (slots = 2).

Exit status: 0 all illustrated, 1 failed, 2 wrong use or input, 3 written but some pictures are \
missing, 130 interrupted.
"""

app = typer.Typer(
    name="limner",
    help=LIMNER,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Markup(StrEnum):
    """How a picture is put into the text."""

    HTML = "html"
    MARKDOWN = "markdown"


class Bench(TyperGroup):
    """The benchmarks, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Name them."""
        return ["limiter", "stream"]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Give one of them."""
        if cmd_name not in self.list_commands(ctx):
            return None
        from importlib import import_module

        run = import_module(f"limner.scripts.bench.{cmd_name}").run
        bench = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        bench.command(cmd_name)(run)
        return typer.main.get_command(bench)


app.add_typer(
    typer.Typer(cls=Bench, no_args_is_help=False),
    name="bench",
    help="Measure Limner beside what one would write without it.",
)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"limner {version('limner')}")
        except PackageNotFoundError:
            print("limner, run from its source without being installed")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def limner(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Show the version and leave."
        ),
    ] = False,
) -> None:
    """Show the help if no command is named."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command(help=ILLUSTRATE)
def illustrate(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="The text: a file, or - for standard input.")
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the illustrated text goes, - for standard output."
            " By default NAME.illustrated.EXT beside the source;"
            " for standard input, standard output.",
        ),
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the pictures go. By default pictures/ beside the output.",
        ),
    ] = None,
    markup: Annotated[
        Markup | None,
        typer.Option(
            help="How a picture is put into the text."
            " By default as the name of the output or the source ends, else markdown.",
        ),
    ] = None,
    pattern: Annotated[
        list[str] | None,
        typer.Option(
            metavar="REGEX",
            help="What a prompt tag looks like, in place of the usual three; its first group is"
            " the prompt. May be repeated.",
        ),
    ] = None,
    generator: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What makes the pictures: sketch draws them here, instant gives a constant one."
            " By default sketch.",
        ),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(metavar="N", help="Pictures in the making at one time. By default 3."),
    ] = None,
    min_time: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Between the starts of two pictures, at least. By default 0."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="CHARACTERS",
            help="Read this many characters a second, to watch a file as if it were streamed.",
        ),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append the event log to this file, as JSON lines."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A TOML file of settings."
            " By default LIMNER_CONFIG, or limner.toml in the working folder.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show errors only.")] = False,
) -> int:
    """Illustrate a text."""
    from limner.scripts.illustrate import illustrate as run

    given = {
        "slots": slots,
        "min_time": min_time,
        "patterns": tuple(pattern) if pattern else None,
        "markup": None if markup is None else markup.value,
        "generator": generator,
        "events": events,
    }
    return run(
        source,
        output=output,
        pictures=pictures,
        rate=rate,
        quiet=quiet,
        config=config,
        **{name: value for name, value in given.items() if value is not None},
    )


SIMULATE = """\
Let messages stream through Limner in simulated time, and audit what it did.

\b
limner simulate
limner simulate --scenario rush-hour --seed 7 --events day.jsonl
limner simulate --scenario chaos --seeds 0..999

The actors are the real ones; time, threads and chance are simulated, and drawn from the seed. The \
same seed gives the same event log, byte for byte. Each seed draws its own values from the ranges \
of the scenario.

A scenario is one of quiet, rush-hour, flaky-backend, chaos and day, or a TOML file: about, \
messages, arrivals, texts, people, generation, store, lane, patience, faults. A range is a pair, \
as in \\[faults] host_edits = [0, 0.3]. Without a scenario all values are the usual ones, without \
faults.

Exit status: 0 all is well, 1 an invariant is violated or something else is wrong, 2 wrong use, \
130 interrupted.
"""


@app.command(help=SIMULATE)
def simulate(
    scenario: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="What happens: a scenario's name, or its file."),
    ] = None,
    messages: Annotated[
        int | None, typer.Option(metavar="N", help="How many messages come.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="S", help="Decides all that is drawn. By default 0.")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="A..B",
            help="Run all these seeds, in parallel processes, and name those that fail.",
        ),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the event log there, in place of the one that may be there already.",
        ),
    ] = None,
    real: Annotated[
        bool,
        typer.Option(
            "--real",
            help="Run on real threads and in real time. Faults of actors and timers are left out.",
        ),
    ] = False,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A value that goes before the scenario's, as in faults.host_edits=0.1 or"
            " 'lane.max_concurrent=[1, 4]'. May be repeated.",
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Processes for --seeds. By default one a processor."),
    ] = None,
    first: Annotated[
        bool, typer.Option("--first", help="Stop --seeds at the first one that fails.")
    ] = False,
) -> int:
    """Simulate a scenario."""
    see_standard_output()
    from limner.scripts.simulate.command import run

    return run(
        scenario=scenario,
        messages=messages,
        seed=seed,
        seeds=seeds,
        events=events,
        real=real,
        overrides=override or (),
        processes=processes,
        first=first,
    )


INSPECT = """\
Look into an event log; without an option, sum it up.

\b
limner inspect events.jsonl
limner inspect events.jsonl --message msg-42
limner inspect events.jsonl --check
limner inspect events.jsonl --html timeline.html

A log of several runs after each other, of an interrupted process, or with foreign lines is read \
too; what was passed over is counted.

Exit status: 0 done, 1 a violation or an unknown id, 2 wrong use or no usable log, 130 interrupted.
"""


@app.command(help=INSPECT)
def inspect(
    log: Annotated[Path, typer.Argument(metavar="LOG", help="The event log.")],
    message: Annotated[
        str | None, typer.Option(metavar="ID", help="Tell the story of this message.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(metavar="ID", help="Tell the story of this task.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Audit the log: whether I1 to I8 hold.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the log live, while it is written.")
    ] = False,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a trace for Perfetto or chrome://tracing."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one self-contained page.")
    ] = None,
) -> int:
    """Look into an event log."""
    see_standard_output()
    from limner.scripts.inspect.command import inspect as run

    return run(log, message=message, task=task, check=check, follow=follow, trace=trace, html=html)


def see_standard_output() -> None:
    """See that there is a standard output to tell anything on.

    Raises:
        OSError: if it was closed by whoever started us.
    """
    if sys.stdout is None:
        raise OSError("standard output is closed, so there is nowhere to tell anything")


def run(arguments: Sequence[str]) -> int:
    """Run the command; give its exit status."""
    try:
        status = app(list(arguments), prog_name="limner", standalone_mode=False)
    except USAGE_ERROR as error:
        from limner.scripts.display import shown, tell

        tell(f"limner: {shown(cast('Any', error).format_message(), 500)}")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:
        from limner.scripts.display import shown, tell

        tell(f"limner: {shown(str(error), 500)}")
        return 1
    return status if isinstance(status, int) else 0


def main() -> None:
    """Run the command with the arguments of the process, and leave with its exit status."""
    if sys.stderr is None:  # closed by whoever started us
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    status = run(sys.argv[1:])
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        # what is left in the buffer cannot be written, which the exit would tell in its own way
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = status or 1
    sys.exit(status)


if __name__ == "__main__":
    main()
