"""The calibration job: verifiable questions through the owner's routes, a table of what came of it, and what is learnt.

`run` needs open engines and can be interrupted and gone on with; `conclude` needs none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...domain import Json
from ...errors import BackendUnavailable, DataError
from ...store import COLUMNS, Constellation, read_table, write_constellation, write_table
from ..router import Router
from ..signs import NAMES
from .budgets import Best, best_budgets, constellation, dominated
from .contenders import Contender
from .evaluation.contest import Rules
from .evaluation.evaluate import Progress as Folds
from .evaluation.evaluate import Settings, evaluate, plain
from .evaluation.reading import read_recording
from .evaluation.replay import Aim
from .journal import Journal, trials
from .probe_worth import Told, worths
from .release import Released, release
from .sources import from_store
from .trying import Progress, run_trials
from .verifiable import Verifiable

FOLDER, RUNS, OUTCOMES = "calibration", "runs.jsonl", "outcomes.jsonl"
"""Where a calibration keeps its files below the home folder, if it is not told otherwise."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What was run: a row for every trial that was answered, those who answered, those who never did and why."""

    questions: tuple[Verifiable, ...]
    entered: tuple[Contender, ...]
    rows: tuple[Json, ...]
    missing: int
    silent: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What came of it. figures: the evaluation's (report.py), best and behind: see budgets.py; all None or empty where
    it could not be done, and `notes` says why. table, routes: the files written. told: what evidence tells of the
    answers of routes that do not think (probe_worth.py)."""

    table: Path
    routes: Path | None
    released: Released | None
    figures: Json | None
    best: tuple[Best, ...]
    behind: Mapping[str, str | None]
    notes: tuple[str, ...]
    told: tuple[Told, ...] = ()


async def run(
    router: Router,
    questions: Sequence[Verifiable],
    entered: Sequence[Contender],
    journal: Journal,
    *,
    concurrency: int = 2,
    progress: Progress = lambda _: None,
) -> Ran:
    """Run all that the journal does not have. Raises BackendUnavailable where no route ever answered, StoreError."""
    todo = trials(questions, entered)
    silent = await run_trials(router, todo, journal, concurrency=concurrency, progress=progress)
    found = [(trial, row) for trial in todo if (row := journal.row(trial)) is not None]
    answered = {trial.contender.name for trial, _ in found}
    if not answered:
        told = "; ".join(f"{name}: {error}" for name, error in silent.items())
        raise BackendUnavailable(f"no route answered a single question ({told})", backend="all")
    return Ran(
        tuple(questions),
        tuple(c for c in entered if c.name in answered),
        tuple(row for _, row in found),
        len(todo) - len(found),
        silent,
    )


def conclude(router: Router, ran: Ran, out: Path, folds: Folds = lambda what, done, of: None) -> Calibrated:
    """Write the table and its constellation, retrain, evaluate. What the runs are too few for is a note, no error.

    Raises DataError where the files cannot be written, MissingExtra for Parquet without pyarrow."""
    notes: list[str] = []
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", file=str(out)) from None
    # What came with the answers at no cost; what was asked about them is charged where the store is learnt from.
    columns = [*COLUMNS, *(name for name in NAMES if any(name in row for row in ran.rows))]
    write_table(out, [{name: row.get(name) for name in columns} for row in ran.rows])
    released = None
    try:
        source = from_store(router.store, Aim.of(router.decider.standing), router.decider.embedder)
        released = release(router.store, source, router.decider.embedder, router.settings.home / "artifacts")
    except DataError as error:
        notes.append(f"Nothing was learnt: {error}")
    if len(ran.entered) < 2:
        notes.append(f"Only {', '.join(c.name for c in ran.entered)} answered, so there is nothing to choose between.")
        return Calibrated(out, None, released, None, (), {}, tuple(notes))
    made = constellation(out, ran.entered, ran.rows, samples=min(c.samples for c in ran.entered))
    routes = out.with_suffix(".yaml")
    write_constellation(routes, made)
    try:
        figures = _evaluated(router, made, out, folds)
    except DataError as error:
        notes.append(f"Nothing was evaluated: {error}")
        return Calibrated(out, routes, released, None, (), {}, tuple(notes))
    told = figures["routes"]
    best = best_budgets(told, made, ran.entered, figures["n_queries"])
    cheap = tuple(c.name for c in ran.entered if not c.thinks)
    dear = max((c.name for c in ran.entered), key=lambda name: (told[name]["accuracy"], told[name]["cost"]))
    evidence = worths(ran.rows, cheap, dear)
    return Calibrated(out, routes, released, figures, best, dominated(told), tuple(notes), evidence)


def _evaluated(router: Router, made: Constellation, table: Path, folds: Folds) -> Json:
    """The evaluation's figures, leaving groups out, at the configured prices; where all are nothing, at work."""
    free = all(price is None or price.input == price.output == 0 for price in made.prices.values())
    recording = read_recording(read_table(table), made, "work" if free else "list")
    rules = Rules(router.decider.standing.objective)
    return plain(evaluate(recording, None, Settings(rules), router.decider.embedder, folds).report)
