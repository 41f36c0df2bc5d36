"""Whether the calling thread may wait for the end of a studio or a limiter."""

from __future__ import annotations

from collections.abc import Collection

from limner.actors.base import LimnerActor
from limner.actors.event_log import EventLog
from limner.actors.limiter.slots import holds_here
from limner.actors.system import System, context, runs_calls_here
from limner.messages.errors import CloseRefused


def check_may_wait(what: str, system: System, log: EventLog, pools: Collection[str]) -> None:
    """Raise for a thread that closing would wait for.

    Args:
        what: is closed, `studio` or `limiter`.
        system: that it runs on.
        log: of its actors.
        pools: of its threads.

    Raises:
        CloseRefused: on a thread of its own, on one that holds a slot, or on the asyncio loop that
            calls run on.
    """
    actor = context.actor
    if (isinstance(actor, LimnerActor) and actor.log is log) or system.workers.runs(pools):
        raise CloseRefused(
            f"the {what} cannot be closed from within a generator, a host's call, or a future's "
            "callback, since closing waits for that; call close() from another thread"
        )
    if holds_here(system):
        raise CloseRefused(
            f"the {what} cannot be closed while this thread holds a slot of its limiter, since "
            "closing waits for that; leave the `with` block first"
        )
    if runs_calls_here(system):
        raise CloseRefused(
            f"the {what} cannot be closed on the asyncio loop that its calls run on, since that "
            "would stand still; leave it with `async with`, or await "
            f"asyncio.to_thread({what}.close)"
        )
