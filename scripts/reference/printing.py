"""How an entry of a reference is chosen by its name and printed, as text or as JSON."""

import difflib
import shutil
import sys
import textwrap
from collections.abc import Collection, Iterable, Iterator

import orjson

from limner.messages.unicode import shown
from limner.scripts.display import tell

DONE = 0
MISUSED = 2

WIDTH = 80
"""Columns of the text at most."""

NARROWEST = 40
"""Columns of the text at least, however narrow the terminal is."""

INDENT = "    "


def unknown_names(kind: str, names: Iterable[str], known: Collection[str]) -> bool:
    """Write to standard error which names are unknown, with the nearest known one.

    Args:
        kind: what the names are of, such as `event`.
        names: as a person has given them.
        known: all that there are.

    Returns:
        Whether one is unknown.
    """
    unknown = [name for name in names if name not in known]
    for name in unknown:
        nearest = difflib.get_close_matches(name[:100].lower(), known, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; limner {kind}s prints all"
        tell(f"limner: there is no {kind} {shown(name)!r}{hint}")
    return bool(unknown)


def print_text(lines: Iterable[str]) -> None:
    """Print lines."""
    print("\n".join(lines))


def print_json(value: object) -> None:
    """Print a value as indented JSON.

    Raises:
        OSError: if nobody reads it any more.
    """
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def wrapped(text: str, *, indent: str = "", hang: str = INDENT) -> Iterator[str]:
    """Yield the lines of a text, wrapped for the terminal.

    Args:
        text: of one paragraph.
        indent: what each line begins with.
        hang: what each line but the first begins with after that.
    """
    yield from textwrap.wrap(
        text,
        max(NARROWEST, min(WIDTH, shutil.get_terminal_size().columns)),
        initial_indent=indent,
        subsequent_indent=indent + hang,
        break_on_hyphens=False,
    )


def paragraphs(text: str) -> Iterator[str]:
    """Yield the lines of a text of several paragraphs, wrapped and indented."""
    for paragraph in text.split("\n\n"):
        yield from wrapped(paragraph, indent=INDENT, hang="")
