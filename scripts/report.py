"""What became of a text: told in a summary, printed if that is wanted, summed up as a status."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import pykka

from limner.actors import Settings
from limner.messages.errors import (
    LimnerError,
    SessionCancelled,
    SettingsInvalid,
    TextTooLong,
    UnknownMessage,
    UnknownPicture,
)
from limner.messages.pictures import Illustrated
from limner.messages.unicode import shown
from limner.scripts.display import Display
from limner.scripts.paths import Places
from limner.scripts.reading import Unusable
from limner.scripts.signals import HEARING, Step

DONE, FAILED, MISUSED, INCOMPLETE, INTERRUPTED = 0, 1, 2, 3, 130
"""The exit statuses of the command."""

MISUSES = (SettingsInvalid, Unusable, UnknownMessage, UnknownPicture, TextTooLong)
"""What is wrong with how a command was used, or with what it was used on."""

MAX_NAMED = 20
"""Pictures of one kind of trouble that are named."""


def deliver(
    result: Illustrated,
    places: Places,
    settings: Settings,
    display: Display,
    *,
    interrupted: bool,
) -> int:
    """Say what became of the text, and give the exit status; print the text if that is wanted."""
    if not result.written:
        display.complain(f"nothing was written: {shown(str(result.reason), 300)}")
        return FAILED
    troubles = list(name_troubles(result, settings, failures=not display.names_failures))
    for trouble in troubles:
        display.complain(trouble)
    if places.output is None and not print_text(result.text, display):
        return FAILED
    tell_written(result, places, settings, display)
    if interrupted:
        return INTERRUPTED
    return INCOMPLETE if is_incomplete(result) else DONE


def tell_written(result: Illustrated, places: Places, settings: Settings, display: Display) -> None:
    """Say what was written, and where."""
    number = len(result.pictures)
    noun = "picture" if number == 1 else "pictures"
    where = f" in {shown(str(places.pictures), 300)}" if number else ""
    display.say(f"written {shown(places.output_name, 300)}, {number} {noun}{where}")
    if settings.events is not None:
        display.say(f"events  {shown(str(settings.events), 300)}")


def outcome_of(asked: pykka.Future[Illustrated], step: Step) -> Illustrated:
    """Wait for what comes of a change.

    Args:
        asked: the change.
        step: called now and then; what it raises ends the waiting.

    Raises:
        LimnerError: whatever came of it.
    """
    while True:
        step()
        with suppress(pykka.Timeout):
            result: Illustrated = asked.get(timeout=HEARING)
            return result


def tell_changed(name: str, asked: Iterable[pykka.Future[Illustrated]], display: Display) -> None:
    """Say how far a command came that was interrupted as it changed one message after another.

    Args:
        name: of the file.
        asked: what it has asked for, of a studio that is closed.
        display: who is told.
    """
    messages = set()
    for one in asked:
        with suppress(LimnerError):
            if (result := one.get(timeout=0)).written:
                messages.add(result.message_id)
    were = "message was" if len(messages) == 1 else "messages were"
    changed = f"{len(messages):,} {were} changed in {shown(name, 300)}; run it again for the rest"
    display.complain(f"interrupted; {changed if messages else 'nothing was changed'}")


def is_incomplete(result: Illustrated) -> bool:
    """Say whether pictures are missing."""
    return bool(result.failures or result.unplaced or result.over_limit or result.dropped_patterns)


def give_up(error: LimnerError, display: Display) -> int:
    """Say what has ended a command, and give the exit status."""
    if isinstance(error, SessionCancelled):
        display.complain("interrupted; the text was not written")
        return INTERRUPTED
    display.complain(shown(str(error), 500))
    return MISUSED if isinstance(error, MISUSES) else FAILED


def print_text(text: str, display: Display) -> bool:
    """Write the text to standard output, as it is; say whether somebody took it."""
    try:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        display.complain(f"standard output cannot be written: {error.strerror}")
        return False
    return True


def name_troubles(result: Illustrated, settings: Settings, *, failures: bool) -> Iterator[str]:
    """Say, a line each, which pictures are missing and why.

    Args:
        result: what became of the text.
        settings: what was in force.
        failures: whether those are named that could not be made; else the others only.
    """
    most = settings.max_prompts_per_message
    if failures:
        yield from few(
            [
                f"no picture of {shown(one.prompt)!r}: {shown(one.reason, 300)}"
                for one in result.failures
            ]
        )
    yield from few(
        [
            f"not in the text, as {one.reason}: {shown(one.placement.prompt)!r}, "
            f"kept as {shown(one.placement.picture.url, 300)}"
            for one in result.unplaced
        ]
    )
    yield from few(
        [
            f"no picture of {shown(prompt)!r}: more than the "
            f"{most} prompts of one text (LIMNER_MAX_PROMPTS_PER_MESSAGE)"
            for prompt in result.over_limit
        ]
    )
    yield from few(
        [
            f"pattern {shown(pattern)!r} took too long on this text and was given up"
            for pattern in result.dropped_patterns
        ]
    )


def few(lines: Sequence[str]) -> Iterator[str]:
    """Give the first of many lines, and how many more there are."""
    yield from lines[:MAX_NAMED]
    if len(lines) > MAX_NAMED:
        yield f"and {len(lines) - MAX_NAMED:,} more"
