"""What the tests of the stores share: finished pictures, and stores that can be opened again."""

import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import create_engine, text

from limner.actors.stores import FileStore, MemoryStore, PictureFiles, SqlStore, Store
from limner.actors.stores.sql.tables import metadata
from limner.messages.ids import picture_id, prompt_id
from limner.messages.pictures import Picture, Placement
from limner.messages.prompts import Prompt
from limner.messages.registry import RegistryUpdate
from limner.messages.tasks import Task, TaskState


class Finished(NamedTuple):
    """A task that has its picture, and what a write of it would settle."""

    task: Task
    data: bytes
    picture: Picture

    @property
    def placement(self) -> Placement:
        return Placement(
            prompt_id=self.task.prompt_id,
            prompt=self.task.prompt,
            picture=self.picture,
            task_id=self.task.id,
        )

    @property
    def mark(self) -> str:
        return f'<img data-limner="{self.placement.id}" src="a.png">'

    @property
    def links(self) -> RegistryUpdate:
        prompt = Prompt(
            id=self.task.prompt_id,
            message_id=self.task.message_id,
            text=self.task.prompt,
            ordinal=self.task.ordinal,
        )
        task = self.task.model_copy(
            update={"state": TaskState.COMPLETED, "picture": self.picture, "attempts": 2}
        )
        return RegistryUpdate(prompts=(prompt,), tasks=(task,), placed=(self.placement,))


def finished(
    message_id: str = "story.md",
    prompt: str = "a lighthouse",
    *,
    data: bytes = b"picture",
    session_id: str = "session",
) -> Finished:
    found = Prompt(
        id=prompt_id(message_id, prompt, 0), message_id=message_id, text=prompt, ordinal=0
    )
    task = Task.requested(found, session_id=session_id, owner="alice", priority=3, at=0)
    picture = Picture(id=picture_id(data), url="", media_type="image/png", width=8, height=6)
    return Finished(task, data, picture)


class Stores:
    """One place where texts live, and the stores that were opened on it."""

    def __init__(
        self, kind: str, opening: Callable[[], Store], removing: Callable[[str], object]
    ) -> None:
        self.kind = kind
        self.survives = kind != "memory"
        self.remove = removing
        self._opening = opening
        self._opened: list[Store] = []

    def open(self) -> Store:
        self._opened.append(self._opening())
        return self._opened[-1]

    def close(self) -> None:
        for store in self._opened:
            store.close()


def programs_of_postgresql() -> Path | None:
    """Return the folder of the newest PostgreSQL server that is installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max(
        (path.parent for path in versions),
        key=lambda path: tuple(map(int, path.parent.name.split("."))),
        default=None,
    )


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Start a PostgreSQL server of our own, and give the URL of a database there.

    `TEST_POSTGRESQL_URL` names another one, whose `limner_` tables may be dropped.
    """
    if url := os.environ.get("TEST_POSTGRESQL_URL"):
        yield url
        return
    programs = programs_of_postgresql()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt install postgresql)")
    if find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed (pip install 'limner[postgresql]')")
    # it refuses to run as root
    owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    # not one of pytest's folders, as those are closed to others; and short, as sockets' paths are
    home = Path(tempfile.mkdtemp(prefix="limner-postgresql-"))
    if owner:
        os.chown(home, owner.pw_uid, owner.pw_gid)

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [programs / program, "-D", home / "data", *arguments],
            user=owner and owner.pw_uid,
            group=owner and owner.pw_gid,
            extra_groups=[] if owner else None,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout}")

    options = {"listen_addresses": "", "unix_socket_directories": str(home), "fsync": "off"}
    given = " ".join(f"-c {name}='{value}'" for name, value in options.items())
    try:
        run("initdb", "-U", "limner", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        run("pg_ctl", "start", "-w", "-l", str(home / "log"), "-o", given)
        try:
            yield f"postgresql+psycopg://limner@/postgres?host={home}"
        finally:
            run("pg_ctl", "stop", "-m", "immediate")
    finally:
        shutil.rmtree(home)


@pytest.fixture(params=["memory", "sql", "files", "postgresql"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    pictures = PictureFiles(tmp_path / "pictures", "pictures")
    match request.param:
        case "memory":
            memory = MemoryStore()
            made = Stores("memory", lambda: memory, memory.texts.__delitem__)
        case "sql":
            database = tmp_path / "texts.db"

            def delete(message_id: str) -> None:
                with sqlite3.connect(database) as connection:
                    connection.execute("DELETE FROM limner_messages WHERE id = ?", [message_id])
                connection.close()

            made = Stores("sql", lambda: SqlStore(f"sqlite:///{database}", pictures), delete)
        case "files":
            directory = tmp_path / "texts"
            made = Stores(
                "files",
                lambda: FileStore(directory, pictures),
                lambda message_id: (directory / message_id).unlink(),
            )
        case _:
            url = request.getfixturevalue("postgresql")
            engine = create_engine(url)
            metadata.drop_all(engine)

            def forget(message_id: str) -> None:
                with engine.begin() as connection:
                    statement = text("DELETE FROM limner_messages WHERE id = :id")
                    connection.execute(statement, {"id": message_id})
                engine.dispose()

            engine.dispose()
            made = Stores("postgresql", lambda: SqlStore(url, pictures), forget)
    yield made
    made.close()


@pytest.fixture
def make_finished() -> Callable[..., Finished]:
    return finished


@pytest.fixture
def python() -> Callable[..., subprocess.Popen[str]]:
    """Start another Python that can import what this one can; its pipes are text."""

    def start(script: str, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start
