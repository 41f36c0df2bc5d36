"""What writes of files will settle, noted before a file has its new text until it is settled."""

from sqlalchemy import Connection, delete, insert, select

from limner.actors.stores.sql.registry import legible, links_of
from limner.actors.stores.sql.tables import pictures, writes
from limner.messages.registry import RegistryUpdate
from limner.messages.text.marks import marked


def announce(connection: Connection, message_id: str, version: str, links: RegistryUpdate) -> int:
    """Note what a write will settle when its file has the content that `version` names.

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
        "links": links.but(tasks=said).model_dump_json(),
    }
    key = connection.execute(insert(writes), row).inserted_primary_key
    assert key is not None
    return int(key[0])


def announced(
    connection: Connection, message_id: str, version: str | None, text: str
) -> list[tuple[int, RegistryUpdate]]:
    """Give what writes have noted, not settled, and yet done, with the numbers of the notes.

    A write is done if the file has its very content. If it has another, since somebody changed
    it again, the marks decide: a picture of the write that is in the text shows that it was done.
    """
    rows = connection.execute(
        select(writes).where(writes.c.message_id == message_id).order_by(writes.c.id)
    ).all()
    if not rows:
        return []
    marks = marked(text)
    placed = {
        one.placement.id
        for one in links_of(connection, pictures.c.message_id == message_id)
        if one.state == "placed"
    }
    done = []
    for row in rows:
        links = RegistryUpdate.model_validate_json(row.links)
        if row.version != version:
            links = links.but(
                placed=tuple(one for one in links.placed if one.id in marks),
                removed=tuple(name for name in links.removed if name not in marks),
            )
            if placed.issuperset(one.id for one in links.placed):
                continue
        done.append((row.id, links))
    return done


def forget(connection: Connection, message_id: str, number: int) -> None:
    """Forget a note of a write, and those before it: their writes can be no more."""
    connection.execute(
        delete(writes).where(writes.c.message_id == message_id, writes.c.id <= number)
    )
