"""Observations out of a table of outcomes: the rows of a constellation's routes, and the routes derived of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..domain import Observation, Price
from ..errors import DataError
from .constellations import Constellation, DerivedRoute, RecordedRoute
from .outcomes_file import Table, read_table
from .texts import text_hash

CHARACTERS_A_TOKEN = 4
"""Where a table has no input tokens they are the prompt's characters divided by this."""

UNIT_PRICE = Price(input=0.1, cached_input=0.0, output=1.0, assumed=True)
"""What a route costs where no constellation says: one an output token, by the house's rule for the other kinds."""

_UNCOUNTED = "visible-only"

_Key = tuple[str, int]
"""A query's id and the sample."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a table gave: observations (by query in the table's order, then by route as in the constellation, then by
    sample), the constellation they were read by, and what a report has to say about them, in sentences."""

    observations: tuple[Observation, ...]
    constellation: Constellation
    notes: tuple[str, ...]


def observations_from_table(source: Table | str | Path, constellation: Constellation | None = None) -> Reading:
    """Reads a table by a constellation; without one each model and mode is a route at price 1.

    An id that two benchmarks use stands for two queries. `group` is the constellation's `hold_out_by`; for `query` it
    is the hash of the prompt's normal form, so that the same question under two ids stays together. A derived route
    costs its thought up to the budget, and the fallback's answer on top where that is what it gives. Tokens that are
    `visible-only` are None.

    Raises DataError naming file and column: empty (also after `where`), a column missing, no rows for a route, one
    route, one class, tokens unknown where the constellation says that they are the cost."""
    table = source if isinstance(source, Table) else read_table(source)
    notes = list(table.notes)
    if constellation is None:
        constellation = _everything(table)
        notes.append(f"No constellation: each of {len(constellation.routes)} models and modes is a route at price 1.")
    reader = _Rows(table, constellation)
    by_route = reader.by_route()
    observations = tuple(_in_order(by_route, reader.order, constellation))
    _check_classes(table, observations)
    return Reading(observations, constellation, tuple(notes + reader.notes()))


def _everything(table: Table) -> Constellation:
    """Every model and mode as a route, the one with the fewest output tokens first."""
    columns = table.columns
    tokens: dict[tuple[str, str], list[float]] = defaultdict(list)
    for model, mode, output in zip(columns["model"], columns["mode"], columns["output_tokens"], strict=True):
        tokens[model, mode].append(float("inf") if output is None else output)
    pairs = sorted(tokens, key=lambda pair: (sum(tokens[pair]) / len(tokens[pair]), pair))
    if len(pairs) < 2:
        raise DataError("there is one route only, so nothing to choose", file=table.file, column="model")
    counted = all(
        output is not None and kind != _UNCOUNTED
        for output, kind in zip(columns["output_tokens"], columns["tokens_are"], strict=True)
    )
    return Constellation(
        source=table.file,
        routes=tuple(RecordedRoute(f"{model}/{mode}", model, mode, UNIT_PRICE) for model, mode in pairs),
        hold_out_by=_hold_out(columns),
        cost="tokens" if counted else "calls",
        samples=max(columns["sample"]) + 1,
    )


def _hold_out(columns: Mapping[str, Sequence[Any]]) -> Any:
    return next((name for name in ("benchmark", "group") if len(set(columns[name])) > 1), "query")


def _in_several(ids: Sequence[str], benchmarks: Sequence[str]) -> set[str]:
    """The ids that stand in more than one benchmark: numbers, most often, that say nothing by themselves."""
    pairs = Counter(named for named, _ in set(zip(ids, benchmarks, strict=True)))
    return {named for named, count in pairs.items() if count > 1}


class _Rows:
    """Sorts a table's rows by route and makes observations of them, counting what had to be guessed or left out."""

    def __init__(self, table: Table, constellation: Constellation) -> None:
        self._table, self._columns, self._constellation = table, table.columns, constellation
        self._guessed = self._doubled = self._without_fallback = 0
        self._groups: dict[str, str] = {}
        self._shared = _in_several(table.columns["query_id"], table.columns["benchmark"])
        self.order: dict[str, None] = {}
        """The queries in the table's order."""

    def by_route(self) -> dict[str, dict[_Key, Observation]]:
        """Each route's observations by query and sample."""
        recorded = [route for route in self._constellation.routes if isinstance(route, RecordedRoute)]
        found: dict[str, dict[_Key, Observation]] = {route.name: {} for route in recorded}
        names: dict[tuple[str, str], list[str]] = defaultdict(list)
        for route in recorded:
            names[route.model, route.mode].append(route.name)
        columns = self._columns
        for row in self._kept():
            for name in names.get((columns["model"][row], columns["mode"][row]), ()):
                self.order[self._query(row)] = None
                self._add(found[name], name, row)
        for route in recorded:
            self._check_route(route, found[route.name])
        for route in self._constellation.routes:
            if isinstance(route, DerivedRoute):
                found[route.name] = self._derived(route, found)
        return found

    def notes(self) -> list[str]:
        """What to say of the reading."""
        said = [
            (self._guessed, "input tokens were not recorded and are the prompt's characters / 4"),
            (self._doubled, "rows stood there before (same query, model, mode and sample) and were left out"),
            (self._without_fallback, "cut thoughts had no fallback's answer and were left out"),
        ]
        notes = [f"{count} {what}." for count, what in said if count]
        if self._constellation.cost == "calls":
            notes.append("Tokens are not fully counted here, so only the share of dear calls can be compared.")
        return notes

    def _kept(self) -> list[int]:
        rows = range(len(self._table))
        for column, values in self._constellation.where.items():
            if column not in self._columns:
                raise DataError("is missing, and the constellation chooses by it", file=self._table.file, column=column)
            rows = [row for row in rows if self._columns[column][row] in values]
            if not rows:
                wanted = ", ".join(map(repr, values))
                raise DataError(f"no row has {wanted}", file=self._table.file, column=column)
        return [row for row in rows if self._columns["sample"][row] < self._constellation.samples]

    def _add(self, found: dict[_Key, Observation], route: str, row: int) -> None:
        columns = self._columns
        key = (self._query(row), columns["sample"][row])
        if key in found:
            self._doubled += 1
            return
        prompt, given = columns["prompt"][row], columns["input_tokens"][row]
        self._guessed += given is None
        found[key] = Observation(
            query_id=key[0],
            group=self._group(row),
            route=route,
            correct=columns["correct"][row],
            input_tokens=len(prompt) / CHARACTERS_A_TOKEN if given is None else given,
            output_tokens=None if columns["tokens_are"][row] == _UNCOUNTED else columns["output_tokens"][row],
            text=prompt,
            answer=columns["answer"][row],
            sample=key[1],
        )

    def _query(self, row: int) -> str:
        """The query's id; with its benchmark where two benchmarks use the same one."""
        named = self._columns["query_id"][row]
        return f"{self._columns['benchmark'][row]}:{named}" if named in self._shared else named

    def _group(self, row: int) -> str:
        if self._constellation.hold_out_by != "query":
            return self._columns[self._constellation.hold_out_by][row]
        prompt = self._columns["prompt"][row]
        if prompt not in self._groups:
            self._groups[prompt] = text_hash(prompt)
        return self._groups[prompt]

    def _check_route(self, route: RecordedRoute, found: Mapping[_Key, Observation]) -> None:
        if not found:
            raise DataError(
                f"no rows for the route {route.name!r} (model {route.model!r}, mode {route.mode!r})",
                file=self._table.file,
                column="model",
            )
        unknown = sum(observation.output_tokens is None for observation in found.values())
        needed = self._constellation.cost == "tokens" or any(
            isinstance(other, DerivedRoute) and other.of == route.name for other in self._constellation.routes
        )
        if unknown and needed:
            raise DataError(
                f"unknown (null or {_UNCOUNTED}) in {unknown} rows of the route {route.name!r}",
                file=self._table.file,
                column="output_tokens",
            )

    def _derived(self, route: DerivedRoute, found: Mapping[str, Mapping[_Key, Observation]]) -> dict[_Key, Observation]:
        made: dict[_Key, Observation] = {}
        for key, thought in found[route.of].items():
            fallback = found[route.fallback].get(key)
            if (thought.output_tokens or 0) <= route.budget:
                made[key] = replace(thought, route=route.name)
            elif fallback is not None:
                made[key] = _cut(thought, fallback, route)
            else:
                self._without_fallback += 1
        return made


def _cut(thought: Observation, fallback: Observation, route: DerivedRoute) -> Observation:
    """The fallback's answer, after `budget` tokens of a thought that had not ended."""
    output = None if fallback.output_tokens is None else route.budget + fallback.output_tokens
    return replace(
        fallback,
        route=route.name,
        input_tokens=(thought.input_tokens or 0.0) + (fallback.input_tokens or 0.0),
        output_tokens=output,
    )


def _in_order(
    by_route: Mapping[str, Mapping[_Key, Observation]], order: Iterable[str], constellation: Constellation
) -> Iterator[Observation]:
    names = [route.name for route in constellation.routes]
    samples = range(max((sample for found in by_route.values() for _, sample in found), default=-1) + 1)
    for query_id in order:
        for name in names:
            found = by_route[name]
            yield from (found[query_id, sample] for sample in samples if (query_id, sample) in found)


def _check_classes(table: Table, observations: Sequence[Observation]) -> None:
    classes = Counter(observation.correct for observation in observations)
    del classes[None]
    if len(classes) < 2:
        only = next(iter(classes), None)
        problem = "no row says whether it was right" if only is None else f"every row says {only:g}"
        raise DataError(f"{problem}, so nothing can be learnt", file=table.file, column="correct")
