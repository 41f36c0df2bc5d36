"""Everything that is said, and pure functions on it."""

from limner.messages.cleaning import clean
from limner.messages.composition import Composed, compose
from limner.messages.editing import Pending
from limner.messages.errors import LimnerError
from limner.messages.notation import Notation
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
from limner.messages.registry import Link, Registry
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
    "Link",
    "Notation",
    "Pending",
    "Picture",
    "PictureBytes",
    "Placement",
    "Progress",
    "Prompt",
    "PromptMatch",
    "PromptScanner",
    "Registry",
    "Settings",
    "StudioStatus",
    "Tally",
    "Task",
    "TaskState",
    "Unplaced",
    "clean",
    "compose",
    "find_prompts",
]
