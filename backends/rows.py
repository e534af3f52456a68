"""Tables of rows by name, as the owner or we write them: read from YAML, with the line of every row and field, so that
an error can say where."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias, cast

import yaml

from ..errors import ConfigError

Where: TypeAlias = Callable[[str, str | None], str]
"""From a row's name and, perhaps, its field to `file:line`."""

Wrong: TypeAlias = Callable[[str, str], ConfigError]
"""The error for a problem with a field, or with a part of it (`.temperature`, `[0]`; empty: all of it)."""


def read_rows(text: str, file: str, of: str) -> tuple[dict[str, object], Where]:
    """The rows of a YAML text by name, unchecked, and where each stands. of: what a row is, in the plural.

    Raises ConfigError with `file:line`: no YAML, no table, a name that is there twice."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        data = None if node is None else _constructed(loader, node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = file if mark is None else f"{file}:{mark.line + 1}"
        raise ConfigError(f"not readable as YAML: {error.problem}", where=place) from error
    if data is not None and not isinstance(data, dict):
        raise ConfigError(f"must be a table of {of} by name", where=f"{file}:1")
    lines = _lines(node, file)

    def where(name: str, field: str | None) -> str:
        return f"{file}:{lines.get((name, field), lines.get((name, None), 1))}"

    return {str(name): row for name, row in cast("dict[object, object]", data or {}).items()}, where


def checked_row(
    name: str, data: object, where: Where, known: Collection[str], needed: Collection[str]
) -> Mapping[str, object]:
    """The row, a table that has all needed fields and none that is not known. Raises ConfigError."""
    if not isinstance(data, Mapping):
        raise ConfigError("must be a table", field=name, where=where(name, None))
    row = cast("Mapping[str, object]", data)
    for field in row:
        if field not in known:
            problem = f"unknown field; allowed: {', '.join(known)}"
            raise ConfigError(problem, field=f"{name}.{field}", where=where(name, field))
    for field in needed:
        if field not in row:
            raise ConfigError("is missing", field=f"{name}.{field}", where=where(name, None))
    return row


def wrong_in(name: str, field: str, where: Where) -> Wrong:
    """What makes the errors of one field."""

    def wrong(problem: str, part: str) -> ConfigError:
        return ConfigError(problem, field=f"{name}.{field}{part}", where=where(name, field))

    return wrong


def _constructed(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    construct = loader.construct_document  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] no types
    return cast("object", construct(node))


def _lines(node: yaml.Node | None, file: str) -> dict[tuple[str, str | None], int]:
    """Line numbers (from 1) of every row, (name, None), and of its fields, (name, field)."""
    lines: dict[tuple[str, str | None], int] = {}
    for key, row in _pairs(node):
        if (key.value, None) in lines:
            raise ConfigError("is there twice", field=str(key.value), where=f"{file}:{key.start_mark.line + 1}")
        lines[key.value, None] = key.start_mark.line + 1
        lines.update({(key.value, field.value): field.start_mark.line + 1 for field, _ in _pairs(row)})
    return lines


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    return cast("list[tuple[yaml.ScalarNode, yaml.Node]]", node.value) if isinstance(node, yaml.MappingNode) else []
