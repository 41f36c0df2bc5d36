"""`limner pictures`: the prompts and pictures of a file, for a person, a pipe, or a program."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from limner.actors.settings import load_settings
from limner.messages.errors import LimnerError
from limner.messages.unicode import shown
from limner.scripts.display import Display
from limner.scripts.paths import existing_paths
from limner.scripts.report import DONE, INCOMPLETE, few, report_error
from limner.scripts.revise.document import Document, opened
from limner.scripts.revise.file_kind import check_file, is_chat
from limner.scripts.revise.inventory import Entry, Sheet, Spot, inventory

LONG = 300
"""Characters of a prompt or a reason in a line of a pipe."""

SHORT = 8
"""Characters of each half of an id in a table, unless more are needed to tell it from others."""

COLOURS = {
    "stands": "green",
    "missing": "red",
    "lost": "red",
    "unmarked": "yellow",
    "kept": "yellow",
}


def pictures(file: str, *, as_json: bool, config: Path | None, **given: Any) -> int:
    """Print the prompts of a file, their history and their pictures.

    Args:
        file: a text or a chat.
        as_json: whether to print JSON.
        config: a file of settings.
        given: fields of `Settings`.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong use or input, 3 some messages of a chat
        cannot be read.
    """
    display = Display()
    broken: list[str] = []
    try:
        settings = load_settings(config, **given)
        check_file(file)
        paths = existing_paths(file, None, settings)
        with opened(paths, settings, chat=is_chat(file)) as document:
            sheets = list(
                take_stock(document, lambda error: broken.append(shown(str(error), LONG)))
            )
    except LimnerError as error:
        return report_error(error, display)
    if as_json:
        print(json.dumps(as_values(document, sheets), indent=2))
    elif sys.stdout.isatty():
        show_table(document, sheets)
    else:
        for line in lines(document, sheets):
            print(line)
    for text in few(broken):
        display.error(text)
    if message := never_illustrated(document, sheets):
        display.error(message)
    tell_lost_files(sum(map(len, lost_in(sheets).values())), document, display)
    return INCOMPLETE if broken else DONE


def take_stock(
    document: Document, broken: Callable[[LimnerError], object] | None = None
) -> Iterator[Sheet]:
    """Yield the inventory of each message of a file that holds prompts or pictures.

    Args:
        document: the file.
        broken: is called with an error for each message that cannot be read, and is passed over.

    Raises:
        StoreFailed: if the file or its registry cannot be read.
    """
    first = 1
    for message_id, text in document.messages(broken):
        registry = document.store.registry(message_id)
        sheet = inventory(
            message_id,
            text,
            registry,
            document.settings.notation,
            first=first,
            lost=document.files.lost_at,
        )
        first += sum(1 for picture in sheet.pictures if picture.number)
        if sheet.spots:
            yield sheet


def lost_in(sheets: Iterable[Sheet]) -> dict[str, list[Entry]]:
    """Return the pictures whose files are gone, by their message."""
    found: dict[str, list[Entry]] = {}
    for sheet in sheets:
        for picture in sheet.pictures:
            if picture.state == "lost":
                found.setdefault(sheet.message_id, []).append(picture)
    return found


def tell_lost_files(number: int, document: Document, display: Display) -> None:
    """Print how many pictures have no file any more, and what to do."""
    if number:
        noun = "picture has" if number == 1 else "pictures have"
        display.error(
            f"{number:,} {noun} no file any more in {shown(str(document.paths.pictures), LONG)}; "
            "put the files back, or make them again with limner reconcile --redraw"
        )


def never_illustrated(document: Document, sheets: list[Sheet]) -> str:
    """Return a message that a file was never illustrated; an empty one if it was."""
    if any(spot.pictures or spot.failures for sheet in sheets for spot in sheet.spots):
        return ""
    prompts = sum(len(sheet.spots) for sheet in sheets)
    noun = "prompt" if prompts == 1 else "prompts"
    message = f"{shown(document.name, LONG)} has not been illustrated by Limner; "
    message += f"it holds {prompts:,} {noun}" if prompts else "it holds no prompt"
    return message + document.hint


def where(document: Document, sheet: Sheet, spot: Spot) -> str:
    """Return where a tag is: the file, and the line in it."""
    name = shown(document.name, LONG)
    if document.chat:
        return f"{name}:{sheet.message_id}"
    return name if spot.line is None else f"{name}:{spot.line}"


def lines(document: Document, sheets: list[Sheet]) -> Iterator[str]:
    """Yield a line for each prompt, picture and failure, with tabs between the columns."""
    for sheet in sheets:
        for spot in sheet.spots:
            at = where(document, sheet, spot)
            kind = "prompt" if spot.line is not None else "gone"
            yield "\t".join([at, kind, spot.prompt_id, shown(spot.prompt, LONG)])
            if len(spot.history) > 1:
                for prompt in spot.history:
                    columns = [at, "history", prompt.id, prompt.source, shown(prompt.text, LONG)]
                    if prompt.feedback:
                        columns.append(shown(prompt.feedback, LONG))
                    yield "\t".join(columns)
            for picture in spot.pictures:
                number = str(picture.number) if picture.number else "-"
                url = shown(picture.url, LONG)
                yield "\t".join([at, "picture", number, picture.placement, picture.state, url])
            for failure in spot.failures:
                yield "\t".join([at, "failure", failure.id, shown(failure.reason, LONG)])


def as_values(document: Document, sheets: list[Sheet]) -> dict[str, Any]:
    """Return the inventory as values for JSON."""
    return {
        "file": document.name,
        "chat": document.chat,
        "messages": [
            {"message": sheet.message_id, "prompts": [_spot(spot) for spot in sheet.spots]}
            for sheet in sheets
        ],
    }


def _spot(spot: Spot) -> dict[str, Any]:
    return {
        "line": spot.line,
        "prompt_id": spot.prompt_id,
        "prompt": spot.prompt,
        "history": [
            {
                "id": prompt.id,
                "prompt": prompt.text,
                "source": prompt.source,
                "feedback": prompt.feedback,
            }
            for prompt in spot.history
        ],
        "pictures": [
            {
                "number": picture.number,
                "placement": picture.placement,
                "state": picture.state,
                "url": picture.url,
            }
            for picture in spot.pictures
        ],
        "failures": [{"id": failure.id, "reason": failure.reason} for failure in spot.failures],
    }


def show_table(document: Document, sheets: list[Sheet]) -> None:
    """Print the inventory as a table for a terminal, with a section for each tag."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    short = shortened(sheets)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
    table.add_column("line", justify="right", style="dim", no_wrap=True)
    table.add_column("prompt", ratio=3, overflow="fold")
    table.add_column("#", justify="right", style="bold", no_wrap=True)
    table.add_column("picture", ratio=4, overflow="fold")
    table.add_column("state", no_wrap=True)
    for sheet in sheets:
        for spot in sheet.spots:
            line = sheet.message_id if document.chat else str(spot.line or "")
            prompt = Text(shown(spot.prompt, LONG))
            for other in spot.history:
                if other.id != spot.prompt_id:
                    prompt.append(f"\n{_arrow(spot, other.id)} {shown(other.text)}", "dim italic")
            if spot.line is None:
                prompt.append("\n(its tag is gone)", "red")
            rows = [_row(picture, short) for picture in spot.pictures]
            rows += [
                (
                    Text("⚠", "red"),
                    Text(f"{_short(failure.id, short)}\n{shown(failure.reason)}"),
                    Text("failed", "red"),
                )
                for failure in spot.failures
            ]
            for number, row in enumerate(rows or [(Text(), Text("none", "dim"), Text())]):
                table.add_row(*((line, prompt) if not number else ("", "")), *row)
            table.add_section()
    if sheets:
        console.print(Text(shown(document.name, LONG), "bold"))
        console.print(table)


def _arrow(spot: Spot, other: str) -> str:
    ids = [prompt.id for prompt in spot.history]
    return "←" if ids.index(other) < ids.index(spot.prompt_id) else "→"


def _row(entry: Entry, short: int) -> tuple[Any, Any, Any]:
    from rich.text import Text

    named = Text(_short(entry.placement, short))
    named.append(f"\n{shown(entry.url, LONG)}", "dim")
    state = Text(entry.state, COLOURS.get(entry.state, "dim"))
    return Text(str(entry.number or "")), named, state


def _short(name: str, digits: int) -> str:
    """Return the first digits of both halves of an id."""
    prompt, _, made = name.partition(":")
    return f"{prompt[:digits]}:{made[:digits]}"


def shortened(sheets: list[Sheet]) -> int:
    """Return how many digits of both halves of an id distinguish all pictures and failures."""
    ids = {picture.placement for sheet in sheets for picture in sheet.pictures}
    ids |= {failed.id for sheet in sheets for spot in sheet.spots for failed in spot.failures}
    for short in range(SHORT, 32):
        if len({_short(name, short) for name in ids}) == len(ids):
            return short
    return 32
