"""The failures whose marks are in each text, or should be.

A database of an earlier Limner gets the table as it is opened, and keeps its version. Where it may
not be made, failures are not remembered, and nothing else is held up.
"""

from collections.abc import Sequence
from weakref import WeakSet

from pydantic import ValidationError
from sqlalchemy import Connection, Engine, delete, inspect, select

from limner.actors.stores.sql.tables import failures, insert_new
from limner.messages.pictures import MarkedFailure

_have_it: WeakSet[Engine] = WeakSet()
"""Databases in which the table was found, so that it is looked for once."""


def read(connection: Connection, message_id: str) -> tuple[MarkedFailure, ...]:
    """Return the failures of a message, the oldest first; without those that cannot be read."""
    if not _is_there(connection):
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
    if not _is_there(connection):
        return
    connection.execute(delete(failures).where(failures.c.message_id == message_id))
    rows = [
        {"message_id": message_id, "position": position, "failed": failed.model_dump_json()}
        for position, failed in enumerate(new)
    ]
    insert_new(connection, failures, rows)


def forget(connection: Connection, message_id: str) -> None:
    """Delete the failures of a message."""
    if _is_there(connection):
        connection.execute(delete(failures).where(failures.c.message_id == message_id))


def _is_there(connection: Connection) -> bool:
    if connection.engine in _have_it:
        return True
    there = inspect(connection).has_table(failures.name)
    if there:
        _have_it.add(connection.engine)
    return there
