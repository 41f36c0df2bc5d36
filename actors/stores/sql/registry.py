"""Queries and changes of the registry's tables, each within a transaction."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    func,
    select,
    update,
)

from limner.actors.stores.sql import failures
from limner.actors.stores.sql.tables import claims, insert_new, pictures, prompts, tasks, writes
from limner.messages.ids import owner_id
from limner.messages.pictures import Picture, Placement
from limner.messages.prompts import Prompt, TagOwner
from limner.messages.registry import Link, Registry, RegistryUpdate
from limner.messages.status import Forgotten
from limner.messages.tasks import Task, TaskState


def keep(connection: Connection, task: Task, picture: Picture) -> None:
    """Register a finished picture as `Registry.keep` does."""
    _lock_for(connection, "ROW EXCLUSIVE")
    message_id = task.message_id
    of_link = pictures.c.prompt_id == task.prompt_id, pictures.c.picture_id == picture.id
    before = Registry.trusted(
        prompts=(), links=links_of(connection, *of_link), claims=(), owners=(), failures=()
    )
    after = before.keep(task, picture)
    _add(connection, message_id, after.prompts)
    kept = task.but(state=TaskState.COMPLETED, picture=picture)
    insert_new(connection, tasks, [_task_row(kept)])  # its owner is known from now on
    connection.execute(delete(pictures).where(*of_link))
    insert_new(connection, pictures, _picture_rows(connection, message_id, after.links))


def kept(
    connection: Connection, message_id: str, lost: Callable[[Picture], bool]
) -> dict[str, Picture]:
    """Return the newest picture of each prompt of a message that is in no text yet, by prompt id.

    Args:
        connection: within a transaction.
        message_id: whose pictures.
        lost: returns whether the bytes of a picture are gone; such a picture is skipped.
    """
    found = links_of(connection, pictures.c.message_id == message_id, pictures.c.state == "kept")
    return Registry.trusted(
        prompts=(),
        links=tuple(link for link in found if not lost(link.placement.picture)),
        claims=(),
        owners=(),
        failures=(),
    ).kept()


def read(connection: Connection, message_id: str) -> Registry:
    """Return the registry of a message."""
    # prompts last: a picture that comes in between has its prompt already
    links = links_of(connection, pictures.c.message_id == message_id)
    held = connection.execute(
        select(claims).where(claims.c.message_id == message_id).order_by(claims.c.position)
    )
    return Registry.trusted(
        links=links,
        claims=tuple(
            TagOwner.trusted(prompt_id=row.prompt_id, text=row.text, ordinal=row.ordinal)
            for row in held
        ),
        owners=tuple(sorted(map(owner_id, _owners_of(connection, message_id)))),
        failures=failures.read(connection, message_id),
        prompts=_prompts(connection, prompts.c.message_id == message_id),
    )


def _owners_of(connection: Connection, message_id: str) -> Sequence[str]:
    owners = select(tasks.c.owner).where(tasks.c.message_id == message_id).distinct()
    return connection.scalars(owners.where(tasks.c.owner.is_not(None))).all()


def messages_of(connection: Connection, owner: str) -> list[str]:
    """Return the ids of the messages for which an owner's pictures were requested."""
    found = select(tasks.c.message_id).where(tasks.c.owner == legible(owner)).distinct()
    return sorted(connection.scalars(found))


def forget(
    connection: Connection, message_id: str, delete_file: Callable[[Picture], bool]
) -> Forgotten:
    """Delete all rows of a message, and the files of pictures that no other message has.

    Args:
        connection: within a transaction that writes.
        message_id: of which message.
        delete_file: deletes the file of a picture, and returns whether there was one. It is called
            before the transaction commits. So whoever keeps the same picture meanwhile finds its
            row before this, or else misses its file after it.
    """
    _lock_for(connection, "SHARE ROW EXCLUSIVE")
    gone = read(connection, message_id)
    for table in (writes, pictures, claims, tasks, prompts):
        connection.execute(delete(table).where(table.c.message_id == message_id))
    failures.forget(connection, message_id)
    deleted = []
    for picture in {
        link.placement.picture.id: link.placement.picture for link in gone.links
    }.values():
        others = select(pictures.c.picture_id).where(pictures.c.picture_id == picture.id).limit(1)
        if connection.scalar(others) is None and delete_file(picture):
            deleted.append(picture.id)
    return Forgotten(message_id=message_id, prompts=len(gone.prompts), pictures=tuple(deleted))


def _lock_for(connection: Connection, mode: str) -> None:
    """Lock the pictures, so that nothing is forgotten of what a transaction has begun to add.

    SQLite has one writer at a time anyhow.

    Args:
        connection: at the beginning of its transaction.
        mode: of a lock of a table, as PostgreSQL names it.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"LOCK TABLE {pictures.name} IN {mode} MODE")


def add(connection: Connection, prompt: Prompt) -> None:
    """Register a prompt, unless it is known."""
    _add(connection, prompt.message_id, [prompt])


def prompt(connection: Connection, prompt_id: str) -> Prompt | None:
    """Return a prompt by its id."""
    return next(iter(_prompts(connection, prompts.c.id == _plain(prompt_id))), None)


def pictures_of(connection: Connection, prompt_id: str) -> tuple[Link, ...]:
    """Return the pictures of a prompt, oldest first."""
    return links_of(connection, pictures.c.prompt_id == _plain(prompt_id))


def prompts_of(connection: Connection, picture_id: str) -> tuple[Prompt, ...]:
    """Return the prompts that a picture belongs to."""
    of_picture = select(pictures.c.prompt_id).where(pictures.c.picture_id == _plain(picture_id))
    return _prompts(connection, prompts.c.id.in_(of_picture))


def settle(connection: Connection, message_id: str, links: RegistryUpdate, text: str) -> None:
    """Register the changes that belong to a write, as `Registry.settle` does."""
    _lock_for(connection, "ROW EXCLUSIVE")
    rows = [_task_row(task) for task in links.tasks]
    for row in rows:
        connection.execute(delete(tasks).where(tasks.c.id == row["id"]))  # as it was kept
    insert_new(connection, tasks, rows)
    before = read(connection, message_id)
    after = before.settle(message_id, links, text)
    _add(connection, message_id, after.prompts[len(before.prompts) :])
    states = {link.placement.id: link.state for link in before.links}
    changed = [link for link in after.links if states.get(link.placement.id, "") != link.state]
    new = [link for link in changed if link.placement.id not in states]
    insert_new(connection, pictures, _picture_rows(connection, message_id, new))
    if changed:
        connection.execute(
            update(pictures)
            .where(
                pictures.c.prompt_id == bindparam("of_prompt"),
                pictures.c.picture_id == bindparam("of_picture"),
            )
            .values(state=bindparam("new_state")),
            [
                {
                    "of_prompt": link.placement.prompt_id,
                    "of_picture": link.placement.picture.id,
                    "new_state": link.state,
                }
                for link in changed
            ],
        )
    if after.failures != before.failures:
        failures.replace(connection, message_id, after.failures)
    if after.claims != before.claims:
        connection.execute(delete(claims).where(claims.c.message_id == message_id))
        rows = [
            {"message_id": message_id, "position": position, **claim.__dict__}
            for position, claim in enumerate(after.claims)
        ]
        insert_new(connection, claims, rows)


def links_of(connection: Connection, *which: ColumnElement[bool]) -> tuple[Link, ...]:
    """Return the pictures for which all conditions hold, oldest first."""
    rows = connection.execute(
        select(pictures, prompts.c.text, prompts.c.ordinal)
        .join_from(pictures, prompts)
        .where(*which)
        .order_by(pictures.c.sequence, pictures.c.prompt_id, pictures.c.picture_id)
    )
    return tuple(
        Link.trusted(
            placement=Placement.trusted(
                prompt_id=row.prompt_id,
                prompt=row.text,
                picture=Picture.trusted(
                    id=row.picture_id,
                    url=row.url,
                    media_type=row.media_type,
                    width=row.width,
                    height=row.height,
                ),
                task_id=row.task_id,
                ordinal=row.ordinal,
            ),
            state=row.state,
        )
        for row in rows
    )


def _prompts(connection: Connection, which: ColumnElement[bool]) -> tuple[Prompt, ...]:
    rows = connection.execute(
        select(*(prompts.c[name] for name in Prompt.model_fields))
        .where(which)
        .order_by(prompts.c.message_id, prompts.c.sequence, prompts.c.id)
    )
    return tuple(Prompt.trusted(**row) for row in rows.mappings())


def _add(connection: Connection, message_id: str, new: Sequence[Prompt]) -> None:
    if not new:
        return
    next_one = _next(connection, prompts, message_id)
    insert_new(
        connection,
        prompts,
        [
            {**one.__dict__, "message_id": message_id, "sequence": sequence}
            for sequence, one in enumerate(new, next_one)
        ],
    )


def _next(connection: Connection, table: Table, message_id: str) -> int:
    newest = select(func.max(table.c.sequence)).where(table.c.message_id == message_id)
    return (connection.scalar(newest) or 0) + 1


def _plain(name: str) -> str:
    # an id that Limner has not made is no prompt's or picture's; some no database takes
    return name if name.isascii() and "\0" not in name else ""


def _picture_rows(
    connection: Connection, message_id: str, links: Sequence[Link]
) -> list[dict[str, Any]]:
    if not links:
        return []
    next_one = _next(connection, pictures, message_id)
    return [
        {
            "prompt_id": one.placement.prompt_id,
            "picture_id": one.placement.picture.id,
            "message_id": message_id,
            "task_id": one.placement.task_id,
            "url": one.placement.picture.url,
            "media_type": one.placement.picture.media_type,
            "width": one.placement.picture.width,
            "height": one.placement.picture.height,
            "state": one.state,
            "sequence": sequence,
        }
        for sequence, one in enumerate(links, next_one)
    ]


def _task_row(task: Task) -> dict[str, Any]:
    shared = ("id", "session_id", "message_id", "prompt_id", "kind", "priority", "seed", "attempts")
    return {
        **{name: getattr(task, name) for name in shared},
        "state": str(task.state),
        "owner": legible(task.owner),
        "reason": legible(task.reason),
        "picture_id": task.picture.id if task.picture else None,
    }


def legible(text: str | None) -> str | None:
    """Return a text as any database and JSON can hold it, cut to 2,000 characters."""
    # a reason may quote anything; what no column can hold must not fail a write
    if text is None:
        return None
    return (
        text[:2_000].encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    )
