"""Bringing the tables to this version's form (Alembic, without an alembic.ini), and telling which form they are in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from ..errors import StoreError
from .database import Database
from .tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
_UPGRADE_LOCK = 0x706F696E74  # any number of our own: PostgreSQL's advisory lock while tables change


def upgrade(database: Database) -> None:
    """Creates or changes the tables up to this version's form; does nothing where they are. One process at a time.

    Raises StoreError, also where the database was written by a newer version."""
    from alembic import command  # here, for it is slow to import and the request path never needs it

    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        revision = _revision(connection)
        if revision == head():
            return
        _refuse_unknown(database, revision)
        config = _config()
        config.attributes.update(connection=connection, metadata=metadata)
        command.upgrade(config, "head")


def current(database: Database) -> str | None:
    """The revision that the database is at; None where it has no tables of ours. Raises StoreError."""
    with database.reading() as connection:
        return _revision(connection)


def head() -> str:
    """The revision that this version of Pointsman works on."""
    from alembic.script import ScriptDirectory

    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None, "the package lacks its migrations"
    return revision


def check(database: Database) -> None:
    """Returns where the database is in this version's form; else raises StoreError, which says what to do."""
    revision = current(database)
    if revision == head():
        return
    _refuse_unknown(database, revision)
    state = "has no tables yet" if revision is None else f"is in an older form ({revision})"
    raise StoreError(f"{database.name} {state}: run `pointsman db upgrade`.")


def _revision(connection: Connection) -> str | None:
    from alembic.migration import MigrationContext

    return MigrationContext.configure(connection).get_current_revision()


def _refuse_unknown(database: Database, revision: str | None) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreError(
            f"{database.name} was written by a newer version of Pointsman (form {revision}; this one knows up to "
            f"{head()}): upgrade Pointsman, or name another store."
        )


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    # A percent sign in the installation's path is none of Alembic's interpolations.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
