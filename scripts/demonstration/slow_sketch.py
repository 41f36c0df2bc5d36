"""Sketches that take as long as a quick model, so that slots, queue and overlap are seen."""

from random import Random

from limner.actors.generators.protocol import Cancelled
from limner.actors.generators.sketch.sketch import Sketch
from limner.messages.errors import GenerationFailed
from limner.messages.pictures import PictureBytes
from limner.messages.tasks import Task

QUICKEST, SLOWEST = 1.0, 3.0
"""Seconds that a sketch takes."""

DRAW = 2
"""The first draw in which two prompts of the demo's story wait for a slot."""


class SlowSketch:
    """Draws as `Sketch` does, and hands the picture over one to three seconds later.

    How long it takes is drawn from the prompt, so the demo is the same in each run.
    """

    def __init__(self) -> None:
        self._sketch = Sketch()

    def __repr__(self) -> str:
        return f"SlowSketch({QUICKEST:g} to {SLOWEST:g} s)"

    def generate(self, task: Task, cancelled: Cancelled) -> PictureBytes:
        """Draw `task.prompt` with `task.seed`.

        Raises:
            GenerationFailed: not retryable, if the call was cancelled meanwhile.
        """
        picture = self._sketch.generate(task, cancelled)
        if cancelled.wait(seconds(task.prompt)):
            raise GenerationFailed("the sketch was cancelled", retryable=False)
        return picture


def seconds(prompt: str) -> float:
    """Return how long the sketch of a prompt takes."""
    return Random(f"{DRAW}{prompt}").uniform(QUICKEST, SLOWEST)  # noqa: S311 -- nothing secret
