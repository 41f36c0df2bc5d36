"""The messages between the actors of the threaded peer."""

from dataclasses import dataclass
from typing import Any

import pykka

from limner.messages.pictures import Placement
from limner.messages.prompts import PromptMatch
from limner.messages.registry import Version

Ref = pykka.ActorRef[Any]


@dataclass(frozen=True, slots=True)
class OpenStream:
    """main → session: start; the reply is the monitor to feed."""


@dataclass(frozen=True, slots=True)
class TextStreamed:
    """main → monitor: more text."""

    chunk: str


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """main → monitor: the text is complete."""


@dataclass(frozen=True, slots=True)
class PromptDetected:
    """monitor → processor: a prompt has closed."""

    match: PromptMatch


@dataclass(frozen=True, slots=True)
class TotalsSealed:
    """monitor → writer: the text, and how many prompts were found in it."""

    text: str
    prompts: int


@dataclass(frozen=True, slots=True)
class RequestSlot:
    """processor → limiter: a picture waits for a slot."""

    holder: Ref


@dataclass(frozen=True, slots=True)
class SlotGranted:
    """limiter → processor: one picture may be made."""


@dataclass(frozen=True, slots=True)
class ReleaseSlot:
    """processor → limiter: the picture was made."""


@dataclass(frozen=True, slots=True)
class TaskSettled:
    """processor → writer: the picture, at its prompt."""

    placement: Placement


@dataclass(frozen=True, slots=True)
class TextWritten:
    """writer → session: the text is in the store."""

    version: Version


@dataclass(frozen=True, slots=True)
class PartFailed:
    """monitor, processor, writer → session: an actor of the message failed."""

    error: BaseException
