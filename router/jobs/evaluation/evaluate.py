"""The evaluation of routing on recorded outcomes: hold out, fit, play, compare with what needs no learning, and say
what routing is worth here, also when that is nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ....classifiers import Artifact, Embedder
from ....domain import Json
from ....errors import DataError
from ...ladder import fixed_route
from ..induction import fixed_results
from . import report
from .contest import Entry, Rules, contest, fold_names
from .controls import Division, controls
from .models import probe_rows
from .playing import Played, joined
from .recording import Recording
from .samples import complete, offered
from .serving import serving_entry

Doubles: TypeAlias = NDArray[np.float64]
Progress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """How to evaluate. controls: how many of each control (0: none); resamples: of the intervals; seed: of what is
    drawn. Nothing that a policy decides depends on the seed."""

    rules: Rules
    controls: int = 0
    resamples: int = 500
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The report, and what the policies decided on the questions of `recording`."""

    report: Json
    recording: Recording
    entries: Mapping[str, Entry | None]


def evaluate(
    test: Recording,
    train: Recording | None,
    settings: Settings,
    embedder: Embedder,
    progress: Progress = lambda what, done, of: None,
) -> Evaluation:
    """Leave one fold out on `test`; or, with `train`, learn from all of that and test on all of `test`.

    Questions in both are taken out of the test (and counted) with `train`, out of the fold's training part without.
    Raises DataError where nothing is left to learn from or to test on, BadRequest for a ladder that cannot be."""
    removed, ladder = 0, settings.rules.ladder
    test, train = offered(test, ladder), train and offered(train, ladder)
    if train is not None:
        kept = np.flatnonzero(~np.isin(np.array(test.questions), np.array(train.questions)))
        removed = len(test) - len(kept)
        if not len(kept):
            raise DataError("every question stands in the training table too", file=test.file, column="prompt")
        test = test.rows(kept)
    divisions = [(complete(learn), rows) for learn, rows in _divisions(test, train)]
    said = dict.fromkeys(note for learn, _ in divisions if (note := _note(learn)))
    test = replace(test, notes=(*test.notes, *said))
    parts: list[dict[str, Entry | None]] = []
    for i, (learn, rows) in enumerate(divisions):
        progress("folds", i, len(divisions))
        parts.append(contest(learn, test.rows(rows), settings.rules, embedder))
    progress("folds", len(divisions), len(divisions))
    entries = {name: _whole([part[name] for part in parts], [rows for _, rows in divisions]) for name in parts[0]}
    gain = _right(test, test.names[-1]) - _right(test, test.names[0])
    made = report.report(test, entries, settings.rules, settings.resamples, settings.seed, removed, gain)
    if settings.controls:
        progress("controls", 0, 1)
        drawn = [_division(learn, test, rows) for learn, rows in divisions]
        ours = made["policies"]["pointsman"]
        real = ours["apgr"] if ours["apgr_probed"] is None else ours["apgr_probed"]
        found = controls(test, drawn, gain, real, settings.controls, settings.seed)
        made["controls"] = {name: {"mean": c.mean, "sd": c.sd, "p": c.p} for name, c in found.items()}
    return Evaluation(made, test, entries)


def evaluate_serving(test: Recording, artifact: Artifact, settings: Settings, embedder: Embedder) -> Evaluation:
    """What an artifact decides on every question of a table; nothing is fitted, so nothing is held out and there are no
    controls. Its answers stream as they do while serving. Raises DataError where it is for other routes."""
    entries: dict[str, Entry | None] = dict.fromkeys(("pointsman", "text_only", "agreement", "knn"))
    entries["pointsman"] = serving_entry(artifact, test, settings.rules.objective, embedder)
    gain = _right(test, test.names[-1]) - _right(test, test.names[0])
    made = report.report(test, entries, settings.rules, settings.resamples, settings.seed, 0, gain)
    return Evaluation({**made, "artifact": artifact.id, "streamed": True}, test, entries)


def _divisions(test: Recording, train: Recording | None) -> list[tuple[Recording, NDArray[np.int64]]]:
    """(training questions, places of the held-out ones), once for each fold."""
    if train is not None:
        return [(train, np.arange(len(test)))]
    names = fold_names(test)
    if len(names) < 2:
        by = test.constellation.hold_out_by
        raise DataError(f"there is one {by} only, so nothing can be held out", file=test.file, column=by)
    questions, found = np.array(test.questions), list[tuple[Recording, NDArray[np.int64]]]()
    for name in names:
        held = test.folds == name
        learn = np.flatnonzero(~held & ~np.isin(questions, questions[held]))
        if not len(learn):
            raise DataError(f"nothing is left to learn from without {name!r}", file=test.file, column="prompt")
        found.append((test.rows(learn), np.flatnonzero(held)))
    return found


def _note(learn: Recording) -> str:
    """What is to be said of a training part of one group only; nothing of others."""
    if len(set(learn.folds.tolist())) > 1:
        return ""
    by = learn.constellation.hold_out_by
    return (
        f"The training part is one {by} ({learn.folds[0]}): within it questions were held out in folds, which says "
        f"nothing of another {by}, so no plan counts on being better than the best fixed route."
    )


def _whole(parts: Sequence[Entry | None], rows: Sequence[NDArray[np.int64]]) -> Entry | None:
    """One policy's entries of all folds as one."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    size = sum(len(r) for r in rows)
    score, probed = np.empty(size), np.full(size, np.nan)
    for part, at in zip(known, rows, strict=True):
        score[at] = part.score
        if part.probed is not None:
            probed[at] = part.probed
    curves = [part.curve for part in known if part.curve is not None]
    curve: Played | None = joined(curves, rows, size) if len(curves) == len(known) else None
    plans = ", ".join(dict.fromkeys(part.plan for part in known))
    chosen = joined([part.chosen for part in known], rows, size)
    return Entry(curve, chosen, score, plans, None if np.isnan(probed).any() else probed)


def _right(recording: Recording, name: str) -> Doubles:
    return fixed_results(recording, fixed_route(recording.ladder, name))[0]


def _division(learn: Recording, test: Recording, rows: NDArray[np.int64]) -> Division:
    """What the score of one fold is learnt from."""
    held = test.rows(rows)
    return Division(probe_rows(learn, learn), _right(learn, learn.names[0]), probe_rows(held, learn), rows)


def plain(report_: Any) -> Any:
    """Numbers rounded to six decimals, for reading and for files."""
    if isinstance(report_, dict):
        return {key: plain(value) for key, value in cast("Json", report_).items()}
    if isinstance(report_, list | tuple):
        return [plain(value) for value in cast("Sequence[Any]", report_)]
    return round(report_, 6) if isinstance(report_, float) else report_
