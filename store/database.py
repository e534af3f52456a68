"""One door to the database: connect, read, write; every driver's error becomes a `StoreError` in plain words.

SQLite runs in WAL mode (readers and one writer beside each other, also from other processes; not on network file
systems) and waits up to 5 s for a lock (`?timeout=` in the URL). PostgreSQL is reached through psycopg 3.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)

from ..errors import MissingExtra, StoreError

LOCK_WAIT_S = 5.0
_CONNECT_S = 5
_WRITES = "pointsman_writes"


def dumps(value: Any) -> str:
    """JSON for a column or a file, dataclasses as objects. What JSON cannot say is bent rather than lost: NaN and
    infinity become null, foreign objects their `str`. Integers of any size and lone surrogates are kept."""
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        plain = json.loads(json.dumps(value, default=_plain), parse_constant=lambda _: None)
        return json.dumps(plain, allow_nan=False)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)


class Database:
    """Connections to one database. Nothing is opened before it is needed, so a database that is down is no error yet.

    Raises StoreError where the URL makes no sense, MissingExtra where the driver is not installed."""

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self.name = _name(self._url)
        self.engine: Engine = _engine(self._url, self.is_sqlite, self.name)

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A connection that sees one state of the database. Raises StoreError."""
        with mapped(self.name), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """A connection in a transaction that is committed at the end, rolled back on any error. On SQLite it takes the
        write lock at once, so that what is read in it stays true until it is written. Raises StoreError."""
        with mapped(self.name), self.engine.connect() as connection:
            connection.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def settle(self) -> None:
        """Brings SQLite's write-ahead log into the file and empties it, where no reader is in the way: what was deleted
        is then gone from both. Nothing elsewhere. Raises StoreError."""
        if not self.is_sqlite:
            return
        with mapped(self.name), closing(self.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Closes every idle connection; those in use close when they come back."""
        self.engine.dispose()


@contextmanager
def mapped(name: str) -> Generator[None]:
    """Turns SQLAlchemy's errors into a StoreError that names the database; the cause is kept."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(f"{name} {_problem(error)}") from error


def refused(error: StoreError) -> bool:
    """Whether the database is well and it is the row that cannot be written: trying the same again will not help."""
    cause = error.__cause__
    if isinstance(cause, ProgrammingError):  # a value of a foreign type; but also missing tables and rights, which come
        return any(sign in str(cause.orig).lower() for sign in ("adapt", "binding"))
    # A StatementError that is no DBAPIError: the values could not even be prepared.
    return isinstance(cause, IntegrityError | DataError) or (
        isinstance(cause, StatementError) and not isinstance(cause, DBAPIError)
    )


def _parsed(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise StoreError(
            "The store's URL cannot be read; use sqlite:///FILE or postgresql://USER@HOST/NAME."
        ) from error
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"The store works on sqlite and postgresql, not on {url.get_backend_name()!r}.")
    return url


def _name(url: URL) -> str:
    """The database as a sentence's subject, without its password."""
    return f"The database {url.set(query={}).render_as_string(hide_password=True)}"


def _engine(url: URL, is_sqlite: bool, name: str) -> Engine:
    # hide_parameters: what callers wrote never gets into an error's text or a log.
    common: dict[str, Any] = {"json_serializer": dumps, "json_deserializer": json.loads, "hide_parameters": True}
    if is_sqlite:
        folder = _folder(url)
        wait = {} if "timeout" in url.query else {"timeout": LOCK_WAIT_S}
        engine = create_engine(url, pool_timeout=LOCK_WAIT_S, connect_args=wait, **common)
        if folder is not None:
            event.listen(engine, "do_connect", lambda *_: _make(folder, name))
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    options = f"{url.query.get('options', '')} -c lock_timeout={int(LOCK_WAIT_S * 1000)}".strip()
    connect_args = {"connect_timeout": _CONNECT_S, "tcp_user_timeout": 10_000, "options": options}
    try:
        # pre_ping: a connection that the server closed meanwhile is replaced instead of failing its first user.
        return create_engine(url, pool_pre_ping=True, pool_timeout=LOCK_WAIT_S, connect_args=connect_args, **common)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise MissingExtra("A store on PostgreSQL", "postgres") from error


def _folder(url: URL) -> Path | None:
    """The folder of a SQLite file, to be made where it is missing; None for a database that is only read."""
    file = url.database or ""
    if file in ("", ":memory:") or "mode=memory" in file or url.query.get("mode") == "memory":
        raise StoreError("The store needs a file: each connection to an in-memory SQLite database sees another one.")
    return None if url.query.get("mode") == "ro" else Path(file.removeprefix("file:")).parent


def _make(folder: Path, name: str) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # what people asked is nobody else's
    except OSError as error:
        raise StoreError(f"{name} cannot be opened: the folder {folder} cannot be made ({error.strerror}).") from error


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, see _begin_sqlite
    cursor = connection.cursor()
    with suppress(sqlite3.OperationalError):  # read-only or locked: reading works in whatever mode the file is in
        cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")  # safe in WAL mode; a power cut may lose the last commits only
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA secure_delete=ON")  # what retention deletes is overwritten, not just unlinked
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


_SAYINGS = (
    ("readonly database", "is read-only: make the file and its folder writable, or name another store."),
    ("read-only transaction", "is read-only: connect to the primary server, or name another store."),
    ("database is locked", "is locked by another process."),
    ("database table is locked", "is locked by another process."),
    ("lock timeout", "is locked by another process."),
    ("unable to open", "cannot be opened: is the folder there, and may it be read and written?"),
    ("disk is full", "is full: free some disk space, or run `pointsman db prune`."),
    ("disk full", "is full: free some disk space, or run `pointsman db prune`."),
    ("not a database", "is no SQLite database, or is damaged."),
    ("malformed", "is damaged."),
    ("no such table", "lacks our tables: run `pointsman db upgrade`."),
    ("no such column", "is of another version: run `pointsman db upgrade`."),
    ("does not exist", "lacks what we need: run `pointsman db upgrade`, or create the database."),
)


def _problem(error: SQLAlchemyError) -> str:
    """The rest of the sentence that begins with the database's name."""
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip()
    lowered = said.lower()
    for sign, saying in _SAYINGS:
        if sign in lowered:
            return saying
    # The first line only: PostgreSQL's details quote values.
    return f"cannot be used: {said.splitlines()[0] if said else type(error).__name__}"
