"""`pointsman config`: the effective configuration as YAML, each value with where it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from .options import Where, located
from .screen import out

if TYPE_CHECKING:
    from ...domain import Json
    from ...router.config import Settings
    from ...router.origins import Origins
    from ..config import ServerConfig

HIDDEN = "(hidden)"
_SECRET = re.compile(r"(^|_)(key|keys|secret|password|token)$")
_PASSWORD = re.compile(r"(?<=://)(?P<user>[^/@:\s]*):[^/@\s]+(?=@)")
_PARAMETER = re.compile(r"(?<=[?&])(?P<name>[^=&\s]*(?:key|secret|password|token))=[^&#\s]+", re.IGNORECASE)
_COLUMN = 44


@located
def config(where: Where) -> None:
    """Print the effective configuration as YAML; a comment says where each value came from. Secrets are hidden."""
    from ..config import load_server

    found, origins = where.load()
    server, served = load_server(found.server, origins)
    screen = out()
    for value, whence in lines(effective(found, server), {**origins, **served}):
        screen.print(f"{value:<{_COLUMN}} " if whence else value, end="", markup=False, soft_wrap=True)
        screen.print(f"# {whence}" if whence else "", style="dim", markup=False, soft_wrap=True)


def effective(found: Settings, server: ServerConfig) -> Json:
    """All settings by section, the HTTP server's own included; plain values, secrets hidden."""
    from ...router.build import store_config

    tree = found.model_dump(mode="json")
    tree["store"] = store_config(found).model_dump(mode="json")
    tree["server"] = server.model_dump(mode="json")
    return cast("Json", hide(tree))


def hide(value: Any, name: str = "") -> Any:
    """The same tree without keys, passwords and what is written of them in addresses, before an @ or as a parameter."""
    if isinstance(value, Mapping):
        return {key: hide(below, str(key)) for key, below in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [hide(below, name) for below in cast("list[Any]", value)]
    if value and _SECRET.search(name):
        return HIDDEN
    if not isinstance(value, str):
        return value
    return _PARAMETER.sub(rf"\g<name>={HIDDEN}", _PASSWORD.sub(rf"\g<user>:{HIDDEN}", value))


def lines(tree: Mapping[str, Any], origins: Origins) -> Iterator[tuple[str, str]]:
    """The tree as lines of YAML, and beside each value where it came from ("" beside a section's own name). Settings
    that are absent, by default and not by anybody's word, are left out."""
    for path, value in _walk(_present(tree, origins), ()):
        indent, name = "  " * (len(path) - 1), _scalar(path[-1])
        if isinstance(value, Mapping) and value:
            yield f"{indent}{name}:", ""
        else:
            yield f"{indent}{name}: {_scalar(value)}", origin(path, origins)


def _present(tree: Mapping[str, Any], origins: Origins, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """The tree without what is absent by default."""
    kept: dict[str, Any] = {}
    for key, value in tree.items():
        path = (*above, str(key))
        if isinstance(value, Mapping):
            kept[key] = _present(cast("Mapping[str, Any]", value), origins, path)
        elif value is not None or path in origins:
            kept[key] = value
    return kept


def origin(path: tuple[str, ...], origins: Origins) -> str:
    """Where a value came from: its own origin, or that of the setting above that was given whole; else the default."""
    for n in range(len(path), 0, -1):
        above = path[:n]
        if (found := origins.get(above)) is None:
            continue
        if n == len(path) or not any(other[:n] == above and len(other) > n for other in origins):
            return found
        return "default"  # the section was given, this setting of it was not
    return "default"


def _walk(tree: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        path = (*above, str(key))
        yield path, value
        if isinstance(value, Mapping):
            yield from _walk(cast("Mapping[str, Any]", value), path)


def _scalar(value: Any) -> str:
    """One value in YAML's flow style, on one line."""
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, width=float("inf")).removesuffix("...\n").removesuffix("\n")
    if "\n" in text:  # a text of several lines: escaped in double quotes it is one
        text = yaml.safe_dump(value, default_flow_style=True, default_style='"', width=float("inf")).removesuffix("\n")
    return text
