"""The result of a command: a summary for people, the text if it is to be printed, a status."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pykka

from limner.actors import Settings
from limner.messages.errors import (
    LimnerError,
    SessionCancelled,
    SettingsInvalid,
    StudioClosed,
    TextTooLong,
    UnknownMessage,
    UnknownPicture,
)
from limner.messages.pictures import Illustrated
from limner.messages.prompts import NearMiss
from limner.messages.registry import Version
from limner.messages.unicode import shown
from limner.scripts.display import Display
from limner.scripts.paths import Paths
from limner.scripts.pipes import save
from limner.scripts.reading import Unusable
from limner.scripts.signals import HEARING, Step

DONE, FAILED, MISUSED, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130
"""The exit statuses of the command."""

MISUSES = (SettingsInvalid, Unusable, UnknownMessage, UnknownPicture, TextTooLong)
"""Errors in how a command was used, or in the file that it was used on."""

TOLERANT = (
    'to have pictures of such tags, write them as <!--img-prompt="..."-->, '
    "or use --pattern tolerant (LIMNER_PATTERNS=tolerant)"
)
"""What to do about near misses."""

EXAMPLES = 3
"""Prompts past the limit that are named."""

MAX_NAMED = 20
"""Pictures that are named for each kind of trouble."""


def deliver(
    result: Illustrated,
    paths: Paths,
    settings: Settings,
    display: Display,
    *,
    interrupted: bool,
) -> int:
    """Print a summary, and the text if it goes to standard output; return the exit status."""
    if not result.written:
        display.error(f"nothing was written: {shown(str(result.reason), 300)}")
        return FAILED
    troubles = list(name_troubles(result, settings, failures=not display.names_failures))
    for trouble in (*troubles, *name_near_misses(result.near_misses)):
        display.error(trouble)
    tell_tolerant(result.near_misses, display)
    if paths.output is None and not print_text(result.text, display):
        keep_text(result.text, None, None, display)
        return FAILED
    tell_written(result, paths, settings, display, why=_no_prompt(result, settings))
    if interrupted:
        return INTERRUPTED
    return INCOMPLETE if is_incomplete(result) else DONE


def _no_prompt(result: Illustrated, settings: Settings) -> str:
    """Return that a text which was read as a whole holds no prompt; nothing if it holds one."""
    if result.pictures or result.failures or result.unplaced or result.over_limit:
        return ""
    usual = "patterns" not in settings.model_fields_set
    example = ' such as <!--img-prompt="a lighthouse at dusk"-->' if usual else ""
    return f": it holds no prompt{example}"


def deliver_plain(text: str, paths: Paths, version: Version | None, display: Display) -> int:
    """Print or write a text that cannot be read again, without pictures; return the exit status.

    Args:
        text: the text.
        paths: where it goes.
        version: of the output when the text began to come.
        display: says where it went.
    """
    if paths.output is None and print_text(text, display):
        display.error("the text was printed as it came, without pictures")
        return INCOMPLETE
    return keep_text(text, paths.output, version, display)


def keep_text(text: str, output: Path | None, version: Version | None, display: Display) -> int:
    """Write a text to a file, so that it is not lost; return the exit status.

    Args:
        text: the text.
        output: where it should go; standard output, which cannot be written, if `None`.
        version: of that file when the text began to come.
        display: says where it went.
    """
    try:
        there = save(text, output, version)
    except OSError as error:
        display.error(f"the text could not be kept anywhere: {error.strerror or error}")
        return FAILED
    if there == output:
        display.error(f"{shown(str(there), 300)} has the text as it came, without pictures")
        return INCOMPLETE
    display.error(f"the text is kept in {shown(str(there), 300)}")
    return FAILED


def tell_written(
    result: Illustrated, paths: Paths, settings: Settings, display: Display, *, why: str = ""
) -> None:
    """Print what was written, and where; or why without pictures, if that is known."""
    number = len(result.pictures)
    noun = "picture" if number == 1 else "pictures"
    where = f" in {shown(str(paths.pictures), 300)}" if number else why
    display.note(f"written {shown(paths.output_name, 300)}, {number} {noun}{where}")
    if settings.events is not None:
        display.note(f"events  {shown(str(settings.events), 300)}")


def result_of(future: pykka.Future[Illustrated], step: Step) -> Illustrated:
    """Wait for the result of a change, and return it.

    Args:
        future: of the change.
        step: called every `HEARING` seconds; what it raises ends the wait.

    Raises:
        LimnerError: if the change failed.
    """
    while True:
        step()
        with suppress(pykka.Timeout):
            result: Illustrated = future.get(timeout=HEARING)
            return result


def tell_changed(name: str, futures: Iterable[pykka.Future[Illustrated]], display: Display) -> None:
    """Print how many messages an interrupted command has changed.

    Args:
        name: of the file.
        futures: of the changes, by a studio that is closed.
        display: prints it.
    """
    messages = set()
    for future in futures:
        with suppress(LimnerError):
            if (result := future.get(timeout=0)).written:
                messages.add(result.message_id)
    were = "message was" if len(messages) == 1 else "messages were"
    changed = f"{len(messages):,} {were} changed in {shown(name, 300)}; run it again for the rest"
    display.error(f"interrupted; {changed if messages else 'nothing was changed'}")


@contextmanager
def failing_alone(errors: list[LimnerError]) -> Iterator[None]:
    """Collect the error of one message, so that the others are done all the same.

    Raises:
        StudioClosed: if nothing more can be done.
    """
    try:
        yield
    except StudioClosed:
        raise
    except LimnerError as error:
        errors.append(error)


def is_incomplete(result: Illustrated) -> bool:
    """Return whether pictures are missing."""
    return bool(result.failures or result.unplaced or result.over_limit or result.dropped_patterns)


def report_error(error: LimnerError, display: Display) -> int:
    """Print the error that ended a command, and return the exit status."""
    if isinstance(error, SessionCancelled):
        display.error("interrupted; the text was not written")
        return INTERRUPTED
    display.error(shown(str(error), 500))
    return MISUSED if isinstance(error, MISUSES) else FAILED


def print_text(text: str, display: Display) -> bool:
    """Write the text to standard output as it is, and return whether that succeeded."""
    try:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        display.error(f"standard output cannot be written: {error.strerror}")
        return False
    return True


def name_troubles(result: Illustrated, settings: Settings, *, failures: bool) -> Iterator[str]:
    """Yield a line for each picture that is missing, with the reason.

    Args:
        result: of the text.
        settings: the ones in force.
        failures: whether to name the pictures that could not be made, too.
    """
    most = settings.max_prompts_per_message
    if failures:
        yield from few(
            [
                f"no picture of {shown(failure.prompt)!r}: {shown(failure.reason, 300)}"
                for failure in result.failures
            ]
        )
    yield from few(
        [
            f"not in the text, as {unplaced.reason}: {shown(unplaced.placement.prompt)!r}, "
            f"kept as {shown(unplaced.placement.picture.url, 300)}"
            for unplaced in result.unplaced
        ]
    )
    if over := result.over_limit:
        first = ", ".join(repr(shown(prompt)) for prompt in over[:EXAMPLES])
        yield (
            f"no pictures of {len(over):,} prompt{'s' * (len(over) != 1)} past the {most:,} of one "
            f"text (LIMNER_MAX_PROMPTS_PER_MESSAGE): {first}{', ...' * (len(over) > EXAMPLES)}"
        )
    yield from few(
        [
            f"pattern {shown(pattern)!r} took too long on this text and was given up"
            for pattern in result.dropped_patterns
        ]
    )


def name_near_misses(near_misses: Sequence[NearMiss], name: str = "") -> Iterator[str]:
    """Yield a line for each place that looks like a prompt tag and is none, and what to do.

    Args:
        near_misses: the places, of one text.
        name: what each line begins with, for one text of several.
    """
    yield from few(
        [
            f"{name}line {near_miss.line}, column {near_miss.column}: {shown(near_miss.text)!r} "
            f"looks like a prompt tag, but has {near_miss.reason}"
            for near_miss in near_misses
        ]
    )


def tell_tolerant(near_misses: Iterable[NearMiss], display: Display) -> None:
    """Print which patterns take near misses for prompt tags, if they do."""
    if any(near_miss.tolerated for near_miss in near_misses):
        display.error(TOLERANT)


def few(lines: Sequence[str]) -> Iterator[str]:
    """Yield the first `MAX_NAMED` lines, and a line with the number of those left out."""
    yield from lines[:MAX_NAMED]
    if len(lines) > MAX_NAMED:
        yield f"and {len(lines) - MAX_NAMED:,} more"
