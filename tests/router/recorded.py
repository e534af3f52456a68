"""Small tables of outcomes whose truth is known, and what a decision costs, worked out from their rows alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from pointsman.domain import Objective, ObjectiveKind, Price
from pointsman.router.jobs.evaluation.contest import Rules
from pointsman.router.jobs.evaluation.decisions import decision_rows
from pointsman.router.jobs.evaluation.evaluate import Evaluation, Settings, evaluate
from pointsman.router.jobs.evaluation.reading import read_recording
from pointsman.store import COLUMNS, Constellation, DerivedRoute, RecordedRoute, Table

Row: TypeAlias = dict[str, Any]

SMALL = RecordedRoute("small", "m-small", "direct", Price(1.0, 1.0, 2.0))
SECOND = RecordedRoute("second", "m-second", "direct", Price(1.0, 1.0, 3.0))
FULL = RecordedRoute("full", "m-full", "think", Price(2.0, 2.0, 8.0))
B100 = DerivedRoute("b100", "full", 100, "small")
B300 = DerivedRoute("b300", "full", 300, "small")
BUDGETS = (SMALL, SECOND, B100, B300, FULL)
MODELS = {route.name: (route.model, route.mode) for route in (SMALL, SECOND, FULL)}
QUALITY = Objective(ObjectiveKind.QUALITY, 0.99)


def row(query: str, route: str, correct: float | None, output: float | None, **more: Any) -> Row:
    """One row of a table: this route's answer to this query."""
    model, mode = MODELS[route]
    plain = {
        "benchmark": "b",
        "group": "g",
        "query_id": query,
        "prompt": f"question {query}?",
        "model": model,
        "mode": mode,
        "sample": 0,
        "correct": correct,
        "input_tokens": 10.0,
        "output_tokens": output,
        "tokens_are": None,
        "answer": "A" if correct else "B",
    }
    return plain | more


def table(rows: Iterable[Row], file: str = "made.parquet") -> Table:
    """The rows as a table that was read."""
    kept = list(rows)
    names = dict.fromkeys([*COLUMNS, *(name for each in kept for name in each)])
    return Table(file, {name: [each.get(name) for each in kept] for name in names})


def constellation(
    routes: Sequence[RecordedRoute | DerivedRoute] = (SMALL, SECOND, FULL), **changes: Any
) -> Constellation:
    """Two probes and a full route, folds by group."""
    given = {"hold_out_by": "group", "answers_comparable": True, "probes": ("small", "second"), **changes}
    return Constellation("made.yaml:made", tuple(routes), **given)


def world(n: int = 600, seed: int = 0, *, groups: int = 6, signal: bool = True, first: str = "q") -> list[Row]:
    """n questions: the cheap routes are right where it is easy (the same six in ten; without `signal` each for itself)
    and then agree; full is right on nine of ten and thinks longer where it is hard."""
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    chances = {"small": (0.97, 0.1), "second": (0.97, 0.15), "full": (0.9, 0.88)}
    for i in range(n):
        easy = rng.random() < 0.6
        thought = float(rng.integers(20, 250) if easy else rng.integers(150, 700))
        place = {"group": f"g{i % groups}", "benchmark": f"b{i % 2}"}
        prompt = f"Question {first}{i}: " + "why " * int(rng.integers(1, 9)) + "?"
        for name, (light, hard) in chances.items():
            right = rng.random() < (light if (easy if signal else rng.random() < 0.6) else hard)
            said = f"{7 * i}" if right else f"{7 * i + rng.integers(1, 30)}"
            tokens = thought if name == "full" else float(rng.integers(2, 6))
            more = {"prompt": prompt, "answer": said, "input_tokens": float(20 + i % 7), **place}
            rows.append(row(f"{first}{i:04}", name, float(right), tokens, **more))
    return rows


def resampled(rows: Iterable[Row], samples: int = 2, seed: int = 3) -> list[Row]:
    """The same with further answers of small to every question: mostly right where the first was, seldom where it was
    not, and longer."""
    rng, out = np.random.default_rng(seed), list[Row]()
    for r in rows:
        out.append(r)
        for sample in range(1, samples if r["model"] == "m-small" else 1):
            right, i = rng.random() < (0.95 if r["correct"] else 0.2), int(r["query_id"][1:])
            said = f"{7 * i}" if right else f"{7 * i + rng.integers(1, 30)}"
            tokens, inputs = float(rng.integers(3, 9)), r["input_tokens"] + sample
            more = {"sample": sample, "answer": said, "output_tokens": tokens, "input_tokens": inputs}
            out.append(r | more | {"correct": float(right)})
    return out


Run: TypeAlias = Callable[..., Evaluation]


def run(
    test: Iterable[Row],
    routes: Constellation,
    train: Iterable[Row] | None = None,
    *,
    objective: Objective = QUALITY,
    ladder: str = "auto",
    estimator: str = "ridge",
    controls: int = 0,
    resamples: int = 0,
    seed: int = 0,
    streamed: bool = False,
) -> Evaluation:
    """An evaluation of these rows without the policy that needs an embedder."""
    rules = Rules(objective, estimator, ladder, knn=False, streamed=streamed)
    learn = None if train is None else read_recording(table(train, "train.parquet"), routes)
    settings = Settings(rules, controls, resamples, seed)
    embedder: Any = None
    return evaluate(read_recording(table(test), routes), learn, settings, embedder)


def decisions(found: Evaluation) -> list[Row]:
    """Every row of the decisions file."""
    return list(decision_rows(found.recording, found.entries))


class Bill:
    """What decisions come to, from the rows alone: nothing of the code under test is used."""

    def __init__(self, rows: Iterable[Row], routes: Constellation) -> None:
        names = {model: name for name, model in MODELS.items()}
        self._rows = {(r["query_id"], names[r["model"], r["mode"]], r["sample"]): r for r in rows}
        self._derived = {r.name: r for r in routes.routes if isinstance(r, DerivedRoute)}

    def of(self, query: str, bought: Sequence[str], by: str) -> tuple[float, float, float, float]:
        """(right, input tokens, output tokens, cost as work) of one decision: of one thought only the longest purchase
        is charged, each sample's for itself, a fallback where its answer is the one returned and it was not bought."""
        longest: dict[tuple[str, int], float] = {}
        for name, sample in map(sample_of, bought):
            cut = self._derived.get(name)
            thought, size = (cut.of, float(cut.budget)) if cut else (name, float("inf"))
            longest[thought, sample] = max(size, longest.get((thought, sample), 0.0))
        giver = name, sample = sample_of(by)
        if (cut := self._derived.get(name)) is not None:
            ended = self._rows[query, cut.of, sample]["output_tokens"] <= cut.budget
            giver = (cut.of, sample) if ended else (cut.fallback, 0)
            if not ended:
                longest[giver] = float("inf")
        rows = {thought: self._rows[query, *thought] for thought in longest}
        inputs = sum(r["input_tokens"] for r in rows.values())
        outputs = sum(min(r["output_tokens"], longest[thought]) for thought, r in rows.items())
        return self._rows[query, *giver]["correct"], inputs, outputs, 0.1 * inputs + outputs


def sample_of(bought: str) -> tuple[str, int]:
    """The route and the number of the sample in `small#1`; `small` is its first."""
    name, _, sample = bought.partition("#")
    return name, int(sample or 0)


def only(rows: Iterable[Row], policy: str, *, chosen: bool = False) -> list[Row]:
    """The rows of one policy; `chosen`: those of its chosen point."""
    return [r for r in rows if r["policy"] == policy and (r["point"] is None or not chosen)]


SHOWN = ("bought", "answered_by", "score", "p_correct", "p_best_fixed")
"""What may not depend on anything that was not bought."""


def moved(before: Iterable[Row], after: Iterable[Row]) -> set[str]:
    """The questions for which something that was decided is another in one of the two."""

    def shown(rows: Iterable[Row]) -> dict[Any, tuple[Any, ...]]:
        return {(r["query_id"], r["point"]): tuple(_rounded(r[name]) for name in SHOWN) for r in rows}

    a, b = shown(before), shown(after)
    assert a
    assert a.keys() == b.keys()
    return {key[0] for key in a if a[key] != b[key]}


def _rounded(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else (tuple(value) if isinstance(value, list) else value)


def permuted(rows: Sequence[Row], columns: Sequence[str], may: Callable[[Row], bool], seed: int = 7) -> list[Row]:
    """The rows with these columns' values permuted among the rows of one model that may move."""
    rng, out = np.random.default_rng(seed), [dict(r) for r in rows]
    for model in sorted({r["model"] for r in rows}):
        places = [i for i, r in enumerate(rows) if r["model"] == model and may(r)]
        for to, source in zip(places, rng.permutation(places), strict=True):
            out[to].update({name: rows[source].get(name) for name in columns})
    return out


def purchases(rows: Iterable[Row], routes: Constellation) -> set[tuple[str, str, int]]:
    """(query, model, sample) of all that these decisions bought; a cut thought shows its fallback too."""
    parts: dict[str, tuple[str, ...]] = {
        r.name: (r.of, r.fallback) if isinstance(r, DerivedRoute) else (r.name,) for r in routes.routes
    }
    bought = {(r["query_id"], *sample_of(b)) for r in rows for b in r["bought"]}
    return {(query, MODELS[part][0], sample) for query, name, sample in bought for part in parts[name]}


def mean(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    """The mean of a column."""
    return float(np.mean([r[name] for r in rows]))
