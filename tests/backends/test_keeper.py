"""A foreign server and all that it started end: when it is told, when it ends by itself, when its parent is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pointsman.backends.answering import fetch, free_port
from pointsman.backends.keeper import NOT_RUN, Order

SERVER = Path(__file__).with_name("foreign_server.py")
MODULE = [sys.executable, "-P", "-m", "pointsman.backends.keeper", "m"]
PATIENCE_S = 30.0
PARENT = """
import subprocess, sys
keeper = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)
keeper.stdin.write(sys.stdin.buffer.readline())
keeper.stdin.flush()
print(keeper.pid, flush=True)
sys.stdin.read()
"""


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a condition; how long is generous, for machines are busy."""
    began, pause = time.monotonic(), threading.Event()
    while not holds():
        assert time.monotonic() - began < PATIENCE_S, f"{what}: not within {PATIENCE_S} s"
        pause.wait(0.01)


def dead(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


class Kept:
    """A keeper with its server up, and the server's grandchild where it has one."""

    def __init__(self, home: Path, *arguments: str, stop_s: float = 30.0, key: str = "") -> None:
        self.log, self.port, self._told = home / "m.log", free_port(), home / "grandchild"
        command = (sys.executable, str(SERVER), "--port", str(self.port), *arguments)
        self.order = Order(command, {}, str(self.log), key, stop_s)
        self.process = subprocess.Popen(MODULE, stdin=subprocess.PIPE, start_new_session=True)
        assert self.process.stdin is not None
        self.process.stdin.write(self.order.line())
        self.process.stdin.flush()

    def up(self) -> Kept:
        until(lambda: fetch(f"http://127.0.0.1:{self.port}/health", "") == 200, "the server")
        (self.server,) = (one.pid for one in psutil.Process(self.process.pid).children())
        return self

    def grandchild(self) -> int:
        until(lambda: self._told.exists() and self._told.read_text() != "", "the grandchild")
        return int(self._told.read_text())

    def hang_up(self) -> int:
        """Close its input; its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Callable[..., Kept]]:
    """Starts keepers; none is left."""
    made: list[Kept] = []

    def start(*arguments: str, **more: object) -> Kept:
        made.append(Kept(tmp_path, *arguments, **more))  # type: ignore[arg-type]
        return made[-1]

    yield start
    for one in made:
        one.hang_up()


def test_it_is_told_to_end_and_its_code_is_handed_on(keep: Callable[..., Kept]) -> None:
    kept = keep().up()
    assert kept.hang_up() == 128 + signal.SIGTERM
    assert dead(kept.server)
    told = keep().up()
    fetch(f"http://127.0.0.1:{told.port}/die/7", "")
    assert told.process.wait(PATIENCE_S) == 7


def test_one_that_does_not_heed_is_killed_in_time(keep: Callable[..., Kept]) -> None:
    kept = keep("--ignore-term", stop_s=0.1).up()
    assert kept.hang_up() == 128 + signal.SIGKILL
    assert dead(kept.server)


@pytest.mark.parametrize(
    "detached", [False, pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="/proc"))]
)
@pytest.mark.parametrize("end", ["told", "died"])
def test_what_it_started_goes_with_it(keep: Callable[..., Kept], tmp_path: Path, detached: bool, end: str) -> None:
    """A grandchild that heeds no SIGTERM: in the server's process group, or in a session of its own."""
    kept = keep("--grandchild", str(tmp_path / "grandchild"), *(["--detached"] if detached else [])).up()
    grandchild = kept.grandchild()
    assert not dead(grandchild)
    if end == "told":
        kept.hang_up()
    else:
        os.kill(kept.server, signal.SIGKILL)
        assert kept.process.wait(PATIENCE_S) == 128 + signal.SIGKILL
    assert dead(grandchild)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_keeper_ends_it_in_order_or_is_the_parents(keep: Callable[..., Kept], number: int) -> None:
    """SIGTERM is meant for it; SIGINT comes of a Ctrl-C, which is the parent's."""
    kept = keep().up()
    os.kill(kept.process.pid, number)
    if number == signal.SIGTERM:
        assert kept.process.wait(PATIENCE_S) == 128 + signal.SIGTERM
        assert dead(kept.server)
    else:
        assert fetch(f"http://127.0.0.1:{kept.port}/health", "") == 200


def test_all_of_it_ends_when_the_parent_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves the parent no time; nothing is left all the same."""
    port, told = free_port(), tmp_path / "grandchild"
    command = (sys.executable, str(SERVER), "--port", str(port), "--grandchild", str(told))
    order = Order(command, {}, str(tmp_path / "m.log"), "", 30.0)
    with subprocess.Popen([sys.executable, "-c", PARENT, *MODULE], stdin=-1, stdout=-1) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(order.line())
        parent.stdin.flush()
        keeper = int(parent.stdout.readline())
        until(lambda: told.exists() and told.read_text() != "", "the grandchild")
        until(lambda: fetch(f"http://127.0.0.1:{port}/health", "") == 200, "the server")
        left = [keeper, int(told.read_text()), *(one.pid for one in psutil.Process(keeper).children(recursive=True))]
        assert len(set(left)) == 3
        parent.kill()
    until(lambda: all(map(dead, left)), "the end of all")


def test_what_it_prints_is_logged_without_the_key_and_nothing_of_ours_is_handed_on(
    keep: Callable[..., Kept], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_STORE__URL", "postgres://secret")
    record = tmp_path / "record"
    kept = keep("--say", "started with sk-secret", "--record", str(record), key="sk-secret").up()
    kept.hang_up()
    assert kept.log.read_text().splitlines()[:2] == ["started with [key]", "listens"]
    assert "POINTSMAN" not in record.read_text()


def test_what_cannot_be_run_is_said_in_the_log(tmp_path: Path) -> None:
    file = tmp_path / "no-program"
    file.write_text("neither a binary nor a script")
    file.chmod(0o755)
    order = Order((str(file),), {}, str(tmp_path / "m.log"), "", 1.0)
    done = subprocess.run(MODULE, input=order.line(), check=False, timeout=PATIENCE_S)
    assert done.returncode == NOT_RUN
    assert "no-program cannot be run" in (tmp_path / "m.log").read_text()


def test_a_parent_that_goes_before_it_said_anything_has_started_nothing() -> None:
    assert subprocess.run(MODULE, input=b"", check=False, timeout=PATIENCE_S).returncode == 0
    assert subprocess.run(MODULE, input=b'{"command"', check=False, timeout=PATIENCE_S).returncode == 0
