"""The failures whose marks are in each text, or should be.

The table is made when it is first needed, in a database of an earlier Limner too, whose version it
leaves.
"""

from collections.abc import Sequence

from pydantic import ValidationError
from sqlalchemy import Connection, delete, inspect, select

from limner.actors.stores.sql.tables import failures, insert_new
from limner.messages.pictures import MarkedFailure


def read(connection: Connection, message_id: str) -> tuple[MarkedFailure, ...]:
    """Return the failures of a message, the oldest first; without those that cannot be read."""
    if not inspect(connection).has_table(failures.name):
        return ()
    of_message = failures.c.message_id == message_id
    rows = connection.scalars(
        select(failures.c.failed).where(of_message).order_by(failures.c.position)
    )
    known = []
    for row in rows:
        try:
            known.append(MarkedFailure.model_validate_json(row))
        except ValidationError:  # of a newer Limner
            continue
    return tuple(known)


def replace(connection: Connection, message_id: str, new: Sequence[MarkedFailure]) -> None:
    """Replace the failures of a message."""
    failures.create(connection, checkfirst=True)
    connection.execute(delete(failures).where(failures.c.message_id == message_id))
    rows = [
        {"message_id": message_id, "position": position, "failed": failed.model_dump_json()}
        for position, failed in enumerate(new)
    ]
    insert_new(connection, failures, rows)


def forget(connection: Connection, message_id: str) -> None:
    """Delete the failures of a message."""
    if inspect(connection).has_table(failures.name):
        connection.execute(delete(failures).where(failures.c.message_id == message_id))
