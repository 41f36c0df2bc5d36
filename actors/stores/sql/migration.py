"""Migrate the tables of an earlier Limner to the present version."""

from sqlalchemy import Connection, select, text, update

from limner.actors.stores.sql.registry import links_of
from limner.actors.stores.sql.tables import metadata, pictures, prompts, schema
from limner.actors.stores.sql.write_intents import announce
from limner.messages.registry import RegistryUpdate


def migrate(connection: Connection) -> None:
    """Migrate tables of version 1 to version 2, unless another process has done so meanwhile."""
    version = connection.scalar(select(schema.c.version).with_for_update())
    if version != 1:
        return
    for column in ("feedback TEXT", "sequence INTEGER DEFAULT 0 NOT NULL"):
        connection.execute(text(f"ALTER TABLE {prompts.name} ADD COLUMN {column}"))
    metadata.create_all(connection)
    for index in pictures.indexes:
        index.create(connection, checkfirst=True)
    # version 1 had noted in the pictures themselves what a write of a file would settle
    pending = pictures.c.state == "pending"
    messages = connection.scalars(select(pictures.c.message_id).where(pending).distinct()).all()
    for message_id in messages:
        links = links_of(connection, pictures.c.message_id == message_id, pending)
        placed = tuple(link.placement for link in links)
        announce(connection, message_id, "", RegistryUpdate(placed=placed))
    connection.execute(update(pictures).where(pending).values(state="kept"))
    connection.execute(update(schema).values(version=2))
