"""The options of the command line that several commands have, each with its help."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Markup(StrEnum):
    """How a picture is put into the text."""

    HTML = "html"
    MARKDOWN = "markdown"


class Ignored(StrEnum):
    """Where prompt tags are not looked for."""

    CODE = "code"
    THINK = "think"


class Kept(StrEnum):
    """What a cleaning leaves in."""

    PICTURES = "pictures"
    FAILURES = "failures"
    PROMPTS = "prompts"


def parse_mode(given: str) -> str:
    """Return the mode of a name, which may be a former one."""
    from limner.messages.errors import SettingsInvalid
    from limner.messages.validation import mode_of

    try:
        return mode_of(given)
    except SettingsInvalid as error:
        raise typer.BadParameter(str(error).removeprefix("mode: ")) from None


File = Annotated[str, typer.Argument(metavar="FILE", help="A text or a chat that is there.")]
PicturesOption = Annotated[
    Path | None,
    typer.Option(
        "--pictures",
        metavar="DIR",
        help="Where the pictures go. By default pictures/ beside the output.",
    ),
]
MarkupOption = Annotated[
    Markup | None,
    typer.Option(
        "--markup",
        help="How a picture is put into the text."
        " By default as the name of the output or the source ends, else markdown.",
    ),
]
PatternOption = Annotated[
    list[str] | None,
    typer.Option(
        "--pattern",
        metavar="REGEX",
        help="What a prompt tag looks like, in place of the usual three; its first group is"
        " the prompt. May be repeated. The name tolerant takes what is nearly one of the three.",
    ),
]
IgnoreOption = Annotated[
    list[Ignored] | None,
    typer.Option(
        "--ignore",
        help="Look for no tags in code (fenced, or between backquotes), or in what stands"
        " between <think> and </think>. May be repeated.",
    ),
]
GeneratorOption = Annotated[
    str | None,
    typer.Option(
        "--generator",
        metavar="NAME",
        help="What makes the pictures: sketch draws them here, instant gives a constant one,"
        " module:callable, 'exec:COMMAND {prompt} {output}', or a name of \\[generators.NAME]."
        " By default sketch.",
    ),
]
SlotsOption = Annotated[
    int | None,
    typer.Option("--slots", metavar="N", help="Pictures in the making at one time. By default 3."),
]
MinTimeOption = Annotated[
    float | None,
    typer.Option(
        "--min-time",
        metavar="SECONDS",
        help="Between the starts of two pictures, at least. By default 0.",
    ),
]
EventsOption = Annotated[
    Path | None,
    typer.Option(
        "--events", metavar="FILE", help="Append the event log to this file, as JSON lines."
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A TOML file of settings, which may also say what runs."
        " By default LIMNER_CONFIG, or limner.toml in the working folder.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Show errors only.")]
RedrawOption = Annotated[
    bool, typer.Option("--redraw", help="Make pictures again whose files are gone.")
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Write over an output that Limner has not written, without keeping a copy of it.",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Show what would change, as a diff; write nothing, draw nothing."
    ),
]
