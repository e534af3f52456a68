"""`pointsman evaluate`: what routing is worth on recorded outcomes, held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

import typer

from ...errors import BadRequest, NotFound
from .files import write_json
from .options import Where, located
from .screen import err, out

if TYPE_CHECKING:
    from ...classifiers import Artifact
    from ...router.jobs.evaluation.contest import Rules
    from ...router.jobs.evaluation.evaluate import Evaluation, Settings
    from ...router.jobs.evaluation.recording import Recording

HOLD_OUTS, PRICES = ("benchmark", "group", "query"), ("work", "list")
FORMS = (".parquet", ".jsonl")

Named: TypeAlias = Annotated[str, typer.Option(metavar="FILE[:NAME]", help="Which routes stand beside each other.")]
Train: TypeAlias = Annotated[
    list[Path] | None, typer.Option(metavar="FILE", help="Learn from this table; may be repeated. Needs --test.")
]
Test: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The table to test on; without --train: test what serves.")
]
HoldOut: TypeAlias = Annotated[
    str | None, typer.Option(metavar="|".join(HOLD_OUTS), help="What is left out together. Absent: as the file says.")
]
Estimator: TypeAlias = Annotated[
    str, typer.Option(metavar="NAME", help="What estimates: ridge, logistic, knn, trees or classes.")
]
Rungs: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="auto|none|ROUTE,…",
        help="What may be bought, in order (small#1: a second answer of small); none: decide on the text alone.",
    ),
]
Wanted: TypeAlias = Annotated[
    str | None, typer.Option(metavar="KIND=VALUE", help="For example quality=0.99. Absent: the configured one.")
]
Prices: TypeAlias = Annotated[
    str, typer.Option(metavar="|".join(PRICES), help="work: output + 0.1 x input tokens; list: the file's prices.")
]
Controls: TypeAlias = Annotated[
    int, typer.Option(metavar="N", min=0, help="So many controls of each kind, which must fail.")
]
Resamples: TypeAlias = Annotated[int, typer.Option(metavar="N", min=0, help="Bootstrap resamples of the intervals.")]
Seed: TypeAlias = Annotated[
    int, typer.Option(metavar="N", help="Of resamples and controls; no decision depends on it.")
]
Report: TypeAlias = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON.")]
Rows: TypeAlias = Annotated[Path | None, typer.Option(metavar="FILE", help="Write every decision: .parquet or .jsonl.")]
Streamed: TypeAlias = Annotated[
    bool, typer.Option("--streamed", help="As callers who stream get it: nothing follows the best or the last route.")
]
Plot: TypeAlias = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the cost-quality plane as PNG.")]


@located
def evaluate(
    where: Where,
    constellation: Named,
    train: Train = None,
    test: Test = None,
    hold_out_by: HoldOut = None,
    estimator: Estimator = "ridge",
    ladder: Rungs = "auto",
    streamed: Streamed = False,
    objective: Wanted = None,
    price: Prices = "work",
    controls: Controls = 0,
    resamples: Resamples = 500,
    seed: Seed = 0,
    json: Report = None,
    decisions: Rows = None,
    plot: Plot = None,
) -> None:
    """Evaluate routing by replay of recorded outcomes: held out, all purchases charged, beside what learns nothing."""
    from ...router.jobs.evaluation.decisions import write_decisions
    from ...router.jobs.evaluation.evaluate import Settings, plain
    from .evaluation_report import show

    if decisions is not None and decisions.suffix.lower() not in FORMS:  # before minutes of work, not after
        raise BadRequest(f"--decisions ends in {' or '.join(FORMS)}, not {decisions.name!r}.", field="decisions")
    rules = _rules(where, objective, estimator, ladder, streamed)
    settings = Settings(rules, controls, resamples, seed)
    found = _run(where, constellation, train or [], test, hold_out_by, price, settings)
    figures = plain(found.report)
    for part in show(figures):
        out().print(part)
    if json is not None:
        write_json(json, figures)
    if decisions is not None:
        write_decisions(decisions, found.recording, found.entries)
    if plot is not None:
        from .evaluation_plot import save_plane

        save_plane(figures, plot)


def _rules(where: Where, objective: str | None, estimator: str, ladder: str, streamed: bool) -> Rules:
    """Raises BadRequest for an unknown estimator or objective."""
    from ...classifiers.smoothers import smoother
    from ...router.jobs.evaluation.contest import Rules
    from ...router.objectives import parse_objective

    smoother(estimator)
    wanted = parse_objective(objective) if objective else where.load()[0].objective.objective()
    return Rules(wanted, estimator, ladder, streamed=streamed)


def _serving(where: Where) -> Artifact:
    """The artifact that serves. Raises NotFound where none was promoted."""
    from ...classifiers import load

    with where.opened_store() as store:
        row = store.serving()
    if row is None:
        raise NotFound(
            "--test alone evaluates what serves, and no artifact was promoted: learn with --train, or promote."
        )
    return load(Path(row.path))


def _run(
    where: Where,
    named: str,
    train: list[Path],
    test: Path | None,
    hold_out_by: str | None,
    price: str,
    settings: Settings,
) -> Evaluation:
    """Read, hold out, fit, play; with a test alone let what serves decide. Raises BadRequest, DataError, NotFound."""
    from ...classifiers import load_embedder
    from ...router.jobs.evaluation.evaluate import evaluate as run
    from ...router.jobs.evaluation.evaluate import evaluate_serving
    from ...router.jobs.evaluation.reading import read_recording, read_recordings
    from ...store import read_constellation

    if train and test is None:
        raise BadRequest("--train learns from tables: name the table to test on with --test.", field="test")
    if hold_out_by is not None and hold_out_by not in HOLD_OUTS:
        raise BadRequest(f"--hold-out-by is one of {', '.join(HOLD_OUTS)}, not {hold_out_by!r}.", field="hold_out_by")
    if price not in PRICES:
        raise BadRequest(f"--price is one of {', '.join(PRICES)}, not {price!r}.", field="price")
    with err().status("reading") as status:
        routes = read_constellation(named)
        if hold_out_by is not None:
            routes = replace(routes, hold_out_by=cast("Any", hold_out_by))
        table = test or routes.file
        if table is None:
            raise BadRequest(f"{named} names no file: give a table with --test.", field="test")
        recording: Recording = read_recording(table, routes, cast("Any", price))
        if test is not None and not train:
            return evaluate_serving(recording, _serving(where), settings, load_embedder("static"))
        learn = read_recordings(train, routes, cast("Any", price)) if train else None

        def progress(what: str, done: int, of: int) -> None:
            status.update(f"{what}: {done} of {of}")

        return run(recording, learn, settings, load_embedder("static"), progress)
