"""Whether a JPEG that lacks its end marker lacks pixels too.

Some cameras and network tools write none, and decoders show such files as they are. A file that is
cut off may look the same, since a decoder fills in what is missing. So the file is decoded with
several continuations: pixels that depend on what follows are missing. The structure is that of ITU
T.81, annex B: every coefficient of every component has to be in a scan, to its last bit.
"""

from hashlib import blake2b
from io import BytesIO

from PIL.JpegImagePlugin import JpegImageFile

_END = b"\xff\xd9"
_CONTINUATIONS = (b"", b"\xaa\x53" * 200, b"\x55\xb2" * 200)
_BARE = frozenset([0x01, 0xD8, *range(0xD0, 0xD8)])
"""Markers without a segment."""

_FRAMES = frozenset([0xC0, 0xC1, 0xC2])
"""Frames that decoders read: baseline, extended and progressive, all Huffman coded."""


def lacks_only_its_end(data: bytes) -> bool:
    """Return whether a JPEG that cannot be read to its end has all its pixels all the same.

    It is decoded three times. The caller has checked the size of the picture.
    """
    if data.endswith(b"\xff"):
        data = data[:-1]
    try:
        return (
            _is_covered(data) and len({_pixels(data + more + _END) for more in _CONTINUATIONS}) == 1
        )
    except Exception:  # noqa: BLE001  # the file may be broken in any way
        return False


def _pixels(data: bytes) -> bytes:
    with JpegImageFile(BytesIO(data)) as image:
        return blake2b(image.tobytes()).digest()


def _is_covered(data: bytes) -> bool:
    """Return whether the scans hold all coefficients of all components, to their last bits."""
    missing: dict[int, list[int]] = {}
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in (0x00, 0xFF):
            at = data.find(b"\xff", at + 1)
            if at < 0:
                break
            continue
        marker = data[at + 1]
        if marker in _BARE:
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        segment = data[at + 4 : end]
        if end > len(data):
            return False
        if marker in _FRAMES and len(segment) >= 6:
            # each coefficient has 16 bits to come; the first scan of it says how many it leaves
            missing = {segment[6 + 3 * n]: [16] * 64 for n in range(segment[5])}
        elif marker == 0xDA:
            number = segment[0]
            first, last, bits = segment[1 + 2 * number : 4 + 2 * number]
            for component in segment[1 : 1 + 2 * number : 2]:
                for coefficient in range(first, min(last, 63) + 1):
                    missing[component][coefficient] = bits & 15
        at = end
    return bool(missing) and not any(any(left) for left in missing.values())
