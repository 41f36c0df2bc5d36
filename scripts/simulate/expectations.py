"""Checks of what a host may expect when its message ends, and of timers that are left set."""

from collections import Counter
from collections.abc import Iterable, Iterator

from limner.actors.base import LimnerActor
from limner.actors.system import PooledRef, Timer
from limner.messages.errors import LimnerError, SessionTimedOut
from limner.messages.pictures import Illustrated, Unwritten
from limner.messages.text.compose import NO_PROMPT, mark
from limner.messages.text.marks import find_marks
from limner.messages.text.scanner import find_prompts
from limner.scripts.simulate.plans import Plan


def broken_expectations(
    plan: Plan,
    ended: Illustrated | BaseException,
    *,
    faultless: bool,
    may_be_cut: bool,
    all_written: bool = False,
) -> Iterator[str]:
    """Yield a line for each expectation of a host that was not met.

    Args:
        plan: what the host has done.
        ended: what the future of its session returned or raised.
        faultless: whether nothing could go wrong.
        may_be_cut: whether the stream was closed before the host ended it.
        all_written: whether the text must be written, whatever goes wrong.
    """
    name = plan.message_id
    if not isinstance(ended, Illustrated):
        if not isinstance(ended, LimnerError):
            yield f"{name}: its future raised {ended!r}"
        elif all_written:
            yield f"{name}: its text was not written: {ended}"
        elif faultless and not isinstance(ended, SessionTimedOut):
            yield f"{name}: it was not written though nothing went wrong: {ended}"
        return
    if all_written and ended.unwritten is Unwritten.GONE:
        yield f"{name}: its text is gone"
    if not plan.is_plain or not ended.written or (may_be_cut and plan.repeats):
        return
    text = ended.text
    for placement in ended.pictures:
        picture = mark(placement, "html")
        if text.count(picture) != 1:
            yield f"{name}: the picture {placement} is {text.count(picture)} times in the text"
        text = text.replace(picture, "")
    for found in reversed(find_marks(text)):
        if found.kind == "failure":
            text = text[: found.start] + text[found.end :]
    if text != plan.text and not (may_be_cut and plan.text.startswith(text)):
        yield f"{name}: its text is not what was streamed, but for the pictures"
        return
    requested = Counter(match.text for match in find_prompts(text))
    answered = Counter(
        (
            *(placement.prompt for placement in ended.pictures),
            *(
                unplaced.placement.prompt
                for unplaced in ended.unplaced
                if unplaced.reason != NO_PROMPT
            ),
            *ended.over_limit,
        )
    )
    failed = Counter(failure.prompt for failure in ended.failures)
    if plan.repeats:  # a prompt may have failed before the final text removed it
        failed &= requested - answered
    if requested != answered + failed:
        names, given = sorted(requested.elements()), sorted((answered + failed).elements())
        yield f"{name}: it has the prompts {names}, and answers were given for {given}"
    if faultless and (ended.failures or ended.unplaced):
        yield f"{name}: {len(ended.failures)} of its pictures failed though nothing went wrong"


def left_set(timers: Iterable[Timer]) -> Iterator[str]:
    """Yield a line for each timer that is still set for an actor of Limner that has ended.

    There is none unless an actor was made to fail.
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
