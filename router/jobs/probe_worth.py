"""What each kind of evidence tells of a cheap route's answer, on the owner's own models: is it right, and is the dear
route worth its price?

A sign is taken as it is, no learning. `text` and `together` are ridge regressions, predicted for groups that they did
not see: the lexical features alone, and with all signs and agreements beside them. What `text` reaches is the bar for
the others: the text is free."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...classifiers import auroc
from ...classifiers.answers import agreement_codes
from ...classifiers.evidence import TEXT_COLUMNS
from ...classifiers.features import lexical_batch
from ...classifiers.smoothers import Ridge
from ...domain import Json
from ..probes import PROBES
from ..signs import NAMES
from .evaluation.recording import folds_by_question, question_of
from .evaluation.skill import apgr
from .induction import blocks_of

Doubles: TypeAlias = NDArray[np.float64]

MIN_QUESTIONS = 60
"""With fewer questions nothing can be told."""
RESAMPLES = 400
GAP_ERRORS = 2.0
"""A gap to the dear route of fewer standard errors is none: shares of it would be noise."""
UNSURE = frozenset({"first_entropy"})
"""Signs that are greater where the model is less sure."""
AGREES, SECOND = "agrees with ", "second sample"


@dataclass(frozen=True, slots=True)
class Worth:
    """What one kind of evidence is worth. n: questions where it was known; auroc: chance that a right answer has the
    higher score than a wrong one (0.5: nothing), ci95 over questions; apgr: share of the gap to the dear route that is
    recovered, over all shares of questions sent there (0.5: as at random), None where there is no gap; cost: of the
    evidence beyond the answer, as a share of the dear route's cost."""

    evidence: str
    n: int
    auroc: float
    ci95: tuple[float, float]
    apgr: float | None
    cost: float


@dataclass(frozen=True, slots=True)
class Told:
    """The table for one cheap route. accuracy, dear_accuracy: shares; cost: of its answer, as a share of the dear
    route's; what evidence costs comes on top of it."""

    route: str
    dear: str
    n: int
    accuracy: float
    dear_accuracy: float
    cost: float
    worth: tuple[Worth, ...]


def worths(rows: Sequence[Json], cheap: Sequence[str], dear: str, *, seed: int = 0) -> tuple[Told, ...]:
    """For each of the cheap routes what there is to tell. rows: runs of a calibration (journal.py). Routes with too few
    questions, or whose answers are all right or all wrong, are left out."""
    cells: dict[str, dict[str, Json]] = defaultdict(dict)
    second: dict[tuple[str, str], Json] = {}
    for row in rows:
        if row["sample"] == 0:
            cells[row["query_id"]][row["route"]] = row
        elif row["sample"] == 1:
            second[row["query_id"], row["route"]] = row
    found = (_told(cells, second, route, tuple(cheap), dear, seed) for route in cheap if route != dear)
    return tuple(told for told in found if told is not None)


def _told(
    cells: Mapping[str, Mapping[str, Json]],
    second: Mapping[tuple[str, str], Json],
    route: str,
    cheap: Sequence[str],
    dear: str,
    seed: int,
) -> Told | None:
    ids = sorted(query for query, by_route in cells.items() if route in by_route and dear in by_route)
    mine = [cells[query][route] for query in ids]
    right = np.array([float(row["correct"]) for row in mine])
    if len(ids) < MIN_QUESTIONS or not np.ptp(right):
        return None
    full = np.array([float(cells[query][dear]["correct"]) for query in ids])
    dear_cost = float(np.mean([cells[query][dear]["cost"] for query in ids])) or 1.0
    groups = np.array([str(row["group"]) for row in mine])
    if len(set(groups)) < 2:
        groups = folds_by_question([question_of(row["prompt"]) for row in mine])
    text = lexical_batch([row["prompt"] for row in mine])[:, list(TEXT_COLUMNS)].astype(np.float64)
    signs, costs = _signs(mine, cells, second, ids, route, cheap)
    known = {name: np.where(np.isnan(values), 0.5, values) for name, values in signs.items()}
    scores = {"text": _held_out(text, right, groups), **signs}
    if known:
        scores["together"] = _held_out(np.column_stack([text, *known.values()]), right, groups)
        costs["together"] = sum(costs.values())
    table = [
        _worth(name, score, right, full - right, costs.get(name, 0.0) / dear_cost, seed)
        for name, score in scores.items()
    ]
    return Told(
        route,
        dear,
        len(ids),
        float(right.mean()),
        float(full.mean()),
        float(np.mean([row["cost"] for row in mine])) / dear_cost,
        tuple(w for w in table if w is not None),
    )


def _signs(
    mine: Sequence[Json],
    cells: Mapping[str, Mapping[str, Json]],
    second: Mapping[tuple[str, str], Json],
    ids: Sequence[str],
    route: str,
    cheap: Sequence[str],
) -> tuple[dict[str, Doubles], dict[str, float]]:
    """Every sign by name, (n,), greater where the answer is likelier right, NaN where it is not known; and what each
    costs on average beyond the answer, in currency."""
    found: dict[str, Doubles] = {}
    costs: dict[str, float] = {}
    for name in (*NAMES, *PROBES):
        values = np.array([np.nan if row.get(name) is None else float(row[name]) for row in mine])
        if np.isfinite(values).any():
            found[name] = -values if name in UNSURE else values
            paid = [row.get("probe_costs", {}).get(name) for row in mine]
            costs[name] = float(np.mean([cost for cost in paid if cost is not None] or [0.0]))
    for other in cheap:
        if other != route and all(other in cells[query] for query in ids):
            theirs = [cells[query][other] for query in ids]
            found[AGREES + other] = _agree(mine, theirs)
            costs[AGREES + other] = float(np.mean([row["cost"] for row in theirs]))
    again = [second.get((query, route)) for query in ids]
    if all(again):
        rows = [row for row in again if row is not None]
        found[SECOND] = _agree(mine, rows)
        costs[SECOND] = float(np.mean([row["cost"] for row in rows]))
    return found, costs


def _agree(mine: Sequence[Json], theirs: Sequence[Json]) -> Doubles:
    """1.0 where both answers could be read and are the same."""
    codes = agreement_codes([[a["answer"], b["answer"]] for a, b in zip(mine, theirs, strict=True)], "free_text")
    return ((codes[:, 0] == codes[:, 1]) & (codes[:, 0] >= 0)).astype(np.float64)


def _held_out(x: Doubles, right: Doubles, groups: NDArray[np.str_]) -> Doubles:
    """Ridge predictions of every question without its group."""
    return Ridge().fit(x, right[:, None], blocks_of(groups), 1).held_out[:, 0]


def _worth(
    name: str,
    score: Doubles,
    right: Doubles,
    gain: Doubles,
    cost: float,
    seed: int,
) -> Worth | None:
    """None where it is known for too few questions, or those are all right or all wrong."""
    at = np.flatnonzero(np.isfinite(score))
    if len(at) < MIN_QUESTIONS or not np.ptp(right[at]):
        return None
    rng, drawn = np.random.default_rng(seed), list[float]()
    for _ in range(RESAMPLES):
        rows = at[rng.integers(len(at), size=len(at))]
        if np.ptp(right[rows]):
            drawn.append(auroc(score[rows], right[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    gap, error = float(gain[at].mean()), float(gain[at].std() / np.sqrt(len(at)))
    one = np.full(len(at), "all")  # ranked over all questions: groups are tasks, which evidence may tell apart
    ranked = apgr(score[at], one, gain[at]) if gap > GAP_ERRORS * error else None
    return Worth(name, len(at), auroc(score[at], right[at]), (float(low), float(high)), ranked, cost)
