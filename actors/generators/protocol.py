"""The protocol of a generator, as the rest of Limner calls it."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from limner.messages.pictures import PictureBytes
from limner.messages.tasks import Task


class Cancelled(Protocol):
    """Shows a call whether it was cancelled. A long call checks it now and then."""

    def is_set(self) -> bool:
        """Return whether the call was cancelled."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the cancellation, for `timeout` seconds at most; return whether it came."""
        ...


@runtime_checkable
class Generator(Protocol):
    """Anything that turns a task's prompt into a picture.

    Called on a worker thread, so it may block, and for several tasks at one time. With an
    attribute `blocks` that is false it never blocks, and is called without a worker thread. An
    attribute `lane` names the lane of its calls; `image` by default.
    """

    def generate(self, task: Task, cancelled: Cancelled) -> PictureBytes:
        """Return the picture of `task.prompt`, the same for the same `task.seed`.

        Raises:
            GenerationFailed: with `retryable` false if a retry cannot help. Any other exception is
                a failure that may be retried.
        """
        ...


GeneratorLike = Generator | Callable[[Task, Cancelled], PictureBytes]
"""A generator, or a plain callable of the shape of `Generator.generate`."""
