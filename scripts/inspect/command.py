"""`limner inspect`: one log, looked at in one way.

What is asked for goes to standard output, errors and the progress to standard error.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from limner.messages.unicode import shown
from limner.scripts.display import tell
from limner.scripts.inspect.reading import LogReader, LogUnusable
from limner.scripts.inspect.words import OPEN, many, worded

FAILED = 1
MISUSED = 2
INTERRUPTED = 130


def inspect(
    log: Path,
    *,
    message: str | None = None,
    task: str | None = None,
    check: bool = False,
    follow: bool = False,
    trace: Path | None = None,
    html: Path | None = None,
) -> int:
    """Print what one option asks of an event log; a summary without an option.

    Args:
        log: the file, or a pipe.
        message: tell the story of this message.
        task: tell the story of this task.
        check: audit the log.
        follow: show it live, as it is written.
        trace: write a trace for Perfetto or `chrome://tracing` to this file.
        html: write a page to this file.

    Returns:
        The exit status: 0 done, 1 a violation, an unknown id, or nobody reads the output any
        more, 2 wrong use or no usable log, 130 interrupted.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    ways = {
        "--message": message is not None,
        "--task": task is not None,
        "--check": check,
        "--follow": follow,
        "--trace": trace is not None,
        "--html": html is not None,
    }
    named = [way for way, wanted in ways.items() if wanted]
    if len(named) > 1:
        tell(f"limner: {' and '.join(named)} exclude each other: give one of them")
        return MISUSED
    try:
        if follow:
            return watch(log)
        if message is not None or task is not None:
            return story(log, message, task)
        if check:
            return audit(log)
        if trace is not None:
            from limner.scripts.inspect.trace import write_trace

            return write(log, trace, write_trace)
        if html is not None:
            from limner.scripts.inspect.page import write_page

            return write(log, html, write_page)
        return summary(log)
    except LogUnusable as error:
        tell(f"limner: {shown(str(error), 500)}")
        return MISUSED
    except BrokenPipeError:
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def summary(log: Path) -> int:
    """Print the summary."""
    from rich.console import Console

    from limner.scripts.inspect.summary import Summary

    summed = Summary()
    with reading(log) as reader:
        for event in reader:
            summed.feed(event)
    wide = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
    console = Console(highlight=False, markup=False, emoji=False, width=wide)
    console.print(summed.render())
    passed_over(reader)
    return 0


def audit(log: Path) -> int:
    """Print each violation, then the verdict."""
    from limner.messages.events.invariants import Audit

    checked = Audit()
    with reading(log) as reader:
        feed = checked.feed
        for event in reader:
            feed(event)
    verdict = checked.finish()
    for violation in verdict.violations:
        print(violation)
    if verdict.number > len(verdict.violations):
        print(f"and {verdict.number - len(verdict.violations):,} more")
    runs = f"{many(verdict.events, 'event')} of {many(verdict.runs, 'run')}"
    if verdict.passed:
        print(f"passed: I1 to I8 and I13 to I22 hold for {runs}")
    else:
        rules = ", ".join(sorted({violation.rule for violation in verdict.violations}))
        print(f"failed: {many(verdict.number, 'violation')} of {rules} in {runs}")
    still = {
        "sessions": verdict.open_sessions,
        "tasks": verdict.open_tasks,
        "slots": verdict.open_slots,
        "requests": verdict.open_requests,
    }
    if any(still.values()):
        print(f"open at the end: {worded(still, OPEN)}")
    if verdict.lost:
        were = "was" if verdict.lost == 1 else "were"
        print(
            f"the log says that {many(verdict.lost, 'event')} {were} lost;"
            f" {many(verdict.unchecked, 'grant')} could not be checked for I3 and I4"
        )
    passed_over(reader)
    return 0 if verdict.passed else FAILED


def story(log: Path, message: str | None, task: str | None) -> int:
    """Print the story of a message or a task."""
    from limner.scripts.inspect.story import Story, closest

    told = Story(message=message, task=task)
    with reading(log, bar=not sys.stdout.isatty()) as reader:
        for line in told.lines(reader):
            print(line)
    if told.found:
        return 0
    field, wanted = ("message_id", message) if message is not None else ("task_id", task)
    like: list[str] = []
    if log.is_file():  # a pipe cannot be read again
        with reading(log) as reader:
            like = closest(reader, wanted or "", field=field)
    what = "message" if message is not None else "task"
    meant = f"; it has {', '.join(shown(name, 60) for name in like)}" if like else ""
    tell(f"limner: the log has no {what} {shown(wanted or '', 60) or repr('')}{meant}")
    return FAILED


def write(log: Path, path: Path, writer: Callable[[LogReader, Path], str]) -> int:
    """Write a trace or a page of the log to a file."""
    with suppress(OSError):
        if path.samefile(log):
            tell(f"limner: {shown(repr(str(path)), 300)} is the log itself; name another file")
            return MISUSED
    try:
        with reading(log) as reader:
            told = writer(reader, path)
    except BrokenPipeError:
        raise
    except OSError as error:
        name = shown(repr(str(path)), 300)
        tell(f"limner: {name} cannot be written: {error.strerror or error}")
        return MISUSED
    print(shown(told, 500))
    passed_over(reader)
    return 0


def watch(log: Path) -> int:
    """Show the log live, until Ctrl-C or SIGTERM."""
    from limner.scripts.inspect.follow import follow

    if log.is_dir():
        raise LogUnusable(f"{str(log)!r} is a directory; name an event log")
    before: Any = None
    if threading.current_thread() is threading.main_thread():
        # ends the view as Ctrl-C does, so that the terminal is left as it was
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        follow(log, wait=time.sleep)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LogUnusable(f"{str(log)!r} cannot be read: {reason}") from error
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
    return 0


def passed_over(reader: LogReader) -> None:
    """Print how much of the log was no event."""
    what = []
    if reader.foreign:
        what.append(many(reader.foreign, "foreign line"))
    if reader.cut:
        what.append("the last line, which was cut")
    if what:
        print(f"passed over: {' and '.join(what)}")


@contextmanager
def reading(log: Path, *, bar: bool = True) -> Iterator[LogReader]:
    """Open a reader of the log, with a progress bar on standard error if that is a terminal."""
    if not bar or not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield LogReader(log)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as shows:
        job: Any = shows.add_task("reading", total=None)

        def progress(done: int, whole: int) -> None:
            shows.update(job, completed=done, total=whole or None)

        yield LogReader(log, progress=progress)
