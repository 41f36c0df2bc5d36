"""What a person sees while a text is illustrated: a live display, plain lines, or nothing.

All goes to standard error. Prompts are written by models and strangers, so nothing of them
reaches a terminal but printable characters, few of them, on one line.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from limner.messages.unicode import shown
from limner.scripts.signals import HEARING

MAX_ROWS = 6
"""Pictures being drawn that are named in the live display."""

REFRESH = 0.1
"""Seconds between two frames of the live display."""

Record = Mapping[str, Any]


class Progress:
    """How far the pictures of one message are, by its events."""

    def __init__(self) -> None:
        self.prompts: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.slots: set[str] = set()

    def update(self, record: Record) -> None:
        """Count the next event."""
        task = record.get("task_id", "")
        match record["event"]:
            case "prompt_detected" | "picture_wanted":
                self.prompts[task] = shown(record["prompt"])
                self.states[task] = "waiting"
            case "generation_started":
                self.states[task] = "drawing"
            case "generation_retried":
                self.states[task] = "waiting"
            case "task_settled":
                self.states[task] = SETTLED[record["state"]]
            case "slot_granted":
                self.slots.add(record["slot_id"])
            case "slot_released" | "slot_expired" | "slot_revoked":
                self.slots.discard(record["slot_id"])

    @property
    def counts(self) -> Counter[str]:
        """The number of pictures in each state."""
        return Counter(self.states.values())

    @property
    def drawing(self) -> list[str]:
        """The prompts whose pictures are being drawn."""
        return [self.prompts.get(task, "") for task, at in self.states.items() if at == "drawing"]


SETTLED = {"completed": "drawn", "failed": "failed", "cancelled": "stopped"}
STATES = ("drawn", "drawing", "waiting", "failed", "stopped")


def line(record: Record, prompt: str) -> str | None:
    """Return one line on what happened to a prompt; `None` if the event is not shown."""
    reason = record.get("reason")
    why = f": {shown(reason, 300)}" if reason else ""
    match record["event"]:
        case "prompt_detected":
            return f"found   {prompt}"
        case "picture_wanted":
            return f"wanted  {prompt}"
        case "generation_failed" if not record["final"]:
            return f"failed  {prompt}, will try again{why}"
        case "task_settled":
            return f"{SETTLED[record['state']]:<7} {prompt}{why}"
    return None


class Display:
    """Shows nothing but errors; the base of the other displays."""

    interval = HEARING
    """Seconds to wait for an event, at most, before `refresh` is called."""

    names_failures = False
    """Whether each failed picture is named when it fails."""

    shows_text = False
    """Whether the text itself is shown, by `show_text`."""

    def __init__(self) -> None:
        self.progress = Progress()

    def begin(self, name: str) -> None:
        """Start to show the progress of the text that has this name."""

    def show_event(self, record: Record) -> None:
        """Show an event."""
        self.progress.update(record)

    def show_text(self, text: str) -> None:
        """Show the next piece of the text."""

    def refresh(self, characters: int) -> None:
        """Show how many characters were read."""

    def note(self, text: str) -> None:
        """Show a line that is no error."""

    def close(self) -> None:
        """Restore the terminal."""

    def error(self, text: str) -> None:
        """Show an error, in one line."""
        tell(f"limner: {text}")


class Lines(Display):
    """Prints one line for each event, for pipes and files."""

    names_failures = True

    def begin(self, name: str) -> None:
        """Print what is read."""
        self.note(f"reading {shown(name)}")

    def show_event(self, record: Record) -> None:
        """Print what happened."""
        super().show_event(record)
        text = line(record, self.progress.prompts.get(record.get("task_id", ""), ""))
        if text is not None:
            self.note(text)

    def note(self, text: str) -> None:
        """Print the line."""
        tell(text)


class Panel(Lines):
    """Keeps a few lines of a terminal up to date.

    Args:
        slots: pictures that may be drawn at one time.
    """

    interval = REFRESH
    names_failures = False

    def __init__(self, slots: int) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        super().__init__()
        self._name = ""
        self._total = slots
        self._characters = 0
        self._due = 0.0
        self._spinner = Spinner("dots", "reading")
        self._live = Live(
            console=Console(stderr=True, highlight=False, markup=False, emoji=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            get_renderable=self.render,
        )

    def begin(self, name: str) -> None:
        """Start the live display."""
        self._name = shown(name)
        with suppress(OSError):  # the terminal may be closed at any time, and the work goes on
            self._live.start()

    def show_event(self, record: Record) -> None:
        """Count an event; the next frame shows it."""
        self.progress.update(record)

    def refresh(self, characters: int) -> None:
        """Draw a frame, if the last one is older than `REFRESH`."""
        self._characters = characters
        now = time.monotonic()
        if now >= self._due:
            self._due = now + REFRESH
            with suppress(OSError):
                self._live.refresh()

    def render(self) -> Any:
        """Return one frame."""
        from rich.table import Table
        from rich.text import Text

        counts, used = self.progress.counts, len(self.progress.slots)
        pictures = " · ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        drawing = self.progress.drawing
        frame = Table.grid(padding=(0, 1))
        frame.add_column(width=9, no_wrap=True, style="bold")
        frame.add_column(no_wrap=True, overflow="ellipsis")
        heading = Text(f"{self._name}  {self._characters:,} characters")
        frame.add_row(self._spinner, heading)
        frame.add_row("pictures", Text(pictures or "none found yet"))
        bar = f"{'■' * used}{'□' * (self._total - used)} " if self._total <= 20 else ""
        frame.add_row("slots", Text(f"{bar}{used} of {self._total} in use"))
        for number, prompt in enumerate(drawing[:MAX_ROWS]):
            frame.add_row("" if number else "drawing", Text(prompt, style="italic"))
        if len(drawing) > MAX_ROWS:
            frame.add_row("", Text(f"and {len(drawing) - MAX_ROWS} more"))
        return frame

    def close(self) -> None:
        """Remove the live display."""
        with suppress(OSError):
            self._live.stop()


def open_display(slots: int, *, quiet: bool) -> Display:
    """Return the display for what standard error is: a terminal, or a pipe or a file."""
    if quiet:
        return Display()
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return Panel(slots)
    return Lines()


def tell(text: str) -> None:
    """Write one line to standard error, if anybody still reads it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        # the reader is gone; the work goes on, and nothing may fail at the exit
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
