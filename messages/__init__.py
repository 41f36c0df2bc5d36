"""The values of Limner, and pure functions on them. Hosts import from here."""

from limner.messages.errors import LimnerError
from limner.messages.generator_settings import GeneratorSettings
from limner.messages.limiter.adaptive import Adaptive
from limner.messages.limiter.budget import Budget
from limner.messages.limiter.control import (
    BudgetLeft,
    LaneReport,
    RunningCall,
    TaskPlace,
    WaitingRequest,
)
from limner.messages.limiter.rate_limit_headers import RateLimit
from limner.messages.limiter.refusal import Refusal
from limner.messages.limiter.settings import LaneSettings
from limner.messages.live_settings import LiveSettings
from limner.messages.picture_requests import AgainMode, Mode
from limner.messages.pictures import (
    Failure,
    Illustrated,
    MarkedFailure,
    Picture,
    PictureBytes,
    Placement,
    Unplaced,
    Unwritten,
)
from limner.messages.prompts import NearMiss, NearMissKind, Prompt, PromptMatch, TagOwner
from limner.messages.registry import Link, Registry, RegistryUpdate, Version
from limner.messages.session.tally import Tally
from limner.messages.session_status import SessionStatus, StateEntered, TaskStatus
from limner.messages.settings import Settings
from limner.messages.status import Forgotten, LaneStatus, Pending, Progress, StudioStatus
from limner.messages.tasks import Task, TaskEnd, TaskState
from limner.messages.text.clean import clean
from limner.messages.text.compose import Composed, compose
from limner.messages.text.near_misses import find_near_misses
from limner.messages.text.notation import Markup, Notation
from limner.messages.text.pattern_budget import PatternBudget
from limner.messages.text.patterns import DEFAULT_PATTERNS, Pattern, compile_patterns
from limner.messages.text.placed_pictures import PlacedPicture
from limner.messages.text.regions import Ignored
from limner.messages.text.scanner import PromptScanner, find_prompts
from limner.messages.text.tolerant import TOLERANT_PATTERNS

__all__ = [
    "DEFAULT_PATTERNS",
    "TOLERANT_PATTERNS",
    "Adaptive",
    "AgainMode",
    "Budget",
    "BudgetLeft",
    "Composed",
    "Failure",
    "Forgotten",
    "GeneratorSettings",
    "Ignored",
    "Illustrated",
    "LaneReport",
    "LaneSettings",
    "LaneStatus",
    "LimnerError",
    "Link",
    "LiveSettings",
    "MarkedFailure",
    "Markup",
    "Mode",
    "NearMiss",
    "NearMissKind",
    "Notation",
    "Pattern",
    "PatternBudget",
    "Pending",
    "Picture",
    "PictureBytes",
    "PlacedPicture",
    "Placement",
    "Progress",
    "Prompt",
    "PromptMatch",
    "PromptScanner",
    "RateLimit",
    "Refusal",
    "Registry",
    "RegistryUpdate",
    "RunningCall",
    "SessionStatus",
    "Settings",
    "StateEntered",
    "StudioStatus",
    "TagOwner",
    "Tally",
    "Task",
    "TaskEnd",
    "TaskPlace",
    "TaskState",
    "TaskStatus",
    "Unplaced",
    "Unwritten",
    "Version",
    "WaitingRequest",
    "clean",
    "compile_patterns",
    "compose",
    "find_near_misses",
    "find_prompts",
]
