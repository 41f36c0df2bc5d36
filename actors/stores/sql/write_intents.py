"""Notes of what file writes change in the registry, from before the write until that is done."""

from sqlalchemy import Connection, delete, insert, select

from limner.actors.stores.sql.registry import legible, links_of
from limner.actors.stores.sql.tables import pictures, writes
from limner.messages.registry import RegistryUpdate
from limner.messages.text.marks import failures_marked, marked


def announce(connection: Connection, message_id: str, version: str, links: RegistryUpdate) -> int:
    """Note what a write settles once its file has the content that `version` names.

    Returns:
        The number of this note; `forget` takes it.

    Raises:
        ValueError: if a text of it holds half a surrogate pair.
    """
    said = tuple(
        task.but(owner=legible(task.owner), reason=legible(task.reason)) for task in links.tasks
    )
    row = {
        "message_id": message_id,
        "version": version,
        # an earlier Limner knows nothing of failures
        "links": links.but(tasks=said).model_dump_json(exclude=links.without_failures),
    }
    key = connection.execute(insert(writes), row).inserted_primary_key
    assert key is not None
    return int(key[0])


def announced(
    connection: Connection, message_id: str, version: str | None, text: str
) -> list[tuple[int, RegistryUpdate]]:
    """Return the notes of writes that were done and not settled, with their numbers.

    A write was done if the file has exactly its content. If the file was changed again since, the
    marks decide: a picture of the write that is in the text shows that the write was done.
    """
    rows = connection.execute(
        select(writes).where(writes.c.message_id == message_id).order_by(writes.c.id)
    ).all()
    if not rows:
        return []
    marks, failed_marks = marked(text), failures_marked(text)
    placed = {
        link.placement.id
        for link in links_of(connection, pictures.c.message_id == message_id)
        if link.state == "placed"
    }
    done = []
    for row in rows:
        links = RegistryUpdate.model_validate_json(row.links)
        if row.version != version:
            links = links.but(
                placed=tuple(placement for placement in links.placed if placement.id in marks),
                removed=tuple(name for name in links.removed if name not in marks),
                failures=tuple(failed for failed in links.failures if failed.id in failed_marks),
                answered=tuple(name for name in links.answered if name not in failed_marks),
            )
            if not links.failures and placed.issuperset(placement.id for placement in links.placed):
                continue
        done.append((row.id, links))
    return done


def forget(connection: Connection, message_id: str, number: int) -> None:
    """Delete the note of a write, and the notes before it, whose writes can no longer succeed."""
    connection.execute(
        delete(writes).where(writes.c.message_id == message_id, writes.c.id <= number)
    )
