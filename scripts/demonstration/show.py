"""What a person sees of the demo: the text as it comes, with its pictures, on standard output.

`Stage` is for a terminal that shows colours and half-block characters: the text scrolls, each
picture follows the paragraph in which it was finished, and the slots stand below. `PlainShow` is
for all else, pipes and files among it: the text, and a line for each event.
"""

import os
import sys
import time
from contextlib import suppress
from typing import Any

from limner.scripts.demonstration.watched import Watched
from limner.scripts.demonstration.wrapping import TAG, breaks, printable
from limner.scripts.display import Display, Record, line

REFRESH = 0.05
"""Seconds between two frames."""

SMALLEST = 40, 16
"""Columns and lines that a terminal has at least to be more than plain."""

ENOUGH_COLOURS = {"256", "truecolor"}


class Show(Display):
    """Shows a text as it comes, and what its studio does.

    Attributes:
        watched: what is seen of the studio.
    """

    interval = REFRESH
    shows_text = True

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.watched = Watched(slots)
        self.progress = self.watched


class PlainShow(Show):
    """Prints the text as it comes, and after each of its lines what has happened meanwhile."""

    names_failures = True

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self._at_start = True
        self._pending: list[str] = []

    def show_text(self, text: str) -> None:
        """Print a piece of the text."""
        for part in printable(text).splitlines(keepends=True):
            write(part)
            self._at_start = part.endswith("\n")
            if self._at_start:
                self._flush()

    def show_event(self, record: Record) -> None:
        """Print what happened, once the line of the text is complete."""
        self.watched.update(record, time.monotonic())
        task = record.get("task_id", "")
        what = line(record, self.watched.prompts.get(task, ""))
        if record["event"] == "task_settled" and task in self.watched.took:
            what = f"{what}, {self.watched.took[task]:.1f} s"
        if record["event"] == "generation_started":
            what = f"drawing {self.watched.prompts.get(task, '')}"
        if what is not None:
            self._pending.append(f"    [{what}]\n")
        if self._at_start:
            self._flush()

    def note(self, text: str) -> None:
        """Print a line on a line of its own."""
        self._break()
        write(f"{text}\n")

    def close(self) -> None:
        """Print what was held."""
        self._break()

    def _break(self) -> None:
        if not self._at_start:
            write("\n")
            self._at_start = True
        self._flush()

    def _flush(self) -> None:
        for what in self._pending:
            write(what)
        self._pending.clear()


class Stage(Show):
    """Scrolls the text in a terminal, with thumbnails in it and the slots below it.

    Args:
        slots: pictures that may be drawn at one time.
        console: of the terminal.
    """

    def __init__(self, slots: int, console: Any) -> None:
        from rich.live import Live

        super().__init__(slots)
        self._console = console
        self._line = ""
        self._from = 0
        self._due = 0.0
        self._characters = 0
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self.render,
        )

    def begin(self, name: str) -> None:
        """Start the live display."""
        del name
        with suppress(OSError):  # the terminal may be closed at any time, and the work goes on
            self._live.start()

    def show_text(self, text: str) -> None:
        """Scroll what is complete of the text."""
        for part in printable(text).splitlines(keepends=True):
            self._line += part.removesuffix("\n")
            self._scroll(whole=part.endswith("\n"))

    def _scroll(self, *, whole: bool) -> None:
        """Print the lines of the terminal that are full; the last one too, if the line is whole."""
        places = breaks(self._line[self._from :], self._width)
        styled = self._styled()[self._from :]
        lines = [styled[begin:end] for begin, end in (places if whole else places[:-1])]
        if not whole:
            self._from += places[-1][0]
        else:
            # before anything is printed, since the frame below it is drawn anew with it
            blank = not self._line.strip()
            self._line, self._from = "", 0
            lines += [] if blank else self._pictures()
        if lines:
            self._print(*lines)

    def _pictures(self) -> list[Any]:
        """Return the lines of the thumbnails that were not shown yet."""
        from limner.scripts.demonstration.thumbnails import side_by_side

        finished = self.watched.take_finished()
        width, height = self._console.size
        return ["", *side_by_side(finished, width, height)[:-1]] if finished else []

    def show_event(self, record: Record) -> None:
        """Count an event; the next frame shows it."""
        self.watched.update(record, time.monotonic())

    def refresh(self, characters: int) -> None:
        """Draw a frame, if the last one is older than `REFRESH`."""
        self._characters = characters
        now = time.monotonic()
        if now >= self._due:
            self._due = now + REFRESH
            with suppress(OSError):
                self._live.refresh()

    def render(self) -> Any:
        """Return what stands below the text: as many lines each time, so that nothing jumps."""
        from rich.console import Group
        from rich.rule import Rule
        from rich.table import Table
        from rich.text import Text

        watched, now = self.watched, time.monotonic()
        frame = Table.grid(expand=True, padding=(0, 1))
        frame.add_column(width=8, no_wrap=True)
        frame.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        frame.add_column(justify="right", no_wrap=True)
        for number, task in enumerate(watched.at_work, 1):
            name = Text(f"slot {number}", "bold green" if task else "dim")
            if task is None:
                frame.add_row(name, Text("free", "dim"), "")
            else:
                prompt = Text(watched.prompts.get(task, ""), "italic")
                frame.add_row(name, prompt, f"{now - watched.begun[task]:.1f} s")
        queue = watched.waiting
        name = Text("queue", "bold yellow" if queue else "dim")
        first = Text(queue[0], "italic") if queue else Text("empty", "dim")
        more = f"and {len(queue) - 1} more" if len(queue) > 1 else ""
        frame.add_row(name, first, more)
        drawn = watched.counts["drawn"]
        heading = f"{self._characters:,} characters, {drawn} picture{'' if drawn == 1 else 's'}"
        last = self._styled()[self._from :]
        last.no_wrap = True
        rule = Rule(Text(heading, "bold"), style="dim")
        return Group(last, Text(), rule, frame)

    def note(self, text: str) -> None:
        """Print a line above what is live, after the text that has come."""
        if self._line:
            self._scroll(whole=True)
        self._print(text)

    def close(self) -> None:
        """Print what is left of the text, with its last pictures, and remove the live display."""
        if self._line:
            self._scroll(whole=True)
        if pictures := self._pictures():
            self._print(*pictures)
        with suppress(OSError):
            self._live.stop()

    @property
    def _width(self) -> int:
        width: int = self._console.width
        return max(2, width)

    def _styled(self) -> Any:
        """Return the line of the text that is being read, its prompt tags in colour."""
        from rich.text import Text

        styled = Text(self._line)
        styled.highlight_regex(TAG, "cyan")
        return styled

    def _print(self, *lines: Any) -> None:
        with suppress(OSError):
            self._console.print(*lines, sep="\n", overflow="crop", no_wrap=True)


class Whole:
    """A terminal that shows what is written at one time all at once, if it can.

    It is told where a frame begins and ends (private mode 2026), which others pass over. So none
    shows a frame that is half erased.
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write a frame."""
        self._file.write(f"\x1b[?2026h{text}\x1b[?2026l")
        return len(text)

    def __getattr__(self, name: str) -> object:
        value: object = getattr(self._file, name)
        return value


def open_show(slots: int) -> Show:
    """Return the show for what standard output is."""
    terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if terminal and "NO_COLOR" not in os.environ:
        from rich.console import Console

        console = Console(highlight=False, markup=False, emoji=False, file=Whole(sys.stdout))  # type: ignore[arg-type]
        utf8 = console.encoding.lower().replace("-", "").startswith("utf8")
        large = console.width >= SMALLEST[0] and console.height >= SMALLEST[1]
        if utf8 and large and console.color_system in ENOUGH_COLOURS:
            return Stage(slots, console)
    return PlainShow(slots)


def write(text: str) -> None:
    """Write to standard output, if anybody still reads it."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:
        # the reader is gone; the work goes on, and nothing may fail at the exit
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
