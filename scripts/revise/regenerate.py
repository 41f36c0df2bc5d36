"""`limner regenerate`: other pictures for some that stand in a file, written together."""

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
from limner.scripts.paths import find_places, places_of
from limner.scripts.reading import Unusable
from limner.scripts.report import (
    DONE,
    INCOMPLETE,
    few,
    give_up,
    is_incomplete,
    name_troubles,
)
from limner.scripts.revise.batch import Course, Job, conclude, tell_removed, together
from limner.scripts.revise.diff import show_diff
from limner.scripts.revise.document import Document, check_file, is_chat, opened
from limner.scripts.revise.dry_run import Rehearsal, in_rehearsal, stand_in
from limner.scripts.revise.inventory import Sheet, find
from limner.scripts.revise.listing import never, take_stock


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
    """Make other pictures for some that stand in a file, and write it once a message.

    Args:
        file: a text or a chat.
        placements: each a number, an id, or the beginning of one, as `find` takes it.
        mode: where the new ones go.
        prompt: what is drawn in place of the pictures' own prompt, which is one.
        failed: whether what has left the mark of a failure is tried again.
        dry_run: whether it is only shown what would change.
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
            places = places_of(file, pictures, settings)
        else:
            places = find_places(file, file, pictures, settings)
        if not placements and not failed:
            raise Unusable(
                "which picture? name its number or its id, as limner pictures tells them, "
                "or --failed"
            )
        with opened(places, settings, chat=is_chat(file)) as document:
            jobs = find_jobs(document, placements, mode, prompt, failed=failed)
            if not jobs:
                raise Unusable(f"{file!r} holds no mark of a picture that failed")
            course = Course(display)
            if dry_run:
                return rehearse(course, document, jobs, display)
            course.display = display = open_display(settings.slots, quiet=quiet)
            try:
                course.run(document.name, document.settings, document.store, jobs)
            finally:
                display.close()
            tell_changes(course.results, display)
            return conclude(course, document, display)
    except LimnerError as error:
        return give_up(error, display)


def find_jobs(
    document: Document,
    placements: Sequence[str],
    mode: Mode,
    prompt: str | None,
    *,
    failed: bool,
) -> list[Job]:
    """Say what is to be wished for, a job a message.

    Raises:
        UnknownPicture: if a placement is none that stands in the file, or none ever stood there.
        Unusable: if a prompt is given for pictures of several, or there is no tag that the mode
            asks for.
        StoreFailed, TextTooLong: if the file cannot be read.
    """
    sheets = list(take_stock(document))
    if said := never(document, sheets):
        raise UnknownPicture(said)
    targets = [find(one, sheets, file=document.name) for one in placements]
    if mode == "append-after-prompt":
        check_tags(targets, sheets)
    if prompt is not None and len({name.partition(":")[0] for _, name in targets}) != 1:
        raise Unusable("--prompt goes with pictures of one prompt; name those of one at a time")
    wishes: dict[str, list[str]] = {message_id: [] for message_id, _ in targets}
    for message_id, name in targets:
        wishes[message_id].append(name)
    again = {
        sheet.message_id for sheet in sheets if failed and any(one.failures for one in sheet.spots)
    }
    return [
        Job(one, 0, partial(ask, one, wishes.get(one, ()), mode, prompt, one in again))
        for one in dict.fromkeys([*wishes, *sorted(again)])
    ]


def check_tags(targets: Iterable[tuple[str, str]], sheets: Iterable[Sheet]) -> None:
    """See that the prompts of some pictures still stand in the text.

    Raises:
        Unusable: if one does not.
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


def ask(
    message_id: str,
    placements: Iterable[str],
    mode: Mode,
    prompt: str | None,
    again: bool,
    studio: Studio,
) -> list[pykka.Future[Illustrated]]:
    """Wish for what is wanted of one message."""
    wishes = [studio.regenerate(message_id, one, mode=mode, prompt=prompt) for one in placements]
    return [*wishes, studio.retry(message_id)] if again else wishes


def rehearse(course: Course, document: Document, jobs: Sequence[Job], display: Display) -> int:
    """Show what would change if each picture could be made."""
    store = Rehearsal(document.store, document.places.pictures_url)
    settings = in_rehearsal(document.settings)
    course.run(document.name, settings, store, jobs, generator=stand_in)
    for message_id, (before, after) in store.changes.items():
        show_diff(shown(document.called(message_id), 300), before, after)
    result = together(document.name, course.results)
    for trouble in name_troubles(result, settings, failures=True):
        display.complain(trouble)
    statuses = [give_up(error, display) for error in course.errors]
    return max([*statuses, INCOMPLETE if is_incomplete(result) else DONE])


def tell_changes(results: Sequence[Illustrated], display: Display) -> None:
    """Say which pictures came and which went."""
    came = [one for result in results for one in result.pictures]
    for line in few([f"new     {one.id}  {shown(one.prompt)}" for one in came]):
        display.say(line)
    tell_removed(results, display)
