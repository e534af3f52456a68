"""Constellations: which routes stand beside each other in a table of outcomes, at what price, and what to hold out.

A YAML file holds several by name. A route is recorded ({model, mode, price}) or derived ({of, budget, fallback}): the
recorded thought of `of`, cut at `budget` output tokens; its answer where it ended by then, else `fallback`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import yaml

from ..domain import Price
from ..errors import DataError

HoldOut: TypeAlias = Literal["benchmark", "group", "query"]
Cost: TypeAlias = Literal["tokens", "calls"]

_PRICED = ("input", "cached_input", "output")
_KEYS = {"file", "where", "hold_out_by", "cost", "samples", "answers_comparable", "probes", "routes"}


@dataclass(frozen=True, slots=True)
class RecordedRoute:
    """A route whose answers are rows of the table: those of this model in this mode."""

    name: str
    model: str
    mode: str
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class DerivedRoute:
    """A route made of two recorded ones: the thought of `of` cut at `budget` tokens, else the answer of `fallback`."""

    name: str
    of: str
    budget: int
    fallback: str


@dataclass(frozen=True, slots=True)
class Constellation:
    """Routes, cheapest first, and how to read and judge them.

    source: `FILE:NAME`, for messages; file: its own table; where: rows to keep, by column; hold_out_by: what makes a
    fold; cost: `calls` where tokens are not known, so that they are no cost; samples: recorded answers per query and
    route; answers_comparable: True, or `free_text` (by normal form), or False; probes: routes cheap enough to buy
    first."""

    source: str
    routes: tuple[RecordedRoute | DerivedRoute, ...]
    file: Path | None = None
    where: Mapping[str, tuple[Any, ...]] = field(default_factory=dict[str, tuple[Any, ...]])
    hold_out_by: HoldOut = "query"
    cost: Cost = "tokens"
    samples: int = 1
    answers_comparable: bool | Literal["free_text"] = False
    probes: tuple[str, ...] = ()

    @property
    def prices(self) -> dict[str, Price | None]:
        """Each route's price; a derived one has that of the route whose thought it cuts."""
        recorded = {route.name: route.price for route in self.routes if isinstance(route, RecordedRoute)}
        return {
            route.name: route.price if isinstance(route, RecordedRoute) else recorded[route.of] for route in self.routes
        }


def read_constellation(reference: str) -> Constellation:
    """The constellation that `FILE:NAME` names; the name may be left out where the file holds one only.

    Raises DataError naming the file and what in it is wrong."""
    path, name = _split(reference)
    every = _load(path)
    if name is None and len(every) == 1:
        name = next(iter(every))
    if name not in every:
        wanted = "say which, as FILE:NAME" if name is None else f"there is no constellation {name!r}"
        raise DataError(f"{wanted}; there are {', '.join(every)}", file=str(path))
    return _Reader(path, name, every[name]).read()


def write_constellation(path: Path, constellation: Constellation) -> None:
    """Writes a file with this one constellation, under the name that its source says; its table is named beside it.

    `where` and prices stand as they are. Raises DataError where the file cannot be written."""
    routes: dict[str, Any] = {}
    for route in constellation.routes:
        if isinstance(route, DerivedRoute):
            routes[route.name] = {"of": route.of, "budget": route.budget, "fallback": route.fallback}
        else:
            price = route.price and {kind: getattr(route.price, kind) for kind in _PRICED}
            routes[route.name] = {"model": route.model, "mode": route.mode, **({"price": price} if price else {})}
    file = constellation.file
    content: dict[str, Any] = {
        **({} if file is None else {"file": file.name if file.parent == path.parent else str(file.absolute())}),
        **(
            {"where": {key: list(values) for key, values in constellation.where.items()}} if constellation.where else {}
        ),
        "hold_out_by": constellation.hold_out_by,
        "cost": constellation.cost,
        "samples": constellation.samples,
        "answers_comparable": constellation.answers_comparable,
        "probes": list(constellation.probes),
        "routes": routes,
    }
    name = constellation.source.rpartition(":")[2]
    try:
        path.write_text(yaml.safe_dump({name: content}, sort_keys=False, allow_unicode=True), encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", file=str(path)) from error


def _split(reference: str) -> tuple[Path, str | None]:
    path, colon, name = reference.rpartition(":")
    # The part behind the last colon is a name, not the rest of a path (C:\\…).
    return (Path(path), name) if colon and name and not set(name) & set("/\\") else (Path(reference), None)


def _load(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"is no YAML: {error}", file=str(path)) from error
    if not isinstance(content, dict) or not content:
        raise DataError("holds no constellations", file=str(path))
    return {str(name): value for name, value in cast(dict[Any, Any], content).items()}


class _Reader:
    """Reads one constellation, with the place in every error."""

    def __init__(self, path: Path, name: str, content: Any) -> None:
        self._path, self._name = path, name
        self._content = self._mapping(content, "")

    def read(self) -> Constellation:
        content = self._content
        self._only(content, _KEYS, "")
        routes = tuple(
            self._route(str(name), value) for name, value in self._mapping(content.get("routes"), "routes").items()
        )
        self._check_routes(routes)
        file = content.get("file")
        return Constellation(
            source=f"{self._path}:{self._name}",
            routes=routes,
            file=None if file is None else self._path.parent / self._text(file, "file"),
            where=self._where(content.get("where", {})),
            hold_out_by=self._choice(
                content.get("hold_out_by", "query"), ("benchmark", "group", "query"), "hold_out_by"
            ),
            cost=self._choice(content.get("cost", "tokens"), ("tokens", "calls"), "cost"),
            samples=self._count(content.get("samples", 1), "samples"),
            answers_comparable=self._choice(
                content.get("answers_comparable", False), (True, False, "free_text"), "answers_comparable"
            ),
            probes=self._probes(content.get("probes", []), {route.name for route in routes}),
        )

    def _route(self, name: str, value: Any) -> RecordedRoute | DerivedRoute:
        place = f"routes.{name}"
        entry = self._mapping(value, place)
        if "of" in entry:
            self._only(entry, {"of", "budget", "fallback"}, place)
            return DerivedRoute(
                name,
                of=self._text(entry["of"], f"{place}.of"),
                budget=self._count(entry.get("budget"), f"{place}.budget"),
                fallback=self._text(entry.get("fallback"), f"{place}.fallback"),
            )
        self._only(entry, {"model", "mode", "price"}, place)
        return RecordedRoute(
            name,
            model=self._text(entry.get("model"), f"{place}.model"),
            mode=self._text(entry.get("mode"), f"{place}.mode"),
            price=None if entry.get("price") is None else self._price(entry["price"], f"{place}.price"),
        )

    def _price(self, value: Any, place: str) -> Price:
        given = self._mapping(value, place)
        self._only(given, set(_PRICED), place)
        numbers = {key: self._amount(amount, f"{place}.{key}") for key, amount in given.items()}
        if "input" not in numbers or "output" not in numbers:
            self._fail(place, "needs input and output")
        cached = numbers.get("cached_input", numbers["input"])  # no discount is known
        return Price(input=numbers["input"], cached_input=cached, output=numbers["output"])

    def _check_routes(self, routes: tuple[RecordedRoute | DerivedRoute, ...]) -> None:
        recorded = [route for route in routes if isinstance(route, RecordedRoute)]
        names = {route.name for route in recorded}
        if len(routes) < 2:
            self._fail("routes", "needs at least two routes")
        for route in routes:
            if "#" in route.name:
                self._fail(f"routes.{route.name}", "'#' stands before the number of a sample: choose another name")
            if isinstance(route, DerivedRoute):
                for key, other in (("of", route.of), ("fallback", route.fallback)):
                    if other not in names:
                        self._fail(f"routes.{route.name}.{key}", f"{other!r} is no recorded route")
        if len({route.price is None for route in recorded}) > 1:
            self._fail("routes", "give all routes a price, or none")

    def _where(self, value: Any) -> dict[str, tuple[Any, ...]]:
        wanted = self._mapping(value, "where")
        return {str(key): tuple(cast(list[Any], v)) if isinstance(v, list) else (v,) for key, v in wanted.items()}

    def _probes(self, value: Any, names: set[str]) -> tuple[str, ...]:
        probes = tuple(cast(list[Any], value)) if isinstance(value, list) else ()
        if not isinstance(value, list) or not set(probes) <= names:
            self._fail("probes", f"must be a list of routes: {', '.join(sorted(names))}")
        return probes

    def _mapping(self, value: Any, place: str) -> dict[Any, Any]:
        if not isinstance(value, dict):
            self._fail(place, "must be a mapping")
        return cast(dict[Any, Any], value)

    def _only(self, given: Mapping[Any, Any], known: set[str], place: str) -> None:
        unknown = [str(key) for key in given if key not in known]
        if unknown:
            self._fail(place, f"{', '.join(unknown)} is unknown; there are {', '.join(sorted(known))}")

    def _text(self, value: Any, place: str) -> str:
        if not isinstance(value, str) or not value:
            self._fail(place, "must be a text")
        return value

    def _count(self, value: Any, place: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            self._fail(place, "must be a whole number, 1 or more")
        return value

    def _amount(self, value: Any, place: str) -> float:
        if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            self._fail(place, "must be a number, 0 or more")
        return float(value)

    def _choice(self, value: Any, allowed: tuple[Any, ...], place: str) -> Any:
        if not any(value is choice or (isinstance(choice, str) and value == choice) for choice in allowed):
            self._fail(place, f"must be one of {', '.join(str(choice) for choice in allowed)}")
        return value

    def _fail(self, place: str, problem: str) -> Any:
        where = f"{self._name}.{place}" if place else self._name
        raise DataError(f"{where}: {problem}", file=str(self._path))
