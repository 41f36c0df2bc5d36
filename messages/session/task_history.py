"""The tasks of sessions that have ended, as many as are remembered."""

from collections.abc import Iterable

from limner.messages.tasks import Task

REMEMBERED = 1_000
"""Tasks that are remembered after the end of their sessions; the oldest are forgotten first."""


class TaskHistory:
    """The tasks of sessions that have ended. Mutable, owned by one actor.

    Args:
        size: how many are remembered at most.
    """

    __slots__ = ("_size", "_tasks")

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._tasks: dict[str, Task] = {}

    def add(self, tasks: Iterable[Task]) -> None:
        """Add the tasks of a session; the newest are kept if there are too many."""
        for task in tasks:
            self._tasks.pop(task.id, None)
            self._tasks[task.id] = task
        for name in list(self._tasks)[: max(0, len(self._tasks) - self._size)]:
            del self._tasks[name]

    def task(self, task_id: str) -> Task | None:
        """Return a task by its id; `None` if it is not remembered."""
        return self._tasks.get(task_id)

    def forget(self, message_id: str) -> None:
        """Forget the tasks of a message."""
        self._tasks = {
            name: task for name, task in self._tasks.items() if task.message_id != message_id
        }
