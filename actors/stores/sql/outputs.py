"""Which version of each text file was last written here, to tell it from what others wrote.

The table is made when it is first needed, beside those of the registry, whose version it leaves.
"""

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect, select, update

from limner.actors.stores.sql.tables import MAX_MESSAGE_ID

outputs = Table(
    "limner_outputs",
    MetaData(),
    Column("message_id", String(MAX_MESSAGE_ID), primary_key=True),
    Column("version", String(64), nullable=False),
)


def remember(connection: Connection, message_id: str, version: str) -> None:
    """Remember the version of a text that was written just now."""
    outputs.create(connection, checkfirst=True)
    same = outputs.c.message_id == message_id
    if connection.execute(update(outputs).where(same).values(version=version)).rowcount == 0:
        connection.execute(insert(outputs).values(message_id=message_id, version=version))


def last(connection: Connection, message_id: str) -> str | None:
    """Return the version of a text that was last written; `None` if that is not known."""
    if not inspect(connection).has_table(outputs.name):
        return None
    same = outputs.c.message_id == message_id
    return connection.scalar(select(outputs.c.version).where(same))
