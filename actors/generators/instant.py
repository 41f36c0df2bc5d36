"""A generator that returns a constant picture at once, for tests and benchmarks."""

from io import BytesIO

from PIL import Image

from limner.actors.generators.protocol import Cancelled
from limner.messages.pictures import PictureBytes
from limner.messages.tasks import Task


class Instant:
    """Returns the same picture for every task, at once.

    Args:
        data: the bytes to return; by default a valid PNG of 16 by 16 pixels.
        media_type: of the bytes. Neither is checked here, so that tests can use a broken picture.
    """

    def __init__(self, data: bytes | None = None, media_type: str = "image/png") -> None:
        self._picture = PictureBytes(data=_small() if data is None else data, media_type=media_type)

    def __repr__(self) -> str:
        return f"Instant({len(self._picture.data)} bytes, {self._picture.media_type})"

    @property
    def blocks(self) -> bool:
        """Whether a call may block; true for subclasses."""
        return type(self) is not Instant

    def generate(self, task: Task, cancelled: Cancelled) -> PictureBytes:
        """Return the picture, whatever the task."""
        del task, cancelled
        return self._picture


def _small() -> bytes:
    data = BytesIO()
    Image.new("RGB", (16, 16), (246, 240, 226)).save(data, "PNG")
    return data.getvalue()
