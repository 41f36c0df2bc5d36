"""The base of every message and value: frozen, closed to unknown fields."""

from typing import Any, Self

import pykka
from pydantic import BaseModel, ConfigDict, SkipValidation

Address = SkipValidation[pykka.ActorRef[Any]]
"""Where to reply to: an actor's ref, which code in `messages/` never uses."""


NO_FIELDS: set[str] = set()
"""Shared by all values that were made unchecked; never changed, since values are frozen."""


_new = object.__new__
_set_values, _set_names, _set_extra, _set_private = (
    vars(BaseModel)[name].__set__
    for name in (
        "__dict__",
        "__pydantic_fields_set__",
        "__pydantic_extra__",
        "__pydantic_private__",
    )
)
"""How the slots of a model are filled: as `object.__setattr__` does, in a third less time."""


class Value(BaseModel):
    """An immutable value, compared by its fields."""

    @classmethod
    def trusted(cls, **fields: Any) -> Self:
        """Return a value of all its fields, unchecked: only for fields that this package made."""
        made = _new(cls)
        _set_values(made, fields)
        _set_names(made, NO_FIELDS)
        _set_extra(made, None)
        _set_private(made, None)
        return made

    def but(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, unchecked: a third of `model_copy`'s cost."""
        return self.trusted(**{**self.__dict__, **changes})

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Message(Value):
    """A message to an actor: an event in the past tense, or a command in the imperative."""
