"""Where a command reads and writes: the output, the pictures, and how one refers to the other."""

import os
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from limner.actors.stores.sillytavern.line_file import beside
from limner.messages.settings import Settings
from limner.messages.text.notation import Markup
from limner.scripts.reading import Unusable

PICTURES = "pictures"
RESERVED = ".limner"
HTML = {".html", ".htm", ".xhtml"}
MAX_NAME = 200
"""Characters of an output's name, as of any message's id."""


@dataclass(frozen=True)
class Paths:
    """Where a text and its pictures go.

    Args:
        output: the file of the text; standard output if `None`.
        pictures: the directory of the pictures.
        pictures_url: how the text refers to that directory.
        markup: how a picture is put into a text of that name.
        in_place: whether the output is the source.
    """

    output: Path | None
    pictures: Path
    pictures_url: str
    markup: Markup
    in_place: bool = False

    @property
    def message_id(self) -> str:
        """The name of the text in its store."""
        return "standard output" if self.output is None else self.output.name

    @property
    def output_name(self) -> str:
        """The output, as a person calls it."""
        return "standard output" if self.output is None else str(self.output)


def choose_paths(
    source: str, output: str | None, pictures: Path | None, settings: Settings
) -> Paths:
    """Return where a text and its pictures go, after a check that they can be written there.

    Args:
        source: a file, or `-`.
        output: a file, `-` for standard output, or `None` for the default: beside the source.
        pictures: a directory, or `None` for the one in the settings, or beside the output.
        settings: only what they set explicitly is used.

    Raises:
        Unusable: if the output or the directory cannot be written.
    """
    file = _output(source, output)
    if file is None and sys.stdout is None:
        raise Unusable("standard output is closed; name a file with -o")
    in_place = file is not None and _check_output(file, source, named=output is not None)
    paths = _paths(source, file, pictures, settings)
    _check_directory(paths.pictures, "--pictures")
    check_events(settings.events, source, paths)
    return replace(paths, in_place=in_place)


def existing_paths(
    file: str, pictures: Path | None, settings: Settings, *, writes: bool = False
) -> Paths:
    """Return where an existing file and its pictures are.

    Args:
        file: the file.
        pictures: a directory, or `None` for the one in the settings, or beside the file.
        settings: only what they set explicitly is used.
        writes: whether to check that the file can be written; its pictures are not checked.

    Raises:
        Unusable: if the file cannot be written.
    """
    paths = replace(_paths(file, Path(file), pictures, settings), in_place=True)
    if writes:
        _check_output(Path(file), file, named=True)
        check_events(settings.events, file, paths)
    return paths


def check_events(events: Path | None, source: str, paths: Paths) -> None:
    """Check that the event log is none of the files that a command reads or writes.

    What a file holds is checked when the log is opened; this is about files that are empty, or not
    there yet.

    Args:
        events: the file of the event log, if there is one.
        source: what is read.
        paths: where the text and its pictures go.

    Raises:
        Unusable: if it is one of them.
    """
    if events is None:
        return
    files = {} if source == "-" else {"source": Path(source)}
    if paths.output is not None:
        files["output"] = paths.output
        files["copy of the chat as it was"] = beside(paths.output, "", ".bak")
    folder = Path() if paths.output is None else paths.output.parent
    meant = os.path.realpath(events)
    for what, file in files.items():
        if os.path.realpath(file) == meant or _same(file, events):
            raise Unusable(
                f"--events {str(events)!r} is the {what}, which the log would be appended to; "
                "name another file"
            )
    if events.name.casefold().startswith(RESERVED) and _same(events.parent, folder):
        raise Unusable(f"--events {str(events)!r} is one of Limner's own files; name another")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):  # one of them is not there
        return False


def _paths(source: str, file: Path | None, pictures: Path | None, settings: Settings) -> Paths:
    folder = Path() if file is None else file.parent
    if pictures is None:
        named = "pictures" in settings.model_fields_set
        pictures = settings.pictures if named else folder / PICTURES
    url = settings.pictures_url
    return Paths(
        output=file,
        pictures=pictures,
        pictures_url=_reference(pictures, folder) if url is None else url,
        markup=_markup(source, file),
    )


def _output(source: str, output: str | None) -> Path | None:
    if output == "-" or (output is None and source == "-"):
        return None
    if output is None:
        beside = Path(source)
        return beside.with_name(f"{beside.stem}.illustrated{beside.suffix}")
    if not output or output.endswith(("/", os.sep)):
        raise Unusable(f"output {output!r} names no file")
    return Path(output)


def _markup(source: str, output: Path | None) -> Markup:
    return "html" if (output or Path(source)).suffix.lower() in HTML else "markdown"


def _check_output(output: Path, source: str, *, named: bool) -> bool:
    """Check that a file can be written, and return whether it is the source."""
    shown = repr(str(output))
    try:
        if output.exists() and not output.is_file():
            raise Unusable(
                f"output {shown} is a directory"
                if output.is_dir()
                else f"output {shown} is no regular file; use -o - for standard output"
            )
        name = output.name
        if not name.isprintable() or len(name) > MAX_NAME or name.casefold().startswith(RESERVED):
            raise Unusable(
                f"output {shown:.300}: a name has 1 to {MAX_NAME} printable characters "
                f"and does not begin with {RESERVED}"
            )
        same = source != "-" and output.exists() and output.samefile(source)
        if output.exists() and not os.access(output, os.W_OK):
            raise Unusable(f"output {shown} is write-protected")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unusable(f"output {shown} cannot be written: {reason}") from error
    if same and not named:
        raise Unusable(f"output {shown} is the source under another name; name it with -o")
    _check_directory(output.parent, "output")
    return same


def _check_directory(directory: Path, what: str) -> None:
    """Check that files can be made in a directory, or in the parent that it will be made in."""
    there = directory
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            raise Unusable(f"{what}: {str(there)!r} is no directory")
        with tempfile.TemporaryFile(dir=there):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unusable(f"{what}: cannot write in {str(there)!r}: {reason}") from error


def _reference(pictures: Path, folder: Path) -> str:
    """Return the URL of a directory for a text in `folder`; relative where it can be."""
    try:
        relative = Path(os.path.relpath(pictures, folder))
    except ValueError:  # on another drive
        return pictures.absolute().as_uri()
    return "" if relative == Path() else quote(os.fsencode(relative.as_posix()))
