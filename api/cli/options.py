"""The options that every command on a configuration shares: which file, which folder, which store."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ...domain import Json
    from ...router.config import Settings
    from ...router.origins import Origins
    from ...store import Store

_CONFIG = typer.Option(
    "--config", metavar="FILE", help="Configuration in YAML. Absent: POINTSMAN_CONFIG, else the shipped one."
)
_HOME = typer.Option("--home", metavar="FOLDER", help="Folder of store, artifacts and logs. Also POINTSMAN_HOME.")
_STORE = typer.Option("--store", metavar="URL", help="SQLAlchemy URL of the store. Also POINTSMAN_STORE.")
_OPTIONS: dict[str, Any] = {
    "config": Annotated[Path | None, _CONFIG],
    "home": Annotated[Path | None, _HOME],
    "store": Annotated[str | None, _STORE],
}


@dataclass(frozen=True, slots=True)
class Where:
    """What a command works on, as given on its command line; None: as configured elsewhere."""

    config: Path | None = None
    home: Path | None = None
    store: str | None = None

    @property
    def overrides(self) -> Json:
        """The settings among them, by name."""
        given = {"home": None if self.home is None else str(self.home.absolute()), "store": self.store}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def words(self) -> str:
        """The same options again, for a command that a message suggests; with a blank before, where there are any."""
        given = (("--config", self.config), ("--home", self.home), ("--store", self.store))
        return "".join(f" {option} {value}" for option, value in given if value is not None)

    def load(self) -> tuple[Settings, Origins]:
        """The effective configuration and where each value came from. Raises ConfigError."""
        from ...router.config import load

        return load(self.config, self.overrides)

    @contextmanager
    def opened_store(self) -> Generator[Store]:
        """The store, its tables brought up to date; closed at the end. Raises ConfigError, StoreError."""
        from ...router.build import build_store

        opened = build_store(self.load()[0])
        try:
            opened.upgrade()
            yield opened
        finally:
            opened.close()


def located(command: Callable[..., None]) -> Callable[..., None]:
    """The command with --config, --home and --store in place of its parameter `where: Where`."""
    signature = inspect.signature(command)
    hints = inspect.get_annotations(command, eval_str=True)
    own = [p.replace(annotation=hints[name]) for name, p in signature.parameters.items() if name != "where"]
    kind = inspect.Parameter.KEYWORD_ONLY
    shared = [inspect.Parameter(name, kind, default=None, annotation=hint) for name, hint in _OPTIONS.items()]
    shown = signature.replace(parameters=[*(p.replace(kind=kind) for p in own), *shared])

    def run(**given: Any) -> None:
        command(where=Where(**{name: given.pop(name) for name in _OPTIONS}), **given)

    run.__name__, run.__doc__, run.__module__ = command.__name__, command.__doc__, command.__module__
    run.__annotations__ = {p.name: p.annotation for p in shown.parameters.values()}
    run.__signature__ = shown  # type: ignore[attr-defined]
    return run
