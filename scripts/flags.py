"""Options that take no value are shown without one in `--help`; typer shows them as `<bool>`."""

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

F = TypeVar("F", bound=Callable[..., Any])


def without_values(params: list[Any]) -> list[Any]:
    """Return the parameters of a command, of which flags show no value."""
    for param in params:
        if getattr(param, "is_bool_flag", False) and param.metavar is None:
            param.metavar = ""
    return params


class FlaggedCommand(TyperCommand):
    """A command whose flags show no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its parameters, with `--help`."""
        return without_values(super().get_params(ctx))


class FlaggedGroup(TyperGroup):
    """A group of commands whose flags show no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its parameters, with `--help`."""
        return without_values(super().get_params(ctx))


class Application(typer.Typer):
    """A typer application whose commands and groups show no value of a flag."""

    def __init__(self, *, cls: type[TyperGroup] = FlaggedGroup, **options: Any) -> None:
        super().__init__(cls=cls, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[F], F]:
        """Return what makes a command of a function."""
        return super().command(name, **{"cls": FlaggedCommand, **options})
