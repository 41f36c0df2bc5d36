"""Where the bytes of pictures are kept: one file a picture, in one directory."""

import os
import re
from pathlib import Path
from urllib.parse import quote

from limner.actors.stores.atomic_files import make_directory, sweep, sync_directory, write_temporary
from limner.actors.stores.web_hosts import warn_of_file_urls
from limner.messages.errors import StoreFailed
from limner.messages.ids import picture_id
from limner.messages.pictures import Picture

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}
MAX_BYTES = 2**30
"""Bytes of a picture's file at most; a larger one is none."""

ID_LENGTH = 32
"""Digits of an id that is made of a picture's bytes."""

_ID = re.compile(r"[0-9a-f]{1,128}")
_NAME = re.compile(rf"{_ID.pattern}\.(?:{'|'.join(EXTENSIONS.values())})")
_URL_CHARACTERS = "%/:?#[]@!$&*+,;="


class PictureFiles:
    """A directory of pictures, each named by its id, written durably and only once.

    Args:
        directory: where the files go; made when the first one is put. A relative one stays
            where it was when this was made, wherever the process changes to.
        url_prefix: how a text refers to that directory; a slash is added if it ends without
            one, and `""` refers to the bare file name. By default a relative directory is
            referred to as it is given, an absolute one by its `file:` URI.
    """

    def __init__(self, directory: Path | str, url_prefix: str | None = None) -> None:
        given = Path(directory)
        self.directory = given.absolute()
        if url_prefix is not None:
            prefix = quote(url_prefix, safe=_URL_CHARACTERS, errors="surrogatepass")
        elif given.is_absolute():
            prefix = given.as_uri()
        else:
            prefix = quote(os.fsencode(given.as_posix()))
        self._prefix = prefix if prefix.endswith("/") or prefix == "" else prefix + "/"
        self._swept = False
        warn_of_file_urls(self._prefix)
        sweep(self.directory)

    def put(self, picture: Picture, data: bytes) -> Picture:
        """Keep a picture's bytes; when this returns, they outlive a power cut.

        A file that is there already, with the same bytes, is left as it is.

        Args:
            picture: its id, of hexadecimal digits, and its media type name the file.
            data: the encoded picture.

        Returns:
            The picture with the URL by which a text refers to it.

        Raises:
            StoreFailed: if the id or media type can name no file, or it cannot be written.
        """
        path = self.path(picture)
        try:
            if not (path.is_file() and path.stat().st_size == len(data) and _holds(path, picture)):
                self._write(path, data)
            sync_directory(self.directory)
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreFailed(f"picture {path} cannot be written: {reason}") from error
        return picture.model_copy(update={"url": self._prefix + path.name})

    def path(self, picture: Picture) -> Path:
        """Return where the bytes of a picture are, if it was put here.

        Raises:
            StoreFailed: if the id or media type can name no file.
        """
        return self.directory / _file_name(picture)

    def lost(self, picture: Picture) -> bool:
        """Return whether the file of a picture that was put here is gone, empty, or another one.

        Reads the file, as its bytes are what its id is made of.
        """
        try:
            name = _file_name(picture)
        except StoreFailed:
            return True
        return picture.url == self._prefix + name and not _holds(self.directory / name, picture)

    def lost_at(self, url: str) -> bool:
        """Return whether a URL is of a picture that was put here, whose file is gone."""
        name = url.removeprefix(self._prefix) if url.startswith(self._prefix) else ""
        return _NAME.fullmatch(name) is not None and not (self.directory / name).is_file()

    def delete(self, picture: Picture) -> bool:
        """Delete the file of a picture that was put here; return whether there was one.

        A picture with another address than it has here is none of these, and is left alone.

        Raises:
            StoreFailed: if the file cannot be deleted.
        """
        if self.lost(picture):
            return False
        name = _file_name(picture)
        if picture.url != self._prefix + name:
            return False
        path = self.directory / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreFailed(f"picture {path} cannot be deleted: {reason}") from error
        return True

    def _write(self, path: Path, data: bytes) -> None:
        make_directory(self.directory)
        temporary = write_temporary(self.directory, data)
        try:
            if not self._swept:
                self._swept = True
                sweep(self.directory, now=temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _holds(path: Path, picture: Picture) -> bool:
    """Return whether a file holds a picture's bytes; any bytes, if its id is not made of them."""
    try:
        if not path.is_file() or not 0 < path.stat().st_size <= MAX_BYTES:
            return False
        return len(picture.id) != ID_LENGTH or picture_id(path.read_bytes()) == picture.id
    except OSError:
        return False


def _file_name(picture: Picture) -> str:
    if not _ID.fullmatch(picture.id):
        raise StoreFailed(f"a picture's id is hexadecimal digits, not {picture.id[:40]!r}")
    if picture.media_type not in EXTENSIONS:
        known = ", ".join(EXTENSIONS)
        raise StoreFailed(f"a picture is one of {known}, not {picture.media_type[:40]!r}")
    return f"{picture.id}.{EXTENSIONS[picture.media_type]}"
