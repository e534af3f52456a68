"""The console command as a user runs it: processes, their output, what they leave behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from pointsman.backends import embedded_path

COMMAND = Path(sys.executable).with_name("pointsman")
START_S = 90.0
"""Generous: the machine may be busy with other things."""
MARK = "POINTSMAN_TEST_MARK"


@dataclass
class Serving:
    """`pointsman serve` in a session of its own, as at a terminal."""

    process: subprocess.Popen[str]
    mark: str
    home: Path
    lines: list[str] = field(default_factory=list)
    _told: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._told:
                self.lines.append(line.rstrip("\n"))
                self._told.notify_all()
        with self._told:
            self.lines.append("<end>")
            self._told.notify_all()

    def await_line(self, pattern: str, seconds: float = START_S) -> str:
        """The first line that matches; fails with all that was written when it does not come."""

        def found() -> str | None:
            return next((line for line in self.lines if re.search(pattern, line)), None)

        with self._told:
            self._told.wait_for(lambda: found() is not None or self.lines[-1:] == ["<end>"], seconds)
            line = found()
        code = self.process.poll()
        assert line is not None, f"no line like {pattern!r} came (exit code {code}):\n{self.output}"
        return line

    def ready(self) -> Serving:
        """Itself, when it says that it is ready."""
        self.await_line(r"^Ctrl-C stops it")
        return self

    @property
    def output(self) -> str:
        """All that it wrote, both streams."""
        return "\n".join(self.lines)

    @property
    def base(self) -> str:
        """Its address, as it says it."""
        return re.search(r"http://[\d.:\[\]a-f]+", self.await_line("listens on"))[0]

    def client(self) -> httpx.Client:
        """An HTTP client of it."""
        return httpx.Client(base_url=self.base, timeout=60)

    def members(self) -> list[psutil.Process]:
        """All living processes that it started, itself included: they carry its mark in their environment."""
        return marked(self.mark)

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal to its whole process group, as a terminal does; its exit code."""
        os.killpg(self.process.pid, number)
        return self.process.wait(15)

    def close(self) -> None:
        """Kill what still lives, read what was written to its end."""
        for process in self.members():
            process.kill()
        self.process.wait(10)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


def marked(mark: str) -> list[psutil.Process]:
    """Living processes with this mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine's owner reaches a test, and nothing is written to their folders."""
    for name in [name for name in os.environ if name.startswith("POINTSMAN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without any setting of ours, and `more`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("POINTSMAN_")} | more


@pytest.fixture(scope="session")
def pointsman() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the console command to its end: `pointsman("config", home=…, env={…})`."""

    def run(*arguments: str, env: dict[str, str] | None = None, **more: object) -> subprocess.CompletedProcess[str]:
        environment = clean_environment(**(env or {}))
        return subprocess.run(
            [str(COMMAND), *arguments], env=environment, capture_output=True, text=True, timeout=120, **more
        )

    return run


@pytest.fixture(scope="session")
def launch() -> Iterator[Callable[..., Serving]]:
    """Starts `pointsman serve` on a free port; ended at the end of the session where a test did not."""
    started: list[Serving] = []

    def start(home: Path, *arguments: str, env: dict[str, str] | None = None, **more: object) -> Serving:
        mark = uuid.uuid4().hex
        environment = clean_environment(**{MARK: mark}, **(env or {}))
        process = subprocess.Popen(
            [str(COMMAND), "serve", "--home", str(home), "--port", "0", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **more,
        )
        serving = Serving(process, mark, home)
        started.append(serving)
        return serving

    yield start
    for serving in started:
        serving.close()


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return when the condition holds; fail when it does not in time."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {what}"
        pause.wait(0.02)


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """`until`, for tests, which import nothing from here."""
    return until


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are as wide as they want to be, wherever the tests run."""
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def foreign_llamacpp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a real llama.cpp server with the model digits, not one of ours, and the key that it wants."""
    key = "sk-of-the-owner"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    module = [sys.executable, "-m", "pointsman.backends.llamacpp_server", "--model", str(embedded_path("digits"))]
    with (tmp_path_factory.mktemp("upstream") / "log").open("wb") as log:
        server = subprocess.Popen(
            [*module, "--alias", "digits", "--port", str(port), "--context", "1024"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=os.environ | {"POINTSMAN_ENGINE_KEY": key},
        )
    base = f"http://127.0.0.1:{port}"

    def healthy() -> bool:
        try:
            return httpx.get(f"{base}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    until(healthy, 90, "the upstream server is up")
    yield base, key
    server.communicate(timeout=30)  # closes its standard input, at which it ends
