"""A table of outcomes as arrays, read by a constellation: what every route did with every question that counts.

A question counts where every underived route has a row for it, with its correctness and (unless calls are the cost) its
tokens. Arrays have a row for each question, in order of query_id, and a column for each recorded route. Costs are
`work` (output + a tenth of the input tokens, whatever the route) or the constellation's list prices.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ....classifiers.answers import Comparison, agreement_codes
from ....classifiers.evidence import Seen
from ....classifiers.features import lexical_batch
from ....domain import Price
from ....errors import DataError
from ....store import Constellation, DerivedRoute, RecordedRoute, Table, read_table
from ...ladder import Ladder, Track
from ...signs import NAMES

Doubles: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
PriceKind: TypeAlias = Literal["work", "list"]

WORK = Price(input=0.1, cached_input=0.0, output=1.0, assumed=True)
"""The price of `work`: one an output token, a tenth of it an input token."""

SIGNS = ("confidence_verbal", "confidence_tokenprob", "abstained", *NAMES)
"""Columns that belong to an answer and are seen with it."""

_BLANKS = re.compile(r"\s+")
_CHARACTERS_A_TOKEN = 4
_QUERY_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """n questions, R recorded routes.

    ids, prompts, questions (normal forms), groups (the table's), folds (what is held out together), strata (within
    which scores are ranked: the group where groups are held out, else the benchmark): (n,). correct,
    input_tokens, output_tokens: (n, R), sample 0. answers: codes, equal in a row where answers agree. input_price,
    output_price, call_price: (R,) currency a token, and a call where calls are the cost or probes come with the answer.
    samples (S, n, F): correctness of each sample on every route in `names`, NaN where there is none (a cut thought
    falls back on sample 0)."""

    file: str
    constellation: Constellation
    price: PriceKind
    ladder: Ladder
    ids: tuple[str, ...]
    prompts: tuple[str, ...]
    questions: tuple[str, ...]
    groups: NDArray[np.str_]
    folds: NDArray[np.str_]
    strata: NDArray[np.str_]
    correct: Doubles
    samples: Doubles
    input_price: Doubles
    output_price: Doubles
    call_price: Doubles
    input_tokens: Doubles
    seen: Seen
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def names(self) -> tuple[str, ...]:
        """Every route, derived ones too, in the constellation's order."""
        return tuple(route.name for route in self.constellation.routes)

    @property
    def probes(self) -> tuple[int, ...]:
        """The tracks of the routes that are cheap enough to buy first."""
        return tuple(self.ladder.towards(name).track for name in self.constellation.probes)

    def towards_first(self) -> int:
        """The track whose own answer the score is about: the first route's."""
        return self.ladder.towards(self.names[0]).track

    def output_to(self, track: int, level: int) -> Doubles:
        """Output tokens of a track bought up to a level, (n,)."""
        tokens = self.seen.tokens[:, track]
        budgets = self.ladder.tracks[track].budgets
        if level == 0:
            return np.zeros_like(tokens)
        return tokens if level > len(budgets) else np.minimum(tokens, budgets[level - 1])

    def cost_to(self, track: int, level: int) -> Doubles:
        """Cost of a track bought up to a level, (n,), in currency."""
        if level == 0:
            return np.zeros(len(self))
        per_input, per_output = self.input_price[track], self.output_price[track]
        tokens = per_input * self.input_tokens[:, track] + per_output * self.output_to(track, level)
        return self.call_price[track] + tokens

    def unfinished(self, track: int, level: int) -> NDArray[np.bool_]:
        """Where a thought bought up to this level has not ended, (n,)."""
        budgets = self.ladder.tracks[track].budgets
        if level in (0, len(budgets) + 1):
            return np.zeros(len(self), dtype=bool)
        return self.seen.tokens[:, track] > budgets[level - 1]

    def along(self, ladder: Ladder) -> Recording:
        """The same questions with the columns of this ladder's tracks only, in its order."""
        own = [track.route for track in self.ladder.tracks]
        columns = [own.index(track.route) for track in ladder.tracks]
        seen = self.seen
        signs = {name: values[:, columns] for name, values in seen.signs.items()}
        return replace(
            self,
            ladder=ladder,
            correct=self.correct[:, columns],
            input_tokens=self.input_tokens[:, columns],
            input_price=self.input_price[columns],
            output_price=self.output_price[columns],
            call_price=self.call_price[columns],
            seen=Seen(seen.features, seen.tokens[:, columns], seen.answers[:, columns], signs),
        )

    def rows(self, kept: Integers) -> Recording:
        """Only these questions."""
        seen, places = self.seen, [int(place) for place in kept]
        signs = {name: values[kept] for name, values in seen.signs.items()}
        return replace(
            self,
            ids=tuple(self.ids[i] for i in places),
            prompts=tuple(self.prompts[i] for i in places),
            questions=tuple(self.questions[i] for i in places),
            groups=self.groups[kept],
            folds=self.folds[kept],
            strata=self.strata[kept],
            correct=self.correct[kept],
            samples=self.samples[:, kept],
            input_tokens=self.input_tokens[kept],
            seen=Seen(seen.features[kept], seen.tokens[kept], seen.answers[kept], signs),
        )


def read_recording(source: Table | Path, constellation: Constellation, price: PriceKind = "work") -> Recording:
    """The constellation's questions in a table. Raises DataError naming file and column: a route without rows, no
    question that counts, a price or tokens that are needed and not there."""
    table = source if isinstance(source, Table) else read_table(source)
    recorded = [route for route in constellation.routes if isinstance(route, RecordedRoute)]
    reader = _Reader(table, constellation, recorded)
    ids = reader.questions()
    shape = (len(ids), len(recorded))
    samples = np.full((constellation.samples, *shape), np.nan)
    inputs, outputs, lengths = np.full(shape, np.nan), np.zeros(shape), np.zeros(samples.shape)
    answers: list[list[str | None]] = [[None] * len(recorded) for _ in ids]
    signs = {name: np.full(shape, np.nan) for name in SIGNS if name in table.columns}
    for column, route in enumerate(recorded):
        for row, query in enumerate(ids):
            for sample in range(constellation.samples):
                if (place := reader.found.get((route.name, query, sample))) is not None:
                    samples[sample, row, column] = table.columns["correct"][place]
                    lengths[sample, row, column] = np.nan_to_num(reader.number("output_tokens", place))
            place = reader.found[route.name, query, 0]
            inputs[row, column] = reader.number("input_tokens", place)
            outputs[row, column] = np.nan_to_num(reader.number("output_tokens", place))
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
        correct=samples[0],
        samples=_all_routes(constellation, samples, lengths),
        **_prices(constellation, recorded, price),
        input_tokens=np.where(np.isnan(inputs), characters, inputs),
        seen=Seen(lexical_batch(prompts), outputs, codes, signs),
        notes=(*table.notes, *reader.notes(inputs)),
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
    """A track for each recorded route, its derived routes as budgets."""
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
    return Ladder(tuple(tracks))


def question_of(prompt: str) -> str:
    """What makes two questions the same one: the prompt in lower case, white space collapsed."""
    return _BLANKS.sub(" ", prompt.lower()).strip()


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


def _all_routes(constellation: Constellation, samples: Doubles, lengths: Doubles) -> Doubles:
    """Correctness of each sample on derived routes too, (S, n, F), from the recorded ones' (S, n, R) and the tokens of
    their answers."""
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


def _prices(constellation: Constellation, recorded: Sequence[RecordedRoute], kind: PriceKind) -> dict[str, Doubles]:
    """Currency an input token, an output token and a call, by recorded route."""
    size = len(recorded)
    if constellation.cost == "calls":
        calls = np.array([float(route.name == constellation.routes[-1].name) for route in recorded])
        return {"input_price": np.zeros(size), "output_price": np.zeros(size), "call_price": calls}
    prices = [WORK if kind == "work" else route.price for route in recorded]
    missing = [route.name for route, price in zip(recorded, prices, strict=True) if price is None]
    if missing:
        raise DataError(
            f"no list price for {', '.join(missing)}: give one, or use --price work", file=constellation.source
        )
    known = [price for price in prices if price is not None]
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


def folds_by_question(questions: Sequence[str]) -> NDArray[np.str_]:
    """Five folds of whole questions (n,), always the same for the same question."""
    return np.array([f"fold {int(_digest(question), 16) % _QUERY_FOLDS}" for question in questions])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
