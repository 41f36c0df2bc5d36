"""Databases that an earlier Limner has made: opened, brought up to date, and used."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from limner.actors.stores import FileStore, PictureFiles, SqlStore
from limner.actors.stores.sql.tables import metadata
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, RegistryUpdate

Maker = Callable[..., Any]

VERSION_1 = """
CREATE TABLE limner_schema (id INTEGER NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (id));
CREATE TABLE limner_messages (
    id VARCHAR(255) NOT NULL, text TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (id)
);
CREATE TABLE limner_prompts (
    id VARCHAR(64) NOT NULL, message_id VARCHAR(255) NOT NULL, text TEXT NOT NULL,
    ordinal INTEGER NOT NULL, parent_id VARCHAR(64), source VARCHAR(20) NOT NULL, PRIMARY KEY (id)
);
CREATE INDEX ix_limner_prompts_message_id ON limner_prompts (message_id);
CREATE TABLE limner_tasks (
    id VARCHAR(64) NOT NULL, session_id VARCHAR(64) NOT NULL, message_id VARCHAR(255) NOT NULL,
    prompt_id VARCHAR(64) NOT NULL, kind VARCHAR(40) NOT NULL, owner TEXT,
    priority INTEGER NOT NULL, seed BIGINT NOT NULL, state VARCHAR(10) NOT NULL,
    attempts INTEGER NOT NULL, reason TEXT, picture_id VARCHAR(128), PRIMARY KEY (id)
);
CREATE INDEX ix_limner_tasks_session_id ON limner_tasks (session_id);
CREATE INDEX ix_limner_tasks_message_id ON limner_tasks (message_id);
CREATE TABLE limner_pictures (
    prompt_id VARCHAR(64) NOT NULL, picture_id VARCHAR(128) NOT NULL,
    message_id VARCHAR(255) NOT NULL, task_id VARCHAR(64) NOT NULL, url TEXT NOT NULL,
    media_type VARCHAR(40) NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    state VARCHAR(10) NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (prompt_id, picture_id),
    FOREIGN KEY(prompt_id) REFERENCES limner_prompts (id)
);
CREATE INDEX limner_pictures_by_message ON limner_pictures (message_id, state);
INSERT INTO limner_schema VALUES (1, 1);
"""
"""What Limner 0.1 has made."""


class Old:
    """A database of version 1, with what is put into it."""

    def __init__(self, url: str) -> None:
        self.url = url
        engine = create_engine(url)
        metadata.drop_all(engine)
        engine.dispose()
        for statement in VERSION_1.split(";\n"):
            self.do(statement)

    def do(self, statement: str, **values: Any) -> None:
        engine = create_engine(self.url)
        if statement.strip():
            with engine.begin() as connection:
                connection.execute(text(statement), values)
        engine.dispose()

    def message(self, message_id: str, content: str, version: int) -> None:
        self.do(
            "INSERT INTO limner_messages VALUES (:id, :content, :version)",
            id=message_id,
            content=content,
            version=version,
        )

    def picture(self, finished: Any, state: str, sequence: int) -> tuple[Prompt, Link]:
        prompt, placement = finished.links.prompts[0], finished.placement
        self.do(
            "INSERT INTO limner_prompts VALUES (:id, :message_id, :text, :ordinal, NULL, :source)",
            **prompt.model_dump(include={"id", "message_id", "text", "ordinal", "source"}),
        )
        self.do(
            "INSERT INTO limner_pictures VALUES (:prompt_id, :id, :message_id, :task_id, :url, "
            ":media_type, :width, :height, :state, :sequence)",
            prompt_id=prompt.id,
            message_id=prompt.message_id,
            task_id=placement.task_id,
            state=state,
            sequence=sequence,
            **placement.picture.model_dump(),
        )
        return prompt, Link(placement=placement, state=state)

    def layout(self) -> Any:
        engine = create_engine(self.url)
        found = inspect(engine)
        tables = {
            name: (
                [
                    (column["name"], str(column["type"]), column["nullable"], column["default"])
                    for column in sorted(found.get_columns(name), key=lambda one: one["name"])
                ],
                sorted((index["name"], index["column_names"]) for index in found.get_indexes(name)),
                found.get_pk_constraint(name)["constrained_columns"],
            )
            for name in found.get_table_names()
            if name.startswith("limner_")
        }
        engine.dispose()
        return tables


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Old:
    if request.param == "postgresql":
        return Old(request.getfixturevalue("postgresql"))
    return Old(f"sqlite:///{tmp_path}/old.db")


def with_url(finished: Any) -> Any:
    picture = finished.picture.model_copy(update={"url": f"pictures/{finished.picture.id}.png"})
    return finished._replace(picture=picture)


def test_a_database_of_version_1_opens_and_works(
    old: Old, tmp_path: Path, make_finished: Maker
) -> None:
    one, two, other = (
        with_url(made)
        for made in (
            make_finished(prompt="one"),
            make_finished(prompt="two"),
            make_finished("o.md"),
        )
    )
    old.message("story.md", one.mark, 7)
    known = [old.picture(one, "placed", 0), old.picture(two, "kept", 1)]
    old.picture(other, "kept", 1)
    store = SqlStore(old.url, PictureFiles(tmp_path / "pictures", "pictures"))
    assert store.load("story.md") == (one.mark, 7)
    held = store.registry("story.md")
    assert held.prompts == tuple(sorted((prompt for prompt, _ in known), key=lambda one: one.id))
    assert held.links == tuple(link for _, link in known)
    assert len(store.prompts_of(one.picture.id)) == 3
    child = held.prompts[0].refined("another", feedback="why", source="manual")
    store.add(child)
    assert store.prompt(child.id) == child
    assert store.registry("story.md").prompts[-1] == child
    store.write(
        "story.md", "", expected_version=7, links=RegistryUpdate(removed=(one.placement.id,))
    )
    assert [link.state for link in store.registry("story.md").links] == ["past", "kept"]
    store.close()


def test_a_database_brought_up_to_date_is_as_a_new_one(old: Old, tmp_path: Path) -> None:
    SqlStore(old.url, PictureFiles(tmp_path)).close()
    migrated = old.layout()
    engine = create_engine(old.url)
    metadata.drop_all(engine)
    engine.dispose()
    SqlStore(old.url, PictureFiles(tmp_path)).close()
    assert migrated == old.layout()


OPEN = """
import sys
from limner.actors.stores import PictureFiles, SqlStore
print("ready", flush=True)
sys.stdin.readline()
store = SqlStore(sys.argv[1], PictureFiles("pictures"), timeout=60)
print(store.write(sys.argv[2], "once", expected_version=None), flush=True)
"""


def test_processes_may_bring_one_database_up_to_date_at_once(
    old: Old, python: Maker, tmp_path: Path
) -> None:
    processes = [python(OPEN, old.url, f"{number}.md") for number in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=120) for process in processes] == [("1\n", "")] * 3
    store = SqlStore(old.url, PictureFiles(tmp_path))
    assert all(store.load(f"{number}.md") == ("once", 1) for number in range(3))
    store.close()


@pytest.mark.parametrize("renamed", [False, True])
def test_a_write_that_an_earlier_limner_did_not_end_is_settled_by_its_marks(
    tmp_path: Path, make_finished: Maker, renamed: bool
) -> None:
    one, two = with_url(make_finished(prompt="one")), with_url(make_finished(prompt="two"))
    directory = tmp_path / "texts"
    directory.mkdir()
    old = Old(f"sqlite:///{directory}/.limner.sqlite")
    old.picture(one, "pending", 1)
    old.picture(two, "kept", 2)
    (directory / "story.md").write_text(one.mark if renamed else "once")
    pictures = PictureFiles(tmp_path / "pictures", "pictures")
    for made in (one, two):
        pictures.put(made.picture, made.data)
    store = FileStore(directory, pictures)
    kept = {two.task.prompt_id: two.picture}
    if not renamed:
        kept[one.task.prompt_id] = one.picture
    assert store.kept("story.md") == kept
    first = "placed" if renamed else "kept"
    assert [link.state for link in store.registry("story.md").links] == [first, "kept"]
    store.close()


def test_an_earlier_limner_that_still_runs_can_go_on(
    old: Old, tmp_path: Path, make_finished: Maker
) -> None:
    one = with_url(make_finished(prompt="one"))
    store = SqlStore(old.url, PictureFiles(tmp_path))
    columns = "id, message_id, text, ordinal, parent_id, source"
    old.do(
        f"INSERT INTO limner_prompts ({columns}) "
        "VALUES ('p', 'story.md', 'one', 0, NULL, 'streamed')"
    )
    store.keep(*one)
    assert [prompt.id for prompt in store.registry("story.md").prompts] == ["p", one.task.prompt_id]
    store.close()
