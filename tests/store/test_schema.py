"""Migrations: to head from nothing, at the same time, and not over a newer version's tables."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from pointsman.errors import StoreError
from pointsman.store import schema
from pointsman.store.database import Database
from pointsman.store.tables import metadata


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
