"""The documentation says what is so: its commands run, its Python runs, its links lead somewhere.

A block marked `bash norun` starts a server, installs or needs the reader's own server; everything else is executed,
against a server that the tests start."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pointsman import Router

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(bash|python|yaml)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def blocks(kind: str) -> list[tuple[str, str]]:
    return [(page.name, text) for page in PAGES for found, text in BLOCK.findall(page.read_text()) if found == kind]


def names(found: list[tuple[str, str]]) -> list[str]:
    return [f"{page}-{i}" for i, (page, _) in enumerate(found)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running proxy; gives the environment in which the commands run, with a decision to feed back on."""
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    binaries = str(Path(sys.executable).parent)
    environ = {**os.environ, "POINTSMAN_HOME": str(home), "POINTSMAN_PORT": port}
    environ["PATH"] = f"{binaries}{os.pathsep}{environ['PATH']}"
    log = (home / "serve.log").open("wb")
    serving = subprocess.Popen([f"{binaries}/pointsman", "serve"], env=environ, stdout=log, stderr=log)
    try:
        wait_until(lambda: get(f"http://127.0.0.1:{port}/ready") == 200, serving, home / "serve.log")
        with Router.from_config(home=home) as router:
            environ["DECISION_ID"] = router.route("3+4").id
        yield environ
    finally:
        serving.send_signal(signal.SIGINT)
        serving.wait(20)
        log.close()


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll until ready, at most a minute; a process that ended is a failure with its log."""
    deadline = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        select.select([], [], [], 0.1)


def get(url: str) -> int:
    """The status of a GET; 0 where nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@pytest.mark.parametrize(("page", "command"), blocks("bash"), ids=names(blocks("bash")))
def test_commands_in_the_documentation_run(page: str, command: str, server: dict[str, str], tmp_path: Path) -> None:
    if command.strip() == "make test":
        return  # this is it
    here = command.replace("localhost:8484", f"127.0.0.1:{server['POINTSMAN_PORT']}").replace("curl -s", "curl -fsS")
    run = ["bash", "-euo", "pipefail", "-c", here]
    done = subprocess.run(run, capture_output=True, text=True, env=server, cwd=tmp_path, check=False)
    assert done.returncode == 0, f"{page}: {here}\n{done.stdout[-500:]}{done.stderr[-1500:]}"


@pytest.mark.parametrize(("page", "code"), blocks("python"), ids=names(blocks("python")))
def test_python_in_the_documentation_runs(page: str, code: str, tmp_path: Path) -> None:
    environ = {**os.environ, "POINTSMAN_HOME": str(tmp_path)}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, capture_output=True, text=True, env=environ, cwd=tmp_path, check=False)
    assert done.returncode == 0, f"{page}: {done.stderr[-1500:]}"


@pytest.mark.parametrize(("page", "text"), blocks("yaml"), ids=names(blocks("yaml")))
def test_configuration_in_the_documentation_is_valid(page: str, text: str, tmp_path: Path) -> None:
    """Pieces that name no routes of their own are put on top of the default configuration."""
    from pointsman.router import load
    from pointsman.router.config import DEFAULT_CONFIG

    file = tmp_path / "pointsman.yaml"
    file.write_text(text if "routes:" in text else DEFAULT_CONFIG.read_text() + text)
    settings, _ = load(file, environ={})
    assert settings.routes, page


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()] == []


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "reference.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-1500:]
