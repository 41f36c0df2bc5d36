"""`limner clean`: a file without pictures, marks and prompt tags, as one sends it to a model."""

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pykka

from limner.actors import Studio
from limner.actors.settings import load_settings
from limner.actors.stores import FileStore, PictureFiles
from limner.messages.errors import LimnerError, StoreFailed
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
from limner.scripts.paths import Places, find_places, places_of
from limner.scripts.reading import Unusable, open_source
from limner.scripts.report import (
    DONE,
    FAILED,
    INCOMPLETE,
    INTERRUPTED,
    few,
    give_up,
    outcome_of,
    print_text,
    tell_changed,
)
from limner.scripts.revise.copying import copy_file
from limner.scripts.revise.diff import show_diff
from limner.scripts.revise.document import check_copy, check_file, is_chat, opened
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
    dry_run: bool = False,
    quiet: bool = False,
    config: Path | None = None,
    **given: Any,
) -> int:
    """Take pictures, marks and prompt tags out of a file.

    Args:
        file: a text or a chat.
        output: a file, or `-` for standard output; by default the file itself.
        keep: what stays.
        dry_run: whether it is only shown what would change.
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
        if output == "-" and sys.stdout is None:
            raise Unusable("standard output is closed; name a file with -o")
        cleaning = Cleaning(settings, keep, dry_run)
        if output == "-":
            if not cleaning.print(file, display, chat=chat):
                return FAILED
            name = "standard output"
        else:
            name = cleaning.write(file, output, chat=chat)
    except LimnerError as error:
        return give_up(error, display)
    except KeyboardInterrupt:
        if cleaning is not None and output is None:
            tell_changed(file, cleaning.asked, display)
        return INTERRUPTED
    for line in few(cleaning.broken):
        display.complain(line)
    if not dry_run:
        hint = "" if cleaning.taken["picture"] else cleaning.hint
        done = "written" if cleaning.taken or output else "unchanged"
        display.say(f"{done} {shown(name, 300)}, {cleaning.told} taken out{hint}")
    return INCOMPLETE if cleaning.broken else DONE


@dataclass
class Cleaning:
    """The cleaning of one file.

    Args:
        settings: what holds.
        keep: what stays.
        dry_run: whether it is only shown what would change.
        taken: how much of each kind was taken out.
        broken: what is wrong with lines that were passed over.
        asked: the changes of messages where they stand.
        hint: where the pictures may be that the file does not have.
    """

    settings: Settings
    keep: Sequence[Kept]
    dry_run: bool
    taken: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    asked: list[pykka.Future[Illustrated]] = field(default_factory=list)
    hint: str = ""

    def write(self, file: str, output: str | None, *, chat: bool) -> str:
        """Clean a file in its place, or write it elsewhere; give the name of what is clean then."""
        if output is None:
            places = places_of(file, None, self.settings, writes=not self.dry_run)
        else:
            places = find_places(file, output, None, self.settings)
        if places.in_place or chat:
            if not places.in_place and places.output is not None:
                check_copy(places.output)
                copy_file(file, places.output)
            self.in_place(places, chat=chat, backup=places.in_place)
        elif places.output is not None:
            text = self.clean(open_source(file).whole(self.settings.max_text))
            files = PictureFiles(places.pictures, places.pictures_url)
            store = FileStore(places.output.parent, files)
            loaded = store.load(places.message_id)
            version = None if loaded is None else loaded[1]
            # what stood there before has no claim on this text
            store.write(
                places.message_id, text, expected_version=version, links=RegistryUpdate(anew=True)
            )
            store.close()
        return places.output_name

    def in_place(self, places: Places, *, chat: bool, backup: bool) -> None:
        """Clean each message of a file where it stands."""
        with (
            interrupted_between_steps() as step,
            opened(places, self.settings, chat=chat, backup=backup) as document,
        ):
            settings, self.hint = document.settings, document.hint
            with Studio.open(settings, store=document.store, generator="instant") as studio:
                for message_id, text in document.messages(broken=self._pass_over):
                    step()
                    after = self.clean(text)
                    if self.dry_run:
                        show_diff(shown(document.called(message_id), 300), text, after)
                        continue
                    if "pictures" not in self.keep:
                        for one in stripped(document.store.registry(message_id), text):
                            self.asked.append(studio.remove(message_id, one))
                    if after != text:
                        change = partial(cleaned, keep=self.keep, notation=settings.notation)
                        self.asked.append(studio.edit(message_id, change))
                    if self.asked:
                        outcome_of(self.asked[-1], step)

    def print(self, file: str, display: Display, *, chat: bool) -> bool:
        """Print a file as it is when it is clean; say whether somebody took it."""
        if not chat:
            text = self.clean(open_source(file).whole(self.settings.max_text))
            return print_text(text, display)
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "chat.jsonl"
            copy_file(file, copy)
            places = places_of(str(copy), None, self.settings)
            try:
                self.in_place(places, chat=True, backup=False)
            except LimnerError as error:
                raise Unusable(str(error).replace(str(copy), file)) from error
            self.broken = [line.replace(str(copy), shown(file, 300)) for line in self.broken]
            with copy.open("rb") as clean_one:
                try:
                    shutil.copyfileobj(clean_one, sys.stdout.buffer)
                    sys.stdout.flush()
                except BrokenPipeError:
                    raise
                except OSError as error:
                    display.complain(f"standard output cannot be written: {error.strerror}")
                    return False
        return True

    def clean(self, text: str) -> str:
        """Clean a text, and count what is taken out."""
        notation = self.settings.notation
        after = cleaned(text, self.keep, notation=notation)
        if after != text:
            self.taken += count(text, notation) - count(after, notation)
        return after

    @property
    def told(self) -> str:
        """What was taken out, as a person says it."""
        parts = [
            f"{self.taken[kind]:,} {nouns[self.taken[kind] != 1]}"
            for kind, nouns in NOUNS.items()
            if self.taken[kind]
        ]
        return ", ".join(parts) or "nothing"

    def _pass_over(self, error: StoreFailed) -> None:
        self.broken.append(shown(str(error), 300))


def stripped(registry: Registry, text: str) -> list[Placement]:
    """Give the pictures that another program has taken out; they are not to be put back either."""
    placed = [one.placement for one in registry.links if one.state == "placed"]
    there = marked(text) if placed else frozenset()
    return [one for one in placed if one.id not in there]


def count(text: str, notation: Notation) -> Counter[str]:
    """Give how many pictures, marks of failures and prompts there are in a text."""
    matches = find_prompts(
        text, notation.patterns, max_tag=notation.max_tag, timeout=notation.timeout
    )
    counts = Counter(str(mark.kind) for mark in find_marks(text, matches))
    counts["prompt"] = len(matches)
    return counts
