"""`limner clean`: a file without pictures, marks and prompt tags, as it is sent to a model."""

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pykka

from limner.actors import Studio
from limner.actors.settings import load_settings
from limner.actors.stores import FileStore, PictureFiles
from limner.messages.errors import LimnerError
from limner.messages.pictures import Illustrated, Placement
from limner.messages.registry import Registry, RegistryUpdate
from limner.messages.settings import Settings
from limner.messages.text.clean import Kept
from limner.messages.text.clean import clean as cleaned
from limner.messages.text.marks import find_marks, marked
from limner.messages.text.notation import Notation
from limner.messages.text.scanner import find_prompts
from limner.messages.unicode import shown
from limner.scripts.display import Display, Lines
from limner.scripts.paths import Paths, choose_paths, existing_paths
from limner.scripts.reading import Unusable, open_source
from limner.scripts.report import (
    DONE,
    FAILED,
    INCOMPLETE,
    INTERRUPTED,
    failing_alone,
    few,
    print_text,
    report_error,
    result_of,
    tell_changed,
)
from limner.scripts.revise.chat import replace_by_copy
from limner.scripts.revise.copying import copy_file, keep_copy
from limner.scripts.revise.diff import show_diff
from limner.scripts.revise.document import Document, check_copy, hint_of, opened
from limner.scripts.revise.file_kind import check_file, is_chat
from limner.scripts.revise.text import keep_output
from limner.scripts.signals import interrupted_between_steps

NOUNS = {
    "picture": ("picture", "pictures"),
    "failure": ("mark of a failure", "marks of failures"),
    "leftover": ("remains of a picture", "remains of pictures"),
    "prompt": ("prompt", "prompts"),
}


def clean(
    file: str,
    *,
    output: str | None = None,
    keep: Sequence[Kept] = (),
    in_place: bool = False,
    force: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
    config: Path | None = None,
    **given: Any,
) -> int:
    """Remove pictures, marks and prompt tags from a file.

    Args:
        file: a text or a chat.
        output: a file, or `-` for standard output; by default `NAME.clean.EXT` beside the file.
        keep: what stays.
        in_place: whether the file itself is changed; it is kept as it was as `NAME.bak`.
        force: whether an output that Limner has not written is written over without a copy of it.
        dry_run: whether to show only what would change.
        quiet: whether to show errors only.
        config: a file of settings.
        given: fields of `Settings`.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong use or input, 3 some lines of a chat are broken,
        130 interrupted.
    """
    display = Display() if quiet else Lines()
    cleaning: Cleaning | None = None
    try:
        settings = load_settings(config, **given)
        check_file(file)
        chat = is_chat(file)
        if dry_run and output is not None:
            raise Unusable("--dry-run shows what would change in the file; leave -o out")
        if in_place and output is not None:
            raise Unusable("--in-place changes the file itself; leave -o out")
        if output is None and not (in_place or dry_run):
            output = str(Path(file).with_name(f"{Path(file).stem}.clean{Path(file).suffix}"))
        if output == "-" and sys.stdout is None:
            raise Unusable("standard output is closed; name a file with -o")
        cleaning = Cleaning(settings, keep, dry_run, display, quiet=quiet, force=force)
        if output == "-":
            if not cleaning.print_clean(file, display, chat=chat):
                return FAILED
            name = "standard output"
        else:
            name = cleaning.write(file, output, chat=chat)
    except LimnerError as error:
        return report_error(error, display)
    except KeyboardInterrupt:
        if cleaning is not None and output is None:
            tell_changed(file, cleaning.futures, display)
        return INTERRUPTED
    for line in few([*cleaning.broken, *(shown(str(error), 300) for error in cleaning.errors)]):
        display.error(line)
    if not dry_run:
        hint = "" if cleaning.removed["picture"] else cleaning.hint
        done = "written" if cleaning.removed or output else "unchanged"
        display.note(f"{done} {shown(name, 300)}, {cleaning.summary} taken out{hint}")
    return INCOMPLETE if cleaning.broken or cleaning.errors else DONE


@dataclass
class Cleaning:
    """The cleaning of one file.

    Args:
        settings: the ones in force.
        keep: what stays.
        dry_run: whether to show only what would change.
        display: says what is kept.
        quiet: whether to show errors only.
        force: whether an output is written over without a copy of it.
        removed: how many marks of each kind were removed.
        broken: the errors of lines that were skipped.
        errors: of messages that could not be changed.
        futures: of the changes of messages in place.
        hint: names another file that may have the pictures.
    """

    settings: Settings
    keep: Sequence[Kept]
    dry_run: bool
    display: Display
    quiet: bool = False
    force: bool = False
    removed: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    errors: list[LimnerError] = field(default_factory=list)
    futures: list[pykka.Future[Illustrated]] = field(default_factory=list)
    hint: str = ""

    def write(self, file: str, output: str | None, *, chat: bool) -> str:
        """Clean a file in place, or write it elsewhere; return the name of the clean file."""
        if output is None:
            paths = existing_paths(file, None, self.settings, writes=not self.dry_run)
        else:
            paths = choose_paths(file, output, None, self.settings)
        if paths.in_place or chat:
            if not paths.in_place and paths.output is not None:
                check_copy(paths.output)
                replace_by_copy(file, paths.output, force=self.force, quiet=self.quiet)
            self.in_place(paths, chat=chat, backup=paths.in_place)
        elif paths.output is not None:
            self.hint = hint_of(Path(file))
            text = self.clean(open_source(file).whole(self.settings.max_text))
            files = PictureFiles(paths.pictures, paths.pictures_url)
            with closing(FileStore(paths.output.parent, files)) as store:
                there, version = store.load(paths.message_id) or (None, None)
                if there not in (None, text):
                    keep_output(paths.output, store, force=self.force, quiet=self.quiet)
                # the registry of an earlier text there does not belong to this one
                links = RegistryUpdate(anew=True)
                store.write(paths.message_id, text, expected_version=version, links=links)
        return paths.output_name

    def in_place(self, paths: Paths, *, chat: bool, backup: bool) -> None:
        """Clean each message of a file in place."""
        with (
            interrupted_between_steps() as step,
            opened(paths, self.settings, chat=chat, backup=False) as document,
        ):
            settings, self.hint = document.settings, document.hint
            if backup and not self.dry_run and self.changes(document):
                assert paths.output is not None
                copy = shown(str(keep_copy(paths.output)), 300)
                self.display.note(f"kept    {copy}, the {'chat' if chat else 'text'} as it was")
            with Studio.open(settings, store=document.store, generator="instant") as studio:
                for message_id, text in document.messages(broken=self._note_broken):
                    step()
                    after = self.clean(text)
                    if self.dry_run:
                        show_diff(shown(document.called(message_id), 300), text, after)
                        continue
                    futures: list[pykka.Future[Illustrated]] = []
                    if "pictures" not in self.keep:
                        registry = document.store.registry(message_id)
                        futures = [
                            studio.remove(message_id, placement)
                            for placement in stripped(registry, text)
                        ]
                    if after != text:
                        change = partial(cleaned, keep=self.keep, notation=settings.notation)
                        futures.append(studio.edit(message_id, change))
                    self.futures += futures
                    for future in futures:
                        with failing_alone(self.errors):
                            result_of(future, step)

    def changes(self, document: Document) -> bool:
        """Return whether a cleaning changes the text of any message."""
        notation = document.settings.notation
        return any(
            cleaned(text, self.keep, notation=notation) != text for _, text in document.messages()
        )

    def print_clean(self, file: str, display: Display, *, chat: bool) -> bool:
        """Print the clean text of a file, and return whether that succeeded."""
        if not chat:
            text = self.clean(open_source(file).whole(self.settings.max_text))
            return print_text(text, display)
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "chat.jsonl"
            copy_file(file, copy)
            paths = existing_paths(str(copy), None, self.settings)
            try:
                self.in_place(paths, chat=True, backup=False)
            except LimnerError as error:
                raise Unusable(str(error).replace(str(copy), file)) from error
            self.broken = [line.replace(str(copy), shown(file, 300)) for line in self.broken]
            with copy.open("rb") as clean_copy:
                try:
                    shutil.copyfileobj(clean_copy, sys.stdout.buffer)
                    sys.stdout.flush()
                except BrokenPipeError:
                    raise
                except OSError as error:
                    display.error(f"standard output cannot be written: {error.strerror}")
                    return False
        return True

    def clean(self, text: str) -> str:
        """Return a clean text, and count what was removed."""
        notation = self.settings.notation
        after = cleaned(text, self.keep, notation=notation)
        if after != text:
            self.removed += count(text, notation) - count(after, notation)
        return after

    @property
    def summary(self) -> str:
        """The number of removed marks of each kind, in words."""
        parts = [
            f"{self.removed[kind]:,} {nouns[self.removed[kind] != 1]}"
            for kind, nouns in NOUNS.items()
            if self.removed[kind]
        ]
        return ", ".join(parts) or "nothing"

    def _note_broken(self, error: LimnerError) -> None:
        self.broken.append(shown(str(error), 300))


def stripped(registry: Registry, text: str) -> list[Placement]:
    """Return the pictures that another program has removed, so that they are not put back."""
    placed = [link.placement for link in registry.links if link.state == "placed"]
    there = marked(text) if placed else frozenset()
    return [placement for placement in placed if placement.id not in there]


def count(text: str, notation: Notation) -> Counter[str]:
    """Return how many pictures, marks of failures and prompts there are in a text."""
    matches = find_prompts(
        text,
        notation.patterns,
        max_tag=notation.max_tag,
        timeout=notation.timeout,
        ignore=notation.ignore,
    )
    counts = Counter(str(mark.kind) for mark in find_marks(text, matches))
    counts["prompt"] = len(matches)
    return counts
