"""The count of a session: which tasks were promised, and which have settled."""

from collections.abc import Mapping

from pydantic import Field

from limner.messages.base import Value
from limner.messages.tasks import Task


class Tally(Value):
    """A session's totals, as a set of names. Takes seal and outcomes in any order.

    The first seal stands, and the first outcome of each task. Tasks outside the sealed set are
    remembered but never hold up the write.
    """

    sealed: frozenset[str] | None = None
    settled: Mapping[str, Task] = Field(default_factory=dict)

    def seal(self, task_ids: frozenset[str]) -> "Tally":
        """Return the tally with its totals known."""
        return self if self.sealed is not None else self.but(sealed=task_ids)

    def settle(self, task: Task) -> "Tally":
        """Return the tally with one more task in a final state.

        Raises:
            ValueError: if the task has not settled.
        """
        if not task.state.final:
            raise ValueError(f"task {task.id} is {task.state}, which settles nothing")
        if task.id in self.settled:
            return self
        return self.but(settled={**self.settled, task.id: task})

    @property
    def complete(self) -> bool:
        """Whether the totals are sealed and each task in them has settled."""
        return self.sealed is not None and self.sealed <= self.settled.keys()

    @property
    def awaited(self) -> tuple[str, ...]:
        """Ids of the sealed tasks that have not settled, sorted."""
        return tuple(sorted((self.sealed or frozenset()) - self.settled.keys()))
