"""Where each value of the configuration came from, by its path in the tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

Origins: TypeAlias = dict[tuple[str, ...], str]
"""Path in the configuration -> `file:line`, an environment variable's name, or `command line`."""


def leaves(tree: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all values that are no mappings."""
    for key, value in tree.items():
        at = (*above, str(key))
        if isinstance(value, dict) and value:
            yield from leaves(cast(dict[str, Any], value), at)
        else:
            yield at


def overlay(under: dict[str, Any], over: Mapping[str, Any]) -> None:
    """Put one tree over another in place: mappings merge, everything else replaces."""
    for key, value in over.items():
        below = under.get(key)
        if isinstance(below, dict) and isinstance(value, Mapping):
            overlay(cast(dict[str, Any], below), cast(Mapping[str, Any], value))
        else:
            under[key] = value


def replace_origin(origins: Origins, field: tuple[str, ...], origin: str) -> None:
    """A value given anew: what stood below it, where it was a section before, is gone with its origins."""
    for below in [other for other in origins if other[: len(field)] == field]:
        del origins[below]
    origins[field] = origin
