"""Migrations: to head from nothing, at the same time, and not over a newer version's tables."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from pointsman.errors import StoreError
from pointsman.store import Record, ledger, rows, schema
from pointsman.store.database import Database
from pointsman.store.records import Entry
from pointsman.store.tables import attempts, decisions, metadata, queries


def test_the_migrations_make_exactly_the_tables_of_the_code(url: str) -> None:
    database = Database(url)
    schema.upgrade(database)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_upgrading_goes_to_head_and_a_second_time_changes_nothing(url: str) -> None:
    database = Database(url)
    assert schema.current(database) is None
    with pytest.raises(StoreError, match="has no tables yet: run `pointsman db upgrade`"):
        schema.check(database)
    schema.upgrade(database)
    schema.upgrade(database)
    schema.check(database)
    assert schema.current(database) == schema.head()
    database.close()


def test_two_upgrades_at_once_both_come_through(url: str) -> None:
    """The parent and a command of the owner's may start together."""
    databases = [Database(url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(schema.upgrade, databases))
    assert schema.current(databases[0]) == schema.head()
    for database in databases:
        database.close()


def test_a_newer_versions_database_is_refused(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'from the future'"))
    for step in (schema.check, schema.upgrade):
        with pytest.raises(StoreError, match="written by a newer version of Pointsman"):
            step(database)


def test_an_upgrade_that_fails_leaves_nothing_behind(url: str) -> None:
    database = Database(url)
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE promotions (x integer)"))  # in the way of the last table
    with pytest.raises(StoreError):
        schema.upgrade(database)
    with database.reading() as connection:
        assert inspect(connection).get_table_names() == ["promotions"]
    database.close()


def test_downgrading_takes_all_tables_away(database: Database) -> None:
    config = schema._config()
    with database.writing() as connection:
        config.attributes.update(connection=connection, metadata=metadata)
        command.downgrade(config, "base")
    with database.reading() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]


def moved(database: Database, revision: str) -> None:
    """Up or down to the form of this revision."""
    config = schema._config()
    with database.writing() as connection:
        config.attributes.update(connection=connection, metadata=metadata)
        step = command.upgrade if revision > (schema._revision(connection) or "") else command.downgrade
        step(config, revision)


def test_rows_from_before_there_were_signs_are_kept_and_have_none(url: str, make_record: Callable[..., Record]) -> None:
    """Written by the first form, read by this one; what is written then has them."""
    database, record = Database(url), make_record()
    moved(database, "0001")
    with database.reading() as connection:
        assert "signs" not in {column["name"] for column in inspect(connection).get_columns("attempts")}
    with pytest.raises(StoreError, match="run `pointsman db upgrade`"):
        schema.check(database)
    (old,) = rows.attempt_rows(record.decision, record.attempts)
    del old["signs"], old["kept_tokens"]
    with database.writing() as connection:
        connection.execute(decisions.insert(), rows.decision_row(record.decision))
        connection.execute(queries.insert(), rows.query_row(record, keep_text=True))
        connection.execute(attempts.insert(), old)
    schema.upgrade(database)
    schema.check(database)
    signed = replace(record.attempts[0], signs={"first_margin": 0.5}, kept=17)
    later = make_record("later", attempts=(signed,))
    with database.writing() as connection:
        ledger.write(connection, [Entry("later", later)], keep_text=True)
    with database.reading() as connection:
        assert ledger.read(connection, record.decision.id) == record
        assert ledger.read(connection, "later") == later
    database.close()


def test_going_back_to_the_form_without_signs_keeps_the_rest(
    database: Database, make_record: Callable[..., Record]
) -> None:
    record = make_record()
    signed = replace(record, attempts=(replace(record.attempts[0], signs={"first_margin": 0.5}),))
    with database.writing() as connection:
        ledger.write(connection, [Entry(record.decision.id, signed)], keep_text=True)
    moved(database, "0001")
    assert schema.current(database) == "0001"
    schema.upgrade(database)
    with database.reading() as connection:
        assert ledger.read(connection, record.decision.id) == record
