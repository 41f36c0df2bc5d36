"""What makes pictures, as the rest of Limner sees it."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from limner.messages.pictures import PictureBytes
from limner.messages.tasks import Task


class Cancelled(Protocol):
    """Tells a call that nobody waits for it any more. A long call looks at it now and then."""

    def is_set(self) -> bool:
        """Say whether the call was cancelled."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is, or `timeout` seconds have passed; say whether it is."""
        ...


@runtime_checkable
class Generator(Protocol):
    """Anything that turns a task's prompt into a picture.

    Called on a worker thread, so it may block, and for several tasks at one time. One with an
    attribute `blocks` that is false says that it never does, and spares itself the thread. One
    with an attribute `lane` says in which lane its calls stand; `image` by default.
    """

    def generate(self, task: Task, cancelled: Cancelled) -> PictureBytes:
        """Make the picture of `task.prompt`, the same for the same `task.seed`.

        Raises:
            GenerationFailed: with `retryable` false if asking again cannot help. Any other
                exception is a failure that may be retried.
        """
        ...


GeneratorLike = Generator | Callable[[Task, Cancelled], PictureBytes]
"""A generator, or a plain callable of the shape of `Generator.generate`."""
