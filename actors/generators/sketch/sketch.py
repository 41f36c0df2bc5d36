"""The embedded generator: it really draws, offline, in a few hundredths of a second."""

from io import BytesIO
from random import Random

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner.actors.generators.protocol import Cancelled
from limner.actors.generators.sketch.canvas import Canvas
from limner.actors.generators.sketch.caption import PAPER, caption
from limner.actors.generators.sketch.figures import figures
from limner.actors.generators.sketch.indoors import indoors
from limner.actors.generators.sketch.land import ground
from limner.actors.generators.sketch.palettes import palette
from limner.actors.generators.sketch.scene import Scene
from limner.actors.generators.sketch.sky import heaven, horizon, paint_sky
from limner.actors.generators.sketch.weather import weather
from limner.actors.generators.sketch.words import read
from limner.messages.errors import GenerationFailed, SettingsInvalid
from limner.messages.pictures import PictureBytes
from limner.messages.tasks import Task

SMALLEST, LARGEST = 128, 4_096
"""Pixels of a side."""

VIEWS = ("hills", "sea", "mountain", "forest", "city")
"""What the window of a room may look out on."""


class Sketch:
    """Draws a landscape from the words of a prompt, as a plate on paper with the prompt below.

    The same prompt and seed give the same bytes. Prompt and seed stand in the PNG's metadata,
    as `prompt` and `seed`. Calls share nothing, so several threads may draw at one time.

    Args:
        width: of the picture in pixels, caption and margin included; 128 to 4,096.
        height: likewise.

    Raises:
        SettingsInvalid: if a side is out of its bounds.
    """

    def __init__(self, width: int = 768, height: int = 512) -> None:
        for side, given in (("width", width), ("height", height)):
            if not SMALLEST <= given <= LARGEST:
                raise SettingsInvalid(
                    f"{side}: a sketch has {SMALLEST} to {LARGEST} pixels a side, not {given!r}"
                )
        self.width = width
        self.height = height

    def __repr__(self) -> str:
        return f"Sketch(width={self.width}, height={self.height})"

    def generate(self, task: Task, cancelled: Cancelled) -> PictureBytes:
        """Draw `task.prompt` with `task.seed`.

        Raises:
            GenerationFailed: not retryable, if the call was cancelled meanwhile.
        """
        margin = round(self.height * 0.036)
        text = caption(task.prompt, self.width - 4 * margin, self.height)
        plate = self._draw(
            task, cancelled, self.width - 2 * margin, self.height - 2 * margin - text.height
        )
        page = Image.new("RGB", (self.width, self.height), PAPER)
        page.paste(plate, (margin, margin))
        page.paste(text, (2 * margin, self.height - margin - text.height + margin // 3))
        return PictureBytes(data=_png(page, task))

    def _draw(self, task: Task, cancelled: Cancelled, width: int, height: int) -> Image.Image:
        reading = read(task.prompt)
        # the palette is the prompt's; where things stand is the seed's too
        colours = palette(reading, _stream(reading.fingerprint))
        stream = _stream(f"{reading.fingerprint}:{task.seed}")
        canvas = Canvas(width, height, colours, stream)
        line = horizon(canvas, reading.place)
        light = paint_sky(canvas, reading, line)
        canvas.harden()
        heaven(canvas, reading, line, light)
        outside = (
            VIEWS[reading.chance(4) % len(VIEWS)] if reading.place == "room" else reading.place
        )
        land = ground(canvas, outside, line, light)
        if cancelled.is_set():
            raise GenerationFailed("the sketch was cancelled", retryable=False)
        scene = Scene(colours, line, land, light, water=reading.place in {"sea", "lake"})
        if reading.place == "room":
            indoors(canvas, reading)
        else:
            figures(canvas, reading, scene)
        canvas.soften()
        weather(canvas, reading, scene)
        return canvas.image


def _stream(purpose: str) -> Random:
    return Random(purpose)  # noqa: S311 -- a picture to look at, nothing secret


def _png(page: Image.Image, task: Task) -> bytes:
    notes = PngInfo()
    # iTXt is UTF-8 and has no place for half a surrogate pair or a zero
    prompt = task.prompt.encode("utf-8", "replace").decode().replace("\0", " ")
    notes.add_itxt("prompt", prompt, zip=True)
    notes.add_itxt("seed", str(task.seed))
    notes.add_itxt("Software", "Limner sketch")
    data = BytesIO()
    page.save(data, "PNG", pnginfo=notes, compress_level=3)
    return data.getvalue()
