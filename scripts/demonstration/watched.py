"""What is seen of a studio: what is drawn, waits and is finished, and the most at one time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limner.messages.unicode import shown
from limner.scripts.display import Progress


class Watched(Progress):
    """How far the pictures are, by the events of their studio.

    Attributes:
        at_work: the task that each slot draws, or `None`.
        begun: when each of those was begun, in seconds.
        finished: the prompt and the file of each picture that was not taken yet.
        most_drawn: pictures drawn at one time, at most.
        most_waiting: pictures that waited for a slot at one time, at most.
    """

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.at_work: list[str | None] = [None] * slots
        self.begun: dict[str, float] = {}
        self.finished: list[tuple[str, Path]] = []
        self.took: dict[str, float] = {}
        self.most_drawn = self.most_waiting = 0

    def update(self, record: Mapping[str, Any], now: float = 0) -> None:
        """Count the next event.

        Args:
            record: the event.
            now: in seconds, of a clock that never goes back.
        """
        super().update(record)
        task = record.get("task_id", "")
        match record["event"]:
            case "generation_started":
                self.begun[task] = now
                if None in self.at_work:
                    self.at_work[self.at_work.index(None)] = task
            case "generation_completed":
                self._end(task, now)
                self.finished.append((shown(self.prompts.get(task, "")), Path(str(record["path"]))))
            case "generation_failed" | "task_settled":
                self._end(task, now)
        drawn = sum(at is not None for at in self.at_work)
        self.most_drawn = max(self.most_drawn, drawn)
        if drawn == len(self.at_work):
            self.most_waiting = max(self.most_waiting, self.counts["waiting"])

    def _end(self, task: str, now: float) -> None:
        if task in self.at_work:
            self.at_work[self.at_work.index(task)] = None
            self.took[task] = now - self.begun[task]

    def take_finished(self) -> list[tuple[str, Path]]:
        """Return the pictures that were finished since this was last called."""
        finished, self.finished = self.finished, []
        return finished

    @property
    def waiting(self) -> list[str]:
        """The prompts that wait for a slot."""
        return [self.prompts.get(task, "") for task, at in self.states.items() if at == "waiting"]
