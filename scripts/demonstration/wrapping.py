"""Where a line of a text breaks in a terminal, and which of it is part of a prompt tag."""

import re

from rich.cells import cell_len, chop_cells

TAG = re.compile(r"<[!i][^>]*>?")
"""A prompt tag, also one that has only begun."""


def printable(text: str) -> str:
    """Return a text without characters that would move a terminal; line ends stay."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def breaks(text: str, width: int) -> list[tuple[int, int]]:
    """Return where each line of a text begins and ends, if none is wider than a width.

    A line ends at its last space, which is left out; a word that is too wide is cut.

    Args:
        text: without line ends.
        width: in cells, 2 at least.
    """
    lines = []
    start = 0
    while cell_len(text[start:]) > width:
        fits = start + len(chop_cells(text[start:], width)[0])
        space = text.rfind(" ", start, fits + 1)
        end = space if space > start else fits
        lines.append((start, end))
        start = end + (text[end] == " ")
    return [*lines, (start, len(text))]
