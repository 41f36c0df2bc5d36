"""A SQL database that holds Limner's tables: opening it, its transactions, its failures."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from limner.actors.stores.atomic_files import make_directory
from limner.actors.stores.sql import tables
from limner.actors.stores.sql.migration import migrate
from limner.messages.errors import SettingsInvalid, StoreFailed


class Database:
    """A database with the tables of the registry, which are made or brought up to date.

    SQLite runs in WAL mode with `synchronous=FULL`: a commit is on the disk before it returns,
    so that what was reported as written survives a power cut (`NORMAL` may lose the last
    commits). Within a process one thread writes at a time; other processes are waited for.

    A SQLite file that may not be written, or whose folder may not, can still be read. `writable`
    says whether it is another one.

    Args:
        url: a SQLAlchemy URL. Missing directories above a SQLite file are made.
        timeout: seconds to wait for another writer, above 0; for a thread of this process and
            for another process, each.

    Raises:
        SettingsInvalid: if the URL names no database that can be used.
        StoreFailed: if the database cannot be opened, or is of a newer Limner.
    """

    def __init__(self, url: str | URL, *, timeout: float = 10) -> None:
        self._url = _understood(url)
        self._timeout = timeout
        self._lock = Lock() if self._url.get_backend_name() == "sqlite" else None
        self._closed = False
        self._file: tuple[Path, tuple[int, int]] | None = None
        self.writable = True
        if self._lock:
            self.name = f"SQLite file {self._url.database}"
            self._make_directory()
            self._see_whether_writable()
        else:
            self.name = f"{self._url.get_backend_name()} database {self._url.database or ''!r}"
        self._engine = self._make_engine()
        try:
            self._prepare()
        except BaseException:
            self._engine.dispose()
            raise
        path = Path(self._url.database or "")
        if self._lock and (identity := _identity(path)) is not None:
            self._file = path.absolute(), identity

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection within a transaction that only reads.

        Raises:
            StoreFailed: if the database cannot be read.
        """
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection within a transaction that commits, or rolls back on an exception.

        Raises:
            StoreFailed: if the database cannot be written, stays locked for too long, or was
                deleted or replaced while it was open.
        """
        if self._lock and not self._lock.acquire(timeout=self._timeout):
            raise self._locked()
        try:
            self._check_still_there()
            with self._transaction("BEGIN IMMEDIATE") as connection:
                yield connection
        finally:
            if self._lock:
                self._lock.release()

    def close(self) -> None:
        """Close every connection. A late call still works, on a connection of its own."""
        self._closed = True
        self._close_idle()

    def _close_idle(self) -> None:
        # the engine's own way puts another pool in the place of this one, so that what is in use
        # meanwhile would come back to a pool that nobody closes any more
        self._engine.pool.dispose()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        try:
            with (
                self._engine.connect().execution_options(limner_begin=begin) as connection,
                connection.begin(),
            ):
                yield connection
        except SQLAlchemyError as error:
            raise self._failure(error) from error
        except UnicodeEncodeError as error:
            raise StoreFailed(
                f"{self.name}: a text with half a surrogate pair (such as U+D800) has no bytes"
            ) from error
        finally:
            if self._closed:
                self._close_idle()

    def _check_still_there(self) -> None:
        """Check that a SQLite file has its name still; what is written else is lost with it."""
        if self._file is None:
            return
        path, identity = self._file
        found = _identity(path)
        if found != identity:
            what = "deleted" if found is None else "replaced by another file"
            raise DatabaseGone(
                f"{self.name} was {what} while it was open, so nothing can be written to it; "
                "put it back, or open the studio anew"
            )

    def _failure(self, error: SQLAlchemyError) -> StoreFailed:
        cause = error.orig if isinstance(error, DBAPIError) else error
        line = (str(cause).strip() or type(cause).__name__).splitlines()[0][:300]
        if self._lock and "locked" in line:
            return self._locked()
        return StoreFailed(f"{self.name}: {line}")

    def _locked(self) -> StoreFailed:
        return _Locked(f"{self.name} stayed locked by another writer for {self._timeout:g} s")

    def _make_directory(self) -> None:
        path = Path(self._url.database or "")
        if str(path).startswith("file:"):
            return
        try:
            make_directory(path.parent)
        except OSError as error:
            reason = error.strerror or error
            raise StoreFailed(f"{self.name}: its directory cannot be made: {reason}") from error
        if path.is_dir():
            raise StoreFailed(f"{self.name} is a directory")
        for end in ("", "-wal", "-journal", "-shm"):
            file = path.with_name(path.name + end)
            if file.exists() and not file.is_file():
                # SQLite would wait for the other end of a pipe
                raise StoreFailed(f"{self.name}: {file} is a directory, a pipe or a device")

    def _see_whether_writable(self) -> None:
        file = Path(self._url.database or "")
        if not file.is_file() or all(os.access(path, os.W_OK) for path in (file, file.parent)):
            return
        self.writable = False
        query = {**self._url.query, "mode": "ro", "uri": "true"}
        if not file.with_name(f"{file.name}-wal").exists():
            # nobody has it open, and SQLite cannot make the files that it shares with others
            query["immutable"] = "1"
        self._url = self._url.set(database=file.absolute().as_uri(), query=query)

    def _make_engine(self) -> Engine:
        # parameters are texts of users, so errors never quote them
        options: dict[str, Any] = {"hide_parameters": True, "pool_timeout": self._timeout}
        if self._lock is None:
            options["pool_pre_ping"] = True
        if self._url.get_driver_name() == "psycopg" and "connect_timeout" not in self._url.query:
            # psycopg takes whole seconds, 2 or more
            options["connect_args"] = {"connect_timeout": max(2, round(self._timeout))}
        try:
            engine = create_engine(self._url, **options)
        except ImportError as error:
            raise SettingsInvalid(
                f"{self._url.drivername} needs the Python package {error.name!r}, "
                "which is not installed"
            ) from error
        except (ArgumentError, TypeError, ValueError) as error:
            raise SettingsInvalid(
                f"{self.name}: the URL has an option that is not known"
            ) from error
        if engine.dialect.is_async:
            raise SettingsInvalid(
                f"{self._url.drivername} is an asynchronous driver; use "
                f"{self._url.get_backend_name()}:// or one that is not"
            )
        event.listen(engine, "connect", self._connected)
        if self._lock:
            event.listen(engine, "begin", _begin)
        return engine

    def _connected(self, connection: Any, _record: object) -> None:
        milliseconds = max(1, round(self._timeout * 1_000))
        cursor = connection.cursor()
        if self._lock:
            connection.isolation_level = None  # transactions begin where `_begin` says
            cursor.execute(f"PRAGMA busy_timeout = {milliseconds}")
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.execute("PRAGMA foreign_keys = ON")
        elif self._url.get_backend_name() == "postgresql":
            cursor.execute(f"SET lock_timeout = {milliseconds}")
            connection.commit()
        cursor.close()

    def _prepare(self) -> None:
        try:
            version = self._version()
        except (TypeError, ValueError) as error:  # the driver's, of a query in the URL
            raise SettingsInvalid(
                f"{self.name}: the URL has an option that is not known"
            ) from error
        if version is None:
            self._create()
            version = self._version() or tables.SCHEMA
        if version < tables.SCHEMA:
            with self.writing() as connection:
                migrate(connection)
        elif version > tables.SCHEMA:
            raise StoreFailed(
                f"{self.name} was made by a newer Limner (its tables are version {version}, "
                f"this one knows {tables.SCHEMA}): upgrade Limner"
            )
        if self.writable:
            with suppress(StoreFailed):  # by one who may not make tables
                self._add_what_came_later()

    def _add_what_came_later(self) -> None:
        with self.reading() as connection:
            complete = inspect(connection).has_table(tables.failures.name)
        if not complete:
            self._create()

    def _version(self) -> int | None:
        with self.reading() as connection:
            if not inspect(connection).has_table(tables.schema.name):
                return None
            version: int | None = connection.scalar(select(tables.schema.c.version))
            return version

    def _create(self) -> None:
        if self._lock:
            self._use_wal()
        for last in (False, True):
            try:
                with self.writing() as connection:
                    tables.metadata.create_all(connection)
                    version = {"id": 1, "version": tables.SCHEMA}
                    tables.insert_one(connection, tables.schema, version)
            except StoreFailed:
                # of two that create at once on a server one fails, when the other is done
                if last or self._lock:
                    raise
            else:
                return

    def _use_wal(self) -> None:
        """Turn the write-ahead log on, which stays on in the file.

        For this lock SQLite does not wait while another writes, so after a refusal a turn to
        write is waited for, and it is tried again.
        """
        for _ in range(100):
            try:
                with self._transaction("") as connection:
                    connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            except _Locked:
                with self.writing():
                    pass
            else:
                return
        raise self._locked()


class DatabaseGone(StoreFailed):
    """The file of a database was deleted or replaced while it was open."""

    retryable = False


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of its name; `None` if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _Locked(StoreFailed):
    """Another writer held the database for too long."""


def _begin(connection: Connection) -> None:
    if statement := connection.get_execution_options()["limner_begin"]:
        connection.exec_driver_sql(statement)


def _understood(given: str | URL) -> URL:
    scheme = str(given).partition(":")[0][:40]
    try:
        url = make_url(given)
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        url.get_dialect()
    except NoSuchModuleError:
        raise SettingsInvalid(f"there is no database called {scheme!r}") from None
    except ImportError as error:
        raise SettingsInvalid(f"{scheme} needs the Python package {error.name!r}") from None
    except (ArgumentError, ValueError):
        # the reason may quote the part with the password
        raise SettingsInvalid(f"this {scheme!r} URL cannot be understood") from None
    if url.get_backend_name() != "sqlite":
        return url
    database = url.database or ""
    in_memory = {"", ":memory:", "file::memory:"}
    if database in in_memory or url.query.get("mode") == "memory":
        raise SettingsInvalid("a SQLite database in memory is not shared by threads: use memory:")
    return url
