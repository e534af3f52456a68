"""Reads a table of outcomes by a constellation.

A question counts where every underived route has a row for it, with its correctness and (unless calls are the cost) its
tokens. Costs are `work` (output + a tenth of the input tokens, whatever the route) or the constellation's list prices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from ....classifiers.answers import Comparison, agreement_codes
from ....classifiers.evidence import Seen
from ....classifiers.features import lexical_batch
from ....domain import Price
from ....errors import DataError
from ....store import Constellation, DerivedRoute, RecordedRoute, Table, read_table
from ...ladder import SAMPLE, Ladder, Track
from ...signs import NAMES
from .recording import Doubles, PriceKind, Recording, folds_by_question, question_of

WORK = Price(input=0.1, cached_input=0.0, output=1.0, assumed=True)
"""The price of `work`: one an output token, a tenth of it an input token."""

SIGNS = ("confidence_verbal", "confidence_tokenprob", "abstained", *NAMES)
"""Columns that belong to an answer and are seen with it."""

_CHARACTERS_A_TOKEN = 4


def read_recording(source: Table | Path, constellation: Constellation, price: PriceKind = "work") -> Recording:
    """The constellation's questions in a table. Raises DataError naming file and column: a route without rows, no
    question that counts, a price or tokens that are needed and not there."""
    table = source if isinstance(source, Table) else read_table(source)
    recorded = [route for route in constellation.routes if isinstance(route, RecordedRoute)]
    reader = _Reader(table, constellation, recorded)
    ids = reader.questions()
    columns = [(route.name, sample) for sample in range(constellation.samples) for route in recorded]
    shape = (len(ids), len(columns))
    correct, inputs, outputs = (np.full(shape, np.nan) for _ in range(3))
    answers: list[list[str | None]] = [[None] * len(columns) for _ in ids]
    signs = {name: np.full(shape, np.nan) for name in SIGNS if name in table.columns}
    for column, (route, sample) in enumerate(columns):
        for row, query in enumerate(ids):
            if (place := reader.found.get((route, query, sample))) is None:
                continue
            correct[row, column] = reader.number("correct", place)
            inputs[row, column] = reader.number("input_tokens", place)
            outputs[row, column] = reader.number("output_tokens", place)
            answers[row][column] = table.columns["answer"][place]
            for name, values in signs.items():
                values[row, column] = reader.number(name, place)
    prompts = tuple(table.columns["prompt"][reader.first[query]] for query in ids)
    characters = np.array([[len(prompt) / _CHARACTERS_A_TOKEN] for prompt in prompts])
    codes = agreement_codes(answers, _comparison(constellation))
    questions = tuple(question_of(prompt) for prompt in prompts)
    stratum = "group" if constellation.hold_out_by == "group" else "benchmark"
    return Recording(
        file=table.file,
        constellation=constellation,
        price=price,
        ladder=ladder_of(constellation),
        ids=tuple(ids),
        prompts=prompts,
        questions=questions,
        groups=np.array([table.columns["group"][reader.first[query]] for query in ids]),
        folds=_folds(constellation, table, [reader.first[query] for query in ids], questions),
        strata=np.array([table.columns[stratum][reader.first[query]] for query in ids]),
        # Where its cost is not known an answer cannot be bought.
        correct=correct if constellation.cost == "calls" else np.where(np.isnan(outputs), np.nan, correct),
        samples=_all_routes(constellation, _by_sample(correct, recorded), _by_sample(outputs, recorded)),
        **_prices(constellation, recorded, price),
        input_tokens=np.where(np.isnan(inputs), characters, inputs),
        seen=Seen(lexical_batch(prompts), np.nan_to_num(outputs), codes, signs),
        notes=(*table.notes, *reader.notes(inputs[:, : len(recorded)])),
    )


def read_recordings(files: Sequence[Path], constellation: Constellation, price: PriceKind = "work") -> Recording:
    """Several tables' questions as one recording. Raises DataError as `read_recording` does."""
    parts = [read_recording(file, constellation, price) for file in files]
    first = parts[0]
    if len(parts) == 1:
        return first
    together = [np.concatenate([getattr(part, name) for part in parts]) for name in ("groups", "folds", "strata")]
    seen = [part.seen for part in parts]
    signs = {
        name: np.concatenate([s.signs.get(name, np.full_like(s.tokens, np.nan)) for s in seen])
        for name in sorted({name for s in seen for name in s.signs})
    }
    return replace(
        first,
        file=", ".join(part.file for part in parts),
        ids=tuple(f"{part.file}:{query}" for part in parts for query in part.ids),
        prompts=tuple(prompt for part in parts for prompt in part.prompts),
        questions=tuple(question for part in parts for question in part.questions),
        groups=together[0],
        folds=together[1],
        strata=together[2],
        correct=np.concatenate([part.correct for part in parts]),
        samples=np.concatenate([part.samples for part in parts], axis=1),
        input_tokens=np.concatenate([part.input_tokens for part in parts]),
        seen=Seen(
            np.concatenate([s.features for s in seen]),
            np.concatenate([s.tokens for s in seen]),
            np.concatenate([s.answers for s in seen]),
            signs,
        ),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def ladder_of(constellation: Constellation) -> Ladder:
    """A track for each recorded route, its derived routes as budgets; then, in the same order, one for the second
    sample of each, and so on."""
    recorded = [route.name for route in constellation.routes if isinstance(route, RecordedRoute)]
    derived = [route for route in constellation.routes if isinstance(route, DerivedRoute)]
    tracks: list[Track] = []
    for name in recorded:
        cuts = sorted((route.budget, route.name, route.fallback) for route in derived if route.of == name)
        fallbacks = {fallback for _, _, fallback in cuts}
        if len(fallbacks) > 1:
            raise DataError(f"the budgets of {name!r} have several fallbacks", file=constellation.source)
        fallback = recorded.index(next(iter(fallbacks))) if fallbacks else None
        tracks.append(Track(name, tuple(b for b, _, _ in cuts), tuple(n for _, n, _ in cuts), fallback))
    further = [
        replace(
            track,
            route=f"{track.route}{SAMPLE}{sample}",
            cuts=tuple(f"{cut}{SAMPLE}{sample}" for cut in track.cuts),
            after=(sample - 1) * len(tracks) + place,
        )
        for sample in range(1, constellation.samples)
        for place, track in enumerate(tracks)
    ]
    return Ladder((*tracks, *further))


class _Reader:
    """Finds the rows of a table that a constellation's routes are made of."""

    def __init__(self, table: Table, constellation: Constellation, recorded: Sequence[RecordedRoute]) -> None:
        self._table, self._constellation, self._recorded = table, constellation, recorded
        self.found: dict[tuple[str, str, int], int] = {}
        """The row of a route, a question and a sample: the first where there are several."""
        self.first: dict[str, int] = {}
        names: dict[tuple[str, str], list[str]] = {}
        for route in recorded:
            names.setdefault((route.model, route.mode), []).append(route.name)
        columns = table.columns
        for row in self._kept():
            query = columns["query_id"][row]
            self.first.setdefault(query, row)
            for name in names.get((columns["model"][row], columns["mode"][row]), ()):
                self.found.setdefault((name, query, columns["sample"][row]), row)

    def questions(self) -> list[str]:
        """Those that count, in order."""
        counted: set[str] | None = None
        for route in self._recorded:
            mine = {
                query for (name, query, sample), row in self.found.items() if self._counts(name, route, sample, row)
            }
            if not mine:
                what = f"(model {route.model!r}, mode {route.mode!r})"
                raise DataError(f"no rows for the route {route.name!r} {what}", file=self._table.file, column="model")
            counted = mine if counted is None else counted & mine
        if not counted:
            raise DataError("no question has a row for every route", file=self._table.file, column="query_id")
        self._check_classes(counted)
        return sorted(counted)

    def _counts(self, name: str, route: RecordedRoute, sample: int, row: int) -> bool:
        columns = self._table.columns
        if name != route.name or sample != 0 or columns["correct"][row] is None:
            return False
        return self._constellation.cost == "calls" or columns["output_tokens"][row] is not None

    def _check_classes(self, counted: set[str]) -> None:
        labels = {self._table.columns["correct"][row] for (_, query, _), row in self.found.items() if query in counted}
        labels.discard(None)
        if len(labels) < 2:
            only = next(iter(labels))
            raise DataError(
                f"every row says {only:g}, so nothing can be learnt", file=self._table.file, column="correct"
            )

    def _kept(self) -> list[int]:
        rows = range(len(self._table))
        for column, values in self._constellation.where.items():
            if column not in self._table.columns:
                problem = "is missing, and the constellation chooses by it"
                raise DataError(problem, file=self._table.file, column=column)
            rows = [row for row in rows if self._table.columns[column][row] in values]
        return list(rows)

    def number(self, column: str, row: int) -> float:
        """A number of the table, NaN where there is none."""
        value = self._table.columns[column][row]
        return float("nan") if value is None else float(value)

    def notes(self, inputs: Doubles) -> list[str]:
        """What a report has to say of the reading."""
        said: list[str] = []
        if guessed := int(np.isnan(inputs).sum()):
            said.append(f"{guessed} input tokens were not recorded and are the prompt's characters / 4.")
        if self._constellation.cost == "calls":
            said.append("Tokens are not fully counted here, so only the share of dear calls can be compared.")
        return said


def _by_sample(values: Doubles, recorded: Sequence[RecordedRoute]) -> Doubles:
    """(S, n, R) from (n, S * R)."""
    return values.reshape(len(values), -1, len(recorded)).transpose(1, 0, 2)


def _all_routes(constellation: Constellation, samples: Doubles, lengths: Doubles) -> Doubles:
    """Correctness of each sample on derived routes too, (S, n, F), from the recorded ones' (S, n, R) and the tokens of
    their answers (NaN where they are not known: nothing is cut there)."""
    names = [route.name for route in constellation.routes if isinstance(route, RecordedRoute)]
    columns: list[Doubles] = []
    for route in constellation.routes:
        if isinstance(route, RecordedRoute):
            columns.append(samples[:, :, names.index(route.name)])
            continue
        own, instead = names.index(route.of), samples[0, :, names.index(route.fallback)]
        columns.append(np.where(lengths[:, :, own] > route.budget, instead, samples[:, :, own]))
    return np.stack(columns, axis=2)


def _comparison(constellation: Constellation) -> Comparison | None:
    given = constellation.answers_comparable
    return "free_text" if given == "free_text" else ("exact" if given else None)


class _Prices(TypedDict):
    """Fields of a Recording."""

    input_price: Doubles
    output_price: Doubles
    call_price: Doubles


def _prices(constellation: Constellation, recorded: Sequence[RecordedRoute], kind: PriceKind) -> _Prices:
    """Currency an input token, an output token and a call, by track: every sample costs what its route costs."""
    size, samples = len(recorded) * constellation.samples, constellation.samples
    if constellation.cost == "calls":
        calls = np.array([float(route.name == constellation.routes[-1].name) for route in recorded] * samples)
        return {"input_price": np.zeros(size), "output_price": np.zeros(size), "call_price": calls}
    prices = [WORK if kind == "work" else route.price for route in recorded]
    missing = [route.name for route, price in zip(recorded, prices, strict=True) if price is None]
    if missing:
        raise DataError(
            f"no list price for {', '.join(missing)}: give one, or use --price work", file=constellation.source
        )
    known = [price for price in prices if price is not None] * samples
    return {
        "input_price": np.array([price.input for price in known]),
        "output_price": np.array([price.output for price in known]),
        "call_price": np.zeros(size),
    }


def _folds(
    constellation: Constellation, table: Table, rows: Sequence[int], questions: Sequence[str]
) -> NDArray[np.str_]:
    """What is held out together: a column's value, or one of five folds of whole questions."""
    if constellation.hold_out_by != "query":
        return np.array([table.columns[constellation.hold_out_by][row] for row in rows])
    return folds_by_question(questions)
