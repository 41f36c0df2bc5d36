"""What a person sees while a text is illustrated: a live display, plain lines, or nothing.

All goes to standard error. Prompts are written by models and strangers, so nothing of them
reaches a terminal but printable characters, few of them, on one line.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from limner.messages.unicode import shown
from limner.scripts.signals import HEARING

MAX_ROWS = 6
"""Pictures in the making that are named in the live display."""

REFRESH = 0.1
"""Seconds between two frames of the live display."""

Record = Mapping[str, Any]


class Course:
    """How far the pictures of one message are, from its events."""

    def __init__(self) -> None:
        self.prompts: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.slots: set[str] = set()

    def take(self, record: Record) -> None:
        """Take the next event."""
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
        """How many pictures are in each state."""
        return Counter(self.states.values())

    @property
    def drawing(self) -> list[str]:
        """The prompts whose pictures are in the making."""
        return [self.prompts.get(task, "") for task, at in self.states.items() if at == "drawing"]


SETTLED = {"completed": "drawn", "failed": "failed", "cancelled": "let go"}
STATES = ("drawn", "drawing", "waiting", "failed", "let go")


def line(record: Record, prompt: str) -> str | None:
    """Say in one line what happened to a prompt, if that is worth a line."""
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
    """Shows nothing but errors, and is what the other displays are made from."""

    interval = HEARING
    """Seconds to wait for what happens, at most; then it wants to be refreshed."""

    names_failures = False
    """Whether it has named each failed picture when it happened."""

    def __init__(self) -> None:
        self.course = Course()

    def begin(self, name: str) -> None:
        """Begin to show what becomes of the text that has this name."""

    def happened(self, record: Record) -> None:
        """Show an event."""
        self.course.take(record)

    def refresh(self, characters: int) -> None:
        """Show how many characters have come."""

    def say(self, text: str) -> None:
        """Tell what is no error."""

    def close(self) -> None:
        """Leave the terminal as it was."""

    def complain(self, text: str) -> None:
        """Tell an error, in one line."""
        tell(f"limner: {text}")


class Lines(Display):
    """One line for each thing that happens, for pipes and files."""

    names_failures = True

    def begin(self, name: str) -> None:
        """Tell what is read."""
        self.say(f"reading {shown(name)}")

    def happened(self, record: Record) -> None:
        """Tell what happened."""
        super().happened(record)
        text = line(record, self.course.prompts.get(record.get("task_id", ""), ""))
        if text is not None:
            self.say(text)

    def say(self, text: str) -> None:
        """Tell it."""
        tell(text)


class Panel(Lines):
    """A few lines of a terminal, kept up to date.

    Args:
        slots: pictures that may be in the making at one time.
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
        """Take a part of the terminal."""
        self._name = shown(name)
        self._live.start()

    def happened(self, record: Record) -> None:
        """Count it; the next frame shows it."""
        self.course.take(record)

    def refresh(self, characters: int) -> None:
        """Draw a frame, if it is time for one."""
        self._characters = characters
        now = time.monotonic()
        if now >= self._due:
            self._due = now + REFRESH
            self._live.refresh()

    def render(self) -> Any:
        """Give one frame."""
        from rich.table import Table
        from rich.text import Text

        counts, used = self.course.counts, len(self.course.slots)
        pictures = " · ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        drawing = self.course.drawing
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
        """Take the display away."""
        self._live.stop()


def open_display(slots: int, *, quiet: bool) -> Display:
    """Give the display that fits what standard error is."""
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
        # whoever read it is gone; the work goes on, and nothing may fail at the exit
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
