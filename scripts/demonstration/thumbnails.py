"""Thumbnails of half-block characters: each cell of a terminal shows two pixels.

The upper one is the colour of the character, the lower one that of its background.
"""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from rich.cells import set_cell_size
from rich.color import Color
from rich.style import Style
from rich.text import Text

HALF_BLOCK = "\u2580"
PLATE = (0.025, 0.04, 0.975, 0.84)
"""The part of a sketch that is no margin and no caption: left, upper, right, lower."""
WIDEST = 36
"""Cells that a thumbnail is wide at most."""
GAP = 2
"""Cells between two thumbnails."""


def half_blocks(picture: Path, columns: int) -> list[Text]:
    """Return the lines of a picture's thumbnail.

    Args:
        picture: its file.
        columns: how many cells it is wide.

    Raises:
        OSError: if the file is no picture that can be read.
    """
    with Image.open(picture) as image:
        width, height = image.size
        left, upper, right, lower = PLATE
        box = left * width, upper * height, right * width, lower * height
        plate = image.convert("RGB").crop(box)
    rows = max(1, round(columns * plate.height / plate.width / 2))
    pixels = plate.resize((columns, 2 * rows), Image.Resampling.LANCZOS).tobytes()

    def colour(column: int, row: int) -> Color:
        at = 3 * (row * columns + column)
        return Color.from_rgb(*pixels[at : at + 3])

    return [
        Text.assemble(
            *(
                (HALF_BLOCK, Style(color=colour(at, 2 * row), bgcolor=colour(at, 2 * row + 1)))
                for at in range(columns)
            )
        )
        for row in range(rows)
    ]


def side_by_side(pictures: Sequence[tuple[str, Path]], width: int, height: int) -> list[Text]:
    """Return the lines of thumbnails in rows, each with its prompt below it.

    Args:
        pictures: the prompt and the file of each; what cannot be read is shown by its prompt alone.
        width: of the terminal, in cells.
        height: of the terminal, in lines.
    """
    columns = max(1, min(WIDEST, width, 3 * (height - 10)))
    a_row = max(1, (width + GAP) // (columns + GAP))
    lines: list[Text] = []
    for start in range(0, len(pictures), a_row):
        blocks = [thumbnail(*picture, columns) for picture in pictures[start : start + a_row]]
        deepest = max(map(len, blocks))
        empty = Text(" " * columns)
        padded = [[*[empty] * (deepest - len(block)), *block] for block in blocks]
        lines += [Text(" " * GAP).join(row) for row in zip(*padded, strict=True)]
        lines.append(Text())
    return lines


def thumbnail(prompt: str, picture: Path, columns: int) -> list[Text]:
    """Return the lines of a thumbnail with its prompt below it."""
    words = prompt if len(prompt) <= columns else f"{prompt[: columns - 1]}…"
    caption = Text(set_cell_size(words, columns), "italic dim")
    try:
        return [*half_blocks(picture, columns), caption]
    except (OSError, ValueError):
        return [caption]
