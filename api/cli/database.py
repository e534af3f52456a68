"""`pointsman db`: the store's tables, taking records out, deleting old ones."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .options import Where, located
from .times import length

app = typer.Typer(help="The store: tables, export, deletion.", no_args_is_help=True)


class Form(StrEnum):
    """How records are written to a file."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@app.command()
@located
def upgrade(where: Where) -> None:
    """Bring the tables to this version's form; `pointsman serve` does it by itself."""
    with where.opened_store() as opened:
        typer.echo(f"The store's tables are in form {opened.current()}.")


@app.command()
@located
def export(
    where: Where,
    path: Annotated[Path, typer.Argument(help="The file to write.")],
    form: Annotated[Form, typer.Option(help="jsonl: a record a line; parquet: a row a decision (needs [data]).")] = (
        Form.JSONL
    ),
) -> None:
    """Write every decision with its attempts and outcomes to a file."""
    with where.opened_store() as opened:
        count = opened.export(path, form.value)
    typer.echo(f"{count} decisions written to {path}.", err=True)


@app.command()
@located
def prune(
    where: Where,
    older_than: Annotated[str, typer.Option(metavar="LENGTH", help="For example 90d: decisions older than that go.")],
) -> None:
    """Delete old decisions with all that hangs on them. Artifacts trained on them stay."""
    age = length(older_than)
    with where.opened_store() as opened:
        gone = opened.prune(age)
    typer.echo(f"Deleted: {gone.decisions} decisions, {gone.attempts} attempts, {gone.outcomes} outcomes.")
