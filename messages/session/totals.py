"""Totals: monitor, regeneration session → writer."""

from collections.abc import Mapping

from limner.messages.base import Message
from limner.messages.picture_requests import PictureRequest
from limner.messages.prompts import NearMiss, PromptMatch
from limner.messages.session.streaming import SealReason


class TotalsSealed(Message):
    """Which tasks the write has to wait for.

    Args:
        task_ids: every task that was asked for, the withdrawn ones too, so that none can settle
            after the write.
        reason: why there are no more.
        over_limit: the texts of the prompts that got no task, since there were too many.
        near_misses: places that look like a prompt tag and are none.
    """

    task_ids: frozenset[str]
    reason: SealReason = "complete"
    over_limit: tuple[str, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()


class StreamSealed(TotalsSealed):
    """Of a text that was streamed.

    Args:
        text: the whole text.
        matches: the prompts in it.
        dropped_patterns: patterns that were given up since they took too long.
    """

    text: str
    matches: tuple[PromptMatch, ...] = ()
    dropped_patterns: tuple[str, ...] = ()


class RequestsSealed(TotalsSealed):
    """Of a text that the store has already.

    Args:
        requests: what each task is for, by its id, in their order.
        taken_back: the tasks of requests that were taken back; their pictures go into no text.
    """

    requests: Mapping[str, PictureRequest]
    taken_back: frozenset[str] = frozenset()
