"""The store in SQLite: what is in the file, and what happens when others use it too."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.pool import Pool

from limner.actors.stores import PictureFiles, SqlStore
from limner.actors.stores.sql.database import Database
from limner.messages.errors import SettingsInvalid, StoreFailed, VersionConflict
from limner.messages.pictures import Failure, MarkedFailure
from limner.messages.prompts import Prompt
from limner.messages.registry import RegistryUpdate
from limner.messages.tasks import TaskState

Maker = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "texts.db"


@pytest.fixture
def store(path: Path, tmp_path: Path) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{path}", PictureFiles(tmp_path / "pictures"), timeout=0.1)
    yield store
    store.close()


def rows(path: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def test_a_commit_is_on_the_disk_before_it_returns(store: SqlStore, path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    with database.reading() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    database.close()
    full = 2
    assert found == {"journal_mode": "wal", "synchronous": full, "foreign_keys": 1}


KILLED_AFTER_WRITING = """
import os, signal, sys
from limner.actors.stores import PictureFiles, SqlStore
store = SqlStore(sys.argv[1], PictureFiles("pictures"))
print(store.write("story.md", "once", expected_version=None), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_was_reported_as_written_outlives_the_kill_of_its_process(
    path: Path, store: SqlStore, python: Maker
) -> None:
    with python(KILLED_AFTER_WRITING, f"sqlite:///{path}") as process:
        said, errors = process.communicate(timeout=60)
    assert (said, errors, process.returncode) == ("1\n", "", -9)
    assert store.load("story.md") == ("once", 1)


def test_a_write_registers_its_prompts_tasks_and_pictures(
    store: SqlStore, path: Path, make_finished: Maker
) -> None:
    one = make_finished()
    one = one._replace(picture=store.keep(*one))
    failed = one.task.model_copy(
        update={"id": "f", "state": TaskState.FAILED, "reason": "too busy", "attempts": 3}
    )
    by_hand = Prompt(id="p", message_id="story.md", text="a boat", ordinal=1, source="manual")
    links = one.links.model_copy(
        update={
            "prompts": (*one.links.prompts, by_hand),
            "tasks": (*one.links.tasks, failed),
        }
    )
    store.write("story.md", one.mark, expected_version=None, links=links)
    assert sorted(
        rows(path, "SELECT id, message_id, text, ordinal, source FROM limner_prompts")
    ) == sorted(
        [
            (one.task.prompt_id, "story.md", "a lighthouse", 0, "streamed"),
            ("p", "story.md", "a boat", 1, "manual"),
        ]
    )
    columns = (
        "id, session_id, prompt_id, owner, priority, seed, state, reason, attempts, picture_id"
    )
    task = one.task
    shared = (task.session_id, task.prompt_id, "alice", 3, task.seed)
    assert sorted(rows(path, f"SELECT {columns} FROM limner_tasks")) == sorted(
        [
            (task.id, *shared, "completed", None, 2, one.picture.id),
            ("f", *shared, "failed", "too busy", 3, None),
        ]
    )
    assert rows(path, "SELECT prompt_id, picture_id, task_id, url, state FROM limner_pictures") == [
        (task.prompt_id, one.picture.id, task.id, one.picture.url, "placed")
    ]


def test_a_prompt_that_is_known_is_not_changed_by_a_later_write(
    store: SqlStore, path: Path, make_finished: Maker
) -> None:
    one = make_finished()
    store.keep(*one)
    prompt = one.links.prompts[0].model_copy(update={"source": "manual", "parent_id": "p"})
    links = one.links.model_copy(update={"prompts": (prompt,)})
    store.write("story.md", "text", expected_version=None, links=links)
    assert rows(path, "SELECT source, parent_id FROM limner_prompts") == [("streamed", None)]


def test_a_write_and_its_links_are_one_transaction(
    store: SqlStore, path: Path, make_finished: Maker
) -> None:
    one = make_finished()
    one = one._replace(picture=store.keep(*one))
    version = store.write("story.md", "once", expected_version=None)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON limner_tasks "
            "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    with pytest.raises(StoreFailed, match=r"texts\.db: the disk is full$"):
        store.write("story.md", one.mark, expected_version=version, links=one.links)
    assert store.load("story.md") == ("once", version)
    assert store.kept("story.md") == {one.task.prompt_id: one.picture}
    assert rows(path, "SELECT state FROM limner_pictures") == [("kept",)]


def test_each_look_up_is_by_an_index(store: SqlStore, path: Path, make_finished: Maker) -> None:
    plans: list[str] = []

    def explain(
        connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> None:
        if statement.startswith("SELECT"):
            plan = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.extend(row[-1] for row in plan.fetchall())

    one = make_finished()
    store.keep(*one)
    event.listen(Engine, "before_cursor_execute", explain)
    try:
        store.registry("story.md")
        store.prompt(one.task.prompt_id)
        store.pictures_of(one.task.prompt_id)
        store.prompts_of(one.picture.id)
        store.kept("story.md")
    finally:
        event.remove(Engine, "before_cursor_execute", explain)
    assert len(plans) > 6
    assert not [step for step in plans if step.startswith("SCAN")]


def test_a_conflict_registers_nothing(store: SqlStore, path: Path, make_finished: Maker) -> None:
    with pytest.raises(VersionConflict):
        store.write("story.md", "text", expected_version=4, links=make_finished().links)
    assert rows(path, "SELECT id FROM limner_tasks UNION SELECT id FROM limner_prompts") == []


def test_a_database_locked_by_another_fails_after_the_timeout_and_works_again(
    store: SqlStore, path: Path, make_finished: Maker
) -> None:
    version = store.write("story.md", "once", expected_version=None)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match=r"texts\.db stayed locked .* for 0\.1 s$"):
            store.write("story.md", "twice", expected_version=version)
        with pytest.raises(StoreFailed, match="stayed locked"):
            store.keep(*make_finished())
        assert store.load("story.md") == ("once", version)
        other.execute("ROLLBACK")
    store.keep(*make_finished())
    assert store.write("story.md", "twice", expected_version=version) == 2


def test_a_writer_waits_for_another_that_is_done_in_time(path: Path, tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{path}", PictureFiles(tmp_path), timeout=60)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(store.write, "story.md", "once", expected_version=None)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.05)
            other.execute("COMMIT")
            assert waiting.result(timeout=60) == 1
    store.close()


def test_a_thread_that_writes_for_too_long_fails_the_others_and_not_for_ever(path: Path) -> None:
    database = Database(f"sqlite:///{path}", timeout=0.05)
    writing, enough = Event(), Event()

    def write_long() -> None:
        with database.writing():
            writing.set()
            enough.wait(60)

    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(write_long)
        writing.wait(60)
        with pytest.raises(StoreFailed, match="stayed locked"), database.writing():
            pass
        enough.set()
        long.result(60)
    with database.writing():
        pass
    database.close()


def test_what_is_in_use_at_closing_and_what_comes_late_is_closed_too(path: Path) -> None:
    still_open: set[int] = set()

    def opened(connection: Any, _record: object) -> None:
        still_open.add(id(connection))

    def closed(connection: Any, _record: object) -> None:
        still_open.remove(id(connection))

    event.listen(Pool, "connect", opened)
    event.listen(Pool, "close", closed)
    try:
        database = Database(f"sqlite:///{path}")
        with database.reading():
            with database.writing():
                database.close()
            assert still_open
        assert not still_open
        with database.writing(), database.reading():
            assert still_open
        assert not still_open
    finally:
        event.remove(Pool, "connect", opened)
        event.remove(Pool, "close", closed)


FAILED = MarkedFailure(
    failure=Failure(
        prompt_id="0" * 20,
        prompt="a lamp",
        task_id="1" * 32,
        ordinal=0,
        state=TaskState.FAILED,
        reason="no answer",
    ),
    owner="0" * 20,
)


@pytest.mark.parametrize("may_make_tables", [True, False])
def test_a_database_without_the_table_of_failures_takes_each_text(
    may_make_tables: bool, store: SqlStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE limner_failures")
    if not may_make_tables:

        def refuse(_: Database) -> None:
            raise StoreFailed("permission denied for schema public")

        monkeypatch.setattr(Database, "_create", refuse)
    earlier = SqlStore(f"sqlite:///{path}", PictureFiles(path.parent / "pictures"))
    links = RegistryUpdate(failures=(FAILED,))
    earlier.write("story.md", "once", expected_version=None, links=links)
    assert earlier.load("story.md") == ("once", 1)
    assert earlier.registry("story.md").failures == ((FAILED,) if may_make_tables else ())
    earlier.close()


def test_opening_waits_for_a_host_that_writes_to_its_own_tables(path: Path, tmp_path: Path) -> None:
    def opening(timeout: float) -> SqlStore:
        return SqlStore(f"sqlite:///{path}", PictureFiles(tmp_path), timeout=timeout)

    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("CREATE TABLE messages (id TEXT)")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match="stayed locked"):
            opening(timeout=0.05)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(opening, timeout=60)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.05)
            other.execute("COMMIT")
            waiting.result(timeout=60).close()
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]


COUNT = """
import sys
from limner.actors.stores import PictureFiles, SqlStore
from limner.messages.errors import VersionConflict
print("ready", flush=True)
sys.stdin.readline()
store = SqlStore(sys.argv[1], PictureFiles("pictures"), timeout=60)
conflicts = written = 0
while written < 15:
    text, version = store.load("count") or ("0", None)
    try:
        store.write("count", str(int(text) + 1), expected_version=version)
        written += 1
    except VersionConflict:
        conflicts += 1
print(written, flush=True)
"""


def test_processes_that_open_a_new_database_at_once_and_write_to_it_lose_nothing(
    path: Path, python: Maker, tmp_path: Path
) -> None:
    processes = [python(COUNT, f"sqlite:///{path}") for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120) for process in processes]
    assert said == [("15\n", "")] * 2
    store = SqlStore(f"sqlite:///{path}", PictureFiles(tmp_path))
    assert store.load("count") == ("30", 30)
    store.close()


def test_missing_directories_above_the_file_are_made(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/a/b/texts.db", PictureFiles(tmp_path))
    store.write("story.md", "once", expected_version=None)
    store.close()
    assert (tmp_path / "a" / "b" / "texts.db").is_file()


def test_a_relative_file_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = SqlStore("sqlite:///texts.db", PictureFiles(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with ThreadPoolExecutor(4) as pool:  # each on a connection of its own
        list(pool.map(lambda n: store.write(str(n), "once", expected_version=None), range(8)))
    store.close()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_that_is_no_database_is_said_in_one_line_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear reader, " * 500)
    with pytest.raises(StoreFailed, match=r"^SQLite file .*letter\.txt: file is not a database$"):
        SqlStore(f"sqlite:///{path}", PictureFiles(tmp_path))
    assert path.read_text() == "Dear reader, " * 500
    with pytest.raises(StoreFailed, match=r"^SQLite file .* is a directory$"):
        SqlStore(f"sqlite:///{tmp_path}", PictureFiles(tmp_path))
    with pytest.raises(StoreFailed, match=r"its directory cannot be made: .*$"):
        SqlStore(f"sqlite:///{path}/deeper/texts.db", PictureFiles(tmp_path))


def test_a_database_of_a_newer_limner_is_refused(path: Path, tmp_path: Path) -> None:
    SqlStore(f"sqlite:///{path}", PictureFiles(tmp_path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE limner_schema SET version = 3")
        connection.commit()
    with pytest.raises(StoreFailed, match=r"newer Limner .*version 3.*2\): upgrade Limner$"):
        SqlStore(f"sqlite:///{path}", PictureFiles(tmp_path))


def test_the_tables_live_beside_those_of_a_host(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE messages (id TEXT)")
        connection.execute("INSERT INTO messages VALUES ('mine')")
        connection.commit()
    store = SqlStore(f"sqlite:///{path}", PictureFiles(tmp_path))
    store.write("story.md", "once", expected_version=None)
    store.close()
    assert rows(path, "SELECT id FROM messages") == [("mine",)]


def test_a_picture_whose_file_was_deleted_is_not_kept_any_more(
    store: SqlStore, tmp_path: Path, make_finished: Maker
) -> None:
    one = make_finished()
    older, newer = store.keep(*make_finished(data=b"older")), store.keep(*one)
    (tmp_path / "pictures" / f"{newer.id}.png").unlink()
    assert store.kept("story.md") == {one.task.prompt_id: older}


def test_a_picture_is_kept_in_its_file_before_its_row_is_written(
    store: SqlStore, path: Path, tmp_path: Path, make_finished: Maker
) -> None:
    one = make_finished()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed):
            store.keep(*one)
    assert (tmp_path / "pictures" / f"{one.picture.id}.png").read_bytes() == one.data


def test_no_failure_quotes_a_text(store: SqlStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE limner_messages")
    with pytest.raises(StoreFailed, match=r"no such table: limner_messages$") as failure:
        store.write("story.md", "a secret", expected_version=None)
    shown: BaseException | None = failure.value
    while shown is not None:
        assert "a secret" not in str(shown)
        shown = shown.__cause__


def test_a_picture_that_comes_late_is_kept_after_closing(
    store: SqlStore, path: Path, make_finished: Maker
) -> None:
    store.close()
    one = make_finished()
    store.keep(*one)
    assert rows(path, "SELECT picture_id FROM limner_pictures") == [(one.picture.id,)]
    assert not path.with_name("texts.db-wal").exists()  # as no connection was left open


def test_sqlite_in_memory_is_refused_with_what_to_use(tmp_path: Path) -> None:
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true"):
        with pytest.raises(SettingsInvalid, match="use memory:"):
            SqlStore(url, PictureFiles(tmp_path))
