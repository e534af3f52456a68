"""The engines that we start ourselves: one server process per model, watched and restarted.

The parent process owns the supervisor; everyone else gets addresses, from `start` or, in another process, from
`running`. Children end with the parent, even on SIGKILL (llamacpp_server.py; keeper.py for servers that are not ours).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from ..domain import Json
from ..errors import LaunchError
from .answering import fetch
from .child import Child, ChildStatus, Heard
from .config import ModelConfig
from .programs import made_of, program_of

__all__ = ["ChildStatus", "Endpoint", "Supervisor", "running"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a launched engine listens. url: its OpenAI address; api_key: made for it, kept out of logs."""

    url: str
    api_key: str = field(repr=False)


class Supervisor:
    """Starts, watches and stops the engines of one process. `home`: folder for logs and the state file; shared: whether
    other processes may use the engines (a server's, yes; those of a process that may end at any moment, no); again,
    down, progress: see Heard."""

    def __init__(
        self,
        home: Path,
        *,
        shared: bool = True,
        again: Callable[[str], None] = lambda _: None,
        down: Callable[[str, str], None] = lambda _name, _why: None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._home, self._shared, self._heard = home, shared, Heard(again, down, progress)
        self._children: dict[str, Child] = {}
        self._lock = threading.RLock()

    def start(self, models: Mapping[str, ModelConfig], *, timeout_s: float | None = None) -> dict[str, Endpoint]:
        """Launch every model of `models` that is ours to launch, all at once; back when all answer.

        timeout_s: how long that may take; None: as long as each model's settings say. Raises LaunchError, with the
        log's last lines, when one does not come up in time; the others are then stopped too. ConfigError for a key that
        is not set."""
        programs = {name: program_of(name, config) for name, config in models.items() if config.launched}
        with self._lock:
            fresh = [
                Child(name, program, self._home / "logs" / f"{name}.log", self._heard)
                for name, program in programs.items()
                if name not in self._children
            ]
            if not fresh:
                return self.endpoints()
            try:
                with ThreadPoolExecutor(len(fresh), thread_name_prefix="launch") as pool:
                    started = [(child, pool.submit(child.start, timeout_s)) for child in fresh]
            except BaseException:  # a signal's exception, most likely: what loads for a minute must not be waited for
                _all_at_once(fresh)
                raise
            failed = [error for _, future in started if (error := future.exception()) is not None]
            if failed:
                _all_at_once(fresh)
                raise failed[0]
            self._children |= {child.name: child for child in fresh}
            if self._shared:
                self._share()
            return self.endpoints()

    def _share(self) -> None:
        """Tell other processes of the engines. Raises LaunchError where that cannot be written; then none runs."""
        try:
            _write_state(self._home, self._children.values())
        except OSError as error:
            self.stop()
            raise LaunchError(f"the engines' state cannot be written under {self._home}: {error}") from error

    def endpoints(self) -> dict[str, Endpoint]:
        """Where the engines listen, by model name."""
        return {name: Endpoint(child.url, child.key) for name, child in self._children.items()}

    def status(self) -> dict[str, ChildStatus]:
        """How each engine is doing."""
        return {name: child.status() for name, child in self._children.items()}

    def stop(self) -> None:
        """End every engine and wait until it is gone; quick, and harmless to repeat."""
        with self._lock:
            children, self._children = list(self._children.values()), {}
            if not children:
                return
            _all_at_once(children)
            _remove_state(self._home)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _all_at_once(children: Sequence[Child]) -> None:
    """Stop the children beside each other. No pool: this may run while the interpreter ends, when pools take nothing
    more, and Python 3.12 and later start no thread any more either; then one after the other."""
    threads: list[threading.Thread] = []
    for child in children:
        thread = threading.Thread(target=child.stop, name=f"stop-{child.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            child.stop()
        else:
            threads.append(thread)
    for thread in threads:
        thread.join()


def running(home: Path, models: Mapping[str, ModelConfig]) -> dict[str, Endpoint] | None:
    """The engines that another process on the same home runs for all of these models, to be shared; None where one is
    missing or was started from another file, or with other settings, than its name stands for here.

    The state file alone proves nothing: its process must live, and the engines must take its keys. Raises LaunchError
    where a model has no file."""
    try:
        state = cast("dict[str, Any]", json.loads(_state_file(home).read_text("utf-8")))
        pid = int(state["pid"])
        rows = {name: cast("Json", state["engines"][name]) for name in models}
        engines = {name: Endpoint(row["url"], row["api_key"]) for name, row in rows.items()}
        made = {name: row["made"] for name, row in rows.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if not engines or not _alive(pid):
        return None
    if made != {name: made_of(name, config) for name, config in models.items()}:
        return None
    answering = all(fetch(f"{one.url}/models", one.api_key) == 200 for one in engines.values())
    return engines if answering else None


def _state_file(home: Path) -> Path:
    return home / "run" / "engines.json"


def _write_state(home: Path, children: Iterable[Child]) -> None:
    """Write the state file, readable by its owner only, whole or not at all."""
    file = _state_file(home)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engines = {child.name: {"url": child.url, "api_key": child.key, "made": child.made} for child in children}
    draft = file.with_suffix(f".{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        json.dump({"pid": os.getpid(), "engines": engines}, out)
    draft.replace(file)


def _remove_state(home: Path) -> None:
    """Remove the state file, if it is still ours."""
    file = _state_file(home)
    try:
        if json.loads(file.read_text("utf-8")).get("pid") == os.getpid():
            file.unlink()
    except (OSError, ValueError):
        return


def _alive(pid: int) -> bool:
    if os.name == "nt":  # signal 0 would end the process there; the engines' answers must do
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
