"""What hosts are told of pictures as they settle, beside what the event log says has settled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from limner.messages.pictures import Failure, Placement

OnPicture = Callable[[Placement | Failure], object]


class PictureCallbacks:
    """Checks that each settled task is told to each host that asks for it, once.

    Args:
        lock: held while something is told; on real threads several hosts are told at once.
    """

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self._lock = lock
        self._told: dict[str, str] = {}  # the state that hosts were told, by task
        self._settled: dict[str, str] = {}
        self._withdrawn: set[str] = set()
        self.problems: list[str] = []

    def listener(self) -> OnPicture:
        """Return a function for one call's `on_picture`."""
        heard: set[str] = set()

        def listen(outcome: Placement | Failure) -> None:
            state = "completed" if isinstance(outcome, Placement) else outcome.state
            with self._lock:
                if outcome.task_id in heard:
                    self.problems.append(f"task {outcome.task_id}: its host is told of it twice")
                if self._told.setdefault(outcome.task_id, state) != state:
                    self.problems.append(f"task {outcome.task_id}: its hosts are told two things")
                heard.add(outcome.task_id)

        return listen

    def feed(self, event: Mapping[str, Any]) -> None:
        """Take an event of the log."""
        match event["event"]:
            case "task_settled":
                self._settled[event["task_id"]] = event["state"]
            case "prompt_withdrawn":
                self._withdrawn.add(event["task_id"])
            case "request_taken_back":
                self._withdrawn.update(event["tasks"])

    def differences(self, *, complete: bool) -> Iterator[str]:
        """Yield a line for each task of which hosts were told something else than the log.

        Args:
            complete: whether each task must have been told: not if a studio has failed, since that
                ends all calls at once.
        """
        for task_id, state in self._told.items():
            settled = self._settled.get(task_id)
            if settled != state:
                yield f"task {task_id}: its host is told {state!r}, the log says {settled!r}"
        if complete:
            for task_id in self._settled.keys() - self._told.keys() - self._withdrawn:
                yield f"task {task_id}: it has settled, and its host is not told"
