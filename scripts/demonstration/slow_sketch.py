"""Sketches that take as long as a quick model, so that slots, queue and overlap are seen."""

from random import Random

from limner.actors.generators.protocol import Cancelled
from limner.actors.generators.sketch.sketch import Sketch
from limner.messages.errors import GenerationFailed
from limner.messages.pictures import PictureBytes
from limner.messages.tasks import Task

QUICKEST, SLOWEST = 1.0, 3.0
"""Seconds that a sketch takes."""


class SlowSketch:
    """Draws as `Sketch` does, and hands the picture over one to three seconds later.

    How long it takes is drawn from the seed of the task, so it is the same in each run.
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
        if cancelled.wait(seconds(task.seed)):
            raise GenerationFailed("the sketch was cancelled", retryable=False)
        return picture


def seconds(seed: int) -> float:
    """Return how long the sketch of a seed takes."""
    return Random(seed).uniform(QUICKEST, SLOWEST)  # noqa: S311 -- a pause, nothing secret
