"""Writing a draft against all who may change the text meanwhile: compare-and-set, load, again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from limner.actors.stores.protocol import Store, keeps_registry
from limner.messages.errors import StoreFailed, VersionConflict
from limner.messages.registry import Registry, Version
from limner.messages.writes.draft import Draft, WriteResult

CONFLICTS = 8
"""How often a write goes back to a text that changed under it."""


def write_draft(
    store: Store,
    draft: Draft,
    *,
    version: Version | None = None,
    log_event: Callable[..., None],
    given_up: Callable[[], bool],
) -> WriteResult:
    """Write a draft; on a conflict, load what is there and compose on that. May block.

    Args:
        store: where.
        draft: what is to be written.
        version: of the text that the store holds, as it was read before; `None` creates the text.
            Not used by a draft that is composed on the stored text, which is loaded here.
        log_event: tells the event log of conflicts.
        given_up: whether nobody waits for it any more; then nothing more is written.

    Raises:
        VersionConflict: if the text changes faster than it can be written.
        StoreFailed: if the store fails, or gives no version, or it was given up.
    """
    message_id = draft.message_id

    def registry() -> Registry:
        if not keeps_registry(store):
            return Registry()
        known = store.registry(message_id)
        if not (draft.places_kept and known.kept()):
            return known
        return known.with_kept(store.kept(message_id))

    stored: str | None = None
    if draft.needs_stored:
        loaded = store.load(message_id)
        if loaded is None:
            return WriteResult(draft.compose(None, registry), None, None, gone=True)
        stored, version = loaded
    known = version is not None
    for _ in range(CONFLICTS):
        composed = draft.compose(stored, registry)
        settles = (
            composed.placed or composed.removed or composed.answered or composed.claims is not None
        )
        if composed.text == stored and not (settles or draft.even_if_unchanged):
            return WriteResult(composed, None, stored)
        update = draft.update(composed)
        if given_up():
            raise StoreFailed(f"the write of message {message_id!r} was given up")
        try:
            new_version = store.write(
                message_id, composed.text, expected_version=version, links=update
            )
        except VersionConflict as conflict:
            log_event("write_conflicted", reason=str(conflict)[:500])
        else:
            return WriteResult(composed, checked(new_version), stored)
        loaded = store.load(message_id)
        if loaded is None and known:
            return WriteResult(composed, None, None, gone=True)
        text, found = loaded if loaded is not None else (None, None)
        if found == version and known:
            continue  # it was somebody else's lock, not a change
        stored, version, known = text, found, known or found is not None
    raise VersionConflict(
        f"the text of message {message_id!r} changed {CONFLICTS} times while it was written"
    )


def checked(version: Any) -> Version:
    """Return the version that a store's write gave, if it is one.

    Raises:
        StoreFailed: if it is none.
    """
    if isinstance(version, bool) or not isinstance(version, int | str):
        raise StoreFailed(
            "the store's write gave no version (an int or a str) but "
            f"{type(version).__name__}; the text may be written"
        )
    return version
