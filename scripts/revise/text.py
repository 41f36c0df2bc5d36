"""`limner illustrate` on a text that has pictures: tags that have theirs are passed over."""

from contextlib import closing
from pathlib import Path

from limner.actors.stores import FileStore, MemoryStore, PictureFiles
from limner.actors.stores.file_version import read, version_of
from limner.messages.registry import RegistryUpdate
from limner.messages.settings import Settings
from limner.messages.text.clean import Kept, clean
from limner.messages.text.marks import find_marks
from limner.messages.text.notation import Notation
from limner.messages.text.reconcile import reconcile
from limner.messages.unicode import shown
from limner.scripts.display import Display, tell
from limner.scripts.paths import Paths
from limner.scripts.report import FAILED, print_text
from limner.scripts.revise.chat import Wanted, illustrate_document
from limner.scripts.revise.copying import keep_copy
from limner.scripts.revise.document import Document, opened


def illustrate_text(
    text: str, paths: Paths, settings: Settings, wanted: Wanted, *, quiet: bool
) -> int | None:
    """Illustrate what lacks a picture in a text, or in its output of an earlier run.

    An output that holds the same text keeps its pictures. One whose source has changed since gets
    the source's text, with the pictures of the tags that are still there.

    Args:
        text: the whole source.
        paths: where it and its pictures go.
        settings: of the studio.
        wanted: what is wanted of tags that have a picture.
        quiet: whether to show errors only.

    Returns:
        The exit status; `None` if there are no pictures yet, so that all is to be drawn.

    Raises:
        LimnerError: if the output cannot be read, kept, written or illustrated.
    """
    files = PictureFiles(paths.pictures, paths.pictures_url)
    if paths.output is None:
        if not has_pictures(text):
            return None
        with closing(MemoryStore(files)) as store:
            version = store.write(paths.message_id, text, expected_version=None)
            document = Document(paths, store, chat=False, settings=settings, files=files)
            status = illustrate_document(document, wanted, quiet=quiet)
            text, version = store.load(paths.message_id) or (text, version)
        return status if print_text(text, Display()) else FAILED
    if not prepare(text, paths, settings, force=wanted.force, quiet=quiet):
        return None
    with opened(paths, settings, chat=False) as document:
        return illustrate_document(document, wanted, quiet=quiet)


def has_pictures(text: str) -> bool:
    """Return whether pictures, or marks of failures, stand in a text."""
    return any(mark.kind != "leftover" for mark in find_marks(text))


def prepare(text: str, paths: Paths, settings: Settings, *, force: bool, quiet: bool) -> bool:
    """Bring the output to the source's text, with the pictures that it has; keep what others wrote.

    Returns:
        Whether there are pictures, or were once, so that only what is missing is to be drawn.

    Raises:
        StoreFailed: if the output cannot be read, kept or written.
    """
    assert paths.output is not None
    name, notation = paths.message_id, settings.notation
    files = PictureFiles(paths.pictures, paths.pictures_url)
    with closing(FileStore(paths.output.parent, files)) as store:
        loaded = store.load(name)
        if paths.in_place or loaded is None:
            placed = paths.in_place and _placed(store, name)
            if has_pictures(text) and loaded is None:
                store.write(name, text, expected_version=None)
                if not quiet:
                    tell(
                        f"copied  {shown(str(paths.output), 300)}, since the source has pictures; "
                        "name the source with -o to change it where it stands"
                    )
            return placed or has_pictures(text)
        there, version = loaded
        same = without_pictures(there, notation) == without_pictures(text, notation)
        if same and (has_pictures(there) or not has_pictures(text)):
            return has_pictures(there) or _placed(store, name)
        if not same:
            keep_output(paths.output, store, force=force, quiet=quiet)
        if not (has_pictures(text) or _placed(store, name)):
            return False
        registry = store.registry(name)
        composed = reconcile(text, registry, message_id=name, notation=notation)
        gone = tuple(unplaced.placement.id for unplaced in composed.unplaced)
        store.write(
            name, composed.text, expected_version=version, links=RegistryUpdate(removed=gone)
        )
        return True


def protect(paths: Paths, *, force: bool, quiet: bool) -> None:
    """Keep an output that Limner has not written, before a stream is written over it.

    Raises:
        StoreFailed: if it cannot be read or kept.
    """
    if paths.output is not None and paths.output.exists() and not paths.in_place:
        files = PictureFiles(paths.pictures, paths.pictures_url)
        with closing(FileStore(paths.output.parent, files)) as store:
            keep_output(paths.output, store, force=force, quiet=quiet)


def keep_output(output: Path, store: FileStore, *, force: bool, quiet: bool) -> None:
    """Keep a copy of an output, unless it is as Limner last wrote it, or none is wanted.

    Raises:
        StoreFailed: if it cannot be read or copied.
    """
    content = read(output)
    if force or not content or store.last_written(output.name) == version_of(content):
        return
    copy = keep_copy(output)
    if not quiet:
        tell(f"kept    {shown(str(copy), 300)}, which Limner had not written")


def without_pictures(text: str, notation: Notation) -> str:
    """Return a text as it was before it was illustrated."""
    keep: tuple[Kept, ...] = ("prompts",)
    return clean(text, keep, notation=notation)


def _placed(store: FileStore, name: str) -> bool:
    """Return whether the registry has pictures that should stand in a text."""
    return any(link.state == "placed" for link in store.registry(name).links)
