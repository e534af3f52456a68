"""Further samples as steps of a ladder: `--ladder small,small#1,full` may ask small a second time.

A sample that the ladder does not name is not looked at. A question counts whether it has the named samples or not, as
for the scorer: one that lacks a sample cannot be charged for it, so it is not bought there, and nothing is learnt from
the questions that lack one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....errors import BadRequest
from ...ladder import SAMPLE, Ladder, cheapest_first
from .recording import Recording


def ladder_for(recording: Recording, wanted: str) -> Ladder:
    """The ladder that `--ladder` names: `auto`, the first answer of every route in the constellation's order; else
    routes and samples by name. Raises BadRequest naming the ladder."""
    every = recording.ladder
    return cheapest_first(every.tracks, every.routes() if wanted == "auto" else named(recording, wanted))


def named(recording: Recording, wanted: str) -> list[str]:
    """The names in `--ladder`, a first sample by its route's. Raises BadRequest for a sample that is not recorded."""
    names = [name.strip().removesuffix(f"{SAMPLE}0") for name in wanted.split(",") if name.strip()]
    for name in names:
        if name not in recording.ladder.names() and name.rpartition(SAMPLE)[0] in recording.ladder.names():
            source, most = recording.constellation.source, recording.constellation.samples
            problem = f"The ladder names {name!r}, but `samples` of {source} is {most}: leave it out, or record more."
            raise BadRequest(problem, field="ladder")
    return names


def offered(recording: Recording, wanted: str) -> Recording:
    """The same questions with the first answers and of the further samples only those that the ladder names.

    Raises BadRequest naming the ladder where the table has none of such a sample."""
    further = [name for name in named(recording, wanted) if SAMPLE in name]
    ladder = cheapest_first(recording.ladder.tracks, [*recording.ladder.routes(), *further])
    kept, notes = recording.along(replace(ladder, ordered=False)), list(recording.notes)
    for place, track in enumerate(ladder.tracks):
        missing = int(kept.lacks(place).sum())
        if missing == len(kept):
            problem = f"The ladder names {track.route!r}, but {recording.file} has no such answer: leave it out."
            raise BadRequest(problem, field="ladder")
        if missing:
            notes.append(f"{missing} questions have no {track.route}: it is not bought there, and they teach nothing.")
    return replace(kept, notes=tuple(notes))


def complete(recording: Recording) -> Recording:
    """The questions that have every sample, to learn from. Raises BadRequest naming the ladder where there is none."""
    rows = np.flatnonzero(~np.isnan(recording.correct).any(axis=1))
    if not len(rows):
        problem = f"The ladder names samples, and no question to learn from in {recording.file} has all of them."
        raise BadRequest(problem, field="ladder")
    return recording if len(rows) == len(recording) else recording.rows(rows)
