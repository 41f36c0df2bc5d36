"""The door of Limner: `from limner import Settings, Studio`.

Nothing is imported before it is asked for, so that `import limner` is cheap.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limner.actors import CallFuture, Future, Limiter, Stream, Studio
    from limner.actors.generators import Cancelled, Generator
    from limner.messages import (
        Budget,
        Failure,
        Illustrated,
        LaneSettings,
        Picture,
        PictureBytes,
        Placement,
        Prompt,
        Refusal,
        Settings,
        Task,
        clean,
        find_prompts,
    )
    from limner.messages.errors import GenerationFailed, LimnerError, SlotRefused

__version__ = "0.1.0"

__all__ = [
    "Budget",
    "CallFuture",
    "Cancelled",
    "Failure",
    "Future",
    "GenerationFailed",
    "Generator",
    "Illustrated",
    "LaneSettings",
    "Limiter",
    "LimnerError",
    "Picture",
    "PictureBytes",
    "Placement",
    "Prompt",
    "Refusal",
    "Settings",
    "SlotRefused",
    "Stream",
    "Studio",
    "Task",
    "__version__",
    "clean",
    "find_prompts",
]

_DOORS = {
    **dict.fromkeys(("GenerationFailed", "LimnerError", "SlotRefused"), "limner.messages.errors"),
    **dict.fromkeys(("Cancelled", "Generator"), "limner.actors.generators"),
    **dict.fromkeys(("CallFuture", "Future", "Limiter", "Stream", "Studio"), "limner.actors"),
}
"""Where a name comes from; from `limner.messages` if it is not listed."""

# a checkout has actors/, messages/ and scripts/ beside this folder, a wheel has them in it
if not Path(__file__).with_name("actors").is_dir():
    __path__.append(str(Path(__file__).resolve().parent.parent))


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_DOORS.get(name, "limner.messages")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
