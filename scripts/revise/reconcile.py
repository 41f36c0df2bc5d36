"""`limner reconcile`: puts back the pictures that another program has stripped from a file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pykka

from limner.actors import Studio
from limner.actors.settings import load_settings
from limner.messages.errors import LimnerError, StudioClosed, UnknownMessage
from limner.messages.pictures import Illustrated
from limner.messages.text.reconcile import reconcile as reconciled
from limner.messages.unicode import shown
from limner.scripts.display import Display, Lines
from limner.scripts.paths import existing_paths
from limner.scripts.report import (
    DONE,
    INCOMPLETE,
    INTERRUPTED,
    MAX_NAMED,
    few,
    report_error,
    result_of,
    tell_changed,
)
from limner.scripts.revise.diff import show_diff
from limner.scripts.revise.document import Document, check_file, is_chat, opened
from limner.scripts.signals import Step, interrupted_between_steps


def reconcile(
    file: str,
    *,
    dry_run: bool = False,
    quiet: bool = False,
    config: Path | None = None,
    **given: Any,
) -> int:
    """Put back the pictures that another program has stripped from a file.

    Args:
        file: a text or a chat.
        dry_run: whether to show only what would change.
        quiet: whether to show errors only.
        config: a file of settings.
        given: fields of `Settings`.

    Returns:
        The exit status: 0 all stands where it should, 1 failed, 2 wrong use or input, 3 some
        pictures could not be put back or some messages not read, 130 interrupted.
    """
    display = Display() if quiet else Lines()
    futures: list[pykka.Future[Illustrated]] = []
    results: list[Illustrated] = []
    errors: list[LimnerError] = []
    try:
        settings = load_settings(config, **given)
        check_file(file)
        paths = existing_paths(file, None, settings, writes=not dry_run)
        with (
            interrupted_between_steps() as step,
            opened(paths, settings, chat=is_chat(file)) as document,
        ):
            message_ids = document.illustrated()
            if dry_run or not message_ids:
                for message_id in message_ids:
                    step()
                    with failing_alone(errors):
                        results.append(preview(document, message_id))
            else:
                with Studio.open(
                    document.settings, store=document.store, generator="instant"
                ) as studio:
                    for message_id in message_ids:
                        with failing_alone(errors):
                            futures.append(studio.reconcile(message_id))
                            results.append(wait_for(document, futures[-1], message_id, step))
    except LimnerError as error:
        return report_error(error, display)
    except KeyboardInterrupt:
        tell_changed(file, futures, display)
        return INTERRUPTED
    status = max([report_error(error, display) for error in errors[:MAX_NAMED]], default=DONE)
    back = [placement for result in results for placement in result.pictures]
    lost = [unplaced for result in results for unplaced in result.unplaced]
    for line in few([f"back    {placement.id}  {shown(placement.prompt)}" for placement in back]):
        display.note(line)
    for line in few(
        [
            f"not put back: {unplaced.placement.id}, of {shown(unplaced.placement.prompt)!r}: "
            f"{unplaced.reason}"
            for unplaced in lost
        ]
    ):
        display.error(line)
    name, number = shown(document.name, 300), len(back)
    noun = "picture" if number == 1 else "pictures"
    if not number:
        hint = "" if message_ids else document.hint
        display.note(f"nothing {'could' if lost else 'is to'} be put back in {name}{hint}")
    elif not dry_run:
        display.note(f"written {name}, {number} {noun} put back")
    if errors and not results:
        return status
    return INCOMPLETE if lost or errors else DONE


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


def wait_for(
    document: Document, future: pykka.Future[Illustrated], message_id: str, step: Step
) -> Illustrated:
    """Wait until the pictures of one message are put back, and return the result."""
    try:
        return result_of(future, step).but(text="")
    except UnknownMessage:  # the message is a user's by now
        return compare(document, message_id, None)


def preview(document: Document, message_id: str) -> Illustrated:
    """Show what would change in one message, and return the result that it would have."""
    try:
        loaded = document.store.load(message_id)
    except UnknownMessage:
        loaded = None
    return compare(document, message_id, loaded and loaded[0])


def compare(document: Document, message_id: str, text: str | None) -> Illustrated:
    """Show what would change in a text, and return the result that it would have."""
    composed = reconciled(
        text,
        document.store.registry(message_id),
        message_id=message_id,
        notation=document.settings.notation,
    )
    if text is not None:
        show_diff(shown(document.called(message_id), 300), text, composed.text)
    return Illustrated(
        message_id=message_id,
        text="",
        version=None,
        pictures=composed.placed,
        unplaced=composed.unplaced,
        written=False,
    )
