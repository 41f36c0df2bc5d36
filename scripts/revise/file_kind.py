"""What a file is that a command is to work on: a chat of SillyTavern, a text, or neither."""

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from limner.messages.sillytavern.detection import FileKind, kind_of_first_line, kind_of_whole
from limner.scripts.reading import Unusable

MAX_HEADER = 2**28
"""Bytes of the first line of a chat, at most; a file whose first line is longer is no chat."""

_BEFORE = b"\xef\xbb\xbf \t\r\n"

_REFUSED: Mapping[FileKind, str] = {
    "chat without header": "is a chat of SillyTavern without its header, as a group's chat was "
    "saved once: its first line is a message; save it in a newer SillyTavern, which adds one",
    "JSON lines": "is JSON lines but no chat of SillyTavern: its first line has no "
    "chat_metadata; a picture in it would break the JSON",
    "JSON": "is a JSON document, and a picture in it would break it; name a text, or a chat "
    "of SillyTavern (.jsonl)",
}


def is_chat(source: str) -> bool:
    """Return whether a file is a chat of SillyTavern, by its first line.

    Raises:
        Unusable: if it cannot be read; or if it is a chat without a header, or another JSON
            document: a picture in it would break the JSON.
    """
    kind: FileKind = "text"
    with suppress(UnicodeDecodeError):  # whoever reads the whole text reports it
        named = Path(source).suffix.lower() == ".jsonl"
        kind = kind_of_first_line(first_line(source).decode(), named_jsonl=named)
        if kind == "text" and (document := _json_like(source)):
            kind = kind_of_whole(document.decode())
    if kind in _REFUSED:
        raise Unusable(f"{source!r} {_REFUSED[kind]}")
    return kind == "chat"


def check_file(file: str) -> None:
    """Check that a file is a regular file that can be read.

    Raises:
        Unusable: if it is not.
    """
    try:
        mode = Path(file).stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unusable(f"{file!r} cannot be read: {reason}") from error
    if stat.S_ISDIR(mode):
        raise Unusable(f"{file!r} is a directory; name a file")
    if not stat.S_ISREG(mode):  # and opening a named pipe would wait for its other end
        raise Unusable(f"{file!r} is no regular file, so it cannot be changed where it stands")
    if not os.access(file, os.R_OK):
        raise Unusable(f"{file!r} cannot be read: Permission denied")


def first_line(source: str) -> bytes:
    """Return the first line of a file that may be a chat; nothing for any other file."""
    return _beginning(source, b"{", lambda file: file.readline(MAX_HEADER))


def _json_like(source: str) -> bytes:
    """Return a file that may be JSON; nothing for any other file, or for one that is too large."""
    content = _beginning(source, (b"{", b"["), lambda file: file.read(MAX_HEADER + 1))
    return content if len(content) <= MAX_HEADER else b""


def _beginning(
    source: str, begins: bytes | tuple[bytes, ...], read: Callable[[BinaryIO], bytes]
) -> bytes:
    """Return what is read of a regular file that begins so, white space aside; else nothing."""
    path = Path(source)
    try:
        if not path.is_file():  # and opening a named pipe would wait for its other end
            return b""
        with path.open("rb") as file:
            start = file.read(64).lstrip(_BEFORE)
            if start and not start.startswith(begins):
                return b""
            file.seek(0)
            return read(file)
    except OSError as error:
        raise Unusable(f"{source!r} cannot be read: {error.strerror}") from error
