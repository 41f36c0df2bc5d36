"""Everything that is said, and pure functions on it."""

from limner.messages.errors import LimnerError
from limner.messages.limiter.settings import LaneSettings
from limner.messages.pictures import (
    Failure,
    Illustrated,
    Picture,
    PictureBytes,
    Placement,
    Unplaced,
    Unwritten,
)
from limner.messages.prompts import Prompt, PromptMatch
from limner.messages.registry import Link, Registry
from limner.messages.session.tally import Tally
from limner.messages.settings import Settings
from limner.messages.status import LaneStatus, Pending, Progress, StudioStatus
from limner.messages.tasks import Task, TaskEnd, TaskState
from limner.messages.text.clean import clean
from limner.messages.text.compose import Composed, compose
from limner.messages.text.notation import Notation
from limner.messages.text.patterns import DEFAULT_PATTERNS
from limner.messages.text.scanner import PromptScanner, find_prompts

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
    "TaskEnd",
    "TaskState",
    "Unplaced",
    "Unwritten",
    "clean",
    "compose",
    "find_prompts",
]
