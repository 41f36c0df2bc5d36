"""The base of every message and value: frozen, closed to unknown fields."""

from typing import Any, Self

import pykka
from pydantic import BaseModel, ConfigDict, SkipValidation

Address = SkipValidation[pykka.ActorRef[Any]]
"""Where to reply to: an actor's ref, carried and never looked into here."""


class Value(BaseModel):
    """An immutable value, compared by its fields."""

    def but(self, **changes: Any) -> Self:
        """Give a copy with some fields changed, unchecked; `model_copy`, at a third of its cost."""
        copy = object.__new__(type(self))
        object.__setattr__(copy, "__dict__", {**self.__dict__, **changes})
        object.__setattr__(copy, "__pydantic_fields_set__", self.__pydantic_fields_set__)
        object.__setattr__(copy, "__pydantic_extra__", None)
        object.__setattr__(copy, "__pydantic_private__", None)
        return copy

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Message(Value):
    """Something said to an actor: an event in the past tense, or a wish in the imperative."""
