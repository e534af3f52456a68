"""What a route is worth knowing after 20 labelled queries: each route in turn is the new one, the others are known.

    POINTSMAN_OUTCOMES=FOLDER python benchmarks/bench_new_route.py [NAME ...] [--draws 200] [--labels 20]

Reads FOLDER/constellations.yaml; recorded routes only (a cut thought would give its whole away). A fifth of the table
is held out from everything; of the rest the other routes' outcomes are known, and the new route's on 20 queries. They
are drawn in two ways. `random`: a fifth of the questions held out, labels anywhere in the rest. `one_group`: a fifth of
the groups held out, all labels from one other group. Draws go through the fifths in turn. Against: `mean`, the mean of
the 20 labels; `smoothed`, Laplace's rule, which a route without relatives gets. The probabilities are those that an
artifact with such a fit serves.

Figures, by constellation and way: brier_ours, brier_mean, brier_smoothed; gain_mean, gain_smoothed: the Brier score
won, with gain_*_low and _high (95 %, paired, over draws); routes_worse: routes whose mean gain over `smoothed` is
below 0; draws_won: share of draws with a gain over `smoothed`; ece; within_2se: share of draws in which the rate seen
on the held-out queries lies within two standard errors (the mean of p_correct_se) of the mean of p_correct.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np  # noqa: E402 - the thread limits must stand before
from figures_file import OUT, write  # noqa: E402

from pointsman.classifiers import TrainingSet, brier, ece, load_embedder, training_set  # noqa: E402
from pointsman.classifiers.alone import Alone, fit_alone  # noqa: E402
from pointsman.classifiers.estimators import Estimator  # noqa: E402
from pointsman.classifiers.parts import Part  # noqa: E402
from pointsman.classifiers.relatives import FEWEST_RELATIVES, Relatives, heard_by  # noqa: E402
from pointsman.classifiers.training import beside, folds  # noqa: E402
from pointsman.store import RecordedRoute, observations_from_table, read_constellation  # noqa: E402

NAMES = (
    "medagents",
    "qwen3_8b",
    "qwen3_dense",
    "reasoning_gym",
    "budgets_gemini",
    "budgets_claude",
    "concise_cot",
)
WAYS = ("random", "one_group")


@dataclass(frozen=True)
class Fifth:
    """One fold: what is learnt from, what is held out, and each route's own model of what is learnt from."""

    inside: TrainingSet
    outside: TrainingSet
    alone: Alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="constellations; none: those that have three recorded routes or more")
    parser.add_argument("--draws", type=int, default=200, help="draws of labels, for each route")
    parser.add_argument("--labels", type=int, default=20, help="labels of the new route")
    args = parser.parse_args()
    outcomes = os.environ.get("POINTSMAN_OUTCOMES")
    if outcomes is None:
        raise SystemExit("set POINTSMAN_OUTCOMES to the folder of recorded outcomes")
    figures, rows = dict[str, float](), list[dict[str, Any]]()
    for name in args.names or NAMES:
        table = read(Path(outcomes), name)
        for way in WAYS:
            if way == "one_group" and len(set(table.groups)) == len(set(table.questions)):
                continue  # no groups
            found = one(table, way, args.draws, args.labels)
            rows += [{"table": name, "way": way, **row} for row in found]
            told = summary(found)
            figures |= {f"{name}_{way}_{key}": value for key, value in told.items()}
            print(line(name, way, told), flush=True)
    OUT.mkdir(exist_ok=True)
    raw = OUT / "new_route_rows.json"
    raw.write_text(json.dumps(rows), encoding="utf-8")
    print(f"written to {write('new_route', figures, raw)}")


def read(folder: Path, name: str) -> TrainingSet:
    """The table's questions, with the recorded routes of its constellation."""
    constellation = read_constellation(f"{folder / 'constellations.yaml'}:{name}")
    routes = [route.name for route in constellation.routes if isinstance(route, RecordedRoute)]
    observations = observations_from_table(constellation.file, constellation).observations
    return training_set([o for o in observations if o.route in routes], routes, load_embedder("static")).ordered()


def fifths(table: TrainingSet, way: str) -> Iterator[Fifth]:
    """The folds; for `random` whole questions are held out, else whole groups."""
    table = replace(table, groups=table.questions) if way == "random" else table
    held = folds(table, 5)
    for fold in range(int(held.max()) + 1):
        inside = table.rows(beside(held, fold, table.questions))
        yield Fifth(inside, table.rows(held == fold), fit_alone(inside))


def one(table: TrainingSet, way: str, draws: int, labels: int) -> list[dict[str, Any]]:
    """One row a route: the scores of every draw."""
    parts = list(fifths(table, way))
    out: list[dict[str, Any]] = []
    for r, route in enumerate(table.routes):
        scores: dict[str, list[float]] = {"ours": [], "mean": [], "smoothed": [], "within": []}
        said, came = list[Any](), list[Any]()
        for k, part in enumerate(parts):
            relatives = known_to(part, r)
            y, seen = part.inside.correct[:, r], part.outside.correct[:, r]
            for draw in range(k, draws, len(parts)):
                chosen = drawn(part.inside, y, labels, way, np.random.default_rng([draw, r]))
                few = np.where(chosen, y, np.nan)
                told = relatives.tell(few, np.where(chosen, part.inside.weights[:, r], 0.0))
                p = served(told, part.alone).predict(part.outside.features, part.outside.embeddings)
                mean, right = float(y[chosen].mean()), float(y[chosen].sum())
                scores["ours"].append(brier(p.p_correct[:, 0], seen))
                scores["mean"].append(brier(np.full_like(seen, mean), seen))
                scores["smoothed"].append(brier(np.full_like(seen, (right + 1) / (labels + 2)), seen))
                off = abs(float(p.p_correct.mean()) - float(np.nanmean(seen)))
                scores["within"].append(float(off < 2 * p.p_correct_se.mean()))
                said.append(p.p_correct[:, 0])
                came.append(seen)
        row: dict[str, Any] = {"route": route, "ece": ece(np.concatenate(said), np.concatenate(came)), **scores}
        out.append(row)
    return out


def known_to(part: Fifth, new: int) -> Relatives:
    """What the other routes tell about the new one, in the order in which a fit hears them."""
    names = part.inside.routes
    others = heard_by(new, names, part.alone.parts)
    if len(others) < FEWEST_RELATIVES:
        raise SystemExit(f"fewer than {FEWEST_RELATIVES} routes beside {names[new]} have a model of their own")
    return Relatives.of([part.alone.parts[k] for k in others], part.alone.x, part.inside.correct[:, others])


def drawn(inside: TrainingSet, y: Any, labels: int, way: str, rng: np.random.Generator) -> Any:
    """Which queries get a label, (n,): anywhere, or all in one group."""
    able = np.isfinite(y)
    if way == "one_group":
        groups = np.array(inside.groups)
        sizes = {group: int((able & (groups == group)).sum()) for group in sorted(set(inside.groups))}
        able = able & (groups == rng.choice([group for group, size in sizes.items() if size >= labels]))
    chosen = np.zeros(len(y), dtype=bool)
    chosen[rng.choice(np.flatnonzero(able), labels, replace=False)] = True
    return chosen


def served(part: Part, alone: Alone) -> Estimator:
    """An estimator of this one route, its tokens unknown, every query near enough."""
    size, nothing = len(part.weights), np.zeros(1)
    product = np.zeros((size, 2 + 2 * size), np.float32)
    product[:, 0], product[:, 2 : 2 + size] = part.weights, part.factor
    least, level = np.array([part.least]), np.array([part.level_variance])
    tokens = (nothing, nothing, nothing, nothing, nothing)
    near = (np.zeros(size - 1), np.ones(size - 1), np.zeros((size, size), np.float32), np.ones(1))
    return Estimator(("new",), *alone.frame, product, np.ones(1), nothing, level, least, *tokens, *near)


def summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The figures of one table and way: means over routes, intervals over draws."""
    scores = {key: np.array([row[key] for row in rows]) for key in ("ours", "mean", "smoothed", "within")}
    out = {f"brier_{key}": float(scores[key].mean()) for key in ("ours", "mean", "smoothed")}
    for key in ("mean", "smoothed"):
        gained = (scores[key] - scores["ours"]).mean(axis=0)
        half = 1.96 * float(gained.std(ddof=1)) / np.sqrt(len(gained))
        out |= {f"gain_{key}": float(gained.mean()), f"gain_{key}_low": float(gained.mean() - half)}
        out[f"gain_{key}_high"] = float(gained.mean() + half)
    won = scores["smoothed"] - scores["ours"]
    out |= {
        "routes": len(rows),
        "routes_worse": int((won.mean(axis=1) < 0).sum()),
        "draws_won": float((won > 0).mean()),
    }
    return out | {"ece": float(np.mean([row["ece"] for row in rows])), "within_2se": float(scores["within"].mean())}


def line(name: str, way: str, told: dict[str, float]) -> str:
    """One row of the table, in Markdown."""

    def gain(key: str) -> str:
        low, middle, high = (told[f"gain_{key}{end}"] for end in ("_low", "", "_high"))
        return f"{middle:.4f} ({low:.4f} to {high:.4f})"

    cells = [
        f"{name}, {way.replace('_', ' ')}",
        f"{told['routes']:.0f}",
        *(f"{told[f'brier_{k}']:.4f}" for k in ("ours", "mean", "smoothed")),
    ]
    cells += [gain("mean"), gain("smoothed"), f"{told['routes_worse']:.0f}", f"{100 * told['draws_won']:.0f} %"]
    cells += [f"{told['ece']:.3f}", f"{100 * told['within_2se']:.0f} %"]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
