"""Checks that bytes are a picture, by the bytes alone and not by the media type given with them."""

import threading
import warnings
from collections import OrderedDict
from io import BytesIO

from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from limner.actors.generators.jpeg_end import lacks_only_its_end
from limner.messages.errors import GenerationFailed
from limner.messages.ids import picture_id
from limner.messages.pictures import Picture

MAX_FRAMES = 1_000
"""Frames of an animated picture, at most; `max_pixels` bounds all of them together."""

MAX_SCANS = 200
"""Scans of a progressive JPEG, at most; each costs a decoder as much as a whole picture."""

PNG_MARK = b"\x89PNG\r\n\x1a\n"

BESIDE_PIXELS = frozenset([b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf"])
"""Chunks of a PNG that say something about it. Pillow unpacks them, and refuses the picture if
that makes more than a MiB; no pixel depends on them."""

CACHED = 64
"""Pictures whose check is cached."""

_checked: OrderedDict[str, tuple[Picture, int]] = OrderedDict()
_cache_lock = threading.Lock()
# Pillow warns of odd metadata as it reads a header, and warnings can only be turned off for the
# whole process: so one thread at a time does it, and only while it reads a header
_quiet_lock = threading.Lock()


def check_picture(data: bytes, *, max_bytes: int, max_pixels: int) -> Picture:
    """Decode a whole picture, after a check of its bounds, and return what it is.

    Args:
        data: a PNG, JPEG, WebP or GIF.
        max_bytes: bytes, at most.
        max_pixels: width times height, at most, summed over all frames.

    Returns:
        The picture, with an id from its bytes, and no URL yet.

    Raises:
        GenerationFailed: retryable, if it has another format, is broken or cut off, or too large.
    """
    if not isinstance(data, bytes):
        raise GenerationFailed(f"the generator gave no picture but {type(data).__name__}")
    if len(data) > max_bytes:
        raise GenerationFailed(f"the picture has {len(data):,} bytes, more than {max_bytes:,}")
    name = picture_id(data)
    with _cache_lock:
        known = _checked.get(name)
        if known is not None:
            _checked.move_to_end(name)
    if known is None:
        known = _decoded(data, name, max_pixels)
        with _cache_lock:
            _checked[name] = known
            if len(_checked) > CACHED:
                _checked.popitem(last=False)
    picture, pixels = known
    _bound(pixels, max_pixels)
    return picture


def _decoded(data: bytes, name: str, max_pixels: int) -> tuple[Picture, int]:
    opener, media_type = _kind(data)
    if opener is JpegImageFile and data.count(b"\xff\xda") > MAX_SCANS:
        raise GenerationFailed(f"the picture comes in more than {MAX_SCANS} passes")
    if opener is GifImageFile and not data.rstrip(b"\0\r\n ").endswith(b";"):
        raise GenerationFailed(f"the picture is cut off after {len(data):,} bytes")
    try:
        if opener is PngImageFile:
            width, height, pixels = _decode(opener, _without_texts(data), max_pixels)
        else:
            width, height, pixels = _decode(opener, data, max_pixels)
    except GenerationFailed:
        raise
    except _Unfinished as unfinished:
        width, height = unfinished.size
        pixels = width * height
        if not lacks_only_its_end(data):
            raise GenerationFailed(
                f"the picture is cut off after {len(data):,} bytes"
            ) from unfinished
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise GenerationFailed(f"the picture is broken or cut off: {reason}") from error
    return Picture(id=name, url="", media_type=media_type, width=width, height=height), pixels


class _Unfinished(Exception):
    """A JPEG could not be read to its end. Its header is sound, and its size within bounds."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size


def _without_texts(data: bytes) -> bytes:
    """Return a PNG without the chunks on which no pixel depends; a broken one as it is."""
    kept, at, start = [], len(PNG_MARK), 0
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        if data[at + 4 : at + 8] in BESIDE_PIXELS:
            kept.append(data[start:at])
            start = end
        at = end
    return b"".join((*kept, data[start:])) if kept else data


def _decode(opener: type[ImageFile], data: bytes, max_pixels: int) -> tuple[int, int, int]:
    # by its class and not by `Image.open`, which has bounds and guesses of its own
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = opener(BytesIO(data))
    with image:
        width, height = image.size
        pixels = 0
        for frame in range(MAX_FRAMES + 1):
            if frame == MAX_FRAMES:
                raise GenerationFailed(f"the picture has more than {MAX_FRAMES:,} frames")
            if frame:
                try:
                    with _quiet_lock, warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        image.seek(frame)
                except EOFError:
                    break
            pixels += image.width * image.height
            _bound(pixels, max_pixels)
            try:
                image.load()
            except OSError as error:
                if opener is JpegImageFile:
                    raise _Unfinished((width, height)) from error
                raise
    return width, height, pixels


def _kind(data: bytes) -> tuple[type[ImageFile], str]:
    if data.startswith(PNG_MARK):
        return PngImageFile, "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile, "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return GifImageFile, "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile, "image/webp"
    what = f"it begins with {data[:12]!r}" if data else "it is empty"
    raise GenerationFailed(f"the generator gave no PNG, JPEG, WebP or GIF: {what}")


def _bound(pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise GenerationFailed(f"the picture has {pixels:,} pixels, more than {max_pixels:,}")
