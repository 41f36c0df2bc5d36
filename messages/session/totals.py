"""Totals: monitor → writer."""

from collections.abc import Mapping

from limner.messages.base import Message
from limner.messages.picture_requests import PictureRequest
from limner.messages.prompts import PromptMatch
from limner.messages.session.streaming import SealReason


class TotalsSealed(Message):
    """Which tasks the write has to wait for, and the text that it is about.

    Args:
        task_ids: every task that the monitor asked for, the withdrawn ones too, so that none
            can settle after the write.
        text: the whole text.
        reason: why no more of it comes.
        matches: the prompts in it.
        over_limit: the texts of those that were not, since there were too many.
        dropped_patterns: patterns that were given up since they took too long.
        wishes: of a regeneration, what each task is for; the text is the store's own then.
    """

    task_ids: frozenset[str]
    text: str
    reason: SealReason = "complete"
    matches: tuple[PromptMatch, ...] = ()
    over_limit: tuple[str, ...] = ()
    dropped_patterns: tuple[str, ...] = ()
    wishes: Mapping[str, PictureRequest] | None = None
