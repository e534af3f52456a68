"""A YAML file as a tree of values and the line of each, so that an error can say where."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

from ..errors import ConfigError

Lines = dict[tuple[str, ...], int]


def read_yaml(path: Path) -> tuple[dict[str, Any], Lines]:
    """The file's mapping and the line (from 1) of each path in it. Raises ConfigError with file and line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the file cannot be read: {error}", where=str(path)) from None
    try:
        node = cast("yaml.Node | None", yaml.compose(text, Loader=yaml.SafeLoader))  # pyright: ignore[reportUnknownMemberType] - PyYAML's stubs leave it open
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise ConfigError(
            f"this is no valid YAML: {getattr(error, 'problem', error)}", where=f"{path}:{line}"
        ) from None
    if values is None:
        return {}, {}
    if not isinstance(values, dict):
        raise ConfigError("the file must hold settings as `name: value`", where=f"{path}:1")
    lines: Lines = {}
    if node is not None:
        _lines(node, (), lines, path)
    return cast(dict[str, Any], values), lines


def _lines(node: yaml.Node, at: tuple[str, ...], into: Lines, path: Path) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    pairs = cast(list[tuple[yaml.Node, yaml.Node]], node.value)
    for key, value in pairs:
        here = (*at, str(key.value))
        if here in into:
            raise ConfigError(
                "this setting stands twice", field=".".join(here), where=f"{path}:{key.start_mark.line + 1}"
            )
        into[here] = key.start_mark.line + 1
        _lines(value, here, into, path)
