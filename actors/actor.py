"""What all of Limner's actors share."""

from __future__ import annotations

from types import TracebackType
from typing import ClassVar

from limner.actors.system import PooledActor
from limner.actors.trail import Trail


class LimnerActor(PooledActor):
    """An actor whose failure is its own, is told to the event log, and ends those it started."""

    linked: ClassVar[bool] = True
    contains: ClassVar[bool] = True

    def __init__(self, say: Trail) -> None:
        super().__init__()
        self.say = say

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,  # noqa: ARG002
    ) -> None:
        """Tell the event log."""
        kind = getattr(exception_type, "__name__", "unknown")
        self.say("actor_failed", failed=type(self).__name__, reason=f"{kind}: {exception_value}")
