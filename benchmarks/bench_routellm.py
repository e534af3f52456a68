"""Routing on the text alone by RouteLLM's own protocol, on the rows of its published curves, beside its figures.

    POINTSMAN_OUTCOMES=FOLDER make bench-routellm          (or python benchmarks/bench_routellm.py [--write])

APGR as Ong et al. define it (2024, arXiv 2406.18665v4): the share of the gap between the weak and the strong model that
is recovered (PGR), over the share of calls to the strong one, all test questions in one ranking, at tenths of the
calls; random is 0.5. Theirs are tables 2 and 3 there. Ours are learnt three ways: from four fifths of the same
benchmark; from FEW of its questions, about as many as the paper adds to its preference data for MMLU (the mean of
DRAWS draws, tested on the rest); from the other benchmark alone. --write puts the table into docs/results.md.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TypeAlias

import numpy as np
from bench_routing import put
from figures_file import OUT, write
from numpy.typing import NDArray

from pointsman.classifiers import load_embedder
from pointsman.domain import Objective
from pointsman.router.jobs.evaluation.contest import Rules
from pointsman.router.jobs.evaluation.evaluate import Settings, evaluate
from pointsman.router.jobs.evaluation.reading import read_recording
from pointsman.router.jobs.evaluation.recording import Recording
from pointsman.store import read_constellation

Doubles: TypeAlias = NDArray[np.float64]

NAMES = ("routellm_mmlu", "routellm_gsm8k")
FEW, DRAWS = 1500, 5
BEGIN, END = "<!-- routellm: begin -->", "<!-- routellm: end -->"
PUBLISHED = {
    "random": (0.500, 0.497),
    "RouteLLM, Arena: BERT": (0.502, 0.438),
    "RouteLLM, Arena: causal LLM": (0.499, 0.461),
    "RouteLLM, Arena: matrix factorisation": (0.524, 0.4746),
    "RouteLLM, Arena: similarity-weighted": (0.473, 0.4753),
    "RouteLLM, augmented: BERT": (0.572, 0.531),
    "RouteLLM, augmented: causal LLM": (0.600, 0.622),
    "RouteLLM, augmented: matrix factorisation": (0.597, 0.565),
    "RouteLLM, augmented: similarity-weighted": (0.603, 0.568),
}
"""APGR on MMLU (augmented: with labelled questions of MMLU's validation part) and GSM8K (augmented: with comparisons by
a judge). Source: tables 2 and 3 of the paper."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/results.md")
    args = parser.parse_args()
    outcomes = os.environ.get("POINTSMAN_OUTCOMES")
    if outcomes is None:
        raise SystemExit("set POINTSMAN_OUTCOMES to the folder of recorded outcomes")
    found: dict[str, tuple[float, ...]] = {}
    tables = [recording(Path(outcomes), name) for name in NAMES]
    for policy, said in (("text_only", "lexical features"), ("knn", "neighbours of the embedding")):
        found[f"{said}, four fifths of the benchmark"] = tuple(apgr(policy, test, None) for test in tables)
        found[f"{said}, {FEW:,} questions of it"] = tuple(few(policy, test) for test in tables)
        found[f"{said}, the other benchmark"] = (apgr(policy, *tables), apgr(policy, *reversed(tables)))
    text = table(found)
    print(text)
    every = {f"{said}: {n}": v for said, of in found.items() for n, v in zip(NAMES, of, strict=True)}
    figures = {name: value for name, value in every.items() if np.isfinite(value)}
    print(f"written to {write('routellm', figures)}")
    if args.write:
        put(text, BEGIN, END)


def recording(folder: Path, name: str) -> Recording:
    """The table of a constellation."""
    routes = read_constellation(f"{folder / 'constellations.yaml'}:{name}")
    assert routes.file is not None
    return read_recording(routes.file, routes)


def apgr(policy: str, test: Recording, train: Recording | None) -> float:
    """Of a policy's scores on all test questions, learnt on `train` or (None) in five folds of questions."""
    settings = Settings(Rules(Objective(), knn=policy == "knn"), resamples=0)
    made = evaluate(test, train, settings, load_embedder("static"))
    entry = made.entries[policy]
    assert entry is not None
    return area(entry.score, made.recording.correct[:, 0], made.recording.correct[:, -1])


def few(policy: str, whole: Recording) -> float:
    """Learnt from FEW questions and tested on the others; not a number where the benchmark has no more than those."""
    if len(whole) < 2 * FEW:
        return float("nan")
    rng, found = np.random.default_rng(0), list[float]()
    for _ in range(DRAWS):
        order = rng.permutation(len(whole))
        found.append(apgr(policy, whole.rows(np.sort(order[FEW:])), whole.rows(np.sort(order[:FEW]))))
    return float(np.mean(found))


def area(score: Doubles, weak: Doubles, strong: Doubles) -> float:
    """APGR of these scores (n,): the strong model gets the tenth, two tenths, ... of the questions with the lowest ones
    (estimated probabilities that the weak model is right); weak, strong (n,): which of them was."""
    gain = np.concatenate([[0.0], np.cumsum((strong - weak)[np.argsort(score, kind="stable")])])
    cuts = np.round(np.linspace(0, len(score), 11)).astype(np.int64)
    return float(np.trapezoid(gain[cuts] / gain[-1], dx=0.1))


def table(found: dict[str, tuple[float, ...]]) -> str:
    """Ours and the published figures under one head."""

    def line(said: str, values: tuple[float, ...]) -> str:
        return f"| {said} | {' | '.join('-' if not np.isfinite(v) else f'{v:.3f}' for v in values)} |"

    ours, theirs = ([line(said, of) for said, of in part.items()] for part in (found, PUBLISHED))
    return "\n".join(["| APGR | MMLU | GSM8K |", "|---|--:|--:|", *ours, *theirs])


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    main()
