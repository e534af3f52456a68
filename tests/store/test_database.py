"""Connecting, and what is said when that fails."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from pointsman.errors import StoreError
from pointsman.store.database import Database, dumps, refused
from pointsman.store.tables import decisions, queries


def test_sqlite_runs_in_wal_mode_with_foreign_keys_and_secure_delete(tmp_path: Path) -> None:
    """A reader and a writer work beside each other, nothing hangs in the air, what is deleted is overwritten."""
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with database.reading() as connection:
        modes = [
            connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "foreign_keys", "secure_delete", "busy_timeout")
        ]
    database.close()
    assert modes == ["wal", 1, 1, 5000]


def test_the_folder_of_a_sqlite_file_is_made(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new' / 'folder' / 'a.db'}")
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE t (x)"))
    database.close()
    assert (tmp_path / "new" / "folder" / "a.db").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    database = Database(f"sqlite:///{tmp_path / 'file' / 'sub' / 'a.db'}")  # no error before it is needed
    with pytest.raises(StoreError, match="file/sub cannot be made"), database.reading():
        pass


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:///file:x?mode=memory&uri=true", "needs a file"),
        ("mysql://host/name", "not on 'mysql'"),
        ("no url", "cannot be read"),
    ],
)
def test_urls_that_make_no_sense_are_refused(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says):
        Database(url)


def test_a_read_only_file_can_be_read_and_says_that_it_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    writable = Database(f"sqlite:///{path}")
    with writable.writing() as connection:
        connection.execute(text("CREATE TABLE t (x)"))
    writable.close()
    database = Database(f"sqlite:///file:{path}?mode=ro&uri=true")
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar_one() == 0
    with pytest.raises(StoreError, match=r"a\.db is read-only"), database.writing() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
    database.close()


def test_a_lock_held_by_another_is_named_and_readers_pass(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    database = Database(f"sqlite:///{path}?timeout=0.05")
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE t (x)"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by another process"), database.writing():
        raise AssertionError("the write lock was not taken at the transaction's begin")
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar_one() == 0
    other.close()
    database.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"plain text, long enough to be a header" * 40)
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with pytest.raises(StoreError, match="is no SQLite database"), database.reading() as connection:
        connection.execute(text("SELECT 1 FROM sqlite_master"))


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE t (x)"))

    def fill() -> None:
        with database.writing() as connection:
            connection.execute(text("PRAGMA max_page_count = 3"))
            connection.execute(text("INSERT INTO t VALUES (zeroblob(100000))"))

    with pytest.raises(StoreError, match="is full"):
        fill()
    database.close()


def test_missing_tables_say_what_to_run(url: str) -> None:
    database = Database(url)
    with pytest.raises(StoreError, match="pointsman db upgrade"), database.reading() as connection:
        connection.execute(decisions.select())
    database.close()


def test_an_unreachable_server_is_named_without_its_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        database = Database(f"postgresql://me:hush@127.0.0.1:{taken.getsockname()[1]}/name")
        with pytest.raises(StoreError) as caught, database.reading():
            pass
    assert "me:***@127.0.0.1" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_refused_row_is_told_from_a_database_that_fails_and_its_values_are_not_quoted(database: Database) -> None:
    with pytest.raises(StoreError) as caught, database.writing() as connection:
        connection.execute(queries.insert(), {"decision_id": "canary", "hash": "canary", "limits": {}})
    assert refused(caught.value)
    assert "canary" not in str(caught.value)
    assert "canary" not in str(caught.value.__cause__).split("DETAIL")[0]


def test_an_error_in_the_block_rolls_back(database: Database) -> None:
    def fail() -> None:
        with database.writing() as connection:
            connection.execute(text("INSERT INTO artifacts VALUES ('a', 'p', '{}', '2030-01-01')"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM artifacts")).scalar_one() == 0


def test_json_bends_what_it_cannot_say() -> None:
    """NaN becomes null, huge integers and lone surrogates stay, foreign objects become text."""
    assert dumps({"a": float("nan"), "b": Path("p")}) == '{"a":null,"b":"p"}'
    assert dumps([2**70, float("inf"), "\ud800", Path("p")]) == '[1180591620717411303424, null, "\\ud800", "p"]'
