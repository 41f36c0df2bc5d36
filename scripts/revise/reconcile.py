"""`limner reconcile`: puts back the pictures that another program has stripped from a file."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pykka

from limner.actors import Studio
from limner.actors.settings import load_settings
from limner.messages.errors import LimnerError, UnknownMessage
from limner.messages.pictures import Illustrated
from limner.messages.settings import Settings
from limner.messages.text.reconcile import reconcile as reconciled
from limner.messages.unicode import shown
from limner.scripts.display import Display, Lines, open_display
from limner.scripts.paths import choose_paths, existing_paths
from limner.scripts.report import (
    DONE,
    INCOMPLETE,
    INTERRUPTED,
    MAX_NAMED,
    failing_alone,
    few,
    report_error,
    result_of,
    tell_changed,
)
from limner.scripts.revise.batch import Batch, Job, conclude
from limner.scripts.revise.diff import show_diff
from limner.scripts.revise.document import Document, opened
from limner.scripts.revise.file_kind import check_file, is_chat
from limner.scripts.revise.inventory import Entry
from limner.scripts.revise.listing import lost_in, take_stock, tell_lost_files
from limner.scripts.revise.regenerate import request_pictures, tell_changes
from limner.scripts.signals import Step, interrupted_between_steps


def reconcile(
    file: str,
    *,
    redraw: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
    config: Path | None = None,
    **given: Any,
) -> int:
    """Put back the pictures that another program has stripped from a file.

    Args:
        file: a text or a chat.
        redraw: whether pictures whose files are gone are made again.
        dry_run: whether to show only what would change.
        quiet: whether to show errors only.
        config: a file of settings.
        given: fields of `Settings`.

    Returns:
        The exit status: 0 all stands where it should, 1 failed, 2 wrong use or input, 3 some
        pictures could not be put back or have no file, or some messages could not be read, 130
        interrupted.
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
            sheets = list(take_stock(document))
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
    status = INCOMPLETE if lost or errors else DONE
    without_file = lost_in(sheets)
    if redraw and without_file and not dry_run:
        try:
            return redraw_all(file, without_file, settings, quiet=quiet) or status
        except LimnerError as error:
            return report_error(error, display)
    tell_lost_files(sum(map(len, without_file.values())), document, display)
    return INCOMPLETE if without_file else status


def redraw_all(
    file: str, pictures: Mapping[str, Sequence[Entry]], settings: Settings, *, quiet: bool
) -> int:
    """Make pictures again whose files are gone, and return the exit status.

    Args:
        file: a text or a chat.
        pictures: those of each message, by its id.
        settings: the ones in force.
        quiet: whether to show errors only.

    Raises:
        LimnerError: if the file cannot be read, or the studio not be opened.
    """
    paths = choose_paths(file, file, None, settings)
    display = open_display(settings.slots, quiet=quiet)
    batch = Batch(display)
    with opened(paths, settings, chat=is_chat(file)) as document:
        jobs = []
        for message_id, entries in pictures.items():
            if names := [entry.placement for entry in entries if entry.number]:
                request = partial(request_pictures, message_id, names, "replace-image", None, False)
                jobs.append(Job(message_id, 0, request))
        try:
            batch.run(document.name, document.settings, document.store, jobs)
        finally:
            display.close()
        tell_changes(batch.results, display)
        return conclude(batch, document, display)


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
