"""The base of every message and value: frozen, closed to unknown fields."""

from typing import Any

import pykka
from pydantic import BaseModel, ConfigDict, SkipValidation

Address = SkipValidation[pykka.ActorRef[Any]]
"""Where to reply to: an actor's ref, carried and never looked into here."""


class Value(BaseModel):
    """An immutable value, compared by its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Message(Value):
    """Something said to an actor: an event in the past tense, or a wish in the imperative."""
