"""The command line: what can be asked for, and how a wrong use is told.

What a command needs is imported when it is run, so that `--help` and `--version` are quick.
"""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from limner.scripts.flags import Application, FlaggedGroup
from limner.scripts.help_texts import (
    CLEAN,
    EVENTS,
    ILLUSTRATE,
    INSPECT,
    LIMNER,
    PICTURES,
    RECONCILE,
    REGENERATE,
    SETTINGS,
    SIMULATE,
)
from limner.scripts.options import (
    ConfigOption,
    DryRunOption,
    EventsOption,
    File,
    ForceOption,
    GeneratorOption,
    IgnoreOption,
    JsonOption,
    Kept,
    MarkupOption,
    MinTimeOption,
    PatternOption,
    PicturesOption,
    QuietOption,
    RedrawOption,
    SlotsOption,
    parse_mode,
)

USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]  # which typer has no public name for


app = Application(
    name="limner",
    help=LIMNER,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Bench(FlaggedGroup):
    """The benchmarks, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Name them."""
        return ["limiter", "loop", "stream"]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        from importlib import import_module

        run = import_module(f"limner.scripts.bench.{cmd_name}").run
        bench = Application(add_completion=False, pretty_exceptions_enable=False)
        bench.command(cmd_name)(run)
        return typer.main.get_command(bench)


app.add_typer(
    Application(cls=Bench, no_args_is_help=False),
    name="bench",
    help="Measure Limner beside what one would write without it.",
)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        from limner import __version__

        print(f"limner {__version__}")
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
    pictures: PicturesOption = None,
    markup: MarkupOption = None,
    pattern: PatternOption = None,
    ignore: IgnoreOption = None,
    generator: GeneratorOption = None,
    slots: SlotsOption = None,
    min_time: MinTimeOption = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="CHARACTERS",
            help="Read this many characters a second, to watch a file as if it were streamed.",
        ),
    ] = None,
    message: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            help="Of a chat, illustrate the message on this line only. May be repeated.",
        ),
    ] = None,
    only_missing: Annotated[
        bool,
        typer.Option(
            "--only-missing",
            help="Pass over prompts that have a picture, as without --mode.",
        ),
    ] = False,
    mode: Annotated[
        str | None,
        typer.Option(
            parser=parse_mode,
            metavar="MODE",
            help="Make pictures of all prompts of a file that is illustrated: append-after-image"
            " puts each after those that its prompt has, replace-image in their place,"
            " append-after-prompt directly after the tag.",
        ),
    ] = None,
    redraw: RedrawOption = False,
    force: ForceOption = False,
    html: Annotated[
        bool,
        typer.Option(
            "--html",
            help="Write also one self-contained page to look at, beside the output, as NAME.html.",
        ),
    ] = False,
    no_backup: Annotated[
        bool, typer.Option("--no-backup", help="Of a chat, keep no NAME.jsonl.bak.")
    ] = False,
    events: EventsOption = None,
    config: ConfigOption = None,
    quiet: QuietOption = False,
) -> int:
    """Illustrate a text."""
    from limner.scripts.illustrate import illustrate as run
    from limner.scripts.revise.chat import Wanted

    return run(
        source,
        output=output,
        pictures=pictures,
        rate=rate,
        html=html,
        quiet=quiet,
        config=config,
        wanted=Wanted(
            messages=tuple(message or ()),
            only_missing=only_missing,
            mode=cast("Any", mode),
            backup=not no_backup,
            redraw=redraw,
            force=force,
        ),
        **settings_given(
            slots=slots,
            min_time=min_time,
            patterns=pattern,
            ignore=ignore,
            markup=markup,
            generator=generator,
            events=events,
        ),
    )


def settings_given(**given: Any) -> dict[str, Any]:
    """Return the settings that options name, as `load_settings` takes them."""
    values = {
        name: tuple(map(str, value)) if isinstance(value, list) else value
        for name, value in given.items()
    }
    return {name: value for name, value in values.items() if value not in (None, ())}


@app.command(help=PICTURES)
def pictures(
    file: File,
    as_json: JsonOption = False,
    pattern: PatternOption = None,
    ignore: IgnoreOption = None,
    config: ConfigOption = None,
) -> int:
    """Tell what is where."""
    see_standard_output()
    from limner.scripts.revise.listing import pictures as run

    return run(
        file, as_json=as_json, config=config, **settings_given(patterns=pattern, ignore=ignore)
    )


@app.command(help=REGENERATE)
def regenerate(
    file: File,
    placement: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PICTURE", help="The number or the id of a picture, or the id of a failure."
        ),
    ] = None,
    mode: Annotated[
        str,
        typer.Option(
            parser=parse_mode,
            metavar="MODE",
            help="Where the new picture goes: replace-image, append-after-image or"
            " append-after-prompt (directly after the tag).",
            show_default=True,
        ),
    ] = "replace-image",
    prompt: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Draw this in place of the prompt.")
    ] = None,
    failed: Annotated[
        bool,
        typer.Option("--failed", help="Try again what has left the mark of a failure."),
    ] = False,
    dry_run: DryRunOption = False,
    pictures: PicturesOption = None,
    markup: MarkupOption = None,
    pattern: PatternOption = None,
    ignore: IgnoreOption = None,
    generator: GeneratorOption = None,
    slots: SlotsOption = None,
    min_time: MinTimeOption = None,
    events: EventsOption = None,
    config: ConfigOption = None,
    quiet: QuietOption = False,
) -> int:
    """Make other pictures."""
    if dry_run:
        see_standard_output()
    from limner.scripts.revise.regenerate import regenerate as run

    return run(
        file,
        placement or (),
        mode=cast("Any", mode),
        prompt=prompt,
        failed=failed,
        dry_run=dry_run,
        pictures=pictures,
        quiet=quiet,
        config=config,
        **settings_given(
            slots=slots,
            min_time=min_time,
            patterns=pattern,
            ignore=ignore,
            markup=markup,
            generator=generator,
            events=events,
        ),
    )


@app.command(help=RECONCILE)
def reconcile(
    file: File,
    redraw: RedrawOption = False,
    dry_run: DryRunOption = False,
    markup: MarkupOption = None,
    pattern: PatternOption = None,
    ignore: IgnoreOption = None,
    config: ConfigOption = None,
    quiet: QuietOption = False,
) -> int:
    """Put back what was stripped."""
    if dry_run:
        see_standard_output()
    from limner.scripts.revise.reconcile import reconcile as run

    return run(
        file,
        redraw=redraw,
        dry_run=dry_run,
        quiet=quiet,
        config=config,
        **settings_given(patterns=pattern, ignore=ignore, markup=markup),
    )


@app.command(help=CLEAN)
def clean(
    file: File,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the clean text goes, - for standard output."
            " By default NAME.clean.EXT beside the file.",
        ),
    ] = None,
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place", help="Change the file itself; it is kept as it was as NAME.bak."
        ),
    ] = False,
    force: ForceOption = False,
    keep: Annotated[
        list[Kept] | None, typer.Option(help="Leave these in. May be repeated.")
    ] = None,
    dry_run: DryRunOption = False,
    pattern: PatternOption = None,
    ignore: IgnoreOption = None,
    config: ConfigOption = None,
    quiet: QuietOption = False,
) -> int:
    """Remove all that is for pictures."""
    if dry_run:
        see_standard_output()
    from limner.scripts.revise.clean import clean as run

    return run(
        file,
        output=output,
        keep=[choice.value for choice in keep or ()],
        in_place=in_place,
        force=force,
        dry_run=dry_run,
        quiet=quiet,
        config=config,
        **settings_given(patterns=pattern, ignore=ignore),
    )


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
        bool, typer.Option("--check", help="Audit the log: whether its invariants hold.")
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
    """Inspect an event log."""
    see_standard_output()
    from limner.scripts.inspect.command import inspect as run

    return run(log, message=message, task=task, check=check, follow=follow, trace=trace, html=html)


@app.command(help=EVENTS)
def events(
    name: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="An event. By default all.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Print the catalogue of events."""
    see_standard_output()
    from limner.scripts.reference.events import events as run

    return run(name or (), as_json=as_json)


@app.command(help=SETTINGS)
def settings(
    name: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="A setting. By default all.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Print the settings."""
    see_standard_output()
    from limner.scripts.reference.settings import settings as run

    return run(name or (), as_json=as_json)


def see_standard_output() -> None:
    """Open a standard output if there is none.

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
        from limner.messages.unicode import shown
        from limner.scripts.display import tell

        tell(f"limner: {shown(cast('Any', error).format_message(), 500)}")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:
        from limner.messages.unicode import shown
        from limner.scripts.display import tell

        tell(f"limner: {shown(str(error), 500)}")
        return 1
    return status if isinstance(status, int) else 0


def main() -> None:
    """Run the command with the arguments of the process, and leave with its exit status."""
    if sys.stderr is None:  # closed by whoever started us
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, TextIOWrapper):  # whose encoding may know few letters
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="replace")
        else:
            sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
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
