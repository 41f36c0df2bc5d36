"""Turns what a host gives as its generator into a `Generator`."""

import inspect
from collections.abc import Callable, Mapping

from limner.actors.generators.instant import Instant
from limner.actors.generators.protocol import Cancelled, Generator, GeneratorLike
from limner.actors.generators.sketch.sketch import Sketch
from limner.messages.errors import SettingsInvalid
from limner.messages.pictures import PictureBytes
from limner.messages.tasks import Task

NAMED: Mapping[str, Callable[[], Generator]] = {"sketch": Sketch, "instant": Instant}
"""The generators that can be given by name."""

UNDERSTOOD = (
    f"use {' or '.join(repr(name) for name in NAMED)}, an object with generate(task, cancelled), "
    "or a callable of that shape"
)


class Called:
    """Makes a generator of a plain callable."""

    def __init__(self, call: GeneratorLike) -> None:
        if not callable(call):
            raise SettingsInvalid(f"generator: {_shown(call)} cannot be called; {UNDERSTOOD}")
        self._call = call
        self.lane = getattr(call, "lane", "image")
        self.blocks = getattr(call, "blocks", True)

    def __repr__(self) -> str:
        return f"Called({getattr(self._call, '__qualname__', None) or type(self._call).__name__})"

    def generate(self, task: Task, cancelled: Cancelled) -> PictureBytes:
        """Call the callable."""
        return self._call(task, cancelled)


def open_generator(given: str | GeneratorLike) -> Generator:
    """Return the generator that a name or an object stands for.

    Args:
        given: `"sketch"`, `"instant"`, an object with `generate(task, cancelled)`, or a plain
            callable of that shape. It may block, and is called on several threads at one time.

    Raises:
        SettingsInvalid: if it is none of these; the message lists what is understood.
    """
    if isinstance(given, str):
        if given not in NAMED:
            raise SettingsInvalid(f"generator: there is no {_shown(given)}; {UNDERSTOOD}")
        return NAMED[given]()
    if isinstance(given, type):
        raise SettingsInvalid(
            f"generator: {given.__name__} is a class; give an object of it, {given.__name__}(…)"
        )
    call = getattr(given, "generate", given)
    if inspect.iscoroutinefunction(call):
        raise SettingsInvalid(
            f"generator: {_shown(given)} is a coroutine function; generators run on threads and "
            "may block, so give a plain one"
        )
    if not callable(call):
        raise SettingsInvalid(f"generator: {_shown(given)} makes no pictures; {UNDERSTOOD}")
    return given if isinstance(given, Generator) else Called(given)


def _shown(given: object) -> str:
    shown = repr(given)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
