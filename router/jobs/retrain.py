"""The retraining job: read what was logged, fit, look at it on held-out groups, write an artifact, promote if better.

Every choice behind the figures (regularisation, calibration, the price of an error) is made on training groups; each
group's figures come from an estimator and a price that never saw it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ...classifiers import (
    Artifact,
    Embedder,
    HeldOut,
    PolicyPoint,
    TrainingSet,
    auroc,
    brier,
    cross_predict,
    ece,
    fit,
    save,
    training_set,
)
from ...domain import Json, Objective, Observation
from ...errors import DataError
from ..decide import learnt, route_key
from ..objectives import Climbing, Point, Priced, on_text, plan
from .climbing import Climbed, climb
from .evaluation import figures
from .evaluation.replay import Aim, Floats, Ints, Recorded, Served, choices, curve, recorded
from .promotion import Comparison, Mask, compare, compare_results, serving_choices

MIN_QUERIES = 20
"""Fewer labelled queries than this teach nothing that could be checked."""
MARK = 8
"""Hexadecimal digits of a question's hash in the report's `trained_on`: so many that few questions share them."""


@dataclass(frozen=True, slots=True)
class Retrained:
    """What a retraining came to. comparison: against the serving artifact (or the safe route where none serves)."""

    artifact: Artifact
    path: Path
    report: Json
    comparison: Comparison


def retrain(
    observations: Sequence[Observation],
    aim: Aim,
    embedder: Embedder,
    folder: Path,
    *,
    serving: Artifact | None = None,
    notes: Sequence[str] = (),
    not_measured: Sequence[str] = (),
) -> Retrained:
    """Train on observations and write the artifact into `folder`. Raises DataError where they teach nothing.

    not_measured: routes that count as right by a convention, so that their estimates are not told as probabilities."""
    data = training_set(observations, [route.name for route in aim.routes], embedder)
    labelled = int((~np.isnan(data.correct)).any(axis=1).sum())
    if labelled < MIN_QUERIES:
        raise DataError(f"only {labelled} queries have a known outcome; at least {MIN_QUERIES} are needed to learn")
    if data.left_out:
        unread = "answers without a text, or features and an embedding of today's encoder, were left out"
        notes = [*notes, f"{data.left_out} {unread}"]
    held = cross_predict(data)
    seen = recorded(data, held.prediction, aim)
    climbed = climb(observations, aim, embedder)
    points = curve(seen) + (climbed.points if climbed else ())
    served = _served(data, serving, aim, embedder)
    fresh = _fresh(data, serving) if serving and served else None
    chosen = nested_choices(seen, held.folds, aim)
    price = _error_price(aim.objective, on_text(points))
    found = plan(aim.objective, points)
    if isinstance(found, Climbing) and climbed is not None:
        comparison = _compare_ladder(climbed, found.rung, data, seen, aim, served, fresh)
    else:
        comparison = compare(seen, chosen, aim, served, price, fresh)
    report = _report(data, held, seen, chosen, aim, comparison, notes)
    report["not_measured"] = list(not_measured)
    report["ladder"] = climbed.report(found.rung if isinstance(found, Climbing) else None) if climbed else None
    artifact = save(
        fit(data),
        folder,
        routes=[route_key(route) for route in aim.routes],
        embedder=embedder.name,
        embedder_hash=embedder.content_hash,
        policy=[PolicyPoint(p.accuracy, p.cost, p.error_price, p.route, p.rung, p.sure) for p in points],
        report=report,
        fingerprint=data.fingerprint,
        created_at=datetime.now(UTC),
        prices=[route.price for route in aim.routes],
        ladder=climbed.model if climbed else None,
    )
    return Retrained(artifact, folder / artifact.id, report, comparison)


def _compare_ladder(
    climbed: Climbed, rung: int, data: TrainingSet, seen: Recorded, aim: Aim, served: Served | None, fresh: Mask | None
) -> Comparison:
    """The ladder's held-out results against what serves, on the queries that every route has answered."""
    theirs, label = serving_choices(aim, served, len(data))
    place = {query: row for row, query in enumerate(data.query_ids)}
    rows = np.array([place[query] for query in climbed.recording.ids], np.int64)
    kept = np.flatnonzero(np.ones(len(rows), bool) if fresh is None else fresh[rows])
    held, old = climbed.policy.held_out, theirs[rows][kept]
    right = climbed.recording.correct[kept, old]
    cost = seen.cost[rows[kept], old]
    mine = held.correct[kept, rung].astype(np.float64), held.cost[kept, rung].astype(np.float64)
    price = climbed.model.prices[rung]
    learnt_too = len(rows) - len(kept)
    return compare_results(mine, (right, cost), climbed.recording.folds[kept], label, price, learnt_too)


def _served(data: TrainingSet, serving: Artifact | None, aim: Aim, embedder: Embedder) -> Served | None:
    """What the serving artifact predicts for the same queries; None where none serves these routes."""
    if serving is None or serving.embedder_hash != embedder.content_hash:
        return None
    found = learnt(serving, aim.routes)
    if found is None:
        return None
    columns = [found.columns[route.name] for route in aim.routes]
    p = serving.estimator.predict(data.features, data.embeddings)
    return Served(recorded(data, p.of(columns), aim), plan(aim.objective, found.curve))


def _fresh(data: TrainingSet, serving: Artifact) -> Mask:
    """The queries (n,) that the artifact did not learn from; none where it does not say which it did."""
    told = serving.report.get("trained_on")
    if not isinstance(told, str):
        return np.zeros(len(data), bool)
    learnt_from = {told[i : i + MARK] for i in range(0, len(told), MARK)}
    return np.array([_mark(question) not in learnt_from for question in data.questions], bool)


def _mark(question: str) -> str:
    return hashlib.sha256(question.encode("utf-8", "replace")).hexdigest()[:MARK]


def _error_price(objective: Objective, points: Sequence[Point]) -> float:
    """The price of an error (currency) at which two policies are compared under this objective."""
    found = plan(objective, points)
    if isinstance(found, Priced) and np.isfinite(found.error_price):
        return found.error_price
    # A fixed route is the plan: the price at which its neighbour in the curve would have been chosen.
    best = max((p.accuracy for p in points), default=0.0)
    priced = [p for p in points if p.error_price is not None and p.accuracy >= objective.value * best - 1e-9]
    if priced:
        return min(p.error_price for p in priced if p.error_price is not None)
    return max((p.error_price for p in points if p.error_price is not None), default=1.0)


def _report(
    data: TrainingSet,
    held: HeldOut,
    seen: Recorded,
    chosen: Ints,
    aim: Aim,
    comparison: Comparison,
    notes: Sequence[str],
) -> Json:
    """The training report: what the data was, how good the estimates are, what the policy would have done."""
    rows = figures.complete(seen)
    fixed = figures.fixed(seen, rows) if rows.size else {}
    return {
        "n_queries": len(data.query_ids),
        "n_complete": int(rows.size),
        "groups": sorted({str(g) for g in data.groups})[:50],
        "n_groups": len({str(g) for g in data.groups}),
        "routes": {
            route.name: {
                "model": route.model,
                "mode": route.mode,
                "thinking_budget": route.thinking_budget,
                "price": {"input": route.price.input, "output": route.price.output, "assumed": route.price.assumed},
                "labelled": int((~np.isnan(data.correct[:, r])).sum()),
                "accuracy": _mean(data.correct[:, r]),
                "output_tokens": _mean(data.output_tokens[:, r]),
                "calibration": _calibration(held.prediction.p_correct[:, r], data.correct[:, r]),
            }
            for r, route in enumerate(aim.routes)
        },
        "objective": {"kind": aim.objective.kind.value, "value": aim.objective.value},
        "held_out": _held_out(seen, rows, chosen[rows], aim, fixed),
        "comparison": comparison.as_json(),
        "trained_on": "".join(sorted({_mark(question) for question in data.questions})),
        "notes": list(notes),
    }


def _held_out(seen: Recorded, rows: Ints, chosen: Ints, aim: Aim, fixed: dict[str, figures.Figure]) -> Json | None:
    """The policy on each group with its plan chosen on the other groups, beside what needs no learning."""
    if not rows.size:
        return None
    best = figures.best_fixed(fixed)
    mine = figures.figure(seen, rows, chosen)
    column = [route.name for route in aim.routes].index(best)
    gained = seen.correct[rows, chosen] - seen.correct[rows, column]
    mix = figures.random_mix(fixed, mine.cost)
    return {
        "fixed": {name: _told(f) for name, f in fixed.items()},
        "best_fixed": best,
        "policy": _told(mine),
        "accuracy_gain": float(gained.mean()),
        "accuracy_gain_ci95": list(figures.interval(gained, clusters=seen.groups[rows])),
        "saved": 1 - mine.cost / fixed[best].cost if fixed[best].cost > 0 else 0.0,
        "random_mix": _told(mix) if mix else None,
        "oracle": _told(figures.oracle(seen, rows)),
        "by_group": figures.by_group(seen, rows, chosen, column)[:50],
    }


def _told(figure: figures.Figure) -> Json:
    """The figure by name; what is not known (tokens that were not counted) is None."""
    return {name: None if value != value else value for name, value in asdict(figure).items()}


def nested_choices(seen: Recorded, folds: Ints, aim: Aim) -> Ints:
    """Choices (n,) where the plan of each fold (n,) is set on the other folds' held-out predictions."""
    chosen = np.zeros(len(folds), np.int64)
    for fold in np.unique(folds):
        here = np.flatnonzero(folds == fold)
        found = plan(aim.objective, curve(seen, np.flatnonzero(folds != fold)))
        chosen[here] = choices(seen, found, aim.safe_route, here)
    return chosen


def _calibration(predicted: Floats, correct: Floats) -> Json:
    """How far held-out probabilities can be believed: expected calibration error, Brier score, AUROC."""
    return {
        name: float(score(predicted, correct)) for name, score in (("ece", ece), ("brier", brier), ("auroc", auroc))
    }


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
