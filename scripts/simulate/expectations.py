"""What a host may expect of a message's end, beside what the event log proves."""

from collections.abc import Iterator

from limner.messages.composition import NO_PROMPT, mark
from limner.messages.errors import LimnerError, SessionTimedOut
from limner.messages.pictures import Illustrated
from limner.messages.scanner import find_prompts
from limner.scripts.simulate.plans import Plan


def broken(
    plan: Plan, ended: Illustrated | BaseException, *, faultless: bool, may_be_cut: bool
) -> Iterator[str]:
    """Give what a host may complain of, a line each.

    Args:
        plan: what the host has done.
        ended: what the future of its session gave or raised.
        faultless: whether nothing could go wrong.
        may_be_cut: whether a stream that was silent for too long is taken as interrupted.
    """
    name = plan.message_id
    if not isinstance(ended, Illustrated):
        if not isinstance(ended, LimnerError):
            yield f"{name}: its future raised {ended!r}"
        elif faultless and not isinstance(ended, SessionTimedOut):
            yield f"{name}: it was not written though nothing went wrong: {ended}"
        return
    if not plan.is_plain or not ended.written or (may_be_cut and plan.repeats):
        return
    text = ended.text
    for placement in ended.pictures:
        picture = mark(placement, "html")
        if text.count(picture) != 1:
            yield f"{name}: the picture {placement} is {text.count(picture)} times in the text"
        text = text.replace(picture, "")
    if text != plan.text and not (may_be_cut and plan.text.startswith(text)):
        yield f"{name}: its text is not what was streamed, but for the pictures"
        return
    asked = sorted(match.text for match in find_prompts(text))
    answered = sorted(
        (
            *(placement.prompt for placement in ended.pictures),
            *(one.placement.prompt for one in ended.unplaced if one.reason != NO_PROMPT),
            *(failure.prompt for failure in ended.failures),
            *ended.over_limit,
        )
    )
    if asked != answered:
        yield f"{name}: it has the prompts {asked}, and answers were given for {answered}"
    if faultless and (ended.failures or ended.unplaced):
        yield f"{name}: {len(ended.failures)} of its pictures failed though nothing went wrong"
