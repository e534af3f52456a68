"""One server process of ours: started, waited for, watched, restarted with back-off, stopped."""

from __future__ import annotations

import os
import random
import secrets
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, TypeAlias

from ..domain import Json
from ..errors import LaunchError
from .answering import fetch, free_port, taken
from .keeper import Order
from .log_file import last_line, rotate, tail
from .processes import kill_session
from .programs import Program

State: TypeAlias = Literal["starting", "ready", "restarting", "down", "stopped"]

_POLL_S, _SLOWEST_POLL_S = 0.02, 0.5
_GONE_S = 8.0
"""How long a keeper may take beyond the time that its server has to end."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.2, 30.0
_STEADY_S = 60.0  # after so long a life the back-off starts anew
MOST_FAILURES = 6
"""So many ends in a row, none after a life of a minute, take a model out of service."""
REST_S = 300.0
"""How long until a model that is out of service is tried again."""
_PORT_TRIES = 3
_TELL_S = 10.0
"""How often is said what a server that takes long to load is doing."""
_TOLD_LINES = 5
"""How much of the log a reason holds."""


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """How a server process is doing. restarts: times that it died and was started again; problem: why, the last time;
    pid: of the process that we started, a foreign server's keeper; state down: it kept dying and is tried again
    later."""

    state: State
    pid: int | None
    url: str
    restarts: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """Who is told, from threads. again: a model's name, each time that its server had died and is ready again; down: a
    name and why, each time that a server that kept dying is given up for a while; progress: a sentence on a server that
    takes long to start."""

    again: Callable[[str], None] = lambda _: None
    down: Callable[[str, str], None] = lambda _name, _why: None
    progress: Callable[[str], None] = lambda _: None


class Child:
    """One server process for one model. `url` and `key` hold for its whole life, restarts included."""

    def __init__(self, name: str, program: Program, log: Path, heard: Heard) -> None:
        self.name = name
        self.key = secrets.token_urlsafe(24) if program.key is None else program.key
        self._plan, self._log, self._heard = program, log, heard
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._state: State = "stopped"
        self._restarts, self._problem = 0, None

    @property
    def url(self) -> str:
        """Its OpenAI address."""
        return self._program.url

    @property
    def made(self) -> Json:
        """What it was started with, as far as its answers depend on it."""
        return self._plan.made

    def start(self, timeout_s: float | None = None) -> None:
        """Start it and wait until it answers, at most so long (None: its settings' time). Raises LaunchError with the
        log's last lines."""
        try:
            self._start(self._plan.ready_s if timeout_s is None else timeout_s)
        except OSError as error:  # the folder of its log cannot be made or written to, or there is no process to be had
            self.stop()
            raise LaunchError(f"{self._plan.place}: cannot be started (its log is {self._log}): {error}") from error

    def _start(self, timeout_s: float) -> None:
        rotate(self._log)
        self._state = "starting"
        for last in [False] * (_PORT_TRIES - 1) + [True]:
            port = self._plan.port or free_port()
            self._program = self._plan.at(port, self.key)
            if self._plan.port is not None and taken(self._program.url):
                raise LaunchError(
                    f"{self._plan.place}: port {port} is taken, another server listens there: end that one, or write "
                    "{port} for the number, and Pointsman chooses a free one"
                )
            self._spawn()
            problem = self._wait_ready(timeout_s)
            if problem is None:
                break
            # another process may have taken the port since we looked: only then is trying again of use
            self._end(self._process)
            again = self._plan.port is None and taken(self._program.url)
            if last or self._stopping.is_set() or not again:
                self.stop()
                raise LaunchError(
                    f"{self._plan.place}: {problem}; its log is {self._log}{self._command()}", log_tail=tail(self._log)
                )
        self._state = "ready"
        self._watcher = threading.Thread(target=self._watch, name=f"watch-{self.name}", daemon=True)
        self._watcher.start()

    def _command(self) -> str:
        """What was run, for a message; our own needs none, and a key stays out of it."""
        if not self._program.kept:
            return ""
        words = shlex.join(self._program.command)
        return f", its command: {words.replace(self.key, '{key}') if self.key else words}"

    def status(self) -> ChildStatus:
        """How it is doing now."""
        pid = self._process.pid if self._process is not None and self._process.poll() is None else None
        return ChildStatus(self._state, pid, self.url, self._restarts, self._problem)

    def stop(self) -> None:
        """End it and wait until it is gone: it is asked by closing its input, then told, then killed."""
        self._stopping.set()
        self._end(self._process)
        if self._watcher is not None:
            self._watcher.join(self._plan.stop_s + _GONE_S)
        self._state = "stopped"

    def _end(self, process: subprocess.Popen[bytes] | None) -> None:
        if process is None:
            return
        _hang_up(process)
        patience = self._plan.stop_s + _GONE_S if self._plan.kept else self._plan.stop_s / 2
        for harder in (process.terminate, process.kill):
            try:
                process.wait(patience)
                break
            except subprocess.TimeoutExpired:
                harder()
                patience = 0.5
        process.wait()
        self._swept(process)

    def _swept(self, process: subprocess.Popen[bytes]) -> None:
        """A keeper leaves nothing behind, unless it was killed itself."""
        if self._plan.kept and process.returncode < 0:
            kill_session(process.pid)

    def _spawn(self) -> None:
        program = self._program
        # -P: the working directory may hold files with the names of modules
        keeper = (sys.executable, "-P", "-m", "pointsman.backends.keeper", self.name)
        with self._log.open("ab") as log:
            # a session of its own: a Ctrl-C at the terminal is for the parent, which then ends us
            process = self._process = subprocess.Popen(  # noqa: S603 our own interpreter and module
                keeper if program.kept else program.command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **({} if program.kept else program.env)},
                start_new_session=True,
            )
        if program.kept:
            assert process.stdin is not None
            order = Order(program.command, program.env, str(self._log.absolute()), self.key, program.stop_s)
            process.stdin.write(order.line())
            process.stdin.flush()

    def _wait_ready(self, timeout_s: float) -> str | None:
        """None when it answers; else what is wrong. Where that is not its own end, it is ended."""
        process, program, began, said = self._process, self._program, time.monotonic(), 0.0
        while process is not None:
            waited = time.monotonic() - began
            if self._stopping.wait(min(_SLOWEST_POLL_S, max(_POLL_S, waited / 50))):
                return "stopped"
            code = process.poll()
            if code is not None:
                return f"{_ended(code)} before it was ready"
            status = fetch(program.ready, self.key)
            if status is not None and 200 <= status < 300:
                return self._wrong_url()
            waited = time.monotonic() - began
            if waited > timeout_s:
                return self._late(status, timeout_s)
            if waited - said > _TELL_S:
                said = waited
                line = last_line(self._log)
                self._heard.progress(
                    f"{self.name} is starting, {waited:.0f} s of at most {timeout_s:.0f} s{f': {line}' if line else ''}"
                )
        return "stopped"

    def _late(self, status: int | None, timeout_s: float) -> str:
        """Why it is not ready, as far as it can be told from outside."""
        told = f"the engine did not come up in time ({timeout_s:g} s)"
        if not self._program.kept:
            return told
        if status is None:
            return f"{told}: nothing answers at {self._program.ready}; is that where it listens (`url`, `ready`)?"
        if status == 503:
            return f"{told}: it says that it is not ready yet (503); give it longer with `ready_s`"
        return f"{told}: {self._program.ready} answers {status}; `ready` is a path that answers 200 once it is ready"

    def _wrong_url(self) -> str | None:
        """What is wrong with the address of a foreign server that is ready; None: nothing."""
        if not self._program.kept:
            return None
        status = fetch(f"{self.url}/models", self.key, 5.0)
        if status in (401, 403):
            return f"it is ready, but refuses the key ({status}): give it {{key}}, or name its own with `api_key_env`"
        if status == 404:
            return f"it is ready, but {self.url}/models answers 404: `url` is its OpenAI address, usually ending in /v1"
        return None

    def _watch(self) -> None:
        """Wait for it to die, and start it again on the same port, later and later if it keeps dying."""
        failures = 0
        while (process := self._process) is not None:
            born = time.monotonic()
            problem: str | None = _ended(process.wait())
            if time.monotonic() - born > _STEADY_S:
                failures = 0
            while problem is not None:
                _hang_up(process)
                self._swept(process)
                failures += 1
                if self._stopping.is_set() or self._stopping.wait(self._suffered(problem, failures)):
                    return
                self._restarts += 1
                problem = self._restart()
                process = self._process or process
                if self._stopping.is_set():
                    self._end(process)
                    return
            self._state = "ready"
            self._heard.again(self.name)

    def _restart(self) -> str | None:
        """Start it again; None when it answers, else what is wrong, and nothing runs."""
        try:
            self._spawn()
        except OSError as error:
            return f"it cannot be started again: {error}"
        problem = self._wait_ready(self._plan.ready_s)
        if problem is not None:
            self._end(self._process)
        return problem

    def _suffered(self, problem: str, failures: int) -> float:
        """Keep in mind that it died, or did not come up, so many times in a row; how long to wait now, in seconds."""
        self._problem = problem
        if failures < MOST_FAILURES:
            self._state = "restarting"
            longest = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** (failures - 1))
            return longest * random.uniform(0.5, 1.0)  # noqa: S311 jitter is no secret
        self._state = "down"
        said = "\n".join(tail(self._log).splitlines()[-_TOLD_LINES:])
        self._problem = (
            f"{problem}, {failures} times in a row; tried again in {REST_S:.0f} s. {self._log} ends:\n{said}"
        )
        self._heard.down(self.name, self._problem)
        return REST_S


def _ended(code: int) -> str:
    """How a process ended, in words. A keeper tells its server's signal as 128 more."""
    number = -code if code < 0 else code - 128
    try:
        return f"the engine ended with code {code} ({signal.Signals(number).name})"
    except ValueError:
        return f"the engine ended with code {code}"


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    """Close its input, by which it ends."""
    stdin: IO[bytes] | None = process.stdin
    if stdin is not None:
        try:
            stdin.close()
        except BrokenPipeError:  # it went before it had read all
            return
