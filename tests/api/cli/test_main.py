"""The command as a whole: what it imports, how it fails, how it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pointsman import __version__
from pointsman.api.cli import main as command
from pointsman.errors import BackendUnavailable, BadRequest, PointsmanError, StoreError

Run = Callable[..., "subprocess.CompletedProcess[str]"]

HEAVY = ("numpy", "sklearn", "torch", "sqlalchemy", "aiohttp", "fastapi", "model2vec", "rich.table")


def test_help_and_version_import_nothing_heavy() -> None:
    """What is only asked for its name or its help loads no library but typer and its own: this keeps it quick."""
    code = (
        "import json, sys\nfrom pointsman.api.cli.main import main\n"
        "code = main(['version'])\nprint(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    status, modules = json.loads(done.stderr)
    assert status == 0
    assert done.stdout == f"pointsman {__version__}\n"
    assert [name for name in HEAVY if name in modules] == []


def test_help_names_every_command(pointsman: Run) -> None:
    """The console command is installed, and its help lists what it can do."""
    done = pointsman("--help")
    assert done.returncode == 0
    commands = [
        "serve",
        "route",
        "ask",
        "feedback",
        "retrain",
        "promote",
        "rollback",
        "config",
        "demo",
        "version",
        "db",
    ]
    assert [name for name in commands if name not in done.stdout] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["srve"], "serve"),
        (["feedback", "dec_1"], "--verdict WORD"),
        (["feedback", "dec_1", "--correct", "--score", "1"], "--verdict WORD"),
        (["db", "prune", "--older-than", "soon"], "as in 90d"),
        (["retrain", "--constellation", "x.yaml:y"], "--data"),
        (["retrain", "--data", "x.csv", "--since", "7d"], "--since"),
        (["config", "--config", "/no/such/file.yaml"], "/no/such/file.yaml"),
        (["serve", "--log-level", "loud", "--port", "0"], "'debug', 'info', 'warning' or 'error'"),
        (["serve", "--port", "70000"], "65535"),
    ],
)
def test_what_is_typed_wrong_is_said_and_exits_with_2(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A message that says what to type instead, on standard error; no traceback, nothing on standard output."""
    assert command.main(arguments) == 2
    shown = capfd.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadRequest("no"), 2),
        (PointsmanError("no"), 2),
        (StoreError("down"), 1),
        (BackendUnavailable("gone", backend="digits"), 1),
        (ZeroDivisionError("oops"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_have_their_exit_codes(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was given wrong is 2, what failed is 1, Ctrl-C is 130 and says nothing."""

    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(command, "_invoke", fail)
    assert command.main([]) == code
    said = capsys.readouterr().err
    assert said == "" if code == 130 else str(error) in said
    assert "Traceback" not in said


def test_debugging_lets_errors_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """With POINTSMAN_DEBUG=1 the error comes out with its traceback."""
    monkeypatch.setenv("POINTSMAN_DEBUG", "1")
    with pytest.raises(PointsmanError):
        command.main(["config", "--config", "/no/such/file.yaml"])


def test_a_reader_who_leaves_is_no_error(tmp_path: Path) -> None:
    """`pointsman config | head -1` says nothing on standard error."""
    executable = Path(sys.executable).with_name("pointsman")
    read, write = os.pipe()
    with subprocess.Popen([executable, "config"], stdout=write, stderr=subprocess.PIPE, text=True) as process:
        os.close(write)
        os.close(read)
        _, said = process.communicate(timeout=60)
    assert said == ""
    assert process.returncode == 1


def test_ctrl_c_is_quiet(tmp_path: Path) -> None:
    """A command that waits is stopped by SIGINT with exit code 130 and not a word."""
    fifo = tmp_path / "never.yaml"
    os.mkfifo(fifo)  # opening it waits for a writer, so the command is sure to be in the middle of something
    # Where the tests run in the background SIGINT is ignored from birth on; a terminal's commands have it.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from pointsman.api.cli.main import run; run()"
    arguments = [sys.executable, "-c", code, "config", "--config", str(fifo)]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
    with fifo.open("wb"):  # opens when the command has opened it for reading
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
