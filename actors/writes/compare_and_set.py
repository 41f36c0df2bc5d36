"""Writing a text against all who may change it meanwhile: compare-and-set, load, once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from limner.actors.stores.protocol import Store, keeps_registry
from limner.messages.errors import StoreFailed, UnknownMessage, VersionConflict
from limner.messages.pictures import Illustrated, Unwritten
from limner.messages.registry import Registry, RegistryUpdate, Version
from limner.messages.session.results import UNWRITTEN
from limner.messages.text.compose import Composed
from limner.messages.writes.protocol import EditText

CONFLICTS = 8
"""How often a write goes back to a text that changed under it."""


class Draft(NamedTuple):
    """What is to be written.

    Args:
        compose: gives it, over the text that the store holds; is given `None` while that is not
            known, or if there is none.
        links: gives what it settles in the registry.
        always: whether it is written even if it changes nothing and settles nothing.
    """

    compose: Callable[[str | None], Composed]
    links: Callable[[Composed], RegistryUpdate]
    always: bool = False


class Written(NamedTuple):
    """How a write ended.

    Args:
        composed: what was written, or would have been.
        version: of what was written; `None` if nothing was.
        stored: the text that the store held before, if it is known.
        gone: whether the message is not there any more.
    """

    composed: Composed
    version: Version | None
    stored: str | None
    gone: bool = False


def write_text(
    store: Store,
    message_id: str,
    draft: Draft,
    *,
    stored: str | None,
    version: Version | None,
    log_event: Callable[..., None],
    given_up: Callable[[], bool],
) -> Written:
    """Write a text; on a conflict, load what is there and do it again. May block.

    Args:
        store: where.
        message_id: which text.
        draft: what is to be written.
        stored: the text that the store holds, if it was read.
        version: of that text; `None` creates it.
        log_event: tells the event log of conflicts.
        given_up: whether nobody waits for it any more; then nothing more is written.

    Raises:
        VersionConflict: if the text changes faster than it can be written.
        StoreFailed: if the store fails, or gives no version, or it was given up.
    """
    known = version is not None
    for _ in range(CONFLICTS):
        composed = draft.compose(stored)
        settles = composed.placed or composed.removed or composed.claims is not None
        if composed.text == stored and not (settles or draft.always):
            return Written(composed, None, stored)
        links = draft.links(composed)
        if given_up():
            raise StoreFailed(f"the write of message {message_id!r} was given up")
        try:
            new_version = store.write(
                message_id, composed.text, expected_version=version, links=links
            )
        except VersionConflict as conflict:
            log_event("write_conflicted", reason=str(conflict)[:500])
        else:
            return Written(composed, checked(new_version), stored)
        loaded = store.load(message_id)
        if loaded is None and known:
            return Written(composed, None, None, gone=True)
        text, found = loaded if loaded is not None else (None, None)
        if found == version and known:
            continue  # it was somebody else's lock, not a change
        stored, version, known = text, found, known or found is not None
    raise VersionConflict(
        f"the text of message {message_id!r} changed {CONFLICTS} times while it was written"
    )


def change_text(
    store: Store, edit: EditText, *, log_event: Callable[..., None], given_up: Callable[[], bool]
) -> Illustrated:
    """Load a text, change it, and write it. May block.

    Args:
        store: where.
        edit: which text, and what is done to it.
        log_event: as for `write_text`.
        given_up: as for `write_text`.

    Raises:
        UnknownMessage: if the store has no such message.
        VersionConflict, StoreFailed: as `write_text` does.
    """
    message_id = edit.message_id
    loaded = store.load(message_id)
    text, version = (None, None) if loaded is None else loaded
    if text is None and edit.kind != "reconcile":
        raise UnknownMessage(f"the store has no message {message_id!r}")

    def change(stored: str | None) -> Composed:
        changed = edit.change(stored, registry_of(store, message_id))
        return Composed(text=stored or "") if changed is None else changed

    def links(composed: Composed) -> RegistryUpdate:
        return RegistryUpdate(
            placed=composed.placed, removed=composed.removed, claims=composed.claims
        )

    stored: str | None
    if text is None:
        composed, stored, new_version = change(None), None, None
    else:
        written = write_text(
            store,
            message_id,
            Draft(change, links),
            stored=text,
            version=version,
            log_event=log_event,
            given_up=given_up,
        )
        if written.gone:
            raise UnknownMessage(f"the store has no message {message_id!r} any more")
        composed, stored, new_version = written.composed, written.stored, written.version
    changed = new_version is not None
    return Illustrated(
        message_id=message_id,
        text=composed.text if changed else stored or "",
        version=new_version,
        pictures=composed.placed if changed else (),
        unplaced=composed.unplaced,
        removed=composed.removed if changed else (),
        written=changed,
        reason=None if changed else UNWRITTEN[Unwritten.UNCHANGED],
        unwritten=None if changed else Unwritten.UNCHANGED,
    )


def checked(version: Any) -> Version:
    """Give the version that a store's write gave, if it is one.

    Raises:
        StoreFailed: if it is none.
    """
    if isinstance(version, bool) or not isinstance(version, int | str):
        raise StoreFailed(
            "the store's write gave no version (an int or a str) but "
            f"{type(version).__name__}; the text may be written"
        )
    return version


def registry_of(store: Store, message_id: str) -> Registry:
    """Give what a store knows of a message; nothing, if it keeps no registry. May block."""
    return store.registry(message_id) if keeps_registry(store) else Registry()
