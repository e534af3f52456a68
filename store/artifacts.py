"""The register of trained artifacts, and which of them serves. Promotions are only ever appended: what serves is what
they come to when played in order, a promotion laying an artifact on the pile, a rollback taking the top one off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, select

from ..domain import Json
from ..errors import NotFound
from .database import Database
from .tables import artifacts as table
from .tables import promotions as history


class Action(StrEnum):
    """What moved an artifact in or out of service."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """A registered artifact: where its files are, its training report, when it was made, whether it serves."""

    id: str
    path: str
    report: Json
    created_at: datetime
    serving: bool


@dataclass(frozen=True, slots=True)
class Promotion:
    """One step of the history. `artifact`: what serves from then on; None: what ships, or nothing."""

    artifact: str | None
    action: Action
    created_at: datetime


def register(database: Database, artifact: str, path: str, report: Json, created_at: datetime) -> None:
    """Adds an artifact to the register. One that is there keeps its report, for an id is a hash of the content; its
    path becomes `path`, for folders move. Raises StoreError."""
    with database.writing() as connection:
        if _known(connection, artifact):
            connection.execute(table.update().where(table.c.id == artifact).values(path=path))
        else:
            row = {"id": artifact, "path": path, "report": report, "created_at": created_at}
            connection.execute(table.insert(), row)


def promote(database: Database, artifact: str) -> None:
    """Puts an artifact to serve; nothing happens where it does. Raises NotFound, StoreError."""
    with database.writing() as connection:
        if not _known(connection, artifact):
            raise NotFound(
                f"There is no artifact {artifact!r}; `pointsman promote` without an id lists those there are."
            )
        pile = _pile(connection)
        if not pile or pile[-1] != artifact:
            _append(connection, artifact, Action.PROMOTE)


def rollback(database: Database) -> str | None:
    """Takes the serving artifact out of service. Returns the one that serves again: that promoted before it, or None
    where it was the first (what ships serves, or nothing). Raises NotFound where none was promoted, StoreError."""
    with database.writing() as connection:
        pile = _pile(connection)
        if not pile:
            raise NotFound("No artifact was promoted, so there is none to roll back.")
        back_to = pile[-2] if len(pile) > 1 else None
        _append(connection, back_to, Action.ROLLBACK)
    return back_to


def serving(database: Database) -> ArtifactRow | None:
    """The artifact that serves; None where none was promoted. Raises StoreError."""
    with database.reading() as connection:
        pile = _pile(connection)
        if not pile:
            return None
        row = connection.execute(select(table).where(table.c.id == pile[-1])).mappings().one()
    return _artifact(row, pile[-1])


def artifacts(database: Database) -> list[ArtifactRow]:
    """All registered artifacts, newest first. Raises StoreError."""
    with database.reading() as connection:
        pile = _pile(connection)
        rows = connection.execute(select(table).order_by(table.c.created_at.desc(), table.c.id)).mappings().all()
    return [_artifact(row, pile[-1] if pile else None) for row in rows]


def promotions(database: Database) -> list[Promotion]:
    """The whole history, oldest first. Raises StoreError."""
    with database.reading() as connection:
        rows = connection.execute(select(history).order_by(history.c.id)).mappings().all()
    return [Promotion(row["artifact_id"], Action(row["action"]), row["created_at"]) for row in rows]


def _known(connection: Connection, artifact: str) -> bool:
    return connection.execute(select(table.c.id).where(table.c.id == artifact)).first() is not None


def _pile(connection: Connection) -> list[str]:
    """The artifacts in service order, the serving one last."""
    pile: list[str] = []
    for row in connection.execute(select(history).order_by(history.c.id)).mappings():
        if row["action"] == Action.PROMOTE:
            pile.append(row["artifact_id"])
        elif pile:
            pile.pop()
    return pile


def _append(connection: Connection, artifact: str | None, action: Action) -> None:
    row = {"artifact_id": artifact, "action": action, "created_at": datetime.now(UTC)}
    connection.execute(history.insert(), row)


def _artifact(row: RowMapping, serving: str | None) -> ArtifactRow:
    return ArtifactRow(row["id"], row["path"], row["report"], row["created_at"], row["id"] == serving)
