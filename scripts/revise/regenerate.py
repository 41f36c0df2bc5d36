"""`limner regenerate`: new pictures in place of, or beside, some in a file; written together."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pykka

from limner.actors import Studio
from limner.actors.settings import load_settings
from limner.messages.errors import LimnerError, UnknownPicture
from limner.messages.picture_requests import Mode
from limner.messages.pictures import Illustrated
from limner.messages.unicode import shown
from limner.scripts.display import Display, open_display
from limner.scripts.paths import choose_paths, existing_paths
from limner.scripts.reading import Unusable
from limner.scripts.report import (
    DONE,
    INCOMPLETE,
    few,
    is_incomplete,
    name_troubles,
    report_error,
)
from limner.scripts.revise.batch import Batch, Job, conclude, merge, tell_removed
from limner.scripts.revise.diff import show_diff
from limner.scripts.revise.document import Document, opened
from limner.scripts.revise.dry_run import DryRunStore, dry_run_settings, stand_in
from limner.scripts.revise.file_kind import check_file, is_chat
from limner.scripts.revise.inventory import Sheet, find
from limner.scripts.revise.listing import never_illustrated, take_stock


def regenerate(
    file: str,
    placements: Sequence[str],
    *,
    mode: Mode,
    prompt: str | None = None,
    failed: bool = False,
    dry_run: bool = False,
    pictures: Path | None = None,
    quiet: bool = False,
    config: Path | None = None,
    **given: Any,
) -> int:
    """Make new pictures for some that stand in a file, and write each message once.

    Args:
        file: a text or a chat.
        placements: each a number, an id, or the beginning of one, as `find` takes it.
        mode: where the new pictures go.
        prompt: replaces the prompt of the pictures, which must share one.
        failed: whether pictures that left the mark of a failure are tried again.
        dry_run: whether to show only what would change.
        pictures: the directory of the pictures.
        quiet: whether to show errors only.
        config: a file of settings.
        given: fields of `Settings`.

    Returns:
        The exit status, as of `illustrate`.
    """
    display = Display()
    try:
        settings = load_settings(config, **given)
        check_file(file)
        if dry_run:
            paths = existing_paths(file, pictures, settings)
        else:
            paths = choose_paths(file, file, pictures, settings)
        if not placements and not failed:
            raise Unusable(
                "which picture? name its number or its id, as limner pictures tells them, "
                "or --failed"
            )
        with opened(paths, settings, chat=is_chat(file)) as document:
            jobs = find_jobs(document, placements, mode, prompt, failed=failed)
            if not jobs:
                raise Unusable(f"{file!r} holds no mark of a picture that failed")
            batch = Batch(display)
            if dry_run:
                return show_changes(batch, document, jobs, display)
            batch.display = display = open_display(settings.slots, quiet=quiet)
            try:
                batch.run(document.name, document.settings, document.store, jobs)
            finally:
                display.close()
            tell_changes(batch.results, display)
            return conclude(batch, document, display)
    except LimnerError as error:
        return report_error(error, display)


def find_jobs(
    document: Document,
    placements: Sequence[str],
    mode: Mode,
    prompt: str | None,
    *,
    failed: bool,
) -> list[Job]:
    """Return a job for each message that needs new pictures.

    Raises:
        UnknownPicture: if a placement does not stand in the file, or no picture ever stood there.
        Unusable: if a prompt is given for pictures of several prompts, or the tag that the mode
            needs is gone.
        StoreFailed: if the file cannot be read.
    """
    broken: list[str] = []
    sheets = list(take_stock(document, lambda error: broken.append(str(error))))
    hint = f" ({'; '.join(broken[:3])})" if broken else ""
    if message := never_illustrated(document, sheets):
        raise UnknownPicture(message + hint)
    try:
        targets = [find(placement, sheets, file=document.name) for placement in placements]
    except UnknownPicture as error:  # it may stand in what could not be read
        raise UnknownPicture(f"{error}{hint}") from error
    if mode == "append-after-prompt":
        check_tags(targets, sheets)
    if prompt is not None and len({name.partition(":")[0] for _, name in targets}) != 1:
        raise Unusable("--prompt goes with pictures of one prompt; name those of one at a time")
    replaced: dict[str, list[str]] = {message_id: [] for message_id, _ in targets}
    for message_id, name in targets:
        replaced[message_id].append(name)
    retried = {
        sheet.message_id
        for sheet in sheets
        if failed and any(spot.failures for spot in sheet.spots)
    }
    jobs = []
    for message_id in dict.fromkeys([*replaced, *sorted(retried)]):
        names, retry = replaced.get(message_id, ()), message_id in retried
        request = partial(request_pictures, message_id, names, mode, prompt, retry)
        jobs.append(Job(message_id, 0, request))
    return jobs


def check_tags(targets: Iterable[tuple[str, str]], sheets: Iterable[Sheet]) -> None:
    """Check that the prompts of some pictures still stand in the text.

    Raises:
        Unusable: if a prompt does not.
    """
    gone = {
        (sheet.message_id, entry.placement)
        for sheet in sheets
        for spot in sheet.spots
        if spot.line is None
        for entry in spot.pictures
    }
    for target in targets:
        if target in gone:
            raise Unusable(
                f"--mode append-after-prompt: the prompt of picture {target[1]} stands in the text "
                "no more; name another mode"
            )


def request_pictures(
    message_id: str,
    placements: Iterable[str],
    mode: Mode,
    prompt: str | None,
    retry: bool,
    studio: Studio,
) -> list[pykka.Future[Illustrated]]:
    """Request the new pictures of one message."""
    futures: list[pykka.Future[Illustrated]] = [
        studio.regenerate(message_id, placement, mode=mode, prompt=prompt)
        for placement in placements
    ]
    return [*futures, studio.retry(message_id)] if retry else futures


def show_changes(batch: Batch, document: Document, jobs: Sequence[Job], display: Display) -> int:
    """Show what would change if each picture could be made."""
    store = DryRunStore(document.store, document.paths.pictures_url)
    settings = dry_run_settings(document.settings)
    batch.run(document.name, settings, store, jobs, generator=stand_in)
    for message_id, (before, after) in store.changes.items():
        show_diff(shown(document.called(message_id), 300), before, after)
    result = merge(document.name, batch.results)
    for trouble in name_troubles(result, settings, failures=True):
        display.error(trouble)
    statuses = [report_error(error, display) for error in batch.errors]
    return max([*statuses, INCOMPLETE if is_incomplete(result) else DONE])


def tell_changes(results: Sequence[Illustrated], display: Display) -> None:
    """Print which pictures are new and which were removed."""
    new = [placement for result in results for placement in result.pictures]
    for line in few([f"new     {placement.id}  {shown(placement.prompt)}" for placement in new]):
        display.note(line)
    tell_removed(results, display)
