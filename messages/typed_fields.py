"""Field types for which a type checker accepts more than what the field holds afterwards.

A checker reads the type of an argument from `__set__` and that of an attribute from `__get__`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:

    class PathField(Protocol):
        """A path, which may be given as text."""

        def __get__(self, instance: object, owner: object = None) -> Path: ...
        def __set__(self, instance: object, value: Path | str) -> None: ...

    class OptionalPathField(Protocol):
        """A path, which may be given as text, or `None`."""

        def __get__(self, instance: object, owner: object = None) -> Path | None: ...
        def __set__(self, instance: object, value: Path | str | None) -> None: ...

    class TextsField(Protocol):
        """A tuple of texts, which may be given as a list."""

        def __get__(self, instance: object, owner: object = None) -> tuple[str, ...]: ...
        def __set__(self, instance: object, value: Sequence[str]) -> None: ...

else:
    PathField = Path
    OptionalPathField = Path | None
    TextsField = tuple[str, ...]
