"""Everything that is said, and pure functions on it."""

from limner.messages.composition import Composed, compose
from limner.messages.errors import LimnerError
from limner.messages.patterns import DEFAULT_PATTERNS
from limner.messages.pictures import (
    Failure,
    Illustrated,
    Picture,
    PictureBytes,
    Placement,
    Prompt,
    PromptMatch,
    Unplaced,
)
from limner.messages.scanner import PromptScanner, find_prompts
from limner.messages.settings import LaneSettings, Settings
from limner.messages.status import LaneStatus, Progress, StudioStatus
from limner.messages.tally import Tally
from limner.messages.tasks import Task, TaskState

__all__ = [
    "DEFAULT_PATTERNS",
    "Composed",
    "Failure",
    "Illustrated",
    "LaneSettings",
    "LaneStatus",
    "LimnerError",
    "Picture",
    "PictureBytes",
    "Placement",
    "Progress",
    "Prompt",
    "PromptMatch",
    "PromptScanner",
    "Settings",
    "StudioStatus",
    "Tally",
    "Task",
    "TaskState",
    "Unplaced",
    "compose",
    "find_prompts",
]
