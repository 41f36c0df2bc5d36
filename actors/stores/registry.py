"""The tables of the registry, and what is asked of them within a transaction."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

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
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from limner.messages.pictures import Picture, Placement, Prompt
from limner.messages.tasks import Task
from limner.messages.writing import Links

SCHEMA = 1
"""The version of these tables. A later one adds its migration to `Database`."""

MAX_MESSAGE_ID = 255
"""Characters of a message id."""

State = Literal["kept", "pending", "placed"]
"""A picture at a prompt: in no text yet; in one that is being written; in one."""

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
)
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


def keep(connection: Connection, task: Task, picture: Picture) -> None:
    """Register a finished picture as the newest of its prompt, in no text yet.

    One that was placed before is kept again: it was made for a wish that is not written yet.
    """
    prompt = Prompt(
        id=task.prompt_id, message_id=task.message_id, text=task.prompt, ordinal=task.ordinal
    )
    insert_one(connection, prompts, prompt.model_dump())
    connection.execute(
        delete(pictures).where(
            pictures.c.prompt_id == task.prompt_id, pictures.c.picture_id == picture.id
        )
    )
    newest = connection.scalar(
        select(func.max(pictures.c.sequence)).where(pictures.c.prompt_id == task.prompt_id)
    )
    placement = Placement(
        prompt_id=task.prompt_id, prompt=task.prompt, picture=picture, task_id=task.id
    )
    row = _picture_row(task.message_id, placement, "kept", (newest or 0) + 1)
    insert_one(connection, pictures, row)


def kept(
    connection: Connection, message_id: str, lost: Callable[[Picture], bool]
) -> dict[str, Picture]:
    """Give the pictures of a message that are in no text yet, the newest of each prompt.

    Args:
        connection: within a transaction.
        message_id: whose pictures.
        lost: says which have no bytes any more; those are passed over.
    """
    newest_last = connection.execute(
        select(pictures)
        .where(pictures.c.message_id == message_id, pictures.c.state == "kept")
        .order_by(pictures.c.sequence, pictures.c.picture_id)
    )
    newest: dict[str, Picture] = {}
    for row in newest_last:
        picture = Picture(
            id=row.picture_id,
            url=row.url,
            media_type=row.media_type,
            width=row.width,
            height=row.height,
        )
        if not lost(picture):
            newest[row.prompt_id] = picture
    return newest


def link(connection: Connection, message_id: str, links: Links, state: State) -> None:
    """Register what a write settles; pictures of it enter `state`, unless they are placed."""
    found = {prompt.id: prompt for prompt in links.prompts}
    for placement in links.placed:
        if placement.prompt_id not in found:  # kept earlier, and so mostly known with its ordinal
            found[placement.prompt_id] = Prompt(
                id=placement.prompt_id, message_id=message_id, text=placement.prompt, ordinal=0
            )
    insert_new(connection, prompts, [prompt.model_dump() for prompt in found.values()])
    if links.prompts:
        connection.execute(
            update(prompts)
            .where(prompts.c.id == bindparam("key"))
            .values(source=bindparam("new_source"), parent_id=bindparam("new_parent")),
            [
                {"key": prompt.id, "new_source": prompt.source, "new_parent": prompt.parent_id}
                for prompt in links.prompts
            ],
        )
    insert_new(connection, tasks, [_task_row(task) for task in links.tasks])
    insert_new(
        connection, pictures, [_picture_row(message_id, one, state, 0) for one in links.placed]
    )
    enter(connection, links.placed, state)


def enter(connection: Connection, placements: Sequence[Placement], state: State) -> None:
    """Put registered pictures into a state; from `placed` there is no way back."""
    changes = [(one.prompt_id, one.picture.id, state) for one in placements]
    change(connection, changes)


def change(connection: Connection, changes: Sequence[tuple[str, str, State]]) -> None:
    """Put pictures, named by prompt id and picture id, into states, unless they are placed."""
    if changes:
        connection.execute(
            update(pictures)
            .where(
                pictures.c.prompt_id == bindparam("of_prompt"),
                pictures.c.picture_id == bindparam("of_picture"),
                pictures.c.state != "placed",
            )
            .values(state=bindparam("new_state")),
            [
                {"of_prompt": prompt_id, "of_picture": picture_id, "new_state": state}
                for prompt_id, picture_id, state in changes
            ],
        )


def by_marks(connection: Connection, message_id: str, text: str) -> list[tuple[str, str, State]]:
    """Give the changes after which the registry says what the marks in a text say.

    A picture whose mark is in the text is placed; one that was pending and is not, is kept.
    """
    rows = connection.execute(
        select(pictures.c.prompt_id, pictures.c.picture_id, pictures.c.state).where(
            pictures.c.message_id == message_id, pictures.c.state != "placed"
        )
    )
    changes: list[tuple[str, str, State]] = []
    for prompt_id, picture_id, state in rows:
        if f'data-limner="{prompt_id}:{picture_id}"' in text:
            changes.append((prompt_id, picture_id, "placed"))
        elif state == "pending":
            changes.append((prompt_id, picture_id, "kept"))
    return changes


def _picture_row(
    message_id: str, placement: Placement, state: State, sequence: int
) -> dict[str, Any]:
    picture = placement.picture
    return {
        "prompt_id": placement.prompt_id,
        "picture_id": picture.id,
        "message_id": message_id,
        "task_id": placement.task_id,
        "url": picture.url,
        "media_type": picture.media_type,
        "width": picture.width,
        "height": picture.height,
        "state": state,
        "sequence": sequence,
    }


def _task_row(task: Task) -> dict[str, Any]:
    shared = ("id", "session_id", "message_id", "prompt_id", "kind", "priority", "seed", "attempts")
    return {
        **{name: getattr(task, name) for name in shared},
        "state": str(task.state),
        "owner": _legible(task.owner),
        "reason": _legible(task.reason),
        "picture_id": task.picture.id if task.picture else None,
    }


def _legible(text: str | None) -> str | None:
    # a reason may quote anything; what no column can hold must not fail a write
    if text is None:
        return None
    return (
        text[:2_000].encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    )
