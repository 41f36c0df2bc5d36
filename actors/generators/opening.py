"""Turns what a host gives as its generator into a `Generator`."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

from limner.actors.generators import command, imported
from limner.actors.generators.failures import check_signature
from limner.actors.generators.instant import Instant
from limner.actors.generators.protocol import Cancelled, Generator, GeneratorLike
from limner.actors.generators.sketch.sketch import Sketch
from limner.messages.errors import SettingsInvalid
from limner.messages.generator_settings import GeneratorSettings
from limner.messages.pictures import PictureBytes
from limner.messages.tasks import Task

NAMED: Mapping[str, Callable[[], Generator]] = {"sketch": Sketch, "instant": Instant}
"""The generators that can be given by name."""

UNDERSTOOD = (
    f"use {' or '.join(repr(name) for name in NAMED)}, 'module:callable', 'exec:COMMAND {{prompt}} "
    "{output}', a name of [generators], an object with generate(task, cancelled), or a callable of"
    " that shape"
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


class InLane:
    """A generator whose calls stand in another lane than its own."""

    def __init__(self, generator: Generator, lane: str) -> None:
        self._generator = generator
        self.lane = lane
        self.blocks = getattr(generator, "blocks", True)

    def __repr__(self) -> str:
        return f"{self._generator!r} in {self.lane}"

    def generate(self, task: Task, cancelled: Cancelled) -> PictureBytes:
        """Call the generator."""
        return self._generator.generate(task, cancelled)


def open_generator(
    given: str | GeneratorLike, tables: Mapping[str, GeneratorSettings] | None = None
) -> Generator:
    """Return the generator that a name or an object stands for.

    Args:
        given: `"sketch"`, `"instant"`, a name of `tables`, `"module:callable"`,
            `"exec:COMMAND {prompt} {output}"`, an object with `generate(task, cancelled)`, or a
            plain callable of that shape. It may block, and is called on several threads at one
            time.
        tables: generators by name, as `Settings.generators` has them.

    Raises:
        SettingsInvalid: if it is none of these; the message lists what is understood.
    """
    if isinstance(given, str):
        table = (tables or {}).get(given)
        if table is None:
            return _open_named(given)
        generator = _open_named(table.use, table.folder)
        return generator if table.lane is None else InLane(generator, table.lane)
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
    check_signature(call, getattr(call, "__qualname__", None) or type(call).__name__)
    return given if isinstance(given, Generator) else Called(given)


def _open_named(name: str, folder: Path | None = None) -> Generator:
    if name in NAMED:
        return NAMED[name]()
    if name.startswith(command.PREFIX):
        return command.Command(name.removeprefix(command.PREFIX), folder)
    if imported.FORM.fullmatch(name):
        return open_generator(imported.import_generator(name, folder))
    raise SettingsInvalid(f"generator: there is no {_shown(name)}; {UNDERSTOOD}")


def runs_code(name: str) -> bool:
    """Return whether to open a generator by this name imports a module, or runs a command."""
    return name.startswith(command.PREFIX) or imported.FORM.fullmatch(name) is not None


def _shown(given: object) -> str:
    shown = repr(given)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
