"""`limner pictures`: what is where in a file, for a person, a pipe, or a program."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limner.actors.settings import load_settings
from limner.messages.errors import LimnerError
from limner.messages.unicode import shown
from limner.scripts.display import Display
from limner.scripts.paths import places_of
from limner.scripts.report import DONE, INCOMPLETE, few, give_up
from limner.scripts.revise.document import Document, check_file, is_chat, opened
from limner.scripts.revise.inventory import Entry, Sheet, Spot, inventory

LONG = 300
"""Characters of a prompt or a reason in a line of a pipe."""

SHORT = 8
"""Characters of each half of an id in a table, unless more are needed to tell it from others."""

COLOURS = {"stands": "green", "missing": "red", "unmarked": "yellow", "kept": "yellow"}


def pictures(file: str, *, as_json: bool, config: Path | None, **given: Any) -> int:
    """Say what is where in a file, from which prompt, with its history.

    Args:
        file: a text or a chat.
        as_json: whether a program reads it.
        config: a file of settings.
        given: fields of `Settings`.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong use or input, 3 some lines of a chat are broken.
    """
    display = Display()
    broken: list[str] = []
    try:
        settings = load_settings(config, **given)
        check_file(file)
        places = places_of(file, None, settings)
        with opened(places, settings, chat=is_chat(file)) as document:
            sheets = list(
                take_stock(document, broken=lambda error: broken.append(shown(str(error), LONG)))
            )
    except LimnerError as error:
        return give_up(error, display)
    if as_json:
        print(json.dumps(as_values(document, sheets), indent=2))
    elif sys.stdout.isatty():
        show_table(document, sheets)
    else:
        for line in lines(document, sheets):
            print(line)
    for text in few(broken):
        display.complain(text)
    if said := never(document, sheets):
        display.complain(said)
    return INCOMPLETE if broken else DONE


def take_stock(document: Document, *, broken: Any = None) -> Iterator[Sheet]:
    """Say what is where in each message of a file that holds prompts or pictures.

    Raises:
        StoreFailed, TextTooLong: if the file or its registry cannot be read.
    """
    first = 1
    for message_id, text in document.messages(broken):
        registry = document.store.registry(message_id)
        sheet = inventory(message_id, text, registry, document.settings.notation, first=first)
        first += sum(1 for one in sheet.pictures if one.number)
        if sheet.spots:
            yield sheet


def never(document: Document, sheets: list[Sheet]) -> str:
    """Say that Limner knows of no picture of a file; nothing if it knows of one."""
    if any(spot.pictures or spot.failures for sheet in sheets for spot in sheet.spots):
        return ""
    prompts = sum(len(sheet.spots) for sheet in sheets)
    noun = "prompt" if prompts == 1 else "prompts"
    said = f"{shown(document.name, LONG)} has not been illustrated by Limner; "
    said += f"it holds {prompts:,} {noun}" if prompts else "it holds no prompt"
    return said + document.hint


def where(document: Document, sheet: Sheet, spot: Spot) -> str:
    """Say where a tag is: the file, and in it the line."""
    name = shown(document.name, LONG)
    if document.chat:
        return f"{name}:{sheet.message_id}"
    return name if spot.line is None else f"{name}:{spot.line}"


def lines(document: Document, sheets: list[Sheet]) -> Iterator[str]:
    """Give it a line each, with tabs between the columns."""
    for sheet in sheets:
        for spot in sheet.spots:
            at = where(document, sheet, spot)
            kind = "prompt" if spot.line is not None else "gone"
            yield "\t".join([at, kind, spot.prompt_id, shown(spot.prompt, LONG)])
            if len(spot.history) > 1:
                for one in spot.history:
                    said = [at, "history", one.id, one.source, shown(one.text, LONG)]
                    if one.feedback:
                        said.append(shown(one.feedback, LONG))
                    yield "\t".join(said)
            for each in spot.pictures:
                number = str(each.number) if each.number else "-"
                yield "\t".join(
                    [at, "picture", number, each.placement, each.state, shown(each.url, LONG)]
                )
            for failed in spot.failures:
                yield "\t".join([at, "failure", failed.id, shown(failed.reason, LONG)])


def as_values(document: Document, sheets: list[Sheet]) -> dict[str, Any]:
    """Give it as JSON has it."""
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
            {"id": one.id, "prompt": one.text, "source": one.source, "feedback": one.feedback}
            for one in spot.history
        ],
        "pictures": [
            {"number": one.number, "placement": one.placement, "state": one.state, "url": one.url}
            for one in spot.pictures
        ],
        "failures": [{"id": one.id, "reason": one.reason} for one in spot.failures],
    }


def show_table(document: Document, sheets: list[Sheet]) -> None:
    """Show it on a terminal: a table, a tag a section."""
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
            for one in spot.history:
                if one.id != spot.prompt_id:
                    prompt.append(f"\n{_arrow(spot, one.id)} {shown(one.text)}", "dim italic")
            if spot.line is None:
                prompt.append("\n(its tag is gone)", "red")
            rows = [_row(one, short) for one in spot.pictures]
            rows += [
                (Text("⚠", "red"), Text(shown(one.reason)), Text("failed", "red"))
                for one in spot.failures
            ]
            for number, row in enumerate(rows or [(Text(), Text("none", "dim"), Text())]):
                table.add_row(*((line, prompt) if not number else ("", "")), *row)
            table.add_section()
    if sheets:
        console.print(Text(shown(document.name, LONG), "bold"))
        console.print(table)


def _arrow(spot: Spot, other: str) -> str:
    ids = [one.id for one in spot.history]
    return "←" if ids.index(other) < ids.index(spot.prompt_id) else "→"


def _row(one: Entry, short: int) -> tuple[Any, Any, Any]:
    from rich.text import Text

    prompt, _, picture = one.placement.partition(":")
    named = Text(f"{prompt[:short]}:{picture[:short]}")
    named.append(f"\n{shown(one.url, LONG)}", "dim")
    state = Text(one.state, COLOURS.get(one.state, "dim"))
    return Text(str(one.number or "")), named, state


def shortened(sheets: list[Sheet]) -> int:
    """Give how many digits of both halves of an id tell each picture from the others."""
    ids = {one.placement for sheet in sheets for one in sheet.pictures}
    for short in range(SHORT, 32):
        halves = (one.partition(":") for one in ids)
        if len({(prompt[:short], picture[:short]) for prompt, _, picture in halves}) == len(ids):
            return short
    return 32
