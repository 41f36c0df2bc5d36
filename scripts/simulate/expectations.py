"""What a host may expect of its message's end, and that nothing is left set behind it."""

from collections import Counter
from collections.abc import Iterable, Iterator

from limner.actors.base import LimnerActor
from limner.actors.system import PooledRef, Timer
from limner.messages.errors import LimnerError, SessionTimedOut
from limner.messages.pictures import Illustrated
from limner.messages.text.compose import NO_PROMPT, mark
from limner.messages.text.marks import find_marks
from limner.messages.text.scanner import find_prompts
from limner.scripts.simulate.plans import Plan


def broken(
    plan: Plan, ended: Illustrated | BaseException, *, faultless: bool, may_be_cut: bool
) -> Iterator[str]:
    """Give what a host may complain of, a line each.

    Args:
        plan: what the host has done.
        ended: what the future of its session gave or raised.
        faultless: whether nothing could go wrong.
        may_be_cut: whether the stream took no more text before the host had ended it.
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
    for one in reversed(find_marks(text)):
        if one.kind == "failure":
            text = text[: one.start] + text[one.end :]
    if text != plan.text and not (may_be_cut and plan.text.startswith(text)):
        yield f"{name}: its text is not what was streamed, but for the pictures"
        return
    asked = Counter(match.text for match in find_prompts(text))
    answered = Counter(
        (
            *(placement.prompt for placement in ended.pictures),
            *(one.placement.prompt for one in ended.unplaced if one.reason != NO_PROMPT),
            *ended.over_limit,
        )
    )
    failed = Counter(failure.prompt for failure in ended.failures)
    if plan.repeats:  # a prompt that the text held for a while may have failed before it was gone
        failed &= asked - answered
    if asked != answered + failed:
        names, given = sorted(asked.elements()), sorted((answered + failed).elements())
        yield f"{name}: it has the prompts {names}, and answers were given for {given}"
    if faultless and (ended.failures or ended.unplaced):
        yield f"{name}: {len(ended.failures)} of its pictures failed though nothing went wrong"


def left_set(timers: Iterable[Timer]) -> Iterator[str]:
    """Give the timers that are still set for one of Limner's actors that has ended, a line each.

    None is where no actor was made to fail.
    """
    for timer in timers:
        ref = timer.ref
        if (
            isinstance(ref, PooledRef)
            and issubclass(ref.actor_class, LimnerActor)
            and ref.life.over
        ):
            kind = type(timer.message).__name__
            yield f"a timer is left: {kind} is set for a {ref.actor_class.__name__} that has ended"
