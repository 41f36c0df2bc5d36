"""A live view of a log that is still being written.

The file may not be there yet, be cut short, or be replaced by another of its name: each is
noticed and told, and the reading begins anew. Ctrl-C ends it.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from limner.messages.events.record import MAX_LINE, Record, opens_run, parse
from limner.messages.unicode import shown
from limner.scripts.inspect.measures import text
from limner.scripts.inspect.reading import BLOCK
from limner.scripts.inspect.summary import Summary
from limner.scripts.inspect.words import listed, many

LATEST = 10
"""Events that are shown, the last of them."""

PAUSE = 0.2
"""Seconds after which the file is looked at again."""


class Tail:
    """The lines of a file as it grows.

    Args:
        path: of the file, which need not be there yet.

    Attributes:
        foreign: lines that were no events.
        began_anew: why the file was begun anew, once, until it is read.
    """

    def __init__(self, path: Path) -> None:
        self.foreign = 0
        self.began_anew = ""
        self._path = path
        self._file: BinaryIO | None = None
        self._node = (0, 0)
        self._at = 0
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def there(self) -> bool:
        """Whether there is a file that is read."""
        return self._file is not None

    def read(self) -> list[Record] | None:
        """Return the events of the next block; `None` if there is nothing more for now.

        Raises:
            OSError: if the file is there and cannot be read.
        """
        try:
            return self._next()
        except FileNotFoundError:
            self.close()
            return None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _next(self) -> list[Record] | None:
        if self._file is None:
            self._open()
        assert self._file is not None
        if os.fstat(self._file.fileno()).st_size < self._at:
            self._begin_anew("it was cut short")
        block = self._file.read(BLOCK)
        if block:
            self._at += len(block)
            return list(self._events(block))
        found = os.stat(self._path)  # noqa: PTH116
        if (found.st_dev, found.st_ino) != self._node:
            # what was written to the old one until now has been read
            self._open()
            self._begin_anew("it was replaced")
            return []
        return None

    def _open(self) -> None:
        file = self._path.open("rb", buffering=0)
        again = self._node != (0, 0)
        self.close()
        found = os.fstat(file.fileno())
        self._file, self._node, self._at = file, (found.st_dev, found.st_ino), 0
        self._parts, self._size = [], 0
        if again:
            self.began_anew = "it is another file"

    def _begin_anew(self, why: str) -> None:
        assert self._file is not None
        self._file.seek(0)
        self._at = 0
        self._parts, self._size = [], 0
        self.began_anew = why

    def _events(self, block: bytes) -> Iterator[Record]:
        lines = block.split(b"\n")
        for index, line in enumerate(lines):
            if self._size <= MAX_LINE:
                self._parts.append(line)
                self._size += len(line)
            if index == len(lines) - 1:
                return  # its end may still come
            whole = b"".join(self._parts)
            self._parts, self._size = [], 0
            event = parse(whole)
            if event is not None:
                yield event
            elif whole and not whole.isspace():
                self.foreign += 1


class Watch:
    """What is going on in the run that is being written.

    Args:
        name: what the user calls the log.
    """

    def __init__(self, name: str) -> None:
        self.name = shown(name, 200)
        self.latest: deque[str] = deque(maxlen=LATEST)
        self.note = ""
        self.begin()

    def begin(self) -> None:
        """Start with an empty summary, for another run."""
        self.summary = Summary()
        self.closed = False
        self.latest.clear()

    def feed(self, event: Record) -> str:
        """Add an event, and return the line that shows it."""
        if opens_run(event):
            self.begin()
        elif event["event"] == "studio_closed":
            self.closed = True
        self.summary.feed(event)
        told = line(event)
        self.latest.append(told)
        return told

    def counts(self) -> str:
        """Return one line that counts what is live."""
        now = self.summary.open
        lanes = ", ".join(
            f"{shown(name, 30)} {lane.out:,} of {'any' if lane.limit is None else lane.limit}"
            + (f" ({lane.state})" if lane.state else "")
            for name, lane in self.summary.lanes.items()
            if lane.there
        )
        return (
            f"{many(now.get('sessions', 0), 'message')} live · "
            f"{many(now.get('tasks', 0), 'picture')} under way"
            f" · slots out: {lanes or 'none'} · {now.get('requests', 0):,} waiting"
        )

    def render(self) -> Any:
        """Return one frame, for rich."""
        from rich.table import Table
        from rich.text import Text

        frame = Table.grid(padding=(0, 1))
        frame.add_column(width=9, no_wrap=True, style="bold")
        frame.add_column(no_wrap=True, overflow="ellipsis")
        state = "closed" if self.closed else "running" if self.summary.events else "nothing yet"
        heading = f"{self.name}  {self.summary.events:,} events, {state}"
        frame.add_row("log", Text(heading + (f"  ({self.note})" if self.note else "")))
        frame.add_row("now", Text(self.counts()))
        frame.add_row("messages", Text(listed(self.summary.sessions) or "none ended"))
        frame.add_row("pictures", Text(listed(self.summary.tasks) or "none settled"))
        for number, told in enumerate(self.latest):
            frame.add_row("" if number else "latest", Text(told))
        return frame


FIELDS = {
    "state": 20,
    "outcome": 20,
    "lane": 30,
    "slot_id": 30,
    "wanted": 30,
    "seconds": 20,
    "failures": 20,
    "how": 20,
    "reason": 120,
}
"""What a line shows of an event, and how many characters of it."""


def line(event: Record) -> str:
    """Return an event as one line of text."""
    what = [f"{event['t']:>10.3f}", shown(event["event"], 40)]
    for name, limit in (("message_id", 40), ("task_id", 24), ("prompt", 48)):
        if value := shown(text(event, name), limit):
            what.append(value)
    for name, limit in FIELDS.items():
        given = event.get(name)
        if isinstance(given, int | float) and not isinstance(given, bool):
            value = f"{given:.10g}"
        else:
            value = shown(text(event, name), limit)
        if value:
            what.append(f"{name.removesuffix('_id')}={value}")
    return "  ".join(what)


def follow(path: Path, *, wait: Callable[[float], object]) -> None:
    """Show a log as it is written, until `KeyboardInterrupt`.

    Args:
        path: of the log, which need not be there yet.
        wait: called with the seconds to pause, when there is nothing new.

    Raises:
        OSError: if the file is there and cannot be read.
    """
    tail, watch = Tail(path), Watch(str(path))
    show: Any = Frames(watch) if on_terminal() else Lines(watch)
    with closing(tail), closing(show):
        show.start()  # in here, as an interrupt may come while it begins
        while True:
            events = tail.read()
            if tail.began_anew:
                show.begin_anew(f"begun anew: {tail.began_anew}")
                tail.began_anew = ""
            elif not tail.there:
                show.note("waiting for it to appear")
            elif events is not None:
                show.note(f"{tail.foreign:,} foreign lines passed over" if tail.foreign else "")
            for event in events or ():
                show.tell(watch.feed(event))
            if events is None:
                show.pause()
                wait(PAUSE)


def on_terminal() -> bool:
    """Check whether standard output can show a live view."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Lines:
    """Plain lines, for a pipe or a file: the last few that are there, then each new one."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._live = False
        self._note = ""

    def start(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def begin_anew(self, why: str) -> None:
        """Print that another log is read from its beginning."""
        self.note(why)
        self._note = ""
        self._watch.begin()

    def note(self, note: str) -> None:
        """Print a note about the file, once."""
        if note and note != self._note:
            print(f"{self._watch.name}: {note}", flush=True)
        self._note = note

    def tell(self, told: str) -> None:
        """Print the line of an event, once the lines that were there are shown."""
        if self._live:
            print(told, flush=True)

    def pause(self) -> None:
        """Print the last lines that were there; from now on each new line is printed."""
        if not self._live and self._watch.summary.events:
            for told in self._watch.latest:
                print(told)
            print(self._watch.counts(), flush=True)
        self._live = True


class Frames:
    """A part of the terminal, kept up to date."""

    def __init__(self, watch: Watch) -> None:
        from rich.console import Console
        from rich.live import Live

        self._watch = watch
        self._live = Live(
            console=Console(highlight=False, markup=False, emoji=False),
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=watch.render,
        )

    def start(self) -> None:
        """Start the live display."""
        self._live.start(refresh=True)

    def close(self) -> None:
        """Stop the live display and leave the terminal as it was."""
        self._live.stop()

    def begin_anew(self, why: str) -> None:
        """Show that another log is read from its beginning."""
        self._watch.begin()
        self._watch.note = why

    def note(self, note: str) -> None:
        """Show a note about the file."""
        if note:
            self._watch.note = note
        elif self._watch.note.startswith("waiting"):
            self._watch.note = ""

    def tell(self, told: str) -> None:
        """Do nothing: the next frame shows the event."""

    def pause(self) -> None:
        """Draw a frame."""
        self._live.refresh()
