"""The decisions of an evaluation as rows: what anyone needs to recompute its figures from the table alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ....store import write_rows
from ...ladder import SAMPLE
from .contest import Entry
from .recording import Recording

COLUMNS = (
    *("query_id", "group", "policy", "point", "bought", "answered_by", "score", "p_correct", "p_best_fixed"),
    *("input_tokens", "output_tokens", "cost", "correct"),
)


def decision_rows(recording: Recording, entries: Mapping[str, Entry | None]) -> Iterator[dict[str, Any]]:
    """A row for each question and policy at the chosen point (`point` None), and for `pointsman` at each point of its
    curve (numbered from 0, cheapest first). `bought` names routes and samples in order, as in `small#0`."""
    for policy, entry in entries.items():
        if entry is None:
            continue
        yield from _rows(recording, policy, entry, None)
        if policy == "pointsman" and entry.curve is not None:
            for point in range(entry.curve.path.shape[1]):
                yield from _rows(recording, policy, entry, point)


def write_decisions(path: Path, recording: Recording, entries: Mapping[str, Entry | None]) -> None:
    """Write the rows as .parquet, .jsonl or .csv. Raises DataError, MissingExtra for Parquet without pyarrow."""
    write_rows(path, COLUMNS, decision_rows(recording, entries))


def _sample(name: str) -> str:
    """The route and the number of the sample: a first answer's is 0."""
    return name if SAMPLE in name else f"{name}{SAMPLE}0"


def _rows(recording: Recording, policy: str, entry: Entry, point: int | None) -> Iterator[dict[str, Any]]:
    played = entry.chosen if point is None or entry.curve is None else entry.curve
    k = point or 0
    calls = recording.constellation.cost == "calls"
    named = [([_sample(name) for name in path.bought], _sample(path.answered_by)) for path in played.paths]
    for row, query in enumerate(recording.ids):
        bought, by = named[int(played.path[row, k])]
        yield {
            "query_id": query,
            "group": str(recording.groups[row])
            if recording.constellation.hold_out_by == "query"
            else str(recording.folds[row]),
            "policy": policy,
            "point": point,
            "bought": bought,
            "answered_by": by,
            "score": float(entry.score[row]),
            "p_correct": float(played.p_correct[row, k]),
            "p_best_fixed": float(played.p_reference[row, k]),
            "input_tokens": None if calls else float(played.input_tokens[row, k]),
            "output_tokens": None if calls else float(played.output_tokens[row, k]),
            "cost": None if calls else float(played.cost[row, k]),
            "correct": float(played.correct[row, k]),
        }
