"""The tables that a SQL database holds for Limner."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Insert,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite

SCHEMA = 2
"""The version of these tables; `migrate` brings earlier ones to it."""

MAX_MESSAGE_ID = 255
"""Characters of a message id."""

metadata = MetaData()

schema = Table(
    "limner_schema",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)
messages = Table(
    "limner_messages",
    metadata,
    Column("id", String(MAX_MESSAGE_ID), primary_key=True),
    Column("text", Text, nullable=False),
    Column("version", Integer, nullable=False),
)
prompts = Table(
    "limner_prompts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("message_id", String(MAX_MESSAGE_ID), nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("parent_id", String(64)),
    Column("source", String(20), nullable=False),
    Column("feedback", Text),
    # a process of an earlier Limner that still runs knows of none
    Column("sequence", Integer, nullable=False, server_default=text("0")),
)
pictures = Table(
    "limner_pictures",
    metadata,
    Column("prompt_id", ForeignKey(prompts.c.id), primary_key=True),
    Column("picture_id", String(128), primary_key=True),
    Column("message_id", String(MAX_MESSAGE_ID), nullable=False),
    Column("task_id", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("media_type", String(40), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("state", String(10), nullable=False),
    Column("sequence", Integer, nullable=False),
    Index("limner_pictures_by_message", "message_id", "state"),
    Index("limner_pictures_by_picture", "picture_id"),
)
claims = Table(
    "limner_claims",
    metadata,
    Column("message_id", String(MAX_MESSAGE_ID), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("prompt_id", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("ordinal", Integer, nullable=False),
)
failures = Table(
    "limner_failures",
    metadata,
    Column("message_id", String(MAX_MESSAGE_ID), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("failed", Text, nullable=False),
)
"""A database of an earlier Limner has none before this one opens it."""
writes = Table(
    "limner_writes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("message_id", String(MAX_MESSAGE_ID), nullable=False, index=True),
    Column("version", String(64), nullable=False),
    Column("links", Text, nullable=False),
)
"""What writes of files will settle, from before a file has its new text until it is settled."""
tasks = Table(
    "limner_tasks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("session_id", String(64), nullable=False, index=True),
    Column("message_id", String(MAX_MESSAGE_ID), nullable=False, index=True),
    Column("prompt_id", String(64), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("owner", Text),
    Column("priority", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reason", Text),
    Column("picture_id", String(128)),
)


def insert_one(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row if its key is not in the table yet, and say whether it was inserted."""
    statement = _insert_or_nothing(connection, table)
    if statement is not None:
        # PostgreSQL's would be lost to the keys that SQLAlchemy asks for
        counted = {"preserve_rowcount": True}
        return connection.execute(statement, row, execution_options=counted).rowcount == 1
    same = [column == row[column.name] for column in table.primary_key]
    if connection.execute(select(*table.primary_key).where(*same)).first() is not None:
        return False
    connection.execute(insert(table), row)
    return True


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose keys are not in the table yet."""
    statement = _insert_or_nothing(connection, table)
    if statement is None:
        for row in rows:
            insert_one(connection, table, row)
    elif rows:
        connection.execute(statement, rows)


def _insert_or_nothing(connection: Connection, table: Table) -> Insert | None:
    match connection.dialect.name:
        case "sqlite":
            return sqlite.insert(table).on_conflict_do_nothing()
        case "postgresql":
            return postgresql.insert(table).on_conflict_do_nothing()
    return None
