"""One engine process: started, waited for, watched, restarted with back-off, stopped."""

from __future__ import annotations

import http.client
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, TypeAlias
from urllib.parse import urlsplit

from ..domain import Json
from ..errors import LaunchError
from .config import ModelConfig
from .cores import most_threads
from .llamacpp_server import KEY_VARIABLE

State: TypeAlias = Literal["starting", "ready", "restarting", "stopped"]

DEFAULT_CONTEXT = 4096
"""Tokens that a query of a launched model may have where its settings do not say."""
_LOGS_KEPT = 3
_TAIL_LINES = 20
_POLL_S = 0.02
_STOP_S = 1.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 30.0
_STEADY_S = 60.0  # after so long a life the back-off starts anew
_PORT_TRIES = 3


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """How an engine process is doing. restarts: times that it died and was started again; problem: why, the last
    time."""

    state: State
    pid: int | None
    url: str
    restarts: int
    problem: str | None = None


class Child:
    """One llama.cpp server process for one model. `url` and `key` hold for its whole life, restarts included.

    again: told its name, from a thread, each time that it is ready after a restart."""

    def __init__(self, name: str, file: Path, config: ModelConfig, log: Path, *, again: Callable[[str], None]) -> None:
        self.name, self.key = name, secrets.token_urlsafe(24)
        self._file, self._config, self._log, self._again = file, config, log, again
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._state: State = "stopped"
        self._restarts, self._problem = 0, None

    @property
    def url(self) -> str:
        """Its OpenAI address."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def made(self) -> Json:
        """What it was started with, as far as its answers depend on it."""
        return made_of(self.name, self._file, self._config)

    def start(self, timeout_s: float) -> None:
        """Start it and wait until it answers. Raises LaunchError with the log's last lines."""
        try:
            self._start(timeout_s)
        except OSError as error:  # the folder of its log cannot be made or written to, or there is no process to be had
            self.stop()
            raise LaunchError(f"models.{self.name}: cannot be started (its log is {self._log}): {error}") from error

    def _start(self, timeout_s: float) -> None:
        _rotate(self._log)
        self._state = "starting"
        end = time.monotonic() + timeout_s
        for last in [False] * (_PORT_TRIES - 1) + [True]:
            self._port = _free_port()
            self._spawn()
            problem = self._wait_ready(end)
            if problem is None:
                break
            # another process may have taken the port since we looked: only then is trying again of use
            if last or self._stopping.is_set() or not _taken(self._port):
                self.stop()
                raise LaunchError(f"models.{self.name}: {problem}; its log is {self._log}", log_tail=_tail(self._log))
        self._state = "ready"
        self._watcher = threading.Thread(target=self._watch, name=f"watch-{self.name}", daemon=True)
        self._watcher.start()

    def status(self) -> ChildStatus:
        """How it is doing now."""
        pid = self._process.pid if self._process is not None and self._process.poll() is None else None
        return ChildStatus(self._state, pid, self.url, self._restarts, self._problem)

    def stop(self) -> None:
        """End it and wait until it is gone: it is asked by closing its input, then told, then killed."""
        self._stopping.set()
        process = self._process
        if process is not None:
            _end(process)
        if self._watcher is not None:
            self._watcher.join(_STOP_S)
        self._state = "stopped"

    def _command(self) -> list[str]:
        config = self._config
        options = {
            "--model": self._file,
            "--alias": config.model or self.name,
            "--port": self._port,
            "--slots": config.slots,
            "--context": config.context or DEFAULT_CONTEXT,
            "--threads": min(config.threads or most_threads(), most_threads()),
        }
        if config.chat_template is not None:
            options["--template"] = config.chat_template
        # -P: the working directory may hold files with the names of modules
        module = [sys.executable, "-P", "-m", "pointsman.backends.llamacpp_server"]
        return module + [str(part) for pair in options.items() for part in pair]

    def _spawn(self) -> None:
        with self._log.open("ab") as log:
            # a session of its own: a Ctrl-C at the terminal is for the parent, which then ends us
            self._process = subprocess.Popen(  # noqa: S603 our own interpreter and module
                self._command(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, KEY_VARIABLE: self.key, "GGML_NO_BACKTRACE": "1"},
                start_new_session=True,
            )

    def _wait_ready(self, end: float) -> str | None:
        """None when it answers; else what is wrong."""
        process = self._process
        while process is not None and not self._stopping.wait(_POLL_S):
            code = process.poll()
            if code is not None:
                return f"the engine ended with code {code}"
            if fetch(f"http://127.0.0.1:{self._port}/health", self.key) == 200:
                return None
            if time.monotonic() > end:
                _end(process)
                return "the engine did not come up in time"
        return "stopped"

    def _watch(self) -> None:
        """Wait for it to die, and start it again on the same port, later and later if it keeps dying."""
        failures = 0
        while not self._stopping.is_set():
            born, process = time.monotonic(), self._process
            if process is None:
                return
            code = process.wait()
            _hang_up(process)
            if self._stopping.is_set():
                return
            failures = 1 if time.monotonic() - born > _STEADY_S else failures + 1
            self._state, self._problem = "restarting", f"the engine ended with code {code}"
            longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (failures - 1))
            if self._stopping.wait(longest * random.uniform(0.5, 1.0)):  # noqa: S311 jitter is no secret
                return
            self._restarts += 1
            self._spawn()
            if self._stopping.is_set() and self._process is not None:
                _end(self._process)
                return
            problem = self._wait_ready(time.monotonic() + _LONGEST_WAIT_S * 2)
            self._state, self._problem = ("ready", self._problem) if problem is None else ("restarting", problem)
            if problem is None:
                self._again(self.name)


def made_of(name: str, file: Path, config: ModelConfig) -> Json:
    """What tells whether a server of this model answers as one of these settings would: slots and threads do not."""
    template = config.chat_template and str(config.chat_template.absolute())
    return {
        "file": str(file.absolute()),
        "alias": config.model or name,
        "context": config.context or DEFAULT_CONTEXT,
        "template": template,
    }


def fetch(url: str, key: str, timeout_s: float = 1.0) -> int | None:
    """The status of a GET, None where nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", parts.path, headers={"Authorization": f"Bearer {key}", "Connection": "close"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    """Close its input, by which it ends."""
    stdin: IO[bytes] | None = process.stdin
    if stdin is not None:
        stdin.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    _hang_up(process)
    for harder in (process.terminate, process.kill):
        try:
            process.wait(_STOP_S / 2)
            return
        except subprocess.TimeoutExpired:
            harder()
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _rotate(log: Path) -> None:
    """Keep the logs of the last starts as .1, .2, …"""
    log.parent.mkdir(parents=True, exist_ok=True)
    if not log.exists() or not log.stat().st_size:
        return
    for number in range(_LOGS_KEPT, 0, -1):
        older = log.with_name(f"{log.name}.{number}")
        newer = log if number == 1 else log.with_name(f"{log.name}.{number - 1}")
        if newer.exists():
            newer.replace(older)


def _tail(log: Path) -> str:
    try:
        lines = log.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_TAIL_LINES:])
