"""`limner illustrate` on a chat: its messages are illustrated in place or in a copy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from filecmp import cmp
from functools import partial
from itertools import chain
from pathlib import Path

import pykka

from limner.actors import Studio
from limner.actors.stores import PictureFiles
from limner.messages.picture_requests import TAG_PLACES, Mode
from limner.messages.pictures import Illustrated
from limner.messages.prompts import NearMiss
from limner.messages.settings import Settings
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.near_misses import near_misses_of
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.reconcile import reconcile
from limner.messages.text.regenerate import request_all
from limner.messages.unicode import shown
from limner.scripts.display import Display, open_display, tell
from limner.scripts.paths import choose_paths
from limner.scripts.reading import Unusable
from limner.scripts.report import DONE, INCOMPLETE, few, name_near_misses, tell_tolerant
from limner.scripts.revise.batch import Batch, Job, conclude, tell_removed
from limner.scripts.revise.copying import copy_file, keep_copy
from limner.scripts.revise.document import (
    Document,
    check_copy,
    opened,
    registered,
    tell_backup,
)
from limner.scripts.revise.inventory import address
from limner.scripts.revise.listing import tell_lost_files


@dataclass(frozen=True)
class Wanted:
    """Which messages of a chat are to be illustrated, and how.

    Args:
        messages: their line numbers; all messages if empty.
        only_missing: whether the user asked to skip prompts that have a picture.
        mode: what happens to prompts that have a picture; they are skipped if `None`.
        backup: whether the unchanged chat is kept beside it.
        redraw: whether pictures whose files are gone are made again.
        force: whether an output that Limner has not written is written over without a copy of it.
    """

    messages: Sequence[int] = ()
    only_missing: bool = False
    mode: Mode | None = None
    backup: bool = True
    redraw: bool = False
    force: bool = False

    def check(
        self, *, chat: bool, output: str | None, rate: float | None, pipe: bool = False
    ) -> None:
        """Check that the options fit the source and each other.

        Raises:
            Unusable: if they do not.
        """
        if self.only_missing and self.mode:
            raise Unusable(
                "--only-missing passes over what has a picture, so --mode has nothing to do; "
                "leave one out"
            )
        again = self.only_missing or self.mode is not None or self.redraw
        if again and (pipe or (rate is not None and not chat)):
            raise Unusable(
                "--only-missing, --mode and --redraw are for files that are illustrated already, "
                "and are read as a whole"
            )
        if not chat:
            if self.messages or not self.backup:
                raise Unusable("--message and --no-backup are for chats")
            return
        if rate is not None:
            raise Unusable("--rate: a chat is illustrated where it stands, not as a stream")
        if output == "-":
            raise Unusable("-o -: a chat is illustrated where it stands; name a file")


def illustrate_chat(
    source: str,
    output: str | None,
    pictures: Path | None,
    settings: Settings,
    wanted: Wanted,
    *,
    quiet: bool,
) -> int:
    """Illustrate the messages of a chat, in place or in a copy.

    Args:
        source: the chat.
        output: a file for the copy; the chat itself if `None`.
        pictures: the directory of the pictures; by default beside what is written.
        settings: of the studio.
        wanted: which messages, and how.
        quiet: whether to show errors only.

    Returns:
        The exit status, as of `illustrate`.

    Raises:
        LimnerError: if it cannot be read, copied or illustrated.
    """
    paths = choose_paths(source, output or source, pictures, settings)
    assert paths.output is not None
    if not paths.in_place:
        if not wanted.backup:
            raise Unusable("--no-backup: with -o the chat itself is left as it is")
        check_messages(source, wanted.messages)
        check_copy(paths.output)
        replace_by_copy(source, paths.output, force=wanted.force, quiet=quiet)
    with opened(paths, settings, chat=True, backup=wanted.backup and paths.in_place) as document:
        check_messages(str(paths.output), wanted.messages)
        return illustrate_document(document, wanted, quiet=quiet)


def illustrate_document(document: Document, wanted: Wanted, *, quiet: bool) -> int:
    """Illustrate the messages of a document, and return the exit status.

    Args:
        document: a chat, or a text.
        wanted: which messages, and how.
        quiet: whether to show errors only.

    Raises:
        LimnerError: if it cannot be read, or the studio not be opened.
    """
    broken: list[str] = []
    near_misses: dict[str, tuple[NearMiss, ...]] = {}
    lost: dict[str, list[str]] = {}
    display = open_display(document.settings.slots, quiet=quiet)
    batch = Batch(display)
    try:
        jobs = find_jobs(document, wanted, broken, near_misses, lost)
        batch.run(document.name, document.settings, document.store, jobs)
    finally:
        display.close()
    for line in few(broken):
        display.error(line)
    tell_near_misses(near_misses, document, display)
    tell_backup(document, display)
    tell_removed(batch.results, display)
    left = 0 if wanted.redraw or wanted.mode == "replace-image" else sum(map(len, lost.values()))
    tell_lost_files(left, document, display)
    incomplete = INCOMPLETE if broken or left else DONE
    if batch.results or batch.errors or batch.interrupts:
        return conclude(batch, document, display) or incomplete
    tell_nothing(document, wanted, display)
    return incomplete


def find_jobs(
    document: Document,
    wanted: Wanted,
    broken: list[str],
    near_misses: dict[str, tuple[NearMiss, ...]],
    lost: dict[str, list[str]],
) -> Iterator[Job]:
    """Yield a job for each message that needs pictures.

    Args:
        document: the chat.
        wanted: which messages, and how.
        broken: gets a line for each message that cannot be read, and is passed over.
        near_misses: gets what looks like a prompt tag and is none, by the message's id.
        lost: gets the placements that stand in a message and whose files are gone, by its id.

    Raises:
        StoreFailed: if the chat cannot be read.
    """
    only = {str(number) for number in wanted.messages}
    notation = document.settings.notation
    mode: Mode = wanted.mode or "append-after-image"
    only_missing = wanted.mode is None
    for message_id, text in document.messages(
        lambda error: broken.append(shown(str(error), 300)), only=only
    ):
        registry = document.store.registry(message_id)
        tags = PromptTags(text, registry, message_id=message_id, notation=notation)
        near_misses[message_id] = near_misses_of(text, tags.matches, notation)
        editor = MarkEditor(tags)
        requested = bool(request_all(editor, TAG_PLACES[mode], only_missing=only_missing))
        stripped = only_missing and bool(
            reconcile(text, registry, message_id=message_id, notation=notation).placed
        )
        lost[message_id] = lost_marks(document, editor)
        redrawn = lost[message_id] if wanted.redraw and wanted.mode != "replace-image" else []
        if requested or stripped or redrawn:
            request = partial(
                request_pictures, message_id, mode, only_missing, requested, stripped, redrawn
            )
            yield Job(message_id, len(text), request)


def lost_marks(document: Document, editor: MarkEditor) -> list[str]:
    """Return the placements that stand in a text and whose files are gone."""
    links = {link.placement.id: link.placement for link in editor.tags.registry.links}
    found = []
    for name, marks in editor.present.items():
        if marks[0].kind == "picture":
            known = links.get(name)
            url = known.picture.url if known else address(editor.text, marks[0])
            if document.files.lost_at(url):
                found.append(name)
    return found


def request_pictures(
    message_id: str,
    mode: Mode,
    only_missing: bool,
    requested: bool,
    stripped: bool,
    redrawn: Sequence[str],
    studio: Studio,
) -> list[pykka.Future[Illustrated]]:
    """Request the pictures of a message, after those that another program stripped are put back."""
    futures = [studio.reconcile(message_id)] if stripped else []
    if requested:
        futures.append(studio.illustrate_again(message_id, mode, only_missing=only_missing))
    return futures + [studio.regenerate(message_id, placement) for placement in redrawn]


def tell_near_misses(
    near_misses: Mapping[str, Sequence[NearMiss]], document: Document, display: Display
) -> None:
    """Print what looks like a prompt tag and is none.

    Args:
        near_misses: those of each message, by its id.
        document: the chat.
        display: prints it.
    """
    lines = [
        line
        for message_id, found in near_misses.items()
        for line in name_near_misses(found, f"{document.called(message_id)}, ")
    ]
    for line in few(lines):
        display.error(line)
    tell_tolerant(chain.from_iterable(near_misses.values()), display)


def replace_by_copy(source: str, output: Path, *, force: bool, quiet: bool) -> None:
    """Copy a chat; what is there already is kept, unless it is a chat that Limner has changed.

    Raises:
        StoreFailed: if it cannot be copied or kept.
    """
    own = force or not output.exists() or registered(output) or same_bytes(source, output)
    if not own:
        copy = keep_copy(output)
        if not quiet:
            tell(f"kept    {shown(str(copy), 300)}, which Limner had not written")
    copy_file(source, output)


def same_bytes(source: str, output: Path) -> bool:
    """Return whether two files have the same bytes."""
    try:
        return cmp(source, output, shallow=False)
    except OSError:
        return False


def check_messages(file: str, numbers: Sequence[int]) -> None:
    """Check that lines of a chat are messages that can be illustrated.

    Raises:
        Unusable: if there is no such line.
        UnknownMessage: if a line is no message of the assistant.
        StoreFailed: if a line is broken.
    """
    if not numbers:
        return
    from limner.actors.stores.sillytavern.chat_file import ChatFileStore

    store = ChatFileStore(file, PictureFiles(Path()), backup=False)
    for number in numbers:
        if number < 2:
            raise Unusable(f"--message {number}: line 1 is the header; messages begin at line 2")
        if store.load(str(number)) is None:
            raise Unusable(f"--message {number}: {file!r} ends before that line")


def holds_prompts(document: Document, wanted: Wanted) -> bool:
    """Return whether a prompt tag stands in a message that is meant.

    Raises:
        StoreFailed: if the file cannot be read.
    """
    only = {str(number) for number in wanted.messages}
    notation = document.settings.notation
    return any(
        PromptTags(text, message_id=message_id, notation=notation).matches
        for message_id, text in document.messages(only=only)
    )


def tell_nothing(document: Document, wanted: Wanted, display: Display) -> None:
    """Print that there was nothing to illustrate, and why."""
    name = shown(document.name, 300)
    there = f"{name} was left as it is"
    if not document.paths.in_place:
        there = f"{name} is a copy now" if document.chat else f"{name} is as it should be"
    why = "it holds no prompt"
    if document.chat:
        meant = " that is meant" if wanted.messages else " of the assistant"
        why = f"no message{meant} holds a prompt"
    if wanted.mode is None and holds_prompts(document, wanted):
        meant = " that is meant" if wanted.messages else ""
        why = f"every prompt{meant} has a picture; --mode append-after-image makes more"
    display.note(f"{there}: {why}")
