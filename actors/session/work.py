"""A task and what is under way for it, as the processor has them in hand."""

from __future__ import annotations

from dataclasses import dataclass

from limner.actors.picture_maker import Made
from limner.actors.session.outcomes import Outcomes
from limner.actors.system import Call, Timer
from limner.messages.session.attempt import Attempt
from limner.messages.session.keeping import Keeping
from limner.messages.tasks import Task

UNBEGUN = Attempt()


@dataclass(slots=True)
class Work:
    """A task and what is under way for it.

    Args:
        task: what is known of its picture.
        attempt: what is out for it.
        call: of the generator, or of the store that is to keep its picture.
        timer: for a retry, a timeout or a grace.
        made: its picture, if the store has failed to keep it.
        keeping: what became of the tries to keep it.
        outcomes: where hosts are told of it.
        place: of its prompt among those of its message that were found so far.
    """

    task: Task
    attempt: Attempt = UNBEGUN
    call: Call | None = None
    timer: Timer | None = None
    made: Made | None = None
    keeping: Keeping | None = None
    outcomes: tuple[Outcomes, ...] = ()
    place: int = 0

    @property
    def over(self) -> bool:
        """Whether the task has settled and nothing is out for it."""
        return self.task.state.final and self.attempt.over
