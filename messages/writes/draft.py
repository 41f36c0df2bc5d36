"""What a write makes of a text: a stream's, a regeneration's, a host's edit. No actor, no store.

Each is a `Draft`, so that one executor writes them all: `limner.actors.stores.compare_and_set`.
"""

from collections.abc import Callable
from typing import NamedTuple

from limner.messages.errors import UnknownMessage
from limner.messages.pictures import Illustrated, Unplaced, Unwritten
from limner.messages.registry import Registry, RegistryUpdate, Version
from limner.messages.session.results import (
    UNWRITTEN,
    failure_of,
    illustrated,
    outcomes_of,
    placement_of,
    prompt_of,
)
from limner.messages.session.totals import RequestsSealed, StreamSealed
from limner.messages.settings import Settings
from limner.messages.tasks import Task
from limner.messages.text.compose import Composed, compose
from limner.messages.text.marks import marked
from limner.messages.text.notation import Clock
from limner.messages.text.revise import revise
from limner.messages.writes.protocol import EditText

TAKEN_BACK = "its request was taken back"
"""Why a picture is in no text."""

ReadRegistry = Callable[[], Registry]
"""Reads what the store knows of the message; may block."""


class WriteResult(NamedTuple):
    """How a write ended.

    Args:
        composed: what was written, or would have been.
        version: of what was written; `None` if nothing was.
        stored: the text that the store held before, if it is known.
        gone: whether the store has no such message (any more).
    """

    composed: Composed
    version: Version | None
    stored: str | None
    gone: bool = False


class Draft(NamedTuple):
    """What is to be written of one message.

    Args:
        message_id: whose text.
        compose: composes on the stored text, which is `None` if there is none or it is not known
            yet; may read the registry, and runs what a host gave.
        update: returns what the write settles in the registry.
        result: returns what the future gives, or raises.
        on_stored: whether it is composed on the text that the store holds, which is read before.
        always: whether it is written even if it changes and settles nothing.
        places_kept: whether it may place pictures that are kept and in no text yet; those whose
            bytes are lost are left out of the registry that it reads.
    """

    message_id: str
    compose: Callable[[str | None, ReadRegistry], Composed]
    update: Callable[[Composed], RegistryUpdate]
    result: Callable[[WriteResult], Illustrated]
    needs_stored: bool = True
    even_if_unchanged: bool = False
    places_kept: bool = False


def stream_draft(
    message_id: str,
    totals: StreamSealed,
    tasks: tuple[Task, ...],
    settings: Settings,
    clock: Clock | None = None,
) -> Draft:
    """Return the draft of a text that was streamed.

    If the stored text is its beginning, as a host may save while it streams, the streamed text
    replaces it. Any other stored text is newer, and the pictures go into that.

    Args:
        message_id: the message.
        totals: what was sealed.
        tasks: the session's, each in a final state.
        settings: how prompts and pictures stand in the text.
        clock: by which the patterns' budget is counted, as of `Notation`.
    """
    placements = tuple(placement for task in tasks if (placement := placement_of(task)) is not None)
    prompts = tuple({task.prompt_id: prompt_of(task) for task in tasks}.values())
    failures = tuple(failure for task in tasks if (failure := failure_of(task)) is not None)
    dropped = totals.dropped_patterns
    patterns = tuple(pattern for pattern in settings.patterns if pattern not in dropped)
    replaces = True

    def compose_on(stored: str | None, registry: ReadRegistry) -> Composed:
        nonlocal replaces
        replaces = stored is None or totals.text.startswith(stored)
        return compose(
            totals.text if replaces or stored is None else stored,
            placements,
            message_id=message_id,
            patterns=patterns,
            markup=settings.markup,
            image_attributes=settings.image_attributes,
            max_tag=settings.max_tag,
            timeout=settings.pattern_timeout,
            budget=settings.pattern_budget,
            clock=clock,
            ignore=settings.ignore,
            matches=totals.matches if replaces else None,
            failures=failures if settings.placeholders else (),
            registry=None if replaces else registry(),
        )

    def update(composed: Composed) -> RegistryUpdate:
        return RegistryUpdate.trusted(
            prompts=prompts,
            tasks=tasks,
            placed=composed.placed,
            removed=(),
            claims=None,
            anew=replaces,
            failures=composed.failures,
            answered=composed.answered,
        )

    result = _session_result(message_id, totals, tasks)
    return Draft(message_id, compose_on, update, result, needs_stored=False, even_if_unchanged=True)


def regeneration_draft(
    message_id: str,
    totals: RequestsSealed,
    tasks: tuple[Task, ...],
    settings: Settings,
    clock: Clock | None = None,
) -> Draft:
    """Return the draft of what was requested for a text that the store has already.

    Args:
        message_id: the message.
        totals: what was sealed.
        tasks: the session's, each in a final state.
        settings: how prompts and pictures stand in the text.
        clock: by which the patterns' budget is counted, as of `Notation`.
    """
    notation = settings.notation.but(clock=clock)
    outcomes = outcomes_of(totals, (task for task in tasks if task.id not in totals.taken_back))
    unwanted = tuple(
        placement
        for task in tasks
        if task.id in totals.taken_back and (placement := placement_of(task)) is not None
    )

    def compose_on(stored: str | None, registry: ReadRegistry) -> Composed:
        if stored is None:
            return Composed(
                text="",
                unplaced=tuple(
                    Unplaced(placement=outcome.placement, reason=UNWRITTEN[Unwritten.GONE])
                    for outcome in outcomes_of(totals, tasks)
                    if outcome.placement is not None
                ),
            )
        composed = revise(stored, outcomes, registry(), message_id=message_id, notation=notation)
        if not unwanted:
            return composed
        stand = marked(composed.text)
        return composed.but(
            unplaced=(
                *composed.unplaced,
                *(Unplaced(placement=placement, reason=TAKEN_BACK) for placement in unwanted),
            ),
            removed=(
                *composed.removed,
                *(placement.id for placement in unwanted if placement.id not in stand),
            ),
        )

    def update(composed: Composed) -> RegistryUpdate:
        return RegistryUpdate(
            prompts=tuple({prompt.id: prompt for prompt in requested}.values()),
            tasks=tasks,
            placed=composed.placed,
            removed=composed.removed,
            claims=composed.claims,
            failures=composed.failures,
            answered=composed.answered,
        )

    requested = [outcome.request.prompt for outcome in outcomes]
    return Draft(message_id, compose_on, update, _session_result(message_id, totals, tasks))


def edit_draft(edit: EditText) -> Draft:
    """Return the draft of a host's change, or of a reconciling.

    Its result raises `UnknownMessage` if the store has no such message, except for a reconciling.
    """
    message_id = edit.message_id

    def compose_on(stored: str | None, registry: ReadRegistry) -> Composed:
        if stored is None and edit.kind != "reconcile":
            return Composed(text="")
        changed = edit.change(stored, registry())
        return Composed(text=stored or "") if changed is None else changed

    def update(composed: Composed) -> RegistryUpdate:
        return RegistryUpdate(
            placed=composed.placed,
            removed=composed.removed,
            claims=composed.claims,
            answered=composed.answered,
        )

    def result(written: WriteResult) -> Illustrated:
        if written.gone and edit.kind != "reconcile":
            raise UnknownMessage(f"the store has no message {message_id!r}")
        composed, changed = written.composed, written.version is not None
        return Illustrated(
            message_id=message_id,
            text=composed.text if changed else written.stored or "",
            version=written.version,
            pictures=composed.placed if changed else (),
            unplaced=composed.unplaced,
            removed=composed.removed if changed else (),
            written=changed,
            reason=None if changed else UNWRITTEN[Unwritten.UNCHANGED],
            unwritten=None if changed else Unwritten.UNCHANGED,
        )

    places_kept = edit.kind == "reconcile"
    return Draft(message_id, compose_on, update, result, places_kept=places_kept)


def _session_result(
    message_id: str, totals: StreamSealed | RequestsSealed, tasks: tuple[Task, ...]
) -> Callable[[WriteResult], Illustrated]:
    def result(written: WriteResult) -> Illustrated:
        return illustrated(
            message_id,
            totals,
            tasks,
            written.composed,
            written.version,
            stored=written.stored,
            gone=written.gone,
        )

    return result
