"""`pointsman retrain`, `promote`, `rollback`: learning from what was logged, and what serves."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import ArtifactError, BadRequest, NotFound
from .files import write_json
from .options import Where, located
from .reports import table, training_report
from .screen import err, out
from .times import moment

if TYPE_CHECKING:
    from ...domain import Json
    from ...router import Router
    from ...router.config import Settings
    from ...router.jobs.release import Released
    from ...router.jobs.sources import Source
    from ...store import Store


@located
def retrain(
    where: Where,
    since: Annotated[
        str | None, typer.Option(metavar="LENGTH|DATE", help="Only what was logged since: 7d, or 2026-11-24.")
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Learn from this table of outcomes; may be repeated.")
    ] = None,
    constellation: Annotated[
        str | None,
        typer.Option(metavar="FILE:NAME", help="The table's routes and prices. Absent: each model and mode."),
    ] = None,
    objective: Annotated[
        str | None, typer.Option(metavar="KIND=VALUE", help="For example quality=0.98. Absent: the configured one.")
    ] = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="Serve the new artifact, shown to be better or not.")
    ] = False,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the report here as JSON.")] = None,
) -> None:
    """Learn from the log (or tables), look at it on held-out groups, promote it if it is better than what serves."""
    since_when = moment(since, datetime.now(UTC)) if since else None
    if data and since:
        raise BadRequest("--since is for the log: it says nothing of tables given with --data.")
    if constellation and not data:
        raise BadRequest("--constellation names the routes of a table: give one with --data.")
    found, _ = where.load()
    released, noted, able = _learn(found, since_when, data or [], constellation, objective, promote)
    screen = out()
    for part in training_report(released.retrained.report):
        screen.print(part)
    _conclude(released, where, tables=bool(data), noted=noted, able=able)
    if json is not None:
        write_json(json, _json(released))


def _learn(
    found: Settings,
    since: datetime | None,
    data: list[Path],
    constellation: str | None,
    objective: str | None,
    force: bool,
) -> tuple[Released, str, bool]:
    """Read, fit, evaluate, register, promote. Also returns what was read, in words, and whether the artifact could
    serve the configured routes."""
    from ...router import Router
    from ...router.decide import route_key, unknown
    from ...router.jobs.release import release

    screen = err()
    with Router(found) as router, screen.status("reading") as status:
        router.store.upgrade()
        source = _source(router, since, data, constellation, objective)
        noted = f"{len(source.observations):,} answers from {', '.join(str(f) for f in data) or 'the log'}"
        status.update(f"{noted}: fitting, then looking at groups held out")
        if not screen.is_terminal:
            screen.print(f"{noted}: fitting, then looking at groups held out")
        strange = unknown({route_key(route) for route in source.aim.routes}, router.routes)
        if force and strange:
            raise BadRequest(
                f"--promote: the table says nothing of {', '.join(strange)} as configured (name, model, mode and "
                "thinking budget), so what it teaches could not serve."
            )
        wanted = True if force else (False if data else None)
        made = release(router.store, source, router.decider.embedder, found.home / "artifacts", promote=wanted)
        return made, noted, not strange


def _source(
    router: Router, since: datetime | None, data: list[Path], constellation: str | None, objective: str | None
) -> Source:
    from ...router.jobs.evaluation.replay import Aim
    from ...router.jobs.sources import from_store, from_tables
    from ...router.objectives import parse_objective

    standing = router.decider.standing
    wanted = parse_objective(objective) if objective else standing.objective
    if data:
        return from_tables(data, constellation, wanted)
    return from_store(router.store, Aim.of(standing, wanted), router.decider.embedder, since)


def _conclude(released: Released, where: Where, *, tables: bool, noted: str, able: bool) -> None:
    """The sentence that everything led to, the artifact, and what to type next."""
    made, screen = released.retrained, out()
    screen.print(f"\n{made.comparison.sentence}", style="bold", markup=False)
    if made.report["held_out"] is not None:
        screen.print(f"Learnt from {noted}.", markup=False)
    screen.print(f"Artifact {made.artifact.id}\n  {made.path}", markup=False, soft_wrap=True)
    if released.promoted:
        screen.print("It serves from now on; a running server takes it up by itself. Back: pointsman rollback")
    elif not able:
        screen.print("It is for the table's routes, which are not the configured ones, so it was registered only.")
    else:
        screen.print("What was learnt from tables is registered only." if tables else "What serves goes on serving.")
        again = f"pointsman promote {made.artifact.id}{where.words}"
        screen.print(f"Serve it all the same: {again}", markup=False, soft_wrap=True)


def _json(released: Released) -> Json:
    made = released.retrained
    report = {name: value for name, value in made.report.items() if name != "trained_on"}  # hashes, for the next job
    return {"artifact": made.artifact.id, "path": str(made.path), "promoted": released.promoted, **report}


@located
def promote(
    where: Where,
    artifact: Annotated[str | None, typer.Argument(help="Its id, or the beginning of it. Absent: list them.")] = None,
) -> None:
    """Serve an artifact from now on; without an id, list those there are. A running server takes it up by itself."""
    with where.opened_store() as opened:
        if artifact is None:
            _list(opened)
            return
        row = _matching(opened, artifact)
        _check(where.load()[0], Path(row.path))
        opened.promote(row.id)
    typer.echo(f"Artifact {row.id} serves from now on. Back: pointsman rollback")


def _check(found: Settings, path: Path) -> None:
    """Returns where the artifact could serve the configured routes, else raises ArtifactError: what cannot be loaded,
    or was trained for others, must not be put to serve."""
    from ...backends import load_modes
    from ...classifiers import load, load_embedder
    from ...router.build import build_routes, present_models
    from ...router.serving import mismatch

    artifact = load(path, load_embedder(found.embedder, found.embedder_path))
    routes = build_routes(found, present_models(found)[0], load_modes(found.modes))
    if (problem := mismatch(artifact, routes)) is not None:
        raise ArtifactError(problem)


def _matching(store: Store, beginning: str) -> Any:
    """The one registered artifact whose id begins so. Raises NotFound, BadRequest where several do."""
    rows = [row for row in store.artifacts() if row.id.startswith(beginning)]
    if not rows:
        raise NotFound(f"There is no artifact {beginning!r}; `pointsman promote` without an id lists those that are.")
    if len(rows) > 1:
        raise BadRequest(f"{beginning!r} begins {len(rows)} artifacts' ids; write more of the one that you mean.")
    return rows[0]


def _list(store: Store) -> None:
    rows = [
        (
            row.id,
            f"{row.created_at:%Y-%m-%d %H:%M}",
            ", ".join(row.report.get("routes", {})),
            "serves" if row.serving else "",
        )
        for row in store.artifacts()
    ]
    if rows:
        out().print(
            table("Registered artifacts, newest first", ("artifact", "made (UTC)", "routes", ""), rows, words=range(4))
        )
    else:
        typer.echo("No artifact is registered yet: `pointsman retrain` makes one.")


@located
def rollback(where: Where) -> None:
    """Go back to the artifact that served before. A running server takes it up by itself."""
    with where.opened_store() as opened:
        before = opened.rollback()
    if before is None:
        typer.echo(
            "No promoted artifact serves any more: what ships for these routes does, or else the safe route answers."
        )
    else:
        typer.echo(f"Artifact {before} serves again.")
